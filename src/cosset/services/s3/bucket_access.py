"""Who may reach a bucket, as its configurations say: policy, public access block, ownership of objects, ACL.

What they come to is the evaluator's to say: `bucket_resources.py` tells it.
"""

from collections.abc import Mapping, Sequence

from cosset.identity.policy_document import MalformedPolicyError, PolicyDocument, parse_policy
from cosset.services.operation import Context, Params, Result, operation
from cosset.services.s3.acl import Grant, default_grants, is_private, put_grants
from cosset.services.s3.acl import is_public as is_public_acl
from cosset.services.s3.bucket_book import need_bucket, read_setting
from cosset.services.s3.bucket_requirements import on_bucket_acl
from cosset.services.s3.bucket_settings import BucketSettings
from cosset.services.s3.errors import malformed_xml
from cosset.services.s3.kinds import Kind
from cosset.services.s3.model import Bucket
from cosset.services.s3.owners import shown_owner
from cosset.services.s3.publicness import is_public
from cosset.services.s3.requirements import on_bucket
from cosset.store.transaction import Transaction
from cosset.wire.errors import ServiceError

ENFORCED, PREFERRED, WRITER = "BucketOwnerEnforced", "BucketOwnerPreferred", "ObjectWriter"
OWNERSHIPS = (ENFORCED, PREFERRED, WRITER)
ALL_BLOCKED = dict.fromkeys(("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True)
_MAX_POLICY_BYTES = 20 * 1024
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
            if blocks(tx, bucket, "BlockPublicPolicy") and is_public(document):
                why = "public policies are blocked by the BlockPublicPolicy block public access setting"
                raise _blocked(ctx, "PutBucketPolicy", found, why)

        await self._settings.put(bucket, Kind.POLICY, text, check)

    @operation("GetBucketPolicy", on_bucket("GetBucketPolicy"))
    async def get_bucket_policy(self, ctx: Context, params: Params) -> Result:
        return {"Policy": await self._settings.need(params["Bucket"], Kind.POLICY, _NO_POLICY)}

    @operation("DeleteBucketPolicy", on_bucket("DeleteBucketPolicy"))
    async def delete_bucket_policy(self, ctx: Context, params: Params) -> None:
        await self._settings.remove(params["Bucket"], Kind.POLICY)

    @operation("GetBucketPolicyStatus", on_bucket("GetBucketPolicyStatus"))
    async def get_bucket_policy_status(self, ctx: Context, params: Params) -> Result:
        text = await self._settings.need(params["Bucket"], Kind.POLICY, _NO_POLICY)
        return {"PolicyStatus": {"IsPublic": is_public(parse_policy(text))}}

    @operation("PutPublicAccessBlock", on_bucket("PutBucketPublicAccessBlock"))
    async def put_public_access_block(self, ctx: Context, params: Params) -> None:
        given = params["PublicAccessBlockConfiguration"]
        kept = {name: bool(given.get(name, False)) for name in ALL_BLOCKED}
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
            check_grants(tx, ctx, found, grants, found.account, "PutBucketAcl")

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


def blocks(tx: Transaction, bucket: str, setting: str) -> bool:
    found: Mapping[str, bool] = read_setting(tx, bucket, Kind.PUBLIC_ACCESS_BLOCK) or {}
    return found.get(setting, False)


def check_grants(
    tx: Transaction, ctx: Context, bucket: Bucket, grants: Sequence[Grant], owner: str, action: str
) -> None:
    """May this bucket, or an object of `owner` in it, have these grants?

    Raises ServiceError AccessControlListNotSupported, AccessDenied.
    """
    if ownership_of(tx, bucket.name) == ENFORCED and not is_private(grants, bucket.account):
        raise ServiceError("AccessControlListNotSupported", "The bucket does not allow ACLs")
    if blocks(tx, bucket.name, "BlockPublicAcls") and is_public_acl(grants):
        why = "public access control lists (ACLs) are blocked by the BlockPublicAcls block public access setting"
        raise _blocked(ctx, action, bucket, why)


def check_policy(text: str, bucket: str) -> PolicyDocument:
    """Raises ServiceError MalformedPolicy, in S3's sentences."""
    if len(text.encode()) > _MAX_POLICY_BYTES:
        raise _malformed("Normalized policy document exceeds the maximum allowed size of 20480 bytes.")
    if not text.lstrip().startswith("{"):
        raise _malformed("Policies must be valid JSON and the first byte must be '{'")
    try:
        document = parse_policy(text)
    except MalformedPolicyError as error:
        if "Json" in str(error):
            raise _malformed("This policy contains invalid Json") from None
        raise _malformed(_fault(text, str(error))) from None
    for statement in document.statements:
        if not (statement.principals or statement.not_principals):
            raise _malformed("Missing required field Principal")
        if not (statement.actions or statement.not_actions):
            raise _malformed("Missing required field Action")
        if not (statement.resources or statement.not_resources):
            raise _malformed("Missing required field Resource")
        for action in (*statement.actions, *statement.not_actions):
            if action != "*" and not action.lower().startswith("s3:"):
                raise _malformed("Policy has invalid action")
        for resource in (*statement.resources, *statement.not_resources):
            _check_resource(resource, bucket)
        _check_principals(statement.principals or statement.not_principals or {})
    return document


def _check_resource(resource: str, bucket: str) -> None:
    if not resource.startswith("arn:aws:s3:::") and resource != "*":
        raise _malformed("Policy has invalid resource")
    if resource != "*" and resource.removeprefix("arn:aws:s3:::").split("/", 1)[0] != bucket:
        raise _malformed("Policy has invalid resource")


def _check_principals(principals: Mapping[str, tuple[str, ...]]) -> None:
    for value in principals.get("AWS", ()):
        is_account = len(value) == 12 and value.isdecimal()
        is_arn = value.startswith("arn:aws:") and value.count(":") >= 5 and value.split(":")[2] in ("iam", "sts")
        is_id = value.isalnum() and value[:4] in ("AIDA", "AROA")
        if value != "*" and not (is_account or is_arn or is_id):
            raise ServiceError("MalformedPolicy", "Invalid principal in policy", fields={"Detail": value})


def _fault(text: str, said: str) -> str:
    if '"Version"' in text and "2012-10-17" not in text and "2008-10-17" not in text:
        return "The policy must contain a valid version string"
    if '"Effect"' not in text:
        return "Missing required field Effect"
    return "Missing required field Statement" if '"Statement"' not in text else said


def _malformed(sentence: str) -> ServiceError:
    return ServiceError("MalformedPolicy", sentence)


def _blocked(ctx: Context, action: str, bucket: Bucket, why: str) -> ServiceError:
    who = ctx.principal.arn or "anonymous"
    sentence = f'User: {who} is not authorized to perform: s3:{action} on resource: "{bucket.arn}" because {why}.'
    return ServiceError("AccessDenied", sentence, status=403)
