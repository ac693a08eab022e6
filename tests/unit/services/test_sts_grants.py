"""What sessions carry: policies, tags, source identities; chains of roles; what a user lends; encoded messages."""

import asyncio
import json
import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from cosset.identity.authorization_messages import open_message, seal_message
from cosset.identity.principal import Principal, PrincipalKind
from cosset.services.iam.mfa_devices import MfaBook
from cosset.services.iam.oidc_book import OidcBook
from cosset.services.iam.service import iam_service
from cosset.services.sts.service import sts_service
from cosset.wire.errors import ServiceError
from support.caller import Caller
from support.identity import Iam, open_iam

POLICY = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}
)
READ_ONLY = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"


class Fold:
    """Two roles that trust everybody in the account."""

    def __init__(self, iam: Iam, user: Principal) -> None:
        self.iam = iam
        self.user = user
        self.service = sts_service(
            iam.directory, iam.directory.sessions, OidcBook(iam.store), MfaBook(iam.store, iam.clock), iam.clock
        )

    async def role(self, name: str, **params: Any) -> str:
        statement = {"Effect": "Allow", "Principal": {"AWS": self.user.account}, "Action": "sts:AssumeRole"}
        trust = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        call = Caller(iam_service(self.iam.store, self.iam.clock), self.user)
        made = await call("CreateRole", RoleName=name, AssumeRolePolicyDocument=trust, **params)
        return str(made["Role"]["Arn"])

    async def call(self, name: str, *, by: Principal | None = None, **params: Any) -> dict[str, Any]:
        return await Caller(self.service, by or self.user)(name, **params)

    async def refused(self, name: str, *, by: Principal | None = None, **params: Any) -> tuple[str, str]:
        with pytest.raises(ServiceError) as caught:
            await self.call(name, by=by, **params)
        return caught.value.code, caught.value.message

    async def who(self, answer: dict[str, Any]) -> Principal:
        given = answer["Credentials"]
        known = await self.iam.directory.find_key(given["AccessKeyId"], given["SessionToken"])
        assert known is not None
        return known.principal


Run = Callable[[Callable[[Fold], Awaitable[None]]], None]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    def run_scenario(scenario: Callable[[Fold], Awaitable[None]]) -> None:
        async def whole() -> None:
            async with open_iam(tmp_path) as iam:
                known = await iam.directory.find_key(iam.administrator.access_key_id, None)
                assert known is not None
                await scenario(Fold(iam, known.principal))

        asyncio.run(whole())

    return run_scenario


def tag(key: str, value: str) -> dict[str, str]:
    return {"Key": key, "Value": value}


def test_a_session_carries_its_policies(run: Run) -> None:
    async def scenario(fold: Fold) -> None:
        mine = {"RoleArn": await fold.role("one"), "RoleSessionName": "s"}
        answer = await fold.call("AssumeRole", **mine, Policy=POLICY, PolicyArns=[{"arn": READ_ONLY}])
        assert 1 <= answer["PackedPolicySize"] <= 100
        session = (await fold.who(answer)).session
        assert (session.policies, session.policy_arns, session.is_narrowed) == ((POLICY,), (READ_ONLY,), True)
        plain = await fold.call("AssumeRole", **mine)
        assert "PackedPolicySize" not in plain
        assert not (await fold.who(plain)).session.is_narrowed
        assert (await fold.refused("AssumeRole", **mine, Policy="{}"))[0] == "MalformedPolicyDocument"
        stranger = [{"arn": "arn:aws:iam::222222222222:policy/P"}]
        assert (await fold.refused("AssumeRole", **mine, PolicyArns=stranger))[0] == "ValidationError"
        assert (await fold.refused("AssumeRole", **mine, PolicyArns=[{"arn": "P"}]))[0] == "ValidationError"

    run(scenario)


def test_a_policy_too_large_for_a_token(run: Run) -> None:
    async def scenario(fold: Fold) -> None:
        mine = {"RoleArn": await fold.role("one"), "RoleSessionName": "s"}
        tags = [tag(secrets.token_hex(60), secrets.token_hex(120)) for _ in range(40)]
        code, message = await fold.refused("AssumeRole", **mine, Tags=tags)
        assert code == "PackedPolicyTooLarge"
        assert message.endswith("% of allotted space, please use smaller policy.")

    run(scenario)


