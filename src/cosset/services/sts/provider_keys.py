"""The public keys of identity providers, fetched from where they publish them and remembered for a while.

Nobody but an account's own administrators says which providers are asked: a token of another is refused before this.
Answers are short and soon, or there are none; nothing is followed elsewhere.
"""

import asyncio
import hashlib
import http.client
import json
import ssl
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from cosset.clock import Clock
from cosset.services.sts.ports import Provider
from cosset.wire.errors import ServiceError

_TIMEOUT_S = 5.0
_MAX_BYTES = 256 * 1024
_KEPT_MS = 3_600_000
_ASKED_AGAIN_MS = 60_000
"""A token with a key that is not known asks again, but not more often."""
_MAX_PROVIDERS = 1_000

Fetch = Callable[[str, tuple[str, ...]], bytes]
"""`fetch(url, thumbprints)`: the body of a successful GET. Raises OSError or ValueError. Runs in a thread."""


@dataclass(frozen=True, slots=True)
class _Published:
    keys: dict[str, Any]
    fetched_ms: int


class ProviderKeys:
    def __init__(self, fetch: Fetch, clock: Clock) -> None:
        self._fetch = fetch
        self._clock = clock
        self._known: OrderedDict[tuple[str, tuple[str, ...]], _Published] = OrderedDict()

    async def keys_of(self, provider: Provider, key_id: str | None) -> dict[str, Any]:
        """The provider's JSON Web Key Set, as it is; fetched anew when it is old or does not have the key.

        Raises:
            ServiceError: IDPCommunicationError.
        """
        at = (provider.url, provider.thumbprints)
        known, now_ms = self._known.get(at), self._clock.now_ms()
        if known is not None and now_ms - known.fetched_ms < _KEPT_MS:
            has_key = key_id is None or any(_key_id(each) == key_id for each in known.keys["keys"])
            if has_key or now_ms - known.fetched_ms < _ASKED_AGAIN_MS:
                return known.keys
        keys = await asyncio.to_thread(self._read, provider)
        self._known[at] = _Published(keys, now_ms)
        while len(self._known) > _MAX_PROVIDERS:
            self._known.popitem(last=False)
        return keys

    def _read(self, provider: Provider) -> dict[str, Any]:
        issuer = f"https://{provider.url}"
        try:
            found = _object(self._fetch(f"{issuer}/.well-known/openid-configuration", provider.thumbprints))
            address = found.get("jwks_uri")
            if found.get("issuer") != issuer or not isinstance(address, str) or not address.startswith("https://"):
                raise ValueError("no OpenID Connect configuration of this issuer")
            keys = _object(self._fetch(address, provider.thumbprints))
            if not isinstance(keys.get("keys"), list):
                raise ValueError("no JSON Web Key Set")
        except (OSError, ValueError, http.client.HTTPException):
            sentence = (
                "Couldn't retrieve verification key from your identity provider,  please reference "
                "AssumeRoleWithWebIdentity documentation for requirements"
            )
            raise ServiceError("IDPCommunicationError", sentence) from None
        return keys


def fetch_pinned(url: str, thumbprints: tuple[str, ...]) -> bytes:
    """GET, with a certificate that this host trusts or whose SHA-1 the provider's administrators gave."""
    try:
        return _get(url, ssl.create_default_context(), None)
    except ssl.SSLCertVerificationError:
        if not thumbprints:
            raise
        unverified = ssl.create_default_context()
        unverified.check_hostname = False
        unverified.verify_mode = ssl.CERT_NONE
        return _get(url, unverified, thumbprints)


def _get(url: str, context: ssl.SSLContext, thumbprints: tuple[str, ...] | None) -> bytes:
    parts = urlsplit(url)
    if parts.hostname is None:
        raise ValueError("no host")
    connection = http.client.HTTPSConnection(parts.hostname, parts.port or 443, timeout=_TIMEOUT_S, context=context)
    try:
        connection.connect()
        if thumbprints is not None and _thumbprint(connection) not in thumbprints:
            raise ssl.SSLCertVerificationError("the certificate is not one of those that were given")
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("GET", target, headers={"Accept": "application/json"})
        answer = connection.getresponse()
        body = answer.read(_MAX_BYTES + 1)
        if answer.status != 200 or len(body) > _MAX_BYTES:
            raise ValueError("no answer")
        return body
    finally:
        connection.close()


def _thumbprint(connection: http.client.HTTPSConnection) -> str:
    sock = connection.sock
    certificate = sock.getpeercert(binary_form=True) if isinstance(sock, ssl.SSLSocket) else None
    return hashlib.sha1(certificate or b"", usedforsecurity=False).hexdigest()


def _object(body: bytes) -> dict[str, Any]:
    found = json.loads(body)
    if not isinstance(found, dict):
        raise ValueError("no JSON object")
    return found


def _key_id(key: object) -> object:
    return key.get("kid") if isinstance(key, dict) else None
