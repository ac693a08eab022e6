"""Replication within an account: versions and delete markers come to the other bucket under their own ids."""

import json
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cosset.testing.server import CossetServer
from support.s3_buckets import new_bucket, refusal, sentence

VERSIONED = {"VersioningConfiguration": {"Status": "Enabled"}}
ALLOWED = ["s3:GetObjectVersionForReplication", "s3:ReplicateObject", "s3:ReplicateDelete", "s3:ReplicateTags"]
DEADLINE_S = 240


@pytest.fixture(scope="module")
def s3(server: CossetServer) -> Any:
    return server.client("s3")


@pytest.fixture(scope="module")
def role(server: CossetServer) -> Iterator[str]:
    iam, name = server.client("iam"), f"replicator-{uuid.uuid4().hex[:8]}"
    trust = {"Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"}, "Action": "sts:AssumeRole"}
    rights = {"Effect": "Allow", "Action": ALLOWED, "Resource": "*"}
    made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=_document(trust))
    iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=_document(rights))
    yield made["Role"]["Arn"]
    iam.delete_role_policy(RoleName=name, PolicyName="p")
    iam.delete_role(RoleName=name)


@pytest.fixture
def pair(s3: Any) -> Iterator[tuple[str, str]]:
    with new_bucket(s3) as source, new_bucket(s3) as target:
        for name in (source, target):
            s3.put_bucket_versioning(Bucket=name, **VERSIONED)
        yield source, target


def _document(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def rule(target: str, **more: Any) -> dict[str, Any]:
    newer = {"Filter": {"Prefix": ""}, "Priority": 1, "DeleteMarkerReplication": {"Status": "Enabled"}}
    return {"Status": "Enabled", "Destination": {"Bucket": f"arn:aws:s3:::{target}"}, **newer, **more}


def put(s3: Any, source: str, role: str, *rules: dict[str, Any]) -> None:
    s3.put_bucket_replication(Bucket=source, ReplicationConfiguration={"Role": role, "Rules": list(rules)})


def wait_for(status: str, head: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    deadline = time.monotonic() + DEADLINE_S
    while (found := head()).get("ReplicationStatus") != status:
        assert time.monotonic() < deadline, found.get("ReplicationStatus")
        time.sleep(0.05)
    return found


def test_versions_come_with_their_ids(s3: Any, role: str, pair: tuple[str, str]) -> None:
    source, target = pair
    s3.put_object(Bucket=source, Key="a/old", Body=b"before")
    put(s3, source, role, rule(target, Filter={"Prefix": "a/"}))
    made = s3.put_object(Bucket=source, Key="a/k", Body=b"x" * 100_000, Metadata={"m": "1"}, Tagging="t=1")
    s3.put_object(Bucket=source, Key="b/k", Body=b"elsewhere")
    wait_for("COMPLETED", lambda: s3.head_object(Bucket=source, Key="a/k"))
    found = s3.get_object(Bucket=target, Key="a/k")
    assert (found["ReplicationStatus"], found["VersionId"], found["ETag"]) == (
        "REPLICA",
        made["VersionId"],
        made["ETag"],
    )
    assert (found["Body"].read(), found["Metadata"], found["TagCount"]) == (b"x" * 100_000, {"m": "1"}, 1)
    s3.put_object_tagging(Bucket=source, Key="a/k", Tagging={"TagSet": [{"Key": "t", "Value": "2"}]})
    marker = s3.delete_object(Bucket=source, Key="a/k")["VersionId"]
    last = s3.put_object(Bucket=source, Key="a/k", Body=b"last")["VersionId"]
    wait_for("COMPLETED", lambda: s3.head_object(Bucket=source, Key="a/k"))
    listed = s3.list_object_versions(Bucket=target)
    assert [each["VersionId"] for each in listed["Versions"]] == [last, made["VersionId"]]
    assert [each["VersionId"] for each in listed["DeleteMarkers"]] == [marker]
    tags = s3.get_object_tagging(Bucket=target, Key="a/k", VersionId=made["VersionId"])["TagSet"]
    assert tags == [{"Key": "t", "Value": "2"}]
    s3.delete_object(Bucket=source, Key="a/k", VersionId=made["VersionId"])
    assert s3.get_object(Bucket=target, Key="a/k", VersionId=made["VersionId"])["Body"].read() == b"x" * 100_000
    assert "ReplicationStatus" not in s3.head_object(Bucket=source, Key="b/k")


def test_a_role_that_may_not_replicates_nothing(s3: Any, server: CossetServer, pair: tuple[str, str]) -> None:
    source, target = pair
    put(s3, source, f"arn:aws:iam::{server.account}:role/nobody", rule(target))
    s3.put_object(Bucket=source, Key="k", Body=b"x")
    wait_for("FAILED", lambda: s3.head_object(Bucket=source, Key="k"))
    assert "Versions" not in s3.list_object_versions(Bucket=target)


def test_replicas_go_no_further(s3: Any, role: str, pair: tuple[str, str]) -> None:
    one, two = pair
    put(s3, one, role, rule(two))
    put(s3, two, role, rule(one))
    s3.put_object(Bucket=one, Key="from one", Body=b"1")
    s3.put_object(Bucket=two, Key="from two", Body=b"2")
    for source, target, key in ((one, two, "from one"), (two, one, "from two")):
        wait_for("COMPLETED", lambda source=source, key=key: s3.head_object(Bucket=source, Key=key))
        assert s3.head_object(Bucket=target, Key=key)["ReplicationStatus"] == "REPLICA"


def test_configurations_that_are_none(s3: Any, role: str, pair: tuple[str, str]) -> None:
    source, target = pair
    guide = "Please refer to S3 Developer Guide for more information."
    newer = "must be specified for this version of Cross Region Replication configuration schema."

    def without(name: str) -> dict[str, Any]:
        return {key: value for key, value in rule(target).items() if key != name}

    for wanted, given, rules in (
        ("InvalidArgument: Invalid Role specified in replication configuration", "nobody", [rule(target)]),
        (f"InvalidRequest: Priority {newer} {guide}", role, [without("Priority")]),
        (f"InvalidRequest: DeleteMarkerReplication {newer} {guide}", role, [without("DeleteMarkerReplication")]),
        ("InvalidRequest: Destination bucket cannot be the same as the source bucket.", role, [rule(source)]),
        ("InvalidRequest: Destination bucket must have versioning enabled.", role, [rule("nowhere-at-all")]),
        ("InvalidArgument: Rule Id must be unique", role, [rule(target, ID="a"), rule(target, ID="a")]),
    ):
        configuration = {"Role": given, "Rules": rules}
        found = sentence(s3.put_bucket_replication, Bucket=source, ReplicationConfiguration=configuration)
        assert found == wanted
    put(s3, source, role, rule(target))
    suspended = {"Status": "Suspended"}
    assert refusal(s3.put_bucket_versioning, Bucket=source, VersioningConfiguration=suspended)["Status"] == 409
