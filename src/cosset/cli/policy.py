"""`cosset policy`: what IAM must allow a function, from the calls that it made."""

import json
from pathlib import Path

import click

from cosset.cli.client import data_option, json_option
from cosset.cli.failure import Failure
from cosset.cli.own import call_own


@click.group()
def policy() -> None:
    """Work out what a function's role must be allowed."""


@policy.command()
@click.argument("function")
@data_option
@json_option
def suggest(function: str, data: Path | None, as_json: bool) -> None:
    """Print the least policy that FUNCTION's recorded calls need, whether they were allowed or not.

    Ready for: aws iam put-role-policy --policy-document. With --json also the calls themselves.
    """
    answer = call_own(data, "SuggestPolicy", function=function)
    if as_json:
        click.echo(json.dumps(answer))
        return
    if answer["policy"] is None:
        raise Failure(
            f"{answer['function']} has made no calls yet", f"let it do its work: cosset invoke {function}; then again"
        )
    click.echo(json.dumps(answer["policy"], indent=2))
    denied = sum(bool(each["denied"]) for each in answer["calls"])
    click.echo(f"{len(answer['calls'])} kinds of calls recorded, {denied} of them denied at least once", err=True)
