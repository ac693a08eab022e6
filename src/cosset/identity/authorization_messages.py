"""Encoded authorization messages: details of a refusal that only those may read who may decode them.

A service that refuses may hand them to its caller (on AWS, EC2 does); `sts:DecodeAuthorizationMessage` reads them. They
are sealed under the server's secret, and hold for one account.
"""

import base64
import zlib

from cosset.identity.key_material import RandomBytes
from cosset.identity.sealing import NONCE_BYTES, open_sealed, seal

_MAX_BYTES = 64 * 1024


def seal_message(secret: bytes, account: str, message: str, random_bytes: RandomBytes) -> str:
    """`message` as text that tells nothing. At most 64 KiB."""
    if len(message.encode()) > _MAX_BYTES:
        raise ValueError("an authorization message is too long")
    sealed = seal(secret, _context(account), zlib.compress(message.encode(), 9), random_bytes(NONCE_BYTES))
    return base64.urlsafe_b64encode(sealed).decode("ascii").rstrip("=")


def open_message(secret: bytes, account: str, text: str) -> str | None:
    """The message; None for what was not sealed here for this account."""
    try:
        data = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError:
        return None
    plain = open_sealed(secret, _context(account), data)
    return None if plain is None else zlib.decompress(plain).decode()


def _context(account: str) -> bytes:
    return b"authorization message\0" + account.encode()
