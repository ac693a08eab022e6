"""The shapes of AWS's identifiers and keys: unique ids (`AROA...`), access key ids (`AKIA...`), secrets, accounts.

Randomness is passed in, so that tests can name what comes out.
"""

import base64
from collections.abc import Callable

RandomBytes = Callable[[int], bytes]
"""Gives that many unpredictable bytes (`secrets.token_bytes`)."""


def _base32(random_bytes: RandomBytes, length: int) -> str:
    return base64.b32encode(random_bytes((length * 5 + 7) // 8)).decode("ascii")[:length]


def new_unique_id(prefix: str, random_bytes: RandomBytes) -> str:
    """An id that is never used again: `AIDA` (user), `AROA` (role) or `ANPA` (policy), and 17 characters."""
    return prefix + _base32(random_bytes, 17)


def new_access_key_id(prefix: str, random_bytes: RandomBytes) -> str:
    """`AKIA` (long-term) or `ASIA` (temporary), and 16 characters."""
    return prefix + _base32(random_bytes, 16)


def secret_text(entropy: bytes) -> str:
    """A secret access key as AWS writes them: 40 characters of base64 over 30 bytes."""
    return base64.b64encode(entropy[:30]).decode("ascii")


def new_account_id(random_bytes: RandomBytes) -> str:
    """Twelve digits that do not start with a zero: no development account, and safe in spreadsheets."""
    return str(100_000_000_000 + int.from_bytes(random_bytes(16), "big") % 900_000_000_000)
