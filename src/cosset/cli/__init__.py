"""The command `cosset`: one module a command, loaded only when that command runs.

Refuses to hold logic of its own: a command reads its flags, calls one room or one AWS operation, and prints. `up` is
the way in to the server; the others are ordinary AWS clients. Read next: up.py, then configuration.py.
"""

import difflib
import errno
import os
from importlib import import_module
from typing import Any

import click

from cosset import __version__

COMMANDS = {
    "up": "cosset.cli.up:up",
    "env": "cosset.cli.env:env",
    "invoke": "cosset.cli.invoke:invoke",
    "logs": "cosset.cli.logs:logs",
    "trace": "cosset.cli.trace:trace",
    "map": "cosset.cli.map:map_",
    "replay": "cosset.cli.replay:replay",
    "status": "cosset.cli.status:status",
    "account": "cosset.cli.account:account",
    "key": "cosset.cli.key:key",
    "policy": "cosset.cli.policy:policy",
    "snapshot": "cosset.cli.snapshot:snapshot",
    "bill": "cosset.cli.bill:bill",
    "doctor": "cosset.cli.doctor:doctor",
    "runtimes": "cosset.cli.runtimes:runtimes",
}
"""Where each command lives. `up` must start without the imports of the others: its process becomes the launcher."""


INTERRUPTED = 130
"""The exit code of what Ctrl-C ended, as of any command in a shell."""


class LazyGroup(click.Group):
    """Imports a command's module when the command is asked for; names the nearest for one that does not exist."""

    def invoke(self, ctx: click.Context) -> Any:
        if os.environ.get("NO_COLOR"):
            ctx.color = False
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            ctx.exit(INTERRUPTED)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            click.echo(f"cosset: cannot write: {error.strerror}", err=True)
            ctx.exit(1)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        place = COMMANDS.get(cmd_name)
        if place is None:
            return None
        module, _, attribute = place.partition(":")
        command = getattr(import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            near = difflib.get_close_matches(name, COMMANDS, n=1, cutoff=0.5)
            hint = f"Did you mean '{near[0]}'?" if near else f"There are: {', '.join(COMMANDS)}."
            raise click.UsageError(f"No such command '{name}'. {hint}", ctx)
        return super().resolve_command(ctx, args)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="cosset")
def main() -> None:
    """AWS Lambda on your own machines. Begin with `cosset up`."""
