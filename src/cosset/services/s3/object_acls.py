"""ACLs of objects are put and read. What they allow: bucket_resources.py.

Recorded: test_put_object_acl_on_delete_marker.
"""

from cosset.services.operation import Context, Params, Result, operation
from cosset.services.s3.acl import default_grants, put_grants
from cosset.services.s3.bucket_access import ENFORCED, check_grants, ownership_of
from cosset.services.s3.events import event_of
from cosset.services.s3.finding import Finder, check_version, find_named
from cosset.services.s3.keys import check_key
from cosset.services.s3.object_writes import ObjectWrites
from cosset.services.s3.owners import shown_owner
from cosset.services.s3.requirements import on_version
from cosset.services.s3.versions import change_facts
from cosset.store.transaction import Transaction


class ObjectAcls:
    def __init__(self, writes: ObjectWrites, finder: Finder) -> None:
        self._writes = writes
        self._finder = finder

    @operation("PutObjectAcl", on_version("PutObjectAcl"))
    async def put_object_acl(self, ctx: Context, params: Params) -> None:
        check_key(params["Key"])
        check_version(params.get("VersionId"))

        def work(tx: Transaction) -> None:
            bucket, found = find_named(tx, params, "PUT", latest_marker_is_told=True)
            owner = found.facts["owner"]
            grants = put_grants(params, owner, bucket.account)
            check_grants(tx, ctx, bucket, grants, "PutObjectAcl", params["Key"])
            change_facts(tx, found, acl=grants)
            self._writes.events.happened(tx, event_of(ctx, bucket, "ObjectAcl:Put", found, self._writes.clock.now_ms()))

        await self._writes.store.write(work)

    @operation("GetObjectAcl", on_version("GetObjectAcl"))
    async def get_object_acl(self, ctx: Context, params: Params) -> Result:
        bucket, found = await self._finder.find(ctx, params, "GET")
        if await self._writes.store.read(lambda tx: ownership_of(tx, bucket.name)) == ENFORCED:
            return {"Owner": shown_owner(bucket.account), "Grants": default_grants(bucket.account)}
        owner = found.facts["owner"]
        return {"Owner": shown_owner(owner), "Grants": found.facts.get("acl") or default_grants(owner)}
