"""`cosset env`: prints what points any AWS tool at this server, for `eval $(cosset env)`."""

import json
import os
import shlex
from pathlib import Path

import click

from cosset.cli.client import data_option, find_profile, json_option

UNSET = ("AWS_SESSION_TOKEN", "AWS_PROFILE")
"""What would win over, or spoil, the keys that we set."""


@click.command()
@data_option
@json_option
def env(data: Path | None, as_json: bool) -> None:
    """Print the variables that point AWS tools here: eval $(cosset env)

    The lines suit sh, bash and zsh. They carry the administrator's secret key.
    """
    found = find_profile(data, os.environ)
    variables = {
        "AWS_ENDPOINT_URL": found.endpoint,
        "AWS_ACCESS_KEY_ID": found.access_key_id,
        "AWS_SECRET_ACCESS_KEY": found.secret_access_key,
        "AWS_REGION": found.region,
        "AWS_DEFAULT_REGION": found.region,
    }
    if as_json:
        click.echo(json.dumps(variables))
        return
    # Each ends with a semicolon: an unquoted $(...) turns the line feeds into spaces.
    for name, value in variables.items():
        click.echo(f"export {name}={shlex.quote(value)};")
    click.echo(f"unset {' '.join(UNSET)};")
