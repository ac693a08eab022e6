"""What happened to an object, as S3's parts tell it to whoever listens."""

from uuid import uuid4

from cosset.observe.causes import StepKind
from cosset.services.operation import Context
from cosset.services.s3.model import Bucket, Versioning
from cosset.services.s3.ports import ObjectEvent
from cosset.services.s3.versions import ObjectVersion


def event_of(
    ctx: Context, bucket: Bucket, name: str, version: ObjectVersion, now_ms: int, *, is_gone: bool = False
) -> ObjectEvent:
    """`version` is the one that was made or changed, or (`is_gone`) deleted."""
    shows_size = not is_gone and not version.is_marker
    event = ObjectEvent(
        name=name,
        bucket=bucket,
        key=version.key,
        size=version.size if shows_size else None,
        etag=version.etag if not is_gone else None,
        version_id=None if bucket.versioning is Versioning.NEVER else version.version,
        sequencer=f"{now_ms:011X}{version.seq & 0xFFFFFF:06X}{int(is_gone)}",
        now_ms=now_ms,
        principal=ctx.principal,
        source_ip=ctx.source_ip,
        request_id=ctx.request_id,
        trace_id=ctx.trace_id or "",
    )
    ctx.led_to(StepKind.OBJECT, event.step_id, f"{bucket.arn}/{version.key}")
    return event


def own_event_of(bucket: Bucket, name: str, version: ObjectVersion, now_ms: int) -> ObjectEvent:
    """Of what S3 does by itself: lifecycle, replication. `version` is the one that was made, changed or deleted."""
    return ObjectEvent(
        name=name,
        bucket=bucket,
        key=version.key,
        size=None if version.is_marker else version.size,
        etag=None if version.is_marker else version.etag,
        version_id=None if bucket.versioning is Versioning.NEVER else version.version,
        sequencer=f"{now_ms:011X}{version.seq & 0xFFFFFF:06X}1",
        now_ms=now_ms,
        principal=None,
        source_ip="",
        request_id=uuid4().hex[:16].upper(),
        trace_id="",
    )
