"""Which services somebody's policies reach, and when each was last called: service last-accessed details.

A job is done when it is asked for; its answer is kept and read later, as on AWS. By service only, not by action.
"""

import uuid
from collections.abc import Iterable
from typing import Any

from sqlalchemy import delete, func, insert, select

from cosset.clock import Clock
from cosset.identity.arn import Arn
from cosset.identity.key_material import RandomBytes
from cosset.identity.policy_document import MalformedPolicyError, parse_policy
from cosset.identity.policy_sources import PolicyText
from cosset.services.iam.errors import invalid_input, limit_exceeded, no_such_entity
from cosset.services.iam.held_policies import CarriedPolicies
from cosset.services.iam.paging import page
from cosset.services.iam.policy_book import PolicyBook
from cosset.services.iam.records import find_group, find_role, find_user, groups_of
from cosset.services.iam.requirements import on_arn, on_everything
from cosset.services.iam.tables import access_jobs
from cosset.services.iam.uses import find_entity_uses
from cosset.services.operation import Context, Params, Result, operation
from cosset.store.database import Store, Transaction
from cosset.wire.errors import OperationNotImplementedError

_KEPT_MS = 7 * 86_400_000
_MAX_JOBS = 1_000
_NAMES = {
    "apigateway": "Amazon API Gateway",
    "cloudformation": "AWS CloudFormation",
    "cloudwatch": "Amazon CloudWatch",
    "dynamodb": "Amazon DynamoDB",
    "ec2": "Amazon EC2",
    "events": "Amazon EventBridge",
    "iam": "AWS Identity and Access Management",
    "kinesis": "Amazon Kinesis Data Streams",
    "kms": "AWS Key Management Service",
    "lambda": "AWS Lambda",
    "logs": "Amazon CloudWatch Logs",
    "s3": "Amazon S3",
    "scheduler": "Amazon EventBridge Scheduler",
    "secretsmanager": "AWS Secrets Manager",
    "sns": "Amazon SNS",
    "sqs": "Amazon SQS",
    "ssm": "AWS Systems Manager",
    "states": "AWS Step Functions",
    "sts": "AWS Security Token Service",
    "xray": "AWS X-Ray",
}
"""Those that `*` stands for here; of others the namespace is the name."""


