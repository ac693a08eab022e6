"""What users and roles carry, and what roles say of who may take them on: IAM's side of every decision.

Reads the store each time: whoever decides keeps its decisions until the change feed says that IAM has changed.
"""

import json

from sqlalchemy import select

from cosset.identity.arn import Arn
from cosset.identity.evaluation.decision import Layer
from cosset.identity.policy_sources import HeldPolicies, PolicyText, ResourceFacts, tag_context
from cosset.identity.principal import Principal, PrincipalKind
from cosset.services.iam.owners import OwnerKind
from cosset.services.iam.policy_book import PolicyBook, attached_arns
from cosset.services.iam.records import Role, User, find_role, find_user
from cosset.services.iam.tables import inline_policies
from cosset.store.database import Store, Transaction

_TRUSTS_EVERYONE = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "sts:*"}]}
)
# The call itself says where these are, or is to say.
_NAMED_WHOLE = frozenset({"iam:PassRole", "iam:CreateRole", "iam:CreateUser"})


class CarriedPolicies:
    """Implements `PolicySource`."""

    def __init__(self, store: Store, book: PolicyBook) -> None:
        self._store = store
        self._book = book

    async def policies_of(self, principal: Principal) -> HeldPolicies:
        return await self._store.read(lambda tx: self._read(tx, principal))

    def _read(self, tx: Transaction, principal: Principal) -> HeldPolicies:
        owner: User | Role | None = None
        kind: OwnerKind = "user"
        if principal.kind is PrincipalKind.USER:
            owner = find_user(tx, principal.account, principal.arn.rpartition("/")[2])
        elif principal.kind is PrincipalKind.ROLE and principal.role_arn is not None:
            kind, owner = "role", find_role(tx, principal.account, principal.role_arn.rpartition("/")[2])
        if owner is None or owner.arn not in (principal.arn, principal.role_arn):
            return HeldPolicies()
        attached = [self._managed(tx, owner.account, arn) for arn in attached_arns(tx, owner.account, kind, owner.name)]
        boundary = owner.permissions_boundary
        return HeldPolicies(
            identity=(*attached, *_embedded(tx, owner.account, kind, owner.name)),
            boundary=None if boundary is None else self._managed(tx, owner.account, boundary),
            tags=owner.tags,
        )

    def _managed(self, tx: Transaction, account: str, arn: str) -> PolicyText:
        """The default version. A policy that has gone has no text: that denies, which is the safe side."""
        policy = self._book.find(tx, account, arn)
        versions = [] if policy is None else self._book.versions(tx, account, policy)
        texts = [each.document for each in versions if policy is not None and each.number == policy.default_version]
        return PolicyText(arn, texts[0] if texts else "")


class RoleTrust:
    """Implements `ResourceSource` for sts: who may take a role on. In `dev` a role that nobody made trusts everyone."""

    def __init__(self, store: Store, *, dev: bool = False) -> None:
        self._store = store
        self._dev = dev

    async def facts_of(self, action: str, resource: str) -> ResourceFacts | None:
        arn = Arn.parse(resource)
        if arn is None or arn.service != "iam" or not arn.resource.startswith("role/"):
            return None
        name, account = arn.resource.rpartition("/")[2], arn.account
        role = await self._store.read(lambda tx: find_role(tx, account, name))
        trust: tuple[PolicyText, ...] = ()
        tags = {}
        if role is not None and role.arn == resource:
            trust, tags = (PolicyText(role.arn, role.trust_policy),), dict(role.tags)
        elif self._dev:
            trust = (PolicyText(resource, _TRUSTS_EVERYONE),)
        return ResourceFacts(trust, tag_context(tags, "iam"), must_allow=True, layer=Layer.TRUST)


class IamResources:
    """Implements `ResourceSource` for iam: the path and the tags of users and roles that calls name without path."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def facts_of(self, action: str, resource: str) -> ResourceFacts | None:
        arn = Arn.parse(resource)
        if arn is None or arn.service != "iam":
            return None
        kind, _, path = arn.resource.partition("/")
        name, account = path.rpartition("/")[2], arn.account
        found: User | Role | None = None
        if kind == "role":
            found = await self._store.read(lambda tx: find_role(tx, account, name))
        elif kind == "user":
            found = await self._store.read(lambda tx: find_user(tx, account, name))
        if found is None or (action in _NAMED_WHOLE and found.arn != resource):
            return None
        return ResourceFacts(context=tag_context(found.tags, "iam"), arn=found.arn)


def _embedded(tx: Transaction, account: str, kind: OwnerKind, name: str) -> list[PolicyText]:
    query = select(inline_policies.c.name, inline_policies.c.document).where(
        inline_policies.c.account == account,
        inline_policies.c.owner_kind == kind,
        inline_policies.c.owner_key == name.lower(),
    )
    return [PolicyText(str(row.name), str(row.document)) for row in tx.execute(query)]
