"""What Lambda may do for a function is what the function's role may do, asked of IAM itself."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

from cosset.identity.role_rights import RoleRights
from cosset.services.iam.service import iam_service
from support.caller import Caller
from support.enforcement import make_authorizer
from support.identity import Iam, open_iam
from support.role import LAMBDA_TRUST


def in_iam(folder: Path, test: Callable[[Iam, Caller, RoleRights], Awaitable[None]], *, dev: bool = False) -> None:
    async def main() -> None:
        async with open_iam(folder, dev=dev) as iam:
            known = await iam.directory.find_key(iam.administrator.access_key_id, None)
            assert known is not None
            call = Caller(iam_service(iam.store, iam.clock), known.principal)
            rights = RoleRights(iam.directory.sessions, iam.directory, make_authorizer(iam, dev=dev))
            await test(iam, call, rights)

    asyncio.run(main())


async def make_role(call: Caller, name: str, trust: str, action: str, resource: str) -> str:
    role = await call("CreateRole", RoleName=name, AssumeRolePolicyDocument=trust)
    statement = {"Effect": "Allow", "Action": action, "Resource": resource}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    await call("PutRolePolicy", RoleName=name, PolicyName="p", PolicyDocument=document)
    return str(role["Role"]["Arn"])


def test_a_role_may_do_what_its_policies_allow_and_no_more(tmp_path: Path) -> None:
    async def test(iam: Iam, call: Caller, rights: RoleRights) -> None:
        source, target, other = (
            f"arn:aws:lambda:us-east-1:{iam.directory.account}:function:{name}" for name in ("f", "g", "h")
        )
        role = await make_role(call, "r", LAMBDA_TRUST, "lambda:InvokeFunction", target)
        assert await rights.may(role, source, "lambda:InvokeFunction", target)
        assert not await rights.may(role, source, "lambda:InvokeFunction", other)
        assert not await rights.may(role, source, "lambda:DeleteFunction", target)
        await call("DeleteRolePolicy", RoleName="r", PolicyName="p")
        assert not await rights.may(role, source, "lambda:InvokeFunction", target)

    in_iam(tmp_path, test)


def test_a_role_that_is_gone_or_trusts_somebody_else_may_nothing(tmp_path: Path) -> None:
    async def test(iam: Iam, call: Caller, rights: RoleRights) -> None:
        target = f"arn:aws:lambda:us-east-1:{iam.directory.account}:function:g"
        gone = f"arn:aws:iam::{iam.directory.account}:role/gone"
        trust = LAMBDA_TRUST.replace("lambda.amazonaws.com", "ec2.amazonaws.com")
        stranger = await make_role(call, "stranger", trust, "*", "*")
        for role in (gone, stranger):
            assert not await rights.may(role, target, "lambda:InvokeFunction", target)

    in_iam(tmp_path, test)


def test_in_dev_everything_is_let_through_as_at_the_door(tmp_path: Path) -> None:
    async def test(iam: Iam, call: Caller, rights: RoleRights) -> None:
        target = f"arn:aws:lambda:us-east-1:{iam.directory.account}:function:g"
        assert await rights.may(
            f"arn:aws:iam::{iam.directory.account}:role/any", target, "lambda:InvokeFunction", target
        )

    in_iam(tmp_path, test, dev=True)
