"""What a function's answer says of its batch, with `ReportBatchItemFailures`. Pure.

AWS's tables: nothing named, nothing failed; an answer that cannot be read, or names what was not in the batch, fails
all of it. Source: AWS Lambda developer guide, "Reporting batch item failures"; recorded:
test_kinesis_report_batch_item_success_scenarios and ..._failure_scenarios, and the same for DynamoDB.
"""

import json
from collections.abc import Sequence
from typing import Any

REPORTS = "ReportBatchItemFailures"


def failed_ids(payload: bytes, ids: Sequence[str]) -> frozenset[str]:
    """Those of `ids` that failed; all of them, where the answer is not to be understood."""
    everything = frozenset(ids)
    try:
        answer = json.loads(payload) if payload else None
    except (ValueError, RecursionError):
        return everything
    if answer is None or answer in ("", {}, []):
        return frozenset()
    if not isinstance(answer, dict):
        return everything
    failures = answer.get("batchItemFailures")
    if failures is None:
        return frozenset()
    if not isinstance(failures, list):
        return everything
    named = [_identifier(failure) for failure in failures]
    if any(name is None or name not in everything for name in named):
        return everything
    return frozenset(name for name in named if name is not None)


def _identifier(failure: Any) -> str | None:
    name = failure.get("itemIdentifier") if isinstance(failure, dict) else None
    return name if isinstance(name, str) and name else None
