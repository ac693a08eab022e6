"""What S3 answers to requests that no client makes, in its own codes, headers and elements.

Sources: the API reference and user guide of S3, answers recorded on AWS, and answers of AWS that users reported.
"""

import base64
import hashlib
import html
import json
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import pytest
from botocore.config import Config

from cosset.testing.server import CossetServer
from support.s3_objects import new_bucket, refusal
from support.s3_requests import Sender

BODY = b"0123456789"
CRC32 = base64.b64encode(zlib.crc32(BODY).to_bytes(4, "big")).decode()
SHA256 = base64.b64encode(hashlib.sha256(BODY).digest()).decode()
SHA512 = base64.b64encode(hashlib.sha512(BODY).digest()).decode()
MD5 = base64.b64encode(hashlib.md5(BODY).digest()).decode()
UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
Cases = list[tuple[str, Mapping[str, str], tuple[int, str]]]


@pytest.fixture(scope="module")
def sender(server: CossetServer) -> Sender:
    return Sender(server)


@pytest.fixture(scope="module")
def s3(server: CossetServer) -> Any:
    return server.client("s3")


@pytest.fixture(scope="module")
def bucket(s3: Any, sender: Sender) -> str:
    name = new_bucket(s3)
    sender.ask("PUT", f"/{name}/digits", headers={"Cache-Control": "no-cache", "Expires": "tomorrow"}, body=BODY)
    return name


@pytest.fixture(scope="module")
def locked(s3: Any) -> str:
    return new_bucket(s3, ObjectLockEnabledForBucket=True)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("max-keys=abc", (400, "InvalidArgument", "max-keys")),
        ("max-keys=99999999999", (400, "InvalidArgument", "max-keys")),
        ("max-keys=-1", (400, "InvalidArgument", "maxKeys")),
        ("list-type=2&max-keys=x", (400, "InvalidArgument", "max-keys")),
        ("list-type=2&fetch-owner=x", (200, "", "")),
        ("versions&max-keys=x", (400, "InvalidArgument", "max-keys")),
        ("uploads&max-uploads=x", (400, "InvalidArgument", "max-uploads")),
        ("uploads&max-uploads=-1", (400, "InvalidArgument", "max-uploads")),
        ("encoding-type=x", (400, "InvalidArgument", "encoding-type")),
        ("list-type=2&continuation-token=x", (400, "InvalidArgument", "continuation-token")),
    ],
)
def test_lists_that_are_asked_for_wrongly(
    sender: Sender, bucket: str, query: str, expected: tuple[int, str, str]
) -> None:
    answer = sender.ask("GET", f"/{bucket}", query)
    assert (answer.status, answer.code, answer.told("ArgumentName")) == expected


def test_a_list_is_written_in_the_order_that_readers_know(sender: Sender, bucket: str) -> None:
    text = sender.ask("GET", f"/{bucket}", "list-type=2&fetch-owner=true&delimiter=%2F&encoding-type=url").body.decode()
    names = ("<Name>", "<Prefix>", "<KeyCount>", "<MaxKeys>", "<Delimiter>", "<EncodingType>", "<IsTruncated>")
    entry = ("<Key>", "<LastModified>", "<ETag>", "<Size>", "<Owner>", "<StorageClass>")
    places = [text.index(name) for name in (*names, *entry)]
    assert places == sorted(places)
    assert text.partition("<LastModified>")[2].partition("<")[0].endswith(".000Z")


@pytest.mark.parametrize(
    ("delimiter", "folded"),
    [("/", ["a/"]), ("%20", ["b "]), ("%25", ["c%"]), ("%0A", ["d\n"]), ("quux", ["e-quux"]), ("%C3%A4", ["ä"])],
)
def test_a_delimiter_is_any_text(s3: Any, delimiter: str, folded: list[str], odd_keys: str) -> None:
    for call in (s3.list_objects, s3.list_objects_v2, s3.list_object_versions):
        listed = call(Bucket=odd_keys, Delimiter=unquote(delimiter))
        assert [each["Prefix"] for each in listed["CommonPrefixes"]] == folded


@pytest.fixture(scope="module")
def odd_keys(s3: Any) -> str:
    name = new_bucket(s3)
    for key in ("a/1", "a/2", "b 1", "c%1", "d\n1", "e-quux-1", "e-quux-2", "ä1", "\uffee", "\U0001f600", "Z", "~"):
        s3.put_object(Bucket=name, Key=key, Body=b"")
    return name


