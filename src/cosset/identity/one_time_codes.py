"""Time-based one-time codes (RFC 6238) as virtual MFA devices show them: HMAC-SHA1, six digits, every 30 seconds."""

import hashlib
import hmac

STEP_MS = 30_000
SEED_BYTES = 20
AROUND = 2
"""Steps before and after the present one that are taken too: clocks differ."""


def code_at(seed: bytes, step: int) -> str:
    """The six digits of one step since the epoch."""
    digest = hmac.digest(seed, step.to_bytes(8, "big"), hashlib.sha1)
    start = digest[-1] & 15
    number = int.from_bytes(digest[start : start + 4], "big") & 0x7FFFFFFF
    return f"{number % 1_000_000:06}"


def find_step(seed: bytes, code: str, now_ms: int, after: int = -1) -> int | None:
    """The step near now whose code this is, later than the step `after`; None without one.

    A step that was used is not used again, so whoever overhears a code can do nothing with it.
    """
    present = now_ms // STEP_MS
    found = None
    for step in range(max(0, present - AROUND), present + AROUND + 1):
        if hmac.compare_digest(code_at(seed, step).encode(), code.encode()) and step > after and found is None:
            found = step
    return found


def find_steps(seed: bytes, first: str, second: str, now_ms: int, around: int = AROUND) -> int | None:
    """The later of two steps that follow each other near now, whose codes these are. `around`: for clocks far off."""
    present = now_ms // STEP_MS
    for step in range(max(0, present - around), present + around + 1):
        if code_at(seed, step) == first and code_at(seed, step + 1) == second:
            return step + 1
    return None
