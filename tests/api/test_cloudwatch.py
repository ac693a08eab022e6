"""CloudWatch through stock boto3, over each protocol that its model lists: values in, statistics out."""

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from cosset.testing.server import CossetServer
from support.cloudwatch import PROTOCOLS, client_in


@pytest.fixture(params=PROTOCOLS)
def cloudwatch(server: CossetServer, request: pytest.FixtureRequest) -> Any:
    return client_in(server, request.param)


@pytest.fixture
def namespace() -> str:
    return f"tests/{uuid.uuid4()}"


NOW = datetime.now(UTC).replace(microsecond=0)


def around() -> dict[str, datetime]:
    return {"StartTime": NOW - timedelta(hours=1), "EndTime": NOW + timedelta(hours=1)}


def query(namespace: str, name: str = "m", stat: str = "Sum", **more: Any) -> dict[str, Any]:
    metric = {"Namespace": namespace, "MetricName": name, "Dimensions": more.pop("Dimensions", [])}
    return {"Id": more.pop("Id", "m1"), "MetricStat": {"Metric": metric, "Period": 7200, "Stat": stat, **more}}


def error_of(caught: pytest.ExceptionInfo[ClientError]) -> tuple[str, str]:
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


@pytest.mark.parametrize(
    ("stat", "value"),
    [
        *(("Sum", 66.0), ("Average", 6.0), ("Minimum", 1.0), ("Maximum", 11.0), ("SampleCount", 11.0)),
        *(("p50", 6.0), ("p100", 11.0), ("tm90", 5.45), ("TM(10%:90%)", 6.0), ("IQM", 6.0), ("PR(:5)", 45.45)),
        *(("TC(2:5)", 3.0), ("TS(80%:100%)", 22.8), ("wm90", 5.91)),
    ],
)
def test_every_statistic_of_one_metric(server: CossetServer, namespace: str, stat: str, value: float) -> None:
    cloudwatch = server.client("cloudwatch")
    data = [{"MetricName": "m", "Value": float(number)} for number in range(1, 12)]
    cloudwatch.put_metric_data(Namespace=namespace, MetricData=data)
    answer = cloudwatch.get_metric_data(MetricDataQueries=[query(namespace, stat=stat)], **around())
    [result] = answer["MetricDataResults"]
    assert (result["Id"], result["Label"], result["StatusCode"]) == ("m1", "m", "Complete")
    assert result["Values"] == [pytest.approx(value, abs=0.5)]
    assert "Messages" not in result
    assert answer["Messages"] == []


def test_values_are_written_and_read_in_every_shape(cloudwatch: Any, namespace: str) -> None:
    dimensions = [{"Name": "b", "Value": "2"}, {"Name": "a", "Value": "1"}]
    data = [
        {"MetricName": "m", "Dimensions": dimensions, "Values": [1.0, 2.0], "Counts": [3.0, 1.0]},
        {"MetricName": "m", "Dimensions": dimensions, "Value": 5.0, "Timestamp": NOW - timedelta(minutes=3)},
        {
            "MetricName": "m",
            "Dimensions": dimensions,
            "StatisticValues": {"SampleCount": 2, "Sum": 9, "Minimum": 4, "Maximum": 5},
        },
    ]
    cloudwatch.put_metric_data(Namespace=namespace, MetricData=data)
    [listed] = cloudwatch.list_metrics(Namespace=namespace)["Metrics"]
    assert listed["Dimensions"] == [{"Name": "a", "Value": "1"}, {"Name": "b", "Value": "2"}]
    asked = {"Namespace": namespace, "MetricName": "m", "Dimensions": dimensions, "Period": 7200, **around()}
    answer = cloudwatch.get_metric_statistics(Statistics=["Sum", "SampleCount", "Minimum", "Maximum"], **asked)
    assert answer["Label"] == "m"
    [point] = answer["Datapoints"]
    assert point.pop("Timestamp") == (NOW - timedelta(hours=1)).replace(second=0)
    assert point == {"Sum": 19.0, "SampleCount": 7.0, "Minimum": 1.0, "Maximum": 5.0, "Unit": "None"}
    # Of a set of statistics nobody knows the percentiles.
    [point] = cloudwatch.get_metric_statistics(ExtendedStatistics=["p50"], **asked)["Datapoints"]
    assert point.get("ExtendedStatistics", {}) == {}


