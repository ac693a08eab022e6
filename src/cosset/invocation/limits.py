"""The sizes an event may have, and AWS's sentence for one that is larger."""

from cosset.wire.errors import ServiceError

SYNC_PAYLOAD_BYTES = 6 * 1024 * 1024
ASYNC_PAYLOAD_BYTES = 1024 * 1024


def check_payload(payload: bytes, invocation_type: str, limit_bytes: int) -> None:
    """Raises: ServiceError RequestTooLargeException (413), when the payload is above the limit of its type."""
    if len(payload) > limit_bytes:
        raise ServiceError(
            "RequestTooLargeException",
            f"{len(payload)} byte payload is too large for the {invocation_type} invocation type "
            f"(limit {limit_bytes} bytes)",
            status=413,
        )
