"""Objects through stock boto3: put, read, asked about, tagged, deleted, and what is refused."""

import base64
import hashlib
import io
import json
import os
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.config import Config

from cosset.testing.server import CossetServer
from support.s3_objects import new_bucket, refusal

STRANGE_KEYS = [
    *("../../etc/passwd", "/", "//", ".", "..", "a//b", "./x", "a/../b", "trailing/", "a b+c%20d", "a%2Fb", "%", "%zz"),
    *("q?u=e&r#y", "back\\slash", "tab\tand\nline", "\x01", "nul\x00l", "<xml>&\"'", "é", "e\u0301", "\U0001f600"),
    *("\u202eright", "x" * 1024, "é" * 512),
]


@pytest.fixture(scope="module")
def s3(server: CossetServer) -> Any:
    return server.client("s3", config=Config(retries={"total_max_attempts": 1}))


@pytest.fixture(scope="module")
def bucket(s3: Any) -> str:
    return new_bucket(s3)


@pytest.mark.parametrize("key", STRANGE_KEYS, ids=[ascii(key)[:20] for key in STRANGE_KEYS])
def test_a_key_is_any_text_of_1024_bytes(s3: Any, bucket: str, key: str) -> None:
    body = key.encode()
    s3.put_object(Bucket=bucket, Key=key, Body=body)
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == body
    s3.copy_object(Bucket=bucket, Key=f"{key[:500]}-copy", CopySource={"Bucket": bucket, "Key": key})
    listed = s3.list_objects_v2(Bucket=bucket, Prefix=key)["Contents"]
    assert key in [each["Key"] for each in listed]
    for each in (key, f"{key[:500]}-copy"):
        s3.delete_object(Bucket=bucket, Key=each)
    assert refusal(s3.get_object, Bucket=bucket, Key=key) == ("NoSuchKey", 404)


def test_a_longer_key_is_refused(s3: Any, bucket: str) -> None:
    assert refusal(s3.put_object, Bucket=bucket, Key="é" * 513, Body=b"") == ("KeyTooLongError", 400)


def test_what_is_said_of_an_object_comes_back(s3: Any, bucket: str) -> None:
    expires = datetime(2031, 1, 1, tzinfo=UTC)
    s3.put_object(
        Bucket=bucket,
        Key="described",
        Body=b"x",
        ContentType="text/x",
        CacheControl="no-cache",
        ContentDisposition="inline",
        ContentEncoding="gzip",
        ContentLanguage="de",
        Expires=expires,
        Metadata={"Some": "thing"},
        WebsiteRedirectLocation="/elsewhere",
        StorageClass="STANDARD_IA",
        Tagging="a=1&b=",
    )
    found = s3.head_object(Bucket=bucket, Key="described")
    assert (found["ContentType"], found["CacheControl"], found["ContentDisposition"]) == (
        "text/x",
        "no-cache",
        "inline",
    )
    assert (found["ContentEncoding"], found["ContentLanguage"]) == ("gzip", "de")
    assert (found["Expires"], found["Metadata"], found["TagCount"]) == (expires, {"some": "thing"}, 2)
    assert (found["WebsiteRedirectLocation"], found["StorageClass"]) == ("/elsewhere", "STANDARD_IA")
    shown = s3.get_object(Bucket=bucket, Key="described", ResponseContentType="a/b", ResponseCacheControl="max-age=1")
    assert (shown["ContentType"], shown["CacheControl"], shown["Body"].read()) == ("a/b", "max-age=1", b"x")
    odd = {"Bucket": bucket, "Key": "described", "ResponseCacheControl": "\u2014"}
    assert refusal(s3.get_object, **odd) == ("InvalidArgument", 400)


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"])
def test_checksums_are_verified_and_kept(s3: Any, bucket: str, algorithm: str) -> None:
    """In a header, and in the trailer of a body whose length nobody knew."""
    put = s3.put_object(Bucket=bucket, Key=algorithm, Body=b"sum", ChecksumAlgorithm=algorithm)
    name = f"Checksum{algorithm}"
    found = s3.get_object(Bucket=bucket, Key=algorithm, ChecksumMode="ENABLED")
    assert found["Body"].read() == b"sum"
    assert (found[name], found["ChecksumType"]) == (put[name], "FULL_OBJECT")
    s3.upload_fileobj(io.BytesIO(b"sum"), bucket, f"{algorithm}-2", ExtraArgs={"ChecksumAlgorithm": algorithm})
    assert s3.head_object(Bucket=bucket, Key=f"{algorithm}-2", ChecksumMode="ENABLED")[name] == put[name]
    wrong = base64.b64encode(bytes(len(base64.b64decode(put[name])))).decode()
    refused = refusal(s3.put_object, Bucket=bucket, Key="no", Body=b"sum", **{name: wrong})
    assert refused == ("BadDigest", 400)
    assert refusal(s3.put_object, Bucket=bucket, Key="no", Body=b"x", **{name: "!"}) == ("InvalidRequest", 400)
    assert refusal(s3.head_object, Bucket=bucket, Key="no") == ("404", 404)


