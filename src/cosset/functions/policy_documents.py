"""Resource-based policies as whole documents: PutResourcePolicy and its kin, beside AddPermission's single statements.

Both are about the same policy: a document that is put takes the place of every statement, and GetPolicy shows it.
Refuses what the policy evaluator would not understand, and what is not about the resource. Read next: policies.py.
"""

import json
from collections.abc import Callable
from typing import Any

from cosset.functions import errors, policy_records
from cosset.functions.model import LATEST
from cosset.functions.names import FunctionReference
from cosset.functions.policies import check_revision, read_policy, read_revision, refuse_latest, touch
from cosset.identity.policy_document import MalformedPolicyError, Statement, parse_policy
from cosset.store.database import Store, Transaction


class PolicyDocuments:
    """PutResourcePolicy, GetResourcePolicy and DeleteResourcePolicy."""

    def __init__(self, store: Store, new_id: Callable[[], str]) -> None:
        self._store = store
        self._new_id = new_id

    async def put(
        self, reference: FunctionReference, text: str, *, revision_id: str | None
    ) -> tuple[dict[str, Any], str]:
        """The policy as it is now, and the revision.

        Raises:
            ServiceError: not found, no policy, not about this function, another revision.
        """
        refuse_latest(reference)
        document = _read(text, reference.arn)
        key, qualifier = reference.key, reference.qualifier or ""

        def write(tx: Transaction) -> tuple[dict[str, Any], str]:
            check_revision(tx, key, qualifier, revision_id)
            policy_records.replace(tx, key, qualifier, document)
            touch(tx, key, qualifier, self._new_id)
            return document, read_revision(tx, key, qualifier)

        return await self._store.write(write)

    async def get(self, reference: FunctionReference) -> tuple[dict[str, Any], str]:
        """The policy, and the revision. Raises: ServiceError, when there is none."""
        return await self._store.read(lambda tx: read_policy(tx, _without_latest(reference)))

    async def delete(self, reference: FunctionReference, *, revision_id: str | None) -> None:
        """Raises: ServiceError, when there is none, or another revision."""
        key, qualifier = reference.key, _without_latest(reference).qualifier or ""

        def write(tx: Transaction) -> None:
            read_policy(tx, _without_latest(reference))
            check_revision(tx, key, qualifier, revision_id)
            policy_records.delete_all(tx, key, qualifier)
            touch(tx, key, qualifier, self._new_id)

        await self._store.write(write)


def _without_latest(reference: FunctionReference) -> FunctionReference:
    """A policy on $LATEST is the policy on the function."""
    return FunctionReference(reference.key) if reference.qualifier == LATEST else reference


def _read(text: str, resource: str) -> dict[str, Any]:
    try:
        policy = parse_policy(text)
        for statement in policy.statements:
            _check(statement, resource)
    except MalformedPolicyError as error:
        raise errors.invalid_parameter(f"The resource policy is not valid: {error}") from error
    document: dict[str, Any] = json.loads(text)
    raw = document["Statement"]
    document["Statement"] = raw if isinstance(raw, list) else [raw]
    return document


def _check(statement: Statement, resource: str) -> None:
    if statement.principals is None and statement.not_principals is None:
        raise MalformedPolicyError("Missing required field Principal")
    actions = (*statement.actions, *statement.not_actions)
    if not actions or not all(action == "*" or action.lower().startswith("lambda:") for action in actions):
        raise MalformedPolicyError("Policy statement must contain Lambda actions.")
    if statement.not_resources or statement.resources != (resource,):
        raise MalformedPolicyError(f"Resource must be {resource}")
