"""Virtual MFA devices, and sessions with a second factor: codes are verified, and taken once."""

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import pytest

from cosset.identity.evaluation.context import CallContext, RequestValues
from cosset.identity.one_time_codes import STEP_MS, code_at, find_step, find_steps
from cosset.identity.principal import Principal
from cosset.services.iam.mfa_devices import MfaBook
from cosset.services.iam.oidc_book import OidcBook
from cosset.services.iam.service import iam_service
from cosset.services.sts.service import sts_service
from cosset.wire.errors import ServiceError
from support.caller import Caller
from support.enforcement import Guarded, make_authorizer
from support.iam_bench import Bench, Run, run_with_iam


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return run_with_iam(tmp_path)


def test_codes_are_those_of_the_rfc() -> None:
    """RFC 6238, appendix B: the last six of its eight digits."""
    seed = b"12345678901234567890"
    found = {seconds: code_at(seed, seconds // 30) for seconds in (59, 1111111109, 1234567890, 20000000000)}
    assert found == {59: "287082", 1111111109: "081804", 1234567890: "005924", 20000000000: "353130"}


def test_a_code_holds_around_its_time_and_once() -> None:
    seed, now_ms = b"x" * 20, 1_000 * STEP_MS
    for step in range(998, 1003):
        assert find_step(seed, code_at(seed, step), now_ms) == step
    assert find_step(seed, code_at(seed, 997), now_ms) is None
    assert find_step(seed, code_at(seed, 1003), now_ms) is None
    assert find_step(seed, code_at(seed, 1000), now_ms, after=1000) is None
    assert find_step(seed, code_at(seed, 999), now_ms, after=1000) is None
    assert find_step(seed, "éééééé", now_ms) is None
    assert find_steps(seed, code_at(seed, 999), code_at(seed, 1000), now_ms) == 1000
    assert find_steps(seed, code_at(seed, 1000), code_at(seed, 999), now_ms) is None
    assert find_steps(seed, code_at(seed, 900), code_at(seed, 901), now_ms) is None


class Device:
    """One in somebody's hand."""

    def __init__(self, bench: Bench, made: dict[str, Any]) -> None:
        self._clock = bench.iam.clock
        self.serial = made["SerialNumber"]
        self._seed = base64.b32decode(made["Base32StringSeed"])

    def code(self, later: int = 0) -> str:
        return code_at(self._seed, self._clock.now_ms() // STEP_MS + later)


async def make_device(bench: Bench, name: str = "phone") -> Device:
    made = await bench.call("CreateVirtualMFADevice", VirtualMFADeviceName=name, Tags=[{"Key": "k", "Value": "v"}])
    return Device(bench, made["VirtualMFADevice"])


async def enable(bench: Bench, device: Device, user: str = "administrator") -> None:
    codes = {"AuthenticationCode1": device.code(-1), "AuthenticationCode2": device.code()}
    await bench.call("EnableMFADevice", UserName=user, SerialNumber=device.serial, **codes)


def test_the_life_of_a_device(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        bench.iam.clock.advance(100_000)
        device = await make_device(bench)
        assert device.serial == f"arn:aws:iam::{bench.account}:mfa/phone"
        assert (await bench.refused("CreateVirtualMFADevice", VirtualMFADeviceName="phone"))[0] == "EntityAlreadyExists"
        listed = await bench.call("ListVirtualMFADevices")
        assert listed["VirtualMFADevices"] == [{"SerialNumber": device.serial}]
        wrong = {"UserName": "administrator", "SerialNumber": device.serial, "AuthenticationCode1": device.code()}
        refusal = await bench.refused("EnableMFADevice", **wrong, AuthenticationCode2=device.code())
        assert refusal == ("InvalidAuthenticationCode", "Authentication code for device is not valid.", 403)
        await enable(bench, device)
        used = (await bench.call("ListMFADevices", UserName="administrator"))["MFADevices"]
        assert [each["SerialNumber"] for each in used] == [device.serial]
        assert (await bench.call("GetMFADevice", SerialNumber=device.serial))["UserName"] == "administrator"
        assigned = await bench.call("ListVirtualMFADevices", AssignmentStatus="Assigned")
        assert assigned["VirtualMFADevices"][0]["User"]["UserName"] == "administrator"
        assert (await bench.call("ListVirtualMFADevices", AssignmentStatus="Unassigned"))["VirtualMFADevices"] == []
        summary = (await bench.call("GetAccountSummary"))["SummaryMap"]
        assert (summary["MFADevices"], summary["MFADevicesInUse"]) == (1, 1)
        assert (await bench.refused("DeleteVirtualMFADevice", SerialNumber=device.serial))[0] == "DeleteConflict"
        await bench.call("CreateUser", UserName="other")
        for name in ("DeactivateMFADevice", "GetMFADevice"):
            refusal = await bench.refused(name, UserName="other", SerialNumber=device.serial)
            assert refusal[0] == "NoSuchEntity"
        await bench.call("TagMFADevice", SerialNumber=device.serial, Tags=[{"Key": "K", "Value": "w"}])
        tags = (await bench.call("ListMFADeviceTags", SerialNumber=device.serial))["Tags"]
        assert tags == [{"Key": "K", "Value": "w"}]
        await bench.call("UntagMFADevice", SerialNumber=device.serial, TagKeys=["k"])
        assert (await bench.call("ListMFADeviceTags", SerialNumber=device.serial))["Tags"] == []
        await bench.call("DeactivateMFADevice", UserName="administrator", SerialNumber=device.serial)
        await bench.call("DeleteVirtualMFADevice", SerialNumber=device.serial)
        assert (await bench.refused("ListMFADeviceTags", SerialNumber=device.serial))[0] == "NoSuchEntity"

    run(scenario)


def test_a_device_that_went_wrong_is_set_right(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        bench.iam.clock.advance(100_000)
        device = await make_device(bench)
        await enable(bench, device)
        codes = {"AuthenticationCode1": device.code(50), "AuthenticationCode2": device.code(51)}
        await bench.call("ResyncMFADevice", UserName="administrator", SerialNumber=device.serial, **codes)
        again = await bench.refused("ResyncMFADevice", UserName="administrator", SerialNumber=device.serial, **codes)
        assert again[0] == "InvalidAuthenticationCode"

    run(scenario)


def test_a_user_with_a_device_is_not_deleted(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        bench.iam.clock.advance(100_000)
        await bench.call("CreateUser", UserName="u")
        device = await make_device(bench)
        await enable(bench, device, "u")
        assert (await bench.refused("DeleteUser", UserName="u"))[0] == "DeleteConflict"
        await bench.call("UpdateUser", UserName="u", NewUserName="v")
        assert (await bench.call("GetMFADevice", UserName="v", SerialNumber=device.serial))["UserName"] == "v"

    run(scenario)


def _sts(bench: Bench) -> Any:
    iam = bench.iam
    return sts_service(
        iam.directory, iam.directory.sessions, OidcBook(iam.store), MfaBook(iam.store, iam.clock), iam.clock
    )


async def _principal(bench: Bench, made: dict[str, Any]) -> Principal:
    known = await bench.iam.directory.find_key(made["AccessKeyId"], made["SessionToken"])
    assert known is not None
    return known.principal


async def _administrator(bench: Bench) -> Principal:
    known = await bench.iam.directory.find_key(bench.iam.administrator.access_key_id, None)
    assert known is not None
    return known.principal


def _value(bench: Bench, principal: Principal, key: str) -> tuple[str, ...] | None:
    return RequestValues(principal, CallContext(bench.iam.clock.now_ms()), {}, {}).get(key)


def test_a_session_with_a_second_factor(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        bench.iam.clock.advance(100_000)
        device = await make_device(bench)
        await enable(bench, device)
        administrator = await _administrator(bench)
        sts = Caller(_sts(bench), administrator)
        plain = await _principal(bench, (await sts("GetSessionToken"))["Credentials"])
        assert _value(bench, plain, "aws:multifactorauthpresent") == ("false",)
        assert _value(bench, plain, "aws:multifactorauthage") is None
        for code in (device.code(), "000000"):  # the first was taken when the device was enabled
            with pytest.raises(ServiceError, match="MultiFactorAuthentication failed"):
                await sts("GetSessionToken", SerialNumber=device.serial, TokenCode=code)
        with pytest.raises(ServiceError, match="MultiFactorAuthentication failed"):
            await sts("GetSessionToken", SerialNumber=device.serial)
        bench.iam.clock.advance(60)
        code = device.code()
        made = (await sts("GetSessionToken", SerialNumber=device.serial, TokenCode=code))["Credentials"]
        with pytest.raises(ServiceError, match="invalid MFA one time pass code"):
            await sts("GetSessionToken", SerialNumber=device.serial, TokenCode=code)
        strong = await _principal(bench, made)
        bench.iam.clock.advance(90)
        assert _value(bench, strong, "aws:multifactorauthpresent") == ("true",)
        assert _value(bench, strong, "aws:multifactorauthage") == ("90",)
        service = iam_service(bench.iam.store, bench.iam.clock)
        with pytest.raises(ServiceError, match="security token"):
            await Caller(service, plain)("ListUsers")
        assert (await Caller(service, strong)("ListUsers"))["Users"]

    run(scenario)


def test_a_role_that_asks_for_a_second_factor(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        bench.iam.clock.advance(100_000)
        device = await make_device(bench)
        await enable(bench, device)
        statement = {
            "Effect": "Allow",
            "Principal": {"AWS": bench.account},
            "Action": "sts:AssumeRole",
            "Condition": {
                "Bool": {"aws:MultiFactorAuthPresent": "true"},
                "NumericLessThan": {"aws:MultiFactorAuthAge": "300"},
            },
        }
        trust = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        role = await bench.call("CreateRole", RoleName="guarded", AssumeRolePolicyDocument=trust)
        sts = Guarded(make_authorizer(bench.iam), _sts(bench), await _administrator(bench))
        asked = {"RoleArn": role["Role"]["Arn"], "RoleSessionName": "s"}
        assert await sts.refusal("AssumeRole", **asked) is not None
        assert await sts.refusal("AssumeRole", **asked, SerialNumber=device.serial) is not None
        bench.iam.clock.advance(60)
        asked["SerialNumber"] = device.serial
        with pytest.raises(ServiceError, match="invalid MFA one time pass code"):
            await sts("AssumeRole", **asked, TokenCode="12345x")
        made = (await sts("AssumeRole", **asked, TokenCode=device.code()))["Credentials"]
        assert _value(bench, await _principal(bench, made), "aws:multifactorauthpresent") == ("true",)
        with pytest.raises(ServiceError, match="invalid MFA one time pass code"):
            await sts("AssumeRole", **asked, TokenCode=device.code())

    run(scenario)


def test_codes_cannot_be_tried_out(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        clock = bench.iam.clock
        clock.advance(100_000)
        device = await make_device(bench)
        await enable(bench, device)
        clock.advance(300)
        book, mine = MfaBook(bench.iam.store, clock), (bench.account, "administrator", device.serial)
        for _ in range(4):
            assert not await book.verify(*mine, "12345x")
        assert await book.verify(*mine, device.code())
        clock.advance(60)
        for _ in range(5):
            assert not await book.verify(*mine, "12345x")
        assert not await book.verify(*mine, device.code())
        clock.advance(29)
        assert not await book.verify(*mine, device.code())
        clock.advance(1)
        assert not await book.verify(*mine, "12345x")
        clock.advance(59)
        assert not await book.verify(*mine, device.code())
        clock.advance(1)
        assert await book.verify(*mine, device.code())
        for _ in range(30):
            clock.advance(3_600)
            assert not await book.verify(*mine, "12345x")
        clock.advance(3_600)
        assert await book.verify(*mine, device.code())

    run(scenario)


def test_two_calls_at_once_take_a_code_once(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        bench.iam.clock.advance(100_000)
        device = await make_device(bench)
        await enable(bench, device)
        bench.iam.clock.advance(60)
        book, code = MfaBook(bench.iam.store, bench.iam.clock), device.code()
        verify = [book.verify(bench.account, "administrator", device.serial, code) for _ in range(5)]
        assert sorted(await asyncio.gather(*verify)) == [False] * 4 + [True]
        assert not await book.verify("123456789012", "administrator", device.serial, device.code(1))
        assert not await book.verify(bench.account, "nobody", device.serial, device.code(1))

    run(scenario)