def test_keys_are_in_the_order_of_their_bytes(s3: Any, odd_keys: str) -> None:
    keys = [each["Key"] for each in s3.list_objects_v2(Bucket=odd_keys)["Contents"]]
    assert keys == sorted(keys, key=str.encode)


@pytest.mark.parametrize(
    ("query", "headers", "expected"),
    [
        ("partNumber=abc", {}, (400, "InvalidArgument")),
        ("partNumber=0", {}, (400, "InvalidArgument")),
        ("partNumber=2", {}, (416, "InvalidPartNumber")),
        ("partNumber=1", {}, (206, "")),
        ("partNumber=1", {"Range": "bytes=0-1"}, (400, "InvalidRequest")),
        ("versionId=", {}, (400, "InvalidArgument")),
        ("versionId=x", {}, (400, "InvalidArgument")),
        ("versionId=null", {}, (200, "")),
        ("response-expires=whenever", {}, (200, "")),
        ("", {"If-Modified-Since": "whenever"}, (200, "")),
        ("", {"If-Match": '"x"', "Range": "bytes=100-"}, (412, "PreconditionFailed")),
        ("", {"Range": "bytes=10-"}, (416, "InvalidRange")),
        ("", {"Range": "bytes=-0"}, (416, "InvalidRange")),
        ("", {"Range": "bytes=5-3"}, (200, "")),
        ("", {"Range": "bytes=0-1,3-4"}, (200, "")),
        ("", {"x-amz-server-side-encryption": "AES256"}, (400, "InvalidArgument")),
        ("attributes", {"x-amz-object-attributes": "ETag", "x-amz-max-parts": "x"}, (200, "")),
        ("attributes", {"x-amz-object-attributes": "ETag,Colour"}, (400, "InvalidArgument")),
        ("torrent", {}, (405, "MethodNotAllowed")),
    ],
)
def test_reading(
    sender: Sender, bucket: str, query: str, headers: Mapping[str, str], expected: tuple[int, str]
) -> None:
    answer = sender.ask("GET", f"/{bucket}/digits", query, headers)
    assert (answer.status, answer.code) == expected
    if not query.startswith("attributes"):
        assert sender.ask("HEAD", f"/{bucket}/digits", query, headers).status == expected[0] or query == "torrent"


def test_what_has_not_changed_says_what_it_is(sender: Sender, bucket: str) -> None:
    etag = hashlib.md5(BODY).hexdigest()
    answer = sender.ask("GET", f"/{bucket}/digits", headers={"If-None-Match": etag})
    assert (answer.status, answer.headers["etag"]) == (304, f'"{etag}"')
    assert (answer.headers["cache-control"], answer.headers["expires"]) == ("no-cache", "tomorrow")
    assert "last-modified" in answer.headers
    both = {"If-Match": etag, "If-Unmodified-Since": "Mon, 01 Jan 2001 00:00:00 GMT"}
    assert sender.ask("GET", f"/{bucket}/digits", headers=both).status == 200
    both = {"If-None-Match": '"x"', "If-Modified-Since": answer.headers["last-modified"]}
    assert sender.ask("GET", f"/{bucket}/digits", headers=both).status == 200


def test_nobody_may_choose_the_headers_of_an_answer(s3: Any, sender: Sender) -> None:
    bucket = new_bucket(s3)
    s3.delete_public_access_block(Bucket=bucket)
    allowed = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [allowed]}))
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    assert sender.ask("GET", f"/{bucket}/k", signed=False).status == 200
    answer = sender.ask("GET", f"/{bucket}/k", "response-content-type=a/b", signed=False)
    assert (answer.status, answer.code) == (400, "InvalidRequest")


