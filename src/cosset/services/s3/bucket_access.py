"""Who may reach a bucket, as its configurations say: policy, public access block, ownership of objects, ACL.

What they come to is the evaluator's to say: `bucket_resources.py` tells it.
"""

from collections.abc import Sequence

from cosset.identity.policy_document import parse_policy
from cosset.services.operation import Context, Params, Result, operation
from cosset.services.s3.account_blocks import SWITCHES, blocks_of, read_switches
from cosset.services.s3.acl import Grant, default_grants, is_private, put_grants
from cosset.services.s3.acl import is_public as is_public_acl
from cosset.services.s3.bucket_book import need_bucket, read_setting
from cosset.services.s3.bucket_requirements import on_bucket_acl
from cosset.services.s3.bucket_settings import BucketSettings
from cosset.services.s3.errors import malformed_xml
from cosset.services.s3.kinds import Kind
from cosset.services.s3.model import Bucket
from cosset.services.s3.owners import shown_owner
from cosset.services.s3.policy_rules import as_kept, check_policy
from cosset.services.s3.publicness import is_public
from cosset.services.s3.requirements import on_bucket
from cosset.store.transaction import Transaction
from cosset.wire.errors import ServiceError

ENFORCED, PREFERRED, WRITER = "BucketOwnerEnforced", "BucketOwnerPreferred", "ObjectWriter"
_METHODS = {"PutBucketPolicy": "PUT", "DeleteBucketPolicy": "DELETE"}
OWNERSHIPS = (ENFORCED, PREFERRED, WRITER)
ALL_BLOCKED = dict.fromkeys(SWITCHES, True)
_NO_POLICY = ("NoSuchBucketPolicy", "The bucket policy does not exist")
_NO_BLOCK = ("NoSuchPublicAccessBlockConfiguration", "The public access block configuration was not found")
_NO_OWNERSHIP = ("OwnershipControlsNotFoundError", "The bucket ownership controls were not found")


class BucketAccess:
    def __init__(self, settings: BucketSettings) -> None:
        self._settings = settings

    @operation("PutBucketPolicy", on_bucket("PutBucketPolicy"))
    async def put_bucket_policy(self, ctx: Context, params: Params) -> None:
        bucket, text = params["Bucket"], params.get("Policy") or ""
        document = check_policy(text, bucket)

        def check(tx: Transaction, found: Bucket) -> None:
            _check_home(ctx, found)
            if blocks_of(tx, found)["BlockPublicPolicy"] and is_public(document):
                why = "public policies are blocked by the BlockPublicPolicy block public access setting"
                raise _blocked(ctx, "PutBucketPolicy", found.arn, why)

        await self._settings.put(bucket, Kind.POLICY, as_kept(text), check)

    @operation("GetBucketPolicy", on_bucket("GetBucketPolicy"))
    async def get_bucket_policy(self, ctx: Context, params: Params) -> Result:
        return {"Policy": await self._policy(ctx, params["Bucket"])}

    @operation("DeleteBucketPolicy", on_bucket("DeleteBucketPolicy"))
    async def delete_bucket_policy(self, ctx: Context, params: Params) -> None:
        await self._settings.remove(params["Bucket"], Kind.POLICY, lambda _, found: _check_home(ctx, found))

    @operation("GetBucketPolicyStatus", on_bucket("GetBucketPolicyStatus"))
    async def get_bucket_policy_status(self, ctx: Context, params: Params) -> Result:
        return {"PolicyStatus": {"IsPublic": is_public(parse_policy(await self._policy(ctx, params["Bucket"])))}}

    async def _policy(self, ctx: Context, bucket: str) -> str:
        def read(tx: Transaction) -> str | None:
            _check_home(ctx, need_bucket(tx, bucket))
            found: str | None = read_setting(tx, bucket, Kind.POLICY)
            return found

        text = await self._settings.store.read(read)
        if text is None:
            raise ServiceError(*_NO_POLICY, status=404, fields={"BucketName": bucket})
        return text

    @operation("PutPublicAccessBlock", on_bucket("PutBucketPublicAccessBlock"))
    async def put_public_access_block(self, ctx: Context, params: Params) -> None:
        kept = read_switches(params["PublicAccessBlockConfiguration"])
        await self._settings.put(params["Bucket"], Kind.PUBLIC_ACCESS_BLOCK, kept)

    @operation("GetPublicAccessBlock", on_bucket("GetBucketPublicAccessBlock"))
    async def get_public_access_block(self, ctx: Context, params: Params) -> Result:
        found = await self._settings.need(params["Bucket"], Kind.PUBLIC_ACCESS_BLOCK, _NO_BLOCK)
        return {"PublicAccessBlockConfiguration": found}

    @operation("DeletePublicAccessBlock", on_bucket("PutBucketPublicAccessBlock"))
    async def delete_public_access_block(self, ctx: Context, params: Params) -> None:
        await self._settings.remove(params["Bucket"], Kind.PUBLIC_ACCESS_BLOCK)

    @operation("PutBucketOwnershipControls", on_bucket("PutBucketOwnershipControls"))
    async def put_bucket_ownership_controls(self, ctx: Context, params: Params) -> None:
        rules = params["OwnershipControls"]["Rules"]
        if len(rules) != 1:
            raise malformed_xml()
        ownership = rules[0]["ObjectOwnership"]

        def check(tx: Transaction, found: Bucket) -> None:
            if ownership == ENFORCED and not is_private(acl_of(tx, found), found.account):
                sentence = "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting"
                raise ServiceError("InvalidBucketAclWithObjectOwnership", sentence)

        await self._settings.put(params["Bucket"], Kind.OWNERSHIP, ownership, check)

    @operation("GetBucketOwnershipControls", on_bucket("GetBucketOwnershipControls"))
    async def get_bucket_ownership_controls(self, ctx: Context, params: Params) -> Result:
        found = await self._settings.need(params["Bucket"], Kind.OWNERSHIP, _NO_OWNERSHIP)
        return {"OwnershipControls": {"Rules": [{"ObjectOwnership": found}]}}

    @operation("DeleteBucketOwnershipControls", on_bucket("PutBucketOwnershipControls"))
    async def delete_bucket_ownership_controls(self, ctx: Context, params: Params) -> None:
        await self._settings.remove(params["Bucket"], Kind.OWNERSHIP)

    @operation("PutBucketAcl", on_bucket_acl)
    async def put_bucket_acl(self, ctx: Context, params: Params) -> None:
        name = params["Bucket"]
        bucket = await self._settings.store.read(lambda tx: need_bucket(tx, name))
        grants = put_grants(params, bucket.account, bucket.account)

        def check(tx: Transaction, found: Bucket) -> None:
            check_grants(tx, ctx, found, grants, "PutBucketAcl")

        await self._settings.put(name, Kind.ACL, grants, check)

    @operation("GetBucketAcl", on_bucket("GetBucketAcl"))
    async def get_bucket_acl(self, ctx: Context, params: Params) -> Result:
        def read(tx: Transaction) -> tuple[Bucket, list[Grant]]:
            bucket = need_bucket(tx, params["Bucket"])
            return bucket, acl_of(tx, bucket)

        bucket, grants = await self._settings.store.read(read)
        return {"Owner": shown_owner(bucket.account), "Grants": grants}


