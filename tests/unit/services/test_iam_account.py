"""The account, its passwords and providers, service-linked roles, credentials for one service."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from cosset.identity.policy_document import parse_identity_policy
from cosset.services.iam.managed_policies import managed_policies
from cosset.services.iam.service import iam_service
from cosset.services.iam.tables import login_profiles, service_credentials
from support.caller import Caller
from support.iam_bench import POLICY, Bench, Run, run_with_iam

ADMIN = "arn:aws:iam::aws:policy/AdministratorAccess"
METADATA = (
    '<?xml version="1.0"?><md:EntityDescriptor entityID="https://idp.example" validUntil="2030-01-01T00:00:00Z">'
    "<md:IDPSSODescriptor/></md:EntityDescriptor>" + "<!-- -->" * 200
)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return run_with_iam(tmp_path)


def test_aliases(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.call("CreateAccountAlias", AccountAlias="fold")
        assert (await bench.refused("CreateAccountAlias", AccountAlias="fold"))[0] == "EntityAlreadyExists"
        await bench.call("CreateAccountAlias", AccountAlias="pasture")  # takes the place of the first
        assert (await bench.call("ListAccountAliases"))["AccountAliases"] == ["pasture"]
        assert (await bench.refused("DeleteAccountAlias", AccountAlias="fold"))[0] == "NoSuchEntity"
        await bench.call("DeleteAccountAlias", AccountAlias="pasture")
        assert (await bench.call("ListAccountAliases"))["AccountAliases"] == []

    run(scenario)


def test_what_there_is_in_all_pages(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.call("CreateGroup", GroupName="g")
        await bench.call("PutGroupPolicy", GroupName="g", PolicyName="p", PolicyDocument=POLICY)
        await bench.call("AddUserToGroup", GroupName="g", UserName="administrator")
        await bench.role(Tags=[{"Key": "k", "Value": "v"}])
        await bench.call("CreateInstanceProfile", InstanceProfileName="box")
        await bench.call("AddRoleToInstanceProfile", InstanceProfileName="box", RoleName="worker")
        arn = (await bench.call("CreatePolicy", PolicyName="own", PolicyDocument=POLICY))["Policy"]["Arn"]
        whole = await bench.call("GetAccountAuthorizationDetails")
        (user,), (group,) = whole["UserDetailList"], whole["GroupDetailList"]
        assert (user["GroupList"], user["UserPolicyList"]) == (["g"], [])
        assert user["AttachedManagedPolicies"] == [{"PolicyName": "AdministratorAccess", "PolicyArn": ADMIN}]
        assert [each["PolicyName"] for each in group["GroupPolicyList"]] == ["p"]
        worker = next(role for role in whole["RoleDetailList"] if role["RoleName"] == "worker")
        assert worker["InstanceProfileList"][0]["InstanceProfileName"] == "box"
        assert worker["Tags"] == [{"Key": "k", "Value": "v"}]
        # Its own, and of AWS's those in use.
        assert {policy["Arn"].rpartition("/")[2] for policy in whole["Policies"]} == {
            *("own", "AdministratorAccess", "AWSLambdaBasicExecutionRole"),
        }
        found: list[str] = []
        params: dict[str, Any] = {"MaxItems": 2}
        while True:
            shown = await bench.call("GetAccountAuthorizationDetails", **params)
            lists = [shown[name] for name in ("UserDetailList", "GroupDetailList", "RoleDetailList", "Policies")]
            assert sum(map(len, lists)) <= 2
            found += [each["Arn"] for some in lists for each in some]
            if not shown["IsTruncated"]:
                break
            params["Marker"] = shown["Marker"]
        assert len(found) == len(set(found)) == 7
        local = await bench.call("GetAccountAuthorizationDetails", Filter=["LocalManagedPolicy"])
        assert [policy["Arn"] for policy in local["Policies"]] == [arn]
        assert local["UserDetailList"] == []
        summary = (await bench.call("GetAccountSummary"))["SummaryMap"]
        assert (summary["Groups"], summary["InstanceProfiles"], summary["PolicyVersionsInUse"]) == (1, 1, 3)

    run(scenario)


def test_a_password_and_what_is_kept_of_it(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.call("CreateUser", UserName="ada")
        missing = ("NoSuchEntity", "Login Profile for User ada cannot be found.", 404)
        assert await bench.refused("GetLoginProfile", UserName="ada") == missing
        for weak in ("Sh0rt!", "alllowercase", "ada"):
            refusal = await bench.refused("CreateLoginProfile", UserName="ada", Password=weak)
            assert (refusal[0], refusal[2]) == ("PasswordPolicyViolation", 400)
            assert weak not in refusal[1]
        assert (await bench.refused("CreateLoginProfile", UserName="ada"))[0] == "ValidationError"
        made = await bench.call("CreateLoginProfile", UserName="ada", Password="Lovelace-1815")
        assert made["LoginProfile"].keys() == {"UserName", "CreateDate", "PasswordResetRequired"}
        taken = ("EntityAlreadyExists", "Login Profile for user ada already exists.", 409)
        assert await bench.refused("CreateLoginProfile", UserName="ada", Password="Lovelace-1815") == taken
        kept = await bench.iam.store.read(lambda tx: tx.execute(login_profiles.select()).one().password)
        assert kept.startswith("scrypt$")
        assert "Lovelace" not in kept
        in_use = ("DeleteConflict", "Cannot delete entity, must delete login profile first.", 409)
        assert await bench.refused("DeleteUser", UserName="ada") == in_use
        await bench.call("UpdateLoginProfile", UserName="ada", PasswordResetRequired=True)
        assert (await bench.call("GetLoginProfile", UserName="ada"))["LoginProfile"]["PasswordResetRequired"]
        await bench.call("DeleteLoginProfile", UserName="ada")
        await bench.call("DeleteUser", UserName="ada")

    run(scenario)


def test_changing_ones_own_password(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.call("CreateLoginProfile", Password="First-Password-1")
        change = {"OldPassword": "wrong", "NewPassword": "Second-Password-2"}
        assert (await bench.refused("ChangePassword", **change))[0] == "AccessDenied"
        await bench.call("UpdateAccountPasswordPolicy", PasswordReusePrevention=2, MinimumPasswordLength=12)
        await bench.call("ChangePassword", OldPassword="First-Password-1", NewPassword="Second-Password-2")
        for used in ("First-Password-1", "Second-Password-2"):
            refusal = await bench.refused("ChangePassword", OldPassword="Second-Password-2", NewPassword=used)
            assert refusal[0] == "PasswordPolicyViolation"
        await bench.call("ChangePassword", OldPassword="Second-Password-2", NewPassword="Third-Password-3")

    run(scenario)


def test_what_an_account_asks_of_passwords(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        sentence = f"The Password Policy with domain name {bench.account} cannot be found."
        assert await bench.refused("GetAccountPasswordPolicy") == ("NoSuchEntity", sentence, 404)
        await bench.call("UpdateAccountPasswordPolicy", RequireSymbols=True, MaxPasswordAge=90)
        assert (await bench.call("GetAccountPasswordPolicy"))["PasswordPolicy"] == {
            "MinimumPasswordLength": 6,
            "RequireSymbols": True,
            "RequireNumbers": False,
            "RequireUppercaseCharacters": False,
            "RequireLowercaseCharacters": False,
            "AllowUsersToChangePassword": False,
            "MaxPasswordAge": 90,
            "ExpirePasswords": True,
        }
        refusal = await bench.refused("CreateLoginProfile", Password="nosymbol")
        assert refusal[1].startswith("Password should have at least one of the following non-alphanumeric characters")
        await bench.call("DeleteAccountPasswordPolicy")
        assert (await bench.refused("DeleteAccountPasswordPolicy"))[0] == "NoSuchEntity"

    run(scenario)


def test_a_service_linked_role(run: Run) -> None:
    """Recorded: test_service_role_lifecycle, test_service_role_already_exists, test_service_role_deletion."""

    async def scenario(bench: Bench) -> None:
        name = "AWSServiceRoleForBatch"
        made = (await bench.call("CreateServiceLinkedRole", AWSServiceName="batch.amazonaws.com"))["Role"]
        assert made["Arn"] == f"arn:aws:iam::{bench.account}:role/aws-service-role/batch.amazonaws.com/{name}"
        assert await bench.refused("CreateServiceLinkedRole", AWSServiceName="batch.amazonaws.com") == (
            "InvalidInput",
            f"Service role name {name} has been taken in this account, please try a different suffix.",
            400,
        )
        policy = "arn:aws:iam::aws:policy/aws-service-role/BatchServiceRolePolicy"
        attached = await bench.call("ListAttachedRolePolicies", RoleName=name)
        assert attached["AttachedPolicies"] == [{"PolicyArn": policy, "PolicyName": "BatchServiceRolePolicy"}]
        protected = (
            "UnmodifiableEntity",
            f"Cannot perform the operation on the protected role '{name}' - this role is only modifiable by AWS",
            400,
        )
        assert await bench.refused("DeleteRole", RoleName=name) == protected
        assert await bench.refused("AttachRolePolicy", RoleName=name, PolicyArn=ADMIN) == protected
        assert await bench.refused("PutRolePolicy", RoleName=name, PolicyName="p", PolicyDocument=POLICY) == protected
        assert await bench.refused("UpdateRole", RoleName=name, Description="mine") == protected
        task = (await bench.call("DeleteServiceLinkedRole", RoleName=name))["DeletionTaskId"]
        assert task.startswith(f"task/aws-service-role/batch.amazonaws.com/{name}/")
        status = await bench.call("GetServiceLinkedRoleDeletionStatus", DeletionTaskId=task)
        assert status == {"Status": "SUCCEEDED"}
        assert (await bench.refused("GetServiceLinkedRoleDeletionStatus", DeletionTaskId=f"{task}0"))[0] == (
            "NoSuchEntity"
        )
        assert (await bench.refused("GetRole", RoleName=name))[0] == "NoSuchEntity"
        # Nothing is left of it for a successor.
        await bench.call("CreateServiceLinkedRole", AWSServiceName="batch.amazonaws.com")

    run(scenario)


def test_suffixes_of_service_linked_roles(run: Run) -> None:
    """Recorded: test_service_role_lifecycle_custom_suffix_not_allowed."""

    async def scenario(bench: Bench) -> None:
        params = {"AWSServiceName": "acm.amazonaws.com", "CustomSuffix": "mine"}
        assert await bench.refused("CreateServiceLinkedRole", **params) == (
            "InvalidInput",
            "Custom suffix is not allowed for acm.amazonaws.com",
            400,
        )
        params["AWSServiceName"] = "autoscaling.amazonaws.com"
        made = (await bench.call("CreateServiceLinkedRole", **params))["Role"]
        assert made["RoleName"] == "AWSServiceRoleForAutoScaling_mine"
        assert (await bench.refused("CreateServiceLinkedRole", AWSServiceName="x.amazonaws.com"))[0] == "InvalidInput"
        # Nobody makes one by another way, or deletes another role by this one.
        await bench.role()
        assert (await bench.refused("DeleteServiceLinkedRole", RoleName="worker"))[0] == "NoSuchEntity"

    run(scenario)


def test_credentials_for_one_service(run: Run) -> None:
    """Recorded: TestIAMServiceSpecificCredentials."""

    async def scenario(bench: Bench) -> None:
        unknown = {"UserName": "non-existent-user", "ServiceName": "nonexistentservice.amazonaws.com"}
        assert (await bench.refused("CreateServiceSpecificCredential", **unknown))[1] == (
            "The user with name non-existent-user cannot be found."
        )
        await bench.call("CreateUser", UserName="ada")
        for operation in ("CreateServiceSpecificCredential", "ListServiceSpecificCredentials"):
            assert await bench.refused(operation, UserName="ada", ServiceName="lambda.amazonaws.com") == (
                "NoSuchEntity",
                "No such service lambda.amazonaws.com is supported for Service Specific Credentials",
                404,
            )
        commit = {"UserName": "ada", "ServiceName": "codecommit.amazonaws.com"}
        made = (await bench.call("CreateServiceSpecificCredential", **commit))["ServiceSpecificCredential"]
        assert made["ServiceUserName"] == f"ada-at-{bench.account}"
        mine = {"UserName": "ada", "ServiceSpecificCredentialId": made["ServiceSpecificCredentialId"]}
        kept = await bench.iam.store.read(lambda tx: tx.execute(service_credentials.select()).one().password)
        assert made["ServicePassword"] not in kept
        await bench.call("UpdateServiceSpecificCredential", **mine, Status="Inactive")
        reset = (await bench.call("ResetServiceSpecificCredential", **mine))["ServiceSpecificCredential"]
        assert reset["Status"] == "Inactive"
        assert reset["ServicePassword"] != made["ServicePassword"]
        listed = await bench.call("ListServiceSpecificCredentials", **commit)
        del made["ServicePassword"]
        assert listed == {"ServiceSpecificCredentials": [made | {"Status": "Inactive"}]}
        other = await bench.call(
            "ListServiceSpecificCredentials", UserName="ada", ServiceName="cassandra.amazonaws.com"
        )
        assert other["ServiceSpecificCredentials"] == []
        assert await bench.refused("DeleteUser", UserName="ada") == (
            "DeleteConflict",
            "Cannot delete entity, must remove referenced objects first.",
            409,
        )
        wrong = mine | {"ServiceSpecificCredentialId": "satisfiesregexbutstillinvalid"}
        for operation in ("DeleteServiceSpecificCredential", "ResetServiceSpecificCredential"):
            assert await bench.refused(operation, **wrong) == (
                "NoSuchEntity",
                "No such credential satisfiesregexbutstillinvalid exists",
                404,
            )
        await bench.call("DeleteServiceSpecificCredential", **mine)
        await bench.call("DeleteUser", UserName="ada")

    run(scenario)


def test_oidc_providers(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        made = await bench.call(
            "CreateOpenIDConnectProvider",
            Url="https://token.example.com/",
            ClientIDList=["one"],
            ThumbprintList=["A" * 40],
            Tags=[{"Key": "k", "Value": "v"}],
        )
        arn = made["OpenIDConnectProviderArn"]
        assert arn == f"arn:aws:iam::{bench.account}:oidc-provider/token.example.com"
        mine = {"OpenIDConnectProviderArn": arn}
        refusal = await bench.refused("CreateOpenIDConnectProvider", Url="https://token.example.com")
        assert refusal[0] == "EntityAlreadyExists"
        for bad in ("http://x.example", "https://", "https://x.example?q=1", "https://[x", "https://u@x.example"):
            assert (await bench.refused("CreateOpenIDConnectProvider", Url=bad))[0] == "ValidationError"
        await bench.call("AddClientIDToOpenIDConnectProvider", **mine, ClientID="two")
        await bench.call("AddClientIDToOpenIDConnectProvider", **mine, ClientID="two")
        await bench.call("RemoveClientIDFromOpenIDConnectProvider", **mine, ClientID="one")
        await bench.call("UpdateOpenIDConnectProviderThumbprint", **mine, ThumbprintList=["B" * 40])
        shown = await bench.call("GetOpenIDConnectProvider", **mine)
        assert (shown["ClientIDList"], shown["ThumbprintList"]) == (["two"], ["b" * 40])
        assert shown["Url"] == "token.example.com"
        await bench.call("TagOpenIDConnectProvider", **mine, Tags=[{"Key": "k2", "Value": "v2"}])
        await bench.call("UntagOpenIDConnectProvider", **mine, TagKeys=["k"])
        tags = await bench.call("ListOpenIDConnectProviderTags", **mine)
        assert tags["Tags"] == [{"Key": "k2", "Value": "v2"}]
        assert (await bench.call("ListOpenIDConnectProviders"))["OpenIDConnectProviderList"] == [{"Arn": arn}]
        await bench.call("DeleteOpenIDConnectProvider", **mine)
        sentence = f"OpenIDConnect Provider not found for arn {arn}"
        assert await bench.refused("GetOpenIDConnectProvider", **mine) == ("NoSuchEntity", sentence, 404)

    run(scenario)


def test_saml_providers(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        made = await bench.call("CreateSAMLProvider", Name="idp", SAMLMetadataDocument=METADATA)
        arn = made["SAMLProviderArn"]
        assert arn == f"arn:aws:iam::{bench.account}:saml-provider/idp"
        shown = await bench.call("GetSAMLProvider", SAMLProviderArn=arn)
        assert (shown["SAMLMetadataDocument"], shown["ValidUntil"]) == (METADATA, 1_893_456_000)
        assert (await bench.refused("CreateSAMLProvider", Name="x", SAMLMetadataDocument="<x/>"))[0] == "InvalidInput"
        refusal = await bench.refused("UpdateSAMLProvider", SAMLProviderArn=arn, AddPrivateKey="key")
        assert refusal[0] == "NotImplementedException"
        await bench.call("TagSAMLProvider", SAMLProviderArn=arn, Tags=[{"Key": "k", "Value": "v"}])
        assert (await bench.call("ListSAMLProviderTags", SAMLProviderArn=arn))["Tags"]
        assert len((await bench.call("ListSAMLProviders"))["SAMLProviderList"]) == 1
        await bench.call("DeleteSAMLProvider", SAMLProviderArn=arn)
        assert (await bench.refused("DeleteSAMLProvider", SAMLProviderArn=arn))[1] == (
            f"Manifest not found for arn {arn}"
        )

    run(scenario)


def test_the_last_use_of_a_key_is_not_made_up(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        key = bench.iam.administrator.access_key_id
        assert await bench.call("GetAccessKeyLastUsed", AccessKeyId=key) == {
            "UserName": "administrator",
            "AccessKeyLastUsed": {"ServiceName": "N/A", "Region": "N/A"},
        }
        known = await bench.iam.directory.find_key(key, None)
        assert known is not None
        # To another account there is no such key.
        elsewhere = dataclasses.replace(known.principal, account="222222222222")
        bench.call = Caller(iam_service(bench.iam.store, bench.iam.clock), elsewhere)
        assert (await bench.refused("GetAccessKeyLastUsed", AccessKeyId=key))[0] == "NoSuchEntity"

    run(scenario)


def test_awss_policies_can_be_read_and_attached() -> None:
    known = managed_policies()
    for name in (
        *("AdministratorAccess", "PowerUserAccess", "AmazonS3FullAccess", "AmazonDynamoDBFullAccess"),
        *("AmazonSQSFullAccess", "AmazonSNSFullAccess", "AmazonKinesisFullAccess", "CloudWatchLogsFullAccess"),
        *("service-role/AWSLambdaBasicExecutionRole", "service-role/AWSLambdaSQSQueueExecutionRole"),
    ):
        assert f"arn:aws:iam::aws:policy/{name}" in known
    for policy in known.values():
        assert parse_identity_policy(policy.document).statements
        assert policy.created_ms <= policy.updated_ms
    assert len({policy.policy_id for policy in known.values()}) == len(known)
