"""Resource-based policies: who else may call a function, a version or an alias, one statement a grant.

Kept and shown as AWS does. Who a statement lets in is for the policy evaluator to say (see the identity room), which
gets them from `resource_policies.py`.
"""

import dataclasses
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cosset.functions import alias_records, errors, names, policy_records, records
from cosset.functions.model import LATEST, FunctionKey
from cosset.functions.names import FunctionReference
from cosset.store.database import Store, Transaction

MAX_POLICY_BYTES = 20_480

_SERVICE = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)*\.amazonaws\.com(\.cn)?|[a-z0-9-]+\.amazon\.com")
_ARN = re.compile(r"arn:aws[a-zA-Z-]*:(iam|sts)::\d{12}:.+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What AddPermission was asked for."""

    sid: str
    action: str
    principal: str
    source_arn: str | None = None
    source_account: str | None = None
    event_source_token: str | None = None
    organization: str | None = None
    url_auth_type: str | None = None
    via_url: bool | None = None


class Policies:
    """AddPermission, RemovePermission and GetPolicy. Each change gives what it is about a new revision
    (recorded: TestLambdaPermissions::test_lambda_permission_revisions)."""

    def __init__(self, store: Store, new_id: Callable[[], str]) -> None:
        self._store = store
        self._new_id = new_id

    async def add(self, reference: FunctionReference, grant: Grant, *, revision_id: str | None) -> dict[str, Any]:
        """The statement.

        Raises:
            ServiceError: not found, the statement id is taken, the principal makes no sense, another revision.
        """
        key, qualifier = reference.key, reference.qualifier or ""
        refuse_latest(reference)
        statement = make_statement(grant, reference.arn)

        def write(tx: Transaction) -> dict[str, Any]:
            check_revision(tx, key, qualifier, revision_id)
            present = policy_records.read_statements(tx, key, qualifier)
            if any(other.get("Sid") == grant.sid for other in present):
                raise errors.statement_exists(grant.sid)
            policy_records.insert_statement(tx, key, qualifier, statement, sid=grant.sid)
            if policy_records.sum_size(tx, key, qualifier) > MAX_POLICY_BYTES:
                raise errors.policy_too_large(MAX_POLICY_BYTES)
            touch(tx, key, qualifier, self._new_id)
            return statement

        return await self._store.write(write)

    async def remove(self, reference: FunctionReference, sid: str, *, revision_id: str | None) -> None:
        """Raises:
        ServiceError: there is no such statement, or another revision.
        """
        key, qualifier = reference.key, reference.qualifier or ""

        def write(tx: Transaction) -> None:
            read_revision(tx, key, qualifier)
            if not policy_records.read_statements(tx, key, qualifier):
                raise errors.not_found("No policy is associated with the given resource.")
            check_revision(tx, key, qualifier, revision_id)
            if not policy_records.delete_statement(tx, key, qualifier, sid):
                raise errors.not_found(f"Statement {sid} is not found in resource policy.")
            touch(tx, key, qualifier, self._new_id)

        await self._store.write(write)

    async def get(self, reference: FunctionReference) -> tuple[dict[str, Any], str]:
        """The policy document, and its revision.

        Raises:
            ServiceError: there is none.
        """
        return await self._store.read(lambda tx: read_policy(tx, reference))


def make_statement(grant: Grant, resource: str) -> dict[str, Any]:
    """As AWS writes it (recorded: test_lambda_permission_revisions, test_lambda_url_invocation_exception)."""
    statement: dict[str, Any] = {
        "Sid": grant.sid,
        "Effect": "Allow",
        "Principal": _principal(grant.principal),
        "Action": grant.action,
        "Resource": resource,
    }
    equal = {
        "AWS:SourceAccount": grant.source_account,
        "lambda:EventSourceToken": grant.event_source_token,
        "lambda:FunctionUrlAuthType": grant.url_auth_type,
        "aws:PrincipalOrgID": grant.organization,
    }
    condition: dict[str, dict[str, str]] = {}
    if any(equal.values()):
        condition["StringEquals"] = {name: value for name, value in equal.items() if value}
    if grant.source_arn:
        condition["ArnLike"] = {"AWS:SourceArn": grant.source_arn}
    if grant.via_url is not None:
        condition["Bool"] = {"lambda:InvokedViaFunctionUrl": str(grant.via_url).lower()}
    if condition:
        statement["Condition"] = condition
    return statement


def _principal(given: str) -> str | dict[str, str]:
    if given == "*":
        return given
    if given.isdecimal() and len(given) == 12:
        return {"AWS": f"arn:aws:iam::{given}:root"}
    if _ARN.fullmatch(given):
        return {"AWS": given}
    if _SERVICE.fullmatch(given):
        return {"Service": given}
    raise errors.invalid_parameter("The provided principal was invalid. Please check the principal and try again.")


def check_revision(tx: Transaction, key: FunctionKey, qualifier: str, revision_id: str | None) -> None:
    current = read_revision(tx, key, qualifier)
    if revision_id is not None and revision_id != current:
        raise errors.stale_revision("GetPolicy")


def read_revision(tx: Transaction, key: FunctionKey, qualifier: str) -> str:
    """The revision of the function, version or alias that the policy belongs to."""
    if names.is_alias(qualifier):
        alias = alias_records.read_alias(tx, key, qualifier)
        if alias is None:
            raise errors.not_found(f"Cannot find alias arn: {key.qualified_arn(qualifier)}")
        return alias.revision_id
    version = records.read_version(tx, key, qualifier or LATEST)
    if version is None:
        raise errors.function_not_found(key.qualified_arn(qualifier) if qualifier else key.arn)
    return version.revision_id


def read_policy(tx: Transaction, reference: FunctionReference) -> tuple[dict[str, Any], str]:
    """The policy document, and its revision. Raises: ServiceError, when there is none."""
    key, qualifier = reference.key, reference.qualifier or ""
    revision_id = read_revision(tx, key, qualifier)
    document = policy_records.read_document(tx, key, qualifier)
    if document is None:
        raise errors.not_found("The resource you requested does not exist.")
    return document, revision_id


def refuse_latest(reference: FunctionReference) -> None:
    if reference.qualifier == LATEST:
        raise errors.invalid_parameter("We currently do not support adding policies for $LATEST.")


def touch(tx: Transaction, key: FunctionKey, qualifier: str, new_id: Callable[[], str]) -> None:
    """What the policy belongs to has a new revision."""
    alias = alias_records.read_alias(tx, key, qualifier) if names.is_alias(qualifier) else None
    version = None if alias else records.read_version(tx, key, qualifier or LATEST)
    if alias is not None:
        alias_records.write_alias(tx, dataclasses.replace(alias, revision_id=new_id()))
    if version is not None:
        records.write_version(tx, dataclasses.replace(version, revision_id=new_id()))
    records.announce(tx, key)
