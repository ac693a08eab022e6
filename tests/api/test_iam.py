"""IAM through stock boto3."""

import json
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from cosset.testing.server import CossetServer

TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
POLICY = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
BASIC = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"


@pytest.fixture
def iam(server: CossetServer) -> Any:
    return server.client("iam")


def error_of(caught: pytest.ExceptionInfo[ClientError]) -> tuple[str, str, int]:
    response = caught.value.response
    return response["Error"]["Code"], response["Error"]["Message"], response["ResponseMetadata"]["HTTPStatusCode"]


def test_the_starter_role_needs_no_lesson(iam: Any, server: CossetServer) -> None:
    role = iam.get_role(RoleName="cosset-basic")["Role"]
    assert role["Arn"] == f"arn:aws:iam::{server.account}:role/cosset-basic"
    assert role["AssumeRolePolicyDocument"] == TRUST
    attached = iam.list_attached_role_policies(RoleName="cosset-basic")["AttachedPolicies"]
    assert attached == [{"PolicyName": "AWSLambdaBasicExecutionRole", "PolicyArn": BASIC}]


def test_a_role_as_a_deployment_tool_makes_it(iam: Any, server: CossetServer) -> None:
    made = iam.create_role(RoleName="api-role", AssumeRolePolicyDocument=json.dumps(TRUST), Path="/deployed/")["Role"]
    try:
        # boto3 decodes documents and dates by itself: what it gives back is what was meant.
        assert made["AssumeRolePolicyDocument"] == TRUST
        assert made["CreateDate"].tzinfo is not None
        iam.get_waiter("role_exists").wait(RoleName="api-role")
        iam.attach_role_policy(RoleName="api-role", PolicyArn=BASIC)
        iam.put_role_policy(RoleName="api-role", PolicyName="inline", PolicyDocument=json.dumps(POLICY))
        assert iam.get_role_policy(RoleName="api-role", PolicyName="inline")["PolicyDocument"] == POLICY
        names = [role["RoleName"] for page in iam.get_paginator("list_roles").paginate() for role in page["Roles"]]
        assert "api-role" in names
        with pytest.raises(ClientError) as caught:
            iam.create_role(RoleName="api-role", AssumeRolePolicyDocument=json.dumps(TRUST))
        assert error_of(caught) == ("EntityAlreadyExists", "Role with name api-role already exists.", 409)
        with pytest.raises(iam.exceptions.DeleteConflictException):
            iam.delete_role(RoleName="api-role")
    finally:
        iam.delete_role_policy(RoleName="api-role", PolicyName="inline")
        iam.detach_role_policy(RoleName="api-role", PolicyArn=BASIC)
        iam.delete_role(RoleName="api-role")
    with pytest.raises(iam.exceptions.NoSuchEntityException) as missing:
        iam.get_role(RoleName="api-role")
    assert error_of(missing) == ("NoSuchEntity", "The role with name api-role cannot be found.", 404)


def test_a_managed_policy(iam: Any) -> None:
    arn = iam.create_policy(PolicyName="api-policy", PolicyDocument=json.dumps(POLICY))["Policy"]["Arn"]
    iam.get_waiter("policy_exists").wait(PolicyArn=arn)
    version = iam.get_policy_version(PolicyArn=arn, VersionId="v1")["PolicyVersion"]
    assert version["Document"] == POLICY
    iam.delete_policy(PolicyArn=arn)
    with pytest.raises(ClientError) as caught:
        iam.delete_policy(PolicyArn=arn)
    assert error_of(caught) == ("NoSuchEntity", f"Policy {arn} was not found.", 404)


def test_a_user_without_policies_may_do_nothing(iam: Any, server: CossetServer) -> None:
    iam.create_user(UserName="api-user")
    key = iam.create_access_key(UserName="api-user")["AccessKey"]
    try:
        session = boto3.Session(key["AccessKeyId"], key["SecretAccessKey"], region_name=server.region)
        identity = session.client("sts", endpoint_url=server.endpoint).get_caller_identity()
        user_arn = f"arn:aws:iam::{server.account}:user/api-user"
        assert identity["Arn"] == user_arn
        with pytest.raises(ClientError) as caught:
            session.client("iam", endpoint_url=server.endpoint).get_role(RoleName="cosset-basic")
        assert error_of(caught) == (
            "AccessDenied",
            f"User: {user_arn} is not authorized to perform: iam:GetRole on resource: role cosset-basic because no "
            "identity-based policy allows the iam:GetRole action",
            403,
        )
        with pytest.raises(ClientError) as caught:
            session.client("logs", endpoint_url=server.endpoint).describe_log_groups()
        assert error_of(caught)[::2] == ("AccessDeniedException", 400)
        iam.update_access_key(UserName="api-user", AccessKeyId=key["AccessKeyId"], Status="Inactive")
        with pytest.raises(ClientError) as caught:
            session.client("sts", endpoint_url=server.endpoint).get_caller_identity()
        assert error_of(caught) == (
            "InvalidClientTokenId",
            "The security token included in the request is invalid.",
            403,
        )
    finally:
        iam.delete_access_key(UserName="api-user", AccessKeyId=key["AccessKeyId"])
        iam.delete_user(UserName="api-user")


