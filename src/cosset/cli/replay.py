"""`cosset replay REQUEST_ID`: runs a recorded event again, on any version."""

import base64
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from cosset.cli.client import connect, data_option, json_option, readable_errors
from cosset.cli.failure import Failure
from cosset.cli.invoke import show_answer
from cosset.cli.own import call_own
from cosset.observe.causes import key_of


@click.command()
@click.argument("request_id")
@click.option("--function", metavar="NAME[:QUALIFIER]", help="Another function or version than the one that ran.")
@click.option("--async", "asynchronous", is_flag=True, help="Queue the event and return at once.")
@click.option("--tail", is_flag=True, help="Print the last 4 KB of this call's log, on standard error.")
@data_option
@json_option
def replay(
    request_id: str, function: str | None, asynchronous: bool, tail: bool, data: Path | None, as_json: bool
) -> None:
    """Run the event of REQUEST_ID again, as `cosset invoke` would. `cosset trace` shows it as caused by the first.

    REQUEST_ID is that of the invocation: also of one that was queued. Ends with 1 when the function failed. Takes the
    right cosset:GetRecordedEvent and that to invoke the function.
    """
    event = call_own(data, "GetRecordedEvent", request_id=request_id)
    arguments = arguments_of(event, function)
    if asynchronous:
        arguments["InvocationType"] = "Event"
    elif tail:
        arguments["LogType"] = "Tail"
    with _hint(function), readable_errors():
        client = connect(data, "lambda")
        header = (
            f"Root=1-{event['at_ms'] // 1000:08x}-{key_of(request_id)}00000000;Parent={key_of(request_id)};Sampled=0"
        )
        client.meta.events.register(
            "before-send.lambda.Invoke", lambda request, **_: request.headers.__setitem__("X-Amzn-Trace-Id", header)
        )
        answer = client.invoke(**arguments)
        body = answer["Payload"].read()
    show_answer(answer, body, as_json=as_json)
    sys.exit(1 if answer.get("FunctionError") else 0)


@contextmanager
def _hint(function: str | None) -> Iterator[None]:
    """The function or the version that ran may be gone; the event is there all the same."""
    try:
        yield
    except Failure as failure:
        if function is None and "ResourceNotFoundException" in failure.message:
            failure.fix = "run it on another function or version: --function NAME[:QUALIFIER]"
        raise


def arguments_of(event: dict[str, Any], function: str | None) -> dict[str, Any]:
    """For lambda:Invoke. Without `function` the qualifier is the one that the caller named then."""
    name, _, qualifier = (function or event["function"]).partition(":")
    if function is not None and function.startswith("arn:"):
        name, qualifier = function, ""
    arguments: dict[str, Any] = {"FunctionName": name, "Payload": base64.b64decode(event["payload"])}
    if function is None:
        qualifier = event["qualifier"] or ""
    if qualifier:
        arguments["Qualifier"] = qualifier
    if event["client_context"]:
        arguments["ClientContext"] = base64.b64encode(event["client_context"].encode()).decode()
    return arguments