def test_tags_are_handed_down_and_not_changed(run: Run) -> None:
    """Recorded: test_iam_role_chaining_override_transitive_tags."""

    async def scenario(fold: Fold) -> None:
        one = {"RoleArn": await fold.role("one"), "RoleSessionName": "s"}
        two = {"RoleArn": await fold.role("two"), "RoleSessionName": "s"}
        tags = [tag("Team", "blue"), tag("stage", "test")]
        answer = await fold.call("AssumeRole", **one, Tags=tags, TransitiveTagKeys=["team"])
        first = await fold.who(answer)
        assert dict(first.session.tags) == {"Team": "blue", "stage": "test"}
        second = await fold.who(await fold.call("AssumeRole", by=first, **two, Tags=[tag("stage", "live")]))
        assert dict(second.session.tags) == {"Team": "blue", "stage": "live"}
        third = await fold.who(await fold.call("AssumeRole", by=second, **one))
        assert dict(third.session.tags) == {"Team": "blue"}
        for key in ("Team", "tEAM"):
            assert await fold.refused("AssumeRole", by=second, **one, Tags=[tag(key, "red")]) == (
                "InvalidParameterValue",
                "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key "
                "from the calling session.",
            )

    run(scenario)


@pytest.mark.parametrize(
    "more",
    [
        {"Tags": [tag("a", ""), tag("A", "")]},
        {"Tags": [tag("aws:x", "")]},
        {"Tags": [tag("a", "")], "TransitiveTagKeys": ["b"]},
    ],
)
def test_tags_that_do_not_do(run: Run, more: dict[str, Any]) -> None:
    async def scenario(fold: Fold) -> None:
        refusal = await fold.refused("AssumeRole", RoleArn=await fold.role("one"), RoleSessionName="s", **more)
        assert refusal[0] == "InvalidParameterValue"

    run(scenario)


def test_what_tags_and_source_identities_need(run: Run) -> None:
    async def scenario(fold: Fold) -> None:
        arn = await fold.role("one")
        operation = fold.service.operations["AssumeRole"]
        params = {
            "RoleArn": arn,
            "RoleSessionName": "s",
            "ExternalId": "door",
            "SourceIdentity": "ada",
            "Tags": [tag("team", "blue")],
            "TransitiveTagKeys": ["team"],
        }
        ctx = Caller(fold.service, fold.user).context("AssumeRole")
        needed = operation.requirements(ctx, params)
        assert [each.action for each in needed] == ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"]
        assert {each.resource for each in needed} == {arn}
        assert needed[0].context == {
            "aws:RequestTag/team": "blue",
            "aws:TagKeys": ("team",),
            "sts:TransitiveTagKeys": ("team",),
            "sts:ExternalId": "door",
            "sts:RoleSessionName": "s",
            "sts:SourceIdentity": "ada",
        }
        # What a session hands down is asked for too.
        first = await fold.who(await fold.call("AssumeRole", **params))
        ctx = Caller(fold.service, first).context("AssumeRole")
        needed = operation.requirements(ctx, {"RoleArn": arn, "RoleSessionName": "t"})
        assert [each.action for each in needed] == ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"]
        assert needed[0].context["aws:RequestTag/team"] == "blue"

    run(scenario)


def test_a_source_identity_stays(run: Run) -> None:
    async def scenario(fold: Fold) -> None:
        mine = {"RoleArn": await fold.role("one"), "RoleSessionName": "s"}
        answer = await fold.call("AssumeRole", **mine, SourceIdentity="ada")
        assert answer["SourceIdentity"] == "ada"
        first = await fold.who(answer)
        assert (await fold.call("AssumeRole", by=first, **mine))["SourceIdentity"] == "ada"
        code, message = await fold.refused("AssumeRole", by=first, **mine, SourceIdentity="charles")
        assert code == "AccessDenied"
        assert "sts:SetSourceIdentity" in message

    run(scenario)


def test_a_chain_is_an_hour_long(run: Run) -> None:
    async def scenario(fold: Fold) -> None:
        mine = {"RoleArn": await fold.role("one", MaxSessionDuration=43_200), "RoleSessionName": "s"}
        first = await fold.who(await fold.call("AssumeRole", **mine, DurationSeconds=43_200))
        await fold.call("AssumeRole", by=first, **mine, DurationSeconds=3600)
        assert await fold.refused("AssumeRole", by=first, **mine, DurationSeconds=3601) == (
            "ValidationError",
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.",
        )

    run(scenario)