def test_an_operation_that_is_not_there_says_so(iam: Any) -> None:
    with pytest.raises(ClientError) as caught:
        iam.enable_organizations_root_sessions()
    assert "iam:EnableOrganizationsRootSessions" in error_of(caught)[1]


def test_violations_come_in_one_sentence(server: CossetServer) -> None:
    from botocore.config import Config

    iam = server.client("iam", config=Config(parameter_validation=False))
    with pytest.raises(ClientError) as caught:
        iam.create_role(RoleName="r" * 65, AssumeRolePolicyDocument="")
    code, message, status = error_of(caught)
    assert (code, status) == ("ValidationError", 400)
    # The empty document breaks two of its constraints.
    assert message.startswith("3 validation errors detected: ")


def test_groups_and_profiles_as_tools_make_them(iam: Any, server: CossetServer) -> None:
    iam.create_group(GroupName="api-group")
    iam.create_user(UserName="api-member")
    iam.create_instance_profile(InstanceProfileName="api-profile")
    try:
        iam.add_user_to_group(GroupName="api-group", UserName="api-member")
        iam.attach_group_policy(GroupName="api-group", PolicyArn=BASIC)
        iam.put_group_policy(GroupName="api-group", PolicyName="inline", PolicyDocument=json.dumps(POLICY))
        assert iam.get_group_policy(GroupName="api-group", PolicyName="inline")["PolicyDocument"] == POLICY
        groups = iam.list_groups_for_user(UserName="api-member")["Groups"]
        assert [group["Arn"] for group in groups] == [f"arn:aws:iam::{server.account}:group/api-group"]
        pages = iam.get_paginator("get_account_authorization_details").paginate(PaginationConfig={"PageSize": 1})
        users = [user["UserName"] for page in pages for user in page["UserDetailList"]]
        assert "api-member" in users
        iam.get_waiter("instance_profile_exists").wait(InstanceProfileName="api-profile")
        with pytest.raises(ClientError) as caught:
            iam.delete_user(UserName="api-member")
        assert error_of(caught)[0] == "DeleteConflict"
    finally:
        iam.remove_user_from_group(GroupName="api-group", UserName="api-member")
        iam.detach_group_policy(GroupName="api-group", PolicyArn=BASIC)
        iam.delete_group_policy(GroupName="api-group", PolicyName="inline")
        iam.delete_group(GroupName="api-group")
        iam.delete_user(UserName="api-member")
        iam.delete_instance_profile(InstanceProfileName="api-profile")


def test_a_service_linked_role_through_boto3(iam: Any) -> None:
    """Recorded: test_service_role_lifecycle[rds.amazonaws.com]."""
    iam.create_service_linked_role(AWSServiceName="rds.amazonaws.com")
    name = "AWSServiceRoleForRDS"
    role = iam.get_role(RoleName=name)["Role"]
    assert role["AssumeRolePolicyDocument"]["Statement"][0]["Principal"] == {"Service": "rds.amazonaws.com"}
    assert role["Description"] == "Allows Amazon RDS to manage AWS resources on your behalf"
    with pytest.raises(iam.exceptions.UnmodifiableEntityException):
        iam.delete_role(RoleName=name)
    task = iam.delete_service_linked_role(RoleName=name)["DeletionTaskId"]
    assert iam.get_service_linked_role_deletion_status(DeletionTaskId=task)["Status"] == "SUCCEEDED"


def test_a_pattern_of_the_model(iam: Any) -> None:
    """Recorded: test_user_match_id_mismatch[totally-wrong-credential-id-with-hyphens]."""
    iam.create_user(UserName="api-credentials")
    try:
        with pytest.raises(ClientError) as caught:
            iam.delete_service_specific_credential(
                UserName="api-credentials", ServiceSpecificCredentialId="totally-wrong-credential-id-with-hyphens"
            )
    finally:
        iam.delete_user(UserName="api-credentials")
    assert error_of(caught) == (
        "ValidationError",
        "1 validation error detected: Value at 'serviceSpecificCredentialId' failed to satisfy constraint: Member must "
        "satisfy regular expression pattern: [\\w]+",
        400,
    )


def test_a_simulation_answers_as_the_server_would(iam: Any, server: CossetServer) -> None:
    source = f"arn:aws:iam::{server.account}:role/cosset-basic"
    pages = iam.get_paginator("simulate_principal_policy").paginate(
        PolicySourceArn=source,
        ActionNames=["logs:PutLogEvents", "s3:GetObject"],
        ResourceArns=["arn:aws:logs:us-east-1:111111111111:log-group:/aws/lambda/f:log-stream:s"],
        PaginationConfig={"PageSize": 1},
    )
    logs, storage = [result for page in pages for result in page["EvaluationResults"]]
    assert (logs["EvalDecision"], storage["EvalDecision"]) == ("allowed", "implicitDeny")
    (matched,) = logs["MatchedStatements"]
    assert matched["SourcePolicyId"] == "AWSLambdaBasicExecutionRole"
    assert logs["ResourceSpecificResults"][0]["MatchedStatements"] == [matched]
    assert logs["EvalDecisionDetails"] == {}
    with pytest.raises(iam.exceptions.InvalidInputException):
        iam.simulate_custom_policy(PolicyInputList=["{}"], ActionNames=["s3:GetObject"])
