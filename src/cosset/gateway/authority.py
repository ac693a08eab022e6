"""The local certificate authority: what makes AWS's own host names Cosset's, for those who trust it alone.

Made once a data folder, in a process of its own (`python -m cosset.gateway.authority FOLDER`): the node need not load
what makes keys for that. Only environments trust it, whose names lead here; nobody else should. The certificates of
single hosts are made when first asked for, live in memory, and are for AWS's names alone.
Read next: ../environments/jail/dns.py, which gives the names; ../environments/launcher/trust.py, which shows them it.
"""

import asyncio
import datetime
import ipaddress
import os
import re
import ssl
import sys
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # heavy: loaded with the first connection
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

FOLDER = "authority"
CERTIFICATE = "certificate.pem"
KEY = "key.pem"
SUBJECT = "Cosset local authority"
HOSTS_KEPT = 256
"""Certificates of hosts at once; the longest unused makes room."""
_YEARS = 20
_HOST_DAYS = 397
_SKEW = datetime.timedelta(days=2)
"""Environments see the same clock; but clocks have been set back before."""
_HOST = re.compile(
    r"(?=.{1,253}\Z)(?:[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)+(?:amazonaws\.com(?:\.cn)?|api\.aws)", re.ASCII
)


class Authority:
    """The authority of one data folder: `ensure` before the first environment, `context` for who serves."""

    def __init__(self, data: Path) -> None:
        self._folder = data / FOLDER
        self._is_there = False
        self._making: asyncio.Task[None] | None = None
        self._context: ssl.SSLContext | None = None

    async def ensure(self) -> None:
        """Returns when there is one. Any number of callers may wait.

        Raises: OSError, when none could be made.
        """
        self._is_there = self._is_there or (self._folder / CERTIFICATE).exists()
        if self._is_there:
            return
        if self._making is None:
            self._making = asyncio.create_task(self._make(), name="make the certificate authority")
        try:
            await asyncio.shield(self._making)
        except OSError:
            self._making = None  # the next may find room on the disk
            raise

    async def _make(self) -> None:
        command = [sys.executable, "-m", __name__, str(self._folder)]
        process = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.DEVNULL)
        if await process.wait() != 0:
            raise OSError(f"no certificate authority could be made in {self._folder}: see the lines above")

    async def context(self) -> ssl.SSLContext:
        """For a server that answers for every host of AWS's.

        Raises: OSError, ValueError, when the authority's files are not as they were made.
        """
        if self._context is None:
            await self.ensure()
            self._context = await asyncio.to_thread(lambda: HostCertificates(self._folder).context())
        return self._context


class HostCertificates:
    """Makes certificates for the hosts that clients name, all with one key of this process.

    Raises: OSError, ValueError.
    """

    def __init__(self, folder: Path) -> None:
        from cryptography import x509
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ec

        self._authority = x509.load_pem_x509_certificate((folder / CERTIFICATE).read_bytes())
        key = serialization.load_pem_private_key((folder / KEY).read_bytes(), password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ValueError(f"{folder / KEY} is no key of Cosset's")
        self._key = key
        self._host_key = ec.generate_private_key(ec.SECP256R1())
        self._contexts: OrderedDict[str, ssl.SSLContext] = OrderedDict()

    def context(self) -> ssl.SSLContext:
        """Itself without a certificate: it changes for the host that the client names, or ends the conversation."""
        outer = _server_context()
        outer.sni_callback = self._choose
        return outer

    def _choose(self, connection: ssl.SSLObject, host: str | None, _: ssl.SSLContext) -> int | None:
        name = (host or "").lower()
        if not _HOST.fullmatch(name):
            return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        context = self._contexts.pop(name, None) or self._make(name)
        self._contexts[name] = context
        if len(self._contexts) > HOSTS_KEPT:
            self._contexts.popitem(last=False)
        connection.context = context
        return None

    def _make(self, host: str) -> ssl.SSLContext:
        """About half a millisecond."""
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.x509.oid import ExtendedKeyUsageOID

        now = datetime.datetime.now(datetime.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(_name("Cosset"))
            .issuer_name(self._authority.subject)
            .public_key(self._host_key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _SKEW)
            .not_valid_after(now + datetime.timedelta(days=_HOST_DAYS))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=True)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        pem = certificate.public_bytes(serialization.Encoding.PEM) + _pem_of(self._host_key)
        context = _server_context()
        _load(context, pem)
        return context


def make(folder: Path) -> None:
    """A new authority in this folder, on disk when it returns; the certificate last, which says that all is there."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    folder.mkdir(mode=0o700, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _own_certificate(key).public_bytes(serialization.Encoding.PEM)
    for name, content, mode in ((KEY, _pem_of(key), 0o600), (CERTIFICATE, certificate, 0o644)):
        _write(folder / name, content, mode)
    _sync(folder)


def _own_certificate(key: "ec.EllipticCurvePrivateKey") -> "x509.Certificate":
    """It may sign for AWS's names only: whoever were to trust it elsewhere would trust it for no more."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    now = datetime.datetime.now(datetime.UTC)
    nowhere = [x509.IPAddress(ipaddress.ip_network(network)) for network in ("0.0.0.0/0", "::/0")]
    usage = dict.fromkeys(
        ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"), False
    )
    return (
        x509.CertificateBuilder()
        .subject_name(_name(SUBJECT))
        .issuer_name(_name(SUBJECT))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + datetime.timedelta(days=365 * _YEARS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(
            x509.KeyUsage(**usage, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False),
            critical=True,
        )
        .add_extension(
            x509.NameConstraints(
                [x509.DNSName(name) for name in ("amazonaws.com", "amazonaws.com.cn", "api.aws")],
                nowhere,
            ),
            critical=True,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def _name(text: str) -> "x509.Name":
    from cryptography import x509

    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


def _pem_of(key: "ec.EllipticCurvePrivateKey") -> bytes:
    from cryptography.hazmat.primitives import serialization

    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["http/1.1"])
    return context


def _load(context: ssl.SSLContext, pem: bytes) -> None:
    """Only from a file does it take one: this one is in memory."""
    fd = os.memfd_create("certificate", os.MFD_CLOEXEC)
    try:
        os.write(fd, pem)
        context.load_cert_chain(f"/proc/self/fd/{fd}")
    finally:
        os.close(fd)


def _write(path: Path, content: bytes, mode: int) -> None:
    """Whole or not at all, also after power loss."""
    new = path.with_suffix(".new")
    new.unlink(missing_ok=True)
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(fd, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


def _sync(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


if __name__ == "__main__":
    make(Path(sys.argv[1]))
