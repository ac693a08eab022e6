"""IAM's entities as its API shows them. Policy documents travel URL-encoded (RFC 3986); times are whole seconds."""

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from cosset.services.iam.errors import invalid_input, limit_exceeded
from cosset.services.iam.records import Group, Role, User

_TAG_LIMIT = 50


def document_text(document: str) -> str:
    return quote(document, safe="-_.~")


def role_as_created(role: Role) -> dict[str, Any]:
    """What CreateRole shows: no description, no duration, no boundary (recorded: test_role_with_path_lifecycle)."""
    shown: dict[str, Any] = {
        "Path": role.path,
        "RoleName": role.name,
        "RoleId": role.unique_id,
        "Arn": role.arn,
        "CreateDate": role.created_ms // 1000,
        "AssumeRolePolicyDocument": document_text(role.trust_policy),
    }
    return shown


def role_in_list(role: Role) -> dict[str, Any]:
    """What ListRoles shows: no tags, boundary or last use (recorded: test_list_roles_with_permission_boundary)."""
    shown = role_as_created(role) | {"MaxSessionDuration": role.max_session_s}
    if role.description is not None:
        shown["Description"] = role.description
    return shown


def role_in_full(role: Role, last_used: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What GetRole shows. RoleLastUsed is there and empty until a use is recorded."""
    shown = role_in_list(role) | {"RoleLastUsed": last_used or {}} | boundary(role.permissions_boundary)
    return shown | tags_shown(role.tags)


def user_in_list(user: User) -> dict[str, Any]:
    return {
        "Path": user.path,
        "UserName": user.name,
        "UserId": user.unique_id,
        "Arn": user.arn,
        "CreateDate": user.created_ms // 1000,
    }


def user_in_full(user: User) -> dict[str, Any]:
    return user_in_list(user) | boundary(user.permissions_boundary) | tags_shown(user.tags)


def group_shown(group: Group) -> dict[str, Any]:
    return {
        "Path": group.path,
        "GroupName": group.name,
        "GroupId": group.unique_id,
        "Arn": group.arn,
        "CreateDate": group.created_ms // 1000,
    }


def boundary(arn: str | None) -> dict[str, Any]:
    if arn is None:
        return {}
    return {"PermissionsBoundary": {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": arn}}


def tags_shown(tags: Mapping[str, str]) -> dict[str, Any]:
    """`Tags`, or nothing at all without any."""
    return {"Tags": tag_list(tags)} if tags else {}


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def read_tags(tags: Iterable[Mapping[str, str]], existing: Mapping[str, str] | None = None) -> dict[str, str]:
    """Tags of a request, laid over those that exist. Keys are the same without regard to case, as in IAM.

    Raises:
        ServiceError: InvalidInput for a key given twice, LimitExceeded beyond fifty.
    """
    merged = dict(existing or {})
    seen: set[str] = set()
    for tag in tags:
        key = tag["Key"]
        if key.lower() in seen:
            raise invalid_input("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
        seen.add(key.lower())
        merged = {each: value for each, value in merged.items() if each.lower() != key.lower()}
        merged[key] = tag["Value"]
    if len(merged) > _TAG_LIMIT:
        raise limit_exceeded(f"The number of tags has reached the maximum limit of {_TAG_LIMIT}.")
    return merged


def without_tags(tags: Mapping[str, str], keys: Iterable[str]) -> dict[str, str]:
    gone = {key.lower() for key in keys}
    return {key: value for key, value in tags.items() if key.lower() not in gone}
