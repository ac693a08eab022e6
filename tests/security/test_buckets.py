"""Buckets stay shut: to nobody, to other accounts, and to whoever finds a way around the evaluator.

Everything goes through the front door, with stock boto3 or plain HTTP. Each test opens one thing and tries the rest.
"""

import base64
import hashlib
import http.client
import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from cosset.testing.server import CossetServer
from support.s3_buckets import new_bucket, open_up, refusal

ALL_USERS = 'uri="http://acs.amazonaws.com/groups/global/AllUsers"'
AUTHENTICATED = 'uri="http://acs.amazonaws.com/groups/global/AuthenticatedUsers"'


@pytest.fixture(scope="module")
def s3(server: CossetServer) -> Any:
    return server.client("s3")


@pytest.fixture(scope="module")
def nobody(server: CossetServer) -> Any:
    return server.client("s3", config=Config(signature_version=UNSIGNED))


@pytest.fixture
def bucket(s3: Any) -> Iterator[str]:
    with new_bucket(s3) as name:
        s3.put_object(Bucket=name, Key="k", Body=b"secret")
        yield name


def is_shut(call: Callable[..., Any], **params: Any) -> bool:
    try:
        call(**params)
    except ClientError as error:
        return bool(error.response["ResponseMetadata"]["HTTPStatusCode"] == 403)
    return False


def policy(bucket: str, *statements: dict[str, Any]) -> str:
    arn = f"arn:aws:s3:::{bucket}"
    whole = [{"Effect": "Allow", "Principal": "*", "Resource": [arn, f"{arn}/*"], **each} for each in statements]
    return json.dumps({"Version": "2012-10-17", "Statement": whole})


def every_call(s3: Any, bucket: str) -> list[tuple[Callable[..., Any], dict[str, Any]]]:
    return [
        (s3.get_object, {"Key": "k"}),
        (s3.head_object, {"Key": "k"}),
        (s3.get_object_acl, {"Key": "k"}),
        (s3.put_object, {"Key": "k", "Body": b"theirs"}),
        (s3.delete_object, {"Key": "k"}),
        (s3.list_objects_v2, {}),
        (s3.list_object_versions, {}),
        (s3.head_bucket, {}),
        (s3.get_bucket_acl, {}),
        (s3.get_bucket_policy, {}),
        (s3.put_bucket_policy, {"Policy": policy(bucket, {"Action": "s3:*"})}),
        (s3.put_bucket_acl, {"ACL": "public-read-write"}),
        (s3.put_bucket_versioning, {"VersioningConfiguration": {"Status": "Enabled"}}),
        (s3.delete_public_access_block, {}),
        (s3.put_bucket_ownership_controls, {"OwnershipControls": {"Rules": [{"ObjectOwnership": "ObjectWriter"}]}}),
        (s3.create_multipart_upload, {"Key": "m"}),
        (s3.list_multipart_uploads, {}),
        (s3.put_object_tagging, {"Key": "k", "Tagging": {"TagSet": []}}),
        (s3.delete_bucket, {}),
    ]


def test_nobody_may_do_nothing(s3: Any, nobody: Any, bucket: str) -> None:
    for call, params in every_call(nobody, bucket):
        assert is_shut(call, Bucket=bucket, **params), call
    assert is_shut(nobody.list_buckets)
    assert is_shut(nobody.create_bucket, Bucket=f"{bucket}-x")
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"secret"


def test_nobody_comes_no_further_elsewhere(server: CossetServer) -> None:
    """What holds for S3 holds for no other service whose calls can be told from S3's."""
    for service, call in (
        ("sqs", "list_queues"),
        ("iam", "list_users"),
        ("sns", "list_topics"),
    ):
        client = server.client(service, config=Config(signature_version=UNSIGNED))
        refused = refusal(getattr(client, call))
        assert refused["Status"] in (400, 403)
        assert "Authentication" in refused["Code"]


def test_a_policy_opens_what_it_says(s3: Any, nobody: Any, bucket: str) -> None:
    s3.delete_public_access_block(Bucket=bucket)
    s3.put_bucket_policy(Bucket=bucket, Policy=policy(bucket, {"Action": "s3:GetObject"}))
    assert nobody.get_object(Bucket=bucket, Key="k")["Body"].read() == b"secret"
    for call, params in every_call(nobody, bucket)[2:]:
        assert is_shut(call, Bucket=bucket, **params), call


