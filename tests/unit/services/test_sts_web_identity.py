"""AssumeRoleWithWebIdentity: only a token that the account's provider signed, now, for us, and whom the role trusts."""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from cosset.identity.principal import Principal, PrincipalKind
from cosset.services.iam.mfa_devices import MfaBook
from cosset.services.iam.oidc_book import OidcBook
from cosset.services.iam.service import iam_service
from cosset.services.sts.provider_keys import fetch_pinned
from cosset.services.sts.service import sts_service
from cosset.wire.errors import ServiceError
from support.caller import Caller
from support.identity import Iam, open_iam
from support.identity_provider import IdentityProvider, serve_provider

NOBODY = Principal(PrincipalKind.ANONYMOUS, "", "", "")


class Gate:
    """A provider that the account knows, and a role that trusts its subject `repo:fold`."""

    def __init__(self, iam: Iam, administrator: Principal, provider: IdentityProvider) -> None:
        self.iam = iam
        self.provider = provider
        self.now_s = iam.clock.now_ms() // 1000
        self.manage = Caller(iam_service(iam.store, iam.clock), administrator)
        service = sts_service(
            iam.directory,
            iam.directory.sessions,
            OidcBook(iam.store),
            MfaBook(iam.store, iam.clock),
            iam.clock,
            fetch=provider.fetch,
        )
        self.call = Caller(service, NOBODY)
        self.role_arn = ""

    async def furnish(self, **conditions: Any) -> None:
        created = await self.manage(
            "CreateOpenIDConnectProvider", Url=self.provider.issuer, ClientIDList=["cosset", "other"]
        )
        self.provider_arn = created["OpenIDConnectProviderArn"]
        wanted = {f"{self.provider.url}:sub": "repo:fold", f"{self.provider.url}:aud": "cosset", **conditions}
        statement = {
            "Effect": "Allow",
            "Principal": {"Federated": self.provider_arn},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {"StringEquals": wanted},
        }
        trust = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        made = await self.manage("CreateRole", RoleName="deployer", AssumeRolePolicyDocument=trust)
        self.role_arn = made["Role"]["Arn"]

    def claims(self, **more: Any) -> dict[str, Any]:
        said = {"sub": "repo:fold", "aud": "cosset", "iat": self.now_s, "exp": self.now_s + 600, **more}
        return {name: value for name, value in said.items() if value is not None}

    async def enter(self, token: str, **more: Any) -> dict[str, Any]:
        params = {"RoleArn": self.role_arn, "RoleSessionName": "s", "WebIdentityToken": token, **more}
        return await self.call("AssumeRoleWithWebIdentity", **params)

    async def refused(self, token: str, **more: Any) -> tuple[str, str]:
        with pytest.raises(ServiceError) as caught:
            await self.enter(token, **more)
        return caught.value.code, caught.value.message


Run = Callable[[Callable[[Gate], Awaitable[None]]], None]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    def run_scenario(scenario: Callable[[Gate], Awaitable[None]]) -> None:
        async def whole() -> None:
            async with open_iam(tmp_path) as iam:
                known = await iam.directory.find_key(iam.administrator.access_key_id, None)
                assert known is not None
                gate = Gate(iam, known.principal, IdentityProvider("token.example.com"))
                await gate.furnish()
                await scenario(gate)

        asyncio.run(whole())

    return run_scenario


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_whom_the_provider_vouches_for(run: Run, algorithm: str) -> None:
    async def scenario(gate: Gate) -> None:
        answer = await gate.enter(gate.provider.sign(gate.claims(), algorithm), DurationSeconds=900)
        account = gate.iam.directory.account
        assert answer["SubjectFromWebIdentityToken"] == "repo:fold"
        assert (answer["Provider"], answer["Audience"]) == (gate.provider_arn, "cosset")
        assert answer["AssumedRoleUser"]["Arn"] == f"arn:aws:sts::{account}:assumed-role/deployer/s"
        given = answer["Credentials"]
        known = await gate.iam.directory.find_key(given["AccessKeyId"], given["SessionToken"])
        assert known is not None
        assert dict(known.principal.session.context) == {
            "aws:FederatedProvider": gate.provider_arn,
            "token.example.com:aud": "cosset",
            "token.example.com:sub": "repo:fold",
        }

    run(scenario)


