"""Who may do what with buckets: policies that are none, ACLs between accounts, objects that are somebody else's."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from cosset.testing.server import CossetServer
from support.accounts import Account
from support.s3_buckets import new_bucket, open_up, refusal, sentence

EVERYONE = 'uri="http://acs.amazonaws.com/groups/global/AllUsers"'
KNOWN = 'uri="http://acs.amazonaws.com/groups/global/AuthenticatedUsers"'


@pytest.fixture(scope="module")
def s3(server: CossetServer) -> Any:
    return server.client("s3")


@pytest.fixture(scope="module")
def other(server: CossetServer) -> Any:
    """S3 as the administrator of another account sees it."""
    return Account(server).client("s3")


@pytest.fixture(scope="module")
def nobody(server: CossetServer) -> Any:
    return server.client("s3", config=Config(signature_version=UNSIGNED))


@pytest.fixture(scope="module")
def plain(s3: Any) -> Iterator[str]:
    """A bucket that tests leave as it was."""
    with new_bucket(s3) as name:
        s3.delete_public_access_block(Bucket=name)
        yield name


@pytest.fixture
def bucket(s3: Any) -> Iterator[str]:
    with new_bucket(s3) as name:
        open_up(s3, name)
        s3.put_object(Bucket=name, Key="k", Body=b"theirs")
        yield name


ALLOW = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::BUCKET/*"}


def document(*statements: dict[str, Any], **fields: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements), **fields})


def without(name: str) -> str:
    return document({key: value for key, value in ALLOW.items() if key != name})


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("hello", "Policies must be valid JSON and the first byte must be '{'"),
        ("[]", "Policies must be valid JSON and the first byte must be '{'"),
        ("{", "This policy contains invalid Json"),
        (document(ALLOW, Version="x"), "The policy must contain a valid version string"),
        (json.dumps({"Version": "2012-10-17"}), "Missing required field Statement"),
        (document(), "Could not parse the policy: Statement is empty!"),
        (document({**ALLOW, "Effect": "hello"}), "Invalid effect: hello"),
        (without("Effect"), "Missing required field Effect"),
        (without("Principal"), "Missing required field Principal"),
        (without("Action"), "Missing required field Action"),
        (without("Resource"), "Missing required field Resource"),
        (document({**ALLOW, "More": 1}), "Unknown field More"),
        (
            document({**json.loads(without("Principal"))["Statement"][0], "NotPrincipal": {"AWS": "123456789012"}}),
            "Allow with NotPrincipal is not allowed.",
        ),
        (document(ALLOW, More=1), "Unknown field More"),
        (document({**ALLOW, "Action": "ec2:RunInstances"}), "Policy has invalid action"),
        (document({**ALLOW, "Action": "s3:NoSuchThing"}), "Policy has invalid action"),
        (document({**ALLOW, "Resource": "arn:aws:s3:::another/*"}), "Policy has invalid resource"),
        (document({**ALLOW, "Resource": "nothing"}), "Policy has invalid resource"),
        (
            document({**ALLOW, "Resource": "arn:aws:s3:::BUCKET"}),
            "Action does not apply to any resource(s) in statement",
        ),
        (document({**ALLOW, "Action": "s3:ListBucket"}), "Action does not apply to any resource(s) in statement"),
        (document({**ALLOW, "Principal": {"AWS": "user"}}), "Invalid principal in policy"),
        (document({**ALLOW, "Principal": {"CanonicalUser": "zz"}}), "Invalid principal in policy"),
        (document({**ALLOW, "Principal": {"AWS": "arn:aws:iam::0000:root"}}), "Invalid principal in policy"),
        (document({**ALLOW, "Principal": {"AWS": "arn:aws:iam::123456789012:user/*"}}), "Invalid principal in policy"),
        (document({**ALLOW, "Principal": {"Service": "lambda"}}), "Invalid principal in policy"),
        (document({**ALLOW, "Principal": {"Federated": "somebody"}}), "Invalid principal in policy"),
        (document({**ALLOW, "Principal": "user"}), "Invalid policy syntax."),
        (document({**ALLOW, "Condition": {"Like": {"aws:username": "x"}}}), "Invalid Condition type : Like"),
        (document({**ALLOW, "Condition": {"StringLike": {"username": "x"}}}), "Policy has an invalid condition key"),
        (
            document({**ALLOW, "Condition": {"StringLike": {"s3:prefix": "x"}}}),
            "Conditions do not apply to combination of actions and resources in statement",
        ),
        (
            document({**ALLOW, "Condition": {"StringLike": {"aws:userid": "x" * 21_000}}}),
            "Normalized policy document exceeds the maximum allowed size of 20480 bytes.",
        ),
    ],
)
def test_policies_that_are_none(s3: Any, plain: str, text: str, wanted: str) -> None:
    found = sentence(s3.put_bucket_policy, Bucket=plain, Policy=text.replace("BUCKET", plain))
    assert found == f"MalformedPolicy: {wanted}"


@pytest.mark.parametrize(
    "changes",
    [
        {"Action": "s3:Get*"},
        {"Action": "*", "Resource": "*"},
        {"Resource": "arn:aws:s3:::BUCKET*"},
        {"Action": ["s3:ListBucket", "s3:GetObject"], "Resource": ["arn:aws:s3:::BUCKET", "arn:aws:s3:::BUCKET/*"]},
        {"Action": "s3:ListBucket", "Resource": "arn:aws:s3:::BUCKET", "Condition": {"Null": {"s3:prefix": "true"}}},
    ],
)
def test_policies_that_are_some(s3: Any, plain: str, changes: dict[str, Any]) -> None:
    text = document({**ALLOW, **changes}).replace("BUCKET", plain)
    s3.put_bucket_policy(Bucket=plain, Policy=text)
    assert s3.get_bucket_policy(Bucket=plain)["Policy"] == text
    s3.delete_bucket_policy(Bucket=plain)


def test_a_policy_is_for_the_buckets_own_account(s3: Any, other: Any, bucket: str) -> None:
    text = document({**ALLOW, "Action": "s3:*", "Resource": "*"})
    s3.put_bucket_policy(Bucket=bucket, Policy=text)
    other.head_bucket(Bucket=bucket)
    for call, params in (
        (other.get_bucket_policy, {}),
        (other.get_bucket_policy_status, {}),
        (other.delete_bucket_policy, {}),
        (other.put_bucket_policy, {"Policy": text}),
    ):
        refused = refusal(call, Bucket=bucket, **params)
        assert (refused["Code"], refused["Status"]) == ("MethodNotAllowed", 405)


def grantee(s3: Any, other: Any, who: str) -> str:
    return {"other": f'id="{other.list_buckets()["Owner"]["ID"]}"', "nobody": EVERYONE, "known": KNOWN}[who]


def allowed(client: Any, bucket: str) -> set[str]:
    calls = (
        *(("list", client.list_objects_v2, {}), ("versions", client.list_object_versions, {})),
        *(("uploads", client.list_multipart_uploads, {}), ("head", client.head_bucket, {})),
        *(
            ("put", client.put_object, {"Key": "n"}),
            ("put public", client.put_object, {"Key": "n", "ACL": "public-read"}),
        ),
        *(("get", client.get_object, {"Key": "k"}), ("acl of k", client.get_object_acl, {"Key": "k"})),
        *(("tags", client.get_object_tagging, {"Key": "k"}), ("acl", client.get_bucket_acl, {})),
        *(("location", client.get_bucket_location, {}), ("policy", client.get_bucket_policy, {})),
        *(("set acl of k", client.put_object_acl, {"Key": "k", "ACL": "public-read-write"}),),
        *(("set acl", client.put_bucket_acl, {"ACL": "private"}),),
    )
    return {name for name, call, params in calls if granted(call, Bucket=bucket, **params)}


ON_BUCKET = {
    "GrantRead": {"list", "versions", "uploads", "head"},
    "GrantWrite": {"put", "put public"},
    "GrantReadACP": {"acl"},
    "GrantWriteACP": {"set acl"},
}
ON_OBJECT = {"GrantRead": {"get"}, "GrantReadACP": {"acl of k"}, "GrantWriteACP": {"set acl of k"}}


@pytest.mark.parametrize("who", ["other", "nobody", "known"])
@pytest.mark.parametrize("grant", [*ON_BUCKET, "GrantFullControl"])
def test_a_grant_on_a_bucket_allows_just_that(
    s3: Any, other: Any, nobody: Any, bucket: str, grant: str, who: str
) -> None:
    s3.put_bucket_acl(Bucket=bucket, **{grant: grantee(s3, other, who)})
    wanted = ON_BUCKET.get(grant) or set().union(*ON_BUCKET.values())
    assert allowed(nobody if who == "nobody" else other, bucket) == wanted


@pytest.mark.parametrize("who", ["other", "nobody"])
@pytest.mark.parametrize("grant", [*ON_OBJECT, "GrantFullControl"])
def test_a_grant_on_an_object_allows_just_that(
    s3: Any, other: Any, nobody: Any, bucket: str, grant: str, who: str
) -> None:
    s3.put_object(Bucket=bucket, Key="k", **{grant: grantee(s3, other, who)})
    wanted = ON_OBJECT.get(grant) or set().union(*ON_OBJECT.values())
    assert allowed(nobody if who == "nobody" else other, bucket) == wanted


@pytest.mark.parametrize(
    ("acl", "reads", "reads_acl"),
    [
        ("private", False, False),
        ("authenticated-read", True, False),
        ("bucket-owner-read", True, False),
        ("bucket-owner-full-control", True, True),
    ],
)
def test_an_object_is_who_wrote_its(s3: Any, other: Any, bucket: str, acl: str, reads: bool, reads_acl: bool) -> None:
    """The bucket's owner may delete it, and whatever its ACL says."""
    s3.put_bucket_acl(Bucket=bucket, GrantWrite=grantee(s3, other, "other"))
    s3.put_bucket_policy(Bucket=bucket, Policy=document({**ALLOW, "Resource": f"arn:aws:s3:::{bucket}/*"}))
    other.put_object(Bucket=bucket, Key="o", Body=b"mine", ACL=acl)
    assert other.get_object(Bucket=bucket, Key="o")["Body"].read() == b"mine"
    assert other.get_object_acl(Bucket=bucket, Key="o")["Owner"] == other.list_buckets()["Owner"]
    found = allowed_for(s3, bucket, "o")
    assert found == ({"get"} if reads else set()) | ({"acl"} if reads_acl else set())
    denied = {**ALLOW, "Effect": "Deny", "Resource": f"arn:aws:s3:::{bucket}/*"}
    s3.put_bucket_policy(Bucket=bucket, Policy=document(denied))
    assert refusal(other.get_object, Bucket=bucket, Key="o")["Status"] == 403
    s3.delete_object(Bucket=bucket, Key="o")


