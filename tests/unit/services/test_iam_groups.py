"""Groups, their members and policies; instance profiles; renaming."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cosset.services.iam.held_policies import IamResources
from support.iam_bench import POLICY, TRUST, Bench, Run, run_with_iam

S3 = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
ADMIN = "arn:aws:iam::aws:policy/AdministratorAccess"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return run_with_iam(tmp_path)


def test_a_group_from_making_to_deleting(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        made = (await bench.call("CreateGroup", GroupName="Team", Path="/a/"))["Group"]
        assert made["Arn"] == f"arn:aws:iam::{bench.account}:group/a/Team"
        assert made["GroupId"].startswith("AGPA")
        assert made.keys() == {"Path", "GroupName", "GroupId", "Arn", "CreateDate"}
        taken = ("EntityAlreadyExists", "Group with name TEAM already exists.", 409)
        assert await bench.refused("CreateGroup", GroupName="TEAM") == taken
        assert await bench.refused("GetGroup", GroupName="team") == (
            "NoSuchEntity",
            "The group with name team cannot be found.",
            404,
        )
        await bench.call("CreateUser", UserName="ada")
        for _ in range(2):  # twice is once
            await bench.call("AddUserToGroup", GroupName="Team", UserName="ada")
        shown = await bench.call("GetGroup", GroupName="Team")
        assert [user["UserName"] for user in shown["Users"]] == ["ada"]
        assert shown["Group"] == made
        assert (await bench.call("ListGroupsForUser", UserName="ada"))["Groups"] == [made]
        in_use = ("DeleteConflict", "Cannot delete entity, must remove users from group first.", 409)
        assert await bench.refused("DeleteGroup", GroupName="Team") == in_use
        assert await bench.refused("DeleteUser", UserName="ada") == in_use
        await bench.call("RemoveUserFromGroup", GroupName="Team", UserName="ada")
        assert (await bench.refused("RemoveUserFromGroup", GroupName="Team", UserName="ada"))[0] == "NoSuchEntity"
        await bench.call("DeleteUser", UserName="ada")
        await bench.call("DeleteGroup", GroupName="Team")
        assert (await bench.call("ListGroups"))["Groups"] == []

    run(scenario)


def test_what_a_group_carries(run: Run) -> None:
    """Recorded for roles: test_role_attach_policy; a group answers the same."""

    async def scenario(bench: Bench) -> None:
        await bench.call("CreateGroup", GroupName="g")
        await bench.call("AttachGroupPolicy", GroupName="g", PolicyArn=ADMIN)
        await bench.call("PutGroupPolicy", GroupName="g", PolicyName="own", PolicyDocument=POLICY)
        attached = await bench.call("ListAttachedGroupPolicies", GroupName="g")
        assert attached["AttachedPolicies"] == [{"PolicyName": "AdministratorAccess", "PolicyArn": ADMIN}]
        assert (await bench.call("ListGroupPolicies", GroupName="g"))["PolicyNames"] == ["own"]
        shown = await bench.call("GetGroupPolicy", GroupName="g", PolicyName="own")
        assert shown["GroupName"] == "g"
        assert await bench.refused("GetGroupPolicy", GroupName="g", PolicyName="none") == (
            "NoSuchEntity",
            "The group policy with name none cannot be found.",
            404,
        )
        entities = await bench.call("ListEntitiesForPolicy", PolicyArn=ADMIN)
        assert [group["GroupName"] for group in entities["PolicyGroups"]] == ["g"]
        assert [user["UserName"] for user in entities["PolicyUsers"]] == ["administrator"]
        only = await bench.call("ListEntitiesForPolicy", PolicyArn=ADMIN, EntityFilter="Group")
        assert (only["PolicyUsers"], len(only["PolicyGroups"])) == ([], 1)
        none = await bench.call("ListEntitiesForPolicy", PolicyArn=ADMIN, PolicyUsageFilter="PermissionsBoundary")
        assert (none["PolicyUsers"], none["PolicyGroups"]) == ([], [])
        assert (await bench.refused("DeleteGroup", GroupName="g"))[0] == "DeleteConflict"
        await bench.call("DetachGroupPolicy", GroupName="g", PolicyArn=ADMIN)
        assert (await bench.refused("DeleteGroup", GroupName="g"))[1] == (
            "Cannot delete entity, must delete policies first."
        )
        await bench.call("DeleteGroupPolicy", GroupName="g", PolicyName="own")
        await bench.call("DeleteGroup", GroupName="g")

    run(scenario)


def test_entities_come_in_pages(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.call("CreateGroup", GroupName="g")
        await bench.call("AttachGroupPolicy", GroupName="g", PolicyArn=ADMIN)
        await bench.role("r")
        await bench.call("AttachRolePolicy", RoleName="r", PolicyArn=ADMIN)
        found, marker = [], {}
        while True:
            shown = await bench.call("ListEntitiesForPolicy", PolicyArn=ADMIN, MaxItems=1, **marker)
            found += [*shown["PolicyGroups"], *shown["PolicyRoles"], *shown["PolicyUsers"]]
            if not shown["IsTruncated"]:
                break
            marker = {"Marker": shown["Marker"]}
        assert [next(iter(each.values())) for each in found] == ["g", "r", "administrator"]

    run(scenario)


def test_renaming_brings_everything_along(run: Run) -> None:
    """Recorded: test_update_without_replacement."""

    async def scenario(bench: Bench) -> None:
        await bench.call("CreateUser", UserName="ada")
        before = (await bench.call("GetUser", UserName="ada"))["User"]
        await bench.call("CreateGroup", GroupName="g")
        await bench.call("AddUserToGroup", GroupName="g", UserName="ada")
        await bench.call("AttachUserPolicy", UserName="ada", PolicyArn=ADMIN)
        await bench.call("PutGroupPolicy", GroupName="g", PolicyName="p", PolicyDocument=POLICY)
        key = (await bench.call("CreateAccessKey", UserName="ada"))["AccessKey"]
        assert (await bench.refused("UpdateUser", UserName="ada", NewUserName="Administrator"))[0] == (
            "EntityAlreadyExists"
        )
        await bench.call("UpdateUser", UserName="ada", NewUserName="Countess", NewPath="/peers/")
        await bench.call("UpdateGroup", GroupName="g", NewGroupName="G")  # only its case
        await bench.call("UpdateGroup", GroupName="G", NewGroupName="h")
        after = (await bench.call("GetUser", UserName="Countess"))["User"]
        assert after["UserId"] == before["UserId"]
        assert after["Arn"] == f"arn:aws:iam::{bench.account}:user/peers/Countess"
        assert (await bench.call("ListAttachedUserPolicies", UserName="Countess"))["AttachedPolicies"]
        assert (await bench.call("ListGroupPolicies", GroupName="h"))["PolicyNames"] == ["p"]
        members = (await bench.call("GetGroup", GroupName="h"))["Users"]
        assert [user["UserName"] for user in members] == ["Countess"]
        known = await bench.iam.directory.find_key(key["AccessKeyId"], None)
        assert known is not None
        assert known.principal.arn == after["Arn"]
        needed = bench.call.requires("UpdateUser", UserName="a", NewUserName="b")
        assert [resource.rpartition(":")[2] for _, resource in needed] == ["user/a", "user/b"]

    run(scenario)


def test_instance_profiles(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        tags = [{"Key": "k", "Value": "v"}]
        name = {"InstanceProfileName": "Box"}
        made = (await bench.call("CreateInstanceProfile", **name, Path="/p/", Tags=tags))["InstanceProfile"]
        assert (made["Roles"], made["Tags"]) == ([], tags)
        assert made["Arn"] == f"arn:aws:iam::{bench.account}:instance-profile/p/Box"
        taken = ("EntityAlreadyExists", "Instance Profile box already exists.", 409)
        assert await bench.refused("CreateInstanceProfile", InstanceProfileName="box") == taken
        assert await bench.refused("GetInstanceProfile", InstanceProfileName="none") == (
            "NoSuchEntity",
            "Instance Profile none cannot be found.",
            404,
        )
        await bench.role()
        await bench.call("AddRoleToInstanceProfile", **name, RoleName="worker")
        assert await bench.refused("AddRoleToInstanceProfile", **name, RoleName="worker") == (
            "LimitExceeded",
            "Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1",
            409,
        )
        assert bench.call.requires("AddRoleToInstanceProfile", **name, RoleName="worker")[1] == (
            "iam:PassRole",
            f"arn:aws:iam::{bench.account}:role/worker",
        )
        shown = (await bench.call("GetInstanceProfile", **name))["InstanceProfile"]
        assert [role["RoleName"] for role in shown["Roles"]] == ["worker"]
        listed = await bench.call("ListInstanceProfilesForRole", RoleName="worker")
        assert [each["InstanceProfileName"] for each in listed["InstanceProfiles"]] == ["Box"]
        in_use = ("DeleteConflict", "Cannot delete entity, must remove roles from instance profile first.", 409)
        assert await bench.refused("DeleteRole", RoleName="worker") == in_use
        assert await bench.refused("DeleteInstanceProfile", **name) == in_use
        assert (await bench.refused("RemoveRoleFromInstanceProfile", **name, RoleName="other"))[0] == "NoSuchEntity"
        await bench.call("RemoveRoleFromInstanceProfile", **name, RoleName="worker")
        await bench.call("TagInstanceProfile", **name, Tags=[{"Key": "K", "Value": "w"}])
        assert (await bench.call("ListInstanceProfileTags", **name))["Tags"] == [{"Key": "K", "Value": "w"}]
        await bench.call("UntagInstanceProfile", **name, TagKeys=["k"])
        assert (await bench.call("ListInstanceProfileTags", **name))["Tags"] == []
        await bench.call("DeleteInstanceProfile", **name)
        assert (await bench.call("ListInstanceProfiles"))["InstanceProfiles"] == []

    run(scenario)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    names=st.sets(st.from_regex(r"[a-z0-9+=,.@_-]{1,12}", fullmatch=True), min_size=1, max_size=12),
    size=st.integers(1, 5),
    gone=st.integers(0, 11),
)
def test_pages_miss_and_repeat_nothing(
    tmp_path_factory: pytest.TempPathFactory, names: set[str], size: int, gone: int
) -> None:
    """However many to a page, and whatever goes between two pages."""

    async def scenario(bench: Bench) -> None:
        for name in sorted(names):
            await bench.call("CreateGroup", GroupName=name)
        victim = sorted(names)[gone % len(names)]
        found, params, is_gone = [], {"MaxItems": size}, False
        while True:
            shown = await bench.call("ListGroups", **params)
            assert len(shown["Groups"]) <= size
            found += [group["GroupName"] for group in shown["Groups"]]
            if victim not in found and not is_gone:
                await bench.call("DeleteGroup", GroupName=victim)
                is_gone = True
            if not shown["IsTruncated"]:
                break
            params["Marker"] = shown["Marker"]
        assert found == sorted(set(found))
        assert names - {victim} <= set(found) <= names

    run_with_iam(tmp_path_factory.mktemp("iam"))(scenario)


def test_the_boundary_and_the_policy_are_said_to_the_evaluator() -> None:
    from cosset.services.iam.service import iam_service
    from support.caller import Caller

    service = iam_service(None, None)  # type: ignore[arg-type]
    ctx = Caller(service).context("CreateRole")
    params = {
        "RoleName": "r",
        "AssumeRolePolicyDocument": TRUST,
        "PermissionsBoundary": S3,
        "Tags": [{"Key": "team", "Value": "blue"}],
    }
    needed = service.operations["CreateRole"].requirements(ctx, params)[0]
    assert needed.context == {
        "iam:PermissionsBoundary": S3,
        "aws:TagKeys": ("team",),
        "aws:RequestTag/team": "blue",
    }
    needed = service.operations["AttachGroupPolicy"].requirements(ctx, {"GroupName": "g", "PolicyArn": S3})[0]
    assert needed.context == {"iam:PolicyARN": S3}


def test_a_path_is_known_though_the_call_does_not_say_it(run: Run) -> None:
    """Or a Deny on a path would be got around by leaving it out."""

    async def scenario(bench: Bench) -> None:
        await bench.call("CreateGroup", GroupName="g", Path="/admin/")
        await bench.call("CreateInstanceProfile", InstanceProfileName="box", Path="/admin/")
        resources = IamResources(bench.iam.store)
        for short, whole in (("group/g", "group/admin/g"), ("instance-profile/box", "instance-profile/admin/box")):
            facts = await resources.facts_of("iam:Any", f"arn:aws:iam::{bench.account}:{short}")
            assert facts is not None
            assert facts.arn == f"arn:aws:iam::{bench.account}:{whole}"
        for unknown in ("group/none", "mfa/x"):
            assert await resources.facts_of("iam:Any", f"arn:aws:iam::{bench.account}:{unknown}") is None

    run(scenario)
