"""Targets for tests of invocation."""

from pathlib import Path

from cosset.invocation.api import Target


def target(name: str, reserved: int | None = None, account: str = "111111111111") -> Target:
    return Target(
        account=account,
        region="us-east-1",
        name=name,
        arn=f"arn:aws:lambda:us-east-1:{account}:function:{name}",
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
