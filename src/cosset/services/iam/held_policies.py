"""What users and roles carry, and what roles say of who may take them on: IAM's side of every decision.

Reads the store each time: whoever decides keeps its decisions until the change feed says that IAM has changed.
"""

import json
from collections.abc import Callable, Mapping

from sqlalchemy import select

from cosset.identity.arn import Arn
from cosset.identity.evaluation.decision import Layer
from cosset.identity.policy_sources import HeldPolicies, PolicyText, ResourceFacts, tag_context
from cosset.identity.principal import Principal, PrincipalKind
from cosset.services.iam.first_start import is_here
from cosset.services.iam.instance_profiles import InstanceProfile, find_instance_profile
from cosset.services.iam.owners import OwnerKind
from cosset.services.iam.policy_book import PolicyBook, attached_arns
from cosset.services.iam.records import Group, Role, User, find_group, find_role, find_user, groups_of
from cosset.services.iam.server_certificates import ServerCertificate, find_server_certificate
from cosset.services.iam.tables import inline_policies
from cosset.services.iam.trusted_ids import resolve_trust
from cosset.store.database import Store, Transaction

_CARRIERS = (PrincipalKind.USER, PrincipalKind.ROLE, PrincipalKind.FEDERATED)


class CarriedPolicies:
    """Implements `PolicySource`."""

    def __init__(self, store: Store, book: PolicyBook) -> None:
        self._store = store
        self._book = book

    async def policies_of(self, principal: Principal) -> HeldPolicies:
        return await self._store.read(lambda tx: self._read(tx, principal))

    def _read(self, tx: Transaction, principal: Principal) -> HeldPolicies:
        kind: OwnerKind = "role" if principal.kind is PrincipalKind.ROLE else "user"
        arn = principal.role_arn or principal.lender_arn or principal.arn
        find = find_role if kind == "role" else find_user
        owner = find(tx, principal.account, arn.rpartition("/")[2])
        if principal.kind not in _CARRIERS or owner is None or owner.arn != arn or not _is_same(principal, owner):
            return HeldPolicies(session=self._session(tx, principal), tags=dict(principal.session.tags))
        groups = groups_of(tx, owner.account, owner.name) if kind == "user" else []
        by_group = [text for group in groups for text in self.carried(tx, owner.account, "group", group.name)]
        boundary = owner.permissions_boundary
        return HeldPolicies(
            identity=(*self.carried(tx, owner.account, kind, owner.name), *by_group),
            boundary=None if boundary is None else self.managed(tx, owner.account, boundary),
            session=self._session(tx, principal),
            tags=_merged(owner.tags, dict(principal.session.tags)),
        )

    def carried(self, tx: Transaction, account: str, kind: OwnerKind, name: str) -> list[PolicyText]:
        attached = [self.managed(tx, account, arn) for arn in attached_arns(tx, account, kind, name)]
        return [*attached, *_embedded(tx, account, kind, name)]

    def _session(self, tx: Transaction, principal: Principal) -> tuple[PolicyText, ...] | None:
        """None: nothing narrows the session. A federated one that nothing was granted to has no rights, as on AWS."""
        grant = principal.session
        if not grant.is_narrowed:
            return () if principal.kind is PrincipalKind.FEDERATED else None
        documents = [PolicyText("session", text) for text in grant.policies or ()]
        return (*documents, *(self.managed(tx, principal.account, arn) for arn in grant.policy_arns))

    def managed(self, tx: Transaction, account: str, arn: str) -> PolicyText:
        """The default version. A policy that has gone has no text: that denies, which is the safe side."""
        policy = self._book.find(tx, account, arn)
        versions = [] if policy is None else self._book.versions(tx, account, policy)
        texts = [each.document for each in versions if policy is not None and each.number == policy.default_version]
        return PolicyText(arn, texts[0] if texts else "")


class RoleTrust:
    """Implements `ResourceSource` for sts: who may take a role on.

    In `dev` a role that nobody made trusts its account where that is here, and everyone where it is not.
    """

    def __init__(self, store: Store, *, dev: bool = False) -> None:
        self._store = store
        self._dev = dev

    async def facts_of(self, action: str, resource: str) -> ResourceFacts | None:
        arn = Arn.parse(resource)
        if arn is None or arn.service != "iam" or not arn.resource.startswith("role/"):
            return None
        name, account = arn.resource.rpartition("/")[2], arn.account
        role, here = await self._store.read(lambda tx: (find_role(tx, account, name), is_here(tx, account)))
        trust: tuple[PolicyText, ...] = ()
        tags = {}
        if role is not None and role.arn == resource:
            resolved = await self._store.read(lambda tx: resolve_trust(tx, role))
            trust, tags = (PolicyText(role.arn, resolved.trust_policy),), dict(role.tags)
        elif self._dev:
            trust = (PolicyText(resource, _trusting({"AWS": account} if here else "*")),)
        return ResourceFacts(trust, tag_context(tags, "iam"), must_allow=True, layer=Layer.TRUST)


class IamResources:
    """Implements `ResourceSource` for iam: path, tags and boundary of what calls name without its path."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def facts_of(self, action: str, resource: str) -> ResourceFacts | None:
        arn = Arn.parse(resource)
        if arn is None or arn.service != "iam":
            return None
        kind, _, path = arn.resource.partition("/")
        name, account = path.rpartition("/")[2], arn.account
        find = _FINDERS.get(kind)
        found = None if find is None else await self._store.read(lambda tx: find(tx, account, name))
        if found is None:
            return None
        if isinstance(found, Group):
            return ResourceFacts(arn=found.arn)
        if isinstance(found, InstanceProfile | ServerCertificate):
            return ResourceFacts(context=tag_context(found.tags, "iam"), arn=found.arn)
        context = tag_context(found.tags, "iam")
        if found.permissions_boundary is not None:
            context["iam:PermissionsBoundary"] = found.permissions_boundary
        return ResourceFacts(context=context, arn=found.arn)


_FINDERS: Mapping[
    str, Callable[[Transaction, str, str], User | Role | Group | InstanceProfile | ServerCertificate | None]
] = {
    "role": find_role,
    "user": find_user,
    "group": find_group,
    "instance-profile": find_instance_profile,
    "server-certificate": find_server_certificate,
}


def _merged(tags: Mapping[str, str], over: Mapping[str, str]) -> dict[str, str]:
    """A session's tags take the place of its role's. Keys are the same without regard to case."""
    taken = {key.lower() for key in over}
    return {key: value for key, value in tags.items() if key.lower() not in taken} | dict(over)


def _trusting(principal: dict[str, str] | str) -> str:
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def _is_same(principal: Principal, owner: User | Role) -> bool:
    """Not a successor of the same name. Of a lender its session's key has been asked already."""
    return principal.lender_arn is not None or principal.user_id.partition(":")[0] == owner.unique_id


def _embedded(tx: Transaction, account: str, kind: OwnerKind, name: str) -> list[PolicyText]:
    query = select(inline_policies.c.name, inline_policies.c.document).where(
        inline_policies.c.account == account,
        inline_policies.c.owner_kind == kind,
        inline_policies.c.owner_key == name.lower(),
    )
    return [PolicyText(str(row.name), str(row.document)) for row in tx.execute(query)]
