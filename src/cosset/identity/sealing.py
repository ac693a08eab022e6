"""Authenticated encryption of small secrets, with the standard library alone: nothing heavy is imported at start.

Encrypt, then authenticate: a SHAKE-256 keystream of a key and a nonce that is never used twice, and HMAC-SHA256 over
what it masks and over its context, so that a value that was moved elsewhere does not open. Keys and nonces are the
caller's. Why not a library: docs/decisions/0021.
"""

import hashlib
import hmac

NONCE_BYTES = 24
_TAG_BYTES = 32
OVERHEAD_BYTES = NONCE_BYTES + _TAG_BYTES


def seal(key: bytes, context: bytes, plain: bytes, nonce: bytes) -> bytes:
    """`plain`, to be opened with the same key and the same context only. `nonce`: fresh random bytes each time."""
    if len(nonce) != NONCE_BYTES:
        raise ValueError(f"a nonce has {NONCE_BYTES} bytes")
    masked = _mask(key, nonce, plain)
    return nonce + _tag(key, context, nonce, masked) + masked


def open_sealed(key: bytes, context: bytes, sealed: bytes) -> bytes | None:
    """None for what was not sealed with this key for this context, or was changed since."""
    nonce, tag, masked = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:OVERHEAD_BYTES], sealed[OVERHEAD_BYTES:]
    if len(sealed) < OVERHEAD_BYTES or not hmac.compare_digest(tag, _tag(key, context, nonce, masked)):
        return None
    return _mask(key, nonce, masked)


def _tag(key: bytes, context: bytes, nonce: bytes, masked: bytes) -> bytes:
    own_key = hmac.digest(key, b"cosset sealing: tag", hashlib.sha256)
    # The length keeps context and content apart: no two pairs of them are one text.
    return hmac.digest(own_key, len(context).to_bytes(8, "big") + context + nonce + masked, hashlib.sha256)


def _mask(key: bytes, nonce: bytes, data: bytes) -> bytes:
    own_key = hmac.digest(key, b"cosset sealing: mask", hashlib.sha256)
    stream = hashlib.shake_256(own_key + nonce).digest(len(data))
    return (int.from_bytes(data, "big") ^ int.from_bytes(stream, "big")).to_bytes(len(data), "big")
