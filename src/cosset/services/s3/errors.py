"""S3's refusals, in its own sentences. Source: recorded answers (s3), and the list of error responses."""

import re

from cosset.wire.errors import ServiceError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{2,254}", re.ASCII)


def no_such_bucket(name: str) -> ServiceError:
    """Or one that no bucket ever had, by the rules that names once had."""
    if _NAME.fullmatch(name) is None:
        fields = {"BucketName": name}
        return ServiceError("InvalidBucketName", "The specified bucket is not valid.", fields=fields)
    sentence = "The specified bucket does not exist"
    return ServiceError("NoSuchBucket", sentence, status=404, fields={"BucketName": name})


def no_such_key(key: str) -> ServiceError:
    return ServiceError("NoSuchKey", "The specified key does not exist.", status=404, fields={"Key": key})


def invalid_argument(sentence: str, name: str, value: str) -> ServiceError:
    fields = {"ArgumentName": name, "ArgumentValue": value}
    return ServiceError("InvalidArgument", sentence, fields=fields)


def malformed_xml() -> ServiceError:
    sentence = "The XML you provided was not well-formed or did not validate against our published schema"
    return ServiceError("MalformedXML", sentence)


def access_denied() -> ServiceError:
    return ServiceError("AccessDenied", "Access Denied", status=403)
