"""Ways by which somebody with few rights might get more, each of which must stay shut."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from cosset.identity.principal import Principal, PrincipalKind
from cosset.services.iam.accounts import AccountBook
from cosset.services.iam.mfa_devices import MfaBook
from cosset.services.iam.oidc_book import OidcBook
from cosset.services.iam.service import iam_service
from cosset.services.sts.service import sts_service
from cosset.wire.errors import ServiceError
from support.enforcement import Deciding, Guarded, allow, document, refusal_of, run_deciding

ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"


def trust(principal: Any, **more: Any) -> str:
    actions = ["sts:AssumeRole", "sts:TagSession"]
    return document({"Effect": "Allow", "Principal": principal, "Action": actions, **more})


class Bench(Deciding):
    async def user(self, name: str, *statements: dict[str, Any], **params: Any) -> "Somebody":
        made = (await self.call("CreateUser", UserName=name, **params))["User"]
        if statements:
            await self.call("PutUserPolicy", UserName=name, PolicyName="p", PolicyDocument=document(*statements))
        principal = Principal(PrincipalKind.USER, self.account, made["Arn"], made["UserId"])
        return Somebody(self, principal)

    async def role(self, name: str, principal: Any, *statements: dict[str, Any], **params: Any) -> str:
        made = await self.call("CreateRole", RoleName=name, AssumeRolePolicyDocument=trust(principal), **params)
        if statements:
            await self.call("PutRolePolicy", RoleName=name, PolicyName="p", PolicyDocument=document(*statements))
        return str(made["Role"]["Arn"])

    async def policy(self, name: str, *statements: dict[str, Any]) -> str:
        made = await self.call("CreatePolicy", PolicyName=name, PolicyDocument=document(*statements))
        return str(made["Policy"]["Arn"])

    async def try_policy(self, name: str, text: str) -> None:
        """It is there, or refused as malformed."""
        try:
            await self.call("PutUserPolicy", UserName=name, PolicyName="p", PolicyDocument=text)
        except ServiceError as error:
            if error.code != "MalformedPolicyDocument":
                raise

    def arn(self, resource: str) -> str:
        return f"arn:aws:iam::{self.account}:{resource}"


class Somebody:
    """A caller at IAM and STS, decided as at the door."""

    def __init__(self, bench: Bench, principal: Principal) -> None:
        iam = bench.iam
        self.principal = principal
        self.iam = Guarded(bench.authorizer, iam_service(iam.store, iam.clock), principal)
        seconds = MfaBook(iam.store, iam.clock)
        service = sts_service(iam.directory, iam.directory.sessions, OidcBook(iam.store), seconds, iam.clock)
        self.sts = Guarded(bench.authorizer, service, principal)
        self._bench = bench

    async def is_refused(self, operation: str, **params: Any) -> bool:
        return await self.iam.refusal(operation, **params) is not None

    async def assume(self, role_arn: str, **params: Any) -> "Somebody":
        made = (await self.sts("AssumeRole", RoleArn=role_arn, RoleSessionName="s1", **params))["Credentials"]
        known = await self._bench.iam.directory.find_key(made["AccessKeyId"], made["SessionToken"])
        assert known is not None
        return Somebody(self._bench, known.principal)

    async def cannot_assume(self, role_arn: str, **params: Any) -> bool:
        try:
            await self.assume(role_arn, **params)
        except ServiceError as error:
            return error.code == "AccessDenied"
        return False

    async def may(self, action: str, resource: str, **context: Any) -> bool:
        needed = (action, resource, context) if context else (action, resource)
        return await refusal_of(self._bench.authorizer, self.principal, needed) is None


Run = Callable[[Callable[[Bench], Awaitable[None]]], None]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return run_deciding(tmp_path, Bench)


def test_nobody_gives_itself_rights(run: Run) -> None:
    """Each single way into more rights is a right of its own."""

    async def scenario(bench: Bench) -> None:
        eve = await bench.user("eve", allow(["iam:Get*", "iam:List*", "lambda:*", "sts:*"]))
        await bench.call("CreateGroup", GroupName="admins")
        arn = await bench.policy("mine", allow("s3:*"))
        await bench.call("AttachUserPolicy", UserName="eve", PolicyArn=arn)
        await bench.role("strong", "*", allow("*"))
        text = document(allow("*"))
        for operation, params in (
            ("AttachUserPolicy", {"UserName": "eve", "PolicyArn": ADMINISTRATOR}),
            ("PutUserPolicy", {"UserName": "eve", "PolicyName": "p", "PolicyDocument": text}),
            ("CreatePolicyVersion", {"PolicyArn": arn, "PolicyDocument": text, "SetAsDefault": True}),
            ("SetDefaultPolicyVersion", {"PolicyArn": arn, "VersionId": "v1"}),
            ("AddUserToGroup", {"UserName": "eve", "GroupName": "admins"}),
            ("PutGroupPolicy", {"GroupName": "admins", "PolicyName": "p", "PolicyDocument": text}),
            ("AttachGroupPolicy", {"GroupName": "admins", "PolicyArn": ADMINISTRATOR}),
            ("AttachRolePolicy", {"RoleName": "strong", "PolicyArn": ADMINISTRATOR}),
            ("PutRolePolicy", {"RoleName": "strong", "PolicyName": "p", "PolicyDocument": text}),
            ("UpdateAssumeRolePolicy", {"RoleName": "strong", "PolicyDocument": trust("*")}),
            ("DeleteUserPolicy", {"UserName": "eve", "PolicyName": "p"}),
            ("DetachUserPolicy", {"UserName": "eve", "PolicyArn": arn}),
            ("DeleteUserPermissionsBoundary", {"UserName": "eve"}),
            ("PutUserPermissionsBoundary", {"UserName": "eve", "PermissionsBoundary": ADMINISTRATOR}),
            ("CreateAccessKey", {"UserName": "administrator"}),
            ("CreateAccessKey", {}),
            ("UpdateAccessKey", {"UserName": "administrator", "AccessKeyId": "A" * 16, "Status": "Inactive"}),
            ("CreateLoginProfile", {"UserName": "administrator", "Password": "x"}),
            ("UpdateLoginProfile", {"UserName": "administrator", "Password": "x"}),
            ("ResetServiceSpecificCredential", {"UserName": "administrator", "ServiceSpecificCredentialId": "A" * 20}),
            ("DeactivateMFADevice", {"UserName": "administrator", "SerialNumber": bench.arn("mfa/phone")}),
            ("TagUser", {"UserName": "eve", "Tags": [{"Key": "team", "Value": "admins"}]}),
            ("TagRole", {"RoleName": "strong", "Tags": [{"Key": "team", "Value": "eve"}]}),
            ("UpdateUser", {"UserName": "eve", "NewUserName": "administrator2"}),
            ("UpdateUser", {"UserName": "eve", "NewPath": "/admins/"}),
            ("CreateRole", {"RoleName": "new", "AssumeRolePolicyDocument": trust("*")}),
            ("AddRoleToInstanceProfile", {"RoleName": "strong", "InstanceProfileName": "i"}),
            ("CreateSAMLProvider", {"Name": "s", "SAMLMetadataDocument": "x"}),
            ("CreateOpenIDConnectProvider", {"Url": "https://eve.example"}),
        ):
            assert await eve.is_refused(operation, **params), operation

    run(scenario)


def test_own_name_variables_are_no_names_of_others(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        own = bench.arn("user/${aws:username}")
        eve = await bench.user("eve", allow("iam:*AccessKey*", own))
        for name in ("administrator", "Eve", "eve2", "*", "ev?"):
            assert await eve.is_refused("CreateAccessKey", UserName=name), name
        assert not await eve.is_refused("CreateAccessKey", UserName="eve")
        odd = await bench.user("a=b,c@d+e.f-g_h", allow("iam:GetUser", own))
        assert await odd.is_refused("GetUser", UserName="a")

    run(scenario)


def test_a_boundary_is_kept_by_whom_it_limits(run: Run) -> None:
    """The delegated administrator of AWS's own example: may make users, with the boundary, and not go round it."""

    async def scenario(bench: Bench) -> None:
        limit = await bench.policy("limit", allow(["s3:*", "iam:*", "sts:*"]))
        other = await bench.policy("other", allow("*"))
        with_limit = {"StringEquals": {"iam:PermissionsBoundary": limit}}
        needs_it = ["iam:CreateUser", "iam:PutUserPermissionsBoundary", "iam:PutUserPolicy", "iam:AttachUserPolicy"]
        dan = await bench.user(
            "dan",
            allow(needs_it, Condition=with_limit),
            allow("iam:CreatePolicy*"),
            {"Effect": "Deny", "Action": ["iam:CreatePolicyVersion", "iam:SetDefaultPolicyVersion"], "Resource": limit},
            {"Effect": "Deny", "Action": "iam:DeleteUserPermissionsBoundary", "Resource": "*"},
            PermissionsBoundary=limit,
        )
        assert await dan.is_refused("CreateUser", UserName="x")
        assert await dan.is_refused("CreateUser", UserName="x", PermissionsBoundary=other)
        assert await dan.is_refused("CreateUser", UserName="x", PermissionsBoundary=limit + "x")
        assert await dan.is_refused("CreateUser", UserName="x", PermissionsBoundary=limit.upper())
        await dan.iam("CreateUser", UserName="x", PermissionsBoundary=limit)
        await dan.iam("AttachUserPolicy", UserName="x", PolicyArn=ADMINISTRATOR)
        assert await dan.is_refused("AttachUserPolicy", UserName="administrator", PolicyArn=ADMINISTRATOR)
        assert await dan.is_refused("DeleteUserPermissionsBoundary", UserName="x")
        assert await dan.is_refused("DeleteUserPermissionsBoundary", UserName="dan")
        assert await dan.is_refused("PutUserPermissionsBoundary", UserName="x", PermissionsBoundary=other)
        broad = document(allow("*"))
        assert await dan.is_refused("CreatePolicyVersion", PolicyArn=limit, PolicyDocument=broad, SetAsDefault=True)
        made = (await bench.call("GetUser", UserName="x"))["User"]
        puppet = Somebody(bench, Principal(PrincipalKind.USER, bench.account, made["Arn"], made["UserId"]))
        assert await puppet.may("s3:GetObject", "arn:aws:s3:::b/k")
        assert not await puppet.may("lambda:GetFunction", f"arn:aws:lambda:us-east-1:{bench.account}:function:f")

    run(scenario)


