"""What the policy evaluator asks of buckets: whose one is, its policy, and what its ACL and its objects' ACLs allow.

An ACL is told as a policy that only allows. Where the bucket enforces its owner there are no ACLs; `IgnorePublicAcls`
silences grants to everyone, and `RestrictPublicBuckets` denies all other accounts while the policy is public.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cosset.identity.evaluation.context import ContextValue
from cosset.identity.policy_document import parse_policy
from cosset.identity.policy_sources import PolicyText, ResourceFacts, tag_context
from cosset.services.s3.account_blocks import blocks_of
from cosset.services.s3.acl import Grant, allowing, default_grants
from cosset.services.s3.bucket_access import ENFORCED, acl_of, ownership_of
from cosset.services.s3.bucket_book import find_bucket, read_setting
from cosset.services.s3.bucket_tags import deciding_tags
from cosset.services.s3.kinds import Kind
from cosset.services.s3.object_requirements import NEW_OBJECT, UPLOAD
from cosset.services.s3.owners import account_of
from cosset.services.s3.places import CHANGES, REQUEST_PAYER
from cosset.services.s3.publicness import is_public
from cosset.services.s3.uploads import find_upload
from cosset.services.s3.versions import find_latest, find_version
from cosset.store.database import Store
from cosset.store.kept import Kept
from cosset.store.transaction import Transaction

_ARN = "arn:aws:s3:::"
_KEPT = 1_000
"""Buckets whose facts are kept."""
_MAKES = frozenset({"s3:createbucket"})
_TAG_KEY = "s3:existingobjecttag/"
_ENCRYPTION_KEY = "s3:x-amz-server-side-encryption"

_READ = ("s3:ListBucket", "s3:ListBucketVersions", "s3:ListBucketMultipartUploads")
_WRITE = ("s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts")
_ON_BUCKETS: Mapping[str, Sequence[str]] = {
    "READ": _READ,
    "WRITE": _WRITE,
    "READ_ACP": ("s3:GetBucketAcl",),
    "WRITE_ACP": ("s3:PutBucketAcl",),
    "FULL_CONTROL": (*_READ, *_WRITE, "s3:GetBucketAcl", "s3:PutBucketAcl"),
}
_ON_NEW_OBJECTS: Mapping[str, Sequence[str]] = dict.fromkeys(("WRITE", "FULL_CONTROL"), ("s3:PutObjectAcl",))
"""Who may write to a bucket may say whose the new object is to be, though of other objects nothing."""
_READ_OBJECT = ("s3:GetObject", "s3:GetObjectVersion", "s3:GetObjectAttributes", "s3:GetObjectVersionAttributes")
_READ_OBJECT_ACL = ("s3:GetObjectAcl", "s3:GetObjectVersionAcl")
_WRITE_OBJECT_ACL = ("s3:PutObjectAcl", "s3:PutObjectVersionAcl")
_ON_OBJECTS: Mapping[str, Sequence[str]] = {
    "READ": _READ_OBJECT,
    "READ_ACP": _READ_OBJECT_ACL,
    "WRITE_ACP": _WRITE_OBJECT_ACL,
    "FULL_CONTROL": (*_READ_OBJECT, *_READ_OBJECT_ACL, *_WRITE_OBJECT_ACL),
}
_BY_OBJECT_ACL = frozenset(action.lower() for action in _ON_OBJECTS["FULL_CONTROL"])


@dataclass(frozen=True, slots=True)
class _Known:
    """A bucket as the evaluator sees it."""

    account: str
    policies: tuple[PolicyText, ...]
    has_acls: bool
    ignores_public: bool
    tags: Mapping[str, str]
    """As condition keys."""


class BucketResources:
    """Implements identity's `ResourceSource` for s3. What is known of a bucket is kept until it changes."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known = Kept[str, _Known | None](lambda name: store.read(lambda tx: _read(tx, name)), _KEPT)
        self._known.follow(store, CHANGES)

    async def facts_of(self, action: str, resource: str) -> ResourceFacts | None:
        """None: there is no such bucket, or it is about to be made."""
        if not resource.startswith(_ARN) or action.lower() in _MAKES:
            return None
        name, _, key = resource.removeprefix(_ARN).partition("/")
        known = await self._known.get(name)
        if known is None:
            return None
        wants_acl = known.has_acls and action.lower() in _BY_OBJECT_ACL
        detail = ObjectDetail(self._store, name, key, known, wants_acl=wants_acl) if key else None
        context = {"s3:ResourceAccount": known.account, **known.tags}
        return ResourceFacts(known.policies, context, account=known.account, detail=detail)


