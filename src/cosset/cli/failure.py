"""How a command fails: one line with the cause, one with the fix. Never a traceback for what a user can put right."""

from typing import IO, Any

import click


class Failure(click.ClickException):
    """Ends the command with status 1, or `exit_code`. `fix` says what to type or change."""

    def __init__(self, cause: str, fix: str | None = None, *, exit_code: int = 1) -> None:
        super().__init__(cause)
        self.fix = fix
        self.exit_code = exit_code  # type: ignore[misc]  # click declares a class variable and reads the instance

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(f"cosset: {self.message}", err=True)
        if self.fix:
            click.echo(f"  fix: {self.fix}", err=True)