def test_a_session_never_has_more_than_its_policies(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        role = await bench.role("strong", {"AWS": bench.account}, allow("*"))
        ann = await bench.user("ann", allow("sts:*"))
        narrow = await ann.assume(role, Policy=document(allow("s3:GetObject", "arn:aws:s3:::b/*"), allow("sts:*")))
        assert await narrow.may("s3:GetObject", "arn:aws:s3:::b/k")
        assert not await narrow.may("s3:PutObject", "arn:aws:s3:::b/k")
        assert await narrow.is_refused("ListUsers")
        empty = await ann.assume(role, PolicyArns=[{"arn": bench.arn("policy/none")}])
        assert not await empty.may("s3:GetObject", "arn:aws:s3:::b/k")
        weak = await bench.role("weak", {"AWS": bench.account}, allow("s3:GetObject"))
        wide = await ann.assume(weak, Policy=document(allow("*")))
        assert not await wide.may("s3:PutObject", "arn:aws:s3:::b/k")

    run(scenario)


def test_a_successor_of_the_same_name_is_not_trusted(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        bob = await bench.user("bob", allow("sts:*"))
        arn = await bench.role("for-bob", {"AWS": bench.arn("user/bob")})
        helper = await bench.role("helper", {"AWS": bench.account}, allow("sts:*"))
        chained = await bench.role("chained", {"AWS": [bench.arn("role/helper"), bench.arn("user/bob")]})
        assert not await bob.cannot_assume(arn)
        assert not await (await bob.assume(helper)).cannot_assume(chained)
        await bench.call("DeleteUserPolicy", UserName="bob", PolicyName="p")
        await bench.call("DeleteUser", UserName="bob")
        again = await bench.user("bob", allow("sts:*"))
        assert await again.cannot_assume(arn)
        assert await again.cannot_assume(chained)
        shown = (await bench.call("GetRole", RoleName="for-bob"))["Role"]["AssumeRolePolicyDocument"]
        assert bob.principal.user_id in shown
        assert "user/bob" not in shown
        await bench.call("DeleteRolePolicy", RoleName="helper", PolicyName="p")
        await bench.call("DeleteRole", RoleName="helper")
        await bench.role("helper", {"AWS": bench.account}, allow("sts:*"))
        assert await (await again.assume(helper)).cannot_assume(chained)
        await bench.call(
            "UpdateAssumeRolePolicy", RoleName="for-bob", PolicyDocument=trust({"AWS": bench.arn("user/bob")})
        )
        assert not await again.cannot_assume(arn)

    run(scenario)


def test_who_is_kept_out_stays_out_under_another_name(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        bob = await bench.user("bob", allow("sts:*"))
        statement = {"Effect": "Deny", "Principal": {"AWS": bench.arn("user/bob")}, "Action": "sts:AssumeRole"}
        everyone = {"Effect": "Allow", "Principal": {"AWS": bench.account}, "Action": "sts:AssumeRole"}
        made = await bench.call("CreateRole", RoleName="r", AssumeRolePolicyDocument=document(everyone, statement))
        assert await bob.cannot_assume(made["Role"]["Arn"])
        await bench.call("UpdateUser", UserName="bob", NewUserName="rob")
        renamed = Principal(PrincipalKind.USER, bench.account, bench.arn("user/rob"), bob.principal.user_id)
        assert await Somebody(bench, renamed).cannot_assume(made["Role"]["Arn"])

    run(scenario)


def test_tags_do_not_differ_by_case(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        is_red = {"StringEquals": {"aws:PrincipalTag/team": "red"}}
        tags = [{"Key": "Team", "Value": "red"}]
        role = await bench.role("r", {"AWS": bench.account}, allow("s3:*", Condition=is_red), Tags=tags)
        ann = await bench.user("ann", allow("sts:*"))
        assert await (await ann.assume(role)).may("s3:GetObject", "arn:aws:s3:::b/k")
        blue = await ann.assume(role, Tags=[{"Key": "tEAM", "Value": "blue"}])
        assert not await blue.may("s3:GetObject", "arn:aws:s3:::b/k")

    run(scenario)


def test_another_account_of_the_same_names(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        other, _ = await AccountBook(bench.iam.store, bench.iam.clock, bench.account).add(None)
        mine = await bench.role("strong", {"AWS": bench.account}, allow("*"))
        theirs = mine.replace(bench.account, other)
        stranger = Principal(PrincipalKind.USER, other, f"arn:aws:iam::{other}:user/administrator", "AIDAOTHER")
        for arn in (mine, theirs):
            assert await Somebody(bench, stranger).cannot_assume(arn)
        ann = await bench.user("ann", allow("*"))
        assert await ann.cannot_assume(theirs)
        for operation, params in (
            ("AttachUserPolicy", {"UserName": "ann", "PolicyArn": f"arn:aws:iam::{other}:policy/p"}),
            ("DeleteVirtualMFADevice", {"SerialNumber": f"arn:aws:iam::{other}:mfa/m"}),
            ("GetPolicy", {"PolicyArn": f"arn:aws:iam::{other}:policy/p"}),
        ):
            with pytest.raises(ServiceError):
                await ann.iam(operation, **params)

    run(scenario)


@pytest.mark.parametrize(
    ("pattern", "resource"),
    [
        ("arn:aws:lambda:*:function:f", "arn:aws:lambda:us-east-1:111111111111:function:f"),
        ("arn:aws:s3:::b", "arn:aws:s3:::b/k"),
        ("arn:aws:s3:::b/?", "arn:aws:s3:::b/kk"),
        ("arn:aws:sqs:us-east-1:*:q", "arn:aws:sqs:us-east-1:111111111111:Q"),
        ("arn:aws:iam::*:role/a", "arn:aws:iam::111111111111:role/a/b"),
        ("arn:aws:sqs:us-east-1:111111111111", "arn:aws:sqs:us-east-1:1111111111112:q"),
        ("arn:*:*:*:*", "*"),
        ("", "arn:aws:s3:::b"),
        ("arn:aws:s3:::b\u200b", "arn:aws:s3:::b"),
        ("arn:aws:s3:::\u0430", "arn:aws:s3:::a"),
        ("arn:aws:s3:::\u212a", "arn:aws:s3:::k"),
    ],
)
def test_patterns_do_not_reach_further_than_they_say(run: Run, pattern: str, resource: str) -> None:
    async def scenario(bench: Bench) -> None:
        given = resource.replace("111111111111", bench.account)
        carried = document(allow("*", pattern.replace("111111111111", bench.account)))
        ann = await bench.user("ann")
        await bench.try_policy("ann", carried)
        assert not await ann.may("s3:GetObject", given)

    run(scenario)


@pytest.mark.parametrize("action", ["s3:Get\u212aey", "s3 :GetKey", " s3:GetKey", "s3:GetKey ", "s3.GetKey", "S3:*\n"])
def test_actions_are_what_they_say(run: Run, action: str) -> None:
    async def scenario(bench: Bench) -> None:
        ann = await bench.user("ann")
        carried = document(allow(action))
        await bench.try_policy("ann", carried)
        assert not await ann.may("s3:GetKey", "arn:aws:s3:::b/k")

    run(scenario)


@pytest.mark.parametrize(
    "text",
    [
        '{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Effect":"Allow","Action":"*","Resource":"*"}]}',
        '{"Version":"2012-10-17","Statement":[],"Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}',
        '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*",'
        '"Condition":{"Bool":{"aws:SecureTransport":"true"},"Bool":{}}}}',
        '{"version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}',
        '{"Version":"2012-10-17","Statement":{"effect":"Deny","Effect":"Allow","Action":"*","Resource":"*"}}',
        '{"Version":"2012-10-17","Statement":{"Effect":"ALLOW","Action":"*","Resource":"*"}}',
        '\ufeff{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}',
        '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}} {}',
    ],
)
def test_documents_that_two_readers_would_read_differently_are_refused(run: Run, text: str) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.user("ann")
        with pytest.raises(ServiceError, match=r"Syntax errors|invalid Json"):
            await bench.call("PutUserPolicy", UserName="ann", PolicyName="p", PolicyDocument=text)

    run(scenario)


def test_the_many_policies_of_one_user_are_bounded_and_decided(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        ann = await bench.user("ann")
        for at in range(10):
            arn = await bench.policy(
                f"m{at}", *(allow(f"s{at}:Get{each}*", f"arn:aws:s3:::{'*' * 20}{each}") for each in range(25))
            )
            await bench.call("AttachUserPolicy", UserName="ann", PolicyArn=arn)
        arn = await bench.policy("m10", allow("*"))
        with pytest.raises(ServiceError) as caught:
            await bench.call("AttachUserPolicy", UserName="ann", PolicyArn=arn)
        assert caught.value.code == "LimitExceeded"
        assert await ann.may("s3:Get7x", "arn:aws:s3:::" + "a" * 500 + "7")
        assert not await ann.may("s3:Get7x", "arn:aws:s3:::" + "a" * 500 + "8")
        long = document(*(allow("s3:GetObject", f"arn:aws:s3:::{'x' * 50}{each}") for each in range(200)))
        for operation, params in (
            ("PutUserPolicy", {"UserName": "ann", "PolicyName": "p", "PolicyDocument": long}),
            ("CreatePolicy", {"PolicyName": "long", "PolicyDocument": long}),
        ):
            with pytest.raises(ServiceError) as caught:
                await bench.call(operation, **params)
            assert caught.value.code == "LimitExceeded"

    run(scenario)
