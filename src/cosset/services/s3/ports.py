"""What S3 asks of other rooms, and what its own parts ask of each other; `assembly/buckets.py` wires them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from cosset.identity.ports import Requirement
from cosset.identity.principal import Principal
from cosset.services.operation import Context
from cosset.services.s3.model import Bucket
from cosset.store.transaction import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectEvent:
    """Something that happened to an object: what notifications tell, and what the causal map records.

    `name` is without its prefix: `ObjectCreated:Put`, `ObjectRemoved:DeleteMarkerCreated`, `ObjectTagging:Put` ...
    `sequencer` orders the events of one key. `principal` None: S3 itself (lifecycle).
    """

    name: str
    bucket: Bucket
    key: str
    size: int | None = None
    etag: str | None = None
    version_id: str | None = None
    sequencer: str
    now_ms: int
    principal: Principal | None
    source_ip: str
    request_id: str
    trace_id: str

    @property
    def step_id(self) -> str:
        """What this change of the object is known by among the causes of others."""
        version = f"@{self.version_id}" if self.version_id else ""
        return f"{self.bucket.name}/{self.key}{version}#{self.sequencer}"


class ObjectEvents(Protocol):
    """Who hears of objects: notifications. Called inside the transaction that makes it so."""

    def happened(self, tx: Transaction, event: ObjectEvent) -> None: ...


class SecondFactors(Protocol):
    """Knows users' MFA devices."""

    async def verify(self, account: str, user_name: str, serial: str, code: str) -> bool:
        """Whether this is a code of that user's device that was not taken before; it is taken now."""
        ...


class Rights(Protocol):
    """What the caller may do besides the call itself: answers that depend on it ask."""

    async def may(self, ctx: Context, needed: Sequence[Requirement]) -> bool: ...
