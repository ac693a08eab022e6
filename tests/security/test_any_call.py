"""Any call with any parameters that its model allows, and many calls at once on one function: the answers are AWS's
errors, never a failure of the server's own."""

import collections
import json
import os
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.any_params import AnyParams
from support.holdings import resident_mb, server_process
from support.role import LAMBDA_TRUST, starter_role
from support.victim import GOOD, Victim
from support.zip import make_zip

SERVICES = ("lambda", "iam", "logs", "sts", "cloudwatch")
CALLS = int(os.environ.get("COSSET_FUZZ_CALLS", "1500"))
"""`make fuzz` throws 10,000."""
A_ROUND = 25
GROWTH_MB = 48
"""What the server may grow by from the first third of the calls to the last: what calls made is kept, and shown."""
AS_IT_IS = Config(retries={"total_max_attempts": 1}, read_timeout=60, parameter_validation=False)
PACKAGE = make_zip({"app.py": "def handler(event, context):\n    return event\n"})
ALLOWED = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]})


A_VALUE = [{"MetricName": "m", "Value": 1.0}]
AN_ALARM: Mapping[str, Any] = {
    "Namespace": "n",
    "MetricName": "m",
    "Statistic": "Sum",
    "Period": 60,
    "EvaluationPeriods": 1,
    "Threshold": 0.0,
    "ComparisonOperator": "GreaterThanThreshold",
}


class Callers:
    """One client a service, the operations that the server has, and what they are called with."""

    def __init__(self, victim: Victim) -> None:
        self._victim = victim
        self.clients = {name: victim.server.client(name, config=AS_IT_IS) for name in SERVICES}
        self.known = known_values(victim)
        self.operations = [
            (service, operation)
            for service in SERVICES
            for operation in self.clients[service].meta.service_model.operation_names
            if self._is_served(service, operation)
        ]

    def call(self, service: str, operation: str, rng: random.Random) -> None:
        """Once; fails with what was asked and answered unless the answer is a result or an AWS error."""
        model = self.clients[service].meta.service_model.operation_model(operation)
        params = AnyParams(rng, self.known).of(model.input_shape)
        if params.get("UserName") == "administrator":
            return
        try:
            getattr(self.clients[service], xform_name(operation))(**params)
        except ClientError as refused:
            error, meta = refused.response["Error"], refused.response["ResponseMetadata"]
            if meta["HTTPStatusCode"] == 501:
                assert error["Code"] == "NotImplementedException", (operation, params, error)
            else:
                assert 400 <= meta["HTTPStatusCode"] < 500, (operation, params, error, self._said())
            assert error["Code"] == "400" or meta["RequestId"], (operation, params, error)
        except (HTTPClientError, ValueError):
            return  # a header that no client sends

    def plant(self) -> None:
        """What calls may meet; what is there already stays."""
        made: list[Callable[[], object]] = [
            *(lambda name=name: self._victim.create(name, PACKAGE, Publish=True) for name in ("f", "g")),
            lambda: self.clients["lambda"].create_alias(FunctionName="f", Name="x", FunctionVersion="1"),
            lambda: self.clients["lambda"].publish_layer_version(LayerName="l", Content={"ZipFile": PACKAGE}),
            lambda: self.clients["iam"].create_role(RoleName="r", AssumeRolePolicyDocument=LAMBDA_TRUST),
            lambda: self.clients["iam"].create_user(UserName="u"),
            lambda: self.clients["iam"].create_policy(PolicyName="p", PolicyDocument=ALLOWED),
            lambda: self.clients["cloudwatch"].put_metric_data(Namespace="n", MetricData=A_VALUE),
            lambda: self.clients["cloudwatch"].put_metric_alarm(AlarmName="a", **AN_ALARM),
            lambda: self.clients["logs"].create_log_group(logGroupName="g1"),
            lambda: self.clients["logs"].create_log_stream(logGroupName="g1", logStreamName="s1"),
        ]
        for make in made:
            try:
                make()
            except ClientError:
                continue

    def _is_served(self, service: str, operation: str) -> bool:
        client = self.clients[service]
        model = client.meta.service_model.operation_model(operation)
        if model.has_event_stream_output or model.endpoint:
            return False
        params = AnyParams(random.Random(0), self.known).of(model.input_shape)
        try:
            getattr(client, xform_name(operation))(**params)
        except ClientError as refused:
            error = refused.response["Error"]
            return error["Code"] != "NotImplementedException" or operation not in error["Message"]
        except (HTTPClientError, ValueError):
            return True
        return True

    def _said(self) -> str:
        return self._victim.server.log()[-3000:]

    def close(self) -> None:
        """What keeps something ready keeps it no longer."""
        for page in self.clients["lambda"].get_paginator("list_functions").paginate():
            for function in page["Functions"]:
                if function["FunctionName"] != GOOD:
                    self.clients["lambda"].delete_function(FunctionName=function["FunctionName"])
        for client in self.clients.values():
            client.close()


