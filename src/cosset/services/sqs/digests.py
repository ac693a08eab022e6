"""The MD5 digests of messages, as every SDK computes them again to compare.

https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html
"""

import hashlib
import struct
from collections.abc import Mapping

from cosset.services.sqs.model import AttributeValue

_STRING, _BINARY = b"\x01", b"\x02"


def body_digest(body: str) -> str:
    return hashlib.md5(body.encode(), usedforsecurity=False).hexdigest()


def attributes_digest(attributes: Mapping[str, AttributeValue]) -> str | None:
    """None where there are none."""
    if not attributes:
        return None
    digest = hashlib.md5(usedforsecurity=False)
    for name in sorted(attributes):
        value = attributes[name]
        digest.update(_sized(name.encode()) + _sized(value.data_type.encode()))
        if value.binary is not None:
            digest.update(_BINARY + _sized(value.binary))
        else:
            digest.update(_STRING + _sized((value.string or "").encode()))
    return digest.hexdigest()


def _sized(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data
