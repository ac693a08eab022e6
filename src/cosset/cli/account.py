"""`cosset account`: further accounts in the same server, each with an administrator and an AWS profile of its own."""

import json
import os
import shlex
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from cosset.cli import profile
from cosset.cli.client import data_option, find_profile, json_option
from cosset.cli.own import call_own


@click.group()
def account() -> None:
    """Add accounts to the server, and list them. They see nothing of each other."""


@account.command()
@click.argument("number", required=False)
@click.option("--profile/--no-profile", "keep", default=True, help="Keep its key in the AWS profile cosset-<account>.")
@data_option
@json_option
def add(number: str | None, keep: bool, data: Path | None, as_json: bool) -> None:
    """Make an account, NUMBER or one that is drawn, and keep its administrator's key in an AWS profile.

    With --data the profile is written into the data folder's AWS files. The key is not told again.
    """
    where = find_profile(data, os.environ)
    made = call_own(data, "CreateAccount", **({"account": number} if number else {}))
    name = f"{profile.NAME}-{made['account']}"
    found = profile.Profile(where.endpoint, made["access_key_id"], made["secret_access_key"], where.region)
    files = profile.Files.of_data(data) if data else profile.Files.of_user(os.environ)
    if keep:
        try:
            profile.write(files, found, name)
        except OSError as error:
            click.echo(f"cosset: the AWS profile could not be written: {error}; keep the key yourself", err=True)
            keep = False
    if as_json:
        key = {} if keep else {each: made[each] for each in ("access_key_id", "secret_access_key")}
        click.echo(json.dumps({"account": made["account"], "profile": name if keep else None, **key}))
    elif keep:
        click.echo(f"account {made['account']}: aws --profile {name} sts get-caller-identity")
        click.echo(f"  its administrator's key is in {files.credentials}")
    else:
        click.echo(f"# account {made['account']}")
        click.echo(f"export AWS_ACCESS_KEY_ID={shlex.quote(made['access_key_id'])};")
        click.echo(f"export AWS_SECRET_ACCESS_KEY={shlex.quote(made['secret_access_key'])};")


@account.command("list")
@data_option
@json_option
def show(data: Path | None, as_json: bool) -> None:
    """List the accounts of the server. For administrators of the one that it started with."""
    for each in call_own(data, "ListAccounts")["accounts"]:
        click.echo(json.dumps(each) if as_json else _line(each))


def _line(each: dict[str, Any]) -> str:
    made = datetime.fromtimestamp(each["created_ms"] / 1000, UTC).strftime("%Y-%m-%d %H:%M")
    return f"{each['account']}  {made}  {each['alias'] or ''}{'  (yours)' if each['own'] else ''}"
