"""Retention and legal hold of single versions. What they mean: locks.py."""

from cosset.services.operation import Context, Params, Result, operation
from cosset.services.s3.errors import malformed_xml
from cosset.services.s3.finding import Finder, check_version, find_named
from cosset.services.s3.keys import check_key
from cosset.services.s3.locks import changed_retention, missing_lock
from cosset.services.s3.object_requirements import on_retention
from cosset.services.s3.object_writes import ObjectWrites
from cosset.services.s3.requirements import on_object
from cosset.services.s3.versions import ObjectVersion, change_facts
from cosset.store.transaction import Transaction
from cosset.wire.errors import ServiceError


class ObjectLocks:
    def __init__(self, writes: ObjectWrites, finder: Finder) -> None:
        self._writes = writes
        self._finder = finder

    @operation("PutObjectRetention", on_retention)
    async def put_object_retention(self, ctx: Context, params: Params) -> None:
        check_key(params["Key"])
        check_version(params.get("VersionId"))
        wanted = params.get("Retention")
        if wanted is None:
            raise malformed_xml()
        bypasses = bool(params.get("BypassGovernanceRetention"))

        def work(tx: Transaction) -> None:
            found = self._lockable(tx, params)
            now_ms = self._writes.clock.now_ms()
            change_facts(tx, found, lock=changed_retention(found.facts, wanted, now_ms, bypasses=bypasses))

        await self._writes.store.write(work)

    @operation("GetObjectRetention", on_object("GetObjectRetention"))
    async def get_object_retention(self, ctx: Context, params: Params) -> Result:
        lock = (await self._read(ctx, params)).facts.get("lock")
        if lock is None:
            raise _no_configuration()
        return {"Retention": {"Mode": lock["mode"], "RetainUntilDate": lock["until_ms"] / 1000}}

    @operation("PutObjectLegalHold", on_object("PutObjectLegalHold"))
    async def put_object_legal_hold(self, ctx: Context, params: Params) -> None:
        check_key(params["Key"])
        check_version(params.get("VersionId"))

        def work(tx: Transaction) -> None:
            found = self._lockable(tx, params)
            status = (params.get("LegalHold") or {}).get("Status")
            if status is None:
                raise malformed_xml()
            change_facts(tx, found, hold=status)

        await self._writes.store.write(work)

    @operation("GetObjectLegalHold", on_object("GetObjectLegalHold"))
    async def get_object_legal_hold(self, ctx: Context, params: Params) -> Result:
        hold = (await self._read(ctx, params)).facts.get("hold")
        if hold is None:
            raise _no_configuration()
        return {"LegalHold": {"Status": hold}}

    def _lockable(self, tx: Transaction, params: Params) -> ObjectVersion:
        """Recorded: test_put_object_legal_hold_exc. Raises: ServiceError."""
        bucket, found = find_named(tx, params, "PUT", latest_marker_is_told=True)
        if not bucket.has_object_lock:
            raise missing_lock()
        return found

    async def _read(self, ctx: Context, params: Params) -> ObjectVersion:
        bucket, found = await self._finder.find(ctx, params, "GET", latest_marker_is_told=True)
        if not bucket.has_object_lock:
            raise missing_lock()
        return found


def _no_configuration() -> ServiceError:
    sentence = "The specified object does not have a ObjectLock configuration"
    return ServiceError("NoSuchObjectLockConfiguration", sentence, status=404)