def test_a_wrong_content_md5_is_refused(s3: Any, bucket: str) -> None:
    other = base64.b64encode(hashlib.md5(b"other").digest()).decode()
    assert refusal(s3.put_object, Bucket=bucket, Key="no", Body=b"x", ContentMD5=other) == ("BadDigest", 400)
    assert refusal(s3.put_object, Bucket=bucket, Key="no", Body=b"x", ContentMD5="?") == ("InvalidDigest", 400)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [("bytes=0-3", b"0123"), ("bytes=-2", b"89"), ("bytes=8-", b"89"), ("bytes=5-500", b"56789"), ("lines=1-2", None)],
)
def test_ranges(s3: Any, bucket: str, asked: str, expected: bytes | None) -> None:
    s3.put_object(Bucket=bucket, Key="digits", Body=b"0123456789")
    found = s3.get_object(Bucket=bucket, Key="digits", Range=asked)
    assert found["Body"].read() == (expected or b"0123456789")
    assert found["ResponseMetadata"]["HTTPStatusCode"] == (206 if expected else 200)


def test_a_range_behind_the_end_is_refused(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="digits", Body=b"0123456789")
    assert refusal(s3.get_object, Bucket=bucket, Key="digits", Range="bytes=10-") == ("InvalidRange", 416)


def test_conditions_on_reading_and_writing(s3: Any, bucket: str) -> None:
    etag = s3.put_object(Bucket=bucket, Key="conditional", Body=b"1")["ETag"]
    get, put = s3.get_object, s3.put_object
    assert refusal(get, Bucket=bucket, Key="conditional", IfNoneMatch=etag) == ("304", 304)
    assert refusal(get, Bucket=bucket, Key="conditional", IfMatch='"x"') == ("PreconditionFailed", 412)
    assert refusal(put, Bucket=bucket, Key="conditional", IfNoneMatch="*") == ("PreconditionFailed", 412)
    assert refusal(put, Bucket=bucket, Key="nothing-here", IfMatch=etag) == ("NoSuchKey", 404)
    second = put(Bucket=bucket, Key="conditional", Body=b"2", IfMatch=etag)["ETag"]
    assert refusal(put, Bucket=bucket, Key="conditional", IfMatch=etag) == ("PreconditionFailed", 412)
    assert refusal(s3.delete_object, Bucket=bucket, Key="conditional", IfMatch=etag) == ("PreconditionFailed", 412)
    s3.delete_object(Bucket=bucket, Key="conditional", IfMatch=second)


def test_tags_are_checked(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="tagged", Body=b"")

    def put(*pairs: tuple[str, str]) -> Any:
        tags = {"TagSet": [{"Key": key, "Value": value} for key, value in pairs]}
        return {"Bucket": bucket, "Key": "tagged", "Tagging": tags}

    s3.put_object_tagging(**put(("b", ""), ("a", "1")))
    assert s3.get_object_tagging(Bucket=bucket, Key="tagged")["TagSet"] == [
        {"Key": "a", "Value": "1"},
        {"Key": "b", "Value": ""},
    ]
    for pairs in ([("a", ""), ("a", "")], [("aws:x", "")], [("a,b", "")], [("a", "x,y")]):
        assert refusal(s3.put_object_tagging, **put(*pairs)) == ("InvalidTag", 400)
    assert refusal(s3.put_object_tagging, **put(*[(str(number), "") for number in range(11)])) == ("BadRequest", 400)
    s3.delete_object_tagging(Bucket=bucket, Key="tagged")
    assert "TagCount" not in s3.head_object(Bucket=bucket, Key="tagged")