def known_values(victim: Victim) -> Mapping[str, Sequence[Any]]:
    """Likely values by the name of the member."""
    account, role = victim.server.account, starter_role(victim.server)
    function, iam = f"arn:aws:lambda:us-east-1:{account}:function:", f"arn:aws:iam::{account}:"
    layer, group = f"arn:aws:lambda:us-east-1:{account}:layer:l", f"arn:aws:logs:us-east-1:{account}:log-group:g1"
    return {
        "FunctionName": ["f", "g", "f:1", "f:x", "new", function + "f", function + "g:1"],
        "Qualifier": ["1", "2", "x", "$LATEST"],
        "FunctionVersion": ["1", "2", "$LATEST"],
        "Role": [role, iam + "role/r"],
        "Handler": ["app.handler"],
        "Runtime": ["python3.13", "nodejs24.x", "provided.al2023"],
        "ZipFile": [PACKAGE, PACKAGE, b"x"],
        "Code": [{"ZipFile": PACKAGE}],
        "Content": [{"ZipFile": PACKAGE}],
        "Resource": [function + "f", function + "g", layer],
        "LayerName": ["l", "m", layer],
        "Layers": [[layer + ":1"], []],
        "Arn": [layer + ":1"],
        "VersionNumber": [1, 2],
        "StatementId": ["p", "q"],
        "Action": ["lambda:InvokeFunction", "lambda:GetLayerVersion"],
        "Principal": ["s3.amazonaws.com", account, "*", iam + "root"],
        "Payload": [b"{}", b"1", b"x"],
        "Timeout": [3, 900],
        "MemorySize": [128, 10_240],
        "RoleName": ["r", "r2"],
        "UserName": ["u", "u2"],
        "PolicyName": ["p", "p2"],
        "PolicyArn": [iam + "policy/p", iam + "policy/p2", "arn:aws:iam::aws:policy/AdministratorAccess"],
        "PermissionsBoundary": [iam + "policy/p"],
        "PolicyDocument": [ALLOWED, "{}"],
        "AssumeRolePolicyDocument": [LAMBDA_TRUST],
        "VersionId": ["v1", "v2"],
        "Path": ["/", "/a/"],
        "PathPrefix": ["/", "/a/"],
        "RoleArn": [role, iam + "role/r"],
        "RoleSessionName": ["session"],
        "MaxItems": [1, 50],
        "logGroupName": ["g1", "g2"],
        "logStreamName": ["s1", "s2"],
        "logStreamNames": [["s1"], ["s1", "s2"]],
        "logGroupIdentifier": ["g1", group],
        "resourceArn": [group],
        "logEvents": [[{"timestamp": int(time.time() * 1000), "message": "m"}]],
        "filterPattern": ["error", "", "{ $.a = 1 }", "[a, b]", "?a ?b", "-x", "%r%", '"a b"'],
        "retentionInDays": [1, 7],
        "limit": [1, 50],
        "Namespace": ["n", "AWS/Lambda"],
        "MetricName": ["m", "Invocations"],
        "AlarmName": ["a", "b"],
        "AlarmNames": [["a"], ["a", "b"]],
        "AlarmRule": ["ALARM(a)", "NOT OK(a) OR TRUE", "ALARM("],
        "Expression": ["m1 * 2", "SUM(METRICS())", "SEARCH('{n} m', 'Sum', 60)", "FILL(m1, LINEAR)", "(("],
        "Id": ["m1", "m2"],
        "Stat": ["Sum", "p99", "TM(10%:90%)", "x"],
        "Period": [1, 60, 300],
        "StartTime": [time.time() - 3600],
        "EndTime": [time.time() + 3600],
        "DashboardBody": ['{"widgets": []}', "[]"],
    }


