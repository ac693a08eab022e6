"""SSE-C: bodies sealed with a key that the customer brings with every call and that is never kept.

A file is encrypted with AES-256 in counter mode, so that a range is read without what is before it; its counter begins
with the file's own random name. Of the key only a salted hash is kept, to refuse a wrong one.
Recorded: TestS3SSECEncryption. Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/ServerSideEncryptionCustomerKeys.html
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cosset.wire.errors import ServiceError

_BLOCK = 16
_COUNTERS = 1 << 128
_REQUIRED = "The object was stored using a form of Server Side Encryption. The correct parameters must be provided to "
_WRONG = "Requests specifying Server Side Encryption with Customer provided keys must provide the correct secret key."


@dataclass(frozen=True, slots=True)
class CustomerKey:
    """A key as a request brought it."""

    secret: bytes = field(repr=False)
    md5: str

    def kept(self) -> dict[str, str]:
        """What is kept of it with an object."""
        salt = secrets.token_bytes(16)
        return {"md5": self.md5, "salt": salt.hex(), "check": _check(self.secret, salt)}

    def fits(self, kept: Mapping[str, str]) -> bool:
        return hmac.compare_digest(_check(self.secret, bytes.fromhex(kept["salt"])), kept["check"])

    def shown(self) -> dict[str, str]:
        return {"SSECustomerAlgorithm": "AES256", "SSECustomerKeyMD5": self.md5}


class BodyCipher:
    """Encrypts or decrypts a file's bytes from `start` on: the same either way."""

    def __init__(self, secret: bytes, name: str, start: int = 0) -> None:
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

        counter = (int(name, 16) + start // _BLOCK) % _COUNTERS
        self._context = Cipher(algorithms.AES(secret), modes.CTR(counter.to_bytes(_BLOCK, "big"))).encryptor()
        self._context.update(bytes(start % _BLOCK))

    def update(self, data: bytes | memoryview) -> bytes:
        return self._context.update(data)


def read_key(params: Mapping[str, Any], prefix: str = "") -> CustomerKey | None:
    """The key that a call brings, None where it brings none. `prefix` is `CopySource` for the source of a copy.

    Raises: ServiceError InvalidArgument, InvalidEncryptionAlgorithmError.
    """
    algorithm = params.get(f"{prefix}SSECustomerAlgorithm")
    key, md5 = params.get(f"{prefix}SSECustomerKey"), params.get(f"{prefix}SSECustomerKeyMD5")
    if algorithm is None and key is None and md5 is None:
        return None
    if algorithm is None:
        raise _refused("Requests specifying Server Side Encryption with Customer provided keys must provide a valid "
                       "encryption algorithm.")  # fmt: skip
    if algorithm != "AES256":
        raise ServiceError(
            "InvalidEncryptionAlgorithmError",
            "The Encryption request you specified is not valid. Supported value: AES256.",
            fields={"ArgumentName": "x-amz-server-side-encryption", "ArgumentValue": algorithm},
        )
    if key is None:
        raise _refused("Requests specifying Server Side Encryption with Customer provided keys must provide an "
                       "appropriate secret key.")  # fmt: skip
    if md5 is None:
        raise _refused("Requests specifying Server Side Encryption with Customer provided keys must provide the client "
                       "calculated MD5 of the secret key.")  # fmt: skip
    try:
        secret = base64.b64decode(key, validate=True)
    except (ValueError, binascii.Error):
        secret = b""
    if len(secret) != 32:
        raise _refused("The secret key was invalid for the specified algorithm.")
    counted = base64.b64encode(hashlib.md5(secret, usedforsecurity=False).digest()).decode()
    if counted != md5:
        raise _refused("The calculated MD5 hash of the key did not match the hash that was provided.")
    return CustomerKey(secret, md5)


def opens(kept: Mapping[str, str] | None, params: Mapping[str, Any], prefix: str = "") -> bytes | None:
    """The key to read an object with, None for one that is not sealed. Raises: ServiceError."""
    if kept is None:
        if read_key(params, prefix) is not None:
            sentence = "The encryption parameters are not applicable to this object."
            raise ServiceError("InvalidRequest", sentence)
        return None
    names = ("SSECustomerAlgorithm", "SSECustomerKey", "SSECustomerKeyMD5")
    given = [params.get(f"{prefix}{name}") for name in names]
    if given == [None, None, None]:
        raise ServiceError("InvalidRequest", f"{_REQUIRED}retrieve the object.")
    if given[0] == "AES256" and given[1] is not None and given[2] is None:
        raise ServiceError("AccessDenied", _WRONG, status=403)  # recorded: get-obj-sse-c-no-md5
    key = read_key(params, prefix)
    assert key is not None
    if not key.fits(kept):
        raise ServiceError("AccessDenied", _WRONG, status=403)
    return key.secret


def _refused(sentence: str) -> ServiceError:
    return ServiceError("InvalidArgument", sentence, fields={"ArgumentName": "x-amz-server-side-encryption"})


def _check(secret: bytes, salt: bytes) -> str:
    return hmac.digest(salt, secret, "sha256").hex()
