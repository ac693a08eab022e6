"""Passwords of users: what an account asks of one, and how one is kept. Only a slow hash of it is stored."""

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Any

from cosset.identity.key_material import RandomBytes
from cosset.wire.errors import ServiceError

# scrypt: 2**14 rounds of 8 blocks take 16 MB and about 50 ms, OWASP's least.
_N, _R, _P = 2**14, 8, 1
_MEMORY = 64 * 1024 * 1024
_SYMBOLS = frozenset("!@#$%^&*()_+-=[]{}|'")

AWS_DEFAULT: Mapping[str, Any] = {"MinimumPasswordLength": 8}
"""What AWS asks where an account says nothing; besides three of the four kinds of characters."""


def hash_password(password: str, random_bytes: RandomBytes) -> str:
    """Slow on purpose: never call it on the event loop."""
    return _hashed(password, random_bytes(16))


def is_password(password: str, kept: str) -> bool:
    """Slow on purpose: never call it on the event loop."""
    salt = base64.b64decode(kept.split("$")[4])
    return hmac.compare_digest(_hashed(password, salt).encode(), kept.encode())


def check_password(password: str, user_name: str, policy: Mapping[str, Any] | None) -> None:
    """Raises ServiceError PasswordPolicyViolation, with the first thing that is missing."""
    asked = AWS_DEFAULT if policy is None else policy
    length = asked.get("MinimumPasswordLength", 6)
    if len(password) < length:
        raise _violation(f"Password should have a minimum length of {length}")
    kinds = {
        "RequireSymbols": (
            "one of the following non-alphanumeric characters: ! @ # $ % ^ & * ( ) _ + - = [ ] { } | '",
            any(each in _SYMBOLS for each in password),
        ),
        "RequireNumbers": ("one number", any(each.isdigit() for each in password)),
        "RequireUppercaseCharacters": ("one uppercase letter", any(each.isupper() for each in password)),
        "RequireLowercaseCharacters": ("one lowercase letter", any(each.islower() for each in password)),
    }
    for name, (words, there) in kinds.items():
        if asked.get(name) and not there:
            raise _violation(f"Password should have at least {words}")
    if policy is None and (sum(there for _, there in kinds.values()) < 3 or password.lower() == user_name.lower()):
        raise _violation(
            "Password must have at least three of: uppercase letters, lowercase letters, numbers, symbols; "
            "and must not be the name of the user"
        )


def is_used_already(password: str, kept: Sequence[str]) -> bool:
    return any(is_password(password, each) for each in kept)


def password_used_already() -> ServiceError:
    return _violation("Policy constraint violation with password reuse prevention during password change.")


def _hashed(password: str, salt: bytes) -> str:
    made = hashlib.scrypt(password.encode(), salt=salt, n=_N, r=_R, p=_P, maxmem=_MEMORY, dklen=32)
    parts = ("scrypt", str(_N), str(_R), str(_P), _text(salt), _text(made))
    return "$".join(parts)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _violation(sentence: str) -> ServiceError:
    return ServiceError("PasswordPolicyViolation", sentence, status=400)
