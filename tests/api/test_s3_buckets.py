"""Buckets through stock boto3: names, regions, owners, lists, and what every configuration takes and refuses."""

import hashlib
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import pytest
from botocore import UNSIGNED
from botocore.config import Config

from cosset.testing.server import CossetServer
from support.s3_buckets import MALFORMED, code, new_bucket, open_up, refusal, sentence
from support.s3_wire import signed

BAD_XML = f"MalformedXML: {MALFORMED}"


@pytest.fixture(scope="module")
def s3(server: CossetServer) -> Any:
    return server.client("s3")


@pytest.fixture
def bucket(s3: Any) -> Iterator[str]:
    with new_bucket(s3) as name:
        yield name


@pytest.mark.parametrize(
    "name", ["ab", "UPPER", "a..b", "a.-b", "a-.b", "192.168.0.1", "-a-b", "a_b", "xn--abc", "abc-s3alias"]
)
def test_names_that_are_none(s3: Any, name: str) -> None:
    s3.meta.events.register("before-parameter-build.s3", lambda **_: None)
    refused = refusal(s3.create_bucket, Bucket=name)
    assert (refused["Code"], refused["Status"]) == ("InvalidBucketName", 400)


def test_made_again_in_us_east_1_is_no_error(s3: Any, bucket: str) -> None:
    assert s3.create_bucket(Bucket=bucket)["Location"] == f"/{bucket}"
    tags = {"CreateBucketConfiguration": {"Tags": [{"Key": "a", "Value": "b"}]}}
    refused = refusal(s3.create_bucket, Bucket=bucket, **tags)
    assert (refused["Code"], refused["Status"], refused["BucketName"]) == ("BucketAlreadyOwnedByYou", 409, bucket)


def test_regions(server: CossetServer, s3: Any) -> None:
    """Recorded: test_bucket_constraint_aws_global, test_create_bucket_with_eu_location_constraint_raises."""
    west = server.client("s3", region_name="us-west-1")
    with new_bucket(s3, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}) as name:
        assert s3.get_bucket_location(Bucket=name)["LocationConstraint"] == "eu-central-1"
        assert s3.head_bucket(Bucket=name)["BucketRegion"] == "eu-central-1"
    where = {"CreateBucketConfiguration": {"LocationConstraint": "aws-global"}}
    refused = refusal(s3.create_bucket, Bucket="somewhere-else", **where)
    assert (refused["Code"], refused["LocationConstraint"]) == ("InvalidLocationConstraint", "aws-global")
    assert sentence(west.create_bucket, Bucket="somewhere-else", **where) == (
        "IllegalLocationConstraintException: The aws-global location constraint is incompatible for the region "
        "specific endpoint this request was sent to."
    )
    assert "The unspecified location constraint" in sentence(west.create_bucket, Bucket="somewhere-else")


def test_lists_are_paged_and_filtered(s3: Any) -> None:
    with new_bucket(s3) as one, new_bucket(s3) as other:
        prefix = {"Prefix": "b-"}
        first = s3.list_buckets(MaxBuckets=1, **prefix)
        assert len(first["Buckets"]) == 1
        assert first["Buckets"][0]["BucketRegion"] == "us-east-1"
        names = [
            each["Name"]
            for page in s3.get_paginator("list_buckets").paginate(PaginationConfig={"PageSize": 1}, **prefix)
            for each in page["Buckets"]
        ]
        assert names == sorted(names)
        assert {one, other} <= set(names)


@pytest.mark.parametrize(
    ("params", "wanted"),
    [
        ({"MaxBuckets": 0}, "Argument maxBuckets must be an integer between 1 and 10000"),
        ({"MaxBuckets": 10_001}, "Argument maxBuckets must be an integer between 1 and 10000"),
        ({"ContinuationToken": "x"}, "The continuation token provided is incorrect"),
        ({"BucketRegion": "nowhere"}, "Argument value nowhere is not a valid AWS Region"),
    ],
)
def test_lists_that_are_none(server: CossetServer, params: dict[str, Any], wanted: str) -> None:
    unchecked = server.client("s3", config=Config(parameter_validation=False))
    assert sentence(unchecked.list_buckets, **params) == f"InvalidArgument: {wanted}"