class LastAccessed:
    def __init__(self, store: Store, book: PolicyBook, clock: Clock, random_bytes: RandomBytes) -> None:
        self._store = store
        self._policies = CarriedPolicies(store, book)
        self._clock = clock
        self._random_bytes = random_bytes

    @operation("GenerateServiceLastAccessedDetails", on_arn("GenerateServiceLastAccessedDetails", "Arn"))
    async def generate(self, ctx: Context, params: Params) -> Result:
        if params.get("Granularity") == "ACTION_LEVEL":
            named = "GenerateServiceLastAccessedDetails with Granularity ACTION_LEVEL"
            raise OperationNotImplementedError("iam", named)
        job_id, now_ms = str(uuid.UUID(bytes=self._random_bytes(16), version=4)), self._clock.now_ms()

        def work(tx: Transaction) -> None:
            _make_room(tx, ctx.account, now_ms)
            found = self._accessed(tx, ctx.account, params["Arn"])
            entity = _entity(tx, ctx.account, params["Arn"])
            row = {"job_id": job_id, "account": ctx.account, "services": found, "created_ms": now_ms}
            tx.execute(insert(access_jobs).values(**row, entity=entity))

        await self._store.write(work)
        return {"JobId": job_id}

    @operation("GetServiceLastAccessedDetails", on_everything("GetServiceLastAccessedDetails"))
    async def get(self, ctx: Context, params: Params) -> Result:
        row = await self._job(ctx, params["JobId"])
        shown = page(
            "ServicesLastAccessed", row.services, lambda each: str(each["ServiceNamespace"]), lambda each: each, params
        )
        return {"JobStatus": "COMPLETED", "JobType": "SERVICE_LEVEL"} | _when(row) | shown

    @operation("ListPoliciesGrantingServiceAccess", on_arn("ListPoliciesGrantingServiceAccess", "Arn"))
    async def list_granting(self, ctx: Context, params: Params) -> Result:
        def work(tx: Transaction) -> list[dict[str, Any]]:
            carried = self._carried(tx, ctx.account, params["Arn"])[0]
            return [
                {
                    "ServiceNamespace": namespace,
                    "Policies": [_granting(owner, text) for owner, text in carried if namespace in _reached([text])],
                }
                for namespace in params["ServiceNamespaces"]
            ]

        return {"PoliciesGrantingServiceAccess": await self._store.read(work), "IsTruncated": False}

    @operation("GetServiceLastAccessedDetailsWithEntities", on_everything("GetServiceLastAccessedDetailsWithEntities"))
    async def get_with_entities(self, ctx: Context, params: Params) -> Result:
        """Who the job was about, where it was a user or a role, and when it last called the service."""
        row = await self._job(ctx, params["JobId"])
        entity, namespace = row.entity, params["ServiceNamespace"]
        found = next((each for each in row.services if each["ServiceNamespace"] == namespace), None)
        details = []
        if entity is not None and found is not None:
            used = {"LastAuthenticated": found["LastAuthenticated"]} if "LastAuthenticated" in found else {}
            details = [{"EntityInfo": entity} | used]
        return {"JobStatus": "COMPLETED", "EntityDetailsList": details, "IsTruncated": False} | _when(row)

    async def _job(self, ctx: Context, job_id: str) -> Any:
        mine = (access_jobs.c.account == ctx.account, access_jobs.c.job_id == job_id)
        row = await self._store.read(lambda tx: tx.execute(select(access_jobs).where(*mine)).one_or_none())
        if row is None:
            raise no_such_entity(f"Job {job_id} was not found.")
        return row

    def _accessed(self, tx: Transaction, account: str, arn: str) -> list[dict[str, Any]]:
        carried, unique_ids = self._carried(tx, account, arn)
        uses = [(unique_id, use) for unique_id in unique_ids for use in find_entity_uses(tx, unique_id)]
        shown = []
        for namespace in sorted(_reached(text for _, text in carried)):
            mine = [use for _, use in uses if use.service == namespace]
            each: dict[str, Any] = {"ServiceName": _NAMES.get(namespace, namespace), "ServiceNamespace": namespace}
            if mine:
                last = max(mine, key=lambda use: use.used_ms)
                each |= {"LastAuthenticated": last.used_ms // 1000, "LastAuthenticatedEntity": arn}
                each["LastAuthenticatedRegion"] = last.region
            shown.append(each | {"TotalAuthenticatedEntities": len(mine)})
        return shown

    def _carried(
        self, tx: Transaction, account: str, arn: str
    ) -> tuple[list[tuple[tuple[str, str], PolicyText]], list[str]]:
        """The policies of a user (its groups' too), a group, a role, or the policy itself, each with who carries it;
        and the ids of those whose calls count. Raises ServiceError InvalidInput, NoSuchEntity."""
        parsed = Arn.parse(arn)
        kind, _, rest = ("", "", "") if parsed is None else parsed.resource.partition("/")
        name = rest.rpartition("/")[2]
        if kind == "policy":
            return [(("", ""), self._policies.managed(tx, account, arn))], []
        if kind == "user" and (user := find_user(tx, account, name)) is not None and user.arn == arn:
            texts = [(("USER", name), text) for text in self._policies.carried(tx, account, "user", name)]
            for group in groups_of(tx, account, name):
                texts += [
                    (("GROUP", group.name), each) for each in self._policies.carried(tx, account, "group", group.name)
                ]
            return texts, [user.unique_id]
        if kind == "role" and (role := find_role(tx, account, name)) is not None and role.arn == arn:
            texts = [(("ROLE", name), text) for text in self._policies.carried(tx, account, "role", name)]
            return texts, [role.unique_id]
        if kind == "group" and (found := find_group(tx, account, name)) is not None and found.arn == arn:
            return [(("GROUP", name), text) for text in self._policies.carried(tx, account, "group", name)], []
        if kind not in ("user", "role", "group"):
            raise invalid_input(f"Invalid ARN: {arn}")
        raise no_such_entity(f"ARN {arn} does not exist.")


def _make_room(tx: Transaction, account: str, now_ms: int) -> None:
    """Answers are kept for a week, as on AWS. Raises ServiceError LimitExceeded: too many within it."""
    mine = access_jobs.c.account == account
    tx.execute(delete(access_jobs).where(mine, access_jobs.c.created_ms < now_ms - _KEPT_MS))
    count = tx.execute(select(func.count()).select_from(access_jobs).where(mine)).scalar_one()
    if count >= _MAX_JOBS:
        raise limit_exceeded(f"Cannot exceed quota for ServiceLastAccessedJobsPerAccount: {_MAX_JOBS}")


def _when(row: Any) -> dict[str, int]:
    return {"JobCreationDate": row.created_ms // 1000, "JobCompletionDate": row.created_ms // 1000}


def _entity(tx: Transaction, account: str, arn: str) -> dict[str, str] | None:
    """The user or role; None for a group or a policy, which call nothing."""
    name = arn.rpartition("/")[2]
    for kind, found in (("USER", find_user(tx, account, name)), ("ROLE", find_role(tx, account, name))):
        if found is not None and found.arn == arn:
            return {"Arn": arn, "Name": found.name, "Type": kind, "Id": found.unique_id, "Path": found.path}
    return None


def _reached(texts: Iterable[PolicyText]) -> set[str]:
    """The namespaces of services that these allow anything of."""
    found: set[str] = set()
    for text in texts:
        try:
            statements = parse_policy(text.text).statements
        except MalformedPolicyError:
            continue
        for statement in statements:
            if not statement.allows:
                continue
            left_out = {action.lower().removesuffix(":*") for action in statement.not_actions if action.endswith(":*")}
            if statement.not_actions:
                found |= set(_NAMES) - left_out
            for action in statement.actions:
                found |= set(_NAMES) if action.startswith("*") else {action.partition(":")[0].lower()}
    return found


def _granting(owner: tuple[str, str], policy: PolicyText) -> dict[str, str]:
    if policy.name.startswith("arn:"):
        name = policy.name.rpartition("/")[2]
        return {"PolicyName": name, "PolicyType": "MANAGED", "PolicyArn": policy.name}
    return {"PolicyName": policy.name, "PolicyType": "INLINE", "EntityType": owner[0], "EntityName": owner[1]}
