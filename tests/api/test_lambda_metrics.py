"""What functions do, as CloudWatch shows it, as Prometheus reads it, and as it would be billed."""

import base64
import json
import subprocess
import sys
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from cosset.testing.server import CossetServer
from support.patience import until
from support.role import starter_role
from support.zip import make_zip

SOURCE = make_zip(
    {"index.py": "def handler(event, context):\n    if event.get('fail'):\n        raise ValueError('as asked')\n"}
)


@pytest.fixture(scope="module")
def function(server: CossetServer) -> Iterator[str]:
    name = f"measured-{uuid.uuid4().hex[:8]}"
    make_function(server, name)
    yield name
    server.client("lambda").delete_function(FunctionName=name)


def make_function(server: CossetServer, name: str) -> None:
    client = server.client("lambda")
    client.create_function(
        FunctionName=name,
        Runtime="python3.12",
        Role=starter_role(server),
        Handler="index.handler",
        Code={"ZipFile": SOURCE},
        MemorySize=256,
    )
    client.get_waiter("function_active_v2").wait(FunctionName=name)


def total(server: CossetServer, metric: str, stat: str = "Sum", **dimensions: str) -> float | None:
    """Of the last hours; None where nothing was measured."""
    now = datetime.now(UTC)
    named = [{"Name": name, "Value": value} for name, value in dimensions.items()]
    stats = {"Metric": {"Namespace": "AWS/Lambda", "MetricName": metric, "Dimensions": named}, "Period": 86400}
    answer = server.client("cloudwatch").get_metric_data(
        MetricDataQueries=[{"Id": "m1", "MetricStat": {**stats, "Stat": stat}}],
        StartTime=now - timedelta(hours=2),
        EndTime=now + timedelta(hours=1),
    )
    [result] = answer["MetricDataResults"]
    assert result["Label"] == metric
    values = result["Values"]
    return values[0] if values else None


def invoke(server: CossetServer, name: str, **event: Any) -> Any:
    qualifier = event.pop("qualifier", None)
    more = {"Qualifier": qualifier} if qualifier else {}
    return server.client("lambda").invoke(FunctionName=name, Payload=json.dumps(event), **more)


def test_invocations_and_errors_are_counted(server: CossetServer, function: str) -> None:
    """Recorded: TestCloudWatchLambdaMetrics::test_lambda_invoke_error, ::test_lambda_invoke_successful."""
    invoke(server, function)
    assert invoke(server, function, fail=True)["FunctionError"] == "Unhandled"
    until(lambda: total(server, "Invocations", FunctionName=function) == 2.0)
    assert total(server, "Errors", FunctionName=function) == 1.0
    assert total(server, "Errors", "Average", FunctionName=function) == 0.5
    assert total(server, "Throttles", FunctionName=function) == 0.0
    assert total(server, "Invocations", FunctionName=function, Resource=function) == 2.0
    assert (total(server, "Duration", "Maximum", FunctionName=function) or 0) > 0
    assert total(server, "ConcurrentExecutions", "Maximum", FunctionName=function) == 1.0
    assert (total(server, "Invocations") or 0) >= 2.0
    assert (total(server, "UnreservedConcurrentExecutions", "Maximum") or 0) >= 1.0


def test_an_alias_is_counted_by_resource_and_version(server: CossetServer, function: str) -> None:
    client = server.client("lambda")
    version = client.publish_version(FunctionName=function)["Version"]
    client.create_alias(FunctionName=function, Name="live", FunctionVersion=version)
    client.get_waiter("published_version_active").wait(FunctionName=function, Qualifier=version)
    invoke(server, function, qualifier="live")
    resource = f"{function}:live"
    until(lambda: total(server, "Invocations", FunctionName=function, Resource=resource) == 1.0)
    executed = {"FunctionName": function, "Resource": resource, "ExecutedVersion": version}
    assert total(server, "Invocations", **executed) == 1.0


