"""Targets for tests of invocation, a call of one, and what an Execution stands on."""

from collections.abc import Sequence
from pathlib import Path

from cosset.identity.principal import Credentials
from cosset.invocation.api import Invocation, Target
from cosset.observe.ports import LogEvent, StreamKey


def target(name: str, reserved: int | None = None, account: str = "111111111111") -> Target:
    return Target(
        account=account,
        region="us-east-1",
        function_name=name,
        function_arn=f"arn:aws:lambda:us-east-1:{account}:function:{name}",
        version="$LATEST",
        revision="1",
        runtime="python3.13",
        runtime_version="python:3.13.v1",
        runtime_version_arn="arn:aws:lambda:us-east-1::runtime:0",
        handler="index.handler",
        role="arn:aws:iam::111111111111:role/r",
        memory_mb=128,
        timeout_s=3,
        ephemeral_storage_mb=512,
        code_dir=Path("/nowhere"),
        log_group=f"/aws/lambda/{name}",
        reserved_concurrency=reserved,
    )


TARGET = target("f")
CALL = Invocation(
    account=TARGET.account,
    region=TARGET.region,
    function_name="f",
    qualifier=None,
    payload=b"{}",
    request_id="r-1",
    invoked_arn=TARGET.function_arn,
    want_log_tail=True,
)


class Logs:
    def __init__(self) -> None:
        self.messages: list[str] = []
        self.streams: list[StreamKey] = []

    def write(self, key: StreamKey, events: Sequence[LogEvent]) -> None:
        self.streams.append(key)
        self.messages += [event.message for event in events]

    async def flush(self) -> None: ...


class Sessions:
    async def issue(
        self, role_arn: str, session_name: str, duration_s: int, function_arn: str | None = None
    ) -> Credentials:
        return Credentials("ASIA", "secret", "token")