def test_the_older_name_of_a_region_comes_back(server: CossetServer) -> None:
    ireland = server.client("s3", region_name="eu-west-1")
    with new_bucket(ireland, CreateBucketConfiguration={"LocationConstraint": "EU"}) as name:
        assert ireland.get_bucket_location(Bucket=name)["LocationConstraint"] == "EU"
        assert ireland.head_bucket(Bucket=name)["BucketRegion"] == "eu-west-1"


def test_uploads_keep_no_bucket(s3: Any) -> None:
    """Nor does one of the same name begin with them."""
    with new_bucket(s3) as name:
        upload = s3.create_multipart_upload(Bucket=name, Key="k")["UploadId"]
        s3.upload_part(Bucket=name, Key="k", UploadId=upload, PartNumber=1, Body=b"x" * 100_000)
        s3.delete_bucket(Bucket=name)
        s3.create_bucket(Bucket=name)
        assert "Uploads" not in s3.list_multipart_uploads(Bucket=name)
        assert code(s3.list_parts, Bucket=name, Key="k", UploadId=upload) == "NoSuchUpload"


def test_where_a_bucket_is_even_strangers_are_told(server: CossetServer, s3: Any) -> None:
    nobody = server.client("s3", config=Config(signature_version=UNSIGNED))
    with new_bucket(s3, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}) as name:
        for client, call in (
            (s3, "list_objects"),
            (s3, "list_objects_v2"),
            (s3, "head_bucket"),
            (nobody, "head_bucket"),
        ):
            try:
                response = getattr(client, call)(Bucket=name)
            except client.exceptions.ClientError as error:
                response = error.response
            assert response["ResponseMetadata"]["HTTPHeaders"]["x-amz-bucket-region"] == "eu-central-1"


@pytest.mark.parametrize(
    ("method", "path", "status", "wanted"),
    [
        ("PATCH", "", 405, {"Code": "MethodNotAllowed", "Method": "PATCH", "ResourceType": "SERVICE"}),
        ("PATCH", "BUCKET", 405, {"Code": "MethodNotAllowed", "Method": "PATCH", "ResourceType": "BUCKET"}),
        ("PATCH", "BUCKET/k", 405, {"Code": "MethodNotAllowed", "Method": "PATCH", "ResourceType": "OBJECT"}),
        (
            "POST",
            "BUCKET",
            412,
            {
                "Code": "PreconditionFailed",
                "Condition": "Bucket POST must be of the enclosure-type multipart/form-data",
            },
        ),
        ("GET", "BUCKET?policy", 404, {"Code": "NoSuchBucketPolicy", "BucketName": "BUCKET"}),
        ("PUT", "BUCKET?acl", 400, {"Code": "MissingSecurityHeader", "MissingHeaderName": "x-amz-acl"}),
    ],
)
def test_errors_as_they_are_written(
    server: CossetServer, s3: Any, bucket: str, method: str, path: str, status: int, wanted: dict[str, str]
) -> None:
    open_up(s3, bucket)
    response = signed(server, method, f"/{path.replace('BUCKET', bucket)}")
    error = response.error
    assert response.status == status
    assert {name: error.get(name) for name in wanted} == {
        name: text.replace("BUCKET", bucket) if name == "BucketName" else text for name, text in wanted.items()
    }
    headers = response.headers
    assert (error["RequestId"], error["HostId"]) == (headers["x-amz-request-id"], headers["x-amz-id-2"])
    assert response.headers["server"] == "AmazonS3"


def test_the_owner_that_is_expected(server: CossetServer, s3: Any, bucket: str) -> None:
    """Recorded: test_get_bucket_policy, test_put_bucket_policy_invalid_account_id."""
    s3.get_bucket_acl(Bucket=bucket, ExpectedBucketOwner=server.account)
    refused = refusal(s3.get_bucket_acl, Bucket=bucket, ExpectedBucketOwner="000000000002")
    assert (refused["Code"], refused["Message"], refused["Status"]) == ("AccessDenied", "Access Denied", 403)
    assert sentence(s3.list_objects_v2, Bucket=bucket, ExpectedBucketOwner="abcd") == (
        "InvalidBucketOwnerAWSAccountID: The value of the expected bucket owner parameter must be an AWS Account ID... "
        "[abcd]"
    )