PUTS: Cases = [
    ("right md5", {"Content-MD5": MD5}, (200, "")),
    ("wrong md5", {"Content-MD5": base64.b64encode(bytes(16)).decode()}, (400, "BadDigest")),
    ("short md5", {"Content-MD5": "YWJj"}, (400, "InvalidDigest")),
    ("no md5", {"Content-MD5": ""}, (400, "InvalidDigest")),
    ("checksum", {"x-amz-checksum-crc32": CRC32}, (200, "")),
    ("empty checksum", {"x-amz-checksum-crc32": ""}, (400, "InvalidRequest")),
    ("two checksums", {"x-amz-checksum-crc32": CRC32, "x-amz-checksum-sha256": SHA256}, (400, "InvalidRequest")),
    ("algorithm alone", {"x-amz-sdk-checksum-algorithm": "SHA256"}, (400, "InvalidRequest")),
    ("no algorithm", {"x-amz-sdk-checksum-algorithm": "ROT13"}, (400, "InvalidRequest")),
    (
        "another algorithm",
        {"x-amz-checksum-crc32": CRC32, "x-amz-sdk-checksum-algorithm": "SHA1"},
        (400, "InvalidRequest"),
    ),
    ("unknown checksum", {"x-amz-checksum-rot13": "x"}, (400, "InvalidRequest")),
    ("checksum of no hash", {"x-amz-checksum-xxhash64": "x"}, (400, "InvalidRequest")),
    ("MD5 as a checksum", {"x-amz-checksum-md5": MD5}, (200, "")),
    ("SHA512", {"x-amz-checksum-sha512": SHA512}, (200, "")),
    ("wrong SHA512", {"x-amz-checksum-sha512": SHA512.replace("u", "v", 1)}, (400, "BadDigest")),
    ("redirect", {"x-amz-website-redirect-location": "x"}, (400, "InvalidRedirectLocation")),
    ("class", {"x-amz-storage-class": "STONE"}, (400, "InvalidStorageClass")),
    ("metadata", {"x-amz-meta-a": "a" * 2048}, (400, "MetadataTooLarge")),
    ("sse", {"x-amz-server-side-encryption": "x"}, (400, "InvalidArgument")),
    (
        "context",
        {"x-amz-server-side-encryption": "aws:kms", "x-amz-server-side-encryption-context": "x"},
        (400, "InvalidArgument"),
    ),
    ("tags", {"x-amz-tagging": "=1"}, (400, "InvalidArgument")),
    ("broken tags", {"x-amz-tagging": "a=%z"}, (400, "InvalidArgument")),
    ("hold", {"x-amz-object-lock-legal-hold": "ON", "Content-MD5": MD5}, (400, "InvalidRequest")),
    ("until", {"x-amz-object-lock-retain-until-date": "x", "Content-MD5": MD5}, (400, "InvalidArgument")),
    ("event hold", {"x-amz-object-lock-event-hold": "ON", "Content-MD5": MD5}, (501, "NotImplementedException")),
    ("append", {"x-amz-write-offset-bytes": "1"}, (501, "NotImplemented")),
]


@pytest.mark.parametrize(("headers", "expected"), [case[1:] for case in PUTS], ids=[case[0] for case in PUTS])
def test_what_a_put_may_say(sender: Sender, bucket: str, headers: Mapping[str, str], expected: tuple[int, str]) -> None:
    answer = sender.ask("PUT", f"/{bucket}/put", headers=headers, body=BODY)
    assert (answer.status, answer.code) == expected


def test_a_wrong_digest_is_told_both(sender: Sender, bucket: str, begun: tuple[str, list[str]]) -> None:
    headers = {"Content-MD5": base64.b64encode(bytes(16)).decode()}
    answer = sender.ask("PUT", f"/{bucket}/put", headers=headers, body=BODY)
    assert (answer.told("ExpectedDigest"), answer.told("CalculatedDigest")) == ("0" * 32, MD5)
    answer = sender.ask("PUT", f"/{bucket}/parts", f"partNumber=1&uploadId={begun[0]}", headers, BODY)
    assert (answer.told("ExpectedDigest"), answer.told("CalculatedDigest")) == (headers["Content-MD5"], MD5)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"Content-Encoding": "aws-chunked"}, {"content-encoding": None}),
        ({"Content-Encoding": "gzip, aws-chunked"}, {"content-encoding": "gzip"}),
        ({"Content-Encoding": "deflate, aws-chunked, gzip"}, {"content-encoding": "deflate, gzip"}),
        ({"Content-Type": ""}, {"content-type": "binary/octet-stream"}),
        ({"Cache-Control": ""}, {"cache-control": None}),
        ({"Expires": "0"}, {"expires": "0"}),
        ({"x-amz-meta-Empty": "", "x-amz-meta-spaced": " a "}, {"x-amz-meta-empty": "", "x-amz-meta-spaced": "a"}),
    ],
)
def test_what_is_kept_of_the_headers(
    sender: Sender, bucket: str, given: Mapping[str, str], kept: Mapping[str, str | None]
) -> None:
    assert sender.ask("PUT", f"/{bucket}/kept", headers=given, body=BODY).status == 200
    found = sender.ask("HEAD", f"/{bucket}/kept").headers
    assert {name: found.get(name) for name in kept} == kept


