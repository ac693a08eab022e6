"""What a policy that AWS manages is, and how the modules beside this one write theirs down.

Facts: documents, versions and dates are AWS's (docs.aws.amazon.com/aws-managed-policy). AWS publishes no ids for them,
so those are derived from the ARN.
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

SERVICE_ROLE = "/service-role/"
LOG_WRITES = ("logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents")


@dataclass(frozen=True, slots=True)
class ManagedPolicy:
    """One AWS managed policy at its default version. Times are epoch milliseconds."""

    name: str
    path: str
    version: int
    description: str
    created_ms: int
    updated_ms: int
    document: str

    @property
    def arn(self) -> str:
        return f"arn:aws:iam::aws:policy{self.path}{self.name}"

    @property
    def policy_id(self) -> str:
        return "ANPA" + hashlib.sha256(self.arn.encode()).hexdigest()[:17].upper()


def policy(
    name: str, path: str, version: int, description: str, created: str, updated: str, *statements: dict[str, Any]
) -> ManagedPolicy:
    document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)}, indent=4)
    return ManagedPolicy(name, path, version, description, _epoch_ms(created), _epoch_ms(updated), document)


def allow(*actions: str, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": resource, **more}


def named(sid: str, statement: dict[str, Any]) -> dict[str, Any]:
    return {"Sid": sid} | statement


def _epoch_ms(text: str) -> int:
    return int(datetime.strptime(text, "%Y-%m-%d %H:%M").replace(tzinfo=UTC).timestamp()) * 1000
