"""An OpenID Connect provider: it signs tokens, and publishes its keys over HTTPS with a certificate of its own."""

import contextlib
import datetime
import hashlib
import ipaddress
import json
import ssl
import tempfile
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey


class IdentityProvider:
    """`url` is without its scheme. `sign` makes tokens with one of its two keys."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.rsa = RSAKey.generate_key(2048, {"kid": "rsa", "use": "sig", "alg": "RS256"})
        self.ec = ECKey.generate_key("P-256", {"kid": "ec", "use": "sig", "alg": "ES256"})
        self.asked = 0

    @property
    def issuer(self) -> str:
        return f"https://{self.url}"

    def sign(self, claims: Mapping[str, Any], algorithm: str = "RS256") -> str:
        key = self.rsa if algorithm.startswith("RS") else self.ec
        return jwt.encode({"alg": algorithm, "kid": key.kid}, {"iss": self.issuer, **claims}, key)

    def key_set(self) -> dict[str, Any]:
        return {"keys": [self.rsa.as_dict(private=False), self.ec.as_dict(private=False)]}

    def fetch(self, url: str, thumbprints: tuple[str, ...] = ()) -> bytes:
        """What it publishes; stands for the network. Raises OSError for anything else."""
        self.asked += 1
        if url == f"{self.issuer}/.well-known/openid-configuration":
            return json.dumps({"issuer": self.issuer, "jwks_uri": f"{self.issuer}/keys"}).encode()
        if url == f"{self.issuer}/keys":
            return json.dumps(self.key_set()).encode()
        raise OSError("nothing there")


@contextlib.contextmanager
def serve_provider() -> Iterator[tuple[IdentityProvider, str]]:
    """A provider on loopback, and its certificate's SHA-1 in hexadecimal digits."""
    server = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    provider = IdentityProvider(f"127.0.0.1:{server.server_port}")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            try:
                body = provider.fetch(provider.issuer + self.path)
            except OSError:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    server.RequestHandlerClass = Handler
    with tempfile.TemporaryDirectory() as folder:
        thumbprint = _make_certificate(Path(folder))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(Path(folder) / "certificate.pem", Path(folder) / "key.pem")
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield provider, thumbprint
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


def _make_certificate(folder: Path) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .sign(key, hashes.SHA256())
    )
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "key.pem").write_bytes(private)
    der = certificate.public_bytes(serialization.Encoding.DER)
    return hashlib.sha1(der, usedforsecurity=False).hexdigest()
