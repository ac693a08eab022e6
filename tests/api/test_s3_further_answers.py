"""Members of requests and answers that few clients use: when uploads are given up, what keys were made with, namespaces
of buckets, conditions about locks and new objects, forms that say too little; and headers that are not for everybody:
ranges of what may have changed, sources of copies, sizes, checksums that are missing."""

import base64
import http.client
import json
import re
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import boto3
import pytest
from botocore.config import Config

from cosset.identity.one_time_codes import STEP_MS, code_at
from cosset.testing.server import CossetServer
from support.s3_objects import new_bucket, refusal
from support.s3_requests import Sender

ABORTS = {"Status": "Enabled", "Filter": {"Prefix": "a/"}, "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 2}}


@pytest.fixture(scope="module")
def s3(server: CossetServer) -> Any:
    return server.client("s3", config=Config(parameter_validation=False))


@pytest.fixture(scope="module")
def sender(server: CossetServer) -> Sender:
    return Sender(server)


@pytest.fixture(scope="module")
def bucket(s3: Any) -> str:
    return new_bucket(s3)


def test_an_upload_tells_when_it_will_be_given_up(s3: Any) -> None:
    name = new_bucket(s3)
    earlier = {**ABORTS, "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1}, "Filter": {"Prefix": "a/b"}}
    rules = [{"ID": "two days", **ABORTS}, {"ID": "off", **earlier, "Status": "Disabled"}]
    s3.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": rules})
    upload = s3.create_multipart_upload(Bucket=name, Key="a/b")
    assert upload["AbortRuleId"] == "two days"
    assert upload["AbortDate"].strftime("%H:%M:%S") == "00:00:00"
    assert timedelta(days=1) < upload["AbortDate"] - datetime.now(UTC) <= timedelta(days=3)
    parts = s3.list_parts(Bucket=name, Key="a/b", UploadId=upload["UploadId"])
    assert (parts["AbortRuleId"], parts["AbortDate"]) == ("two days", upload["AbortDate"])
    assert "AbortDate" not in s3.create_multipart_upload(Bucket=name, Key="b")


def test_an_upload_is_not_begun_for_an_acl_that_it_cannot_have(s3: Any, bucket: str) -> None:
    begin = s3.create_multipart_upload
    assert refusal(begin, Bucket=bucket, Key="k", ACL="public-read") == ("AccessControlListNotSupported", 400)
    assert begin(Bucket=bucket, Key="k", ACL="bucket-owner-full-control")["UploadId"]
    shut = new_bucket(s3, ObjectOwnership="ObjectWriter")
    assert refusal(begin, Bucket=shut, Key="k", ACL="public-read") == ("AccessDenied", 403)


def test_who_brought_a_context_is_told_it(s3: Any, bucket: str) -> None:
    context = base64.b64encode(b'{"team": "a"}').decode()
    asked = {"Bucket": bucket, "Key": "context", "ServerSideEncryption": "aws:kms", "SSEKMSEncryptionContext": context}
    assert s3.put_object(**asked)["SSEKMSEncryptionContext"] == context
    assert s3.create_multipart_upload(**asked)["SSEKMSEncryptionContext"] == context
    assert s3.copy_object(**asked, CopySource=f"{bucket}/context")["SSEKMSEncryptionContext"] == context
    assert "SSEKMSEncryptionContext" not in s3.head_object(Bucket=bucket, Key="context")


def test_an_account_has_names_of_its_own(server: CossetServer, s3: Any) -> None:
    account = server.client("sts").get_caller_identity()["Account"]
    name = f"x{uuid4().hex[:8]}-{account}-us-east-1-an"
    assert refusal(s3.create_bucket, Bucket=name) == ("MissingNamespaceHeader", 400)
    assert s3.create_bucket(Bucket=name, BucketNamespace="account-regional")["Location"] == f"/{name}"
    for other in (f"x{uuid4().hex[:8]}-{account}-us-west-2-an", f"x{uuid4().hex[:8]}-123456789012-us-east-1-an"):
        refused = refusal(s3.create_bucket, Bucket=other, BucketNamespace="account-regional")
        assert refused == ("InvalidNamespaceHeader", 400)
    assert refusal(s3.create_bucket, Bucket="wherever", BucketNamespace="mine") == ("InvalidArgument", 400)


def test_a_bucket_in_one_zone_is_refused_by_name(s3: Any) -> None:
    zone = {"Location": {"Type": "AvailabilityZone", "Name": "use1-az4"}, "Bucket": {"Type": "Directory"}}
    refused = refusal(s3.create_bucket, Bucket="in-one-zone", CreateBucketConfiguration=zone)
    assert refused == ("NotImplementedException", 501)


@pytest.mark.parametrize(
    ("method", "query", "code"),
    [
        ("PUT", "notification", "MissingRequestBodyError"),
        ("PUT", "tagging", "MissingRequestBodyError"),
        ("PUT", "policy", "MalformedPolicy"),
        ("PUT", "acl", "MissingSecurityHeader"),
        ("POST", "delete", "MissingRequestBodyError"),
    ],
)
def test_a_document_that_is_empty(sender: Sender, bucket: str, method: str, query: str, code: str) -> None:
    answer = sender.ask(method, f"/{bucket}", query, headers={"Content-MD5": "1B2M2Y8AsgTpgAmY7PhCfg=="})
    assert (answer.status, answer.code) == (400, code)


def test_torrents_are_no_more(sender: Sender, bucket: str) -> None:
    answer = sender.ask("GET", f"/{bucket}/k", "torrent")
    assert (answer.status, answer.code, answer.told("ResourceType")) == (405, "MethodNotAllowed", "TORRENT")


def test_ids_of_configurations(s3: Any, bucket: str) -> None:
    put = s3.put_bucket_metrics_configuration
    refused = refusal(put, Bucket=bucket, Id="a b", MetricsConfiguration={"Id": "a b"})
    assert refused == ("InvalidConfigurationId", 400)


def test_nothing_is_fetched_from_the_deepest_archive_in_minutes(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="deep", StorageClass="DEEP_ARCHIVE")
    for request in ({"Days": 1, "GlacierJobParameters": {"Tier": "Expedited"}}, {"Days": 1, "Tier": "Expedited"}):
        refused = refusal(s3.restore_object, Bucket=bucket, Key="deep", RestoreRequest=request)
        assert refused == ("InvalidArgument", 400)


def _deny(bucket: str, action: str, condition: Any) -> str:
    resource = f"arn:aws:s3:::{bucket}/*"
    statement = {"Effect": "Deny", "Principal": "*", "Action": action, "Resource": resource, "Condition": condition}
    return json.dumps({"Version": "2012-10-17", "Statement": statement})


def test_conditions_have_names_that_s3_knows(s3: Any, bucket: str) -> None:
    unknown = _deny(bucket, "s3:PutObject", {"StringEquals": {"s3:Colour": "red"}})
    assert refusal(s3.put_bucket_policy, Bucket=bucket, Policy=unknown) == ("MalformedPolicy", 400)
    known = {"StringEquals": {"s3:RequestObjectTag/Colour": "red", "s3:x-amz-acl": "private", "aws:SourceVpc": "x"}}
    s3.put_bucket_policy(Bucket=bucket, Policy=_deny(bucket, "s3:PutObject", known))
    s3.delete_bucket_policy(Bucket=bucket)


def test_an_account_in_a_policy_comes_back_as_its_arn(s3: Any, bucket: str) -> None:
    allow = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
    principals = ["123456789012", "arn:aws:iam::210987654321:root"]
    document = {"Version": "2012-10-17", "Statement": [{**allow, "Principal": {"AWS": principals}}]}
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(document))
    kept = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])
    expected = ["arn:aws:iam::123456789012:root", "arn:aws:iam::210987654321:root"]
    assert kept["Statement"][0]["Principal"]["AWS"] == expected
    s3.delete_bucket_policy(Bucket=bucket)