def test_deleting(s3: Any) -> None:
    """Recorded: test_delete_versioned_bucket_with_objects."""
    with new_bucket(s3) as name:
        s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        s3.put_object(Bucket=name, Key="k")
        s3.delete_object(Bucket=name, Key="k")
        assert sentence(s3.delete_bucket, Bucket=name) == (
            "BucketNotEmpty: The bucket you tried to delete is not empty. You must delete all versions in the bucket."
        )
    assert refusal(s3.delete_bucket, Bucket=name)["Status"] == 404


def test_new_buckets_are_shut(s3: Any, bucket: str) -> None:
    rules = s3.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"]["Rules"]
    assert rules == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    assert set(s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"].values()) == {True}
    assert sentence(s3.put_bucket_acl, Bucket=bucket, ACL="public-read") == (
        "AccessControlListNotSupported: The bucket does not allow ACLs"
    )
    refused = refusal(s3.create_bucket, Bucket=f"{bucket}-x", ObjectOwnership="RandomValue")
    assert (refused["ArgumentName"], refused["Message"]) == (
        "x-amz-object-ownership",
        "Invalid x-amz-object-ownership header: RandomValue",
    )


def test_public_access_block(s3: Any, bucket: str) -> None:
    """Recorded: test_crud_public_access_block."""
    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration={"BlockPublicAcls": False})
    assert set(s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"].values()) == {False}
    s3.delete_public_access_block(Bucket=bucket)
    s3.delete_public_access_block(Bucket=bucket)
    assert sentence(s3.get_public_access_block, Bucket=bucket) == (
        "NoSuchPublicAccessBlockConfiguration: The public access block configuration was not found"
    )


@pytest.mark.parametrize("rules", [[], [{"ObjectOwnership": "Nobody"}], [{"ObjectOwnership": "ObjectWriter"}] * 2])
def test_ownership_that_is_none(s3: Any, bucket: str, rules: list[Any]) -> None:
    assert sentence(s3.put_bucket_ownership_controls, Bucket=bucket, OwnershipControls={"Rules": rules}) == BAD_XML


def test_acls(s3: Any, bucket: str) -> None:
    """Recorded: test_s3_bucket_acl."""
    open_up(s3, bucket)
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read")
    found = s3.get_bucket_acl(Bucket=bucket)
    owner = found["Owner"]["ID"]
    assert [
        (each["Grantee"].get("URI", "owner").rpartition("/")[2], each["Permission"]) for each in found["Grants"]
    ] == [
        ("owner", "FULL_CONTROL"),
        ("AllUsers", "READ"),
    ]
    grants = [
        {"Grantee": {"ID": owner, "Type": "CanonicalUser"}, "Permission": "FULL_CONTROL"},
        {"Grantee": {"URI": "http://acs.amazonaws.com/groups/s3/LogDelivery", "Type": "Group"}, "Permission": "WRITE"},
    ]
    s3.put_bucket_acl(Bucket=bucket, AccessControlPolicy={"Owner": {"ID": owner}, "Grants": grants})
    assert s3.get_bucket_acl(Bucket=bucket)["Grants"] == grants
    s3.put_bucket_acl(Bucket=bucket, GrantRead='uri="http://acs.amazonaws.com/groups/s3/LogDelivery"')
    assert len(s3.get_bucket_acl(Bucket=bucket)["Grants"]) == 1


def test_acls_that_are_none(s3: Any, bucket: str) -> None:
    """Recorded: test_s3_bucket_acl_exceptions."""
    open_up(s3, bucket)
    owner = s3.get_bucket_acl(Bucket=bucket)["Owner"]

    def grant(grantee: Any, permission: str = "READ") -> dict[str, Any]:
        return {"AccessControlPolicy": {"Owner": owner, "Grants": [{"Grantee": grantee, "Permission": permission}]}}

    fake = "http://acs.amazonaws.com/groups/s3/FakeGroup"
    for params, wanted in (
        ({"ACL": "fake-acl"}, {"Code": "InvalidArgument", "ArgumentName": "x-amz-acl", "ArgumentValue": "fake-acl"}),
        ({}, {"Code": "MissingSecurityHeader", "MissingHeaderName": "x-amz-acl"}),
        (
            {"GrantWrite": 'fakekey="1234"'},
            {"Message": "Argument format not recognized", "ArgumentValue": 'fakekey="1234"'},
        ),
        ({"GrantWrite": f'uri="{fake}"'}, {"Message": "Invalid group uri", "ArgumentName": "uri"}),
        ({"GrantWrite": 'id="wrong-id"'}, {"Message": "Invalid id", "ArgumentName": "id"}),
        ({"ACL": "private", "GrantRead": f'id="{owner["ID"]}"'}, {"Code": "InvalidRequest"}),
        ({"ACL": "private", **grant({"ID": owner["ID"], "Type": "CanonicalUser"})}, {"Code": "UnexpectedContent"}),
        ({"AccessControlPolicy": {}}, {"Code": "MalformedACLError", "Message": MALFORMED}),
        (grant({"ID": owner["ID"], "Type": "Nobody"}), {"Code": "MalformedACLError"}),
        (grant({"ID": owner["ID"], "Type": "CanonicalUser"}, "DANCE"), {"Code": "MalformedACLError"}),
        (grant({"ID": "wrong-id", "Type": "CanonicalUser"}), {"ArgumentName": "CanonicalUser/ID"}),
        (grant({"URI": fake, "Type": "Group"}), {"ArgumentName": "Group/URI", "Message": "Invalid group uri"}),
        (
            grant({"EmailAddress": "a@b.c", "Type": "AmazonCustomerByEmail"}),
            {"Code": "UnresolvableGrantByEmailAddress"},
        ),
    ):
        refused = refusal(s3.put_bucket_acl, Bucket=bucket, **params)
        assert wanted.items() <= refused.items(), params


def test_versioning(s3: Any, bucket: str) -> None:
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)
    for status in ("Enabled", "Suspended"):
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": status})
        assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == status
    put = s3.put_bucket_versioning
    assert sentence(put, Bucket=bucket, VersioningConfiguration={"Status": "enabled"}) == BAD_XML
    assert code(put, Bucket=bucket, VersioningConfiguration={}) == "IllegalVersioningConfigurationException"
    with_device = {"Status": "Enabled", "MFADelete": "Enabled"}
    assert sentence(put, Bucket=bucket, VersioningConfiguration=with_device) == (
        "AccessDenied: Mfa Authentication must be used for this request"
    )
    header = "arn:aws:iam::123456789012:mfa/root 123456"
    assert code(put, Bucket=bucket, VersioningConfiguration=with_device, MFA="x") == "InvalidArgument"
    assert code(put, Bucket=bucket, VersioningConfiguration=with_device, MFA=header) == "AccessDenied"


