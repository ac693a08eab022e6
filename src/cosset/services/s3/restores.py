"""RestoreObject: an archived object can be read again for some days.

Archives are on the same disk here: a restore is done at once, and its expiry is what the reader sees.
Recorded: TestS3DeepArchive::test_s3_get_deep_archive_object_restore.
"""

from cosset.services.operation import Context, Params, Result, operation
from cosset.services.s3.errors import malformed_xml
from cosset.services.s3.events import event_of
from cosset.services.s3.finding import check_version, find_named
from cosset.services.s3.keys import check_key
from cosset.services.s3.object_facts import ARCHIVED
from cosset.services.s3.object_writes import ObjectWrites
from cosset.services.s3.requirements import on_object
from cosset.services.s3.versions import change_facts
from cosset.store.transaction import Transaction
from cosset.wire.errors import OperationNotImplementedError, ServiceError

_DAY_MS = 86_400_000


class Restores:
    def __init__(self, writes: ObjectWrites) -> None:
        self._writes = writes

    @operation("RestoreObject", on_object("RestoreObject"))
    async def restore_object(self, ctx: Context, params: Params) -> Result:
        """202 for a restore that begins, 200 for one that is prolonged."""
        check_key(params["Key"])
        check_version(params.get("VersionId"))
        request = params.get("RestoreRequest") or {}
        if "Type" in request or "SelectParameters" in request:
            raise OperationNotImplementedError("s3", "RestoreObject of the type SELECT")
        days = request.get("Days")
        if days is None or days < 1:
            raise malformed_xml()

        tier = (request.get("GlacierJobParameters") or request).get("Tier")

        def work(tx: Transaction) -> bool:
            bucket, found = find_named(tx, params, "POST", latest_marker_is_told=True)
            storage_class = found.facts.get("storage_class", "STANDARD")
            if storage_class not in ARCHIVED:
                raise ServiceError(
                    "InvalidObjectState",
                    "Restore is not allowed for the object's current storage class",
                    status=403,
                    fields={"StorageClass": storage_class},
                )
            if storage_class == "DEEP_ARCHIVE" and tier == "Expedited":
                sentence = "Retrieval option is not supported by this storage class"
                raise ServiceError("InvalidArgument", sentence)
            now_ms = self._writes.clock.now_ms()
            before = found.facts.get("restore")
            until_ms = (now_ms // _DAY_MS + days + 1) * _DAY_MS  # midnight, as S3 rounds
            change_facts(tx, found, restore={"until_ms": until_ms})
            for name in ("ObjectRestore:Post", "ObjectRestore:Completed"):
                self._writes.events.happened(tx, event_of(ctx, bucket, name, found, now_ms))
            return before is not None and before["until_ms"] > now_ms

        is_prolonged = await self._writes.store.write(work)
        return {} if is_prolonged else {"RestoreOutputPath": None}