def test_writing_once_can_be_demanded_of_uploads_too(s3: Any) -> None:
    name = new_bucket(s3)
    twice = {"Null": {"s3:if-none-match": "true"}, "Bool": {"s3:ObjectCreationOperation": "true"}}
    s3.put_bucket_policy(Bucket=name, Policy=_deny(name, "s3:PutObject", twice))
    assert refusal(s3.put_object, Bucket=name, Key="k") == ("AccessDenied", 403)
    s3.put_object(Bucket=name, Key="k", IfNoneMatch="*")
    upload = {"Bucket": name, "Key": "u", "UploadId": s3.create_multipart_upload(Bucket=name, Key="u")["UploadId"]}
    etag = s3.upload_part(**upload, PartNumber=1, Body=b"")["ETag"]
    done = {**upload, "MultipartUpload": {"Parts": [{"PartNumber": 1, "ETag": etag}]}}
    assert refusal(s3.complete_multipart_upload, **done) == ("AccessDenied", 403)
    s3.complete_multipart_upload(**done, IfNoneMatch="*")


def test_how_long_locks_are_can_be_bounded(s3: Any) -> None:
    name, now = new_bucket(s3, ObjectLockEnabledForBucket=True), datetime.now(UTC)
    s3.put_object(Bucket=name, Key="k")
    long = {"NumericGreaterThan": {"s3:object-lock-remaining-retention-days": "10"}}
    s3.put_bucket_policy(Bucket=name, Policy=_deny(name, "s3:PutObjectRetention", long))
    for days, expected in ((5, None), (20, ("AccessDenied", 403))):
        lock = {"Mode": "GOVERNANCE", "RetainUntilDate": now + timedelta(days=days)}
        asked = {"Bucket": name, "Key": "k", "Retention": lock}
        if expected is None:
            s3.put_object_retention(**asked)
        else:
            assert refusal(s3.put_object_retention, **asked) == expected
            at_once = {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": lock["RetainUntilDate"]}
            assert refusal(s3.put_object, Bucket=name, Key="k", **at_once) == expected


def test_versions_go_with_a_second_factor_only(server: CossetServer, s3: Any) -> None:
    """Each code is taken once: the next ones are those of steps to come, which devices are let show early."""
    iam, name, now_ms = server.client("iam"), new_bucket(s3), round(time.time() * 1000)
    device = iam.create_virtual_mfa_device(VirtualMFADeviceName=f"phone-{uuid4().hex[:8]}")["VirtualMFADevice"]
    serial, seed = device["SerialNumber"], base64.b32decode(device["Base32StringSeed"])
    codes = [code_at(seed, now_ms // STEP_MS + step) for step in (-1, 0, 1, 2)]
    user = iam.get_user()["User"]["UserName"]
    first, second = codes[:2]
    iam.enable_mfa_device(UserName=user, SerialNumber=serial, AuthenticationCode1=first, AuthenticationCode2=second)
    try:
        on = {"Status": "Enabled", "MFADelete": "Enabled"}
        put = {"Bucket": name, "VersioningConfiguration": on}
        assert refusal(s3.put_bucket_versioning, **put, MFA=f"{serial} {second}") == ("AccessDenied", 403)
        s3.put_bucket_versioning(**put, MFA=f"{serial} {codes[2]}")
        told = s3.get_bucket_versioning(Bucket=name)
        assert (told["Status"], told["MFADelete"]) == ("Enabled", "Enabled")
        version = s3.put_object(Bucket=name, Key="k")["VersionId"]
        assert s3.delete_object(Bucket=name, Key="k")["DeleteMarker"]
        suspended = {"Bucket": name, "VersioningConfiguration": {"Status": "Suspended"}}
        assert refusal(s3.put_bucket_versioning, **suspended) == ("AccessDenied", 403)
        both = {"Objects": [{"Key": "other"}, {"Key": "k", "VersionId": version}]}
        assert refusal(s3.delete_objects, Bucket=name, Delete=both) == ("AccessDenied", 403)
        expires = {"Rules": [{"Status": "Enabled", "Filter": {}, "Expiration": {"Days": 1}}]}
        lasting = refusal(s3.put_bucket_lifecycle_configuration, Bucket=name, LifecycleConfiguration=expires)
        assert lasting == ("InvalidBucketState", 409)
        gone = {"Bucket": name, "Key": "k", "VersionId": version}
        assert refusal(s3.delete_object, **gone) == ("AccessDenied", 403)
        assert s3.delete_object(**gone, MFA=f"{serial} {codes[3]}")["VersionId"] == version
    finally:
        iam.deactivate_mfa_device(UserName=user, SerialNumber=serial)
        iam.delete_virtual_mfa_device(SerialNumber=serial)


def test_an_object_gets_another_key(server: CossetServer, s3: Any, bucket: str) -> None:
    account = server.client("sts").get_caller_identity()["Account"]
    key = f"arn:aws:kms:us-east-1:{account}:key/01234567-89ab-cdef-0123-456789abcdef"
    s3.put_object(Bucket=bucket, Key="plain", Body=b"plain", Metadata={"a": "b"})
    before = s3.head_object(Bucket=bucket, Key="plain", ChecksumMode="ENABLED")

    def update(arn: str, name: str = "plain", where: str = bucket) -> dict[str, Any]:
        wanted = {"SSEKMS": {"KMSKeyArn": arn, "BucketKeyEnabled": True}}
        return {"Bucket": where, "Key": name, "ObjectEncryption": wanted}

    s3.update_object_encryption(**update(key))
    after = s3.head_object(Bucket=bucket, Key="plain", ChecksumMode="ENABLED")
    assert (after["ServerSideEncryption"], after["SSEKMSKeyId"], after["BucketKeyEnabled"]) == ("aws:kms", key, True)
    for name in ("ETag", "LastModified", "ChecksumCRC32", "Metadata"):
        assert after[name] == before[name]
    assert s3.get_object(Bucket=bucket, Key="plain")["Body"].read() == b"plain"
    s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/plain")
    assert s3.get_object(Bucket=bucket, Key="copy")["Body"].read() == b"plain"

    s3.put_object(Bucket=bucket, Key="sealed", SSECustomerAlgorithm="AES256", SSECustomerKey="k" * 32)
    locked = new_bucket(s3, ObjectLockEnabledForBucket=True)
    s3.put_object(Bucket=locked, Key="plain", ObjectLockLegalHoldStatus="ON")
    none = {"Bucket": bucket, "Key": "plain", "ObjectEncryption": {}}
    for asked, expected in (
        (none, ("InvalidRequest", 400)),
        (update("alias/mine"), ("InvalidRequest", 400)),
        (update(key, "sealed"), ("InvalidRequest", 400)),
        (update(key, "nowhere"), ("NoSuchKey", 404)),
        (update(key.replace(account, "123456789012")), ("AccessDenied", 403)),
        (update(key, where=locked), ("AccessDenied", 403)),
    ):
        assert refusal(s3.update_object_encryption, **asked) == expected


def test_policies_go_by_a_buckets_tags_where_they_may(server: CossetServer, s3: Any) -> None:
    name, iam = new_bucket(s3), server.client("iam")
    control = server.client("s3control")
    control.meta.events.register("before-sign.s3-control", _without_account)
    user = f"reader-{uuid4().hex[:8]}"
    iam.create_user(UserName=user)
    allow = {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "*"}
    tagged = {**allow, "Condition": {"StringEquals": {"aws:ResourceTag/team": "red", "s3:BucketTag/team": "red"}}}
    document = json.dumps({"Version": "2012-10-17", "Statement": tagged})
    iam.put_user_policy(UserName=user, PolicyName="red", PolicyDocument=document)
    keys = iam.create_access_key(UserName=user)["AccessKey"]
    session = boto3.Session(keys["AccessKeyId"], keys["SecretAccessKey"], region_name=server.region)
    reader = session.client("s3", endpoint_url=server.endpoint)

    red = {"TagSet": [{"Key": "team", "Value": "red"}]}
    s3.put_bucket_tagging(Bucket=name, Tagging=red)
    assert s3.get_bucket_abac(Bucket=name)["AbacStatus"] == {"Status": "Disabled"}
    assert refusal(reader.list_objects_v2, Bucket=name) == ("AccessDenied", 403)
    s3.put_bucket_abac(Bucket=name, AbacStatus={"Status": "Enabled"})
    assert s3.get_bucket_abac(Bucket=name)["AbacStatus"] == {"Status": "Enabled"}
    assert reader.list_objects_v2(Bucket=name)["KeyCount"] == 0
    assert refusal(s3.put_bucket_tagging, Bucket=name, Tagging=red) == ("InvalidRequest", 400)
    assert refusal(s3.delete_bucket_tagging, Bucket=name) == ("InvalidRequest", 400)
    account = server.client("sts").get_caller_identity()["Account"]
    control.untag_resource(AccountId=account, ResourceArn=f"arn:aws:s3:::{name}", TagKeys=["team"])
    assert refusal(reader.list_objects_v2, Bucket=name) == ("AccessDenied", 403)


@pytest.mark.parametrize("version", ["s3", "s3v4"])
def test_forms_that_leave_a_field_out(server: CossetServer, sender: Sender, bucket: str, version: str) -> None:
    fields = server.client("s3", config=Config(signature_version=version)).generate_presigned_post(bucket, "k")[
        "fields"
    ]
    names = {name.lower(): name for name in ("X-Amz-Signature", "X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date")}
    for left_out in [name for name in fields if name not in ("key", "policy")]:
        kept = {name: value for name, value in fields.items() if name != left_out}
        answer = _post(sender, bucket, kept)
        expected = names.get(left_out, left_out)
        assert (answer.status, answer.code, answer.told("ArgumentName")) == (400, "InvalidArgument", expected)
    unsigned = {name: fields[name] for name in ("key", "policy")}
    assert _post(sender, bucket, unsigned).code == "AccessDenied"


def _without_account(request: Any, **_: Any) -> None:
    """SDKs put the account before the host, which needs names that resolve."""
    request.url = re.sub(r"//\d{12}\.", "//", request.url)


def _post(sender: Sender, bucket: str, fields: dict[str, str]) -> Any:
    parts = [f'--edge\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{fields[name]}\r\n' for name in fields]
    file = '--edge\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\nx\r\n--edge--\r\n'
    headers = {"Content-Type": "multipart/form-data; boundary=edge"}
    return sender.ask("POST", f"/{bucket}", headers=headers, body="".join([*parts, file]).encode(), signed=False)


def test_a_range_counts_only_of_what_the_caller_has_a_part_of(sender: Sender, s3: Any, bucket: str) -> None:
    """`If-Range`, as browsers send it where they go on with a download."""
    etag = s3.put_object(Bucket=bucket, Key="ranged", Body=b"0123456789")["ETag"]
    modified = sender.ask("HEAD", f"/{bucket}/ranged").headers["last-modified"]
    for given, status, body in (
        (etag, 206, b"89"),
        (modified, 206, b"89"),
        ('"0123456789abcdef0123456789abcdef"', 200, b"0123456789"),
        (f"W/{etag}", 200, b"0123456789"),
        ("Mon, 01 Jan 2001 00:00:00 GMT", 200, b"0123456789"),
    ):
        asked = {"Range": "bytes=8-", "If-Range": given}
        answer = sender.ask("GET", f"/{bucket}/ranged", headers=asked)
        assert (answer.status, answer.body) == (status, body)
        assert sender.ask("HEAD", f"/{bucket}/ranged", headers=asked).headers["content-length"] == str(len(body))
    beyond = {"Range": "bytes=99-", "If-Range": '"another"'}
    assert sender.ask("GET", f"/{bucket}/ranged", headers=beyond).status == 200


def test_parts_are_counted_to_ten_thousand(sender: Sender, s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="parted", Body=b"x")
    for number, status in ((0, 400), (10_000, 416), (10_001, 400)):
        assert sender.ask("GET", f"/{bucket}/parted", f"partNumber={number}").status == status


def test_nobody_is_told_of_methods_that_there_are_not(sender: Sender, bucket: str) -> None:
    for method, path, status, code in (
        ("POST", f"/{bucket}", 412, "PreconditionFailed"),
        ("POST", f"/{bucket}/key", 405, "MethodNotAllowed"),
        ("PATCH", f"/{bucket}/key", 405, "MethodNotAllowed"),
        ("PUT", f"/{bucket}/key", 403, "AccessDenied"),
    ):
        answer = sender.ask(method, path, signed=False)
        assert (answer.status, answer.code) == (status, code)


def test_who_does_not_send_what_was_signed_is_told_how_it_was_counted(server: CossetServer, bucket: str) -> None:
    newer = server.client("s3", config=Config(signature_version="s3v4"))
    params = {"Bucket": bucket, "Key": "k", "ContentType": "text/plain"}
    url = urlsplit(newer.generate_presigned_url("put_object", Params=params))
    connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=60)
    connection.request("PUT", f"{url.path}?{url.query}", body=b"x")
    response = connection.getresponse()
    told = response.read().decode()
    connection.close()
    assert response.status == 403
    for part in ("<Code>SignatureDoesNotMatch</Code>", "<StringToSign>AWS4-HMAC-SHA256", "content-type:\nhost:"):
        assert part in told


def test_only_a_copy_names_a_source_and_it_brings_nothing(sender: Sender, s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="source", Body=b"x")
    upload = f"uploadId={s3.create_multipart_upload(Bucket=bucket, Key='part')['UploadId']}"
    source = {"x-amz-copy-source": f"{bucket}/source"}
    for path, query in ((f"/{bucket}/copied", ""), (f"/{bucket}/part", f"partNumber=1&{upload}")):
        answer = sender.ask("PUT", path, query, source, b"more")
        assert (answer.status, answer.code) == (400, "InvalidRequest")
        assert sender.ask("PUT", path, query, source).status == 200
    for method, path, query, body in (
        ("GET", f"/{bucket}/source", "", b""),
        ("DELETE", f"/{bucket}/source", "", b""),
        ("GET", f"/{bucket}", "", b""),
        ("POST", f"/{bucket}/part", upload, b"<a/>"),
    ):
        answer = sender.ask(method, path, query, source, body)
        assert (answer.code, answer.told("ArgumentName")) == ("InvalidArgument", "x-amz-copy-source")


@pytest.mark.parametrize(("given", "why"), [("size", "is invalid: 'size'"), ("-1", "is less than zero")])
def test_a_size_of_an_upload_that_is_none(sender: Sender, s3: Any, bucket: str, given: str, why: str) -> None:
    upload = s3.create_multipart_upload(Bucket=bucket, Key="sized")["UploadId"]
    answer = sender.ask("POST", f"/{bucket}/sized", f"uploadId={upload}", {"x-amz-mp-object-size": given}, b"<a/>")
    assert (answer.code, answer.told("Message")) == ("InvalidRequest", f"Value for x-amz-mp-object-size header {why}")


def test_the_buckets_of_a_region_are_told_by_that_region(server: CossetServer, s3: Any, bucket: str) -> None:
    assert bucket in [each["Name"] for each in s3.list_buckets(BucketRegion=server.region, Prefix=bucket)["Buckets"]]
    for other in ("eu-central-1", "nowhere"):
        assert refusal(s3.list_buckets, BucketRegion=other) == ("InvalidArgument", 400)
    there = server.client("s3", region_name="eu-central-1")
    assert all(
        each["BucketRegion"] == "eu-central-1" for each in there.list_buckets(BucketRegion="eu-central-1")["Buckets"]
    )


def test_a_checksum_behind_a_body_that_is_none(sender: Sender, bucket: str) -> None:
    named = {"x-amz-decoded-content-length": "5", "x-amz-trailer": "x-amz-checksum-sha1"}
    for value, code in (
        ("qvTGHdzF6KLavt4PO0gs2a6pQ00h", "InvalidRequest"),
        ("6X80kvdMayVo8EljCvJ0kFMaLRY=", "BadDigest"),
    ):
        body = f"5\r\nhello\r\n0\r\nx-amz-checksum-sha1:{value}\r\n\r\n".encode()
        declared = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
        assert sender.ask("PUT", f"/{bucket}/k", headers=named, body=body, declared=declared).code == code


@pytest.mark.parametrize(("kind", "status"), [("COMPOSITE", 400), ("FULL_OBJECT", 200)])
def test_only_of_the_whole_a_part_may_come_without_its_checksum(
    sender: Sender, s3: Any, bucket: str, kind: str, status: int
) -> None:
    made = s3.create_multipart_upload(Bucket=bucket, Key="parts", ChecksumAlgorithm="CRC32", ChecksumType=kind)
    answer = sender.ask("PUT", f"/{bucket}/parts", f"partNumber=1&uploadId={made['UploadId']}", body=b"x")
    assert answer.status == status
    told = "Checksum Type mismatch occurred, expected checksum Type: crc32, actual checksum Type: null"
    assert answer.told("Message") == (told if status == 400 else "")


def test_a_policy_that_says_no_version_has_said_the_older_one(s3: Any) -> None:
    name = new_bucket(s3)
    statement = json.loads(_deny(name, "s3:GetObject", {"Bool": {"aws:SecureTransport": "false"}}))["Statement"]
    s3.put_bucket_policy(Bucket=name, Policy=json.dumps({"Statement": statement}))
    kept = json.loads(s3.get_bucket_policy(Bucket=name)["Policy"])
    assert kept == {"Version": "2008-10-17", "Statement": statement}
