"""What exports ask of S3; `assembly/log_exports.py` wires it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol


class BucketRefusedError(Exception):
    """The bucket is not there or does not let CloudWatch Logs in. The text is what the API says of it."""


@dataclass(frozen=True, slots=True)
class Exporter:
    """On whose behalf logs are written: what a bucket's policy may ask of the call."""

    account: str
    region: str
    log_group: str
    task_id: str = ""

    @property
    def source_arn(self) -> str:
        return f"arn:aws:logs:{self.region}:{self.account}:log-group:{self.log_group}:*"


class ExportBuckets(Protocol):
    async def check(self, bucket: str, prefix: str, exporter: Exporter) -> None:
        """Returns when logs may be written below the prefix. Raises: BucketRefusedError, ServiceError."""
        ...

    async def put(self, bucket: str, key: str, body: AsyncIterator[bytes] | bytes, exporter: Exporter) -> None:
        """The object is durable when it returns. Raises: BucketRefusedError, ServiceError: not now."""
        ...