def test_an_upload_says_how_long_it_is(sender: Sender, bucket: str) -> None:
    answer = sender.ask("PUT", f"/{bucket}/long", length=False)
    assert (answer.status, answer.code) == (411, "MissingContentLength")
    chunked = sender.ask(
        "PUT", f"/{bucket}/long", headers={"Transfer-Encoding": "chunked"}, body=b"1\r\nx\r\n0\r\n\r\n"
    )
    assert (chunked.status, chunked.told("Header")) == (501, "Transfer-Encoding")
    copied = {"x-amz-copy-source": f"{bucket}/digits"}
    assert sender.ask("PUT", f"/{bucket}/copied", headers=copied, length=False).status == 200


@pytest.mark.parametrize(
    ("trailer", "announced", "length", "expected"),
    [
        (f"x-amz-checksum-crc32:{CRC32}\r\n", "x-amz-checksum-crc32", "10", (200, "")),
        ("x-amz-checksum-crc32:AAAAAA==\r\n", "x-amz-checksum-crc32", "10", (400, "BadDigest")),
        ("", "x-amz-checksum-crc32", "10", (400, "MalformedTrailerError")),
        ("x-other:1\r\n", "x-other", "10", (400, "InvalidRequest")),
        (f"x-amz-checksum-crc32:{CRC32}\r\n", "x-amz-checksum-crc32", "9", (400, "IncompleteBody")),
        (f"x-amz-checksum-crc32:{CRC32}\r\n", "x-amz-checksum-crc32", "x", (411, "MissingContentLength")),
        (f"x-amz-checksum-crc32:{CRC32}\r\n", "x-amz-checksum-crc32", "", (411, "MissingContentLength")),
        ("", "", "10", (200, "")),
    ],
)
def test_a_checksum_behind_the_body(
    sender: Sender, bucket: str, trailer: str, announced: str, length: str, expected: tuple[int, str]
) -> None:
    body = b"a\r\n" + BODY + b"\r\n0\r\n" + trailer.encode() + b"\r\n"
    headers = {"Content-Encoding": "aws-chunked"}
    headers |= {"x-amz-trailer": announced} if announced else {}
    headers |= {"x-amz-decoded-content-length": length} if length else {}
    answer = sender.ask("PUT", f"/{bucket}/trailed", headers=headers, body=body, declared=UNSIGNED_TRAILER)
    assert (answer.status, answer.code) == expected
    if answer.status == 200:
        kept = "x-amz-checksum-crc32" if announced else "x-amz-checksum-crc64nvme"
        assert kept in answer.headers
        assert sender.ask("GET", f"/{bucket}/trailed").body == BODY


@pytest.mark.parametrize("path", ["%FF%FE", "%C3%28", "%ED%A0%80"])
def test_a_key_is_text(sender: Sender, bucket: str, path: str) -> None:
    answer = sender.ask("PUT", f"/{bucket}/{path}", body=BODY)
    assert (answer.status, answer.code) == (400, "InvalidURI")


def _deletion(*objects: str, quiet: str = "") -> bytes:
    return f"<Delete>{quiet}{''.join(f'<Object>{each}</Object>' for each in objects)}</Delete>".encode()


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (_deletion("<Key>gone</Key>"), (200, "")),
        (_deletion("<Key>gone</Key>", quiet="<Quiet>true</Quiet>"), (200, "")),
        (_deletion("<Key>gone</Key><VersionId>x</VersionId>"), (200, "NoSuchVersion")),
        (_deletion("<Key>digits</Key><ETag>&quot;x&quot;</ETag>"), (200, "PreconditionFailed")),
        (_deletion(f"<Key>{'k' * 1025}</Key>"), (200, "KeyTooLongError")),
        (_deletion(), (400, "MalformedXML")),
        (_deletion("<Key></Key>"), (400, "MalformedXML")),
        (_deletion("<VersionId>null</VersionId>"), (400, "MalformedXML")),
        (_deletion("<Key>k</Key>", quiet="<Quiet>x</Quiet>"), (400, "MalformedXML")),
        (_deletion(*(f"<Key>{number}</Key>" for number in range(1001))), (400, "MalformedXML")),
        (_deletion("<Key>k</Key>").replace(b"Delete", b"Remove"), (400, "MalformedXML")),
        (b"", (400, "MissingRequestBodyError")),
    ],
)
def test_deleting_many(sender: Sender, bucket: str, body: bytes, expected: tuple[int, str]) -> None:
    headers = {"Content-MD5": base64.b64encode(hashlib.md5(body).digest()).decode()}
    answer = sender.ask("POST", f"/{bucket}", "delete=", headers, body)
    assert (answer.status, answer.code) == expected
    without = sender.ask("POST", f"/{bucket}", "delete=", body=body)
    assert (without.status, without.code) == (400, "InvalidRequest")


