"""Tags of objects are put, read and taken away. Recorded: TestS3BucketObjectTagging."""

from collections.abc import Mapping
from typing import Any

from cosset.services.operation import Context, Params, Result, operation
from cosset.services.s3.events import event_of
from cosset.services.s3.finding import Finder, check_version, find_named, shown_version
from cosset.services.s3.keys import check_key
from cosset.services.s3.model import Bucket
from cosset.services.s3.object_requirements import on_tags
from cosset.services.s3.object_writes import ObjectWrites
from cosset.services.s3.tags import shown_tags, tags_in_set
from cosset.services.s3.versions import ObjectVersion, change_facts
from cosset.store.transaction import Transaction


class ObjectTags:
    def __init__(self, writes: ObjectWrites, finder: Finder) -> None:
        self._writes = writes
        self._finder = finder

    @operation("PutObjectTagging", on_tags("Put"))
    async def put_object_tagging(self, ctx: Context, params: Params) -> Result:
        tags = tags_in_set(params["Tagging"]["TagSet"])
        return await self._change(ctx, params, tags or None, "PUT", "ObjectTagging:Put")

    @operation("DeleteObjectTagging", on_tags("Delete"))
    async def delete_object_tagging(self, ctx: Context, params: Params) -> Result:
        return await self._change(ctx, params, None, "DELETE", "ObjectTagging:Delete")

    @operation("GetObjectTagging", on_tags("Get"))
    async def get_object_tagging(self, ctx: Context, params: Params) -> Result:
        bucket, found = await self._finder.find(ctx, params, "GET", latest_marker_is_told=True)
        return {"TagSet": shown_tags(found.facts), **shown_version(bucket, found)}

    async def _change(
        self, ctx: Context, params: Mapping[str, Any], tags: Mapping[str, str] | None, method: str, event: str
    ) -> Result:
        check_key(params["Key"])
        check_version(params.get("VersionId"))

        def work(tx: Transaction) -> tuple[Bucket, ObjectVersion]:
            bucket, found = find_named(tx, params, method, latest_marker_is_told=True)
            change_facts(tx, found, tags=tags)
            self._writes.events.happened(tx, event_of(ctx, bucket, event, found, self._writes.clock.now_ms()))
            return bucket, found

        bucket, found = await self._writes.store.write(work)
        return dict(shown_version(bucket, found))
