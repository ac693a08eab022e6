"""Where a package comes from: the zip in the call. To fetch it from elsewhere is not there yet, and said by name."""

from cosset.functions import errors
from cosset.services.operation import Params


def package_of(code: Params, *, other: str = "FunctionCode") -> bytes:
    """The zip that was sent. `other` is what AWS calls the structure.

    Raises:
        ServiceError: none was sent, or it is to be fetched from S3 or a registry.
    """
    if code.get("ImageUri"):
        raise errors.not_here("container images (ImageUri)")
    if code.get("SourceKMSKeyArn"):
        raise errors.not_here("customer managed keys (SourceKMSKeyArn)")
    package = code.get("ZipFile")
    from_s3 = code.get("S3Bucket") or code.get("S3Key") or code.get("S3ObjectVersion")
    if package is not None and from_s3:
        raise errors.invalid_parameter(f"Please do not provide other {other} parameters when providing a ZipFile.")
    if from_s3:
        raise errors.not_here("S3 as the source of code (S3Bucket); send the package as ZipFile")
    if package is None:
        raise errors.invalid_parameter("Please provide a source for function code.")
    return bytes(package)