def allowed_for(client: Any, bucket: str, key: str) -> set[str]:
    calls = {"get": client.get_object, "acl": client.get_object_acl}
    return {name for name, call in calls.items() if granted(call, Bucket=bucket, Key=key)}


def test_what_nobody_wrote_nobody_may_read(s3: Any, nobody: Any, bucket: str) -> None:
    s3.put_bucket_acl(Bucket=bucket, GrantWrite=EVERYONE)
    nobody.put_object(Bucket=bucket, Key="n", Body=b"found")
    assert nobody.get_object(Bucket=bucket, Key="n")["Body"].read() == b"found"
    assert refusal(s3.get_object, Bucket=bucket, Key="n")["Status"] == 403


def test_enforced_owners_own_everything(s3: Any, other: Any, bucket: str) -> None:
    s3.put_bucket_acl(Bucket=bucket, GrantWrite=grantee(s3, other, "other"))
    other.put_object(Bucket=bucket, Key="o", Body=b"mine")
    enforced = {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    assert refusal(s3.put_bucket_ownership_controls, Bucket=bucket, OwnershipControls=enforced)["Code"] == (
        "InvalidBucketAclWithObjectOwnership"
    )
    s3.put_bucket_acl(Bucket=bucket, ACL="private")
    s3.put_bucket_ownership_controls(Bucket=bucket, OwnershipControls=enforced)
    assert s3.get_object(Bucket=bucket, Key="o")["Body"].read() == b"mine"
    assert s3.get_object_acl(Bucket=bucket, Key="o")["Owner"] == s3.list_buckets()["Owner"]
    s3.put_object(Bucket=bucket, Key="k", ACL="bucket-owner-full-control")
    s3.put_object(Bucket=bucket, Key="k", ACL="private")
    for call, params in (
        (s3.put_bucket_acl, {"ACL": "private"}),
        (s3.put_object_acl, {"Key": "k", "ACL": "bucket-owner-full-control"}),
        (s3.put_object, {"Key": "k", "ACL": "public-read"}),
    ):
        wanted = "AccessControlListNotSupported: The bucket does not allow ACLs"
        assert sentence(call, Bucket=bucket, **params) == wanted


def test_an_acl_changes_no_owner(s3: Any, other: Any, bucket: str) -> None:
    for call, params in ((s3.put_bucket_acl, {}), (s3.put_object_acl, {"Key": "k"})):
        policy = {"Owner": other.list_buckets()["Owner"], "Grants": []}
        assert refusal(call, Bucket=bucket, AccessControlPolicy=policy, **params)["Status"] == 403


def granted(call: Any, **params: Any) -> bool:
    try:
        call(**params)
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] != 403:
            raise
        return False
    return True


