"""Checksums of objects: those that S3 knows, counted as the bytes go by.

CRC32C and CRC64NVME come from AWS's own runtime library (`awscrt`); without it they are refused by name.
"""

import base64
import hashlib
import zlib
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from cosset.wire.errors import OperationNotImplementedError

ALGORITHMS = ("CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256")
COMPOSITE, FULL_OBJECT = "COMPOSITE", "FULL_OBJECT"


class Checksum(Protocol):
    def update(self, data: bytes) -> None: ...

    def digest(self) -> bytes: ...


class _Crc:
    """A checksum that is a number, carried from one piece of the object to the next."""

    def __init__(self, step: Callable[[bytes, int], int], size: int) -> None:
        self._step = step
        self._size = size
        self._value = 0

    def update(self, data: bytes) -> None:
        self._value = self._step(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(self._size, "big")


class Digests:
    """MD5, and the one further checksum that was asked for."""

    def __init__(self, algorithm: str | None = None) -> None:
        self.algorithm = algorithm
        self.size = 0
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._checksum = None if algorithm is None else begin(algorithm)

    def update(self, data: bytes) -> None:
        self.size += len(data)
        self._md5.update(data)
        if self._checksum is not None:
            self._checksum.update(data)

    @property
    def md5(self) -> str:
        """In hexadecimal: the ETag of what was not uploaded in parts."""
        return self._md5.hexdigest()

    @property
    def checksum(self) -> str | None:
        """In base64, as S3 writes it."""
        return None if self._checksum is None else base64.b64encode(self._checksum.digest()).decode()


def begin(algorithm: str) -> Checksum:
    """Raises OperationNotImplementedError, for one that is not counted here."""
    if algorithm == "CRC32":
        return _Crc(zlib.crc32, 4)
    if algorithm in ("SHA1", "SHA256"):
        made: Any = hashlib.new(algorithm.lower(), usedforsecurity=False)
        return made  # type: ignore[no-any-return]
    if algorithm in ("CRC32C", "CRC64NVME"):
        try:
            from awscrt import checksums
        except ImportError:
            raise OperationNotImplementedError("s3", f"{algorithm} without the extra `crt`") from None
        return _Crc(checksums.crc32c, 4) if algorithm == "CRC32C" else _Crc(checksums.crc64nvme, 8)
    raise OperationNotImplementedError("s3", f"the checksum {algorithm}")


def given_checksum(params: Mapping[str, Any]) -> tuple[str, str] | None:
    """The algorithm and the value that came with a request, None where there is none."""
    for algorithm in ALGORITHMS:
        value = params.get(f"Checksum{algorithm}")
        if value is not None:
            return algorithm, str(value)
    return None