def test_throttles_and_drops_are_counted(server: CossetServer) -> None:
    name = f"throttled-{uuid.uuid4().hex[:8]}"
    make_function(server, name)
    client = server.client("lambda")
    client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    with pytest.raises(client.exceptions.TooManyRequestsException):
        client.invoke(FunctionName=name)
    client.invoke(FunctionName=name, InvocationType="Event", Payload=b"{}")
    until(lambda: total(server, "Throttles", FunctionName=name))
    assert until(lambda: total(server, "AsyncEventsReceived", FunctionName=name)) == 1.0
    assert until(lambda: total(server, "AsyncEventsDropped", FunctionName=name)) == 1.0
    assert total(server, "Invocations", FunctionName=name) is None
    client.delete_function(FunctionName=name)


def test_asynchronous_invocations_are_durable_before_their_event_ends(new_server: Callable[..., CossetServer]) -> None:
    server = new_server()
    name = "counted"
    make_function(server, name)
    server.client("lambda").invoke(FunctionName=name, InvocationType="Event", Payload=b"{}")
    until(lambda: total(server, "Invocations", FunctionName=name) == 1.0)
    server.kill9()
    server.start()
    assert total(server, "Invocations", FunctionName=name) == 1.0
    assert (total(server, "AsyncEventAge", FunctionName=name) or 0) >= 0


def test_a_url_is_counted(server: CossetServer, function: str) -> None:
    client = server.client("lambda")
    url = client.create_function_url_config(FunctionName=function, AuthType="NONE")["FunctionUrl"]
    for action, more in (("lambda:InvokeFunctionUrl", {"FunctionUrlAuthType": "NONE"}),):
        client.add_permission(FunctionName=function, StatementId="url", Action=action, Principal="*", **more)
    identity = url.split("//")[1].split(".")[0]
    with urllib.request.urlopen(f"{server.endpoint}/_cosset/url/{identity}/", timeout=60) as answer:
        assert answer.status == 200
    until(lambda: total(server, "UrlRequestCount", FunctionName=function) == 1.0)
    assert (total(server, "UrlRequestLatency", FunctionName=function) or 0) > 0


def ask_metrics(server: CossetServer, token: str | None) -> tuple[int, str]:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    request = urllib.request.Request(f"{server.endpoint}/_cosset/metrics", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_prometheus_needs_the_token_and_reads_the_same_numbers(server: CossetServer, function: str) -> None:
    file = server.data / "metrics.token"
    assert file.stat().st_mode & 0o777 == 0o600
    token = file.read_text().strip()
    for wrong in (None, "", "x", token[:-1], token + "x"):
        status, text = ask_metrics(server, wrong)
        assert (status, "cosset_lambda" in text) == (401, False)
    invoke(server, function)
    status, text = ask_metrics(server, token)
    assert status == 200
    label = f'account="{server.account}",region="{server.region}",function="{function}",resource="{function}"'
    counted = [line for line in text.splitlines() if line.startswith("cosset_lambda_invocations_total{" + label)]
    assert sum(float(line.split()[-1]) for line in counted) == total(
        server, "Invocations", FunctionName=function, Resource=function
    )
    assert "process_resident_memory_bytes" in text
    assert "cosset_environments_alive" in text


def test_the_bill_is_counted_as_lambda_counts_and_outlives_a_restart(new_server: Callable[..., CossetServer]) -> None:
    server = new_server()
    make_function(server, "billed")
    client = server.client("lambda")
    billed_ms = 0
    for _ in range(3):
        answer = client.invoke(FunctionName="billed", Payload=b"{}", LogType="Tail")
        log = base64.b64decode(answer["LogResult"]).decode()
        billed_ms += int(log.partition("Billed Duration: ")[2].split()[0])
    first = json.loads(run_command(server, "bill", "--json"))
    [line] = first["functions"]
    assert (line["function"], line["requests"], line["billed_ms"]) == ("billed", 3, billed_ms)
    assert Decimal(line["gb_seconds"]) == Decimal(billed_ms) * 256 / 1024 / 1000
    assert first["total_usd"] == "0"
    server.kill9()
    server.start()
    assert json.loads(run_command(server, "bill", "--json")) == first
    assert "billed" in run_command(server, "bill")
    assert json.loads(run_command(server, "bill", "--month", "2020-01", "--json"))["functions"] == []


def run_command(server: CossetServer, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "cosset.cli", *arguments, "--data", str(server.data)],
        env=server.environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
