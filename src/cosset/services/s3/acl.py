"""Access control lists: read from headers or XML, checked, and told to the evaluator as what they allow.

An ACL only ever allows. With ownership `BucketOwnerEnforced` there are none; `IgnorePublicAcls` silences grants to
everyone. Recorded: test_s3_bucket_acl, test_s3_bucket_acl_exceptions.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from cosset.services.s3.errors import access_denied, invalid_argument
from cosset.services.s3.owners import account_of, canonical_id
from cosset.wire.errors import ServiceError

Grant = dict[str, Any]
"""As the wire has it: `{"Grantee": {"Type": ..., "ID" or "URI": ...}, "Permission": ...}`."""

ALL_USERS = "http://acs.amazonaws.com/groups/global/AllUsers"
AUTHENTICATED_USERS = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers"
LOG_DELIVERY = "http://acs.amazonaws.com/groups/s3/LogDelivery"
_GROUPS = frozenset({ALL_USERS, AUTHENTICATED_USERS, LOG_DELIVERY})
_PUBLIC = frozenset({ALL_USERS, AUTHENTICATED_USERS})
PERMISSIONS = frozenset({"FULL_CONTROL", "READ", "WRITE", "READ_ACP", "WRITE_ACP"})
_HEADERS = (
    ("GrantFullControl", "x-amz-grant-full-control", "FULL_CONTROL"),
    ("GrantRead", "x-amz-grant-read", "READ"),
    ("GrantWrite", "x-amz-grant-write", "WRITE"),
    ("GrantReadACP", "x-amz-grant-read-acp", "READ_ACP"),
    ("GrantWriteACP", "x-amz-grant-write-acp", "WRITE_ACP"),
)
_GRANTEE = re.compile(r'\s*(\w+)\s*=\s*(?:"([^"]*)"|([^",]*))\s*', re.ASCII)
_MOST = 100
_CANNED: Mapping[str, tuple[tuple[str, str], ...]] = {
    "private": (),
    "public-read": ((ALL_USERS, "READ"),),
    "public-read-write": ((ALL_USERS, "READ"), (ALL_USERS, "WRITE")),
    "authenticated-read": ((AUTHENTICATED_USERS, "READ"),),
    "log-delivery-write": ((LOG_DELIVERY, "WRITE"), (LOG_DELIVERY, "READ_ACP")),
    "aws-exec-read": (),
}
OWNED = "bucket-owner-full-control"
_OF_OBJECTS = {OWNED: "FULL_CONTROL", "bucket-owner-read": "READ"}


def default_grants(owner: str) -> list[Grant]:
    """The owner alone. `owner` is an account."""
    return [_to_account(owner, "FULL_CONTROL")]


def canned_grants(canned: str, owner: str, bucket_owner: str) -> list[Grant]:
    """Raises ServiceError InvalidArgument, without a sentence as AWS does."""
    grants = default_grants(owner)
    if canned in _OF_OBJECTS:
        return grants if owner == bucket_owner else [*grants, _to_account(bucket_owner, _OF_OBJECTS[canned])]
    if canned not in _CANNED:
        raise invalid_argument("", "x-amz-acl", canned)
    return grants + [{"Grantee": {"Type": "Group", "URI": uri}, "Permission": each} for uri, each in _CANNED[canned]]


def header_grants(params: Mapping[str, Any]) -> list[Grant] | None:
    """None: the request has no such headers. Raises ServiceError."""
    given = [(name, permission, params[key]) for key, name, permission in _HEADERS if params.get(key) is not None]
    if not given:
        return None
    grants = [
        {"Grantee": _read_grantee(name, text), "Permission": permission}
        for name, permission, header in given
        for text in header.split(",")
    ]
    _check_count(grants)
    return grants


def grants_of(params: Mapping[str, Any], owner: str, bucket_owner: str) -> list[Grant] | None:
    """What the headers of a request say, canned or one by one; None where they say nothing. Raises ServiceError."""
    canned, grants = params.get("ACL"), header_grants(params)
    if canned is not None and grants is not None:
        raise ServiceError("InvalidRequest", "Specifying both Canned ACLs and Header Grants is not allowed")
    return grants if canned is None else canned_grants(canned, owner, bucket_owner)


def document_grants(document: Mapping[str, Any], whose: str) -> list[Grant]:
    """What an AccessControlPolicy says, of what is that account's and stays so.

    Raises ServiceError MalformedACLError, InvalidArgument, AccessDenied.
    """
    owner, grants = document.get("Owner"), document.get("Grants")
    if owner is None or owner.get("ID") is None or grants is None:
        raise _malformed()
    if account_of(owner["ID"]) is None:
        raise invalid_argument("Invalid id", "CanonicalUser/ID", owner["ID"])
    if owner["ID"] != canonical_id(whose):
        raise access_denied()
    checked = [_check_grant(grant) for grant in grants]
    _check_count(checked)
    return checked


def put_grants(params: Mapping[str, Any], owner: str, bucket_owner: str) -> list[Grant]:
    """What PutBucketAcl and PutObjectAcl are to set. Raises ServiceError."""
    document = params.get("AccessControlPolicy")
    grants = grants_of(params, owner, bucket_owner)
    if document is not None:
        if grants is not None:
            raise ServiceError("UnexpectedContent", "This request does not support content")
        return document_grants(document, owner)
    if grants is None:
        fields = {"MissingHeaderName": "x-amz-acl"}
        raise ServiceError("MissingSecurityHeader", "Your request was missing a required header", fields=fields)
    return grants


def is_public(grants: Sequence[Grant]) -> bool:
    """Does it let in anybody, or anybody with an account?"""
    return any(grant["Grantee"].get("URI") in _PUBLIC for grant in grants)


def is_private(grants: Sequence[Grant], owner: str) -> bool:
    """Does it say no more than that the owner may do everything?"""
    return list(grants) == default_grants(owner)


def allowing(
    grants: Sequence[Grant],
    actions: Mapping[str, Sequence[str]],
    *,
    ignores_public: bool,
    where: Mapping[str, str] | None = None,
) -> list[Any]:
    """The statements of a policy that says what the grants say; `actions` by permission, `where` on which condition."""
    statements = []
    for grant in grants:
        allowed = actions.get(grant["Permission"], ())
        principal = _principal(grant["Grantee"])
        if not allowed or principal is None or (ignores_public and grant["Grantee"].get("URI") in _PUBLIC):
            continue
        statement = {"Effect": "Allow", "Action": list(allowed), "Resource": "*", **principal}
        if where:
            equals = (statement.get("Condition") or {}).get("StringEquals", {})
            statement["Condition"] = {"StringEquals": {**equals, **where}}
        statements.append(statement)
    return statements


def _principal(grantee: Mapping[str, Any]) -> dict[str, Any] | None:
    uri = grantee.get("URI")
    if uri == ALL_USERS:
        return {"Principal": "*"}
    if uri == AUTHENTICATED_USERS:
        known = ["Account", "User", "AssumedRole", "FederatedUser"]
        return {"Principal": "*", "Condition": {"StringEquals": {"aws:PrincipalType": known}}}
    if uri is not None:
        return {"Principal": {"Service": "logging.s3.amazonaws.com"}}
    account = account_of(grantee["ID"])
    if account == "":
        return {"Principal": "*", "Condition": {"StringEquals": {"aws:PrincipalType": "Anonymous"}}}
    return {"Principal": {"AWS": account}} if account else None


def _to_account(account: str, permission: str) -> Grant:
    return {"Grantee": {"ID": canonical_id(account), "Type": "CanonicalUser"}, "Permission": permission}


def _read_grantee(header: str, text: str) -> dict[str, str]:
    found = _GRANTEE.fullmatch(text)
    kind = found[1].lower() if found is not None else ""
    if found is None or kind not in ("id", "uri", "emailaddress"):
        raise invalid_argument("Argument format not recognized", header, text.strip())
    value = found[2] if found[2] is not None else found[3].strip()
    if kind == "emailaddress":
        raise _no_such_mail(value)
    if kind == "uri":
        if value not in _GROUPS:
            raise invalid_argument("Invalid group uri", "uri", value)
        return {"Type": "Group", "URI": value}
    if account_of(value) is None:
        raise invalid_argument("Invalid id", "id", value)
    return {"Type": "CanonicalUser", "ID": value}


def _check_grant(grant: Mapping[str, Any]) -> Grant:
    grantee = grant.get("Grantee") or {}
    kind, permission = grantee.get("Type"), grant.get("Permission")
    if permission not in PERMISSIONS:
        raise _malformed()
    if kind == "Group" and grantee.get("URI") is not None:
        if grantee["URI"] not in _GROUPS:
            raise invalid_argument("Invalid group uri", "Group/URI", grantee["URI"])
        return {"Grantee": {"Type": "Group", "URI": grantee["URI"]}, "Permission": permission}
    if kind == "AmazonCustomerByEmail" and grantee.get("EmailAddress") is not None:
        raise _no_such_mail(grantee["EmailAddress"])
    if kind != "CanonicalUser" or grantee.get("ID") is None:
        raise _malformed()
    if account_of(grantee["ID"]) is None:
        raise invalid_argument("Invalid id", "CanonicalUser/ID", grantee["ID"])
    return {"Grantee": {"Type": "CanonicalUser", "ID": grantee["ID"]}, "Permission": permission}


def _check_count(grants: Sequence[Grant]) -> None:
    if len(grants) > _MOST:
        raise _malformed()


def _no_such_mail(address: str) -> ServiceError:
    """Accounts have no address here that could be found."""
    sentence = "The e-mail address you provided does not match any account on record."
    return ServiceError("UnresolvableGrantByEmailAddress", sentence, fields={"EmailAddress": address})


def _malformed() -> ServiceError:
    sentence = "The XML you provided was not well-formed or did not validate against our published schema"
    return ServiceError("MalformedACLError", sentence)
