"""Where a package comes from: the zip in the call, or an object that the caller may read. Container images are checked
as AWS checks them, and then refused by name."""

import re

from cosset.functions import errors
from cosset.functions.archive import MAX_ZIPPED_BYTES
from cosset.functions.code_sources import CodeSources, ObjectPlace, Reader
from cosset.services.operation import Context, Params

_IMAGE = re.compile(
    r"\d{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com(\.cn)?/[a-z0-9._/-]+(:[\w.-]{1,128}|@sha256:[0-9a-f]{64})"
)


async def package_of(ctx: Context, sources: CodeSources, code: Params, *, other: str = "FunctionCode") -> bytes:
    """The zip. `other` is what AWS calls the structure.

    Raises:
        ServiceError: none was sent, or it cannot be fetched.
    """
    if code.get("SourceKMSKeyArn"):
        raise errors.not_here("customer managed keys (SourceKMSKeyArn)")
    package = code.get("ZipFile")
    bucket, key, version = (code.get(name) for name in ("S3Bucket", "S3Key", "S3ObjectVersion"))
    if package is not None and (bucket or key or version):
        raise errors.invalid_parameter(f"Please do not provide other {other} parameters when providing a ZipFile.")
    if bucket and key:
        place = ObjectPlace(bucket, key, version)
        return await sources.fetch(place, Reader(ctx.principal, ctx.account, ctx.region))
    if package is None:
        raise errors.invalid_parameter("Please provide a source for function code.")
    if len(package) > MAX_ZIPPED_BYTES:
        raise errors.entity_too_large(f"Zipped size must be smaller than {MAX_ZIPPED_BYTES} bytes")
    return bytes(package)


def refuse_image_config(params: Params) -> None:
    """For a function from a zip, which every function here is."""
    if params.get("ImageConfig"):
        raise errors.invalid_parameter("ImageConfig is only supported for functions with packageType Image.")


def refuse_image(params: Params) -> None:
    """For a function that is to be made. Raises: ServiceError, for whatever has to do with images."""
    code = params["Code"]
    if params.get("PackageType", "Zip") != "Image":
        if code.get("ImageUri"):
            raise errors.invalid_parameter(
                "Please do not provide ImageUri when creating a function with packageType Zip."
            )
        refuse_image_config(params)
        return
    if params.get("Runtime") or params.get("Handler") or params.get("Layers"):
        raise errors.invalid_parameter(
            "Please don't provide handler or runtime or layer when the intended function PackageType is Image."
        )
    image = code.get("ImageUri")
    if not image:
        raise errors.invalid_parameter("Please provide ImageUri when creating a function with packageType Image.")
    if not _IMAGE.fullmatch(image):
        raise errors.invalid_parameter(f"Source image {image} is not valid. Provide a valid source image.")
    raise errors.not_here("container images (PackageType Image)")