@pytest.fixture(scope="module")
def callers(victim: Victim):
    made = Callers(victim)
    yield made
    made.close()


def test_the_services_have_operations(callers: Callers) -> None:
    counted = collections.Counter(service for service, _ in callers.operations)
    assert all(counted[service] >= 3 for service in SERVICES), counted


def test_any_parameters_get_an_answer_of_aws(callers: Callers, victim: Victim) -> None:
    """Hypothesis picks the order and the seeds, and shrinks to the calls that matter."""

    rounds = max(1, CALLS // A_ROUND)
    done, resident = 0, [0.0]
    server = server_process(victim.server)

    @settings(max_examples=rounds, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(st.integers(0, 2**32))
    def throw(seed: int) -> None:
        nonlocal done
        rng = random.Random(seed)
        callers.plant()
        for service, operation in rng.sample(callers.operations, A_ROUND):
            callers.call(service, operation, rng)
        done += 1
        if done == rounds // 3:
            resident[0] = resident_mb(server)

    throw()
    victim.assert_well()
    assert resident_mb(server) - resident[0] < GROWTH_MB
    assert "Traceback" not in victim.server.log()


THREADS, ROUNDS = 20, 30
RACED = "raced"


def race_moves(client: Any, role: str, rng: random.Random) -> Mapping[str, Callable[[], Any]]:
    """What may be done to the one function; `Pick` of everything is random."""
    package = make_zip({"app.py": f"def handler(event, context):\n    return {rng.randrange(4)}\n"})
    version, alias = rng.choice("12"), rng.choice("xy")
    name = {"FunctionName": RACED}
    return {
        "create": lambda: client.create_function(
            **name, Runtime="python3.13", Role=role, Handler="app.handler", Code={"ZipFile": package}, Publish=True
        ),
        "delete": lambda: client.delete_function(**name),
        "delete version": lambda: client.delete_function(**name, Qualifier=version),
        "update code": lambda: client.update_function_code(**name, ZipFile=package, Publish=rng.random() < 0.5),
        "configure": lambda: client.update_function_configuration(**name, MemorySize=rng.choice((128, 256))),
        "publish": lambda: client.publish_version(**name),
        "alias": lambda: client.create_alias(**name, Name=alias, FunctionVersion=version),
        "move alias": lambda: client.update_alias(**name, Name=alias, FunctionVersion=version),
        "delete alias": lambda: client.delete_alias(**name, Name=alias),
        "invoke": lambda: client.invoke(**name),
        "invoke a version": lambda: client.invoke(**name, Qualifier=rng.choice((version, alias))),
        "send": lambda: client.invoke(**name, InvocationType="Event"),
        "get": lambda: client.get_function(**name),
        "list": lambda: client.list_versions_by_function(**name),
        "permit": lambda: client.add_permission(
            **name, StatementId=alias, Action="lambda:InvokeFunction", Principal="s3.amazonaws.com"
        ),
        "reserve": lambda: client.put_function_concurrency(**name, ReservedConcurrentExecutions=rng.choice((0, 5))),
        "free": lambda: client.delete_function_concurrency(**name),
    }


OFTEN = ("create", "create", "invoke", "invoke", "invoke", "update code")


def test_twenty_clients_on_one_function(victim: Victim) -> None:
    """Creating, deleting, changing and invoking it at once, for a bounded number of rounds."""
    role = starter_role(victim.server)
    failures: list[str] = []
    answered: collections.Counter[str] = collections.Counter()
    client = victim.server.client("lambda", config=AS_IT_IS.merge(Config(max_pool_connections=THREADS)))

    def live(number: int) -> None:
        rng = random.Random(number)
        for _ in range(ROUNDS):
            moves = race_moves(client, role, rng)
            move = rng.choice((*moves, *OFTEN))
            try:
                answer = moves[move]()
                answered[move] += 1
                if answer.get("FunctionError"):
                    failures.append(f"{move}: {answer['Payload'].read()!r}")
            except ClientError as refused:
                answered[refused.response["Error"]["Code"]] += 1
                if refused.response["ResponseMetadata"]["HTTPStatusCode"] >= 500:
                    failures.append(f"{move}: {refused}")
            except BotoCoreError as error:
                failures.append(f"{move}: {error!r}")

    threads = [threading.Thread(target=live, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    client.close()
    assert failures == []
    assert answered["invoke"], answered
    assert answered["create"], answered
    victim.assert_well()
