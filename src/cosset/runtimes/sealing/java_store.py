"""Certificates as a JVM reads them: a file of the format JKS, made of a bundle in PEM.

Holds no keys. The password only guards against damage, and who gives none reads it all the same. Read next:
filesystem.py, which shows it.
"""

from __future__ import annotations

import base64
import hashlib
import re
import struct

_MAGIC, _VERSION, _TRUSTED = 0xFEEDFEED, 2, 2
_PASSWORD = "changeit".encode("utf-16-be")  # Java's own customary one
_SALT = b"Mighty Aphrodite"
_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----")


def of_bundle(bundle: bytes) -> bytes:
    """Each certificate of the bundle once, trusted, named by its place."""
    certificates = list(dict.fromkeys(base64.b64decode(found) for found in _PEM.findall(bundle)))
    parts = [struct.pack(">III", _MAGIC, _VERSION, len(certificates))]
    for number, certificate in enumerate(certificates):
        name = b"authority-%d" % number
        parts.append(struct.pack(">IH", _TRUSTED, len(name)) + name + struct.pack(">Q", 0))
        parts.append(struct.pack(">H", 5) + b"X.509" + struct.pack(">I", len(certificate)) + certificate)
    body = b"".join(parts)
    return body + hashlib.sha1(_PASSWORD + _SALT + body).digest()