def test_a_deny_wins_over_everything(s3: Any, nobody: Any, bucket: str) -> None:
    open_up(s3, bucket)
    s3.put_object(Bucket=bucket, Key="k", Body=b"secret", ACL="public-read")
    assert nobody.get_object(Bucket=bucket, Key="k")["Body"].read() == b"secret"
    denied = {"Effect": "Deny", "Action": "s3:GetObject", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}
    s3.put_bucket_policy(Bucket=bucket, Policy=policy(bucket, {"Action": "s3:GetObject"}, denied))
    assert is_shut(nobody.get_object, Bucket=bucket, Key="k")
    assert is_shut(s3.get_object, Bucket=bucket, Key="k")
    s3.delete_bucket_policy(Bucket=bucket)
    assert nobody.get_object(Bucket=bucket, Key="k")["Body"].read() == b"secret"


def test_not_principal_allows_nobody(s3: Any, nobody: Any, server: CossetServer, bucket: str) -> None:
    s3.delete_public_access_block(Bucket=bucket)
    document = json.loads(policy(bucket, {"Action": "s3:GetObject"}))
    del document["Statement"][0]["Principal"]
    document["Statement"][0]["NotPrincipal"] = {"AWS": "arn:aws:iam::999999999999:root"}
    assert refusal(s3.put_bucket_policy, Bucket=bucket, Policy=json.dumps(document))["Code"] == "MalformedPolicy"
    assert is_shut(nobody.get_object, Bucket=bucket, Key="k")


def test_acls_open_what_they_say(s3: Any, nobody: Any, bucket: str) -> None:
    open_up(s3, bucket)
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read")
    assert nobody.list_objects_v2(Bucket=bucket)["KeyCount"] == 1
    assert is_shut(nobody.get_object, Bucket=bucket, Key="k")
    assert is_shut(nobody.put_object, Bucket=bucket, Key="new")
    s3.put_object_acl(Bucket=bucket, Key="k", ACL="public-read")
    assert nobody.get_object(Bucket=bucket, Key="k")["Body"].read() == b"secret"
    assert is_shut(nobody.get_object_acl, Bucket=bucket, Key="k")
    s3.put_object(Bucket=bucket, Key="k", Body=b"private again")
    assert is_shut(nobody.get_object, Bucket=bucket, Key="k")
    s3.put_bucket_acl(Bucket=bucket, GrantWrite=ALL_USERS)
    nobody.put_object(Bucket=bucket, Key="new", Body=b"x")
    assert is_shut(nobody.list_objects_v2, Bucket=bucket)
    assert is_shut(nobody.put_bucket_acl, Bucket=bucket, ACL="public-read")


def test_authenticated_is_not_anonymous(s3: Any, nobody: Any, bucket: str) -> None:
    open_up(s3, bucket)
    s3.put_bucket_acl(Bucket=bucket, GrantRead=AUTHENTICATED)
    assert is_shut(nobody.list_objects_v2, Bucket=bucket)


def test_block_public_acls_and_policies(s3: Any, nobody: Any, bucket: str) -> None:
    open_up(s3, bucket)
    s3.put_public_access_block(
        Bucket=bucket, PublicAccessBlockConfiguration={"BlockPublicAcls": True, "BlockPublicPolicy": True}
    )
    assert is_shut(s3.put_bucket_acl, Bucket=bucket, ACL="public-read")
    assert is_shut(s3.put_bucket_acl, Bucket=bucket, GrantRead=AUTHENTICATED)
    assert is_shut(s3.put_object, Bucket=bucket, Key="o", ACL="public-read")
    assert is_shut(s3.put_object_acl, Bucket=bucket, Key="k", ACL="public-read")
    assert is_shut(s3.put_bucket_policy, Bucket=bucket, Policy=policy(bucket, {"Action": "s3:GetObject"}))
    s3.put_bucket_acl(Bucket=bucket, ACL="private")
    own = {"Action": "s3:GetObject", "Principal": {"AWS": "arn:aws:iam::999999999999:root"}}
    s3.put_bucket_policy(Bucket=bucket, Policy=policy(bucket, own))
    assert not s3.get_bucket_policy_status(Bucket=bucket)["PolicyStatus"]["IsPublic"]