def test_metrics_are_found_by_dimension_and_by_page(server: CossetServer, namespace: str) -> None:
    cloudwatch = server.client("cloudwatch")
    data = [{"MetricName": "m", "Dimensions": [{"Name": "n", "Value": str(one)}], "Value": 1.0} for one in range(501)]
    cloudwatch.put_metric_data(Namespace=namespace, MetricData=data)
    first = cloudwatch.list_metrics(Namespace=namespace)
    assert len(first["Metrics"]) == 500
    second = cloudwatch.list_metrics(Namespace=namespace, NextToken=first["NextToken"])
    assert len(second["Metrics"]) == 1
    assert "NextToken" not in second
    one = cloudwatch.list_metrics(Namespace=namespace, Dimensions=[{"Name": "n", "Value": "7"}], RecentlyActive="PT3H")
    assert [each["Dimensions"] for each in one["Metrics"]] == [[{"Name": "n", "Value": "7"}]]
    assert cloudwatch.list_metrics(Namespace=namespace, Dimensions=[{"Name": "x"}])["Metrics"] == []


@pytest.mark.parametrize(
    ("units", "said", "value"),
    [
        (["Seconds", "Milliseconds"], "[Milliseconds, Seconds]", 2.0),
        (["Seconds", "Milliseconds", "Count"], "[Count, Milliseconds, Seconds]", 3.0),
    ],
)
def test_several_units_are_said(cloudwatch: Any, namespace: str, units: list[str], said: str, value: float) -> None:
    data = [{"MetricName": "m", "Unit": unit, "Value": number} for number, unit in enumerate(units, 1)]
    cloudwatch.put_metric_data(Namespace=namespace, MetricData=data)
    [result] = cloudwatch.get_metric_data(MetricDataQueries=[query(namespace)], **around())["MetricDataResults"]
    assert result["Messages"] == [{"Code": "MultipleUnits", "Value": f"Multiple units returned: '{said}'"}]
    assert result["Values"] == [value]
    [result] = cloudwatch.get_metric_data(MetricDataQueries=[query(namespace, Unit="Seconds")], **around())[
        "MetricDataResults"
    ]
    assert result["Values"] == [1.0]
    asked = {"Namespace": namespace, "MetricName": "m", "Period": 7200, "Statistics": ["Average"], **around()}
    found = cloudwatch.get_metric_statistics(**asked)["Datapoints"]
    assert [each["Unit"] for each in found] == said.strip("[]").split(", ")


@pytest.mark.parametrize(
    ("datum", "code", "message"),
    [
        (
            {"Value": 1.0, "Values": [1.0]},
            "InvalidParameterCombination",
            "The parameters MetricData.member.1.Value and MetricData.member.1.Values are mutually exclusive and "
            "you have specified both.",
        ),
        (
            {"Values": [1.0], "Counts": [1.0, 2.0]},
            "InvalidParameterValue",
            "The parameters MetricData.member.1.Values and MetricData.member.1.Counts must be of the same size.",
        ),
        ({"Value": float("nan")}, "InvalidParameterValue", "The value nan for parameter MetricData.member.1.Value is "),
    ],
)
def test_data_that_make_no_sense_are_refused(
    cloudwatch: Any, namespace: str, datum: dict[str, Any], code: str, message: str
) -> None:
    with pytest.raises(ClientError) as caught:
        cloudwatch.put_metric_data(Namespace=namespace, MetricData=[{"MetricName": "m", **datum}])
    assert error_of(caught)[0] == code
    assert error_of(caught)[1].startswith(message)


def test_too_many_datapoints_and_times_the_wrong_way(cloudwatch: Any, namespace: str) -> None:
    asked = {"Namespace": namespace, "MetricName": "m", "Statistics": ["Sum"]}
    with pytest.raises(ClientError) as caught:
        cloudwatch.get_metric_statistics(Period=1, StartTime=NOW - timedelta(days=1), EndTime=NOW, **asked)
    assert error_of(caught) == (
        "InvalidParameterCombination",
        "You have requested up to 86400 datapoints, which exceeds the limit of 1440. You may reduce the datapoints "
        "requested by increasing Period, or decreasing the time range.",
    )
    with pytest.raises(ClientError) as caught:
        cloudwatch.get_metric_statistics(Period=60, StartTime=NOW, EndTime=NOW - timedelta(days=1), **asked)
    assert error_of(caught) == (
        "InvalidParameterValue",
        "The parameter StartTime must be less than the parameter EndTime.",
    )


