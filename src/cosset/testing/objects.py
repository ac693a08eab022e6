"""Objects in memory, for tests of functions whose code lies in a bucket: the double of S3.

Put it where the real service would stand: `functions.sources.serve(MemoryObjects({...}))`.
"""

from collections.abc import Mapping

from cosset.functions.code_sources import ObjectPlace, Reader
from cosset.wire.errors import ServiceError


class MemoryObjects:
    """Implements functions.code_sources.ObjectReader.

    Args:
        objects: by bucket and key.
        regions: of the buckets that are in another one.
    """

    def __init__(self, objects: Mapping[tuple[str, str], bytes], regions: Mapping[str, str] | None = None) -> None:
        self.readers: list[Reader] = []
        self._objects = objects
        self._regions = regions or {}

    async def read(self, place: ObjectPlace, reader: Reader, *, limit_bytes: int) -> bytes:
        self.readers.append(reader)
        elsewhere = self._regions.get(place.bucket, reader.region)
        if elsewhere != reader.region:
            raise ServiceError(
                "PermanentRedirect",
                f"The bucket is in this region: {elsewhere}. Please use this region to retry the request",
                status=301,
            )
        if place.bucket not in {bucket for bucket, _ in self._objects}:
            raise ServiceError("NoSuchBucket", "The specified bucket does not exist", status=404)
        found = self._objects.get((place.bucket, place.key))
        if found is None:
            raise ServiceError("NoSuchKey", "The specified key does not exist.", status=404)
        return found[: limit_bytes + 1]
