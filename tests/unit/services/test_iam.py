"""IAM's operations over a real store. Recorded scenarios are in `iam`."""

import asyncio
import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import botocore.session
import pytest

from cosset.identity.principal import Principal, PrincipalKind
from cosset.services.iam.managed_policies import managed_policies
from cosset.services.iam.service import iam_service
from cosset.wire.errors import ServiceError
from support.caller import Caller
from support.iam_bench import POLICY, TRUST, Bench, Run, run_with_iam

BASIC = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return run_with_iam(tmp_path)


def test_a_role_from_making_to_deleting(run: Run) -> None:
    """Recorded: test_role_with_path_lifecycle, test_role_with_tags."""

    async def scenario(bench: Bench) -> None:
        tags = [{"Key": "test", "Value": "value"}]
        made = await bench.role(Path="/service/", Tags=tags, Description="d", MaxSessionDuration=7200)
        assert made.keys() == {
            *("Path", "RoleName", "RoleId", "Arn", "CreateDate", "AssumeRolePolicyDocument", "Tags"),
        }
        assert made["Arn"] == f"arn:aws:iam::{bench.account}:role/service/worker"
        assert made["RoleId"].startswith("AROA")
        assert len(made["RoleId"]) == 21
        # Documents travel URL-encoded, as RFC 3986 has it.
        assert " " not in made["AssumeRolePolicyDocument"]
        assert unquote(made["AssumeRolePolicyDocument"]) == TRUST
        shown = (await bench.call("GetRole", RoleName="worker"))["Role"]
        assert shown == {**made, "MaxSessionDuration": 7200, "Description": "d", "RoleLastUsed": {}}
        listed = await bench.call("ListRoles", PathPrefix="/service/")
        assert listed["IsTruncated"] is False
        expected = {**made, "MaxSessionDuration": 7200, "Description": "d"}
        assert listed["Roles"] == [{key: value for key, value in expected.items() if key != "Tags"}]
        await bench.call("DeleteRole", RoleName="worker")
        assert await bench.refused("GetRole", RoleName="worker") == (
            "NoSuchEntity",
            "The role with name worker cannot be found.",
            404,
        )

    run(scenario)


