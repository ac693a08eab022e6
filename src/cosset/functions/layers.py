"""Layers: packages that functions share, unpacked under /opt. Versions are numbered and never change.

A function keeps the layers that it was given, also when they are deleted afterwards. A layer of another account may be
read and used by whom its policy lets in (`resource_policies.py`; the door asks), and nothing else may be done with it.
The sentences are AWS's (recorded: TestLambdaLayer).
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

from cosset.clock import Clock
from cosset.functions import errors, layer_records, package_records
from cosset.functions.archive import MAX_UNZIPPED_BYTES
from cosset.functions.code import CodeStore
from cosset.functions.layer_records import LayerKey, LayerVersion
from cosset.functions.model import FunctionKey, FunctionVersion, LayerUse
from cosset.functions.policies import Grant, make_statement
from cosset.functions.records import TOPIC
from cosset.functions.timestamps import format_timestamp
from cosset.store.database import Store, Transaction

MAX_LAYERS = 5
_VERSION_ARN = re.compile(r"arn:aws[a-zA-Z-]*:lambda:([a-z0-9-]+):(\d{12}):layer:([a-zA-Z0-9-_]+):(\d+)")
_ARN = re.compile(r"arn:aws[a-zA-Z-]*:lambda:([a-z0-9-]+):(\d{12}):layer:([a-zA-Z0-9-_]+)")


class Layers:
    """Layer versions and their policies."""

    def __init__(self, store: Store, code: CodeStore, clock: Clock, new_id: Callable[[], str]) -> None:
        self._store = store
        self._code = code
        self._clock = clock
        self._new_id = new_id

    async def publish(
        self,
        key: LayerKey,
        package: bytes,
        *,
        description: str,
        runtimes: tuple[str, ...] | None,
        architectures: tuple[str, ...] | None,
        license_info: str | None,
    ) -> LayerVersion:
        """Raises:
        ServiceError: the package is refused, in AWS's words.
        """
        code = await self._code.keep(package)
        created = format_timestamp(self._clock.now_ms())

        def write(tx: Transaction) -> LayerVersion:
            layer = LayerVersion(
                key=key,
                number=layer_records.take_number(tx, key),
                code=code,
                description=description,
                created=created,
                runtimes=runtimes,
                architectures=architectures,
                license_info=license_info,
            )
            layer_records.insert_version(tx, layer)
            return layer

        return await self._store.write(write)

    async def get(self, key: LayerKey, number: int) -> LayerVersion:
        """Raises:
        ServiceError: ResourceNotFoundException.
        """
        check_number(number)
        layer = await self._store.read(lambda tx: layer_records.read_version(tx, key, number))
        if layer is None:
            raise errors.not_found("The resource you requested does not exist.")
        return layer

    async def list_versions(self, key: LayerKey, *, below: int | None) -> list[LayerVersion]:
        """The newest first."""
        return await self._store.read(lambda tx: layer_records.read_versions(tx, key, below=below))

    async def list_all(self, account: str, region: str, *, after: str) -> list[LayerVersion]:
        """Every version: by name, the newest first."""
        return await self._store.read(lambda tx: layer_records.read_all(tx, account, region, after=after))

    async def delete(self, key: LayerKey, number: int) -> None:
        """One that is not there is no error, as on AWS."""
        check_number(number)
        now_ms = self._clock.now_ms()

        def write(tx: Transaction) -> None:
            layer = layer_records.read_version(tx, key, number)
            if layer is not None:
                package_records.want_package(tx, layer.code.digest, 0, now_ms)
                layer_records.delete_version(tx, key, number)
                tx.announce(TOPIC, layer.arn)

        await self._store.write(write)

    async def add_permission(
        self, key: LayerKey, number: int, grant: Grant, *, revision_id: str | None
    ) -> tuple[dict[str, Any], str]:
        """The statement, and the new revision of the policy."""

        def write(tx: Transaction) -> tuple[dict[str, Any], str]:
            layer = _require(tx, key, number)
            present = layer_records.read_statements(tx, key, number)
            if any(other["Sid"] == grant.sid for other in present):
                raise errors.statement_exists(grant.sid)
            _check_revision(layer, revision_id)
            statement = make_statement(grant, layer.arn)
            layer_records.insert_statement(tx, key, number, statement)
            return statement, self._touch(tx, layer)

        return await self._store.write(write)

    async def remove_permission(self, key: LayerKey, number: int, sid: str, *, revision_id: str | None) -> None:
        def write(tx: Transaction) -> None:
            layer = _require(tx, key, number)
            _check_revision(layer, revision_id)
            if not layer_records.delete_statement(tx, key, number, sid):
                raise errors.not_found(f"Statement {sid} is not found in resource policy.")
            self._touch(tx, layer)

        await self._store.write(write)

    async def get_policy(self, key: LayerKey, number: int) -> tuple[dict[str, Any], str]:
        """The policy document and its revision."""

        def read(tx: Transaction) -> tuple[dict[str, Any], str]:
            layer = _require(tx, key, number)
            statements = layer_records.read_statements(tx, key, number)
            if not statements:
                raise errors.not_found("No policy is associated with the given resource.")
            return {"Version": "2012-10-17", "Id": "default", "Statement": statements}, layer.revision_id or ""

        return await self._store.read(read)

    def _touch(self, tx: Transaction, layer: LayerVersion) -> str:
        revision_id = self._new_id()
        layer_records.write_revision(tx, layer, revision_id)
        tx.announce(TOPIC, layer.arn)  # who may use it is decided anew
        return revision_id


def parse_layer(name: str, *, account: str, region: str) -> LayerKey:
    """A layer's name or ARN, of whichever account. Raises: ServiceError, for one of another region."""
    match = _ARN.fullmatch(name)
    if match is None:
        return LayerKey(account, region, name)
    return _of_region(LayerKey(match[2], match[1], match[3]), region)