def test_tags(s3: Any, bucket: str) -> None:
    """Recorded: test_bucket_tagging_crud, test_tagging_validation, test_create_bucket_with_tags_exc."""

    def put(*tags: tuple[str, str]) -> Any:
        return s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": [{"Key": k, "Value": v} for k, v in tags]})

    put(("tag1", "tag1"), ("tag2", ""))
    assert s3.get_bucket_tagging(Bucket=bucket)["TagSet"] == [
        {"Key": "tag1", "Value": "tag1"},
        {"Key": "tag2", "Value": ""},
    ]
    assert put()["ResponseMetadata"]["HTTPStatusCode"] == 204
    refused = refusal(s3.get_bucket_tagging, Bucket=bucket)
    assert (refused["Code"], refused["Message"], refused["BucketName"]) == (
        "NoSuchTagSet",
        "The TagSet does not exist",
        bucket,
    )
    for tags, wanted in (
        (
            [("Key1", "a"), ("Key1", "b")],
            {"Message": "Cannot provide multiple Tags with the same key", "TagKey": "Key1"},
        ),
        ([("aws:prefixed", "a")], {"Message": "System tags cannot be added/updated by requester"}),
        ([("Key1,Key2", "a")], {"Message": "The TagKey you have provided is invalid", "TagKey": "Key1,Key2"}),
        ([("Key1", "a,b")], {"Message": "The TagValue you have provided is invalid", "TagValue": "a,b"}),
    ):
        assert {"Code": "InvalidTag", **wanted}.items() <= refusal(lambda tags=tags: put(*tags)).items()