def test_tokens_that_do_not_hold(run: Run) -> None:
    async def scenario(gate: Gate) -> None:
        sign, claims, now_s = gate.provider.sign, gate.claims, gate.now_s
        expired = await gate.refused(sign(claims(exp=now_s)))
        assert expired == (
            "ExpiredTokenException",
            f"Token expired: current date/time {now_s} must be before the expiration date/time {now_s}",
        )
        for token, sentence in (
            (sign(claims(aud="stranger")), "Incorrect token audience"),
            (sign(claims(aud=["cosset"], azp="stranger")), "Incorrect token audience"),
            (sign(claims(exp=None)), "Missing a required claim: exp"),
            (sign(claims(iat=None)), "Missing a required claim: iat"),
            (sign(claims(sub=None)), "Missing a required claim: sub"),
            (sign(claims(nbf=now_s + 900)), "The ID Token is not valid yet"),
            (
                sign(claims(iss="https://elsewhere.example")),
                "No OpenIDConnect provider found in your account for https://elsewhere.example",
            ),
            (sign(claims(iss="http://token.example.com")), "Issuer must be a valid URL"),
        ):
            assert await gate.refused(token) == ("InvalidIdentityToken", sentence)

    run(scenario)


def encode(part: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")


def test_forged_tokens(run: Run) -> None:
    async def scenario(gate: Gate) -> None:
        good = gate.provider.sign(gate.claims())
        head, body, signature = good.split(".")
        thief = RSAKey.generate_key(2048, {"kid": "rsa"})
        other = encode({**gate.claims(sub="repo:other"), "iss": gate.provider.issuer})
        # The provider's public key as a secret: the oldest trick there is.
        text = f"{encode({'alg': 'HS256', 'kid': 'rsa'})}.{body}"
        mac = hmac.digest(gate.provider.rsa.as_pem(private=False), text.encode(), hashlib.sha256)
        forged = [
            jwt.encode({"alg": "RS256", "kid": "rsa"}, {"iss": gate.provider.issuer, **gate.claims()}, thief),
            f"{head}.{other}.{signature}",
            f"{encode({'alg': 'none'})}.{body}.",
            f"{head}.{body}.",
            f"{head}.{body}",
            f"{text}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}",
            "....",
            "x",
            ".".join([base64.urlsafe_b64encode(b"[" * 9000).decode()] * 3),
        ]
        for token in forged:
            assert (await gate.refused(token))[0] == "InvalidIdentityToken", token

    run(scenario)


def test_the_role_must_trust_the_subject(run: Run) -> None:
    async def scenario(gate: Gate) -> None:
        no = ("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity")
        assert await gate.refused(gate.provider.sign(gate.claims(sub="repo:other"))) == no
        assert await gate.refused(gate.provider.sign(gate.claims(aud="other"))) == no
        # Nor does anybody learn which roles there are.
        assert await gate.refused(gate.provider.sign(gate.claims()), RoleArn=f"{gate.role_arn}2") == no
        # A role that trusts everybody means everybody with keys of an account.
        for principal in ("*", {"AWS": "*"}):
            statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:*"}
            trust = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
            await gate.manage("UpdateAssumeRolePolicy", RoleName="deployer", PolicyDocument=trust)
            assert await gate.refused(gate.provider.sign(gate.claims())) == no

    run(scenario)


def test_another_accounts_provider_is_nobody_here(run: Run) -> None:
    async def scenario(gate: Gate) -> None:
        elsewhere = gate.role_arn.replace(gate.iam.directory.account, "222222222222")
        code, message = await gate.refused(gate.provider.sign(gate.claims()), RoleArn=elsewhere)
        assert code == "InvalidIdentityToken"
        assert message.startswith("No OpenIDConnect provider found")

    run(scenario)


def test_keys_are_remembered_and_asked_for_again(run: Run) -> None:
    async def scenario(gate: Gate) -> None:
        await gate.enter(gate.provider.sign(gate.claims()))
        await gate.enter(gate.provider.sign(gate.claims()))
        assert gate.provider.asked == 2  # the configuration and the keys, once each
        gate.provider.rsa = RSAKey.generate_key(2048, {"kid": "new"})
        assert (await gate.refused(gate.provider.sign(gate.claims())))[0] == "InvalidIdentityToken"
        assert gate.provider.asked == 2  # not for every stranger's key
        gate.iam.clock.advance(61)
        await gate.enter(gate.provider.sign(gate.claims()))
        assert gate.provider.asked == 4

    run(scenario)


def test_a_provider_that_does_not_answer(run: Run) -> None:
    async def scenario(gate: Gate) -> None:
        token = gate.provider.sign(gate.claims())
        gate.provider.url = "moved.example.com"
        assert (await gate.refused(token))[0] == "IDPCommunicationError"

    run(scenario)


def test_a_certificate_is_trusted_by_its_thumbprint_only() -> None:
    with serve_provider() as (provider, thumbprint):
        url = f"{provider.issuer}/keys"
        assert json.loads(fetch_pinned(url, ("0" * 40, thumbprint))) == provider.key_set()
        for wrong in ((), ("0" * 40,)):
            with pytest.raises(OSError, match="certificate"):
                fetch_pinned(url, wrong)
        with pytest.raises(ValueError, match="no answer"):
            fetch_pinned(f"{provider.issuer}/elsewhere", (thumbprint,))
