"""`cosset status`: is it running, whose is it, how much does it hold."""

import json
import os
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import click

from cosset.cli.client import connect, data_option, find_profile, json_option, readable_errors
from cosset.cli.configuration import default_data
from cosset.cli.failure import Failure
from cosset.cli.own import call_own

HEALTH = "/_cosset/health"
METRICS = "/_cosset/metrics"
METRICS_TOKEN = "metrics.token"
TIMEOUT_S = 5
_SHOWN = 10


@click.command()
@data_option
@json_option
def status(data: Path | None, as_json: bool) -> None:
    """Say whether the server can take an invocation. Ends with 1 when it cannot."""
    endpoint = find_profile(data, os.environ).endpoint
    found: dict[str, Any] = {"endpoint": endpoint, "healthy": False, "health": ask_health(endpoint)}
    found["healthy"] = found["health"]["status"] == 200
    if found["healthy"]:
        with readable_errors():
            found |= _account(data)
        found |= _denied(data)
        found |= _metrics(data, endpoint)
    if as_json:
        click.echo(json.dumps(found))
    else:
        _print(found)
    sys.exit(0 if found["healthy"] else 1)


def ask_health(endpoint: str) -> dict[str, Any]:
    """What the door says of itself: its status, None when nothing answers, and its words."""
    # No proxy: the server is on this machine or beside it.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(endpoint + HEALTH, timeout=TIMEOUT_S) as answer:
            return {"status": answer.status, "detail": answer.read().decode(errors="replace").strip()}
    except urllib.error.HTTPError as error:
        with error:
            return {"status": error.code, "detail": error.read().decode(errors="replace").strip()}
    except OSError as error:
        return {"status": None, "detail": str(getattr(error, "reason", error))}


def _account(data: Path | None) -> dict[str, Any]:
    identity = connect(data, "sts").get_caller_identity()
    client = connect(data, "lambda")
    functions = sum(len(page["Functions"]) for page in client.get_paginator("list_functions").paginate())
    return {"account": identity["Account"], "caller": identity["Arn"], "functions": functions}


def _denied(data: Path | None) -> dict[str, Any]:
    """Only an administrator may know; a status is for everyone."""
    try:
        answer = call_own(data, "ListDenied")
    except Failure:
        return {}
    return {"iam": answer["mode"], "denied": answer["denied"]}


def _metrics(data: Path | None, endpoint: str) -> dict[str, Any]:
    """Where Prometheus reads, told to who may read the token: on this machine, of this data folder."""
    token = (data or default_data(os.environ)) / METRICS_TOKEN
    if not os.access(token, os.R_OK):
        return {}
    return {"metrics": {"url": endpoint + METRICS, "token_file": str(token)}}


def _print(found: dict[str, Any]) -> None:
    if not found["healthy"]:
        status = found["health"]["status"]
        said = "nothing answers" if status is None else f"not ready, status {status}"
        click.echo(f"{click.style(said, fg='red')} at {found['endpoint']}: {found['health']['detail']}")
        click.echo("  fix: cosset up, or cosset doctor to see what is missing", err=True)
        return
    click.echo(f"{click.style('ready', fg='green')} at {found['endpoint']}")
    click.echo(f"  account {found['account']}, {found['functions']} functions, you are {found['caller']}")
    if "metrics" in found:
        click.echo(
            f"  metrics {found['metrics']['url']}, for the bearer of the token in {found['metrics']['token_file']}"
        )
    if "iam" in found:
        _print_denied(found["iam"], found["denied"])


def _print_denied(mode: str, denied: list[dict[str, Any]]) -> None:
    """Those that asked most often first."""
    what = "would have been denied" if mode == "audit" else "of functions were denied"
    calls = sum(each["denied"] for each in denied)
    click.echo(f"  IAM {mode}, {calls} calls {what}" + (":" if denied else ""))
    for each in denied[:_SHOWN]:
        click.echo(f"    {each['denied']:>5}  " + _plain(f"{each['subject']}: {each['action']} on {each['resource']}"))
        click.echo("           " + _plain(each["reason"]))
    if len(denied) > _SHOWN:
        click.echo(f"    and {len(denied) - _SHOWN} more: cosset status --json")
    if any(":function:" in each["subject"] for each in denied):
        click.echo("  what a function needs: cosset policy suggest FUNCTION")


def _plain(text: str) -> str:
    """Functions choose what they ask for: nothing of it may steer the terminal."""
    return "".join(each if each.isprintable() else "?" for each in text)
