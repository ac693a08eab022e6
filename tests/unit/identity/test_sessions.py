"""Sealed session tokens: nothing but what this server sealed is believed."""

import asyncio
import base64
import json
import re
import secrets

import pytest

from cosset.identity.principal import Credentials, PrincipalKind, SessionGrant
from cosset.identity.session_claims import unpack_claims
from cosset.identity.sessions import AssumableRole, Sessions
from cosset.wire.errors import ServiceError
from support.clock import ManualClock

ROLE = AssumableRole("111111111111", "arn:aws:iam::111111111111:role/r", "AROAROLE")


class Keeper:
    """The server's secret and its one role."""

    def __init__(self, secret: bytes = b"s" * 32) -> None:
        self.secret = secret

    async def session_secret(self) -> bytes:
        return self.secret

    async def role_for_lambda(self, role_arn: str, function_arn: str | None = None) -> AssumableRole | None:
        return ROLE if role_arn == ROLE.arn else None


def sessions(clock: ManualClock | None = None, keeper: Keeper | None = None) -> Sessions:
    keeper = keeper or Keeper()
    return Sessions(keeper, keeper, clock or ManualClock(), secrets.token_bytes)


def refused(maker: Sessions, key_id: str, token: str | None) -> str:
    with pytest.raises(ServiceError) as caught:
        asyncio.run(maker.open(key_id, token or ""))
    assert caught.value.status == 403
    return caught.value.code


def issue(maker: Sessions, duration_s: int = 900) -> Credentials:
    return asyncio.run(maker.issue(ROLE.arn, "session", duration_s))


def test_what_was_sealed_is_read_back() -> None:
    clock = ManualClock(1_763_700_000_999)
    session = issue(sessions(clock))
    assert session.expires_at_ms == 1_763_700_900_000
    assert len(session.secret_access_key) == 40
    # Another node with the same secret believes it.
    claims, credentials = asyncio.run(sessions(clock).open(session.access_key_id, session.session_token or ""))
    assert credentials == session
    assert (claims.kind, claims.account, claims.owner) == (PrincipalKind.ROLE, ROLE.account, ROLE.arn)
    assert (claims.owner_id, claims.session_name) == (ROLE.unique_id, "session")


def test_no_two_sessions_share_a_key() -> None:
    maker = sessions()
    issued = [issue(maker) for _ in range(20)]
    assert len({each.access_key_id for each in issued}) == 20
    assert len({each.secret_access_key for each in issued}) == 20


def test_a_token_belongs_to_its_key() -> None:
    maker = sessions()
    one, two = issue(maker), issue(maker)
    assert refused(maker, one.access_key_id, two.session_token) == "InvalidClientTokenId"
    assert refused(maker, "ÄSIA", one.session_token) == "InvalidClientTokenId"


def test_a_token_tells_nothing() -> None:
    session = issue(sessions())
    sealed = base64.b64decode(session.session_token or "")
    for told in (ROLE.arn, ROLE.account, ROLE.unique_id, session.access_key_id, session.secret_access_key, "session"):
        assert told.encode() not in sealed


def test_every_changed_bit_breaks_the_seal() -> None:
    maker = sessions()
    session = issue(maker)
    sealed = base64.b64decode(session.session_token or "")
    for position in range(len(sealed)):
        changed = bytearray(sealed)
        changed[position] ^= 1
        token = base64.b64encode(bytes(changed)).decode()
        assert refused(maker, session.access_key_id, token) == "InvalidClientTokenId"


@pytest.mark.parametrize("token", ["", "x", "====", "ünlaut", "A" * 5000, base64.b64encode(b"short").decode()])
def test_what_is_no_token_is_refused(token: str) -> None:
    assert refused(sessions(), "ASIAX", token) == "InvalidClientTokenId"


def test_another_servers_token_is_refused() -> None:
    session = issue(sessions())
    other = sessions(keeper=Keeper(b"t" * 32))
    assert refused(other, session.access_key_id, session.session_token) == "InvalidClientTokenId"


def test_a_session_ends() -> None:
    clock = ManualClock()
    maker = sessions(clock)
    session = issue(maker)
    clock.advance(899)
    asyncio.run(maker.open(session.access_key_id, session.session_token or ""))
    clock.advance(1)
    assert refused(maker, session.access_key_id, session.session_token) == "ExpiredToken"


def test_an_unknown_role_has_no_session() -> None:
    with pytest.raises(ServiceError) as caught:
        asyncio.run(sessions().issue("arn:aws:iam::111111111111:role/none", "s", 900))
    assert caught.value.message == "The role defined for the function cannot be assumed by Lambda."


def test_what_a_session_was_granted_is_read_back() -> None:
    grant = SessionGrant(
        ("{}",), ("arn:aws:iam::aws:policy/P",), (("team", "blue"),), ("team",), "alice", (("x:sub", "me"),)
    )
    for granted in (grant, SessionGrant(policies=()), SessionGrant(tags=(("k", ""),)), SessionGrant()):
        maker = sessions(ManualClock(1_763_700_000_999))
        session = asyncio.run(maker.issue_for_role(ROLE, "s", 900, granted))
        claims, _ = asyncio.run(maker.open(session.access_key_id, session.session_token or ""))
        assert claims.grant == granted
        assert claims.issued_at_ms == 1_763_700_000_000
    assert SessionGrant(policies=()).is_narrowed
    assert not SessionGrant(tags=(("k", ""),)).is_narrowed


@pytest.mark.parametrize("length", [1, 100, 440, 500, 511, 512, 513, 600, 2000])
def test_a_grant_of_any_length_is_read_back(length: int) -> None:
    grant = SessionGrant(tags=(("tag", secrets.token_hex(length)[:length]),))
    maker = sessions()
    made = asyncio.run(maker.issue_for_role(ROLE, "session", 900, grant))
    claims, _ = asyncio.run(maker.open(made.access_key_id, made.session_token or ""))
    assert claims.grant == grant


def test_a_grant_too_large_for_a_header_is_refused() -> None:
    noise = secrets.token_hex(4_000)
    with pytest.raises(ServiceError) as caught:
        asyncio.run(sessions().issue_for_role(ROLE, "s", 900, SessionGrant(policies=(noise,))))
    assert caught.value.code == "PackedPolicyTooLarge"
    assert re.fullmatch(
        r"Packed policy consumes 1\d\d% of allotted space, please use smaller policy\.", caught.value.message
    )


def test_a_token_of_an_older_cosset_is_believed() -> None:
    fields = ["ASIAX", "role", ROLE.account, ROLE.arn, ROLE.unique_id, "s", 99]
    assert unpack_claims(json.dumps(fields).encode()).grant == SessionGrant()
