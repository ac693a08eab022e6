"""STS as this installation serves it: who am I, and temporary credentials. SAML federation is not there."""

from cosset.clock import Clock
from cosset.services.operation import Service
from cosset.services.sts.identity import Identity
from cosset.services.sts.multi_factor import MultiFactor
from cosset.services.sts.ports import ProviderBook, RoleDirectory, SecondFactors, SessionMaker
from cosset.services.sts.provider_keys import Fetch, ProviderKeys, fetch_pinned
from cosset.services.sts.roles import AssumeRole
from cosset.services.sts.sessions import UserSessions
from cosset.services.sts.web_identity import WebIdentity


def sts_service(
    directory: RoleDirectory,
    sessions: SessionMaker,
    providers: ProviderBook,
    second_factors: SecondFactors,
    clock: Clock,
    fetch: Fetch = fetch_pinned,
) -> Service:
    """`fetch` gets what identity providers publish."""
    multi_factor = MultiFactor(second_factors, clock)
    parts = [
        Identity(directory),
        AssumeRole(directory, sessions, multi_factor),
        UserSessions(sessions, multi_factor),
        WebIdentity(directory, sessions, providers, ProviderKeys(fetch, clock), clock),
    ]
    return Service.of("sts", parts, validation_code="ValidationError")
