"""When keys, users and roles were last used; the credential report and the last-accessed details made of that."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from cosset.identity.principal import Principal, PrincipalKind
from cosset.services.iam.uses import UseLog, find_entity_uses, find_key_use
from support.iam_bench import Bench, Run, run_with_iam

LAMBDA_READ = "arn:aws:iam::aws:policy/AWSLambda_ReadOnlyAccess"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return run_with_iam(tmp_path)


async def administrator(bench: Bench) -> Principal:
    known = await bench.iam.directory.find_key(bench.iam.administrator.access_key_id, None)
    assert known is not None
    return known.principal


def session_of(role: dict[str, Any], account: str) -> Principal:
    arn = f"arn:aws:sts::{account}:assumed-role/{role['RoleName']}/s"
    return Principal(PrincipalKind.ROLE, account, arn, f"{role['RoleId']}:s", role["Arn"], is_temporary=True)


def test_the_last_use_of_a_key_and_of_a_role(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        clock, key_id = bench.iam.clock, bench.iam.administrator.access_key_id
        uses = UseLog(bench.iam.store, clock)
        never = {"ServiceName": "N/A", "Region": "N/A"}
        assert (await bench.call("GetAccessKeyLastUsed", AccessKeyId=key_id))["AccessKeyLastUsed"] == never
        role = await bench.role()
        for service, region in (("lambda", "us-east-1"), ("sqs", "eu-west-1")):
            clock.advance(10)
            uses.used(key_id, await administrator(bench), service, region, clock.now_ms())
            uses.used(f"ASIA{service}", session_of(role, bench.account), service, region, clock.now_ms())
        assert (await bench.call("GetRole", RoleName="worker"))["Role"]["RoleLastUsed"] == {}
        await uses.flush()
        uses.used(key_id, await administrator(bench), "iam", "us-east-1", clock.now_ms() - 1)
        await uses.flush()
        used = {"LastUsedDate": clock.now_ms() // 1000, "ServiceName": "sqs", "Region": "eu-west-1"}
        assert (await bench.call("GetAccessKeyLastUsed", AccessKeyId=key_id))["AccessKeyLastUsed"] == used
        last = (await bench.call("GetRole", RoleName="worker"))["Role"]["RoleLastUsed"]
        assert last == {"LastUsedDate": clock.now_ms() // 1000, "Region": "eu-west-1"}
        await bench.call("DeleteRole", RoleName="worker")
        again = await bench.role()
        assert again["RoleId"] != role["RoleId"]
        assert (await bench.call("GetRole", RoleName="worker"))["Role"]["RoleLastUsed"] == {}

    run(scenario)


def test_what_waits_is_bounded(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        uses, caller = UseLog(bench.iam.store, bench.iam.clock, max_waiting=3), await administrator(bench)
        for number in range(10):
            uses.used(f"AKIA{number}", caller, "iam", "us-east-1", number)
        assert len(uses._waiting) == 3
        uses.used("AKIA0", caller, "iam", "us-east-1", 99)
        await uses.flush()
        await uses.close()

    run(scenario)


def test_the_credential_report(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        assert (await bench.refused("GetCredentialReport"))[0] == "ReportNotPresent"
        uses, key_id = UseLog(bench.iam.store, bench.iam.clock), bench.iam.administrator.access_key_id
        uses.used(key_id, await administrator(bench), "lambda", "eu-west-1", bench.iam.clock.now_ms())
        await uses.flush()
        await bench.call("CreateUser", UserName="ann")
        await bench.call("CreateLoginProfile", UserName="ann", Password="Correct-Horse-7")
        await bench.call("UpdateAccountPasswordPolicy", MaxPasswordAge=90)
        assert (await bench.call("GenerateCredentialReport"))["State"] == "STARTED"
        assert (await bench.call("GenerateCredentialReport"))["State"] == "COMPLETE"
        report = await bench.call("GetCredentialReport")
        lines = {line["user"]: line for line in csv.DictReader(report["Content"].decode().splitlines())}
        assert set(lines) == {"administrator", "ann"}
        own = lines["administrator"]
        assert own["arn"] == f"arn:aws:iam::{bench.account}:user/administrator"
        assert (own["password_enabled"], own["access_key_1_active"], own["access_key_2_active"]) == (
            "false",
            "true",
            "false",
        )
        assert (own["access_key_1_last_used_service"], own["access_key_1_last_used_region"]) == ("lambda", "eu-west-1")
        assert (lines["ann"]["password_enabled"], lines["ann"]["mfa_active"]) == ("true", "false")
        assert lines["ann"]["password_next_rotation"] > lines["ann"]["password_last_changed"]
        bench.iam.clock.advance(4 * 3600)
        assert (await bench.refused("GetCredentialReport"))[0] == "ReportExpired"

    run(scenario)


def test_last_accessed_details(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        uses = UseLog(bench.iam.store, bench.iam.clock)
        role = await bench.role()
        text = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "SQS:Send*", "Resource": "*"}]}
        await bench.call("PutRolePolicy", RoleName="worker", PolicyName="q", PolicyDocument=json.dumps(text))
        await bench.call("AttachRolePolicy", RoleName="worker", PolicyArn=LAMBDA_READ)
        uses.used("ASIA", session_of(role, bench.account), "sqs", "us-east-1", bench.iam.clock.now_ms())
        await uses.flush()
        job = (await bench.call("GenerateServiceLastAccessedDetails", Arn=role["Arn"]))["JobId"]
        details = await bench.call("GetServiceLastAccessedDetails", JobId=job)
        assert (details["JobStatus"], details["IsTruncated"]) == ("COMPLETED", False)
        found = {each["ServiceNamespace"]: each for each in details["ServicesLastAccessed"]}
        assert found["sqs"]["LastAuthenticated"] == bench.iam.clock.now_ms() // 1000
        assert found["sqs"]["ServiceName"] == "Amazon SQS"
        assert found["lambda"]["TotalAuthenticatedEntities"] == 0
        assert "LastAuthenticated" not in found["lambda"]
        assert "s3" not in found
        for namespace, count in (("sqs", 1), ("lambda", 1), ("s3", 0)):
            entities = await bench.call(
                "GetServiceLastAccessedDetailsWithEntities", JobId=job, ServiceNamespace=namespace
            )
            assert len(entities["EntityDetailsList"]) == count
            for each in entities["EntityDetailsList"]:
                assert each["EntityInfo"]["Id"] == role["RoleId"]
                assert ("LastAuthenticated" in each) is (namespace == "sqs")
        granting = await bench.call(
            "ListPoliciesGrantingServiceAccess", Arn=role["Arn"], ServiceNamespaces=["sqs", "lambda", "s3"]
        )
        shown = {each["ServiceNamespace"]: each["Policies"] for each in granting["PoliciesGrantingServiceAccess"]}
        inline = {"PolicyName": "q", "PolicyType": "INLINE", "EntityType": "ROLE", "EntityName": "worker"}
        assert shown["sqs"] == [inline]
        assert [each["PolicyArn"] for each in shown["lambda"]] == [LAMBDA_READ]
        assert shown["s3"] == []
        every = (
            await bench.call(
                "GenerateServiceLastAccessedDetails", Arn=f"arn:aws:iam::{bench.account}:user/administrator"
            )
        )["JobId"]
        page = await bench.call("GetServiceLastAccessedDetails", JobId=every, MaxItems=2)
        assert page["IsTruncated"]
        assert (await bench.refused("GetServiceLastAccessedDetails", JobId="0" * 36))[0] == "NoSuchEntity"
        bench.iam.clock.advance(8 * 86_400)
        await bench.call("GenerateServiceLastAccessedDetails", Arn=role["Arn"])
        assert (await bench.refused("GetServiceLastAccessedDetails", JobId=job))[0] == "NoSuchEntity"
        for arn, code in (
            (f"arn:aws:iam::{bench.account}:role/none", "NoSuchEntity"),
            (f"arn:aws:s3:::{'b' * 20}", "InvalidInput"),
        ):
            assert (await bench.refused("GenerateServiceLastAccessedDetails", Arn=arn))[0] == code

    run(scenario)


def test_lent_and_unknown_callers_are_not_noted(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        uses = UseLog(bench.iam.store, bench.iam.clock)
        lent = Principal(PrincipalKind.FEDERATED, bench.account, "arn", "1:x", is_temporary=True)
        uses.used("ASIA", lent, "iam", "us-east-1", 1)
        await uses.flush()
        assert await bench.iam.store.read(lambda tx: find_key_use(tx, "ASIA")) is None
        assert await bench.iam.store.read(lambda tx: find_entity_uses(tx, "1:x")) == []

    run(scenario)
