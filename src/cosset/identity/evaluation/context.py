"""The condition keys of a call, all in one place: from the caller, from how the call came, and from the operation.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html. Each is worked out when a
policy asks for it. What an operation says (`Requirement.context`) never replaces what the door knows of the caller.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from cosset.identity.principal import Principal, PrincipalKind

ContextValue = str | Sequence[str]
"""A key's value; a sequence for keys that have several (`aws:TagKeys`)."""

VOLATILE = frozenset({"aws:currenttime", "aws:epochtime", "aws:multifactorauthage", "s3:signatureage"})
"""Keys that are different in every call: a decision about them is not worth keeping."""

_FIXED = frozenset({"aws:username", "aws:userid", "aws:tokenissuetime", "aws:sourceidentity"})
_SHOWN_IN_THE_CALL = frozenset({"aws:multifactorauthpresent", "aws:multifactorauthage"})
"""Of the caller where its session has them; else of the call: sts:AssumeRole may bring a second factor."""
_PRINCIPAL_TAG = "aws:principaltag/"
_TYPES = {
    PrincipalKind.ROOT: "Account",
    PrincipalKind.USER: "User",
    PrincipalKind.ROLE: "AssumedRole",
    PrincipalKind.FEDERATED: "FederatedUser",
    PrincipalKind.ANONYMOUS: "Anonymous",
}


def is_fixed(key: str) -> bool:
    """Follows from who calls, so it is the same in every call of one caller (until its tags change)."""
    return key.startswith("aws:principal") or key in _FIXED


@dataclass(frozen=True, slots=True)
class CallContext:
    """How a call came. `service` is the one that is asked (`lambda`); `via_service` an AWS service that asks it with
    the caller's own rights. `keys`: condition keys of that service about how it was called, in lower case."""

    now_ms: int
    service: str | None = None
    region: str | None = None
    source_ip: str | None = None
    user_agent: str | None = None
    referer: str | None = None
    is_secure: bool = False
    via_service: str | None = None
    keys: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class RequestValues:
    """Implements `templates.Values`. `tags` are the caller's, a role's and its session's together."""

    caller: Principal
    call: CallContext
    tags: Mapping[str, str]
    own: Mapping[str, ContextValue]

    def get(self, key: str, /) -> tuple[str, ...] | None:
        source = _SOURCES.get(key)
        if source is not None:
            value = source(self)
            if value is None and key in _SHOWN_IN_THE_CALL:
                return self._of_the_operation(key)
            return None if value is None else (value,)
        if key.startswith(_PRINCIPAL_TAG):
            return self._tag(key.removeprefix(_PRINCIPAL_TAG))
        return self._named(key)

    def _tag(self, name: str) -> tuple[str, ...] | None:
        found = next((value for key, value in self.tags.items() if key.lower() == name), None)
        return None if found is None else (found,)

    def _named(self, key: str) -> tuple[str, ...] | None:
        for name, said in self.caller.session.context:
            if name.lower() == key:
                return (said,)
        told = (self.call.keys or {}).get(key)
        return self._of_the_operation(key) if told is None else (told,)

    def _of_the_operation(self, key: str) -> tuple[str, ...] | None:
        for name, value in self.own.items():
            if name.lower() == key:
                return (value,) if isinstance(value, str) else tuple(value)
        return None


def _principal_arn(values: RequestValues) -> str | None:
    """Of a session its role's, as AWS gives it."""
    caller = values.caller
    if caller.kind in (PrincipalKind.SERVICE, PrincipalKind.ANONYMOUS):
        return None
    return caller.role_arn or caller.arn


def _account(values: RequestValues) -> str | None:
    return values.caller.account or None


def _user_name(values: RequestValues) -> str | None:
    caller = values.caller
    return caller.arn.rpartition("/")[2] if caller.kind is PrincipalKind.USER else None


def _user_id(values: RequestValues) -> str | None:
    caller = values.caller
    if caller.kind is PrincipalKind.ANONYMOUS:
        return "anonymous"
    return caller.account if caller.kind is PrincipalKind.ROOT else caller.user_id or None


def _service_name(values: RequestValues) -> str | None:
    return values.caller.arn if values.caller.kind is PrincipalKind.SERVICE else None


def _bool(value: bool) -> str:
    return "true" if value else "false"


def _multi_factor(values: RequestValues) -> str | None:
    """There in calls with temporary credentials only, as on AWS."""
    return _bool(values.caller.session.multi_factor_ms is not None) if values.caller.is_temporary else None


def _multi_factor_age(values: RequestValues) -> str | None:
    """In seconds; only there with a second factor."""
    shown_ms = values.caller.session.multi_factor_ms
    return None if shown_ms is None else str((values.call.now_ms - shown_ms) // 1000)


def _token_issue_time(values: RequestValues) -> str | None:
    issued_at_ms = values.caller.issued_at_ms
    return _date(issued_at_ms) if values.caller.is_temporary and issued_at_ms else None


def _date(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


_SOURCES: Mapping[str, Callable[[RequestValues], str | None]] = {
    "aws:principalarn": _principal_arn,
    "aws:principalaccount": _account,
    "aws:principaltype": lambda values: _TYPES.get(values.caller.kind),
    "aws:username": _user_name,
    "aws:userid": _user_id,
    "aws:principalisawsservice": lambda values: _bool(values.caller.kind is PrincipalKind.SERVICE),
    "aws:principalservicename": _service_name,
    "aws:multifactorauthpresent": _multi_factor,
    "aws:multifactorauthage": _multi_factor_age,
    "aws:tokenissuetime": _token_issue_time,
    "aws:sourceidentity": lambda values: values.caller.session.source_identity,
    "aws:currenttime": lambda values: _date(values.call.now_ms),
    "aws:epochtime": lambda values: str(values.call.now_ms // 1000),
    "aws:sourceip": lambda values: values.call.source_ip,
    "aws:useragent": lambda values: values.call.user_agent,
    "aws:referer": lambda values: values.call.referer,
    "aws:securetransport": lambda values: _bool(values.call.is_secure),
    "aws:requestedregion": lambda values: values.call.region,
    "aws:viaawsservice": lambda values: _bool(values.call.via_service is not None),
    "aws:calledviafirst": lambda values: values.call.via_service,
    "aws:calledvialast": lambda values: values.call.via_service,
    "aws:calledvia": lambda values: values.call.via_service,
}