def test_a_tag_may_be_given_once_whatever_its_case(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        twice = [{"Key": "team", "Value": "a"}, {"Key": "Team", "Value": "b"}]
        sentence = "Duplicate tag keys found. Please note that Tag keys are case insensitive."
        expected = ("InvalidInput", sentence, 400)
        assert await bench.refused("CreateUser", UserName="ann", Tags=twice) == expected
        await bench.role("worker")
        assert await bench.refused("TagRole", RoleName="worker", Tags=twice) == expected

    run(scenario)


def test_a_role_trusts_only_whom_there_is(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        def trusting(principal: Any) -> str:
            statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
            return json.dumps({"Version": "2012-10-17", "Statement": [statement]})

        iam = f"arn:aws:iam::{bench.account}"
        await bench.call("CreateUser", UserName="ann", Path="/team/")
        await bench.role("worker")
        for somebody in (
            *("*", bench.account, f"{iam}:root", f"{iam}:user/team/ann", f"{iam}:role/worker"),
            *("arn:aws:iam::111111111111:user/bob", f"arn:aws:sts::{bench.account}:assumed-role/worker/s"),
        ):
            document = trusting({"AWS": [bench.account, somebody]})
            await bench.call("UpdateAssumeRolePolicy", RoleName="worker", PolicyDocument=document)
        await bench.call("UpdateAssumeRolePolicy", RoleName="worker", PolicyDocument=trusting("*"))
        for nobody in (
            *(
                "ann",
                "12345",
                f"{iam}:user/ann",
                f"{iam}:role/other",
                f"{iam}:user/*",
                f"{iam}:group/team",
                f"{iam}:role",
            ),
            *("arn:aws:iam::x:root", "arn:aws:iam::111111111111:policy/p", f"arn:aws:sts::{bench.account}:self"),
        ):
            expected = ("MalformedPolicyDocument", f'Invalid principal in policy: "AWS":"{nobody}"', 400)
            document = trusting({"AWS": [bench.account, nobody]})
            assert await bench.refused("CreateRole", RoleName="r", AssumeRolePolicyDocument=document) == expected
            update = await bench.refused("UpdateAssumeRolePolicy", RoleName="worker", PolicyDocument=document)
            assert update == expected
        document = trusting({"Service": "lambda"})
        assert (await bench.refused("CreateRole", RoleName="r", AssumeRolePolicyDocument=document))[1] == (
            'Invalid principal in policy: "SERVICE":"lambda"'
        )

    run(scenario)


def test_a_role_name_is_taken_whatever_its_case(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.role("Worker")
        assert await bench.refused("CreateRole", RoleName="worker", AssumeRolePolicyDocument=TRUST) == (
            "EntityAlreadyExists",
            "Role with name worker already exists.",
            409,
        )
        assert (await bench.refused("GetRole", RoleName="worker"))[0] == "NoSuchEntity"

    run(scenario)


def test_two_makers_of_one_role_at_once(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        results = await asyncio.gather(*(bench.role() for _ in range(10)), return_exceptions=True)
        refusals = [result for result in results if isinstance(result, ServiceError)]
        assert len(refusals) == 9
        assert {refusal.code for refusal in refusals} == {"EntityAlreadyExists"}

    run(scenario)


def test_a_malformed_trust_policy_is_refused(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        refused = await bench.refused("CreateRole", RoleName="r", AssumeRolePolicyDocument="{")
        assert refused == ("MalformedPolicyDocument", "This policy contains invalid Json", 400)
        services = [f"{'x' * 50}{number}.amazonaws.com" for number in range(40)]
        long = TRUST.replace('"lambda.amazonaws.com"', json.dumps(services))
        refused = await bench.refused("CreateRole", RoleName="r", AssumeRolePolicyDocument=long)
        assert refused == ("LimitExceeded", "Cannot exceed quota for ACLSizePerRole: 2048", 409)
        await bench.role()
        refused = await bench.refused("UpdateAssumeRolePolicy", RoleName="worker", PolicyDocument=POLICY)
        assert refused[:2] == ("MalformedPolicyDocument", "Has prohibited field Resource")

    run(scenario)


def test_a_changed_trust_policy_is_in_force_at_once(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        arn = (await bench.role())["Arn"]
        assert await bench.iam.directory.assumable_by_lambda(arn)
        other = TRUST.replace("lambda.amazonaws.com", "ec2.amazonaws.com")
        await bench.call("UpdateAssumeRolePolicy", RoleName="worker", PolicyDocument=other)
        assert not await bench.iam.directory.assumable_by_lambda(arn)
        await bench.call("UpdateAssumeRolePolicy", RoleName="worker", PolicyDocument=TRUST)
        assert await bench.iam.directory.assumable_by_lambda(arn)
        await bench.call("DeleteRole", RoleName="worker")
        assert not await bench.iam.directory.assumable_by_lambda(arn)

    run(scenario)


def test_a_session_does_not_outlive_its_role(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        arn = (await bench.role())["Arn"]
        session = await bench.iam.directory.sessions.issue(arn, "s", 900)
        await bench.call("DeleteRole", RoleName="worker")
        await bench.role()
        with pytest.raises(ServiceError):
            await bench.iam.directory.find_key(session.access_key_id, session.session_token)

    run(scenario)


def test_role_updates_and_boundary(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.role()
        await bench.call("UpdateRole", RoleName="worker", Description="x", MaxSessionDuration=4000)
        await bench.call("PutRolePermissionsBoundary", RoleName="worker", PermissionsBoundary=BASIC)
        role = (await bench.call("GetRole", RoleName="worker"))["Role"]
        assert (role["Description"], role["MaxSessionDuration"]) == ("x", 4000)
        assert role["PermissionsBoundary"] == {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": BASIC}
        policy = (await bench.call("GetPolicy", PolicyArn=BASIC))["Policy"]
        assert policy["PermissionsBoundaryUsageCount"] == 1
        await bench.call("DeleteRolePermissionsBoundary", RoleName="worker")
        assert "PermissionsBoundary" not in (await bench.call("GetRole", RoleName="worker"))["Role"]
        unknown = f"arn:aws:iam::{bench.account}:policy/none"
        refused = await bench.refused("PutRolePermissionsBoundary", RoleName="worker", PermissionsBoundary=unknown)
        assert refused[0] == "NoSuchEntity"

    run(scenario)


def test_lists_come_in_pages(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        for number in range(5):
            await bench.role(f"r{number}", Path="/p/")
        names: list[str] = []
        marker: dict[str, str] = {}
        while True:
            listed = await bench.call("ListRoles", PathPrefix="/p/", MaxItems=2, **marker)
            names += [role["RoleName"] for role in listed["Roles"]]
            assert listed["IsTruncated"] == ("Marker" in listed)
            if not listed["IsTruncated"]:
                break
            marker = {"Marker": listed["Marker"]}
        assert names == ["r0", "r1", "r2", "r3", "r4"]
        assert (await bench.refused("ListRoles", Marker="ü"))[0] == "ValidationError"

    run(scenario)


def test_attaching(run: Run) -> None:
    """Recorded: test_role_attach_policy."""

    async def scenario(bench: Bench) -> None:
        await bench.role()
        made = (await bench.call("CreatePolicy", PolicyName="reader", PolicyDocument=POLICY, Description="d"))["Policy"]
        assert made == {
            "PolicyName": "reader",
            "PolicyId": made["PolicyId"],
            "Arn": f"arn:aws:iam::{bench.account}:policy/reader",
            "Path": "/",
            "DefaultVersionId": "v1",
            "AttachmentCount": 0,
            "PermissionsBoundaryUsageCount": 0,
            "IsAttachable": True,
            "CreateDate": made["CreateDate"],
            "UpdateDate": made["CreateDate"],
        }
        for _ in range(2):
            await bench.call("AttachRolePolicy", RoleName="worker", PolicyArn=made["Arn"])
        await bench.call("AttachRolePolicy", RoleName="worker", PolicyArn=BASIC)
        attached = await bench.call("ListAttachedRolePolicies", RoleName="worker")
        assert attached["AttachedPolicies"] == [
            {"PolicyName": "AWSLambdaBasicExecutionRole", "PolicyArn": BASIC},
            {"PolicyName": "reader", "PolicyArn": made["Arn"]},
        ]
        for wrong in ("reader-policy-of-some-length", "arn:aws:iam::aws:role/x"):
            refused = await bench.refused("AttachRolePolicy", RoleName="worker", PolicyArn=wrong)
            assert refused == ("ValidationError", "Invalid ARN:  Could not be parsed!", 400)
        missing = f"{made['Arn']}123"
        refused = await bench.refused("AttachRolePolicy", RoleName="worker", PolicyArn=missing)
        assert refused == ("NoSuchEntity", f"Policy {missing} does not exist or is not attachable.", 404)
        assert (await bench.refused("DeleteRole", RoleName="worker"))[:2] == (
            "DeleteConflict",
            "Cannot delete entity, must detach all policies first.",
        )
        entities = await bench.call("ListEntitiesForPolicy", PolicyArn=made["Arn"])
        assert [role["RoleName"] for role in entities["PolicyRoles"]] == ["worker"]
        assert entities["PolicyUsers"] == []
        entities = await bench.call("ListEntitiesForPolicy", PolicyArn=BASIC, EntityFilter="User")
        assert entities["PolicyRoles"] == []
        assert (await bench.refused("DeletePolicy", PolicyArn=made["Arn"]))[:2] == (
            "DeleteConflict",
            "Cannot delete a policy attached to entities.",
        )
        await bench.call("DetachRolePolicy", RoleName="worker", PolicyArn=made["Arn"])
        refused = await bench.refused("DetachRolePolicy", RoleName="worker", PolicyArn=made["Arn"])
        assert refused == ("NoSuchEntity", f"Policy {made['Arn']} was not found.", 404)
        await bench.call("DeletePolicy", PolicyArn=made["Arn"])
        refused = await bench.refused("DeletePolicy", PolicyArn=made["Arn"])
        assert refused == ("NoSuchEntity", f"Policy {made['Arn']} was not found.", 404)

    run(scenario)


def test_inline_policies(run: Run) -> None:
    """Recorded: test_put_role_policy_encoding."""

    async def scenario(bench: Bench) -> None:
        await bench.role()
        document = POLICY.replace("s3:GetObject", "apigateway:PUT").replace('"*"', '"arn:aws:x:::arn%3Aaws"')
        await bench.call("PutRolePolicy", RoleName="worker", PolicyName="p", PolicyDocument=POLICY)
        await bench.call("PutRolePolicy", RoleName="worker", PolicyName="p", PolicyDocument=document)
        shown = await bench.call("GetRolePolicy", RoleName="worker", PolicyName="p")
        assert (shown["RoleName"], shown["PolicyName"]) == ("worker", "p")
        assert unquote(shown["PolicyDocument"]) == document
        listed = await bench.call("ListRolePolicies", RoleName="worker")
        assert (listed["PolicyNames"], listed["IsTruncated"]) == (["p"], False)
        refused = await bench.refused("DeleteRole", RoleName="worker")
        assert refused[:2] == ("DeleteConflict", "Cannot delete entity, must delete policies first.")
        refused = await bench.refused("GetRolePolicy", RoleName="worker", PolicyName="q")
        assert refused == ("NoSuchEntity", "The role policy with name q cannot be found.", 404)
        big = POLICY.replace("s3:GetObject", "s3:" + "x" * 11_000)
        refused = await bench.refused("PutRolePolicy", RoleName="worker", PolicyName="q", PolicyDocument=big)
        assert refused[::2] == ("LimitExceeded", 409)
        await bench.call("DeleteRolePolicy", RoleName="worker", PolicyName="p")
        await bench.call("DeleteRole", RoleName="worker")

    run(scenario)


def test_policy_versions(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        arn = (await bench.call("CreatePolicy", PolicyName="p", PolicyDocument=POLICY))["Policy"]["Arn"]
        for number in range(2, 6):
            made = await bench.call(
                "CreatePolicyVersion", PolicyArn=arn, PolicyDocument=POLICY, SetAsDefault=number == 5
            )
            assert made["PolicyVersion"]["VersionId"] == f"v{number}"
        refused = await bench.refused("CreatePolicyVersion", PolicyArn=arn, PolicyDocument=POLICY)
        assert refused[0] == "LimitExceeded"
        listed = (await bench.call("ListPolicyVersions", PolicyArn=arn))["Versions"]
        assert [each["VersionId"] for each in listed] == ["v5", "v4", "v3", "v2", "v1"]
        assert [each["IsDefaultVersion"] for each in listed] == [True, False, False, False, False]
        assert (await bench.refused("DeletePolicy", PolicyArn=arn))[0] == "DeleteConflict"
        refused = await bench.refused("DeletePolicyVersion", PolicyArn=arn, VersionId="v5")
        assert refused[:2] == ("DeleteConflict", "Cannot delete the default version of a policy.")
        await bench.call("SetDefaultPolicyVersion", PolicyArn=arn, VersionId="v1")
        await bench.call("DeletePolicyVersion", PolicyArn=arn, VersionId="v5")
        # A number is not given twice.
        made = await bench.call("CreatePolicyVersion", PolicyArn=arn, PolicyDocument=POLICY)
        assert made["PolicyVersion"]["VersionId"] == "v6"
        version = (await bench.call("GetPolicyVersion", PolicyArn=arn, VersionId="v1"))["PolicyVersion"]
        assert unquote(version["Document"]) == POLICY
        assert version["IsDefaultVersion"] is True
        assert (await bench.refused("GetPolicyVersion", PolicyArn=arn, VersionId="v9"))[0] == "NoSuchEntity"

    run(scenario)


def test_awss_own_policies_are_facts(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        policy = (await bench.call("GetPolicy", PolicyArn=BASIC))["Policy"]
        # On the starter role.
        assert policy["AttachmentCount"] == 1
        assert policy["Description"] == "Provides write permissions to CloudWatch Logs."
        version = await bench.call("GetPolicyVersion", PolicyArn=BASIC, VersionId=policy["DefaultVersionId"])
        document = json.loads(unquote(version["PolicyVersion"]["Document"]))
        assert document["Statement"][0]["Action"] == [
            *("logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"),
        ]
        refused = await bench.refused("DeletePolicy", PolicyArn=BASIC)
        assert refused == ("AccessDenied", "Policy is outside your own account.", 403)
        local = await bench.call("ListPolicies", Scope="Local")
        assert local["Policies"] == []
        every = await bench.call("ListPolicies", Scope="AWS", MaxItems=1000)
        assert len(every["Policies"]) == len(managed_policies())
        attached = await bench.call("ListPolicies", OnlyAttached=True)
        assert [each["PolicyName"] for each in attached["Policies"]] == [
            *("AdministratorAccess", "AWSLambdaBasicExecutionRole"),
        ]
        unknown = "arn:aws:iam::aws:policy/SecurityAudit"
        assert (await bench.refused("GetPolicy", PolicyArn=unknown))[0] == "NoSuchEntity"

    run(scenario)


def test_policies_are_listed_by_what_they_are_used_for(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        async def used_for(usage: str) -> list[str]:
            listed = await bench.call("ListPolicies", Scope="Local", PolicyUsageFilter=usage)
            return [policy["PolicyName"] for policy in listed["Policies"]]

        for name in ("allowing", "bounding", "idle"):
            await bench.call("CreatePolicy", PolicyName=name, PolicyDocument=POLICY)
        own = f"arn:aws:iam::{bench.account}:policy"
        await bench.call("CreateUser", UserName="ann", PermissionsBoundary=f"{own}/bounding")
        await bench.call("AttachUserPolicy", UserName="ann", PolicyArn=f"{own}/allowing")
        assert await used_for("PermissionsPolicy") == ["allowing"]
        assert await used_for("PermissionsBoundary") == ["bounding"]

    run(scenario)


def test_users_and_their_keys(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        user = (await bench.call("CreateUser", UserName="Ada", Path="/team/"))["User"]
        assert user["Arn"] == f"arn:aws:iam::{bench.account}:user/team/Ada"
        assert (await bench.refused("CreateUser", UserName="ada"))[:2] == (
            "EntityAlreadyExists",
            "User with name ada already exists.",
        )
        key = (await bench.call("CreateAccessKey", UserName="Ada"))["AccessKey"]
        assert (len(key["AccessKeyId"]), len(key["SecretAccessKey"]), key["Status"]) == (20, 40, "Active")
        known = await bench.iam.directory.find_key(key["AccessKeyId"], None)
        assert known is not None
        assert known.credentials.secret_access_key == key["SecretAccessKey"]
        assert known.principal == Principal(PrincipalKind.USER, bench.account, user["Arn"], user["UserId"])
        await bench.call("AttachUserPolicy", UserName="Ada", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
        await bench.call("UpdateAccessKey", UserName="Ada", AccessKeyId=key["AccessKeyId"], Status="Inactive")
        assert await bench.iam.directory.find_key(key["AccessKeyId"], None) is None
        listed = (await bench.call("ListAccessKeys", UserName="Ada"))["AccessKeyMetadata"]
        assert [each["Status"] for each in listed] == ["Inactive"]
        assert "SecretAccessKey" not in listed[0]
        await bench.call("CreateAccessKey", UserName="Ada")
        refused = await bench.refused("CreateAccessKey", UserName="Ada")
        assert refused == ("LimitExceeded", "Cannot exceed quota for AccessKeysPerUser: 2", 409)
        refused = await bench.refused("DeleteUser", UserName="Ada")
        assert refused[:2] == ("DeleteConflict", "Cannot delete entity, must delete access keys first.")
        for each in (await bench.call("ListAccessKeys", UserName="Ada"))["AccessKeyMetadata"]:
            await bench.call("DeleteAccessKey", UserName="Ada", AccessKeyId=each["AccessKeyId"])
        refused = await bench.refused("DeleteAccessKey", UserName="Ada", AccessKeyId=key["AccessKeyId"])
        assert refused[0] == "NoSuchEntity"
        assert (await bench.refused("DeleteUser", UserName="Ada"))[1].startswith("Cannot delete entity, must detach")
        await bench.call("DetachUserPolicy", UserName="Ada", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
        await bench.call("DeleteUser", UserName="Ada")
        refused = await bench.refused("GetUser", UserName="Ada")
        assert refused == ("NoSuchEntity", "The user with name Ada cannot be found.", 404)

    run(scenario)


def test_without_a_name_the_caller_is_meant(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        assert (await bench.call("GetUser"))["User"]["UserName"] == "administrator"
        assert len((await bench.call("ListAccessKeys"))["AccessKeyMetadata"]) == 1
        session = Caller(
            iam_service(bench.iam.store, bench.iam.clock),
            Principal(PrincipalKind.ROLE, bench.account, "arn:aws:sts::1:assumed-role/r/s", "AROA:s"),
        )
        with pytest.raises(ServiceError) as caught:
            await session("GetUser")
        assert caught.value.code == "ValidationError"

    run(scenario)


def test_tags(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.role(Tags=[{"Key": "Team", "Value": "a"}])
        await bench.call("TagRole", RoleName="worker", Tags=[{"Key": "team", "Value": "b"}, {"Key": "x", "Value": ""}])
        listed = await bench.call("ListRoleTags", RoleName="worker")
        assert listed == {
            "Tags": [{"Key": "team", "Value": "b"}, {"Key": "x", "Value": ""}],
            "IsTruncated": False,
        }
        await bench.call("UntagRole", RoleName="worker", TagKeys=["TEAM"])
        assert (await bench.call("GetRole", RoleName="worker"))["Role"]["Tags"] == [{"Key": "x", "Value": ""}]
        twice = [{"Key": "k", "Value": "1"}, {"Key": "K", "Value": "2"}]
        assert (await bench.refused("TagRole", RoleName="worker", Tags=twice))[0] == "InvalidInput"
        many = [{"Key": str(number), "Value": ""} for number in range(50)]
        assert (await bench.refused("TagRole", RoleName="worker", Tags=many))[0] == "LimitExceeded"

    run(scenario)


def test_what_terraform_asks_before_it_deletes(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.role()
        profiles = await bench.call("ListInstanceProfilesForRole", RoleName="worker")
        assert profiles == {"InstanceProfiles": [], "IsTruncated": False}
        assert (await bench.refused("ListInstanceProfilesForRole", RoleName="none"))[0] == "NoSuchEntity"
        summary = (await bench.call("GetAccountSummary"))["SummaryMap"]
        assert (summary["Users"], summary["Roles"], summary["Policies"]) == (1, 2, 0)
        assert (await bench.call("ListAccountAliases"))["AccountAliases"] == []
        assert (await bench.call("ListGroupsForUser", UserName="administrator"))["Groups"] == []

    run(scenario)


def test_every_operation_needs_something() -> None:
    """Nothing in IAM is open to everyone."""
    service = iam_service(None, None)  # type: ignore[arg-type]
    call = Caller(service)
    model = botocore.session.get_session().get_service_model("iam")
    for name in service.operations:
        shape = model.operation_model(name).input_shape
        members = {} if shape is None else shape.members
        given = {member: _anything(members[member].type_name) for member in members}
        needed = call.requires(name, **given)
        assert needed
        assert needed[0][0] == f"iam:{name}"


def _anything(kind: str) -> Any:
    return {"list": [], "structure": {}, "map": {}, "integer": 1, "boolean": True}.get(kind, "x")


def test_the_names_of_the_operations_are_awss() -> None:
    model = botocore.session.get_session().get_service_model("iam")
    assert set(iam_service(None, None).operations) <= set(model.operation_names)  # type: ignore[arg-type]