def test_there_is_nothing_to_bypass_without_locks(s3: Any, bucket: str) -> None:
    for bypasses in (True, False):
        arguments: dict[str, Any] = {"Bucket": bucket, "BypassGovernanceRetention": bypasses}
        assert refusal(s3.delete_object, Key="k", **arguments) == ("InvalidArgument", 400)
        assert refusal(s3.delete_objects, Delete={"Objects": [{"Key": "k"}]}, **arguments) == ("InvalidArgument", 400)


def _parts(*parts: str) -> bytes:
    listed = "".join(f"<Part>{each}</Part>" for each in parts)
    return f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>".encode()


def _part(number: object, etag: str) -> str:
    return f"<PartNumber>{number}</PartNumber><ETag>{etag}</ETag>"


@pytest.fixture(scope="module")
def begun(s3: Any, bucket: str) -> tuple[str, list[str]]:
    """An upload with two small parts, and their ETags."""
    upload = s3.create_multipart_upload(Bucket=bucket, Key="parts")["UploadId"]
    parts = [s3.upload_part(Bucket=bucket, Key="parts", UploadId=upload, PartNumber=n, Body=BODY) for n in (1, 2)]
    return upload, [part["ETag"] for part in parts]


COMPLETIONS = [
    ([], "MalformedXML"),
    (["{1}", "{2}"], "EntityTooSmall"),
    (["{2}", "{1}"], "InvalidPartOrder"),
    (["{1}", "{1}"], "InvalidPartOrder"),
    (["{1}", "{3}"], "InvalidPart"),
    (["{0}"], "InvalidArgument"),
    (["{x}"], "MalformedXML"),
    (["<PartNumber>1</PartNumber>"], "MalformedXML"),
    (["<ETag>x</ETag>"], "MalformedXML"),
]


@pytest.mark.parametrize(("listed", "code"), COMPLETIONS)
def test_completing_what_is_not_there(
    sender: Sender, bucket: str, begun: tuple[str, list[str]], listed: list[str], code: str
) -> None:
    upload, etags = begun
    known = {f"{{{number}}}": _part(number, etags[0]) for number in ("0", "1", "2", "3", "x")}
    body = _parts(*(known.get(each, each) for each in listed))
    answer = sender.ask("POST", f"/{bucket}/parts", f"uploadId={upload}", body=body)
    assert (answer.status, answer.code) == (400, code)
    assert sender.ask("POST", f"/{bucket}/parts", body=body).code == "MethodNotAllowed"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("max-parts=x", (400, "max-parts")),
        ("max-parts=-1", (400, "max-parts")),
        ("part-number-marker=-2", (400, "part-number-marker")),
        ("part-number-marker=x", (400, "part-number-marker")),
        ("part-number-marker=1&max-parts=1", (200, "")),
    ],
)
def test_listing_parts(
    sender: Sender, bucket: str, begun: tuple[str, list[str]], query: str, expected: tuple[int, str]
) -> None:
    answer = sender.ask("GET", f"/{bucket}/parts", f"uploadId={begun[0]}&{query}")
    assert (answer.status, answer.told("ArgumentName")) == expected


@pytest.mark.parametrize("header", ["x-amz-server-side-encryption", "x-amz-tagging", "x-amz-storage-class"])
def test_a_part_is_not_the_place_for_it(sender: Sender, bucket: str, begun: tuple[str, list[str]], header: str) -> None:
    query = f"partNumber=1&uploadId={begun[0]}"
    answer = sender.ask("PUT", f"/{bucket}/parts", query, {header: "x"}, BODY)
    assert (answer.status, answer.code, answer.told("ArgumentName")) == (400, "InvalidArgument", header)


@pytest.mark.parametrize("algorithm", ["CRC32", "SHA256", "SHA512"])
def test_a_part_is_read_with_its_own_checksum(s3: Any, bucket: str, algorithm: str) -> None:
    upload = s3.create_multipart_upload(Bucket=bucket, Key=algorithm, ChecksumAlgorithm=algorithm)["UploadId"]
    named = {"Bucket": bucket, "Key": algorithm}
    part = s3.upload_part(**named, UploadId=upload, PartNumber=3, Body=BODY, ChecksumAlgorithm=algorithm)
    checksum = {f"Checksum{algorithm}": part[f"Checksum{algorithm}"]}
    listed = {"Parts": [{"PartNumber": 3, "ETag": part["ETag"], **checksum}]}
    s3.complete_multipart_upload(**named, UploadId=upload, MultipartUpload=listed)
    found = s3.get_object(**named, PartNumber=1, ChecksumMode="ENABLED")
    assert found["Body"].read() == BODY
    assert checksum.items() <= found.items()
    assert (found["ChecksumType"], found["PartsCount"]) == ("COMPOSITE", 1)


