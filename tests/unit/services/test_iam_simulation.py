"""Simulations of policies. Shapes: recorded (iam test_simulate_principle_policy) and the examples of the AWS CLI."""

import json
from pathlib import Path
from typing import Any

import pytest

from support.iam_bench import POLICY, Bench, Run, run_with_iam

BUCKET = "arn:aws:s3:::bucket"
FROM_A_DATE = (
    '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"dynamodb:*","Resource":"*",'
    '"Condition":{"DateGreaterThan":{"aws:CurrentTime":"2018-08-16T12:00:00Z"}}}}'
)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return run_with_iam(tmp_path)


def statement(effect: str = "Allow", action: str = "s3:*", resource: str = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": effect, "Action": action, "Resource": resource, **more}


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def at(date: str) -> list[dict[str, Any]]:
    return [{"ContextKeyName": "aws:CurrentTime", "ContextKeyValues": [date], "ContextKeyType": "date"}]


async def custom(bench: Bench, *policies: str, actions: tuple[str, ...] = ("s3:GetObject",), **more: Any) -> Any:
    answer = await bench.call("SimulateCustomPolicy", PolicyInputList=list(policies), ActionNames=list(actions), **more)
    return answer["EvaluationResults"]


@pytest.mark.parametrize("kind", ["User", "Group", "Role"])
def test_the_policies_that_somebody_carries(run: Run, kind: str) -> None:
    async def scenario(bench: Bench) -> None:
        text = policy(statement(action="s3:PutObject", resource=BUCKET))
        if kind == "Role":
            await bench.role("name")
        else:
            await bench.call(f"Create{kind}", **{f"{kind}Name": "name"})
        arn = (await bench.call("CreatePolicy", PolicyName="own", PolicyDocument=text))["Policy"]["Arn"]
        await bench.call(f"Attach{kind}Policy", **{f"{kind}Name": "name"}, PolicyArn=arn)
        answer = await bench.call(
            "SimulatePrincipalPolicy",
            PolicySourceArn=f"arn:aws:iam::{bench.account}:{kind.lower()}/name",
            ActionNames=["s3:PutObject", "s3:GetObjectVersion"],
            ResourceArns=[BUCKET],
        )
        begin = text.index("[") + 1
        matched = {
            "SourcePolicyId": "own",
            "SourcePolicyType": "IAM Policy",
            "StartPosition": {"Line": 1, "Column": begin + 1},
            "EndPosition": {"Line": 1, "Column": text.index("}") + 2},
        }
        wanted = [("s3:PutObject", "allowed", [matched]), ("s3:GetObjectVersion", "implicitDeny", [])]
        assert answer == {
            "IsTruncated": False,
            "EvaluationResults": [
                {
                    "EvalActionName": action,
                    "EvalResourceName": BUCKET,
                    "EvalDecision": decision,
                    "EvalDecisionDetails": {},
                    "MatchedStatements": statements,
                    "MissingContextValues": [],
                    "OrganizationsDecisionDetail": {"AllowedByOrganizations": True},
                    "ResourceSpecificResults": [
                        {
                            "EvalResourceName": BUCKET,
                            "EvalResourceDecision": decision,
                            "MatchedStatements": statements,
                            "MissingContextValues": [],
                        }
                    ],
                }
                for action, decision, statements in wanted
            ],
        }

    run(scenario)


def test_a_policy_of_the_call_on_everything(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        (late,) = await custom(
            bench, FROM_A_DATE, actions=("dynamodb:CreateBackup",), ContextEntries=at("2019-04-25T11:00:00Z")
        )
        assert late == {
            "EvalActionName": "dynamodb:CreateBackup",
            "EvalResourceName": "*",
            "EvalDecision": "allowed",
            "MatchedStatements": [
                {
                    "SourcePolicyId": "PolicyInputList.1",
                    "SourcePolicyType": "IAM Policy",
                    "StartPosition": {"Line": 1, "Column": 38},
                    "EndPosition": {"Line": 1, "Column": 167},
                }
            ],
            "MissingContextValues": [],
        }
        (early,) = await custom(
            bench, FROM_A_DATE, actions=("dynamodb:CreateBackup",), ContextEntries=at("2014-04-25T11:00:00Z")
        )
        assert (early["EvalDecision"], early["MatchedStatements"]) == ("implicitDeny", [])
        (untold,) = await custom(bench, FROM_A_DATE, actions=("dynamodb:CreateBackup",))
        assert (untold["EvalDecision"], untold["MissingContextValues"]) == ("implicitDeny", ["aws:CurrentTime"])
        # Nothing is missing for an action that the statement is not about.
        (other,) = await custom(bench, FROM_A_DATE)
        assert other["MissingContextValues"] == []

    run(scenario)


def test_the_most_restrictive_of_several_resources(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        text = json.dumps(
            json.loads(policy(statement(), statement("Deny", resource=f"{BUCKET}/secret", Sid="Keep"))), indent=2
        )
        (result,) = await custom(bench, text, ResourceArns=[f"{BUCKET}/open", f"{BUCKET}/secret"])
        assert result["EvalDecision"] == "explicitDeny"
        each = {one["EvalResourceName"]: one for one in result["ResourceSpecificResults"]}
        assert each[f"{BUCKET}/open"]["EvalResourceDecision"] == "allowed"
        (denied,) = each[f"{BUCKET}/secret"]["MatchedStatements"]
        # The Deny alone; it begins where the statement before it ends.
        assert denied["StartPosition"] == {"Line": 8, "Column": 6}
        assert denied["EndPosition"] == {"Line": 14, "Column": 6}
        assert result["MatchedStatements"] == [denied]

    run(scenario)


def test_within_a_boundary(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        own = (await bench.call("CreatePolicy", PolicyName="edge", PolicyDocument=POLICY))["Policy"]["Arn"]
        await bench.call("CreateUser", UserName="u", PermissionsBoundary=own)
        await bench.call("PutUserPolicy", UserName="u", PolicyName="all", PolicyDocument=policy(statement()))
        source = {"PolicySourceArn": f"arn:aws:iam::{bench.account}:user/u"}
        answer = await bench.call("SimulatePrincipalPolicy", **source, ActionNames=["s3:GetObject", "s3:PutObject"])
        got, put = answer["EvaluationResults"]
        assert got["PermissionsBoundaryDecisionDetail"] == {"AllowedByPermissionsBoundary": True}
        assert [each["SourcePolicyId"] for each in got["MatchedStatements"]] == ["user_u_all"]
        assert put["PermissionsBoundaryDecisionDetail"] == {"AllowedByPermissionsBoundary": False}
        assert (got["EvalDecision"], put["EvalDecision"]) == ("allowed", "implicitDeny")
        # A boundary of the call takes its place; one that is left out is none.
        for more in (
            {"PermissionsBoundaryPolicyInputList": [policy(statement())]},
            {"PolicyExclusionList": [{"PolicyType": "permission-boundary"}]},
        ):
            answer = await bench.call("SimulatePrincipalPolicy", **source, ActionNames=["s3:PutObject"], **more)
            assert answer["EvaluationResults"][0]["EvalDecision"] == "allowed"
        inline = {"PolicyName": "all", "AttachmentType": "user", "AttachmentName": "u"}
        answer = await bench.call(
            "SimulatePrincipalPolicy",
            **source,
            ActionNames=["s3:GetObject"],
            PolicyExclusionList=[{"InlinePolicyIdentifier": inline}],
        )
        assert answer["EvaluationResults"][0]["EvalDecision"] == "implicitDeny"

    run(scenario)


def test_groups_count_and_the_caller_is_known(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.call("CreateUser", UserName="u", Tags=[{"Key": "team", "Value": "red"}])
        await bench.call("CreateGroup", GroupName="g")
        await bench.call("AddUserToGroup", GroupName="g", UserName="u")
        text = policy(
            statement(
                resource="arn:aws:s3:::${aws:username}/*",
                Condition={"StringEquals": {"aws:PrincipalTag/team": "red"}, "Bool": {"aws:SecureTransport": "true"}},
            )
        )
        await bench.call("PutGroupPolicy", GroupName="g", PolicyName="p", PolicyDocument=text)
        source = {"PolicySourceArn": f"arn:aws:iam::{bench.account}:user/u"}
        asked = {**source, "ActionNames": ["s3:GetObject"], "ResourceArns": ["arn:aws:s3:::u/x"]}
        told = [{"ContextKeyName": "aws:SecureTransport", "ContextKeyValues": ["true"], "ContextKeyType": "boolean"}]
        (without,) = (await bench.call("SimulatePrincipalPolicy", **asked))["EvaluationResults"]
        assert without["MissingContextValues"] == ["aws:SecureTransport"]
        (result,) = (await bench.call("SimulatePrincipalPolicy", **asked, ContextEntries=told))["EvaluationResults"]
        assert result["EvalDecision"] == "allowed"
        assert result["MatchedStatements"][0]["SourcePolicyId"] == "group_g_p"
        keys = await bench.call("GetContextKeysForPrincipalPolicy", **source, PolicyInputList=[FROM_A_DATE])
        named = ["aws:username", "aws:PrincipalTag/team", "aws:SecureTransport", "aws:CurrentTime"]
        assert sorted(keys["ContextKeyNames"]) == sorted(named)
        keys = await bench.call("GetContextKeysForCustomPolicy", PolicyInputList=[FROM_A_DATE, POLICY])
        assert keys == {"ContextKeyNames": ["aws:CurrentTime"]}

    run(scenario)


def test_resource_policies_within_and_between_accounts(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        caller = "arn:aws:iam::111111111111:user/them"
        there = json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [statement(resource=BUCKET, Principal={"AWS": caller}, Sid="Them")],
            }
        )
        asked: dict[str, Any] = {"CallerArn": caller, "ResourcePolicy": there, "ResourceArns": [BUCKET]}
        other = policy(statement(action="ec2:*"))
        (home,) = await custom(bench, other, **asked)
        assert home["EvalDecision"] == "allowed"
        assert home["MatchedStatements"][0]["SourcePolicyType"] == "Resource Policy"
        away = {**asked, "ResourceOwner": f"arn:aws:iam::{bench.account}:root"}
        (refused,) = await custom(bench, other, **away)
        assert refused["EvalDecision"] == "implicitDeny"
        assert refused["EvalDecisionDetails"] == {"IAM Policy": "implicitDeny", "Resource Policy": "allowed"}
        (allowed,) = await custom(bench, POLICY, **away)
        assert allowed["EvalDecision"] == "allowed"

    run(scenario)


def test_pages(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        actions = [f"s3:Action{number}" for number in (3, 1, 2)]
        asked = {"PolicyInputList": [POLICY], "ActionNames": actions, "MaxItems": 2}
        first = await bench.call("SimulateCustomPolicy", **asked)
        rest = await bench.call("SimulateCustomPolicy", **asked, Marker=first["Marker"])
        assert [first["IsTruncated"], rest["IsTruncated"]] == [True, False]
        both = first["EvaluationResults"] + rest["EvaluationResults"]
        assert [each["EvalActionName"] for each in both] == actions

    run(scenario)


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"PolicyInputList": ["{"]}, "InvalidInput"),
        ({"ActionNames": ["GetObject"]}, "InvalidInput"),
        ({"ActionNames": ["s3:*"]}, "InvalidInput"),
        ({"ResourcePolicy": POLICY}, "InvalidInput"),
        ({"CallerArn": "arn:aws:sts::111111111111:assumed-role/r/s"}, "InvalidInput"),
        ({"ResourceOwner": "me"}, "InvalidInput"),
        ({"PermissionsBoundaryPolicyInputList": [POLICY, POLICY]}, "InvalidInput"),
        ({"OrderedOrganizationPolicyInputList": [{"ServiceControlPolicyInputList": [POLICY]}]}, "InvalidInput"),
        (
            {
                "ContextEntries": [
                    {"ContextKeyName": "a:key", "ContextKeyValues": ["1", "2"], "ContextKeyType": "string"}
                ]
            },
            "InvalidInput",
        ),
    ],
)
def test_what_cannot_be_simulated(run: Run, params: dict[str, Any], code: str) -> None:
    async def scenario(bench: Bench) -> None:
        asked = {"PolicyInputList": [POLICY], "ActionNames": ["s3:GetObject"], **params}
        assert (await bench.refused("SimulateCustomPolicy", **asked))[0] == code

    run(scenario)


def test_nobody_to_simulate(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        for arn, code in (
            (f"arn:aws:iam::{bench.account}:user/nobody", "NoSuchEntity"),
            (f"arn:aws:iam::{bench.account}:user/other/administrator", "NoSuchEntity"),
            ("arn:aws:iam::111111111111:user/administrator", "NoSuchEntity"),
            (f"arn:aws:iam::{bench.account}:policy/p", "InvalidInput"),
        ):
            for operation, more in (
                ("SimulatePrincipalPolicy", {"ActionNames": ["s3:GetObject"]}),
                ("GetContextKeysForPrincipalPolicy", {}),
            ):
                assert (await bench.refused(operation, PolicySourceArn=arn, **more))[0] == code

    run(scenario)
