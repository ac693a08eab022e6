"""What functions asked IAM for, and what audit let through: bounded, in memory, on its way to a table.

`PolicyAuthorizer` tells it; `services/installation/access_log.py` takes what is new from time to time and keeps it.
It counts what was denied; of what was allowed it knows only that it was asked for, since a kept decision costs nothing.
"""

from dataclasses import dataclass, replace

from cosset.identity.principal import Principal
from cosset.identity.sessions import SOURCE_FUNCTION

MAX_PER_SUBJECT = 500
MAX_WAITING = 20_000
MAX_RESOURCE_CHARS = 2_048


@dataclass(frozen=True, slots=True)
class Access:
    """Who asked for what. `subject` is a function's ARN without its version; else a user's or a role's."""

    account: str
    subject: str
    action: str
    resource: str


@dataclass(frozen=True, slots=True)
class Tally:
    """`denied`: how often it was, or in audit would have been. `reason` ends the newest refusal; None without one."""

    denied: int
    reason: str | None
    at_ms: int


class AccessBook:
    """At its limits what is new is left out: `left_out` counts that."""

    def __init__(self, max_per_subject: int = MAX_PER_SUBJECT, max_waiting: int = MAX_WAITING) -> None:
        self._max_per_subject = max_per_subject
        self._max_waiting = max_waiting
        self._seen: dict[str, set[Access]] = {}
        self._waiting: dict[Access, Tally] = {}
        self._seen_count = 0
        self.left_out = 0
        self.let_through = 0

    def asked(self, principal: Principal, action: str, resource: str, now_ms: int) -> None:
        """A function asked; whatever was decided. Others are not kept."""
        function = function_of(principal)
        if function is not None:
            self._keep(Access(principal.account, function, action, resource), Tally(0, None, now_ms))

    def denied(
        self, principal: Principal, action: str, resource: str, reason: str, now_ms: int, *, let_through: bool
    ) -> None:
        """Of those who are no functions only what audit let through is kept."""
        self.let_through += let_through
        subject = function_of(principal) or (principal.role_arn or principal.arn if let_through else None)
        if subject is not None:
            self._keep(Access(principal.account, subject, action, resource), Tally(1, reason, now_ms))

    def take(self) -> dict[Access, Tally]:
        """What is new since it was last taken."""
        taken, self._waiting = self._waiting, {}
        return taken

    def put_back(self, taken: dict[Access, Tally]) -> None:
        """What could not be kept, to be taken again."""
        for access, tally in taken.items():
            self._wait(access, tally)

    def _keep(self, access: Access, tally: Tally) -> None:
        if not _is_text(access.resource):
            self.left_out += 1
        elif access in self._waiting or tally.denied or self._is_new(access):
            self._wait(access, tally)

    def _is_new(self, access: Access) -> bool:
        if self._seen_count >= self._max_waiting:
            # What was seen is in the table by now: seeing it again costs a write and adds nothing.
            self._seen.clear()
            self._seen_count = 0
        seen = self._seen.setdefault(access.subject, set())
        if access in seen:
            return False
        if len(seen) >= self._max_per_subject:
            self.left_out += 1
            return False
        seen.add(access)
        self._seen_count += 1
        return True

    def _wait(self, access: Access, tally: Tally) -> None:
        known = self._waiting.get(access)
        if known is not None:
            tally = replace(
                tally,
                denied=known.denied + tally.denied,
                reason=tally.reason or known.reason,
                at_ms=max(known.at_ms, tally.at_ms),
            )
        elif len(self._waiting) >= self._max_waiting:
            self.left_out += 1
            return
        self._waiting[access] = tally


def _is_text(resource: str) -> bool:
    """Functions choose what they ask for: what a table cannot hold must not stand in the way of the rest."""
    return len(resource) <= MAX_RESOURCE_CHARS and all(each.isprintable() for each in resource)


def function_of(principal: Principal) -> str | None:
    """The function that a session was made for, without its version or alias."""
    for key, value in principal.session.context:
        if key == SOURCE_FUNCTION:
            return ":".join(value.split(":")[:7])
    return None
