"""What functions asked for, from the authorizer through the table to the operations."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cosset.assembly.configured_edges import ConfiguredEdgesOf
from cosset.identity.access_book import Access, AccessBook
from cosset.identity.authorizer import PolicyAuthorizer
from cosset.identity.ports import Requirement
from cosset.identity.principal import Principal, PrincipalKind, SessionGrant
from cosset.observe.cause_buffer import CauseBuffer
from cosset.observe.function_metrics import Unmetered
from cosset.services.iam.accounts import AccountBook
from cosset.services.iam.held_policies import CarriedPolicies, RoleTrust
from cosset.services.iam.policy_book import PolicyBook
from cosset.services.installation.access_log import AccessLog
from cosset.services.installation.service import installation_service
from cosset.store.metrics import MetricStore
from cosset.wire.errors import ServiceError
from support.caller import Caller
from support.identity import Iam, open_iam


@dataclass
class Bench:
    iam: Iam
    authorizer: PolicyAuthorizer
    log: AccessLog
    call: Caller
    function: str
    session: Principal

    async def ask(self, action: str, resource: str) -> bool:
        try:
            await self.authorizer.authorize(self.session, [Requirement(action, resource)])
        except ServiceError:
            return False
        return True


Run = Callable[[Callable[[Bench], Awaitable[None]]], None]


@pytest.fixture(params=[False, True], ids=["enforce", "audit"])
def audit(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
def run(tmp_path: Path, audit: bool) -> Run:
    async def whole(scenario: Callable[[Bench], Awaitable[None]]) -> None:
        async with open_iam(tmp_path) as iam:
            book, account = AccessBook(), iam.directory.account
            log = AccessLog(iam.store, book, iam.clock, max_rows=5)
            sources = CarriedPolicies(iam.store, PolicyBook())
            authorizer = PolicyAuthorizer(sources, {"sts": RoleTrust(iam.store)}, iam.clock, audit=audit, book=book)
            known = await iam.directory.find_key(iam.administrator.access_key_id, None)
            assert known is not None
            role = await iam.directory.role(f"arn:aws:iam::{account}:role/cosset-basic")
            assert role is not None
            function = f"arn:aws:lambda:us-east-1:{account}:function:greet"
            session = Principal(
                PrincipalKind.ROLE,
                account,
                f"arn:aws:sts::{account}:assumed-role/cosset-basic/greet",
                f"{role.unique_id}:greet",
                role_arn=role.arn,
                session=SessionGrant(context=(("lambda:SourceFunctionArn", f"{function}:live"),)),
            )
            book, metrics = AccountBook(iam.store, iam.clock, account), MetricStore(iam.store, iam.clock)
            causes, configured = CauseBuffer(None, None, iam.clock), ConfiguredEdgesOf(iam.store, iam.clock)
            service = installation_service(log, book, metrics, Unmetered(), causes, configured, iam.clock, audit=audit)
            call = Caller(service, known.principal)
            await scenario(Bench(iam, authorizer, log, call, function, session))

    return lambda scenario: asyncio.run(whole(scenario))


def test_the_least_policy(run: Run, audit: bool) -> None:
    async def scenario(bench: Bench) -> None:
        account = bench.iam.directory.account
        group = f"arn:aws:logs:us-east-1:{account}:log-group:/aws/lambda/greet:log-stream:s"
        bucket = f"arn:aws:lambda:us-east-1:{account}:function:other"
        assert await bench.ask("logs:PutLogEvents", group)
        for _ in range(3):
            assert await bench.ask("lambda:InvokeFunction", bucket) is audit
        assert await bench.ask("lambda:GetFunction", f"{bucket}-*") is audit
        answer = await bench.call("SuggestPolicy", function="greet")
        assert answer["function"] == bench.function
        assert answer["policy"] == {
            "Version": "2012-10-17",
            "Statement": [
                {"Effect": "Allow", "Action": ["lambda:GetFunction"], "Resource": [f"{bucket}-${{*}}"]},
                {"Effect": "Allow", "Action": ["lambda:InvokeFunction"], "Resource": [bucket]},
                {"Effect": "Allow", "Action": ["logs:PutLogEvents"], "Resource": [group]},
            ],
        }
        counts = {each["action"]: each["denied"] for each in answer["calls"]}
        assert counts == {"logs:PutLogEvents": 0, "lambda:InvokeFunction": 3, "lambda:GetFunction": 1}
        listed = await bench.call("ListDenied")
        assert listed["mode"] == ("audit" if audit else "enforce")
        assert [each["action"] for each in listed["denied"]] == ["lambda:InvokeFunction", "lambda:GetFunction"]
        reason = "because no identity-based policy allows the lambda:InvokeFunction action"
        assert listed["denied"][0]["reason"] == reason
        # What was kept grows with the next batch.
        await bench.ask("lambda:InvokeFunction", bucket)
        assert (await bench.call("ListDenied"))["denied"][0]["denied"] == 4

    run(scenario)


def test_nothing_recorded_and_no_function(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        answer = await bench.call("SuggestPolicy", function=bench.function)
        assert (answer["policy"], answer["calls"]) == (None, [])
        for wrong in (None, 5, "", "a b", "arn:aws:lambda:us-east-1:1:function:f"):
            with pytest.raises(ServiceError):
                await bench.call("SuggestPolicy", function=wrong)

    run(scenario)


def test_the_table_has_an_end(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        for number in range(9):
            await bench.ask("s3:GetObject", f"arn:aws:s3:::bucket/{number}")
        assert len((await bench.call("SuggestPolicy", function="greet"))["calls"]) == 5

    run(scenario)


def test_nothing_is_lost_while_the_store_refuses(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.ask("s3:GetObject", "arn:aws:s3:::bucket/x")

        async def refuse(work: Any) -> None:
            raise ServiceError("ServiceUnavailable", "full", status=503)

        with monkeypatch.context() as patched:
            patched.setattr(bench.iam.store, "write", refuse)
            with pytest.raises(ServiceError):
                await bench.log.flush()
            await bench.log.close()
        (kept,) = await bench.log.of_account(bench.iam.directory.account)
        assert kept.access == Access(
            bench.iam.directory.account, bench.function, "s3:GetObject", "arn:aws:s3:::bucket/x"
        )

    run(scenario)


def test_the_suggestion_is_a_policy_that_lets_it_all_through(run: Run) -> None:
    """Held against IAM's own simulator: nothing less is asked, and what was asked is allowed."""
    import json

    from cosset.services.iam.service import iam_service

    async def scenario(bench: Bench) -> None:
        asked = [("s3:GetObject", "arn:aws:s3:::b/a*${x}?"), ("sqs:SendMessage", "arn:aws:sqs:us-east-1:1:q")]
        for action, resource in asked:
            await bench.ask(action, resource)
        policy = json.dumps((await bench.call("SuggestPolicy", function="greet"))["policy"])
        known = await bench.iam.directory.find_key(bench.iam.administrator.access_key_id, None)
        assert known is not None
        simulate = Caller(iam_service(bench.iam.store, bench.iam.clock), known.principal)
        for action, resource in asked:
            for tried, decision in ((resource, "allowed"), (resource + "more", "implicitDeny")):
                answer = await simulate(
                    "SimulateCustomPolicy", PolicyInputList=[policy], ActionNames=[action], ResourceArns=[tried]
                )
                assert answer["EvaluationResults"][0]["EvalDecision"] == decision

    run(scenario)