LIST = {"Action": "s3:ListBucket", "Resource": "arn:aws:s3:::BUCKET"}
PUT = {"Action": ["s3:PutObject", "s3:PutObjectTagging"]}
ENCRYPTION = "s3:x-amz-server-side-encryption"


@pytest.mark.parametrize(
    ("statement", "condition", "operation", "yes", "no"),
    [
        (LIST, {"StringEquals": {"s3:prefix": "a/"}}, "list_objects_v2", {"Prefix": "a/"}, {}),
        (LIST, {"NumericLessThan": {"s3:max-keys": "9"}}, "list_objects", {"MaxKeys": 8}, {"MaxKeys": 10}),
        (
            {**LIST, "Action": "s3:ListBucketVersions"},
            {"StringEquals": {"s3:delimiter": "/"}},
            "list_object_versions",
            {"Delimiter": "/"},
            {},
        ),
        ({}, {"StringEquals": {"s3:ExistingObjectTag/a": "b"}}, "get_object", {"Key": "tagged"}, {"Key": "k"}),
        (
            {"Action": "s3:GetObjectTagging"},
            {"StringEquals": {"s3:ExistingObjectTag/a": "b"}},
            "get_object_tagging",
            {"Key": "tagged"},
            {"Key": "k"},
        ),
        ({}, {"StringEquals": {"s3:signatureversion": "AWS4-HMAC-SHA256"}}, "get_object", {"Key": "k"}, None),
        ({}, {"StringEquals": {"s3:authType": "REST-HEADER"}}, "get_object", {"Key": "k"}, None),
        ({}, {"Null": {"s3:ResourceAccount": "false"}}, "get_object", {"Key": "k"}, None),
        ({}, {"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}, "get_object", {"Key": "k"}, None),
        ({}, {"NotIpAddress": {"aws:SourceIp": "127.0.0.0/8"}}, "get_object", None, {"Key": "k"}),
        (PUT, {"StringEquals": {ENCRYPTION: "AES256"}}, "put_object", {"ServerSideEncryption": "AES256"}, {}),
        (
            PUT,
            {"StringEquals": {ENCRYPTION: "AES256"}},
            "create_multipart_upload",
            {"ServerSideEncryption": "AES256"},
            {"ServerSideEncryption": "aws:kms"},
        ),
        (PUT, {"StringEquals": {"s3:RequestObjectTag/a": "b"}}, "put_object", {"Tagging": "a=b"}, {"Tagging": "a=c"}),
        (PUT, {"StringEquals": {"s3:x-amz-storage-class": "GLACIER"}}, "put_object", {"StorageClass": "GLACIER"}, {}),
        (PUT, {"Null": {"s3:if-none-match": "false"}}, "put_object", {"IfNoneMatch": "*"}, {}),
        (
            PUT,
            {"StringLike": {"s3:x-amz-copy-source": "BUCKET/tag*"}},
            "copy_object",
            {"CopySource": "BUCKET/tagged", "TaggingDirective": "REPLACE"},
            {"CopySource": "BUCKET/k", "TaggingDirective": "REPLACE"},
        ),
        (
            PUT,
            {"StringEquals": {"s3:x-amz-metadata-directive": "COPY"}},
            "copy_object",
            {"CopySource": "BUCKET/k", "MetadataDirective": "COPY"},
            {"CopySource": "BUCKET/k"},
        ),
    ],
)
def test_conditions(
    s3: Any, other: Any, bucket: str, statement: Any, condition: Any, operation: str, yes: Any, no: Any
) -> None:
    """`yes` and `no`: with these parameters another account may, and may not."""
    s3.put_object(Bucket=bucket, Key="tagged", Tagging="a=b")
    statements = [{**ALLOW, **statement, "Condition": condition}]
    if operation == "copy_object":
        statements.append({**ALLOW, "Action": ["s3:GetObject", "s3:GetObjectTagging"]})
    s3.put_bucket_policy(Bucket=bucket, Policy=document(*statements).replace("BUCKET", bucket))
    writes = {"Key": "new"} if operation in ("put_object", "copy_object", "create_multipart_upload") else {}
    for params, wanted in ((yes, True), (no, False)):
        if params is not None:
            given = {name: v.replace("BUCKET", bucket) if isinstance(v, str) else v for name, v in params.items()}
            assert granted(getattr(other, operation), Bucket=bucket, **writes, **given) == wanted


def test_parts_are_encrypted_as_their_upload_is(s3: Any, bucket: str) -> None:
    """What refuses everything that is not encrypted refuses no part of an upload that is."""
    everything = {**ALLOW, "Effect": "Deny", "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
    s3.put_bucket_policy(
        Bucket=bucket,
        Policy=document(
            {**everything, "Condition": {"StringNotEquals": {ENCRYPTION: "AES256"}}},
            {**everything, "Condition": {"Null": {ENCRYPTION: "true"}}},
        ),
    )
    upload = {"Bucket": bucket, "Key": "u"}
    assert not granted(s3.create_multipart_upload, **upload)
    upload["UploadId"] = s3.create_multipart_upload(**upload, ServerSideEncryption="AES256")["UploadId"]
    part = s3.upload_part(**upload, PartNumber=1, Body=b"x")
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]})


