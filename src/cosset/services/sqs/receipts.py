"""Receipt handles: opaque to clients, proof to us that this queue gave this message to somebody.

A handle outlives its receipt: of a standard queue AWS takes old ones too, so it must be told from a forged one without
a record of it. It is signed with the queue's own secret.
"""

import base64
import binascii
import hashlib
import hmac
import struct
from dataclasses import dataclass

from cosset.store.queue_messages import seq_of
from cosset.wire.errors import ServiceError

_PREFIX = b"\x01\x02"
_HEAD = struct.Struct(">2s16sQ8sQ")
_PROOF_BYTES = 32


@dataclass(frozen=True, slots=True)
class Receipt:
    """`uid` is the queue's at that time: one that was purged since has another. `received_ms`: when it was given."""

    uid: str
    lease: str
    received_ms: int

    @property
    def seq(self) -> int:
        return seq_of(self.lease)


def make_handle(secret: bytes, uid: str, lease: str, now_ms: int) -> str:
    seq, _, token = lease.partition(".")
    head = _HEAD.pack(_PREFIX, bytes.fromhex(uid), int(seq), bytes.fromhex(token), now_ms)
    return base64.b64encode(head + _proof(secret, head)).decode()


def read_handle(secret: bytes, handle: str) -> Receipt:
    """Raises ServiceError ReceiptHandleIsInvalid: malformed, forged, or another queue's."""
    try:
        data = base64.b64decode(handle, validate=True)
    except (binascii.Error, ValueError):
        raise _invalid(handle) from None
    head, proof = data[: _HEAD.size], data[_HEAD.size :]
    if len(data) != _HEAD.size + _PROOF_BYTES or not hmac.compare_digest(proof, _proof(secret, head)):
        raise _invalid(handle)
    _, uid, seq, token, received_ms = _HEAD.unpack(head)
    return Receipt(uid.hex(), f"{seq}.{token.hex()}", received_ms)


def _proof(secret: bytes, head: bytes) -> bytes:
    return hmac.digest(secret, head, hashlib.sha256)


def _invalid(handle: str) -> ServiceError:
    return ServiceError("ReceiptHandleIsInvalid", f'The input receipt handle "{handle}" is not a valid receipt handle.')
