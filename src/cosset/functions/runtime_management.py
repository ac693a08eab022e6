"""Runtime management configs: when a version may move to a newer patch of its runtime.

Kept for each version, and answered as AWS does. There is one patch of each runtime here, the one that is installed, so
a version can be pinned to that one alone; what the three modes do differently on AWS, docs/lambda.md says, they do not
do here.
"""

import dataclasses

from cosset.functions import errors, names, records
from cosset.functions.model import FunctionVersion
from cosset.functions.names import FunctionReference
from cosset.store.database import Store, Transaction

MANUAL = "Manual"


class RuntimeManagement:
    """PutRuntimeManagementConfig and GetRuntimeManagementConfig."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def get(self, reference: FunctionReference) -> FunctionVersion:
        """The version, whose `runtime_update_on` and `runtime_pin` are the config.

        Raises:
            ServiceError: ResourceNotFoundException.
        """
        return await self._store.read(lambda tx: _read(tx, reference))

    async def put(self, reference: FunctionReference, update_on: str, version_arn: str | None) -> FunctionVersion:
        """Raises:
        ServiceError: not found; `Manual` without a runtime version, or with one that is not here.
        """

        def write(tx: Transaction) -> FunctionVersion:
            version = _read(tx, reference)
            if update_on == MANUAL:
                _check_pin(version, version_arn)
            pin = version_arn if update_on == MANUAL else None
            version = dataclasses.replace(version, runtime_update_on=update_on, runtime_pin=pin)
            records.write_version(tx, version)
            records.announce(tx, reference.key)
            return version

        return await self._store.write(write)


def _read(tx: Transaction, reference: FunctionReference) -> FunctionVersion:
    version = records.read_version(tx, reference.key, names.version_of(reference.qualifier))
    if version is None:
        raise errors.function_not_found(reference.arn)
    return version


def _check_pin(version: FunctionVersion, version_arn: str | None) -> None:
    if version_arn is None:
        raise errors.invalid_parameter("RuntimeVersionArn is required when UpdateRuntimeOn is Manual.")
    if version_arn != version.runtime_version_arn:
        raise errors.invalid_parameter(
            f"The runtime version {version_arn} is not available for {version.runtime}. "
            f"Available is {version.runtime_version_arn}."
        )