class ObjectDetail:
    """Implements identity's `ResourceDetail`: the tags of an object, for policies that ask for them, its ACL, and how
    the upload that it is made of is encrypted."""

    def __init__(self, store: Store, bucket: str, key: str, known: _Known, *, wants_acl: bool) -> None:
        self._store = store
        self._bucket = bucket
        self._key = key
        self._known = known
        self._wants_acl = wants_acl

    def is_wanted(self, keys: frozenset[str]) -> bool:
        return self._wants_acl or any(key.startswith((_TAG_KEY, _ENCRYPTION_KEY)) for key in keys)

    async def add_to(self, facts: ResourceFacts, context: Mapping[str, ContextValue]) -> ResourceFacts:
        upload = context.get(UPLOAD)
        if upload is not None:
            said = await self._store.read(lambda tx: _encryption(tx, self._bucket, self._key, str(upload)))
            facts = replace(facts, context={**facts.context, **said})
        version = context.get("s3:VersionId")
        found = await self._store.read(lambda tx: self._find(tx, None if version is None else str(version)))
        if found is None:
            return facts
        tags = {f"s3:ExistingObjectTag/{name}": value for name, value in (found.get("tags") or {}).items()}
        policies = facts.policies
        if self._wants_acl:
            owner = str(found.get("owner", self._known.account))
            if owner != self._known.account:
                # What its bucket's owner allows is not about it; what he denies is.
                policies = tuple(_denials(policies))
                facts = replace(facts, account=owner)
            grants = found.get("acl") or default_grants(owner)
            policies += tuple(_told("the object's ACL", grants, _ON_OBJECTS, self._known.ignores_public))
        return replace(facts, policies=policies, context={**facts.context, **tags})

    def _find(self, tx: Transaction, version: str | None) -> Mapping[str, Any] | None:
        if version is None:
            found = find_latest(tx, self._bucket, self._key)
        else:
            found = find_version(tx, self._bucket, self._key, version)
        return None if found is None else found.facts


def _encryption(tx: Transaction, bucket: str, key: str, upload_id: str) -> dict[str, str]:
    upload = find_upload(tx, bucket, key, upload_id)
    if upload is None:
        return {}
    kept: Mapping[str, Any] = upload.object_facts.get("encryption", {})
    if "customer" in kept:
        return {f"{_ENCRYPTION_KEY}-customer-algorithm": "AES256"}
    said = {_ENCRYPTION_KEY: str(kept.get("ServerSideEncryption", "AES256"))}
    return said | ({f"{_ENCRYPTION_KEY}-aws-kms-key-id": kept["SSEKMSKeyId"]} if "SSEKMSKeyId" in kept else {})


def _read(tx: Transaction, name: str) -> _Known | None:
    bucket = find_bucket(tx, name)
    if bucket is None:
        return None
    block = blocks_of(tx, bucket)
    text = _evaluable(read_setting(tx, name, Kind.POLICY))
    has_acls = ownership_of(tx, name) != ENFORCED
    ignores_public = block["IgnorePublicAcls"]
    policies: list[PolicyText] = []
    if text is not None:
        policies.append(PolicyText("the bucket's policy", text))
        if block["RestrictPublicBuckets"] and is_public(parse_policy(text)):
            policies.append(PolicyText("RestrictPublicBuckets", _only_account(bucket.account)))
    if read_setting(tx, name, Kind.REQUEST_PAYMENT) == "Requester":
        policies.append(PolicyText("the bucket's request payment", _only_account(bucket.account, payer="requester")))
    if has_acls:
        grants = acl_of(tx, bucket)
        policies += _told("the bucket's ACL", grants, _ON_BUCKETS, ignores_public)
        new = allowing(grants, _ON_NEW_OBJECTS, ignores_public=ignores_public, where={NEW_OBJECT: "true"})
        policies += [_policy("the bucket's ACL", new)] if new else []
    found = deciding_tags(tx, name)
    tags = {**tag_context(found), **{f"s3:BucketTag/{key}": value for key, value in found.items()}}
    return _Known(bucket.account, tuple(policies), has_acls, ignores_public, tags)


def _evaluable(text: str | None) -> str | None:
    """The policy with accounts for the canonical ids that it names."""
    if text is None or '"CanonicalUser"' not in text:
        return text
    document = json.loads(text)
    found = document["Statement"]
    for statement in found if isinstance(found, list) else [found]:
        for name in ("Principal", "NotPrincipal"):
            principals = statement.get(name)
            if isinstance(principals, dict) and "CanonicalUser" in principals:
                statement[name] = _with_accounts(principals)
    return json.dumps(document)


def _with_accounts(principals: Mapping[str, Any]) -> dict[str, Any]:
    kept = {kind: values for kind, values in principals.items() if kind != "CanonicalUser"}
    given, named = principals["CanonicalUser"], kept.get("AWS", [])
    accounts = [account_of(each) for each in (given if isinstance(given, list) else [given])]
    return {**kept, "AWS": [*(named if isinstance(named, list) else [named]), *(each for each in accounts if each)]}


def _told(
    name: str, grants: Sequence[Grant], actions: Mapping[str, Sequence[str]], ignores_public: bool
) -> list[PolicyText]:
    statements = allowing(grants, actions, ignores_public=ignores_public)
    return [_policy(name, statements)] if statements else []


def _denials(policies: Sequence[PolicyText]) -> Iterator[PolicyText]:
    for policy in policies:
        document = json.loads(policy.text)
        found = document["Statement"]
        statements = [each for each in (found if isinstance(found, list) else [found]) if each["Effect"] == "Deny"]
        if statements:
            yield PolicyText(policy.name, json.dumps({**document, "Statement": statements}))


def _only_account(account: str, payer: str | None = None) -> str:
    """All others are kept out, but AWS's services, and those who say that they pay."""
    others = {"aws:PrincipalAccount": account} | ({REQUEST_PAYER: payer} if payer is not None else {})
    statement: dict[str, Any] = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": "*",
        "Condition": {
            "StringNotEquals": others,
            "Bool": {"aws:PrincipalIsAWSService": "false"},
        },
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def _policy(name: str, statements: Sequence[Any]) -> PolicyText:
    return PolicyText(name, json.dumps({"Version": "2012-10-17", "Statement": list(statements)}))
