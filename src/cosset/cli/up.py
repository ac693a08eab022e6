"""`cosset up`: reads the settings, starts the server, tells the user where it is and how to reach it.

This process stays as the launcher, which may be root: it imports little and parses nothing hostile. Everything heavy
is imported by the server process. Read next: cosset/server.py.
"""

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cosset.cli import configuration, profile

if TYPE_CHECKING:
    from cosset.ready import Ready


@click.command()
@configuration.settings_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON line when ready, instead of the banner.")
def up(as_json: bool, **flags: Any) -> None:
    """Serve Lambda, its logs and its roles on this machine until Ctrl-C.

    Every flag is also a variable (COSSET_PORT) and a key of cosset.toml (port); see docs/settings.md.
    """
    from cosset import server

    settings = configuration.load(flags, os.environ, Path.cwd())

    def on_ready(ready: "Ready") -> None:
        where = _keep_profile(ready, for_user=settings.profile)
        click.echo(_line(ready, settings.profile) if as_json else _banner(ready, where))
        sys.stdout.flush()

    try:
        sys.exit(server.run(settings, on_ready))
    except server.OwnerError as error:
        raise click.ClickException(str(error)) from error


def _keep_profile(ready: "Ready", *, for_user: bool) -> str:
    """Writes the profile where it is wanted; answers the sentence that says how clients find us."""
    if ready.access_key_id is None or ready.secret_access_key is None:
        return "the administrator has no access key any more: use a key of your own"
    found = profile.Profile(ready.endpoint, ready.access_key_id, ready.secret_access_key, ready.region)
    by_hand = f"eval $(cosset env --data {ready.data})"
    try:
        profile.write(profile.Files.of_data(ready.data), found)
        if not for_user:
            return f"point tools here with: {by_hand}"
        files = profile.Files.of_user(os.environ)
        profile.write(files, found)
    except OSError as error:
        click.echo(f"cosset: the AWS profile could not be written: {error}\n  fix: {by_hand}", err=True)
        return "no AWS profile written"
    return f"AWS profile `{profile.NAME}` in {files.config.parent}: aws --profile {profile.NAME} lambda list-functions"


def _line(ready: "Ready", has_profile: bool) -> str:
    return json.dumps(
        {
            "endpoint": ready.endpoint,
            "account": ready.account,
            "region": ready.region,
            "profile": profile.NAME if has_profile else None,
            "data": str(ready.data),
            "tier": ready.tier,
            "iam": ready.iam_mode,
            "first_start": ready.first_start,
            "pid": os.getpid(),
        }
    )


def _banner(ready: "Ready", where: str) -> str:
    weak = "" if ready.tier != "process" else click.style("  This tier isolates nothing.", fg="red", bold=True)
    return "\n".join(
        [
            f"{click.style('Cosset', bold=True)} at {click.style(ready.endpoint, fg='cyan', bold=True)}"
            f"  account {ready.account}, {ready.region}",
            f"  data {ready.data}   isolation {ready.tier}   IAM {ready.iam_mode}{weak}",
            f"  {where}",
            "  Ctrl-C stops it.",
        ]
    )
