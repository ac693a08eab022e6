"""Services with few operations that do something visible, for tests of the rooms in front of services."""

import asyncio
from collections.abc import Sequence
from typing import Any

from cosset.identity.ports import Requirement
from cosset.services.operation import Context, Params, Service, no_requirements, operation
from cosset.wire.errors import ServiceError


def _invoke_requirements(ctx: Context, params: Params) -> Sequence[Requirement]:
    return [Requirement("lambda:InvokeFunction", f"arn:aws:lambda:{ctx.region}:{ctx.account}:function:f")]


class FakeLambda:
    """`Invoke` answers its payload; functions named after a fault show it."""

    def __init__(self) -> None:
        self.contexts: list[Context] = []
        self.left = 0

    @operation("Invoke", _invoke_requirements)
    async def invoke(self, ctx: Context, params: Params) -> dict[str, Any]:
        self.contexts.append(ctx)
        payload = params.get("Payload", b"")
        data = payload if isinstance(payload, bytes) else b"".join([chunk async for chunk in payload])
        if params["FunctionName"] == "broken":
            raise RuntimeError("a bug")
        if params["FunctionName"] == "missing":
            raise ServiceError("ResourceNotFoundException", "Function not found: missing", status=404)
        if params["FunctionName"] == "slow":
            await asyncio.wait_for(ctx.cancelled.wait(), 60)
            self.left += 1
        return {"StatusCode": 200, "Payload": data, "ExecutedVersion": "$LATEST"}

    @operation("ListFunctions", no_requirements)
    async def list_functions(self, ctx: Context, params: Params) -> dict[str, Any]:
        return {"Functions": [{"FunctionName": f"{ctx.account}-{ctx.region}"}]}

    @operation("CreateFunction", no_requirements)
    async def create_function(self, ctx: Context, params: Params) -> dict[str, Any]:
        return {"FunctionName": params["FunctionName"], "CodeSize": len(params["Code"].get("ZipFile", b""))}

    def service(self) -> Service:
        return Service.of("lambda", [self])


class FakeSts:
    @operation("GetCallerIdentity", no_requirements)
    async def get_caller_identity(self, ctx: Context, params: Params) -> dict[str, Any]:
        return {"Account": ctx.account, "Arn": ctx.principal.arn, "UserId": ctx.principal.user_id}

    @operation("AssumeRoleWithWebIdentity", no_requirements)
    async def assume_role_with_web_identity(self, ctx: Context, params: Params) -> dict[str, Any]:
        return {"Audience": ctx.principal.kind.value}

    def service(self) -> Service:
        return Service.of("sts", [self])


class FakeLogs:
    @operation("DescribeLogGroups", no_requirements)
    async def describe_log_groups(self, ctx: Context, params: Params) -> dict[str, Any]:
        return {"logGroups": [{"logGroupName": params.get("logGroupNamePrefix", "all")}]}

    def service(self) -> Service:
        return Service.of("logs", [self], validation_code="InvalidParameterException")


class FakeS3:
    """Keeps the last body it was given, in the chunks it came in."""

    def __init__(self) -> None:
        self.received = b""
        self.metadata: dict[str, str] = {}
        self.answer = b""

    @operation("PutObject", no_requirements)
    async def put_object(self, ctx: Context, params: Params) -> dict[str, Any]:
        data = bytearray()
        async for chunk in params["Body"]:
            data += chunk
        self.received = bytes(data)
        self.metadata = params.get("Metadata", {})
        return {"ETag": '"e"'}

    @operation("GetObject", no_requirements)
    async def get_object(self, ctx: Context, params: Params) -> dict[str, Any]:
        return {"Body": self._pieces(), "ContentLength": len(self.answer)}

    async def _pieces(self) -> Any:
        for at in range(0, len(self.answer), 65536):
            yield self.answer[at : at + 65536]

    def service(self) -> Service:
        return Service.of("s3", [self])
