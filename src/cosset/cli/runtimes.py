"""`cosset runtimes`: what serves each runtime here, and the explicit command that fetches what Cosset lacks."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

import click

from cosset.cli import configuration
from cosset.cli.client import json_option
from cosset.cli.failure import Failure

data_option = click.option(
    "--data", type=click.Path(file_okay=False, path_type=Path), help="Data folder of the server."
)


@click.group()
def runtimes() -> None:
    """Show what serves each runtime here, or install what managed Node and Java need."""


@runtimes.command("list")
@json_option
@data_option
def show(as_json: bool, data: Path | None) -> None:
    """List every runtime that AWS takes today, and what serves it on this machine."""
    from cosset.runtimes import java_client
    from cosset.runtimes.catalogue import RUNTIMES, Catalogue, RuntimeNotServedError, accepted

    catalogue = Catalogue(java_libraries=java_client.folder_of(_folder(data)))
    for name in filter(accepted, RUNTIMES):
        try:
            served = catalogue.serve(name)
        except RuntimeNotServedError as error:
            found = {"runtime": name, "interpreter": None, "exact": False, "note": str(error)}
        else:
            path = str(served.interpreter) if served.interpreter else None
            found = {"runtime": name, "interpreter": path, "exact": served.exact, "note": served.warning}
        click.echo(json.dumps(found) if as_json else _line(found))
    if not (_node_folder(data) / "node_modules" / "@aws-sdk").is_dir():
        click.echo("Node's functions find no AWS SDK but their own here: cosset runtimes install nodejs", err=True)


def _line(found: Mapping[str, object]) -> str:
    return f"{found['runtime']:<18} {found['note'] or found['interpreter'] or 'your own bootstrap'}"


@runtimes.command()
@click.argument("language", type=click.Choice(["nodejs", "java"]))
@data_option
def install(language: str, data: Path | None) -> None:
    """Fetch into the data folder: the AWS SDK that managed Node carries on AWS, from the npm registry, or AWS's runtime
    interface client for Java, from Maven Central."""
    from cosset.runtimes import java_client
    from cosset.runtimes.node_sdk import NodeSdkError, install_node_sdk

    folder = _folder(data)
    try:
        if language == "nodejs":
            install_node_sdk(_node_folder(data), click.echo)
        else:
            java_client.install_java_client(java_client.folder_of(folder), click.echo)
    except (NodeSdkError, java_client.JavaClientError) as error:
        raise Failure(str(error)) from error
    except OSError as error:
        raise Failure(f"cannot write to {folder}: {error}", "run it as the user who starts Cosset") from error


def _node_folder(data: Path | None) -> Path:
    return _folder(data) / "runtimes" / "nodejs"


def _folder(data: Path | None) -> Path:
    return data or configuration.load({}, os.environ, Path.cwd()).data or configuration.default_data(os.environ)
