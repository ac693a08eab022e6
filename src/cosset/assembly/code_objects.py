"""Lambda's way to packages in buckets, wired: GetObject as the caller would make it, past the same authorizer.

Services do not know each other: this reads through the table of S3's operations, as the door does.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from cosset.functions.code_sources import ObjectPlace, Reader
from cosset.functions.registry import Functions
from cosset.identity.ports import Authorizer
from cosset.services.operation import AnyService, Context
from cosset.wire.errors import ServiceError


class ObjectsOfS3:
    """Implements functions.code_sources.ObjectReader."""

    def __init__(self, service: AnyService, authorizer: Authorizer) -> None:
        self._service = service
        self._authorizer = authorizer

    async def read(self, place: ObjectPlace, reader: Reader, *, limit_bytes: int) -> bytes:
        params = {"Bucket": place.bucket, "Key": place.key}
        if place.version is not None:
            params["VersionId"] = place.version
        await self._check_region(place.bucket, reader)
        found = await self._call("GetObject", reader, params)
        package = bytearray()
        async for chunk in found["Body"]:
            package += chunk
            if len(package) > limit_bytes:
                break
        return bytes(package)

    async def _check_region(self, bucket: str, reader: Reader) -> None:
        """Lambda takes code from buckets of its own region alone. Raises: ServiceError PermanentRedirect."""
        found = await self._service.operations["HeadBucket"].handler(_context("HeadBucket", reader), {"Bucket": bucket})
        region = (found or {}).get("BucketRegion", reader.region)
        if region != reader.region:
            raise ServiceError(
                "PermanentRedirect",
                f"The bucket is in this region: {region}. Please use this region to retry the request",
                status=301,
            )

    async def _call(self, name: str, reader: Reader, params: dict[str, Any]) -> Mapping[str, Any]:
        """Raises: ServiceError, AccessDenied where IAM or the bucket's policy does not let the reader in."""
        operation, context = self._service.operations[name], _context(name, reader)
        try:
            await self._authorizer.authorize(reader.principal, operation.requirements(context, params))
        except ServiceError as error:
            if error.status != 403:
                raise
            raise ServiceError("AccessDenied", "Access Denied", status=403) from error
        return await operation.handler(context, params) or {}


def serve_packages(functions: Functions, services: Sequence[AnyService], authorizer: Authorizer) -> None:
    """From here on code may lie in buckets."""
    for service in services:
        if service.name == "s3":
            functions.sources.serve(ObjectsOfS3(service, authorizer))


def _context(operation: str, reader: Reader) -> Context:
    return Context(
        service="s3",
        operation=operation,
        principal=reader.principal,
        account=reader.account,
        region=reader.region,
        request_id="",
        host="",
    )
