"""`cosset map`: the live graph of what triggers what, with counts, and what is set up but silent."""

import json
import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from cosset.cli.client import data_option, json_option
from cosset.cli.failure import Failure
from cosset.cli.own import call_own
from cosset.cli.trace import printable, short_name

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_LONGEST_DAYS = 366
_SPAN = re.compile(r"([0-9]{1,6})([smhd])", re.ASCII)


@click.command("map")
@click.option("--since", default="1h", show_default=True, metavar="SPAN", help="How far back: 90s, 15m, 6h, 2d.")
@click.option("--mermaid", "style", flag_value="mermaid", help="Print a Mermaid flowchart.")
@click.option("--dot", "style", flag_value="dot", help="Print a Graphviz digraph.")
@data_option
@json_option
def map_(since: str, style: str | None, data: Path | None, as_json: bool) -> None:
    """Print what triggered what, how often, and what is set up to but has not."""
    answer = call_own(data, "GetMap", since_s=seconds(since))
    if as_json:
        click.echo(json.dumps(answer))
        return
    if style is None and answer["oldest_ms"] is not None and answer["oldest_ms"] > answer["since_ms"]:
        begin = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(answer["oldest_ms"] / 1000))
        click.echo(f"counted from {begin} UTC on, where the record begins", err=True)
    for line in {"mermaid": mermaid, "dot": dot, None: table}[style](answer["edges"]):
        click.echo(line)


def seconds(span: str) -> int:
    """Raises: Failure."""
    found = _SPAN.fullmatch(span)
    meant = int(found[1]) * _SECONDS[found[2]] if found is not None else 0
    if not 0 < meant <= _LONGEST_DAYS * 86_400:
        fix = f"for instance: --since 15m; up to {_LONGEST_DAYS}d"
        raise Failure(f"{span!r} is no span of time to look back", fix, exit_code=2)
    return meant


def table(edges: Sequence[dict[str, Any]]) -> Iterator[str]:
    rows = [(label(each["source"]), label(each["target"]), _counted(each), printable(each["means"])) for each in edges]
    if not rows:
        yield "nothing triggers anything here"
        return
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for source, target, counted, means in rows:
        yield f"{source:<{widths[0]}}  ->  {target:<{widths[1]}}  {counted:>{widths[2]}}  {means}".rstrip()


def mermaid(edges: Sequence[dict[str, Any]]) -> Iterator[str]:
    numbers = _numbers(edges)
    yield "flowchart LR"
    for arn, number in numbers.items():
        yield f'  n{number}["{_quoted(label(arn), "#quot;")}"]'
    for each in edges:
        arrow = "-->" if each["count"] else "-.->"
        yield f'  n{numbers[each["source"]]} {arrow}|"{_counted(each)}"| n{numbers[each["target"]]}'


def dot(edges: Sequence[dict[str, Any]]) -> Iterator[str]:
    numbers = _numbers(edges)
    yield "digraph cosset {"
    yield "  rankdir=LR; node [shape=box];"
    for arn, number in numbers.items():
        yield f'  n{number} [label="{_quoted(label(arn), chr(39))}"];'
    for each in edges:
        style = "" if each["count"] else ", style=dashed"
        yield f'  n{numbers[each["source"]]} -> n{numbers[each["target"]]} [label="{_counted(each)}"{style}];'
    yield "}"


def label(arn: str) -> str:
    """`queue orders`, `function resize`: what it is, and its name."""
    kinds = {"lambda": "function", "sqs": "queue", "sns": "topic", "s3": "bucket"}
    kinds |= dict.fromkeys(("iam", "sts", "logs", "cloudwatch"), "")  # what follows says it by itself
    parts = arn.split(":")
    kind = kinds.get(parts[2], parts[2]) if len(parts) > 5 else ""
    return printable(f"{kind} {short_name(arn)}".strip())


def _counted(edge: dict[str, Any]) -> str:
    if not edge["count"]:
        return "silent"
    errors = f", {edge['errors']} failed" if edge["errors"] else ""
    return f"{edge['count']}{errors}"


def _numbers(edges: Sequence[dict[str, Any]]) -> dict[str, int]:
    arns = dict.fromkeys(arn for each in edges for arn in (each["source"], each["target"]))
    return {arn: number for number, arn in enumerate(arns)}


def _quoted(text: str, instead: str) -> str:
    return text.replace("\\", "/").replace('"', instead)