def test_ignore_and_restrict_shut_what_is_open_already(s3: Any, nobody: Any, bucket: str) -> None:
    open_up(s3, bucket)
    s3.put_object_acl(Bucket=bucket, Key="k", ACL="public-read")
    assert not is_shut(nobody.get_object, Bucket=bucket, Key="k")
    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration={"IgnorePublicAcls": True})
    assert is_shut(nobody.get_object, Bucket=bucket, Key="k")
    s3.put_bucket_policy(Bucket=bucket, Policy=policy(bucket, {"Action": "s3:GetObject"}))
    assert not is_shut(nobody.get_object, Bucket=bucket, Key="k")
    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration={"RestrictPublicBuckets": True})
    assert is_shut(nobody.get_object, Bucket=bucket, Key="k")
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"secret"


def test_enforced_owners_have_no_acls(s3: Any, nobody: Any, bucket: str) -> None:
    """An ACL that was there before means nothing while the owner is enforced."""
    open_up(s3, bucket)
    s3.put_object_acl(Bucket=bucket, Key="k", ACL="public-read")
    assert not is_shut(nobody.get_object, Bucket=bucket, Key="k")
    s3.put_bucket_ownership_controls(
        Bucket=bucket, OwnershipControls={"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    )
    assert is_shut(nobody.get_object, Bucket=bucket, Key="k")


def test_tags_of_objects_count(s3: Any, nobody: Any, bucket: str) -> None:
    s3.delete_public_access_block(Bucket=bucket)
    tagged = {"StringEquals": {"s3:ExistingObjectTag/public": "yes"}}
    s3.put_bucket_policy(Bucket=bucket, Policy=policy(bucket, {"Action": "s3:GetObject", "Condition": tagged}))
    assert is_shut(nobody.get_object, Bucket=bucket, Key="k")
    s3.put_object_tagging(Bucket=bucket, Key="k", Tagging={"TagSet": [{"Key": "public", "Value": "yes"}]})
    assert not is_shut(nobody.get_object, Bucket=bucket, Key="k")
    s3.delete_object_tagging(Bucket=bucket, Key="k")
    assert is_shut(nobody.get_object, Bucket=bucket, Key="k")


@pytest.mark.parametrize(
    ("condition", "is_public"),
    [
        ({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, False),
        ({"IpAddress": {"aws:SourceIp": "0.0.0.0/1"}}, True),
        ({"IpAddress": {"aws:SourceIp": ["10.0.0.0/8", "0.0.0.0/0"]}}, True),
        ({"StringLike": {"aws:SourceArn": "arn:aws:s3:::*"}}, True),
        ({"StringEquals": {"aws:PrincipalOrgID": "o-123"}}, False),
        ({"StringLike": {"aws:PrincipalOrgID": "o-*"}}, True),
        ({"StringNotEquals": {"aws:SourceVpc": "vpc-1"}}, True),
        ({"StringEquals": {"aws:Referer": "http://mine"}}, True),
        ({"StringEqualsIfExists": {"aws:SourceVpc": "vpc-1"}}, True),
    ],
)
def test_what_is_public(s3: Any, bucket: str, condition: Any, is_public: bool) -> None:
    document = policy(bucket, {"Action": "s3:GetObject", "Condition": condition})
    assert is_shut(s3.put_bucket_policy, Bucket=bucket, Policy=document) is is_public


def test_a_host_that_names_another_bucket(server: CossetServer, s3: Any, bucket: str) -> None:
    """The signature covers the host: who may read one bucket reads no other by it."""
    place = urlsplit(server.endpoint)
    url = urlsplit(
        server.client("s3", config=Config(signature_version="s3v4")).generate_presigned_url(
            "get_object", Params={"Bucket": bucket, "Key": "k"}
        )
    )
    for host in (f"{bucket}.s3.localhost", f"other.s3.localhost:{place.port}", f"{bucket}.s3-website.localhost"):
        connection = http.client.HTTPConnection(place.hostname or "", place.port or 0, timeout=60)
        connection.request("GET", f"{url.path}?{url.query}", headers={"Host": host})
        response = connection.getresponse()
        body = response.read()
        connection.close()
        assert (response.status in (403, 404), b"secret" in body) == (True, False)


@pytest.mark.parametrize("path", ["/{}/../{}/k", "//{}/k", "/{}/%2e%2e/{}/k", "/./{}/k"])
def test_paths_that_wander(server: CossetServer, bucket: str, path: str) -> None:
    place = urlsplit(server.endpoint)
    connection = http.client.HTTPConnection(place.hostname or "", place.port or 0, timeout=60)
    connection.request("GET", path.replace("{}", bucket))
    response = connection.getresponse()
    assert (response.status in (400, 403, 404, 405), b"secret" in response.read()) == (True, False)
    connection.close()


def test_metadata_cannot_break_out_of_its_header(server: CossetServer, s3: Any, nobody: Any, bucket: str) -> None:
    """Signed into a URL as a query parameter, a value may hold line breaks; what comes back is one line."""
    client = server.client("s3", config=Config(signature_version="s3"))
    url = urlsplit(client.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "m"}))
    smuggled = "x-amz-meta-a=b%0d%0aSet-Cookie:%20c=d"
    connection = http.client.HTTPConnection(url.hostname or "", url.port or 0, timeout=60)
    connection.request("PUT", f"{url.path}?{url.query}&{smuggled}", body=b"x")
    status = connection.getresponse().status
    connection.close()
    assert status == 403


@pytest.mark.parametrize(
    ("added", "headers"),
    [
        ("", {"x-amz-meta-a": "other"}),
        ("X-Amz-Meta-A=other&", {}),
        ("x-amz-meta-a=other&", {}),
        ("", {"content-type": "text/html"}),
    ],
    ids=["header", "another case", "twice", "content type"],
)
def test_a_signed_url_says_what_its_signer_said(
    server: CossetServer, s3: Any, bucket: str, added: str, headers: dict[str, str]
) -> None:
    """Of the older kind, which moves headers into the query. Recorded: test_put_url_metadata_with_sig_s3."""
    client = server.client("s3", config=Config(signature_version="s3"))
    params = {"Bucket": bucket, "Key": "m", "Metadata": {"a": "mine"}, "ContentType": "text/plain"}
    url = urlsplit(client.generate_presigned_url("put_object", Params=params))
    told = {"content-type": "text/plain"}
    for query, sent, expected in ((url.query, told, 200), (added + url.query, told | headers, 403)):
        connection = http.client.HTTPConnection(url.hostname or "", url.port or 0, timeout=60)
        connection.request("PUT", f"{url.path}?{query}", body=b"x", headers=sent)
        assert connection.getresponse().status == expected
        connection.close()
    found = s3.head_object(Bucket=bucket, Key="m")
    assert (found["Metadata"], found["ContentType"]) == ({"a": "mine"}, "text/plain")


def test_a_signed_url_says_which_body_it_is_for(server: CossetServer, s3: Any, bucket: str) -> None:
    """Also where its digest was moved into the query, and no header says it."""
    client = server.client("s3", config=Config(signature_version="s3"))
    digest = base64.b64encode(hashlib.md5(b"mine").digest()).decode()
    params = {"Bucket": bucket, "Key": "m", "ContentMD5": digest, "ContentType": "text/plain"}
    url = urlsplit(client.generate_presigned_url("put_object", Params=params))
    for body, expected in ((b"mine", 200), (b"other", 400)):
        connection = http.client.HTTPConnection(url.hostname or "", url.port or 0, timeout=60)
        connection.request("PUT", f"{url.path}?{url.query}", body=body)
        assert connection.getresponse().status == expected
        connection.close()
    found = s3.get_object(Bucket=bucket, Key="m")
    assert (found["Body"].read(), found["ContentType"]) == (b"mine", "text/plain")


BOMB = (
    b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">'
    + b"".join(
        b'<!ENTITY %c "&%c;&%c;&%c;&%c;">' % (each, each - 1, each - 1, each - 1, each - 1) for each in range(98, 112)
    )
    + b"]><x>&o;</x>"
)


@pytest.mark.parametrize("kind", ["acl", "cors", "website", "lifecycle", "tagging", "versioning", "policy", "delete"])
@pytest.mark.parametrize("body", [BOMB, b"<a>" * 50_000, b"", b"\x00\xff", b"<x xmlns:a='b'/>"])
def test_documents_that_are_attacks(server: CossetServer, bucket: str, kind: str, body: bytes) -> None:
    """Unsigned: refused whatever they are, and the server is none the slower."""
    place = urlsplit(server.endpoint)
    connection = http.client.HTTPConnection(place.hostname or "", place.port or 0, timeout=60)
    connection.request("POST" if kind == "delete" else "PUT", f"/{bucket}?{kind}", body=body)
    response = connection.getresponse()
    assert response.status in (400, 403)
    response.read()
    connection.close()
