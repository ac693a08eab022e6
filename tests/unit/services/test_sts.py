"""STS: who am I, and temporary credentials."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import botocore.session
import pytest

from cosset.identity.principal import Principal, PrincipalKind
from cosset.services.iam.mfa_devices import MfaBook
from cosset.services.iam.oidc_book import OidcBook
from cosset.services.iam.service import iam_service
from cosset.services.sts.service import sts_service
from cosset.wire.errors import ServiceError
from support.caller import Caller
from support.enforcement import Guarded, make_authorizer
from support.identity import Iam, open_iam

Run = Callable[[Callable[[Iam, Principal], Awaitable[None]]], None]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    def run_scenario(scenario: Callable[[Iam, Principal], Awaitable[None]]) -> None:
        async def whole() -> None:
            async with open_iam(tmp_path) as iam:
                known = await iam.directory.find_key(iam.administrator.access_key_id, None)
                assert known is not None
                await scenario(iam, known.principal)

        asyncio.run(whole())

    return run_scenario


def sts(iam: Iam, principal: Principal) -> Caller:
    return Caller(
        sts_service(
            iam.directory, iam.directory.sessions, OidcBook(iam.store), MfaBook(iam.store, iam.clock), iam.clock
        ),
        principal,
    )


async def make_role(iam: Iam, principal: Principal, trusted: Any, **params: Any) -> str:
    statement = {"Effect": "Allow", "Principal": trusted, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    call = Caller(iam_service(iam.store, iam.clock), principal)
    made = await call("CreateRole", RoleName="worker", AssumeRolePolicyDocument=document, Path="/p/", **params)
    return str(made["Role"]["Arn"])


def test_who_am_i(run: Run) -> None:
    async def scenario(iam: Iam, principal: Principal) -> None:
        call = sts(iam, principal)
        assert await call("GetCallerIdentity") == {
            "UserId": principal.user_id,
            "Account": iam.directory.account,
            "Arn": f"arn:aws:iam::{iam.directory.account}:user/administrator",
        }
        assert call.requires("GetCallerIdentity") == []

    run(scenario)


def test_assuming_a_role(run: Run) -> None:
    async def scenario(iam: Iam, principal: Principal) -> None:
        arn = await make_role(iam, principal, {"AWS": iam.directory.account})
        call = sts(iam, principal)
        assert call.requires("AssumeRole", RoleArn=arn) == [("sts:AssumeRole", arn)]
        answer = await call("AssumeRole", RoleArn=arn, RoleSessionName="me", DurationSeconds=900)
        credentials, user = answer["Credentials"], answer["AssumedRoleUser"]
        assert credentials["Expiration"] == iam.clock.now_ms() // 1000 + 900
        assert user["Arn"] == f"arn:aws:sts::{iam.directory.account}:assumed-role/worker/me"
        known = await iam.directory.find_key(credentials["AccessKeyId"], credentials["SessionToken"])
        assert known is not None
        assert known.credentials.secret_access_key == credentials["SecretAccessKey"]
        assert await sts(iam, known.principal)("GetCallerIdentity") == {
            "UserId": user["AssumedRoleId"],
            "Account": iam.directory.account,
            "Arn": user["Arn"],
        }

    run(scenario)


def test_a_role_that_does_not_trust_the_caller(run: Run) -> None:
    async def scenario(iam: Iam, principal: Principal) -> None:
        arn = await make_role(iam, principal, {"Service": "lambda.amazonaws.com"})
        guarded = Guarded(
            make_authorizer(iam),
            sts_service(
                iam.directory, iam.directory.sessions, OidcBook(iam.store), MfaBook(iam.store, iam.clock), iam.clock
            ),
            principal,
        )
        for role_arn in (arn, f"{arn}-none"):
            with pytest.raises(ServiceError) as caught:
                await guarded("AssumeRole", RoleArn=role_arn, RoleSessionName="me")
            assert (caught.value.code, caught.value.status) == ("AccessDenied", 403)
            assert caught.value.message == (
                f"User: {principal.arn} is not authorized to perform: sts:AssumeRole on resource: {role_arn}"
            )

    run(scenario)


def test_what_is_no_role_at_all(run: Run) -> None:
    async def scenario(iam: Iam, principal: Principal) -> None:
        guarded = Guarded(
            make_authorizer(iam),
            sts_service(
                iam.directory, iam.directory.sessions, OidcBook(iam.store), MfaBook(iam.store, iam.clock), iam.clock
            ),
            principal,
        )
        for role_arn, sentence in (
            ("worker-without-an-arn", "worker-without-an-arn is invalid"),
            (principal.arn, "Request ARN is invalid"),
            (f"arn:aws:iam::{principal.account}:role", "Request ARN is invalid"),
        ):
            with pytest.raises(ServiceError) as caught:
                await guarded("AssumeRole", RoleArn=role_arn, RoleSessionName="me")
            assert (caught.value.code, caught.value.message) == ("ValidationError", sentence)

    run(scenario)


def test_sessions_are_no_longer_than_the_role_allows(run: Run) -> None:
    async def scenario(iam: Iam, principal: Principal) -> None:
        arn = await make_role(iam, principal, {"AWS": principal.arn}, MaxSessionDuration=7200)
        call = sts(iam, principal)
        await call("AssumeRole", RoleArn=arn, RoleSessionName="me", DurationSeconds=7200)
        with pytest.raises(ServiceError) as caught:
            await call("AssumeRole", RoleArn=arn, RoleSessionName="me", DurationSeconds=7201)
        assert caught.value.code == "ValidationError"
        assert caught.value.message == (
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
        )

    run(scenario)


@pytest.mark.parametrize("name", ["ProvidedContexts", "MinimumSessionTokenSize"])
def test_what_is_not_there_is_refused_by_name(run: Run, name: str) -> None:
    async def scenario(iam: Iam, principal: Principal) -> None:
        arn = await make_role(iam, principal, {"AWS": principal.arn})
        with pytest.raises(ServiceError) as caught:
            await sts(iam, principal)("AssumeRole", RoleArn=arn, RoleSessionName="me", **{name: 1})
        assert caught.value.code == "NotImplementedException"
        assert f"AssumeRole with {name}" in caught.value.message

    run(scenario)


def test_a_users_own_session(run: Run) -> None:
    async def scenario(iam: Iam, principal: Principal) -> None:
        credentials = (await sts(iam, principal)("GetSessionToken"))["Credentials"]
        known = await iam.directory.find_key(credentials["AccessKeyId"], credentials["SessionToken"])
        assert known is not None
        assert (known.principal.arn, known.principal.is_temporary) == (principal.arn, True)
        with pytest.raises(ServiceError) as caught:
            await sts(iam, known.principal)("GetSessionToken")
        assert caught.value.message == "Cannot call GetSessionToken with session credentials"

    run(scenario)


def test_a_session_goes_on_under_a_new_name_and_not_for_a_successor(run: Run) -> None:
    async def scenario(iam: Iam, principal: Principal) -> None:
        manage = Caller(iam_service(iam.store, iam.clock), principal)
        made = (await manage("CreateUser", UserName="ann"))["User"]
        ann = Principal(PrincipalKind.USER, principal.account, made["Arn"], made["UserId"])
        found = (await sts(iam, ann)("GetSessionToken"))["Credentials"]
        await manage("UpdateUser", UserName="ann", NewUserName="eve")
        await manage("CreateUser", UserName="ann")
        known = await iam.directory.find_key(found["AccessKeyId"], found["SessionToken"])
        assert known is not None
        assert known.principal.arn == f"arn:aws:iam::{principal.account}:user/eve"
        await manage("DeleteUser", UserName="eve")
        with pytest.raises(ServiceError, match="security token"):
            await iam.directory.find_key(found["AccessKeyId"], found["SessionToken"])

    run(scenario)


def test_whose_key_it_is(run: Run) -> None:
    async def scenario(iam: Iam, principal: Principal) -> None:
        call = sts(iam, principal)
        answer = await call("GetAccessKeyInfo", AccessKeyId=iam.administrator.access_key_id)
        assert answer == {"Account": iam.directory.account}
        with pytest.raises(ServiceError):
            await call("GetAccessKeyInfo", AccessKeyId="AKIAUNKNOWNUNKNOWN00")

    run(scenario)


def test_the_names_of_the_operations_are_awss() -> None:
    model = botocore.session.get_session().get_service_model("sts")
    assert set(sts_service(None, None, None, None, None).operations) <= set(model.operation_names)  # type: ignore[arg-type]