@pytest.mark.parametrize(
    ("path", "query", "document", "root"),
    [
        ("held", "retention=", "<Retention><Mode>GOVERNANCE</Mode>{until}</Retention>", "Retention"),
        ("held", "legal-hold=", "<LegalHold><Status>OFF</Status></LegalHold>", "LegalHold"),
        ("held", "tagging=", "<Tagging><TagSet></TagSet></Tagging>", "Tagging"),
    ],
)
def test_documents_have_their_names(
    sender: Sender, s3: Any, locked: str, path: str, query: str, document: str, root: str
) -> None:
    s3.put_object(Bucket=locked, Key=path, Body=b"")
    body = document.format(until="<RetainUntilDate>2099-01-01T00:00:00Z</RetainUntilDate>").encode()
    md5 = {"Content-MD5": base64.b64encode(hashlib.md5(body).digest()).decode()}
    assert sender.ask("PUT", f"/{locked}/{path}", query, md5, body).status == 200
    begins = f'<{root} xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
    assert begins in sender.ask("GET", f"/{locked}/{path}", query).body.decode()
    other = body.replace(root.encode(), b"Other")
    md5 = {"Content-MD5": base64.b64encode(hashlib.md5(other).digest()).decode()}
    assert sender.ask("PUT", f"/{locked}/{path}", query, md5, other).code == "MalformedXML"
    if root != "Tagging":
        assert sender.ask("PUT", f"/{locked}/{path}", query, body=body).code == "InvalidRequest"


def test_what_is_locked_came_as_it_was_sent(sender: Sender, locked: str) -> None:
    headers = {"x-amz-object-lock-mode": "GOVERNANCE", "x-amz-object-lock-retain-until-date": "2099-01-01T00:00:00Z"}
    answer = sender.ask("PUT", f"/{locked}/k", headers=headers, body=BODY)
    assert (answer.status, answer.code) == (400, "InvalidRequest")
    assert sender.ask("PUT", f"/{locked}/k", headers=headers | {"Content-MD5": MD5}, body=BODY).status == 200


def test_a_lock_is_not_made_another_without_a_bypass(s3: Any, locked: str) -> None:
    s3.put_object(Bucket=locked, Key="moded", Body=b"")
    named = {"Bucket": locked, "Key": "moded"}
    until = datetime(2099, 1, 1, tzinfo=UTC)
    s3.put_object_retention(**named, Retention={"Mode": "GOVERNANCE", "RetainUntilDate": until})
    later = until + timedelta(days=1)
    s3.put_object_retention(**named, Retention={"Mode": "GOVERNANCE", "RetainUntilDate": later})
    other = {"Mode": "COMPLIANCE", "RetainUntilDate": later}
    assert refusal(s3.put_object_retention, **named, Retention=other) == ("AccessDenied", 403)


def test_lists_show_what_was_restored_if_asked(s3: Any, sender: Sender) -> None:
    bucket = new_bucket(s3)
    s3.put_object(Bucket=bucket, Key="ice", Body=b"", StorageClass="GLACIER")
    s3.restore_object(Bucket=bucket, Key="ice", RestoreRequest={"Days": 1})
    for call, name in (
        (s3.list_objects, "Contents"),
        (s3.list_objects_v2, "Contents"),
        (s3.list_object_versions, "Versions"),
    ):
        assert "RestoreStatus" not in call(Bucket=bucket)[name][0]
        shown = call(Bucket=bucket, OptionalObjectAttributes=["RestoreStatus"])[name][0]
        assert shown["RestoreStatus"]["IsRestoreInProgress"] is False
    answer = sender.ask("GET", f"/{bucket}", headers={"x-amz-optional-object-attributes": "Colour"})
    assert (answer.status, answer.code) == (400, "InvalidArgument")


