"""What IAM's own operations need of IAM: this action, on the user, role or policy that the call names."""

from collections.abc import Sequence

from cosset.identity.ports import Requirement
from cosset.services.operation import Context, Params, Requirements


def on_role(action: str) -> Requirements:
    def requirements(ctx: Context, params: Params) -> Sequence[Requirement]:
        return [Requirement(f"iam:{action}", f"arn:aws:iam::{ctx.account}:role/{params.get('RoleName', '*')}")]

    return requirements


def on_new_role(action: str) -> Requirements:
    def requirements(ctx: Context, params: Params) -> Sequence[Requirement]:
        path = params.get("Path", "/")
        return [Requirement(f"iam:{action}", f"arn:aws:iam::{ctx.account}:role{path}{params['RoleName']}")]

    return requirements


def on_user(action: str) -> Requirements:
    """On the user that the call names, or on the caller where it names none."""

    def requirements(ctx: Context, params: Params) -> Sequence[Requirement]:
        name = params.get("UserName")
        return [Requirement(f"iam:{action}", f"arn:aws:iam::{ctx.account}:user/{name}" if name else ctx.principal.arn)]

    return requirements


def on_new_policy(action: str) -> Requirements:
    def requirements(ctx: Context, params: Params) -> Sequence[Requirement]:
        path = params.get("Path", "/")
        return [Requirement(f"iam:{action}", f"arn:aws:iam::{ctx.account}:policy{path}{params['PolicyName']}")]

    return requirements


def on_policy(action: str) -> Requirements:
    def requirements(ctx: Context, params: Params) -> Sequence[Requirement]:
        return [Requirement(f"iam:{action}", str(params["PolicyArn"]))]

    return requirements


def on_everything(action: str, resource: str = "*") -> Requirements:
    """For lists: IAM names the whole kind (`role/`), or `*`."""

    def requirements(ctx: Context, params: Params) -> Sequence[Requirement]:
        named = resource if resource == "*" else f"arn:aws:iam::{ctx.account}:{resource}"
        return [Requirement(f"iam:{action}", named)]

    return requirements
