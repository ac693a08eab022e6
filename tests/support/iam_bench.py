"""IAM's operations over a real store, as its administrator calls them."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cosset.services.iam.service import iam_service
from cosset.wire.errors import ServiceError
from support.caller import Caller
from support.identity import Iam, open_iam

TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
)
POLICY = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}
)


@dataclass
class Bench:
    iam: Iam
    call: Caller
    account: str

    async def refused(self, operation: str, **params: Any) -> tuple[str, str, int]:
        with pytest.raises(ServiceError) as caught:
            await self.call(operation, **params)
        return caught.value.code, caught.value.message, caught.value.status

    async def role(self, name: str = "worker", **params: Any) -> dict[str, Any]:
        answer = await self.call("CreateRole", RoleName=name, AssumeRolePolicyDocument=TRUST, **params)
        role: dict[str, Any] = answer["Role"]
        return role


Run = Callable[[Callable[[Bench], Awaitable[None]]], None]


def run_with_iam(folder: Path) -> Run:
    def run_scenario(scenario: Callable[[Bench], Awaitable[None]]) -> None:
        async def whole() -> None:
            async with open_iam(folder) as iam:
                known = await iam.directory.find_key(iam.administrator.access_key_id, None)
                assert known is not None
                call = Caller(iam_service(iam.store, iam.clock), known.principal)
                await scenario(Bench(iam, call, iam.directory.account))

        asyncio.run(whole())

    return run_scenario
