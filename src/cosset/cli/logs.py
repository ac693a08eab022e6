"""`cosset logs FN`: a function's log, and with -f what it writes from now on."""

import json
import re
import signal
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

import click

from cosset.cli.client import connect, data_option, json_option, readable_errors
from cosset.cli.failure import Failure
from cosset.clock import SystemClock

POLL_S = 0.5
OVERLAP_MS = 5_000
"""How far back each poll looks again: events become visible a moment after they are dated."""
_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


@click.command()
@click.argument("function")
@click.option("-f", "--follow", is_flag=True, help="Go on printing until Ctrl-C.")
@click.option("--since", default="10m", show_default=True, help="How far back: 30s, 10m, 2h, 1d, or an ISO 8601 time.")
@data_option
@json_option
def logs(function: str, follow: bool, since: str, data: Path | None, as_json: bool) -> None:
    """Print the log of a function; --json prints one object a line."""
    start_ms = read_since(since, SystemClock().now_ms())
    with readable_errors():
        group = find_group(connect(data, "lambda"), function)
        client = connect(data, "logs")
        pause = _pause_until_interrupted() if follow else None
        try:
            for event in read_events(client, group, start_ms, pause):
                click.echo(json.dumps(event) if as_json else _line(event))
        except KeyboardInterrupt:
            return


def _pause_until_interrupted() -> Callable[[], None]:
    """A pause between polls that Ctrl-C ends. The interrupt is only noted where it falls: raised there, it could fall
    into a clean-up of the interpreter's that swallows it, and we would follow for ever. A second one ends at once."""
    interrupted = threading.Event()

    def note(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        interrupted.set()

    def pause() -> None:
        if interrupted.wait(POLL_S):
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, note)
    return pause


def read_since(text: str, now_ms: int) -> int:
    """Epoch milliseconds. Raises: Failure, when it is neither a span nor a time."""
    match = re.fullmatch(r"(\d+)([smhdw])", text)
    if match:
        return max(0, now_ms - int(match[1]) * _UNITS_S[match[2]] * 1000)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Failure(f"--since {text!r} is no time", "say 30s, 10m, 2h, 1d or 2026-01-31T12:00", exit_code=2) from None
    return int((moment if moment.tzinfo else moment.astimezone()).timestamp() * 1000)


def find_group(client: Any, function: str) -> str:
    """The log group of the function, also of one that is deleted."""
    name = function.rpartition(":function:")[2].split(":")[0]
    try:
        found = client.get_function_configuration(FunctionName=function)
    except client.exceptions.ResourceNotFoundException:
        return f"/aws/lambda/{name}"
    return str(found.get("LoggingConfig", {}).get("LogGroup") or f"/aws/lambda/{name}")


def read_events(
    client: Any, group: str, start_ms: int, pause: Callable[[], None] | None = None
) -> Iterator[dict[str, Any]]:
    """The events of a group from `start_ms` on, each once; with `pause`, called between polls, without end.

    Raises:
        Failure: the group does not exist, and we are not to wait for it.
    """
    seen: dict[str, int] = {}
    while True:
        try:
            for event in _poll(client, group, start_ms):
                if event["eventId"] not in seen:
                    seen[event["eventId"]] = event["timestamp"]
                    yield {name: event[name] for name in ("timestamp", "message", "logStreamName")}
        except client.exceptions.ResourceNotFoundException:
            if pause is None:
                fix = "nothing has been logged: was the function invoked?"
                raise Failure(f"there is no log group {group}", fix) from None
        if pause is None:
            return
        start_ms = max([start_ms, *(moment - OVERLAP_MS for moment in seen.values())])
        seen = {event_id: moment for event_id, moment in seen.items() if moment >= start_ms}
        pause()


def _poll(client: Any, group: str, start_ms: int) -> Iterator[dict[str, Any]]:
    arguments = {"logGroupName": group, "startTime": start_ms}
    while True:
        page = client.filter_log_events(**arguments)
        yield from page["events"]
        if not page.get("nextToken"):
            return
        arguments["nextToken"] = page["nextToken"]


def _line(event: dict[str, Any]) -> str:
    moment = datetime.fromtimestamp(event["timestamp"] / 1000, UTC).astimezone()
    return f"{click.style(moment.strftime('%H:%M:%S.%f')[:-3], dim=True)} {event['message'].rstrip()}"
