"""Certificates and public keys as their owners give them: read to be checked, and never trusted here.

What reads X.509 and SSH keys is the package cryptography, imported when the first is given.
"""

import base64
import binascii
import hashlib
from dataclasses import dataclass

from cosset.wire.errors import ServiceError

_MAX_KEY_BITS = 16_384
_MAX_PRIVATE_KEY_CHARS = 5_000
"""RSA of 4,096 bits, AWS's longest, and some room: checking a key takes the longer the longer it is."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """`public_key` is its SubjectPublicKeyInfo, `fingerprint` the SHA-256 of the whole."""

    body: str
    expires_ms: int
    public_key: bytes
    fingerprint: str


def read_certificate(text: str) -> Certificate:
    """One certificate in PEM. Raises ServiceError MalformedCertificate."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization

    try:
        found = x509.load_pem_x509_certificate(text.encode())
        public_key = found.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        expires_ms = int(found.not_valid_after_utc.timestamp()) * 1000
    except (ValueError, TypeError):
        raise malformed("Unable to parse certificate. Please ensure the certificate is in PEM format.") from None
    return Certificate(text.strip(), expires_ms, public_key, found.fingerprint(hashes.SHA256()).hex())


def check_chain(text: str) -> str:
    """Certificates one after the other. Raises ServiceError MalformedCertificate."""
    from cryptography import x509

    try:
        x509.load_pem_x509_certificates(text.encode())
    except (ValueError, TypeError):
        raise malformed("Unable to parse certificate chain. Please ensure it is in PEM format.") from None
    return text.strip()


def check_private_key(text: str, certificate: Certificate) -> str:
    """The certificate's own, without a passphrase. Raises ServiceError MalformedCertificate, KeyPairMismatch."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization

    try:
        if len(text) > _MAX_PRIVATE_KEY_CHARS:
            raise ValueError("longer than any key that is taken")
        public_key = serialization.load_pem_private_key(text.encode(), None).public_key()
        found = public_key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    except (ValueError, TypeError, UnsupportedAlgorithm, AttributeError):
        raise malformed("Unable to parse private key. Please ensure it is in PEM format and not encrypted.") from None
    if found != certificate.public_key:
        sentence = "The public key in the certificate does not match the private key."
        raise ServiceError("KeyPairMismatch", sentence, status=400)
    return text.strip()


@dataclass(frozen=True, slots=True)
class SshKey:
    """`body` as OpenSSH writes it, `pem` the same key otherwise, `fingerprint` MD5 in pairs, as AWS shows it."""

    body: str
    pem: str
    fingerprint: str


def read_ssh_key(text: str) -> SshKey:
    """An RSA key, in OpenSSH's form or in PEM. Raises ServiceError InvalidPublicKey."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    data = text.strip().encode()
    try:
        is_pem = data.startswith(b"-----BEGIN")
        key = serialization.load_pem_public_key(data) if is_pem else serialization.load_ssh_public_key(data)
        if not isinstance(key, RSAPublicKey) or not 2048 <= key.key_size <= _MAX_KEY_BITS:
            raise ValueError("not an RSA key of a size that is taken")
        body = key.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode()
        pem = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
        blob = base64.b64decode(body.split(" ")[1])
    except (ValueError, TypeError, UnsupportedAlgorithm, binascii.Error):
        raise ServiceError(
            "InvalidPublicKey", "The public key is malformed or otherwise invalid.", status=400
        ) from None
    digest = hashlib.md5(blob, usedforsecurity=False).hexdigest()
    pairs = ":".join(digest[at : at + 2] for at in range(0, len(digest), 2))
    return SshKey(body if is_pem else text.strip(), pem.strip(), pairs)


def malformed(sentence: str) -> ServiceError:
    return ServiceError("MalformedCertificate", sentence, status=400)