def test_expressions_over_metrics(cloudwatch: Any, namespace: str) -> None:
    for name, value in (("errors", 1.0), ("calls", 4.0)):
        cloudwatch.put_metric_data(Namespace=namespace, MetricData=[{"MetricName": name, "Value": value}])
    queries = [
        {**query(namespace, "errors", Id="e"), "ReturnData": False},
        {**query(namespace, "calls", Id="c"), "ReturnData": False},
        {"Id": "rate", "Expression": "100 * e / c", "Label": "Error rate"},
        {"Id": "sum", "Expression": "SUM(METRICS())"},
        {"Id": "found", "Expression": f"SEARCH('{{{namespace}}} MetricName=\"calls\"', 'Maximum', 7200)"},
        {"Id": "chosen", "Expression": "IF(c > 3 AND e < 2, c, e)"},
    ]
    found = cloudwatch.get_metric_data(MetricDataQueries=queries, **around())["MetricDataResults"]
    assert {each["Id"]: each["Values"] for each in found} == {
        "rate": [25.0],
        "sum": [5.0],
        "found": [4.0],
        "chosen": [4.0],
    }
    assert [each["Label"] for each in found] == ["Error rate", "sum", "calls", "chosen"]


@pytest.mark.parametrize(
    ("expression", "code"),
    [
        *(("1 +", "ValidationError"), ("nobody", "ValidationError"), ("5", "ValidationError")),
        *(("ANOMALY_DETECTION_BAND(m1)", "NotImplementedException"), ("x", "ValidationError")),
        ("SELECT AVG(x) FROM y", "NotImplementedException"),
    ],
)
def test_expressions_that_cannot_be_worked_out(
    server: CossetServer, namespace: str, expression: str, code: str
) -> None:
    queries = [query(namespace), {"Id": "x", "Expression": expression}]
    with pytest.raises(ClientError) as caught:
        server.client("cloudwatch").get_metric_data(MetricDataQueries=queries, **around())
    assert error_of(caught)[0] == code


def test_values_come_by_pages(server: CossetServer, namespace: str) -> None:
    cloudwatch = server.client("cloudwatch")
    moments = [NOW - timedelta(minutes=number) for number in range(5)]
    data = [{"MetricName": "m", "Value": float(n), "Timestamp": at} for n, at in enumerate(moments)]
    cloudwatch.put_metric_data(Namespace=namespace, MetricData=data)
    asked = query(namespace)
    asked["MetricStat"]["Period"] = 60
    pages = cloudwatch.get_paginator("get_metric_data").paginate(
        MetricDataQueries=[asked], MaxDatapoints=2, ScanBy="TimestampAscending", **around()
    )
    assert [page["MetricDataResults"][0]["Values"] for page in pages] == [[4.0, 3.0], [2.0, 1.0], [0.0]]


def test_dashboards(cloudwatch: Any) -> None:
    name = f"board-{uuid.uuid4()}"
    body = json.dumps({"widgets": [{"type": "text", "x": 0, "y": 0, "properties": {"markdown": "hello"}}]})
    assert cloudwatch.put_dashboard(DashboardName=name, DashboardBody=body)["DashboardValidationMessages"] == []
    found = cloudwatch.get_dashboard(DashboardName=name)
    assert found["DashboardArn"].startswith("arn:aws:cloudwatch::")
    assert json.loads(found["DashboardBody"]) == json.loads(body)
    [entry] = cloudwatch.list_dashboards(DashboardNamePrefix=name)["DashboardEntries"]
    assert entry["Size"] == len(body)
    cloudwatch.delete_dashboards(DashboardNames=[name])
    assert cloudwatch.list_dashboards(DashboardNamePrefix=name)["DashboardEntries"] == []
    with pytest.raises(ClientError) as caught:
        cloudwatch.get_dashboard(DashboardName=name)
    assert error_of(caught)[0] == "ResourceNotFound"
    with pytest.raises(ClientError) as caught:
        cloudwatch.put_dashboard(DashboardName="a b", DashboardBody=body)
    assert error_of(caught) == (
        "InvalidParameterValue",
        "The value for field DashboardName contains invalid characters. It can only contain alphanumerics, dash (-) "
        "and underscore (_).\n",
    )
    with pytest.raises(ClientError) as caught:
        cloudwatch.put_dashboard(DashboardName=name, DashboardBody="[]")
    assert error_of(caught)[0] == "InvalidParameterInput"


