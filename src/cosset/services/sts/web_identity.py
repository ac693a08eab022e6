"""AssumeRoleWithWebIdentity: a session of a role for whom an identity provider vouches. The call needs no signature;
the token, verified against the provider's keys, is its proof.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from cosset.clock import Clock
from cosset.identity.arn import Arn
from cosset.identity.principal import SessionGrant
from cosset.identity.sessions import AssumableRole
from cosset.identity.trust import trusts_web_identity
from cosset.services.operation import Context, Params, Result, no_requirements, operation
from cosset.services.sts.answers import assumed_role_shown, credentials_shown, refuse_what_is_no_role, too_long
from cosset.services.sts.grants import grant_shown, read_grant, refuse_what_is_not_there
from cosset.services.sts.ports import Provider, ProviderBook, RoleDirectory, SessionMaker
from cosset.services.sts.provider_keys import ProviderKeys
from cosset.services.sts.web_tokens import invalid_token, read_unverified, verify
from cosset.wire.errors import OperationNotImplementedError, ServiceError

_DEFAULT_S = 3600


class WebIdentity:
    def __init__(
        self,
        directory: RoleDirectory,
        sessions: SessionMaker,
        providers: ProviderBook,
        keys: ProviderKeys,
        clock: Clock,
    ) -> None:
        self._directory = directory
        self._sessions = sessions
        self._providers = providers
        self._keys = keys
        self._clock = clock

    @operation("AssumeRoleWithWebIdentity", no_requirements)
    async def assume_role_with_web_identity(self, ctx: Context, params: Params) -> Result:
        refuse_what_is_not_there("AssumeRoleWithWebIdentity", params)
        if params.get("ProviderId"):
            raise OperationNotImplementedError("sts", "AssumeRoleWithWebIdentity with ProviderId")
        role_arn, session_name = params["RoleArn"], params["RoleSessionName"]
        refuse_what_is_no_role(role_arn)
        provider, claims = await self._verified(role_arn, params["WebIdentityToken"])
        role = await self._directory.role(role_arn)
        keys = _condition_keys(provider, claims, session_name)
        if role is None or not trusts_web_identity(
            role.trust_policy, role.arn, provider.arn, self._clock.now_ms(), keys
        ):
            raise ServiceError("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity", status=403)
        grant = _with_context(read_grant(params, role.account), keys)
        duration_s = params.get("DurationSeconds", _DEFAULT_S)
        refusal = too_long(role.max_session_s, duration_s)
        if refusal is not None:
            raise refusal
        assumable = AssumableRole(role.account, role.arn, role.unique_id)
        credentials = await self._sessions.issue_for_role(assumable, session_name, duration_s, grant)
        return {
            "Credentials": credentials_shown(credentials),
            "SubjectFromWebIdentityToken": claims["sub"],
            "AssumedRoleUser": assumed_role_shown(assumable, session_name),
            "Provider": provider.arn,
            "Audience": _audience(claims),
        } | grant_shown(params, grant)

    async def _verified(self, role_arn: str, token: str) -> tuple[Provider, dict[str, Any]]:
        """The token's provider and its claims, once signature, time and audience hold.

        Raises:
            ServiceError: InvalidIdentityToken, ExpiredTokenException, IDPCommunicationError.
        """
        header, unverified = read_unverified(token)
        arn, issuer = Arn.parse(role_arn), unverified.get("iss")
        if not isinstance(issuer, str) or not issuer.startswith("https://"):
            raise invalid_token("Issuer must be a valid URL")
        url = issuer.removeprefix("https://").rstrip("/")
        provider = None if arn is None else await self._providers.find_provider(arn.account, url)
        if provider is None:
            raise invalid_token(f"No OpenIDConnect provider found in your account for {issuer}")
        key_id = header.get("kid")
        keys = await self._keys.keys_of(provider, key_id if isinstance(key_id, str) else None)
        claims = verify(token, keys)
        self._check(provider, claims)
        return provider, claims

    def _check(self, provider: Provider, claims: Mapping[str, Any]) -> None:
        now_s = self._clock.now_ms() // 1000
        for name in ("exp", "iat"):
            if not isinstance(claims.get(name), int | float):
                raise invalid_token(f"Missing a required claim: {name}")
        if now_s >= claims["exp"]:
            sentence = f"Token expired: current date/time {now_s} must be before the expiration date/time"
            raise ServiceError("ExpiredTokenException", f"{sentence} {int(claims['exp'])}")
        not_before = claims.get("nbf", 0)
        if not isinstance(not_before, int | float) or now_s + 300 < not_before:
            raise invalid_token("The ID Token is not valid yet")
        if not isinstance(claims.get("sub"), str) or not claims["sub"]:
            raise invalid_token("Missing a required claim: sub")
        # With an authorized party, that is whom the token was made for.
        if not set(_audiences(claims)) & set(provider.client_ids):
            raise invalid_token("Incorrect token audience")


def _audiences(claims: Mapping[str, Any]) -> list[str]:
    given = claims["azp"] if isinstance(claims.get("azp"), str) else claims.get("aud")
    listed = given if isinstance(given, list) else [given]
    return [each for each in listed if isinstance(each, str)]


def _audience(claims: Mapping[str, Any]) -> str:
    return _audiences(claims)[0]


def _condition_keys(provider: Provider, claims: Mapping[str, Any], session_name: str) -> dict[str, str | Sequence[str]]:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_iam-condition-keys.html, web identity."""
    keys: dict[str, str | Sequence[str]] = {
        "aws:FederatedProvider": provider.arn,
        "sts:RoleSessionName": session_name,
        f"{provider.url}:aud": _audience(claims),
        f"{provider.url}:sub": str(claims["sub"]),
    }
    if isinstance(claims.get("azp"), str) and isinstance(claims.get("aud"), str):
        keys[f"{provider.url}:oaud"] = claims["aud"]
    methods = claims.get("amr")
    if isinstance(methods, list):
        keys[f"{provider.url}:amr"] = tuple(each for each in methods if isinstance(each, str))
    return keys


def _with_context(grant: SessionGrant, keys: Mapping[str, str | Sequence[str]]) -> SessionGrant:
    """The session keeps the provider's condition keys that have one value."""
    kept = [(name, value) for name, value in keys.items() if isinstance(value, str) and not name.startswith("sts:")]
    return SessionGrant(
        grant.policies,
        grant.policy_arns,
        grant.tags,
        grant.transitive_tag_keys,
        grant.source_identity,
        tuple(kept),
    )