def test_principals_by_their_canonical_id(s3: Any, other: Any, nobody: Any, bucket: str) -> None:
    principal = {"CanonicalUser": other.list_buckets()["Owner"]["ID"]}
    allowed = {**ALLOW, "Principal": principal, "Resource": f"arn:aws:s3:::{bucket}/*"}
    s3.put_bucket_policy(Bucket=bucket, Policy=document(allowed))
    assert granted(other.get_object, Bucket=bucket, Key="k")
    assert not granted(nobody.get_object, Bucket=bucket, Key="k")


def test_who_may_list_is_told_what_is_missing(s3: Any, other: Any, nobody: Any, bucket: str) -> None:
    """Also where only ACLs let anybody in, and an object that is missing has none."""
    calls = [(client, call) for client in (other, nobody) for call in (client.get_object, client.head_object)]
    for _, call in calls:
        assert refusal(call, Bucket=bucket, Key="missing")["Status"] == 403
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read")
    for _, call in calls:
        assert refusal(call, Bucket=bucket, Key="missing")["Status"] == 404
        assert refusal(call, Bucket=bucket, Key="k")["Status"] == 403


def test_made_again_a_bucket_has_the_acl_of_the_call(s3: Any, bucket: str) -> None:
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read")
    s3.create_bucket(Bucket=bucket)
    assert len(s3.get_bucket_acl(Bucket=bucket)["Grants"]) == 1


def test_requesters_pay(s3: Any, other: Any, nobody: Any, bucket: str) -> None:
    allowed = {**ALLOW, "Action": "s3:*", "Resource": "*"}
    s3.put_bucket_policy(Bucket=bucket, Policy=document(allowed))
    s3.put_bucket_request_payment(Bucket=bucket, RequestPaymentConfiguration={"Payer": "Requester"})
    for call, params in ((other.get_object, {"Key": "k"}), (other.list_objects_v2, {})):
        assert not granted(call, Bucket=bucket, **params)
        assert call(Bucket=bucket, RequestPayer="requester", **params)["RequestCharged"] == "requester"
    assert not granted(nobody.get_object, Bucket=bucket, Key="k", RequestPayer="requester")
    assert "RequestCharged" not in s3.get_object(Bucket=bucket, Key="k", RequestPayer="requester")
    s3.put_bucket_request_payment(Bucket=bucket, RequestPaymentConfiguration={"Payer": "BucketOwner"})
    assert granted(nobody.get_object, Bucket=bucket, Key="k")
