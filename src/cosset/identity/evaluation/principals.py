"""Principal and NotPrincipal: does a resource's policy mean this caller, and how far does its Allow reach?

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html, and for the reach the page
on requests within an account. A principal is named whole: `*` stands for everyone, never for a part of a name.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

from cosset.identity.principal import Principal, PrincipalKind

EVERYONE = "*"


class Reach(IntEnum):
    """How far an Allow of a resource's policy goes for a caller of the same account."""

    NOTHING = 0
    DELEGATED = 1
    """It names the account: the account's own policies decide."""
    LIMITED = 2
    """It names the role (or the user that lends its rights): its boundary and the session's policies must allow too,
    its own policies need not."""
    DIRECT = 3
    """It names the user, the session or everyone: nothing but an explicit Deny stands against it."""


@dataclass(frozen=True, slots=True)
class Principals:
    """What Principal (or NotPrincipal, with `inverted`) lists. `accounts` without their ARN's clothes."""

    inverted: bool
    everyone: bool
    accounts: frozenset[str]
    names: frozenset[str]
    services: frozenset[str]
    providers: frozenset[str] = frozenset()

    def reach(self, caller: Principal, *, allows: bool) -> Reach:
        """NOTHING: the statement is not about this caller. Without `allows` any other answer is the same."""
        if not self.inverted:
            return self._listed(caller, allows)
        if self.everyone or allows:
            # AWS supports NotPrincipal with Deny only.
            return Reach.NOTHING
        # It spares only who is listed with all that it stands on (account, role, session), as AWS warns.
        listed = [self._lists(part, caller) for part in _parts(caller)]
        return Reach.NOTHING if listed and all(listed) else Reach.DIRECT

    def _listed(self, caller: Principal, allows: bool) -> Reach:
        if caller.kind is PrincipalKind.WEB_IDENTITY:
            # Let in only by its provider's name: any token at all is no reason. Kept out with everyone, too.
            named = caller.arn in self.providers or (self.everyone and not allows)
            return Reach.DIRECT if named else Reach.NOTHING
        if self.everyone:
            return Reach.DIRECT
        if caller.kind is PrincipalKind.SERVICE:
            return Reach.DIRECT if caller.arn in self.services else Reach.NOTHING
        if caller.kind is PrincipalKind.ANONYMOUS:
            return Reach.NOTHING
        if caller.kind is PrincipalKind.ROOT:
            return Reach.DIRECT if caller.account in self.accounts else Reach.NOTHING
        if caller.arn in self.names or caller.user_id in self.names:
            return Reach.DIRECT
        if _behind(caller) in self.names or caller.user_id.partition(":")[0] in self.names:
            return Reach.LIMITED
        return Reach.DELEGATED if caller.account in self.accounts else Reach.NOTHING

    def _lists(self, part: str, caller: Principal) -> bool:
        if caller.kind is PrincipalKind.SERVICE:
            return part in self.services
        if caller.kind is PrincipalKind.WEB_IDENTITY:
            return part in self.providers
        return part in (self.accounts if part == caller.account else self.names)


def compile_principals(listed: Mapping[str, tuple[str, ...]], *, inverted: bool) -> Principals:
    """`listed` as `policy_document` reads them. Kinds of principal that nobody here can be are never met."""
    aws = (*listed.get("AWS", ()), *listed.get(EVERYONE, ()))
    accounts = frozenset(account for value in aws if (account := _account(value)) is not None)
    return Principals(
        inverted=inverted,
        everyone=EVERYONE in aws,
        accounts=accounts,
        names=frozenset(aws),
        services=frozenset(listed.get("Service", ())),
        providers=frozenset(listed.get("Federated", ())),
    )


def _parts(caller: Principal) -> list[str]:
    """What a caller stands on, each of which a NotPrincipal must list."""
    if caller.kind is PrincipalKind.ANONYMOUS:
        return []
    if caller.kind in (PrincipalKind.SERVICE, PrincipalKind.WEB_IDENTITY):
        return [caller.arn]
    if caller.kind is PrincipalKind.ROOT:
        return [caller.account]
    return [part for part in (caller.account, caller.arn, _behind(caller)) if part is not None]


def _behind(caller: Principal) -> str | None:
    """The role behind a session, or the user behind a federated one."""
    return caller.role_arn or caller.lender_arn


def _account(value: str) -> str | None:
    """The account that `123456789012` or `arn:aws:iam::123456789012:root` names."""
    if len(value) == 12 and value.isdecimal():
        return value
    parts = value.split(":")
    is_root = len(parts) == 6 and parts[0] == "arn" and parts[2] == "iam" and parts[5] == "root"
    return parts[4] if is_root and parts[4] else None