def test_metric_streams_are_kept(server: CossetServer, cloudwatch: Any) -> None:
    name = f"stream-{uuid.uuid4()}"
    arns = {"FirehoseArn": "arn:aws:firehose:us-east-1:111111111111:deliverystream/s"}
    arns["RoleArn"] = f"arn:aws:iam::{server.account}:role/r"
    made = cloudwatch.put_metric_stream(Name=name, OutputFormat="json", **arns)
    assert made["Arn"].endswith(f":metric-stream/{name}")
    found = cloudwatch.get_metric_stream(Name=name)
    assert (found["State"], found["IncludeLinkedAccountsMetrics"]) == ("running", False)
    assert "IncludeFilters" not in found
    cloudwatch.stop_metric_streams(Names=[name])
    assert cloudwatch.get_metric_stream(Name=name)["State"] == "stopped"
    cloudwatch.delete_metric_stream(Name=name)
    with pytest.raises(ClientError):
        cloudwatch.get_metric_stream(Name=name)


def test_what_is_not_there_is_said_by_name(cloudwatch: Any) -> None:
    with pytest.raises(ClientError) as caught:
        cloudwatch.describe_insight_rules()
    assert error_of(caught)[0] == "NotImplementedException"
    assert "cloudwatch:DescribeInsightRules" in error_of(caught)[1]


def test_compressed_data_are_read(server: CossetServer, namespace: str) -> None:
    cloudwatch = server.client("cloudwatch", config=Config(request_min_compression_size_bytes=1))
    cloudwatch.put_metric_data(Namespace=namespace, MetricData=[{"MetricName": "m", "Value": 1.0}] * 100)
    [result] = cloudwatch.get_metric_data(MetricDataQueries=[query(namespace)], **around())["MetricDataResults"]
    assert result["Values"] == [100.0]


def test_iam_decides_by_namespace_and_by_alarm(server: CossetServer, namespace: str) -> None:
    iam, user = server.client("iam"), f"meter-{uuid.uuid4().hex[:8]}"
    alarm = f"arn:aws:cloudwatch:{server.region}:{server.account}:alarm:mine"
    statements = [
        {
            "Effect": "Allow",
            "Action": "cloudwatch:PutMetricData",
            "Resource": "*",
            "Condition": {"StringEquals": {"cloudwatch:namespace": namespace}},
        },
        {"Effect": "Allow", "Action": "cloudwatch:DescribeAlarms", "Resource": alarm},
    ]
    iam.create_user(UserName=user)
    document = json.dumps({"Version": "2012-10-17", "Statement": statements})
    iam.put_user_policy(UserName=user, PolicyName="p", PolicyDocument=document)
    key = iam.create_access_key(UserName=user)["AccessKey"]
    cloudwatch = server.session().client(
        "cloudwatch",
        endpoint_url=server.endpoint,
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
    )
    value = [{"MetricName": "m", "Value": 1.0}]
    cloudwatch.put_metric_data(Namespace=namespace, MetricData=value)
    assert cloudwatch.describe_alarms(AlarmNames=["mine"])["MetricAlarms"] == []
    for refused in (
        lambda: cloudwatch.put_metric_data(Namespace="other", MetricData=value),
        lambda: cloudwatch.describe_alarms(AlarmNames=["mine", "other"]),
        lambda: cloudwatch.describe_alarms(),
        lambda: cloudwatch.list_metrics(),
        lambda: cloudwatch.delete_alarms(AlarmNames=["mine"]),
    ):
        with pytest.raises(ClientError) as caught:
            refused()
        assert error_of(caught)[0] in ("AccessDenied", "AccessDeniedException")
    iam.delete_access_key(UserName=user, AccessKeyId=key["AccessKeyId"])
    iam.delete_user_policy(UserName=user, PolicyName="p")
    iam.delete_user(UserName=user)