def test_conditions_of_other_kinds_of_buckets(s3: Any, bucket: str) -> None:
    upload = s3.create_multipart_upload(Bucket=bucket, Key="begun")["UploadId"]
    arguments = {"Bucket": bucket, "Key": "begun", "UploadId": upload}
    begun = datetime(2020, 1, 1, tzinfo=UTC)
    assert refusal(s3.abort_multipart_upload, **arguments, IfMatchInitiatedTime=begun) == ("NotImplemented", 501)
    s3.abort_multipart_upload(**arguments)


@pytest.mark.parametrize(
    ("name", "code"), [("a", "InvalidBucketName"), ("-ab", "InvalidBucketName"), ("A_b", "NoSuchBucket")]
)
def test_names_that_no_bucket_has(sender: Sender, name: str, code: str) -> None:
    assert sender.ask("GET", f"/{name}/k").code == code
    assert sender.ask("GET", f"/{name}").code == code


@pytest.mark.parametrize(
    ("authorization", "expected"),
    [
        ("", (403, "AccessDenied")),
        ("Bearer x", (400, "InvalidArgument")),
        ("AWS x", (400, "InvalidArgument")),
        ("AWS x:y", (400, "InvalidRequest")),
        ("AWS4-HMAC-SHA256 Credential=x", (403, "AccessDenied")),
    ],
)
def test_authorizations_that_are_none(
    sender: Sender, bucket: str, authorization: str, expected: tuple[int, str]
) -> None:
    answer = sender.ask("GET", f"/{bucket}/digits", headers={"Authorization": authorization}, signed=False)
    assert (answer.status, answer.code) == expected


_NAMED = "AWS4-HMAC-SHA256 Credential={}, SignedHeaders=host, Signature=" + "0" * 64


@pytest.mark.parametrize(
    ("authorization", "says"),
    [
        ("AWS4-HMAC-SHA256 Credential=x", "the authorization header requires three components: "),
        ("AWS4-HMAC-SHA256 Credential=x, Y, Z=1", 'the authorization component "Y" is malformed.'),
        ("AWS4-HMAC-SHA256 Credential=x, Y=1, Signature=1", "missing SignedHeaders."),
        (_NAMED.format("AKIA/20260101/s3/aws4_request"), "the Credential is mal-formed; expecting "),
        (_NAMED.format("/20260101/us-east-1/s3/aws4_request"), "a non-empty Access Key (AKID) must be provided "),
        (_NAMED.format("A/20260101/us-east-1/s3/aws5"), 'incorrect terminal "aws5". This endpoint uses "aws4_request"'),
        (_NAMED.format("A/20260101/us-east-1/s3/aws4_request"), "Invalid credential date. Date is not the same as X-"),
        (_NAMED.format("A/1-1/us-east-1/s3/aws4_request"), 'incorrect date format "1-1". This date in the credential '),
    ],
)
def test_malformed_authorizations_are_told_what_is_wrong(
    sender: Sender, bucket: str, authorization: str, says: str
) -> None:
    headers = {"Authorization": authorization, "x-amz-date": "20260102T000000Z"}
    answer = sender.ask("GET", f"/{bucket}/digits", headers=headers, signed=False)
    assert (answer.status, answer.code) == (400, "AuthorizationHeaderMalformed")
    told = html.unescape(answer.told("Message"))
    assert told.startswith(f"The authorization header is malformed; {says}")


@pytest.mark.parametrize(
    ("credential", "says"),
    [
        ("A/20260101/s3/aws4_request", "the Credential is mal-formed; expecting "),
        ("A/20260101/us-east-1/s3/aws5", 'incorrect terminal "aws5". This endpoint uses "aws4_request".'),
        ("A/20260101/us-east-1/s3/aws4_request", 'Invalid credential date "20260101". This date is not the same as X-'),
    ],
)
def test_malformed_credentials_of_urls_are_told_what_is_wrong(
    sender: Sender, bucket: str, credential: str, says: str
) -> None:
    query = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date=20260102T000000Z&X-Amz-SignedHeaders=host&X-Amz-Expires=9"
    query += f"&X-Amz-Signature={'0' * 64}&X-Amz-Credential={quote(credential, safe='')}"
    answer = sender.ask("GET", f"/{bucket}/digits", query, signed=False)
    assert (answer.status, answer.code) == (400, "AuthorizationQueryParametersError")
    told = html.unescape(answer.told("Message"))
    assert told.startswith(f"Error parsing the X-Amz-Credential parameter; {says}")


