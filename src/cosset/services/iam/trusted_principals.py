"""Whether the principals of a trust policy are any: IAM looks them up when a trust policy is set, and refuses the rest.

Users and roles of this account must be there. Those of others cannot be looked up here, so only their form is checked;
neither can identity providers nor which services there are.
"""

import re
from collections.abc import Callable, Mapping

from cosset.identity.arn import Arn
from cosset.identity.policy_document import PolicyDocument
from cosset.services.iam.errors import malformed_policy
from cosset.services.iam.records import Role, User, find_role, find_user
from cosset.store.database import Transaction

_ACCOUNT = re.compile(r"[0-9]{12}")
_UNIQUE_ID = re.compile(r"A[A-Z0-9]{15,127}")
_SERVICE = re.compile(r"[A-Za-z0-9.-]+\.(amazonaws\.com(\.cn)?|aws\.internal)")
_EVERYBODY = "*"
_SESSIONS = ("assumed-role/", "federated-user/")
_FIND: Mapping[str, Callable[[Transaction, str, str], User | Role | None]] = {"user": find_user, "role": find_role}


def refuse_unknown_principals(tx: Transaction, account: str, trust: PolicyDocument) -> None:
    """Raises ServiceError MalformedPolicyDocument for the first principal that is none."""
    for statement in trust.statements:
        for listed in (statement.principals or {}, statement.not_principals or {}):
            for kind, values in listed.items():
                for value in values:
                    if not _is_principal(tx, account, kind, value):
                        raise malformed_policy(f'Invalid principal in policy: "{kind.upper()}":"{value}"')


def _is_principal(tx: Transaction, account: str, kind: str, value: str) -> bool:
    if value == _EVERYBODY:
        return True
    if kind == "Service":
        return _SERVICE.fullmatch(value) is not None
    return kind != "AWS" or _is_somebody(tx, account, value)


def _is_somebody(tx: Transaction, account: str, value: str) -> bool:
    if _ACCOUNT.fullmatch(value) or _UNIQUE_ID.fullmatch(value):
        return True
    arn = Arn.parse(value)
    if arn is None or arn.region or not _ACCOUNT.fullmatch(arn.account) or _EVERYBODY in value:
        return False
    if arn.service == "sts":
        return arn.resource.startswith(_SESSIONS)
    if arn.service != "iam":
        return False
    kind, _, name = arn.resource.partition("/")
    if arn.resource == "root" or arn.account != account:
        return arn.resource == "root" or (kind in _FIND and bool(name))
    found = _FIND[kind](tx, account, name.rpartition("/")[2]) if kind in _FIND else None
    return found is not None and found.arn == value
