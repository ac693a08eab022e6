"""Encoded authorization messages: details of a refusal that only those may read who may decode them.

A service that refuses may hand them to its caller (on AWS, EC2 does); `sts:DecodeAuthorizationMessage` reads them. They
are encrypted and sealed under the server's secret, and hold for one account.
"""

import base64
import hashlib
import hmac
import zlib

from cosset.identity.key_material import RandomBytes

_NONCE_BYTES = 16
_SEAL_BYTES = 32
_MAX_BYTES = 64 * 1024


def seal_message(secret: bytes, account: str, message: str, random_bytes: RandomBytes) -> str:
    """`message` as text that tells nothing. At most 64 KiB."""
    plain = zlib.compress(message.encode(), 9)
    if len(message.encode()) > _MAX_BYTES:
        raise ValueError("an authorization message is too long")
    nonce = random_bytes(_NONCE_BYTES)
    sealed = nonce + _masked(secret, nonce, plain)
    return base64.urlsafe_b64encode(_seal(secret, account, sealed) + sealed).decode("ascii").rstrip("=")


def open_message(secret: bytes, account: str, text: str) -> str | None:
    """The message; None for what was not sealed here for this account."""
    try:
        data = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError:
        return None
    seal, sealed = data[:_SEAL_BYTES], data[_SEAL_BYTES:]
    if not hmac.compare_digest(seal, _seal(secret, account, sealed)):
        return None
    nonce, masked = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
    return zlib.decompress(_masked(secret, nonce, masked)).decode()


def _seal(secret: bytes, account: str, sealed: bytes) -> bytes:
    return hmac.digest(secret, b"authorization message\0" + account.encode() + b"\0" + sealed, hashlib.sha256)


def _masked(secret: bytes, nonce: bytes, data: bytes) -> bytes:
    """Adds a keystream that is never used twice: SHAKE-256 of a key for this purpose and the nonce."""
    key = hmac.digest(secret, b"authorization message key", hashlib.sha256)
    stream = hashlib.shake_256(key + nonce).digest(len(data))
    return bytes(a ^ b for a, b in zip(data, stream, strict=True))
