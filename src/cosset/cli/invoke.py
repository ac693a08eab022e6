"""`cosset invoke FN`: calls a function and prints what it answered."""

import base64
import json
import sys
from pathlib import Path
from typing import Any

import click

from cosset.cli.client import connect, data_option, json_option, readable_errors
from cosset.cli.failure import Failure


@click.command()
@click.argument("function")
@click.option("--payload", default="{}", help="JSON text, @FILE, or - for standard input.  [default: {}]")
@click.option("--qualifier", help="Version or alias.")
@click.option("--async", "asynchronous", is_flag=True, help="Queue the event and return at once.")
@click.option("--tail", is_flag=True, help="Print the last 4 KB of this call's log, on standard error.")
@data_option
@json_option
def invoke(
    function: str,
    payload: str,
    qualifier: str | None,
    asynchronous: bool,
    tail: bool,
    data: Path | None,
    as_json: bool,
) -> None:
    """Invoke a function: its name or ARN. Ends with 1 when the function failed."""
    arguments: dict[str, Any] = {"FunctionName": function, "Payload": read_payload(payload)}
    if qualifier:
        arguments["Qualifier"] = qualifier
    if asynchronous:
        arguments["InvocationType"] = "Event"
    elif tail:
        arguments["LogType"] = "Tail"
    with readable_errors():
        answer = connect(data, "lambda").invoke(**arguments)
        body = answer["Payload"].read()
    show_answer(answer, body, as_json=as_json)
    sys.exit(1 if answer.get("FunctionError") else 0)


def show_answer(answer: dict[str, Any], body: bytes, *, as_json: bool) -> None:
    log = base64.b64decode(answer.get("LogResult", "")).decode(errors="replace")
    if as_json:
        click.echo(json.dumps(_described(answer, body, log)))
        return
    if log:
        click.echo(log, err=True, nl=not log.endswith("\n"))
    _print(answer, body)


def read_payload(payload: str) -> bytes:
    """Raises: Failure, when the file cannot be read."""
    if payload == "-":
        return sys.stdin.buffer.read()
    if payload.startswith("@"):
        try:
            return Path(payload[1:]).expanduser().read_bytes()
        except OSError as error:
            raise Failure(f"cannot read the payload: {error}", exit_code=2) from error
    return payload.encode()


def _described(answer: dict[str, Any], body: bytes, log: str) -> dict[str, Any]:
    try:
        payload = json.loads(body) if body else None
    except ValueError:
        payload = body.decode(errors="replace")
    return {
        "status": answer["StatusCode"],
        "version": answer.get("ExecutedVersion"),
        "function_error": answer.get("FunctionError"),
        "payload": payload,
        "log": log or None,
        "request_id": answer["ResponseMetadata"].get("RequestId"),
    }


def _print(answer: dict[str, Any], body: bytes) -> None:
    if answer["StatusCode"] == 202:
        click.echo(f"queued, request {answer['ResponseMetadata'].get('RequestId')}", err=True)
        return
    out = sys.stdout.buffer
    out.write(body if body.endswith(b"\n") or not out.isatty() else body + b"\n")
    out.flush()
    if answer.get("FunctionError"):
        click.echo(f"cosset: the function failed ({answer['FunctionError']})", err=True)