def test_what_a_user_lends(run: Run) -> None:
    async def scenario(fold: Fold) -> None:
        account = fold.user.account
        answer = await fold.call("GetFederationToken", Name="guest", Policy=POLICY, Tags=[tag("k", "v")])
        federated = {"FederatedUserId": f"{account}:guest", "Arn": f"arn:aws:sts::{account}:federated-user/guest"}
        assert answer["FederatedUser"] == federated
        assert answer["PackedPolicySize"] > 0
        assert answer["Credentials"]["Expiration"] == fold.iam.clock.now_ms() // 1000 + 43_200
        guest = await fold.who(answer)
        assert (guest.kind, guest.lender_arn) == (PrincipalKind.FEDERATED, fold.user.arn)
        assert (guest.session.policies, dict(guest.session.tags)) == ((POLICY,), {"k": "v"})
        assert await fold.call("GetCallerIdentity", by=guest) == {
            "UserId": f"{account}:guest",
            "Account": account,
            "Arn": federated["Arn"],
        }
        for name, params in (
            ("GetFederationToken", {"Name": "other"}),
            ("GetSessionToken", {}),
        ):
            assert await fold.refused(name, by=guest, **params) == (
                "AccessDenied",
                f"Cannot call {name} with session credentials",
            )
        refusal = await fold.refused("AssumeRole", by=guest, RoleArn=await fold.role("one"), RoleSessionName="s")
        assert refusal[0] == "AccessDenied"
        # Without a policy it may do nothing by itself.
        bare = await fold.who(await fold.call("GetFederationToken", Name="guest"))
        assert (bare.session.policies, bare.session.is_narrowed) == ((), True)
        needed = Caller(fold.service, fold.user).requires("GetFederationToken", Name="guest")
        assert needed == [("sts:GetFederationToken", federated["Arn"])]

    run(scenario)


def test_a_users_sessions_do_not_reach_iam(run: Run) -> None:
    """But a role's do, if its policies allow."""

    async def scenario(fold: Fold) -> None:
        manage = iam_service(fold.iam.store, fold.iam.clock)
        own = await fold.who(await fold.call("GetSessionToken"))
        lent = await fold.who(await fold.call("GetFederationToken", Name="guest", Policy=POLICY))
        for caller in (own, lent):
            with pytest.raises(ServiceError) as caught:
                await Caller(manage, caller)("ListUsers")
            assert caught.value.code == "InvalidClientTokenId"
        answer = await fold.call("AssumeRole", RoleArn=await fold.role("one"), RoleSessionName="s")
        assert Caller(manage, await fold.who(answer)).requires("ListUsers")

    run(scenario)


def test_what_was_lent_ends_with_its_lender(run: Run) -> None:
    async def scenario(fold: Fold) -> None:
        call = Caller(iam_service(fold.iam.store, fold.iam.clock), fold.user)
        await call("CreateUser", UserName="ada")
        key = (await call("CreateAccessKey", UserName="ada"))["AccessKey"]
        known = await fold.iam.directory.find_key(key["AccessKeyId"], None)
        assert known is not None
        answer = await fold.call("GetFederationToken", by=known.principal, Name="guest", Policy=POLICY)
        await fold.who(answer)
        await call("DeleteAccessKey", UserName="ada", AccessKeyId=key["AccessKeyId"])
        await call("DeleteUser", UserName="ada")
        with pytest.raises(ServiceError) as caught:
            await fold.who(answer)
        assert caught.value.code == "InvalidClientTokenId"

    run(scenario)


def test_only_its_own_messages_are_decoded(run: Run) -> None:
    async def scenario(fold: Fold) -> None:
        secret = await fold.iam.directory.session_secret()
        sealed = seal_message(secret, fold.user.account, '{"allowed":false}', secrets.token_bytes)
        answer = await fold.call("DecodeAuthorizationMessage", EncodedMessage=sealed)
        assert answer == {"DecodedMessage": '{"allowed":false}'}
        others = seal_message(secret, "222222222222", "{}", secrets.token_bytes)
        forged = ("B" if sealed[0] == "A" else "A") + sealed[1:]
        for wrong in (others, forged, sealed[:-4], "", "Ä", "!" * 40, sealed + "A" * 9000):
            refusal = await fold.refused("DecodeAuthorizationMessage", EncodedMessage=wrong)
            assert refusal == ("InvalidAuthorizationMessageException", "Message is not valid.")
        assert Caller(fold.service, fold.user).requires("DecodeAuthorizationMessage") == [
            ("sts:DecodeAuthorizationMessage", "*")
        ]

    run(scenario)


def test_a_message_tells_nothing() -> None:
    sealed = seal_message(b"s" * 32, "111111111111", "allowed " * 20, lambda size: b"n" * size)
    assert "allowed" not in sealed
    assert open_message(b"s" * 32, "111111111111", sealed) == "allowed " * 20
    again = seal_message(b"s" * 32, "111111111111", "allowed " * 20, lambda size: b"m" * size)
    assert sealed != again
    with pytest.raises(ValueError, match="too long"):
        seal_message(b"s" * 32, "111111111111", "x" * 70_000, secrets.token_bytes)
