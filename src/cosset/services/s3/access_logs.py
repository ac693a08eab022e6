"""Server access logs: the lines that a bucket's requests leave, and the objects that they are gathered in.

Best effort, as on AWS: lines wait in memory, and those of the last minute go with a process that is killed. Grants for
the objects (`TargetGrants`) are kept and not carried out. Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/LogFormat.html
"""

import json
import logging
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol
from urllib.parse import quote

from sqlalchemy import and_, select

from cosset.clock import Clock
from cosset.services.s3.kinds import Kind
from cosset.services.s3.owners import canonical_id
from cosset.services.s3.places import CHANGES
from cosset.services.s3.tables import s3_bucket_settings, s3_buckets
from cosset.store.database import Store
from cosset.store.kept import KeptWhole
from cosset.store.transaction import Transaction
from cosset.wire.errors import ServiceError
from cosset.wire.host_ids import host_id

logger = logging.getLogger(__name__)

MOST_CHARS = 8 * 1024 * 1024
"""In memory at once, of the lines of all buckets; what comes when there is so much is not logged."""
_RESOURCES = {
    "CompleteMultipartUpload": "UPLOAD",
    "CopyObject": "OBJECT",
    "DeleteObjects": "MULTI_OBJECT_DELETE",
    "GetBucketLogging": "LOGGING_STATUS",
    "GetBucketPolicy": "BUCKETPOLICY",
    "ListObjectVersions": "BUCKETVERSIONS",
    "PutBucketLogging": "LOGGING_STATUS",
    "PutBucketPolicy": "BUCKETPOLICY",
    "UploadPart": "PART",
    "UploadPartCopy": "PART",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedRequest:
    """What a line tells. `subresource` is what the query is about (`acl`), empty where it is about nothing."""

    bucket: str
    key: str
    at_ms: int
    operation: str
    subresource: str
    method: str
    uri: str
    status: int
    error_code: str
    bytes_sent: int | None
    requester: str
    request_id: str
    source_ip: str
    referer: str
    user_agent: str
    version_id: str
    signature_version: str
    authentication_type: str
    host: str


@dataclass(frozen=True, slots=True)
class Logged:
    """A bucket whose requests are logged, and where to."""

    bucket: str
    account: str
    region: str
    target: str
    prefix: str
    is_partitioned: bool

    @property
    def arn(self) -> str:
        return f"arn:aws:s3:::{self.bucket}"

    def object_key(self, at_ms: int) -> str:
        moment = datetime.fromtimestamp(at_ms / 1000, UTC)
        parts = f"{self.account}/{self.region}/{self.bucket}/{moment:%Y/%m/%d}/" if self.is_partitioned else ""
        return f"{self.prefix}{parts}{moment:%Y-%m-%d-%H-%M-%S}-{secrets.token_hex(8).upper()}"


class LogTargets(Protocol):
    async def put(self, logged: Logged, key: str, body: bytes) -> None:
        """Raises ServiceError, where the target does not let logs in, or is not there."""
        ...


@dataclass(slots=True)
class _Waiting:
    logged: Logged
    lines: list[str] = field(default_factory=list)


class AccessLogs:
    """`note` for every request; `flush` now and then."""

    def __init__(self, store: Store, targets: LogTargets, clock: Clock) -> None:
        self._targets = targets
        self._clock = clock
        self._logged = KeptWhole[Mapping[str, Logged]](lambda: store.read(_read))
        self._logged.follow(store, CHANGES)
        self._waiting: dict[str, _Waiting] = {}
        self._chars = 0

    async def takes(self, bucket: str) -> bool:
        """Are its requests logged?"""
        logged = self._logged.known
        return bucket in (await self._logged.get() if logged is None else logged)

    def note(self, request: LoggedRequest) -> None:
        logged = (self._logged.known or {}).get(request.bucket)
        if logged is None:
            return
        line = write_line(request, logged.account)
        if self._chars + len(line) > MOST_CHARS:
            return
        waiting = self._waiting.get(request.bucket)
        if waiting is None or waiting.logged != logged:
            waiting = self._waiting[request.bucket] = _Waiting(logged)
        waiting.lines.append(line)
        self._chars += len(line)

    async def flush(self) -> None:
        """Writes an object for every bucket that has lines; those that cannot be written now wait."""
        waiting, self._waiting, self._chars = self._waiting, {}, 0
        for name, each in waiting.items():
            try:
                await self._write(each)
            except ServiceError as error:
                if error.status < 500:
                    what = f"{len(each.lines)} lines about {each.logged.arn} were not taken by {each.logged.target}"
                    logger.warning("%s and are lost: %s", what, error.message)
                    continue
                logger.warning("Access logs of %s wait: %s", each.logged.arn, error.message)
                self._wait_again(name, each)

    async def _write(self, waiting: _Waiting) -> None:
        key = waiting.logged.object_key(self._clock.now_ms())
        await self._targets.put(waiting.logged, key, "".join(waiting.lines).encode())

    def _wait_again(self, name: str, waiting: _Waiting) -> None:
        there = self._waiting.get(name)
        if there is None:
            self._waiting[name] = waiting
        elif there.logged == waiting.logged:
            there.lines[:0] = waiting.lines
        self._chars = sum(len(line) for each in self._waiting.values() for line in each.lines)


def write_line(request: LoggedRequest, owner: str) -> str:
    moment = datetime.fromtimestamp(request.at_ms / 1000, UTC)
    sent = "-" if not request.bytes_sent else str(request.bytes_sent)
    fields: Sequence[str] = (
        canonical_id(owner),
        request.bucket,
        f"[{moment:%d/%b/%Y:%H:%M:%S} +0000]",
        request.source_ip or "-",
        request.requester or "-",
        request.request_id,
        f"REST.{_method(request)}.{_resource(request)}",
        quote(request.key, safe="/-_.~") or "-",
        _quoted(f"{request.method} {request.uri} HTTP/1.1"),
        str(request.status),
        request.error_code or "-",
        sent,
        sent if request.operation == "GetObject" and request.status == 200 else "-",
        "-",
        "-",
        _quoted(request.referer or "-"),
        _quoted(request.user_agent or "-"),
        request.version_id or "-",
        host_id(request.request_id),
        request.signature_version or "-",
        "-",
        request.authentication_type or "-",
        request.host or "-",
        "-",
        "-",
        "-",
    )
    return " ".join(fields) + "\n"


def _method(request: LoggedRequest) -> str:
    return "COPY" if request.operation in ("CopyObject", "UploadPartCopy") else request.method


def _resource(request: LoggedRequest) -> str:
    named = _RESOURCES.get(request.operation) or request.subresource.upper().replace("-", "_")
    return named or ("OBJECT" if request.key else "BUCKET")


def _quoted(text: str) -> str:
    """What clients say must not end a field or a line."""
    safe = "".join(each if each.isprintable() else " " for each in text).replace('"', "%22")
    return f'"{safe}"'


def _read(tx: Transaction) -> Mapping[str, Logged]:
    settings, buckets = s3_bucket_settings.c, s3_buckets.c
    query = select(buckets.name, buckets.account, buckets.region, settings.document).where(
        and_(settings.kind == Kind.LOGGING, settings.bucket == buckets.name)
    )
    return {row.name: _logged(row.name, row.account, row.region, row.document) for row in tx.execute(query)}


def _logged(bucket: str, account: str, region: str, text: str) -> Logged:
    document: Mapping[str, Any] = json.loads(text)
    form: Mapping[str, Any] = document.get("TargetObjectKeyFormat") or {}
    is_partitioned = form.get("PartitionedPrefix") is not None
    return Logged(bucket, account, region, document["TargetBucket"], document["TargetPrefix"], is_partitioned)
