"""What IAM keeps decides calls: users, roles, boundaries, sessions, trust, tags."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cosset.identity.ports import Requirement
from cosset.identity.principal import Principal, PrincipalKind, SessionGrant
from cosset.services.iam.mfa_devices import MfaBook
from cosset.services.iam.oidc_book import OidcBook
from cosset.services.sts.service import sts_service
from support.enforcement import Deciding, Guarded, allow, document, make_authorizer, refusal_of, run_deciding
from support.identity import open_iam

FULL_ACCESS = "arn:aws:iam::aws:policy/AWSLambda_FullAccess"
OTHER = "999999999999"


class Bench(Deciding):
    async def user(self, name: str, *policies: str, **params: Any) -> Principal:
        """A new user with these embedded policies."""
        made = (await self.call("CreateUser", UserName=name, **params))["User"]
        for at, text in enumerate(policies):
            await self.call("PutUserPolicy", UserName=name, PolicyName=f"p{at}", PolicyDocument=text)
        return Principal(PrincipalKind.USER, self.account, made["Arn"], made["UserId"])

    async def role(self, name: str, trusted: Any, *policies: str, **params: Any) -> str:
        trust = document({"Effect": "Allow", "Principal": trusted, "Action": ["sts:AssumeRole", "sts:TagSession"]})
        made = await self.call("CreateRole", RoleName=name, AssumeRolePolicyDocument=trust, **params)
        for at, text in enumerate(policies):
            await self.call("PutRolePolicy", RoleName=name, PolicyName=f"p{at}", PolicyDocument=text)
        return str(made["Role"]["Arn"])

    async def session(self, role_arn: str, **grant: Any) -> Principal:
        """A session of the role, as its key is found at the door."""
        found = await self.iam.directory.role_for_principal(role_arn, self.administrator)
        assert found is not None
        made = await self.iam.directory.sessions.issue_for_role(found[0], "s1", 900, SessionGrant(**grant))
        known = await self.iam.directory.find_key(made.access_key_id, made.session_token)
        assert known is not None
        return known.principal

    async def refusal(self, principal: Principal, *requirements: Any) -> str | None:
        return await refusal_of(self.authorizer, principal, *requirements)

    def arn(self, function: str) -> str:
        return f"arn:aws:lambda:us-east-1:{self.account}:function:{function}"


Run = Callable[[Callable[[Bench], Awaitable[None]]], None]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return run_deciding(tmp_path, Bench)


def test_the_administrator_may_do_everything_here_and_nothing_elsewhere(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        for resource in ("*", bench.arn("f"), "arn:aws:s3:::b", "arn:aws:iam::aws:policy/AdministratorAccess"):
            assert await bench.refusal(bench.administrator, ("x:Y", resource)) is None
        there = bench.arn("f").replace(bench.account, OTHER)
        assert str(await bench.refusal(bench.administrator, ("lambda:GetFunction", there))).endswith(
            "because no resource-based policy allows the lambda:GetFunction action"
        )

    run(scenario)


def test_a_user_of_lambda(run: Run) -> None:
    """AWSLambda_FullAccess lets a role be passed to Lambda, and to nobody else."""

    async def scenario(bench: Bench) -> None:
        ada = await bench.user("ada")
        create = ("lambda:CreateFunction", bench.arn("f"))
        role = f"arn:aws:iam::{bench.account}:role/cosset-basic"
        passing = Requirement("iam:PassRole", role, {"iam:PassedToService": "lambda.amazonaws.com"})
        assert await bench.refusal(ada, create) is not None
        await bench.call("AttachUserPolicy", UserName="ada", PolicyArn=FULL_ACCESS)
        assert await bench.refusal(ada, create, passing, ("lambda:InvokeFunction", bench.arn("f:live"))) is None
        to_ec2 = replace(passing, context={"iam:PassedToService": "ec2.amazonaws.com"})
        assert await bench.refusal(ada, to_ec2) is not None
        assert await bench.refusal(ada, ("iam:CreateUser", f"arn:aws:iam::{bench.account}:user/x")) is not None
        await bench.call("DetachUserPolicy", UserName="ada", PolicyArn=FULL_ACCESS)
        assert await bench.refusal(ada, create) is not None

    run(scenario)


def test_every_change_is_in_force_at_the_next_call(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        ada = await bench.user("ada", document(allow("s3:*")))
        get = ("s3:GetObject", "arn:aws:s3:::b/k")
        assert await bench.refusal(ada, get) is None
        denies = document({"Effect": "Deny", "Action": "s3:*", "Resource": "*"})
        await bench.call("PutUserPolicy", UserName="ada", PolicyName="no", PolicyDocument=denies)
        assert str(await bench.refusal(ada, get)).endswith("with an explicit deny in an identity-based policy")
        await bench.call("DeleteUserPolicy", UserName="ada", PolicyName="no")
        assert await bench.refusal(ada, get) is None
        made = await bench.call("CreatePolicy", PolicyName="limit", PolicyDocument=document(allow("sqs:*")))
        limit = made["Policy"]["Arn"]
        await bench.call("PutUserPermissionsBoundary", UserName="ada", PermissionsBoundary=limit)
        assert str(await bench.refusal(ada, get)).endswith(
            "because no permissions boundary allows the s3:GetObject action"
        )
        wider = document(allow(["sqs:*", "s3:Get*"]))
        await bench.call("CreatePolicyVersion", PolicyArn=limit, PolicyDocument=wider, SetAsDefault=True)
        assert await bench.refusal(ada, get) is None
        await bench.call("SetDefaultPolicyVersion", PolicyArn=limit, VersionId="v1")
        assert await bench.refusal(ada, get) is not None
        await bench.call("DeleteUserPermissionsBoundary", UserName="ada")
        assert await bench.refusal(ada, get) is None

    run(scenario)


def test_groups(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        ada = await bench.user("ada")
        await bench.call("CreateGroup", GroupName="team")
        await bench.call("PutGroupPolicy", GroupName="team", PolicyName="p", PolicyDocument=document(allow("s3:Get*")))
        await bench.call("AttachGroupPolicy", GroupName="team", PolicyArn=FULL_ACCESS)
        gets, invokes = ("s3:GetObject", "arn:aws:s3:::b/k"), ("lambda:InvokeFunction", bench.arn("f"))
        assert await bench.refusal(ada, gets) is not None
        await bench.call("AddUserToGroup", GroupName="team", UserName="ada")
        assert await bench.refusal(ada, gets, invokes) is None
        await bench.call("DetachGroupPolicy", GroupName="team", PolicyArn=FULL_ACCESS)
        assert await bench.refusal(ada, invokes) is not None
        await bench.call("RemoveUserFromGroup", GroupName="team", UserName="ada")
        assert await bench.refusal(ada, gets) is not None

    run(scenario)


def test_moving_a_user_needs_both_places(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        users = f"arn:aws:iam::{bench.account}:user"
        ada = await bench.user("ada", document(allow(["iam:UpdateUser", "iam:CreateUser"], f"{users}/dev/*")))
        await bench.user("bob", Path="/dev/")
        guarded = Guarded(bench.authorizer, bench.call.service, ada)
        assert await guarded.refusal("UpdateUser", UserName="bob", NewUserName="rob", NewPath="/dev/") is None
        for path in ("/", "/admin/"):
            assert await guarded.refusal("UpdateUser", UserName="bob", NewPath=path) is not None
            assert await guarded.refusal("CreateUser", UserName="bob", Path=path) is not None
        assert await guarded.refusal("CreateUser", UserName="carl", Path="/dev/") is None

    run(scenario)


def test_delegated_administration(run: Run) -> None:
    """Roles may be made with the boundary only, and given no policies but one."""

    async def scenario(bench: Bench) -> None:
        limit = "arn:aws:iam::aws:policy/AWSLambda_FullAccess"
        basic = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
        ada = await bench.user(
            "ada",
            document(
                allow("iam:CreateRole", Condition={"StringEquals": {"iam:PermissionsBoundary": limit}}),
                allow(
                    "iam:AttachRolePolicy",
                    Condition={
                        "ArnEquals": {"iam:PolicyARN": basic},
                        "StringEquals": {"iam:PermissionsBoundary": limit},
                    },
                ),
            ),
        )
        guarded = Guarded(bench.authorizer, bench.call.service, ada)
        create = {"RoleName": "new", "AssumeRolePolicyDocument": "{}"}
        assert await guarded.refusal("CreateRole", **create) is not None
        assert await guarded.refusal("CreateRole", **create, PermissionsBoundary=limit) is None
        assert await guarded.refusal("CreateRole", **create, PermissionsBoundary=basic) is not None
        await bench.role("bound", {"AWS": bench.account}, PermissionsBoundary=limit)
        await bench.role("free", {"AWS": bench.account})
        assert await guarded.refusal("AttachRolePolicy", RoleName="bound", PolicyArn=basic) is None
        assert await guarded.refusal("AttachRolePolicy", RoleName="bound", PolicyArn=limit) is not None
        assert await guarded.refusal("AttachRolePolicy", RoleName="free", PolicyArn=basic) is not None

    run(scenario)


def test_tags_of_users_and_roles_decide_and_change(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        same_team = {"StringEquals": {"iam:ResourceTag/team": "${aws:PrincipalTag/team}"}}
        ada = await bench.user("ada", document(allow("iam:GetRole", Condition=same_team)))
        await bench.role("worker", {"AWS": bench.account}, Path="/team/")
        guarded = Guarded(bench.authorizer, bench.call.service, ada)
        assert await guarded.refusal("GetRole", RoleName="worker") is not None
        await bench.call("TagUser", UserName="ada", Tags=[{"Key": "team", "Value": "blue"}])
        await bench.call("TagRole", RoleName="worker", Tags=[{"Key": "team", "Value": "red"}])
        assert await guarded.refusal("GetRole", RoleName="worker") is not None
        await bench.call("TagRole", RoleName="worker", Tags=[{"Key": "team", "Value": "blue"}])
        assert await guarded.refusal("GetRole", RoleName="worker") is None
        await bench.call("UntagRole", RoleName="worker", TagKeys=["team"])
        assert await guarded.refusal("GetRole", RoleName="worker") is not None

    run(scenario)


def test_paths_count_though_calls_name_none(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        ada = await bench.user("ada", document(allow("iam:GetRole", f"arn:aws:iam::{bench.account}:role/team/*")))
        await bench.role("ours", {"AWS": bench.account}, Path="/team/")
        await bench.role("theirs", {"AWS": bench.account})
        guarded = Guarded(bench.authorizer, bench.call.service, ada)
        assert await guarded.refusal("GetRole", RoleName="ours") is None
        assert await guarded.refusal("GetRole", RoleName="theirs") is not None
        # PassRole takes the ARN as it is said: another role's path opens nothing.
        passing = ("iam:PassRole", f"arn:aws:iam::{bench.account}:role/team/theirs")
        assert await bench.refusal(ada, passing) is not None

    run(scenario)


def test_a_session_may_what_its_role_may(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        role = await bench.role("worker", {"AWS": bench.account}, document(allow("s3:*")))
        session = await bench.session(role)
        get = ("s3:GetObject", "arn:aws:s3:::b/k")
        assert await bench.refusal(session, get) is None
        assert await bench.refusal(session, ("sqs:SendMessage", "*")) is not None
        narrowed = await bench.session(role, policies=(document(allow("s3:List*"), allow("sqs:*")),))
        assert str(await bench.refusal(narrowed, get)).endswith(
            "because no session policy allows the s3:GetObject action"
        )
        assert await bench.refusal(narrowed, ("s3:ListBucket", "arn:aws:s3:::b")) is None
        # A session policy grants nothing.
        assert await bench.refusal(narrowed, ("sqs:SendMessage", "*")) is not None
        by_arn = await bench.session(role, policy_arns=("arn:aws:iam::aws:policy/AdministratorAccess",))
        assert await bench.refusal(by_arn, get) is None

    run(scenario)


def test_tags_of_a_session_are_tags_of_the_caller(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        own = document(allow("s3:*", "arn:aws:s3:::b/${aws:PrincipalTag/team}/*"))
        role = await bench.role("worker", {"AWS": bench.account}, own)
        blue = await bench.session(role, tags=(("team", "blue"),))
        assert await bench.refusal(blue, ("s3:GetObject", "arn:aws:s3:::b/blue/k")) is None
        assert await bench.refusal(blue, ("s3:GetObject", "arn:aws:s3:::b/red/k")) is not None
        star = await bench.session(role, tags=(("team", "*"),))
        assert await bench.refusal(star, ("s3:GetObject", "arn:aws:s3:::b/red/k")) is not None

    run(scenario)


def test_who_may_take_a_role_on(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        ada = await bench.user("ada")
        by_account = await bench.role("by-account", {"AWS": bench.account})
        by_name = await bench.role("by-name", {"AWS": ada.arn})
        for_lambda = await bench.role("for-lambda", {"Service": "lambda.amazonaws.com"})
        sts = Guarded(
            bench.authorizer,
            sts_service(
                bench.iam.directory,
                bench.iam.directory.sessions,
                OidcBook(bench.iam.store),
                MfaBook(bench.iam.store, bench.iam.clock),
                bench.iam.clock,
            ),
            ada,
        )

        async def may(role_arn: str) -> bool:
            return await sts.refusal("AssumeRole", RoleArn=role_arn, RoleSessionName="s") is None

        assert [await may(each) for each in (by_account, by_name, for_lambda)] == [False, True, False]
        await bench.call(
            "PutUserPolicy", UserName="ada", PolicyName="p", PolicyDocument=document(allow("sts:AssumeRole"))
        )
        assert [await may(each) for each in (by_account, by_name, for_lambda)] == [True, True, False]
        # A role that does not exist is one that trusts nobody.
        assert not await may(f"{by_name}-none")
        assert not await may(by_name.replace("role/", "role/other/"))

    run(scenario)


def test_an_external_id(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        trust = document(
            {
                "Effect": "Allow",
                "Principal": {"AWS": bench.account},
                "Action": "sts:AssumeRole",
                "Condition": {"StringEquals": {"sts:ExternalId": "secret"}},
            }
        )
        role = (await bench.call("CreateRole", RoleName="r", AssumeRolePolicyDocument=trust))["Role"]["Arn"]
        service = sts_service(
            bench.iam.directory,
            bench.iam.directory.sessions,
            OidcBook(bench.iam.store),
            MfaBook(bench.iam.store, bench.iam.clock),
            bench.iam.clock,
        )
        sts = Guarded(bench.authorizer, service, bench.administrator)
        for external_id, may in ((None, False), ("wrong", False), ("secret", True)):
            said = {} if external_id is None else {"ExternalId": external_id}
            assert (await sts.refusal("AssumeRole", RoleArn=role, RoleSessionName="s", **said) is None) is may

    run(scenario)


def test_a_user_that_was_made_again_has_none_of_the_old_rights(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        ada = await bench.user("ada", document(allow()))
        assert await bench.refusal(ada, ("s3:GetObject", "*")) is None
        await bench.call("DeleteUserPolicy", UserName="ada", PolicyName="p0")
        await bench.call("DeleteUser", UserName="ada")
        assert await bench.refusal(ada, ("s3:GetObject", "*")) is not None
        again = await bench.user("ada", document(allow()))
        assert await bench.refusal(again, ("s3:GetObject", "*")) is None
        assert await bench.refusal(ada, ("s3:GetObject", "*")) is not None

    run(scenario)


def test_in_dev_a_role_that_nobody_made_trusts_everyone_and_may_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_iam(tmp_path, dev=True) as iam:
            authorizer = make_authorizer(iam, dev=True)
            known = await iam.directory.find_key("test", None)
            assert known is not None
            role = "arn:aws:iam::123456789012:role/anything"
            assert await refusal_of(authorizer, known.principal, ("sts:AssumeRole", role)) is None
            strict = make_authorizer(iam)
            session = await iam.directory.sessions.issue(role, "s", 900)
            worker = await iam.directory.find_key(session.access_key_id, session.session_token)
            assert worker is not None
            assert await refusal_of(strict, worker.principal, ("s3:GetObject", "*")) is not None
            assert await refusal_of(authorizer, worker.principal, ("s3:GetObject", "*")) is None

    asyncio.run(scenario())


def test_what_a_user_lends(run: Run) -> None:
    """A federated session has its lender's rights within what it was granted, and none by itself."""

    async def scenario(bench: Bench) -> None:
        ada = await bench.user("ada", document(allow("s3:*")))
        lent = Principal(
            PrincipalKind.FEDERATED,
            bench.account,
            f"arn:aws:sts::{bench.account}:federated-user/bob",
            f"{bench.account}:bob",
            is_temporary=True,
            lender_arn=ada.arn,
        )
        get = ("s3:GetObject", "arn:aws:s3:::b/k")
        assert str(await bench.refusal(lent, get)).endswith("because no session policy allows the s3:GetObject action")
        granted = replace(lent, session=SessionGrant(policies=(document(allow(["s3:Get*", "sqs:*"])),)))
        assert await bench.refusal(granted, get) is None
        assert await bench.refusal(granted, ("s3:PutObject", "arn:aws:s3:::b/k")) is not None
        assert await bench.refusal(granted, ("sqs:SendMessage", "*")) is not None

    run(scenario)