def test_what_is_archived_must_be_restored_first(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="frozen", Body=b"ice", StorageClass="GLACIER")
    assert refusal(s3.get_object, Bucket=bucket, Key="frozen") == ("InvalidObjectState", 403)
    begun = s3.restore_object(Bucket=bucket, Key="frozen", RestoreRequest={"Days": 1})
    assert begun["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert s3.get_object(Bucket=bucket, Key="frozen")["Body"].read() == b"ice"
    assert 'ongoing-request="false"' in s3.head_object(Bucket=bucket, Key="frozen")["Restore"]
    s3.put_object(Bucket=bucket, Key="warm", Body=b"")
    assert refusal(s3.restore_object, Bucket=bucket, Key="warm", RestoreRequest={"Days": 1})[0] == "InvalidObjectState"


def test_a_customers_key_really_encrypts(s3: Any, bucket: str, server: CossetServer) -> None:
    body, key = os.urandom(300_000), os.urandom(32)
    sealed = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": key}
    put = s3.put_object(Bucket=bucket, Key="sealed", Body=body, **sealed)
    assert put["ETag"].strip('"') != hashlib.md5(body).hexdigest()
    assert s3.get_object(Bucket=bucket, Key="sealed", **sealed)["Body"].read() == body
    part = s3.get_object(Bucket=bucket, Key="sealed", Range="bytes=100001-200000", **sealed)
    assert part["Body"].read() == body[100001:200001]
    assert refusal(s3.get_object, Bucket=bucket, Key="sealed") == ("InvalidRequest", 400)
    other = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": os.urandom(32)}
    assert refusal(s3.get_object, Bucket=bucket, Key="sealed", **other) == ("AccessDenied", 403)
    source = {f"CopySource{name}": value for name, value in sealed.items()}
    s3.copy_object(Bucket=bucket, Key="open", CopySource=f"{bucket}/sealed", **source)
    assert s3.get_object(Bucket=bucket, Key="open")["Body"].read() == body


def test_who_may_not_list_is_not_told_what_is_missing(s3: Any, bucket: str, server: CossetServer) -> None:
    """And of many objects only those are deleted that the caller may delete."""
    iam = server.client("iam")
    iam.create_user(UserName="reader-of-objects")
    allowed = {
        "Effect": "Allow",
        "Action": ["s3:GetObject", "s3:DeleteObject"],
        "Resource": f"arn:aws:s3:::{bucket}/mine/*",
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    iam.put_user_policy(UserName="reader-of-objects", PolicyName="p", PolicyDocument=document)
    key = iam.create_access_key(UserName="reader-of-objects")["AccessKey"]
    session = boto3.Session(key["AccessKeyId"], key["SecretAccessKey"], region_name=server.region)
    reader = session.client("s3", endpoint_url=server.endpoint)
    for name in ("mine/1", "yours/1"):
        s3.put_object(Bucket=bucket, Key=name, Body=b"x")
    assert reader.get_object(Bucket=bucket, Key="mine/1")["Body"].read() == b"x"
    assert refusal(reader.get_object, Bucket=bucket, Key="mine/2") == ("AccessDenied", 403)
    answer = reader.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "mine/1"}, {"Key": "yours/1"}]})
    assert [each["Key"] for each in answer["Deleted"]] == ["mine/1"]
    assert [(each["Key"], each["Code"]) for each in answer["Errors"]] == [("yours/1", "AccessDenied")]
    s3.head_object(Bucket=bucket, Key="yours/1")


def test_object_lock_keeps_versions(s3: Any) -> None:
    bucket = new_bucket(s3, ObjectLockEnabledForBucket=True)
    until = datetime.now(UTC) + timedelta(days=1)
    lock = {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": until}
    version = s3.put_object(Bucket=bucket, Key="kept", Body=b"x", **lock)["VersionId"]
    named = {"Bucket": bucket, "Key": "kept", "VersionId": version}
    assert s3.delete_object(Bucket=bucket, Key="kept")["DeleteMarker"]
    assert refusal(s3.delete_object, **named) == ("AccessDenied", 403)
    s3.put_object_legal_hold(**named, LegalHold={"Status": "ON"})
    assert refusal(s3.delete_object, **named, BypassGovernanceRetention=True) == ("AccessDenied", 403)
    s3.put_object_legal_hold(**named, LegalHold={"Status": "OFF"})
    sooner = {"Mode": "GOVERNANCE", "RetainUntilDate": until - timedelta(hours=1)}
    assert refusal(s3.put_object_retention, **named, Retention=sooner) == ("AccessDenied", 403)
    s3.delete_object(**named, BypassGovernanceRetention=True)
    lock["ObjectLockMode"] = "COMPLIANCE"
    version = s3.put_object(Bucket=bucket, Key="kept", Body=b"x", **lock)["VersionId"]
    bypassing = {"Bucket": bucket, "Key": "kept", "VersionId": version, "BypassGovernanceRetention": True}
    assert refusal(s3.delete_object, **bypassing) == ("AccessDenied", 403)
