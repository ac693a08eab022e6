"""Packages that are fetched by name: the port that S3 implements, and AWS's sentences when that fails.

Lambda reads the object with the caller's own rights, so who asks goes with the question. While nobody serves, a package
in a bucket is refused by name. Read next: services/lambda_/packages.py, which asks; testing/objects.py, the double.
"""

import asyncio
from dataclasses import dataclass
from typing import Protocol

from cosset.functions import errors
from cosset.functions.archive import MAX_UNZIPPED_BYTES, too_large_unzipped
from cosset.identity.principal import Principal
from cosset.wire.errors import ServiceError

READS_AT_ONCE = 4
"""Packages may have 250 MB each."""


@dataclass(frozen=True, slots=True)
class ObjectPlace:
    """An object, or one version of it."""

    bucket: str
    key: str
    version: str | None = None


@dataclass(frozen=True, slots=True)
class Reader:
    """On whose behalf an object is read, and from which region."""

    principal: Principal
    account: str
    region: str


class ObjectReader(Protocol):
    """services/s3 implements this."""

    async def read(self, place: ObjectPlace, reader: Reader, *, limit_bytes: int) -> bytes:
        """The whole object; no more than one byte above the limit is looked at.

        Raises:
            ServiceError: as GetObject refuses the reader: NoSuchKey, NoSuchBucket, AccessDenied, and
                PermanentRedirect for a bucket of another region.
        """
        ...


class CodeSources:
    """Who reads objects here; the composition root says so when it makes S3."""

    def __init__(self) -> None:
        self._objects: ObjectReader | None = None
        self._reading = asyncio.Semaphore(READS_AT_ONCE)

    def serve(self, objects: ObjectReader) -> None:
        self._objects = objects

    async def fetch(self, place: ObjectPlace, reader: Reader) -> bytes:
        """Raises: ServiceError, in Lambda's words; NotImplementedException while there is no S3."""
        if self._objects is None:
            raise errors.not_here("S3 as the source of code (S3Bucket); send the package as ZipFile")
        try:
            async with self._reading:
                package = await self._objects.read(place, reader, limit_bytes=MAX_UNZIPPED_BYTES)
        except ServiceError as error:
            raise _explain(error, place) from error
        if len(package) > MAX_UNZIPPED_BYTES:
            raise too_large_unzipped()
        return package


def _explain(error: ServiceError, place: ObjectPlace) -> ServiceError:
    """As Lambda passes on what S3 said to it."""
    said = f"S3 Error Code: {error.code}. S3 Error Message: {error.message}"
    if error.status >= 500:
        return error
    if error.code in ("AccessDenied", "AllAccessDisabled", "InvalidObjectState"):
        return errors.access_denied(
            "Your access has been denied by S3, please make sure your request credentials have permission to GetObject "
            f"for {place.bucket}/{place.key}. {said}"
        )
    return errors.invalid_parameter(f"Error occurred while GetObject. {said}")
