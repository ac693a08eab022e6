"""From a claim to the access key that it names, in the words in which the door refuses one that is not there."""

from typing import Protocol

from cosset.gateway.refusals import Reason, RefusedError
from cosset.identity.ports import KeyDirectory, KnownKey
from cosset.wire.errors import ServiceError


class NamesKey(Protocol):
    """A claim of either signature, as far as it says whose it is."""

    @property
    def access_key_id(self) -> str: ...

    @property
    def session_token(self) -> str | None: ...


async def find_known_key(keys: KeyDirectory, claim: NamesKey, now_ms: int) -> KnownKey:
    """Raises: RefusedError."""
    try:
        key = await keys.find_key(claim.access_key_id, claim.session_token)
    except ServiceError as error:
        expired = error.code.startswith("ExpiredToken")
        raise RefusedError(Reason.TOKEN_EXPIRED if expired else Reason.TOKEN_INVALID) from error
    if key is None:
        raise RefusedError(Reason.UNKNOWN_KEY, None, AWSAccessKeyId=claim.access_key_id)
    expires_at_ms = key.credentials.expires_at_ms
    if expires_at_ms is not None and expires_at_ms <= now_ms:
        raise RefusedError(Reason.TOKEN_EXPIRED)
    if key.credentials.session_token != claim.session_token:
        raise RefusedError(Reason.TOKEN_INVALID)
    return key
