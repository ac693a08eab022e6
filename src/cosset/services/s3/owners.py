"""Who owns buckets and objects: accounts, by the canonical id that S3 shows of them.

The id says which account it is of, so that a grant to an account needs no table; nobody can tell by looking at it.
"""

import hashlib
import re

ANONYMOUS_ID = "65a011a29cdf8ec533ec3d1ccaae921c"
"""The owner of what nobody in particular uploaded, as on AWS."""

_ID = re.compile(r"[0-9a-f]{64}", re.ASCII)
_MASK = (1 << 40) - 1


def canonical_id(account: str) -> str:
    """64 hexadecimal digits; of no account (an anonymous caller) AWS's own id for it."""
    if not account:
        return ANONYMOUS_ID
    digest = hashlib.sha256(b"canonical user " + account.encode()).hexdigest()[:54]
    return f"{digest}{int(account) ^ int(digest[:10], 16) & _MASK:010x}"


def account_of(canonical: str) -> str | None:
    """The account whose id it is, None where it is nobody's."""
    if canonical == ANONYMOUS_ID:
        return ""
    if _ID.fullmatch(canonical) is None:
        return None
    account = f"{int(canonical[54:], 16) ^ int(canonical[:10], 16) & _MASK:012d}"
    return account if len(account) == 12 and canonical_id(account) == canonical else None


def shown_owner(account: str) -> dict[str, str]:
    return {"ID": canonical_id(account)}
