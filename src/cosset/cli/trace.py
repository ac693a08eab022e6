"""`cosset trace ID`: the tree of what caused what, around a request, a message, an object or a trace."""

import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from cosset.cli.client import data_option, json_option
from cosset.cli.own import call_own

_KINDS = {
    "message": "message in queue",
    "topic-message": "message in topic",
    "dead-letter": "dead letter in queue",
    "post": "post to",
    "log-export": "export of",
}


@click.command()
@click.argument("id_", metavar="ID")
@data_option
@json_option
def trace(id_: str, data: Path | None, as_json: bool) -> None:
    """Print what caused ID and what ID caused, as a tree; ID itself is marked with >.

    ID is the request id of an invocation or another call, the id of an SQS or SNS message, an object
    (BUCKET/KEY or BUCKET/KEY@VERSION), an alarm (alarm:NAME), an export of logs (its task's id), or a trace (1-...).
    """
    answer = call_own(data, "GetTrace", id=id_)
    if as_json:
        click.echo(json.dumps(answer))
        return
    for line in tree_lines(answer["steps"]):
        click.echo(line)
    if answer["left_out"]:
        click.echo(f"... and {answer['left_out']} more", err=True)


def tree_lines(steps: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Of steps in order, each with its depth."""
    open_at: list[bool] = []
    for number, step in enumerate(steps):
        depth = step["depth"]
        # A line goes on beneath this step where another of its depth follows before one of a lesser.
        following = next((each["depth"] for each in steps[number + 1 :] if each["depth"] <= depth), -1)
        del open_at[depth:]
        open_at.append(following == depth)
        stem = "".join("│  " if is_open else "   " for is_open in open_at[1:depth])
        branch = ("├─ " if following == depth else "└─ ") if depth else ""
        yield f"{'>' if step.get('asked') else ' '} {stem}{branch}{describe(step)}"


def describe(step: dict[str, Any]) -> str:
    """One step in one line: what it was, how it went, when, and the id by which it is found."""
    parts = [_what(step)]
    if step.get("error"):
        parts.append(f"({step['error']})")
    if step.get("times", 1) > 1:
        parts.append(f"tried {step['times']} times")
    if step["kind"] == "invocation":
        parts.append(f"{step.get('duration_ms', 0):.1f} ms")
    at = time.strftime("%H:%M:%S", time.gmtime(step["at_ms"] / 1000)) + f".{step['at_ms'] % 1000:03d}"
    parts.append(at)
    if step["kind"] not in ("object", "alarm"):
        parts.append(step["id"].partition("#")[0])
    if step.get("again"):
        parts.append("(as above)")
    return printable("  ".join(parts))


def printable(text: str) -> str:
    """On one line whatever it is: the keys of objects may hold what moves a terminal's cursor."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode("ascii") for each in text)


def _what(step: dict[str, Any]) -> str:
    name = short_name(step["resource"])
    if step["kind"] == "invocation":
        return f"function {name} [{step.get('name', '')}]"
    if step["kind"] == "call":
        by = f" by {short_name(step['source'])}" if step["depth"] == 0 and step.get("source") else ""
        return f"{step.get('name', 'call')} {name}{by}"
    said = f" ({step['name']})" if step.get("name") else ""
    if step["kind"] == "object":
        return f"object {step['id'].rpartition('#')[0]}{said}"
    if step["kind"] == "alarm":
        return f"{name} {step.get('name', '')}".rstrip()
    if step["kind"] == "log-events":
        return f"events of {name} by {step.get('name', '')}"
    return f"{_KINDS.get(step['kind'], step['kind'])} {name}{said if step['kind'] == 'message' else ''}"


def short_name(arn: str) -> str:
    """The part of an ARN that people say; a bare name as it is."""
    parts = arn.split(":", 5)
    if len(parts) < 6:
        return arn
    rest = parts[5]
    if parts[2] == "lambda":
        return rest.removeprefix("function:")
    if parts[2] == "logs":
        return rest.removesuffix(":*").replace("log-group:", "log group ", 1)
    if parts[2] == "cloudwatch":
        return rest.replace("alarm:", "alarm ", 1)
    return rest