def parse_layer_version(arn: str, *, region: str) -> tuple[LayerKey, int]:
    """A layer version's ARN. Raises: ServiceError, as `parse_layer`."""
    match = _VERSION_ARN.fullmatch(arn)
    if match is None:
        raise errors.invalid_parameter(f"Invalid Layer Version ARN: {arn}")
    return _of_region(LayerKey(match[2], match[1], match[3]), region), int(match[4])


def _of_region(key: LayerKey, region: str) -> LayerKey:
    if key.region != region:
        raise errors.invalid_parameter(
            f"Layers are not in the same region as the function. Layers are expected to be in region {region}."
        )
    return key


def check_number(number: int) -> None:
    if number < 1:
        raise errors.invalid_parameter("Layer Version Cannot be less than 1.")


def use_layers(tx: Transaction, function: FunctionKey, arns: Sequence[str]) -> tuple[LayerUse, ...]:
    """The layers that these ARNs name, for a function to keep.

    Raises:
        ServiceError: InvalidParameterValueException: too many, the same twice, none there.
    """
    if len(arns) > MAX_LAYERS:
        raise errors.invalid_parameter(f"Cannot reference more than {MAX_LAYERS} layers.")
    used: dict[LayerKey, LayerUse] = {}
    for arn in arns:
        key, number = parse_layer_version(arn, region=function.region)
        if key in used:
            raise errors.invalid_parameter(
                "Two different versions of the same layer are not allowed to be referenced in the same function. "
                f"{used[key].arn} and {arn} are versions of the same layer."
            )
        layer = layer_records.read_version(tx, key, number)
        if layer is None:
            raise errors.invalid_parameter(f"Layer version {arn} does not exist.")
        used[key] = LayerUse(layer.arn, layer.code.size_bytes, layer.code.digest)
    return tuple(used.values())


def check_unzipped(tx: Transaction, version: FunctionVersion) -> None:
    """Code and layers together are held to the limit of code alone."""
    total = package_records.sum_unzipped(tx, [version.code.digest, *(layer.digest for layer in version.layers)])
    if version.layers and total > MAX_UNZIPPED_BYTES:
        raise errors.invalid_parameter(
            f"Function code combined with layers exceeds the maximum allowed size of {MAX_UNZIPPED_BYTES} bytes. "
            f"The actual size is {total} bytes."
        )


def _require(tx: Transaction, key: LayerKey, number: int) -> LayerVersion:
    check_number(number)
    layer = layer_records.read_version(tx, key, number)
    if layer is None:
        raise errors.not_found(f"Layer version {key.version_arn(number)} does not exist.")
    return layer


def _check_revision(layer: LayerVersion, revision_id: str | None) -> None:
    if revision_id is not None and revision_id != layer.revision_id:
        raise errors.stale_revision("GetLayerPolicy")
