"""Signs messages, so that who gets one knows that it came from here: version 1 with SHA-1, version 2 with SHA-256.

One RSA key for the installation, made when it is first needed, sealed at rest. Its certificate is self-signed and is
served to everyone (`places.py`); verifiers must be told to trust this host, since it is not AWS's.
"""

import asyncio
import base64
import hashlib
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import insert, select

from cosset.clock import Clock
from cosset.services.sns.places import CERTIFICATE_PATH
from cosset.services.sns.tables import sns_signing_keys
from cosset.store.database import Store, Transaction

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

_NAME = "messages"
_YEARS = 10
_KEPT = 256


@dataclass(frozen=True, slots=True)
class Signature:
    """`value` is base64; `certificate_path` is where the certificate is, on this host."""

    version: str
    value: str
    certificate_path: str


@dataclass(frozen=True, slots=True)
class _Pair:
    private_key: "RSAPrivateKey" = field(repr=False)
    certificate: bytes

    @property
    def path(self) -> str:
        return f"{CERTIFICATE_PATH}{hashlib.md5(self.certificate, usedforsecurity=False).hexdigest()}.pem"


class Signing:
    """`sign` costs a millisecond of a core: what was signed last is remembered, for the other subscribers."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._pair: _Pair | None = None
        self._signed: OrderedDict[tuple[str, str], Signature] = OrderedDict()

    async def sign(self, text: str, version: str) -> Signature:
        known = self._signed.get((version, text))
        if known is not None:
            return known
        pair = await self._key_pair()
        value = await asyncio.to_thread(_sign, pair.private_key, text, version)
        made = self._signed[version, text] = Signature(version, value, pair.path)
        if len(self._signed) > _KEPT:
            self._signed.popitem(last=False)
        return made

    async def certificate(self, path: str) -> bytes | None:
        """The certificate that is at this path, as PEM; None where there is none."""
        kept = await self._store.read(_read)
        if kept is None:
            return None
        pair = await self._key_pair()
        return pair.certificate if pair.path == path else None

    async def _key_pair(self) -> _Pair:
        if self._pair is None:
            kept = await self._store.read(_read)
            if kept is None:
                made = await asyncio.to_thread(_make, self._clock.now_ms())
                kept = await self._store.write(lambda tx: _keep(tx, *made))
            self._pair = await asyncio.to_thread(_load, *kept)
        return self._pair


def _read(tx: Transaction) -> tuple[str, str] | None:
    row = tx.execute(select(sns_signing_keys).where(sns_signing_keys.c.name == _NAME)).one_or_none()
    if row is None:
        return None
    return row.certificate, tx.unseal(sns_signing_keys.c.private_key, [_NAME], row.private_key)


def _keep(tx: Transaction, certificate: str, private_key: str) -> tuple[str, str]:
    """Another node's may have come first: then that is the one."""
    there = _read(tx)
    if there is not None:
        return there
    sealed = tx.seal(sns_signing_keys.c.private_key, [_NAME], private_key)
    tx.execute(insert(sns_signing_keys).values(name=_NAME, certificate=certificate, private_key=sealed))
    return certificate, private_key


def _make(now_ms: int) -> tuple[str, str]:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.x509.oid import NameOID

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.cosset.localhost")])
    start = datetime.fromtimestamp(now_ms / 1000, UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start - timedelta(days=1))
        .not_valid_after(start + timedelta(days=365 * _YEARS))
        .sign(key, hashes.SHA256())
    )
    private_key = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.public_bytes(serialization.Encoding.PEM).decode(), private_key.decode()


def _load(certificate: str, private_key: str) -> _Pair:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    key = load_pem_private_key(private_key.encode(), None)
    assert isinstance(key, RSAPrivateKey)
    return _Pair(key, certificate.encode())


def _sign(key: "RSAPrivateKey", text: str, version: str) -> str:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding

    # Version 1 is AWS's own, and SHA-1 is what it is.
    digest = hashes.SHA256() if version == "2" else hashes.SHA1()
    return base64.b64encode(key.sign(text.encode(), padding.PKCS1v15(), digest)).decode()
