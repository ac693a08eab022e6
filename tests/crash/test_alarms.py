"""kill -9 between an alarm's move and what it owes: the move is there after the restart, and the function is called."""

import json
import time
from collections.abc import Callable
from typing import Any

from cosset.testing.server import CossetServer
from support.role import starter_role
from support.zip import make_zip

WITNESS = make_zip({"index.py": "import json\ndef handler(event, context):\n    print('alarm', json.dumps(event))\n"})


def test_an_action_that_is_owed_is_done_after_a_kill(new_server: Callable[..., CossetServer]) -> None:
    server = new_server()
    functions = server.client("lambda")
    arn = functions.create_function(
        FunctionName="witness",
        Runtime="python3.12",
        Role=starter_role(server),
        Handler="index.handler",
        Code={"ZipFile": WITNESS},
    )["FunctionArn"]
    functions.get_waiter("function_active_v2").wait(FunctionName="witness")
    functions.add_permission(
        FunctionName="witness",
        StatementId="alarm",
        Action="lambda:InvokeFunction",
        Principal="lambda.alarms.cloudwatch.amazonaws.com",
        SourceAccount=server.account,
    )
    cloudwatch = server.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName="a",
        MetricName="m",
        Namespace="n",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1.0,
        TreatMissingData="ignore",
        ComparisonOperator="GreaterThanThreshold",
        AlarmActions=[arn],
    )
    cloudwatch.set_alarm_state(AlarmName="a", StateValue="ALARM", StateReason="before the kill")
    server.kill9()
    server.start()
    [shown] = server.client("cloudwatch").describe_alarms(AlarmNames=["a"])["MetricAlarms"]
    assert (shown["StateValue"], shown["StateReason"]) == ("ALARM", "before the kill")
    event = json.loads(printed(server)[0].removeprefix("alarm "))
    assert event["alarmData"]["state"]["reason"] == "before the kill"


def printed(server: CossetServer) -> list[str]:
    """What the witness printed, once there is something."""
    logs: Any = server.client("logs")
    end = time.monotonic() + 240
    while True:
        try:
            events = logs.filter_log_events(logGroupName="/aws/lambda/witness")["events"]
        except logs.exceptions.ResourceNotFoundException:
            events = []
        found = [each["message"] for each in events if each["message"].startswith("alarm ")]
        if found:
            return found
        assert time.monotonic() < end, "the function was not called"
        time.sleep(0.2)
