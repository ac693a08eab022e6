"""IAM as this installation serves it. One module a noun; what they share: `owners.py`, `records.py`, `shapes.py`.

Policies are kept and shown exactly; `held_policies.py` gives them to `identity/authorizer.py`. Tables: `tables.py`.
Second factors are virtual devices: `mfa_devices.py`.
"""

import secrets
from collections.abc import Sequence
from dataclasses import replace

from cosset.clock import Clock
from cosset.identity.key_material import RandomBytes
from cosset.identity.ports import Requirement
from cosset.identity.principal import PrincipalKind
from cosset.identity.sessions import invalid_token
from cosset.services.iam.access_keys import AccessKeys
from cosset.services.iam.account import Account
from cosset.services.iam.attachments import Attachments
from cosset.services.iam.authorization_details import AuthorizationDetails
from cosset.services.iam.credential_report import CredentialReport
from cosset.services.iam.groups import Groups
from cosset.services.iam.inline_policies import InlinePolicies
from cosset.services.iam.instance_profiles import InstanceProfiles
from cosset.services.iam.last_accessed import LastAccessed
from cosset.services.iam.login_profiles import LoginProfiles
from cosset.services.iam.mfa_devices import MfaDevices
from cosset.services.iam.oidc_providers import OidcProviders
from cosset.services.iam.policies import Policies
from cosset.services.iam.policy_book import PolicyBook
from cosset.services.iam.policy_entities import PolicyEntities
from cosset.services.iam.public_keys import PublicKeys
from cosset.services.iam.roles import Roles
from cosset.services.iam.saml_providers import SamlProviders
from cosset.services.iam.server_certificates import ServerCertificates
from cosset.services.iam.service_credentials import ServiceCredentials
from cosset.services.iam.service_linked_roles import ServiceLinkedRoles
from cosset.services.iam.simulator import Simulator
from cosset.services.iam.tags import Tags
from cosset.services.iam.users import Users
from cosset.services.operation import Context, Params, Requirements, Service
from cosset.store.database import Store


def iam_service(store: Store, clock: Clock, random_bytes: RandomBytes = secrets.token_bytes) -> Service:
    book = PolicyBook()
    parts = [
        Roles(store, book, clock, random_bytes),
        Users(store, book, clock, random_bytes),
        AccessKeys(store, clock, random_bytes),
        Policies(store, book, clock, random_bytes),
        Attachments(store, book, clock),
        PolicyEntities(store, book),
        Groups(store, clock, random_bytes),
        InstanceProfiles(store, clock, random_bytes),
        InlinePolicies(store),
        Tags(store, book),
        Account(store),
        AuthorizationDetails(store, book),
        LoginProfiles(store, clock, random_bytes),
        ServiceCredentials(store, clock, random_bytes),
        ServiceLinkedRoles(store, clock, random_bytes),
        OidcProviders(store, clock),
        SamlProviders(store, clock, random_bytes),
        MfaDevices(store, clock, random_bytes),
        ServerCertificates(store, clock, random_bytes),
        PublicKeys(store, clock, random_bytes),
        CredentialReport(store, clock),
        LastAccessed(store, book, clock, random_bytes),
        Simulator(store, book),
    ]
    service = Service.of("iam", parts, validation_code="ValidationError")
    guarded = {
        name: replace(each, requirements=_long_term_users(each.requirements))
        for name, each in service.operations.items()
    }
    return replace(service, operations=guarded)


def _long_term_users(requirements: Requirements) -> Requirements:
    """A user's sessions, its own and those that it lends, may not call IAM, as on AWS without a second factor:
    https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_temp_control-access_getsessiontoken.html"""

    def guarded(ctx: Context, params: Params) -> Sequence[Requirement]:
        caller = ctx.principal
        has_second_factor = caller.kind is PrincipalKind.USER and caller.session.multi_factor_ms is not None
        is_users = caller.kind in (PrincipalKind.USER, PrincipalKind.FEDERATED)
        if caller.is_temporary and is_users and not has_second_factor:
            raise invalid_token()
        return requirements(ctx, params)

    return guarded
