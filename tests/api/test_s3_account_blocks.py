"""Block public access of a whole account: S3 Control's three operations, and what they do to buckets."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from botocore import UNSIGNED
from botocore.config import Config

from cosset.testing.server import CossetServer
from support.accounts import Account
from support.s3_buckets import new_bucket, open_up, refusal

EVERYONE = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject"}


def _without_account(request: Any, **_: Any) -> None:
    """SDKs put the account before the host, where names of loopback addresses cannot have one."""
    request.url = re.sub(r"//\d{12}\.", "//", request.url)


def control_of(owner: CossetServer | Account) -> Any:
    client = owner.client("s3control")
    client.meta.events.register("before-sign.s3-control", _without_account)
    return client


@pytest.fixture(scope="module")
def other(server: CossetServer) -> Account:
    """An account of its own: what is shut here is nobody else's."""
    return Account(server)


@pytest.fixture
def control(other: Account) -> Iterator[Any]:
    client = control_of(other)
    yield client
    client.delete_public_access_block(AccountId=other.number)


@pytest.fixture
def bucket(other: Account) -> Iterator[str]:
    s3 = other.client("s3")
    with new_bucket(s3) as name:
        open_up(s3, name)
        s3.put_object(Bucket=name, Key="k", Body=b"open", ACL="public-read")
        yield name


def test_it_is_put_read_and_taken_away(other: Account, control: Any) -> None:
    missing = refusal(control.get_public_access_block, AccountId=other.number)
    assert (missing["Code"], missing["Status"]) == ("NoSuchPublicAccessBlockConfiguration", 404)
    assert missing["AccountId"] == other.number
    given = {"BlockPublicAcls": True, "RestrictPublicBuckets": True}
    control.put_public_access_block(AccountId=other.number, PublicAccessBlockConfiguration=given)
    found = control.get_public_access_block(AccountId=other.number)["PublicAccessBlockConfiguration"]
    assert found == {**given, "IgnorePublicAcls": False, "BlockPublicPolicy": False}
    control.delete_public_access_block(AccountId=other.number)
    assert refusal(control.get_public_access_block, AccountId=other.number)["Status"] == 404


def test_an_account_is_its_own(server: CossetServer, other: Account, control: Any) -> None:
    stranger = control_of(server)
    assert refusal(stranger.get_public_access_block, AccountId=other.number)["Code"] == "AccessDenied"
    refused = refusal(
        stranger.put_public_access_block,
        AccountId=other.number,
        PublicAccessBlockConfiguration={"BlockPublicAcls": True},
    )
    assert refused["Code"] == "AccessDenied"


def test_what_the_account_shuts_is_shut_in_its_buckets(
    server: CossetServer, other: Account, control: Any, bucket: str
) -> None:
    s3, nobody = other.client("s3"), server.client("s3", config=Config(signature_version=UNSIGNED))
    assert nobody.get_object(Bucket=bucket, Key="k")["Body"].read() == b"open"
    everything = dict.fromkeys(("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy"), True)
    control.put_public_access_block(AccountId=other.number, PublicAccessBlockConfiguration=everything)
    assert refusal(nobody.get_object, Bucket=bucket, Key="k")["Status"] == 403
    assert refusal(s3.put_object_acl, Bucket=bucket, Key="k", ACL="public-read")["Status"] == 403
    policy = {"Statement": [{**EVERYONE, "Resource": f"arn:aws:s3:::{bucket}/*"}]}
    assert refusal(s3.put_bucket_policy, Bucket=bucket, Policy=json.dumps(policy))["Status"] == 403
    assert refusal(s3.get_public_access_block, Bucket=bucket)["Status"] == 404
    control.delete_public_access_block(AccountId=other.number)
    assert nobody.get_object(Bucket=bucket, Key="k")["Body"].read() == b"open"


def test_a_bucket_may_be_called_as_its_paths_are(server: CossetServer) -> None:
    s3 = server.client("s3")
    s3.create_bucket(Bucket="v20180820")
    try:
        s3.put_object(Bucket="v20180820", Key="configuration/publicAccessBlock", Body=b"mine")
        found = s3.get_object(Bucket="v20180820", Key="configuration/publicAccessBlock")
        assert found["Body"].read() == b"mine"
        s3.delete_object(Bucket="v20180820", Key="configuration/publicAccessBlock")
    finally:
        s3.delete_bucket(Bucket="v20180820")


def test_tags_of_buckets_by_their_arns(server: CossetServer, other: Account, control: Any, bucket: str) -> None:
    named = {"AccountId": other.number, "ResourceArn": f"arn:aws:s3:::{bucket}"}
    one, two = {"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}
    control.tag_resource(**named, Tags=[one, two])
    control.tag_resource(**named, Tags=[{"Key": "a", "Value": "3"}])
    assert other.client("s3").get_bucket_tagging(Bucket=bucket)["TagSet"] == [two, {"Key": "a", "Value": "3"}]
    control.untag_resource(**named, TagKeys=["a", "c"])
    assert control.list_tags_for_resource(**named)["Tags"] == [two]
    missing = {**named, "ResourceArn": f"arn:aws:s3:::{bucket}-not"}
    assert refusal(control.list_tags_for_resource, **missing)["Code"] == "NoSuchResource"
    stranger = control_of(server)
    assert refusal(stranger.tag_resource, **named, Tags=[one])["Status"] == 403
    assert refusal(stranger.list_tags_for_resource, **named)["Status"] == 403
