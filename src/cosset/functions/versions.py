"""Published versions: numbered copies of `$LATEST` that never change again."""

import dataclasses
from collections.abc import Callable

from cosset.functions import configuring, errors, records
from cosset.functions.model import FunctionKey, FunctionState, FunctionVersion, UpdateStatus
from cosset.functions.settling import Settling
from cosset.store.database import Store, Transaction


class Versions:
    """PublishVersion and ListVersionsByFunction."""

    def __init__(self, store: Store, settling: Settling, new_id: Callable[[], str]) -> None:
        self._store = store
        self._settling = settling
        self._new_id = new_id

    async def publish(
        self, key: FunctionKey, *, description: str | None, code_sha256: str | None, revision_id: str | None
    ) -> FunctionVersion:
        """A new version of `$LATEST`, or the last one when nothing has changed since.

        Raises:
            ServiceError: not found, an update under way, another code or revision than the caller expects.
        """
        await self._settling.wait_created(key)

        def write(tx: Transaction) -> FunctionVersion:
            latest = changeable_latest(tx, key, revision_id)
            if code_sha256 is not None and code_sha256 != latest.code.sha256:
                raise errors.invalid_parameter(
                    f"CodeSHA256 ({code_sha256}) is different from current CodeSHA256 in $LATEST "
                    f"({latest.code.sha256}). Please try again with the CodeSHA256 in $LATEST."
                )
            # AWS makes the snapshot first: such a version is Pending until it is there.
            pending = latest.snap_start == "PublishedVersions"
            return publish(tx, latest, description=description, pending=pending, new_id=self._new_id)

        published = await self._store.write(write)
        if published.state is FunctionState.PENDING:
            self._settling.updated(key)
        return published

    async def list(self, key: FunctionKey, *, after: int, limit: int) -> list[FunctionVersion]:
        """`$LATEST` first, then by number; those after the number `after` (-1: all).

        Raises:
            ServiceError: ResourceNotFoundException.
        """

        def read(tx: Transaction) -> list[FunctionVersion]:
            if records.read_settings(tx, key) is None:
                raise errors.function_not_found(key.arn)
            return records.read_versions(tx, key, after=after, limit=limit)

        return await self._store.read(read)


def publish(
    tx: Transaction,
    latest: FunctionVersion,
    *,
    description: str | None,
    pending: bool,
    new_id: Callable[[], str],
) -> FunctionVersion:
    """Inside a transaction that has read `latest`. Publishing gives `$LATEST` a new revision too
    (recorded: test_function_revisions_version_and_alias); publishing what is published already changes nothing."""
    last = records.read_last_published(tx, latest.key)
    if last is not None and last.fingerprint == configuring.fingerprint(latest):
        return last
    number = records.take_version_number(tx, latest.key)
    version = configuring.published(latest, number, description=description, pending=pending, new_id=new_id)
    records.insert_version(tx, version)
    if latest.state is not FunctionState.PENDING and latest.last_update_status is not UpdateStatus.IN_PROGRESS:
        records.write_version(tx, dataclasses.replace(latest, revision_id=new_id()))
    records.announce(tx, latest.key)
    return version


def changeable_latest(tx: Transaction, key: FunctionKey, revision_id: str | None) -> FunctionVersion:
    """`$LATEST`, when it may be changed now.

    Raises:
        ServiceError: not found, an update is under way, or the revision is not the caller's.
    """
    latest = records.read_version(tx, key)
    if latest is None:
        raise errors.function_not_found(key.arn)
    if latest.state is FunctionState.PENDING:
        raise errors.still_pending(latest.state.value)
    if latest.last_update_status is UpdateStatus.IN_PROGRESS:
        raise errors.update_in_progress(key.arn)
    if revision_id is not None and revision_id != latest.revision_id:
        raise errors.stale_revision()
    return latest