@pytest.mark.parametrize(("version", "begins"), [("s3v4", "41 57 53 34"), ("s3", "50 55 54")])
def test_a_wrong_signature_is_told_what_was_signed(
    server: CossetServer, sender: Sender, bucket: str, version: str, begins: str
) -> None:
    client = server.client("s3", config=Config(signature_version=version))
    url = urlsplit(client.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "digits"}))
    answer = sender.ask("PUT", url.path, url.query, body=BODY, signed=False)
    assert (answer.status, answer.code) == (403, "SignatureDoesNotMatch")
    assert answer.told("StringToSignBytes").startswith(begins)
    assert answer.told("AWSAccessKeyId") == server.credentials.access_key_id
    assert bool(answer.told("CanonicalRequestBytes")) == (version == "s3v4")


def test_pages_of_uploads_tell_no_prefix_twice(s3: Any) -> None:
    bucket = new_bucket(s3)
    for key in ("a", "b/1", "b/2", "c"):
        s3.create_multipart_upload(Bucket=bucket, Key=key)
    pages = s3.get_paginator("list_multipart_uploads").paginate(
        Bucket=bucket, Delimiter="/", PaginationConfig={"PageSize": 2}
    )
    told = [
        ([each["Key"] for each in page.get("Uploads", ())], [each["Prefix"] for each in page.get("CommonPrefixes", ())])
        for page in pages
    ]
    assert told == [(["a"], ["b/"]), (["c"], [])]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("", "Invalid copy source bucket name"),
        ("/", "Invalid copy source bucket name"),
        ("bucket", "Invalid copy source object key"),
        ("bucket/", "Invalid copy source object key"),
        ("bucket/%%", "Invalid copy source encoding."),
    ],
)
def test_sources_that_are_none(sender: Sender, bucket: str, source: str, expected: str) -> None:
    answer = sender.ask("PUT", f"/{bucket}/copy", headers={"x-amz-copy-source": source})
    assert (answer.status, answer.code, answer.told("Message")) == (400, "InvalidArgument", expected)


def test_a_plus_in_a_source_is_a_space(sender: Sender, bucket: str) -> None:
    sender.ask("PUT", f"/{bucket}/a%20b", body=BODY)
    for source, status in (("a+b", 200), ("a%20b", 200), ("a%2Bb", 404)):
        answer = sender.ask("PUT", f"/{bucket}/copy", headers={"x-amz-copy-source": f"{bucket}/{source}"})
        assert answer.status == status


@pytest.mark.parametrize(
    ("query", "expected", "told"),
    [
        ("partNumber=1", (400, "InvalidArgument"), "This operation does not accept partNumber without uploadId"),
        ("versionId=null", (400, "InvalidArgument"), "This operation does not accept a version-id."),
        ("uploadId=x", (405, "MethodNotAllowed"), "The specified method is not allowed against this resource."),
    ],
)
@pytest.mark.parametrize("copies", [False, True])
def test_half_of_a_part_is_no_object(
    sender: Sender, bucket: str, query: str, expected: tuple[int, str], told: str, copies: bool
) -> None:
    headers = {"x-amz-copy-source": f"{bucket}/digits"} if copies else {}
    answer = sender.ask("PUT", f"/{bucket}/half", query, headers, b"" if copies else BODY)
    assert ((answer.status, answer.code), answer.told("Message")) == (expected, told)
    assert answer.status != 405 or answer.headers["allow"] == "DELETE, POST, GET"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_not_every_header_is_overridden(sender: Sender, bucket: str, method: str) -> None:
    answer = sender.ask(method, f"/{bucket}/digits", "response-date=x")
    assert answer.status == 400
    if method == "GET":
        assert (answer.code, answer.told("ArgumentName")) == ("InvalidArgument", "response-date")


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "InvalidRequest"),
        ({"x-amz-object-attributes": ""}, "InvalidRequest"),
        ({"x-amz-object-attributes": "ETags"}, "InvalidArgument"),
    ],
)
def test_attributes_are_named(sender: Sender, bucket: str, headers: Mapping[str, str], code: str) -> None:
    answer = sender.ask("GET", f"/{bucket}/digits", "attributes", headers)
    assert (answer.status, answer.code) == (400, code)


def test_only_the_last_chunk_is_small(sender: Sender, bucket: str) -> None:
    headers = {"x-amz-decoded-content-length": "10", "Content-Encoding": "aws-chunked"}
    body = b"5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n"
    answer = sender.ask("PUT", f"/{bucket}/chunks", headers=headers, body=body, declared=UNSIGNED_TRAILER)
    assert (answer.status, answer.code) == (403, "InvalidChunkSizeError")
    assert (answer.told("Chunk"), answer.told("BadChunkSize")) == ("2", "5")
