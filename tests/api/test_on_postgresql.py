"""The whole node on PostgreSQL: the main job, and a restart after kill -9."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from cosset.testing.server import CossetServer
from support.logged import messages
from support.patience import until
from support.postgres import PostgresServer
from support.role import starter_role
from support.zip import make_zip

SOURCE = "def handler(event, context):\n    print('ran', event)\n    return '{}'\n"


def create(server: CossetServer, name: str, said: str) -> None:
    client = server.client("lambda")
    client.create_function(
        FunctionName=name,
        Runtime="python3.13",
        Role=starter_role(server),
        Handler="index.handler",
        Code={"ZipFile": make_zip({"index.py": SOURCE.format(said)})},
    )
    client.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})


def call(server: CossetServer, name: str) -> object:
    return json.load(server.client("lambda").invoke(FunctionName=name)["Payload"])


def test_the_main_job_outlives_kill_9(new_server: Callable[..., CossetServer], postgres: PostgresServer) -> None:
    server = new_server("--database", postgres.new_database())
    create(server, "f", "old")
    assert call(server, "f") == "old"
    client = server.client("lambda")
    for _ in range(10):
        assert client.invoke(FunctionName="f", InvocationType="Event", Payload=b"1")["StatusCode"] == 202
    server.kill9()
    server.start()
    assert call(server, "f") == "old"
    until(lambda: len(messages(server, "/aws/lambda/f", '"ran 1"')) >= 10)


def test_alarms_and_metrics(new_server: Callable[..., CossetServer], postgres: PostgresServer) -> None:
    server = new_server("--database", postgres.new_database(), "--tier", "process")
    cloudwatch = server.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName="a",
        Namespace="n",
        MetricName="m",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1.0,
        ComparisonOperator="GreaterThanThreshold",
    )
    moment = datetime.now(UTC) - timedelta(minutes=1)
    for _ in range(2):
        cloudwatch.put_metric_data(Namespace="n", MetricData=[{"MetricName": "m", "Value": 1.0, "Timestamp": moment}])
    until(lambda: cloudwatch.describe_alarms(AlarmNames=["a"], StateValue="ALARM")["MetricAlarms"])
    history = cloudwatch.describe_alarm_history(AlarmName="a")["AlarmHistoryItems"]
    assert [each["HistoryItemType"] for each in history] == ["StateUpdate", "ConfigurationUpdate"]
