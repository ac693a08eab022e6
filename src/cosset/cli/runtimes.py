"""`cosset runtimes`: what serves each runtime here, and the explicit command that fetches the AWS SDK for Node."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

import click

from cosset.cli import configuration
from cosset.cli.client import json_option
from cosset.cli.failure import Failure


@click.group()
def runtimes() -> None:
    """Show what serves each runtime here, or install what managed Node carries."""


@runtimes.command("list")
@json_option
def show(as_json: bool) -> None:
    """List every runtime that AWS takes today, and what serves it on this machine."""
    from cosset.runtimes.catalogue import RUNTIMES, Catalogue, RuntimeNotServedError, accepted

    catalogue = Catalogue()
    for name in filter(accepted, RUNTIMES):
        try:
            served = catalogue.serve(name)
        except RuntimeNotServedError as error:
            found = {"runtime": name, "interpreter": None, "exact": False, "note": str(error)}
        else:
            path = str(served.interpreter) if served.interpreter else None
            found = {"runtime": name, "interpreter": path, "exact": served.exact, "note": served.warning}
        click.echo(json.dumps(found) if as_json else _line(found))


def _line(found: Mapping[str, object]) -> str:
    return f"{found['runtime']:<18} {found['note'] or found['interpreter'] or 'your own bootstrap'}"


@runtimes.command()
@click.argument("language", type=click.Choice(["nodejs"]))
@click.option("--data", type=click.Path(file_okay=False, path_type=Path), help="Data folder of the server.")
def install(language: str, data: Path | None) -> None:
    """Fetch the AWS SDK that managed Node carries on AWS, from the npm registry, into the data folder."""
    from cosset.runtimes.node_sdk import NodeSdkError, install_node_sdk

    folder = data or configuration.load({}, os.environ, Path.cwd()).data or configuration.default_data(os.environ)
    try:
        install_node_sdk(folder / "runtimes" / language, click.echo)
    except NodeSdkError as error:
        raise Failure(str(error)) from error
    except OSError as error:
        raise Failure(f"cannot write to {folder}: {error}", "run it as the user who starts Cosset") from error
