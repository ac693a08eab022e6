"""The platform's lines, to the character. REPORT and INIT_START as recorded on AWS (lambda)."""

import json
from dataclasses import replace
from typing import Any

import pytest

from cosset.observe.log_lines import (
    InitReport,
    InitStart,
    Record,
    Report,
    RuntimeDone,
    Start,
    end_line,
    platform_message,
    report_line,
)

INIT = InitStart(
    time_ms=1_763_700_000_123,
    runtime_version="python:3.13.v10",
    runtime_version_arn="arn:aws:lambda:us-east-1::runtime:abc",
    function_name="greet",
    function_version="$LATEST",
    memory_mb=128,
    instance_id="e1",
)
START = Start(time_ms=1_763_700_000_123, request_id="r-1", version="$LATEST")
REPORT = Report(time_ms=1_763_700_000_123, request_id="r-1", duration_ms=2.9, memory_mb=128, max_memory_used_mb=36)


def test_text_lines() -> None:
    assert platform_message(INIT, "Text", None) == (
        "INIT_START Runtime Version: python:3.13.v10\tRuntime Version ARN: arn:aws:lambda:us-east-1::runtime:abc\n"
    )
    assert platform_message(START, "Text", None) == "START RequestId: r-1 Version: $LATEST\n"
    assert end_line("r-1") == "END RequestId: r-1\n"
    assert report_line(REPORT) == (
        "REPORT RequestId: r-1\tDuration: 2.90 ms\tBilled Duration: 3 ms\tMemory Size: 128 MB\t"
        "Max Memory Used: 36 MB\t\n"
    )


def test_report_of_a_cold_start_bills_the_initialization() -> None:
    assert report_line(REPORT._replace(duration_ms=395.99, init_duration_ms=265.72)) == (
        "REPORT RequestId: r-1\tDuration: 395.99 ms\tBilled Duration: 662 ms\tMemory Size: 128 MB\t"
        "Max Memory Used: 36 MB\tInit Duration: 265.72 ms\t\n"
    )


@pytest.mark.parametrize(("duration_ms", "billed"), [(0.001, 0), (0.01, 1), (1.0, 1), (1.0000001, 1), (1.01, 2)])
def test_billed_duration_rounds_up_what_is_shown(duration_ms: float, billed: int) -> None:
    assert REPORT._replace(duration_ms=duration_ms).billed_duration_ms == billed


def test_report_of_what_did_not_end_well() -> None:
    assert report_line(REPORT._replace(status="timeout", error_type="Sandbox.Timedout")).endswith(
        " MB\tStatus: timeout\n"
    )
    exited = REPORT._replace(status="error", error_type="Runtime.ExitError")
    assert report_line(exited).endswith(" MB\tStatus: error\tError Type: Runtime.ExitError\n")
    assert "Status" not in report_line(REPORT._replace(status="failure", error_type="ValueError"))


def test_failure_lines() -> None:
    report = InitReport(time_ms=0, duration_ms=9.5, status="error", error_type="Runtime.ImportModuleError")
    assert platform_message(report, "Text", None) == (
        "INIT_REPORT Init Duration: 9.50 ms\tPhase: init\tStatus: error\tError Type: Runtime.ImportModuleError\n"
    )


def _json(record: Record, level: str | None = None) -> Any:
    message = platform_message(record, "JSON", level)
    assert message is not None
    assert message.endswith("\n")
    return json.loads(message)


def test_json_records() -> None:
    assert _json(START._replace(trace_id="Root=1-2-3")) == {
        "time": "2025-11-21T04:40:00.123Z",
        "type": "platform.start",
        "record": {
            "requestId": "r-1",
            "version": "$LATEST",
            "tracing": {"type": "X-Amzn-Trace-Id", "value": "Root=1-2-3"},
        },
    }
    assert _json(REPORT._replace(init_duration_ms=100.1234))["record"] == {
        "requestId": "r-1",
        "metrics": {
            "durationMs": 2.9,
            "billedDurationMs": 104,
            "memorySizeMB": 128,
            "maxMemoryUsedMB": 36,
            "initDurationMs": 100.123,
        },
        "status": "success",
    }
    assert _json(INIT)["record"]["runtimeVersion"] == "python:3.13.v10"
    done = RuntimeDone(START.time_ms, "r-1", 11.1849, "timeout", None, "Sandbox.Timedout")
    assert _json(done) == {
        "time": "2025-11-21T04:40:00.123Z",
        "type": "platform.runtimeDone",
        "record": {
            "requestId": "r-1",
            "status": "timeout",
            "errorType": "Sandbox.Timedout",
            "metrics": {"durationMs": 11.185},
        },
    }
    succeeded = done._replace(status="success", error_type=None, produced_bytes=40)
    assert _json(succeeded, "DEBUG")["record"]["metrics"] == {"durationMs": 11.185, "producedBytes": 40}
    assert platform_message(succeeded, "JSON", None) is None
    assert platform_message(done, "Text", None) is None


def test_the_init_of_a_provisioned_environment_is_more_than_a_detail() -> None:
    report = InitReport(time_ms=0, duration_ms=9.5, status="success")
    assert platform_message(report, "JSON", None) is None
    assert _json(report, "DEBUG")["record"]["metrics"] == {"durationMs": 9.5}
    assert _json(replace(report, kind="provisioned-concurrency"))["record"]["status"] == "success"


@pytest.mark.parametrize(
    ("record", "kept_by"),
    [
        (START, {"DEBUG", "INFO", None}),
        (REPORT, {"DEBUG", "INFO", None}),
        (REPORT._replace(status="timeout"), {"DEBUG", "INFO", "WARN", None}),
        (InitReport(time_ms=0, duration_ms=1, status="success"), {"DEBUG"}),
        (InitReport(time_ms=0, duration_ms=1, status="error"), {"DEBUG", "INFO", "WARN", None}),
    ],
)
def test_the_system_log_level_filters_json_only(record: Record, kept_by: set[str | None]) -> None:
    levels: list[str | None] = ["DEBUG", "INFO", "WARN", None]
    assert {level for level in levels if platform_message(record, "JSON", level) is not None} == kept_by
    assert all(platform_message(record, "Text", level) is not None for level in levels)
