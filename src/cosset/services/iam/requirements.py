"""What IAM's own operations need of IAM: this action, on the user, group, role or policy that the call names.

The condition keys that a call speaks of by itself come along: the policy that is attached, the boundary that is set,
the tags that are given. Refusals call what there is to be already `role worker`, not by its ARN, as IAM's do.
"""

from collections.abc import Sequence

from cosset.identity.evaluation.context import ContextValue
from cosset.identity.ports import Requirement
from cosset.services.operation import Context, Params, Requirements


def on_role(action: str) -> Requirements:
    return _on_named(action, "role", "RoleName")


def on_group(action: str) -> Requirements:
    return _on_named(action, "group", "GroupName")


def on_instance_profile(action: str) -> Requirements:
    return _on_named(action, "instance-profile", "InstanceProfileName")


def on_server_certificate(action: str) -> Requirements:
    return _on_named(action, "server-certificate", "ServerCertificateName")


def on_user(action: str) -> Requirements:
    """On the user that the call names, or on the caller where it names none."""

    def requirements(ctx: Context, params: Params) -> Sequence[Requirement]:
        name = params.get("UserName")
        resource = _arn(ctx, f"user/{name}") if name else ctx.principal.arn
        called = f"user {name}" if name else ""
        return [Requirement(f"iam:{action}", resource, _context(params), called=called)]

    return requirements


def on_new(action: str, kind: str, parameter: str) -> Requirements:
    """On what the call is to make, path and all."""

    def requirements(ctx: Context, params: Params) -> Sequence[Requirement]:
        resource = _arn(ctx, f"{kind}{params.get('Path', '/')}{params[parameter]}")
        return [Requirement(f"iam:{action}", resource, _context(params), is_exact=True)]

    return requirements


def on_renamed(action: str, kind: str, old: str, new: str) -> Requirements:
    """On what is there, and on what it is to be called: AWS asks for both."""

    def requirements(ctx: Context, params: Params) -> Sequence[Requirement]:
        called = f"{kind} {params[old]}"
        needed = [Requirement(f"iam:{action}", _arn(ctx, f"{kind}/{params[old]}"), called=called)]
        if params.get(new) or params.get("NewPath"):
            path, name = params.get("NewPath", "/"), params.get(new, params[old])
            needed.append(Requirement(f"iam:{action}", _arn(ctx, f"{kind}{path}{name}"), is_exact=True))
        return needed

    return requirements


def on_arn(action: str, parameter: str) -> Requirements:
    """On what the call names by its ARN."""

    def requirements(ctx: Context, params: Params) -> Sequence[Requirement]:
        return [Requirement(f"iam:{action}", str(params[parameter]), _context(params))]

    return requirements


def on_policy(action: str) -> Requirements:
    def requirements(ctx: Context, params: Params) -> Sequence[Requirement]:
        arn = str(params["PolicyArn"])
        return [Requirement(f"iam:{action}", arn, _context(params), called=f"policy {arn}")]

    return requirements


def on_everything(action: str, resource: str = "*") -> Requirements:
    """For lists: IAM names the whole kind (`role/`), or `*`."""

    def requirements(ctx: Context, params: Params) -> Sequence[Requirement]:
        return [Requirement(f"iam:{action}", resource if resource == "*" else _arn(ctx, resource))]

    return requirements


def and_passing_the_role(requirements: Requirements) -> Requirements:
    """Besides, iam:PassRole to a machine."""

    def with_pass_role(ctx: Context, params: Params) -> Sequence[Requirement]:
        passed = {"iam:PassedToService": "ec2.amazonaws.com"}
        role = Requirement("iam:PassRole", _arn(ctx, f"role/{params['RoleName']}"), passed)
        return [*requirements(ctx, params), role]

    return with_pass_role


def _on_named(action: str, kind: str, parameter: str) -> Requirements:
    def requirements(ctx: Context, params: Params) -> Sequence[Requirement]:
        name = params[parameter]
        called = f"{kind.replace('-', ' ')} {name}"
        return [Requirement(f"iam:{action}", _arn(ctx, f"{kind}/{name}"), _context(params), called=called)]

    return requirements


def _arn(ctx: Context, resource: str) -> str:
    return f"arn:aws:iam::{ctx.account}:{resource}"


def _context(params: Params) -> dict[str, ContextValue]:
    """The condition keys of IAM's own calls:
    https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsidentityandaccessmanagementiam.html"""
    known: dict[str, ContextValue] = {}
    if "PolicyArn" in params:
        known["iam:PolicyARN"] = params["PolicyArn"]
    if "PermissionsBoundary" in params:
        known["iam:PermissionsBoundary"] = params["PermissionsBoundary"]
    tags = params.get("Tags") or []
    keys = [tag["Key"] for tag in tags] or params.get("TagKeys") or []
    if keys:
        known["aws:TagKeys"] = tuple(keys)
    return known | {f"aws:RequestTag/{tag['Key']}": tag["Value"] for tag in tags}