def test_encryption_acceleration_and_payment(s3: Any, bucket: str) -> None:
    rules = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rules[0]["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    s3.put_bucket_encryption(
        Bucket=bucket,
        ServerSideEncryptionConfiguration={
            "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}, "BucketKeyEnabled": True}]
        },
    )
    (rule,) = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["BucketKeyEnabled"]
    accelerate = s3.put_bucket_accelerate_configuration
    accelerate(Bucket=bucket, AccelerateConfiguration={"Status": "Enabled"})
    assert s3.get_bucket_accelerate_configuration(Bucket=bucket)["Status"] == "Enabled"
    assert sentence(accelerate, Bucket=bucket, AccelerateConfiguration={"Status": "enabled"}) == BAD_XML
    with new_bucket(s3) as plain:
        assert "Status" not in s3.get_bucket_accelerate_configuration(Bucket=plain)
        assert s3.get_bucket_request_payment(Bucket=plain)["Payer"] == "BucketOwner"


def test_object_lock(s3: Any, bucket: str) -> None:
    """Recorded: test_put_object_lock_configuration_on_existing_bucket, test_put_object_lock_configuration_exc."""
    put, get = s3.put_object_lock_configuration, s3.get_object_lock_configuration
    assert sentence(get, Bucket=bucket) == (
        "ObjectLockConfigurationNotFoundError: Object Lock configuration does not exist for this bucket"
    )
    enabled = {"ObjectLockEnabled": "Enabled"}
    refused = refusal(put, Bucket=bucket, ObjectLockConfiguration=enabled)
    assert (refused["Code"], refused["Status"]) == ("InvalidBucketState", 409)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    put(Bucket=bucket, ObjectLockConfiguration=enabled)
    assert get(Bucket=bucket)["ObjectLockConfiguration"] == enabled
    for bad in ({}, {"Rule": {}}, {"DefaultRetention": {}}):
        assert (
            sentence(
                put,
                Bucket=bucket,
                ObjectLockConfiguration=bad
                if bad != {"DefaultRetention": {}}
                else {**enabled, "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1, "Years": 1}}},
            )
            == BAD_XML
        )
    suspend = {"Status": "Suspended"}
    assert code(s3.put_bucket_versioning, Bucket=bucket, VersioningConfiguration=suspend) == "InvalidBucketState"


def test_reports(s3: Any, bucket: str) -> None:
    """Recorded: test_s3_inventory_report_crud, test_s3_put_inventory_report_exceptions, TestS3MetricsConfiguration."""
    inventory = {
        "Id": "a",
        "IsEnabled": True,
        "IncludedObjectVersions": "All",
        "Schedule": {"Frequency": "Daily"},
        "OptionalFields": ["Size", "ETag"],
        "Destination": {"S3BucketDestination": {"Bucket": f"arn:aws:s3:::{bucket}", "Format": "CSV"}},
    }
    put = s3.put_bucket_inventory_configuration
    put(Bucket=bucket, Id="a", InventoryConfiguration=inventory)
    assert s3.get_bucket_inventory_configuration(Bucket=bucket, Id="a")["InventoryConfiguration"] == inventory
    listed = s3.list_bucket_inventory_configurations(Bucket=bucket)
    assert (listed["InventoryConfigurationList"], listed["IsTruncated"]) == ([inventory], False)
    assert sentence(put, Bucket=bucket, Id="b", InventoryConfiguration=inventory) == (
        "IdMismatch: Document ID does not match the specified configuration ID."
    )
    hourly = {**inventory, "Schedule": {"Frequency": "Hourly"}}
    assert sentence(put, Bucket=bucket, Id="a", InventoryConfiguration=hourly) == BAD_XML
    nowhere = {**inventory, "Destination": {"S3BucketDestination": {"Bucket": bucket, "Format": "CSV"}}}
    assert code(put, Bucket=bucket, Id="a", InventoryConfiguration=nowhere) == "InvalidS3DestinationBucket"
    s3.delete_bucket_inventory_configuration(Bucket=bucket, Id="a")
    gone = refusal(s3.delete_bucket_inventory_configuration, Bucket=bucket, Id="a")
    assert (gone["Code"], gone["Status"]) == ("NoSuchConfiguration", 404)
    metrics = {"Id": "m", "Filter": {"Prefix": "logs/"}}
    s3.put_bucket_metrics_configuration(Bucket=bucket, Id="m", MetricsConfiguration=metrics)
    assert s3.list_bucket_metrics_configurations(Bucket=bucket)["MetricsConfigurationList"] == [metrics]
    tag = {"Key": "a", "Value": "b"}
    for given in ({"Prefix": "x", "Tag": tag}, {"And": {"Prefix": "x"}}):
        metrics = {"Id": "m", "Filter": given}
        put = s3.put_bucket_metrics_configuration
        assert sentence(put, Bucket=bucket, Id="m", MetricsConfiguration=metrics) == BAD_XML
    analytics = {"Id": "a", "StorageClassAnalysis": {}}
    put = s3.put_bucket_analytics_configuration
    assert sentence(put, Bucket=bucket, Id="different", AnalyticsConfiguration=analytics) == BAD_XML


def test_a_kind_of_encryption_that_is_blocked(s3: Any, bucket: str) -> None:
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    key = {"Bucket": bucket, "Key": "k", "SSECustomerAlgorithm": "AES256", "SSECustomerKey": "k" * 32}
    s3.put_object(**key)
    for blocked, status in (["SSE-C"], 403), (["NONE"], 200):
        rules = [{**rule, "BlockedEncryptionTypes": {"EncryptionType": blocked}}]
        s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": rules})
        if status == 403:
            assert refusal(s3.put_object, **key)["Status"] == 403
        else:
            s3.put_object(**key)


@pytest.mark.parametrize("period", [{"Days": 0}, {"Years": -1}])
def test_a_retention_is_positive(s3: Any, bucket: str, period: dict[str, int]) -> None:
    given = {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", **period}}}
    refused = refusal(s3.put_object_lock_configuration, Bucket=bucket, ObjectLockConfiguration=given)
    assert (refused["Code"], refused["ArgumentName"]) == ("InvalidArgument", *period)


def test_logging_and_replication_need_their_targets(server: CossetServer, s3: Any, bucket: str) -> None:
    """Recorded: TestS3BucketLogging, TestS3BucketReplication."""
    assert "LoggingEnabled" not in s3.get_bucket_logging(Bucket=bucket)
    enabled = {"TargetBucket": "not-there-at-all", "TargetPrefix": "log"}
    put = s3.put_bucket_logging
    assert sentence(put, Bucket=bucket, BucketLoggingStatus={"LoggingEnabled": enabled}) == (
        "InvalidTargetBucketForLogging: The target bucket for logging does not exist"
    )
    put(Bucket=bucket, BucketLoggingStatus={"LoggingEnabled": {**enabled, "TargetBucket": bucket}})
    assert s3.get_bucket_logging(Bucket=bucket)["LoggingEnabled"]["TargetBucket"] == bucket
    both = {"SimplePrefix": {}, "PartitionedPrefix": {"PartitionDateSource": "EventTime"}}
    formats = {**enabled, "TargetBucket": bucket, "TargetObjectKeyFormat": both}
    assert code(put, Bucket=bucket, BucketLoggingStatus={"LoggingEnabled": formats}) == "MalformedXML"
    put(Bucket=bucket, BucketLoggingStatus={})
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    rule = {"Status": "Disabled", "Priority": 0, "Filter": {}, "Destination": {"Bucket": "arn:aws:s3:::not-there"}}
    rule["DeleteMarkerReplication"] = {"Status": "Disabled"}
    replication = {"Role": f"arn:aws:iam::{server.account}:role/r", "Rules": [rule]}
    assert sentence(s3.put_bucket_replication, Bucket=bucket, ReplicationConfiguration=replication) == (
        "InvalidRequest: Destination bucket must have versioning enabled."
    )


def test_a_lifecycle_comes_back_as_it_was_put(s3: Any, bucket: str) -> None:
    """Recorded: TestS3BucketLifecycle."""
    put, get = s3.put_bucket_lifecycle_configuration, s3.get_bucket_lifecycle_configuration
    assert sentence(get, Bucket=bucket) == "NoSuchLifecycleConfiguration: The lifecycle configuration does not exist"
    rule = {"ID": "all", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 7}}
    put(Bucket=bucket, LifecycleConfiguration={"Rules": [rule]})
    found = get(Bucket=bucket)
    assert (found["Rules"], found["TransitionDefaultMinimumObjectSize"]) == ([rule], "all_storage_classes_128K")
    expiry = s3.put_object(Bucket=bucket, Key="k")["Expiration"]
    assert expiry.startswith('expiry-date="')
    assert expiry.endswith(' 00:00:00 GMT", rule-id="all"')
    assert s3.head_object(Bucket=bucket, Key="k")["Expiration"] == expiry
    for bad, wanted in (
        ({"Expiration": {"Days": 0}}, "InvalidArgument"),
        ({"Expiration": {"Days": 1, "ExpiredObjectDeleteMarker": True}}, "MalformedXML"),
        ({"Expiration": {"Date": "2030-01-01T10:00:00Z"}}, "InvalidArgument"),
        ({"Status": "enabled"}, "MalformedXML"),
        ({"Filter": {"Prefix": "a", "Tag": {"Key": "a", "Value": "b"}}}, "MalformedXML"),
        ({"ID": "x" * 256}, "InvalidArgument"),
        ({"Transitions": [{"Days": 1, "StorageClass": "STANDARD_IA"}]}, "InvalidArgument"),
    ):
        assert code(put, Bucket=bucket, LifecycleConfiguration={"Rules": [{**rule, **bad}]}) == wanted, bad
    assert code(put, Bucket=bucket, LifecycleConfiguration={"Rules": [rule, rule]}) == "InvalidArgument"


def test_a_bucket_that_is_not_there(s3: Any) -> None:
    for call in (
        s3.get_bucket_policy,
        s3.get_bucket_cors,
        s3.get_bucket_website,
        s3.get_bucket_lifecycle_configuration,
    ):
        refused = refusal(call, Bucket="does-not-exist-here")
        assert (refused["Code"], refused["Status"], refused["BucketName"]) == (
            "NoSuchBucket",
            404,
            "does-not-exist-here",
        )


def test_documents_are_what_their_headers_say(s3: Any, bucket: str) -> None:
    """A wrong Content-MD5, and a wrong checksum."""

    def say(name: str, value: str) -> Any:
        def change(params: Any, **_: Any) -> None:
            params["headers"].pop("x-amz-checksum-crc32", None)
            params["headers"][name] = value

        event = "before-call.s3.PutBucketTagging"
        s3.meta.events.register(event, change)
        try:
            return refusal(s3.put_bucket_tagging, Bucket=bucket, Tagging={"TagSet": []})["Code"]
        finally:
            s3.meta.events.unregister(event, change)

    assert say("Content-MD5", "1B2M2Y8AsgTpgAmY7PhCfg==") == "BadDigest"
    assert say("Content-MD5", "not one") == "InvalidDigest"
    assert say("x-amz-checksum-crc32", "AAAAAA==") == "BadDigest"


@pytest.mark.parametrize(
    ("query", "body"),
    [
        ("versioning", "<Versioning><Status>Enabled</Status></Versioning>"),
        ("versioning", "<VersioningConfiguration><Status>Enabled</Status><More/></VersioningConfiguration>"),
        ("versioning", f"<VersioningConfiguration>{'<Status>Enabled</Status>' * 2}</VersioningConfiguration>"),
        ("tagging", "<Tagging><TagSet><Label><Key>a</Key><Value>b</Value></Label></TagSet></Tagging>"),
        ("publicAccessBlock", "<PublicAccessBlockConfiguration><More>true</More></PublicAccessBlockConfiguration>"),
        ("", "<CreateBucketConfiguration><Region>EU</Region></CreateBucketConfiguration>"),
    ],
)
def test_documents_that_follow_no_schema(server: CossetServer, bucket: str, query: str, body: str) -> None:
    md5 = b64encode(hashlib.md5(body.encode()).digest()).decode()
    response = signed(server, "PUT", f"/{bucket}?{query}", body.encode(), {"Content-MD5": md5})
    assert (response.status, response.error["Code"]) == (400, "MalformedXML")
