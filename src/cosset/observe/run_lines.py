"""Invocations as lines of the record: packed together, what those of one function share written once.

Made off the loop, of tuples that the loop only put down. A line is an object, `{"of": what they share, "runs": rows}`;
lines that are lists hold other steps, and those of earlier releases. Pure. Read next: cause_buffer.py.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from json import JSONEncoder
from typing import Any

from cosset.observe.causes import MAX_CAUSES, Ran, RecordedEvent, Step, StepKind, root_in

ROWS_A_LINE = 200
EVENTS_A_LINE = 20
_encode = JSONEncoder(separators=(",", ":"), check_circular=False).encode


def pack_steps(runs: Sequence[Ran]) -> Iterator[bytes]:
    groups: dict[tuple[Any, ...], list[list[Any]]] = {}
    for run in runs:
        began_ms = run.ended_ms - int(run.duration_ms)
        row = [run.request_id, began_ms, int(run.duration_ms * 100), run.causes[:MAX_CAUSES], _root(run.trace_id)]
        if run.unkept:
            row.append(run.unkept)
        shared = (run.account, run.region, run.function_arn, run.version, run.source, run.error)
        rows = groups.get(shared)
        if rows is None:
            groups[shared] = [row]
        else:
            rows.append(row)
    return _lines(groups, ROWS_A_LINE)


def pack_events(runs: Sequence[Ran]) -> Iterator[bytes]:
    """The payload's bytes as characters: it is nearly always ASCII, and may be anything."""
    groups: dict[tuple[Any, ...], list[list[Any]]] = {}
    for run in runs:
        if run.payload is None:
            continue
        row = [run.request_id, run.ended_ms - int(run.duration_ms), run.payload.decode("latin-1")]
        shared = (run.account, run.region, run.function_name, run.qualifier, run.client_context)
        rows = groups.get(shared)
        if rows is None:
            groups[shared] = [row]
        else:
            rows.append(row)
    return _lines(groups, EVENTS_A_LINE)


def read_steps(line: Mapping[str, Any]) -> Iterator[Step]:
    """Nothing of what is no such line."""
    try:
        account, region, function_arn, version, source, error = line["of"]
        for row in line["runs"]:
            request_id, at_ms, hundredths, causes, root = row[:5]
            yield Step(
                kind=StepKind.INVOCATION,
                id=request_id,
                account=account,
                region=region,
                resource=function_arn,
                at_ms=at_ms,
                name=version,
                source=source,
                causes=tuple(causes),
                duration_ms=hundredths / 100,
                error=error,
                root=root,
                unkept=row[5] if len(row) > 5 else "",
            )
    except (KeyError, TypeError, ValueError):
        return


def read_events(line: Mapping[str, Any]) -> Iterator[RecordedEvent]:
    try:
        account, region, function_name, qualifier, client_context = line["of"]
        for request_id, at_ms, payload in line["runs"]:
            yield RecordedEvent(
                request_id=request_id,
                account=account,
                region=region,
                function_name=function_name,
                qualifier=qualifier,
                at_ms=at_ms,
                client_context=client_context,
                payload=payload.encode("latin-1"),
            )
    except (KeyError, TypeError, ValueError, AttributeError):
        return


def _lines(groups: Mapping[tuple[Any, ...], list[list[Any]]], most: int) -> Iterator[bytes]:
    for shared, rows in groups.items():
        waiting = iter(rows)
        while part := list(islice(waiting, most)):
            yield _encode({"of": shared, "runs": part}).encode()


def _root(header: str) -> str:
    """What `root_in` says, without a search where the header begins with it, as nearly all do."""
    if header.startswith("Root=") and 5 < (end := header.find(";")) < 70:
        return header[5:end]
    return root_in(header)
