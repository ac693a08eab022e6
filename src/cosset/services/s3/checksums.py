"""Checksums of objects: those that S3 knows, counted as the bytes go by, and put together from those of parts.

CRC32C and CRC64NVME come from AWS's own runtime library (`awscrt`); without it they are counted slower (crc.py), and
those of XXHash are refused by name.
Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
"""

import base64
import binascii
import hashlib
import zlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from typing import Any, Protocol

from cosset.wire.errors import OperationNotImplementedError, ServiceError
from cosset.wire.views import Chunk

_OF_LIBRARY = {"XXHASH64": "new_xxhash64", "XXHASH3": "new_xxhash3_64", "XXHASH128": "new_xxhash3_128"}
"""Those that nothing else counts, by what begins them."""
_OF_HASHLIB = frozenset({"SHA1", "SHA256", "SHA512", "MD5"})
SIZES = {
    "CRC32": 4,
    "CRC32C": 4,
    "CRC64NVME": 8,
    "SHA1": 20,
    "SHA256": 32,
    "SHA512": 64,
    "MD5": 16,
    "XXHASH64": 8,
    "XXHASH3": 8,
    "XXHASH128": 16,
}
"""The algorithms, with the bytes of each."""
ALGORITHMS = tuple(SIZES)
DEFAULT = "CRC64NVME"
"""What an object has that was uploaded without a word about checksums."""
COMPOSITE, FULL_OBJECT = "COMPOSITE", "FULL_OBJECT"
HASHES = _OF_HASHLIB | _OF_LIBRARY.keys()
"""Those that cannot be put together from those of parts."""
_UNSUPPORTED = (
    "Checksum algorithm provided is unsupported. Please try again with any of the valid types: "
    "[CRC32, CRC32C, CRC64NVME, SHA1, SHA256]"
)
"""As recorded, of a time when there were no more."""


class Checksum(Protocol):
    def update(self, data: Chunk) -> None: ...

    def digest(self) -> bytes: ...


class _Crc:
    """A checksum that is a number, carried from one piece of the object to the next."""

    def __init__(self, step: Callable[[Chunk, int], int], size: int) -> None:
        self._step = step
        self._size = size
        self._value = 0

    def update(self, data: Chunk) -> None:
        self._value = self._step(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(self._size, "big")


class _XxHash:
    """One of the library's, which takes nothing that could change under its hands."""

    def __init__(self, counted: Any) -> None:
        self._counted = counted

    def update(self, data: Chunk) -> None:
        self._counted.update(data if isinstance(data, bytes) else bytes(data))

    def digest(self) -> bytes:
        found: bytes = self._counted.finalize()
        return found


class Digests:
    """MD5 (unless nobody will see it) and further checksums, all counted in one go."""

    def __init__(self, *algorithms: str, with_md5: bool = True) -> None:
        self.size = 0
        self._md5 = hashlib.md5(usedforsecurity=False) if with_md5 else None
        self._checksums = {algorithm: begin(algorithm) for algorithm in algorithms}

    def update(self, data: Chunk) -> None:
        self.update_md5(data)
        self.update_rest(data)

    def update_md5(self, data: Chunk) -> None:
        """With `update_rest` what `update` does: the two may run in threads of their own."""
        if self._md5 is not None:
            self._md5.update(data)

    def update_rest(self, data: Chunk) -> None:
        self.size += len(data)
        for checksum in self._checksums.values():
            checksum.update(data)

    @property
    def md5(self) -> str:
        """In hexadecimal: the ETag of what was not uploaded in parts."""
        assert self._md5 is not None
        return self._md5.hexdigest()

    def value(self, algorithm: str) -> str:
        """In base64, as S3 writes it."""
        return encode(self._checksums[algorithm].digest())


def begin(algorithm: str) -> Checksum:
    """One of `ALGORITHMS`. Raises: OperationNotImplementedError, for one whose library is not there."""
    if algorithm in _OF_HASHLIB:
        made: Any = hashlib.new(algorithm.lower(), usedforsecurity=False)
        return made  # type: ignore[no-any-return]
    if algorithm == "CRC32":
        return _Crc(zlib.crc32, 4)  # which takes two thirds of the time of AWS's
    if find_spec("awscrt") is not None:
        from awscrt import checksums

        if algorithm in _OF_LIBRARY:
            return _XxHash(getattr(checksums.XXHash, _OF_LIBRARY[algorithm])())
        return _Crc(getattr(checksums, algorithm.lower()), SIZES[algorithm])
    _check_counted(algorithm)
    from cosset.services.s3.crc import POLYNOMIALS, step

    return _Crc(partial(step, POLYNOMIALS[algorithm]), SIZES[algorithm])


def _check_counted(algorithm: str) -> None:
    """Raises: OperationNotImplementedError."""
    if algorithm in _OF_LIBRARY and find_spec("awscrt") is None:
        raise OperationNotImplementedError("s3", f"the checksum {algorithm} without the extra `crt`")


def read_algorithm(named: str | None) -> str | None:
    """Raises: ServiceError InvalidRequest, OperationNotImplementedError."""
    if named is None:
        return None
    algorithm = named.upper()
    if algorithm not in SIZES:
        raise ServiceError("InvalidRequest", _UNSUPPORTED)
    _check_counted(algorithm)
    return algorithm


def given_checksum(params: Mapping[str, Any], *, may_have_parts: bool = False) -> tuple[str, str] | None:
    """The algorithm and the value that came with a request, None where there is none.

    Raises: ServiceError InvalidRequest (recorded: test_s3_checksum_no_algorithm), OperationNotImplementedError.
    """
    given = [(name, str(params[f"Checksum{name}"])) for name in ALGORITHMS if params.get(f"Checksum{name}") is not None]
    if len(given) > 1:
        sentence = "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed."
        raise ServiceError("InvalidRequest", sentence)
    if not given:
        return None
    algorithm, value = given[0]
    _check_counted(algorithm)
    plain = value.partition("-")[0] if may_have_parts else value
    if len(_decode(plain)) != SIZES[algorithm]:
        raise ServiceError("InvalidRequest", f"Value for x-amz-checksum-{algorithm.lower()} header is invalid.")
    return algorithm, value


def compare(given: tuple[str, str] | None, counted: Digests) -> None:
    """Raises: ServiceError BadDigest."""
    if given is not None and given[1] != counted.value(given[0]):
        raise wrong_checksum(given[0])


def wrong_checksum(algorithm: str) -> ServiceError:
    return ServiceError("BadDigest", f"The {algorithm} you specified did not match the calculated checksum.")


def composite(algorithm: str, values: Sequence[str]) -> str:
    """The checksum of the checksums of parts, and how many they are."""
    checksum = begin(algorithm)
    checksum.update(b"".join(_decode(value) for value in values))
    return f"{encode(checksum.digest())}-{len(values)}"


def combine(algorithm: str, parts: Sequence[tuple[str, int]]) -> str:
    """The checksum of the whole, from those of its parts and their sizes, without reading them again."""
    from cosset.services.s3.crc import POLYNOMIALS, joined

    value = 0
    for text, size in parts:
        value = joined(POLYNOMIALS[algorithm], value, int.from_bytes(_decode(text), "big"), size)
    return encode(value.to_bytes(SIZES[algorithm], "big"))


def encode(digest: bytes) -> str:
    return base64.b64encode(digest).decode()


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        return b""
