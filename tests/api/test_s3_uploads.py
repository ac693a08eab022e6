"""Uploads in parts, copies and versions through stock boto3."""

import hashlib
import io
import os
from pathlib import Path
from typing import Any

import pytest
from boto3.s3.transfer import TransferConfig
from botocore.config import Config

from cosset.testing.server import CossetServer
from support.s3_objects import new_bucket, refusal

MIN_PART = 5 * 1024 * 1024
BIG = os.urandom(2 * MIN_PART + 1234)


@pytest.fixture(scope="module")
def s3(server: CossetServer) -> Any:
    return server.client("s3", config=Config(retries={"total_max_attempts": 1}))


@pytest.fixture(scope="module")
def bucket(s3: Any) -> str:
    return new_bucket(s3)


def begin(s3: Any, bucket: str, key: str, **more: Any) -> dict[str, Any]:
    return {
        "Bucket": bucket,
        "Key": key,
        "UploadId": s3.create_multipart_upload(Bucket=bucket, Key=key, **more)["UploadId"],
    }


def send(s3: Any, upload: dict[str, Any], number: int, body: bytes) -> dict[str, Any]:
    return {"PartNumber": number, "ETag": s3.upload_part(**upload, PartNumber=number, Body=body)["ETag"]}


def test_parts_come_in_any_order(s3: Any, bucket: str) -> None:
    upload = begin(s3, bucket, "parts")
    bodies = [BIG[:MIN_PART], BIG[MIN_PART : 2 * MIN_PART], BIG[2 * MIN_PART :]]
    sent = {number: send(s3, upload, number, bodies[number - 1]) for number in (3, 1, 2)}
    parts = [sent[number] for number in (1, 2, 3)]
    done = s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    digest = hashlib.md5(b"".join(hashlib.md5(body).digest() for body in bodies)).hexdigest()
    assert done["ETag"] == f'"{digest}-3"'
    assert s3.get_object(Bucket=bucket, Key="parts")["Body"].read() == BIG
    second = s3.get_object(Bucket=bucket, Key="parts", PartNumber=2)
    assert (second["Body"].read(), second["PartsCount"]) == (bodies[1], 3)
    across = s3.get_object(Bucket=bucket, Key="parts", Range=f"bytes={MIN_PART - 5}-{MIN_PART + 4}")
    assert across["Body"].read() == BIG[MIN_PART - 5 : MIN_PART + 5]
    again = s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    assert again["ETag"] == done["ETag"]
    assert refusal(s3.list_parts, **upload) == ("NoSuchUpload", 404)


def test_what_cannot_be_completed(s3: Any, bucket: str) -> None:
    upload = begin(s3, bucket, "refused")
    first, second = send(s3, upload, 1, b"small"), send(s3, upload, 2, b"last")
    complete = s3.complete_multipart_upload

    def parts(*listed: dict[str, Any]) -> dict[str, Any]:
        return {**upload, "MultipartUpload": {"Parts": list(listed)}}

    assert refusal(complete, **parts(second, first)) == ("InvalidPartOrder", 400)
    assert refusal(complete, **parts(first, second)) == ("EntityTooSmall", 400)
    assert refusal(complete, **parts({"PartNumber": 3, "ETag": "x"})) == ("InvalidPart", 400)
    assert refusal(complete, **parts({**first, "ETag": "x"})) == ("InvalidPart", 400)
    assert refusal(complete, **parts()) == ("MalformedXML", 400)
    s3.abort_multipart_upload(**upload)
    assert refusal(complete, **parts(second)) == ("NoSuchUpload", 404)
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)


def test_the_transfer_manager_both_ways(s3: Any, bucket: str) -> None:
    parts = TransferConfig(multipart_threshold=MIN_PART, multipart_chunksize=MIN_PART, max_concurrency=3)
    s3.upload_fileobj(io.BytesIO(BIG), bucket, "managed", Config=parts)
    got = io.BytesIO()
    s3.download_fileobj(bucket, "managed", got, Config=parts)
    assert got.getvalue() == BIG
    s3.copy({"Bucket": bucket, "Key": "managed"}, bucket, "managed-copy", Config=parts)
    assert s3.get_object(Bucket=bucket, Key="managed-copy")["Body"].read() == BIG


def peak_kb(server: CossetServer) -> int:
    """The most memory that one of the server's processes ever had."""
    found = [Path(f"/proc/{pid}/status").read_text().partition("VmHWM:")[2].split() for pid in server.pids()]
    return max(int(each[0]) for each in found if each)