def acl_of(tx: Transaction, bucket: Bucket) -> list[Grant]:
    found: list[Grant] | None = read_setting(tx, bucket.name, Kind.ACL)
    return default_grants(bucket.account) if found is None else found


def ownership_of(tx: Transaction, bucket: str) -> str:
    """Without a configuration objects belong to who wrote them, as they did at first."""
    return str(read_setting(tx, bucket, Kind.OWNERSHIP) or WRITER)


def check_grants(
    tx: Transaction, ctx: Context, bucket: Bucket, grants: Sequence[Grant], action: str, key: str = ""
) -> None:
    """May this bucket, or the object of that key in it, have these grants? Where ACLs are off none may be put, and a
    new object may have no more than that the bucket's owner may do everything.

    Raises ServiceError AccessControlListNotSupported, AccessDenied.
    """
    is_usual = action == "PutObject" and is_private(grants, bucket.account)
    if ownership_of(tx, bucket.name) == ENFORCED and not is_usual:
        raise ServiceError("AccessControlListNotSupported", "The bucket does not allow ACLs")
    if is_public_acl(grants) and blocks_of(tx, bucket)["BlockPublicAcls"]:
        why = "public access control lists (ACLs) are blocked by the BlockPublicAcls block public access setting"
        raise _blocked(ctx, action, f"{bucket.arn}/{key}" if key else bucket.arn, why)


def _check_home(ctx: Context, bucket: Bucket) -> None:
    """Whatever a policy says: it is for the bucket's own account alone to read and to write. Raises ServiceError."""
    if ctx.account != bucket.account:
        sentence = "The specified method is not allowed against this resource."
        fields = {"Method": _METHODS.get(ctx.operation, "GET"), "ResourceType": "BUCKETPOLICY"}
        raise ServiceError("MethodNotAllowed", sentence, status=405, fields=fields)


def _blocked(ctx: Context, action: str, resource: str, why: str) -> ServiceError:
    who = ctx.principal.arn or "anonymous"
    sentence = f'User: {who} is not authorized to perform: s3:{action} on resource: "{resource}" because {why}.'
    return ServiceError("AccessDenied", sentence, status=403)