def test_a_large_object_passes_through_little_memory(s3: Any, bucket: str, server: CossetServer) -> None:
    size, before = 160 * 1024 * 1024, peak_kb(server)
    s3.put_object(Bucket=bucket, Key="large", Body=io.BytesIO(bytes(size)))
    body = s3.get_object(Bucket=bucket, Key="large")["Body"]
    assert sum(len(chunk) for chunk in body.iter_chunks(1 << 20)) == size
    assert peak_kb(server) - before < 80 * 1024
    s3.delete_object(Bucket=bucket, Key="large")


def test_a_copy_is_its_own_object(s3: Any, bucket: str) -> None:
    body = os.urandom(100_000)
    source = s3.put_object(Bucket=bucket, Key="source", Body=body, Metadata={"a": "1"}, Tagging="t=1")
    copied = s3.copy_object(Bucket=bucket, Key="kept", CopySource=f"{bucket}/source")["CopyObjectResult"]
    assert (copied["ETag"], copied["ChecksumCRC32"]) == (source["ETag"], source["ChecksumCRC32"])
    replaced = {"Metadata": {"b": "2"}, "MetadataDirective": "REPLACE", "Tagging": "", "TaggingDirective": "REPLACE"}
    s3.copy_object(Bucket=bucket, Key="replaced", CopySource=f"{bucket}/source", **replaced)
    s3.delete_object(Bucket=bucket, Key="source")
    kept, other = (s3.get_object(Bucket=bucket, Key=key) for key in ("kept", "replaced"))
    assert kept["Body"].read() == other["Body"].read() == body
    assert (kept["Metadata"], kept["TagCount"]) == ({"a": "1"}, 1)
    assert other["Metadata"] == {"b": "2"}
    assert "TagCount" not in other
    itself = {"Bucket": bucket, "Key": "kept", "CopySource": f"{bucket}/kept"}
    assert refusal(s3.copy_object, **itself) == ("InvalidRequest", 400)
    assert refusal(s3.copy_object, **itself, IfMatch=source["ETag"]) == ("InvalidRequest", 400)
    assert refusal(s3.copy_object, **itself, IfNoneMatch="*") == ("PreconditionFailed", 412)
    assert refusal(s3.copy_object, **itself, IfMatch='"0"') == ("PreconditionFailed", 412)
    s3.copy_object(**itself, StorageClass="STANDARD_IA")
    assert s3.get_object(Bucket=bucket, Key="kept")["Body"].read() == body


def test_versions_and_delete_markers(s3: Any) -> None:
    bucket = new_bucket(s3)
    s3.put_object(Bucket=bucket, Key="k", Body=b"before")
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    second = s3.put_object(Bucket=bucket, Key="k", Body=b"second")["VersionId"]
    marker = s3.delete_object(Bucket=bucket, Key="k")["VersionId"]
    assert refusal(s3.get_object, Bucket=bucket, Key="k") == ("NoSuchKey", 404)
    assert refusal(s3.get_object, Bucket=bucket, Key="k", VersionId=marker) == ("MethodNotAllowed", 405)
    assert refusal(s3.get_object, Bucket=bucket, Key="k", VersionId="x") == ("InvalidArgument", 400)
    for version, body in (("null", b"before"), (second, b"second")):
        assert s3.get_object(Bucket=bucket, Key="k", VersionId=version)["Body"].read() == body
    listed = s3.list_object_versions(Bucket=bucket)
    assert [each["VersionId"] for each in listed["Versions"]] == [second, "null"]
    assert [each["VersionId"] for each in listed["DeleteMarkers"]] == [marker]
    page = s3.list_object_versions(Bucket=bucket, MaxKeys=1, KeyMarker="k", VersionIdMarker=marker)
    assert [each["VersionId"] for each in page["Versions"]] == [second]
    s3.delete_object(Bucket=bucket, Key="k", VersionId=marker)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"second"
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    s3.put_object(Bucket=bucket, Key="k", Body=b"after")
    listed = s3.list_object_versions(Bucket=bucket)["Versions"]
    assert [each["VersionId"] for each in listed] == ["null", second]


def test_pages_of_a_long_list(s3: Any) -> None:
    bucket = new_bucket(s3)
    keys = [f"{folder}/{number:02}" for folder in ("a", "b") for number in range(12)] + ["c"]
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=b"")
    for name in ("list_objects", "list_objects_v2"):
        pages = s3.get_paginator(name).paginate(Bucket=bucket, PaginationConfig={"PageSize": 5})
        assert [each["Key"] for page in pages for each in page["Contents"]] == keys
        pages = s3.get_paginator(name).paginate(Bucket=bucket, Delimiter="/", PaginationConfig={"PageSize": 1})
        found = [
            *(each["Prefix"] for page in pages for each in page.get("CommonPrefixes", [])),
            *(each["Key"] for page in pages for each in page.get("Contents", [])),
        ]
        assert found == ["a/", "b/", "c"]
