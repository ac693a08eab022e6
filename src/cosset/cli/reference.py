"""Writes the pages of docs/ that are made from the code: operations.md and settings.md. `make operations` runs it.

The operations are those of a node that is really opened, held against botocore's model of each service: what is
missing is shown as missing. A test fails when a page is not up to date. Usage: python -m cosset.cli.reference FOLDER
"""

import asyncio
import socket
import sys
import tempfile
from collections.abc import Mapping, Set
from pathlib import Path
from typing import Any

from cosset.cli.configuration import CHOICES, FIELDS, OTHER_VARIABLES, Field
from cosset.settings import Settings

PAGES = ("operations.md", "settings.md")
TITLES = {
    "lambda": "AWS Lambda",
    "iam": "IAM",
    "sts": "STS",
    "logs": "CloudWatch Logs",
    "cloudwatch": "CloudWatch",
    "sqs": "SQS",
    "sns": "SNS",
    "s3": "S3",
    "s3control": "S3 Control",
}


def render() -> Mapping[str, str]:
    """Every page, by its name."""
    return {"operations.md": render_operations(asyncio.run(read_served())), "settings.md": render_settings()}


async def read_served() -> Mapping[str, Set[str]]:
    """The operations that a node serves, by service. Opens one on a free port and an empty folder, and closes it."""
    from cosset.clock import SystemClock
    from cosset.environments.launcher.client import LauncherClient
    from cosset.node import open_node

    ours, theirs = socket.socketpair()
    with tempfile.TemporaryDirectory() as folder, ours, theirs:
        settings = Settings(port=0, data=Path(folder), tier="process")
        launcher = LauncherClient(ours, on_drain=lambda: None, on_closed=lambda: None)
        try:
            async with open_node(settings, launcher, SystemClock()) as node:
                return {service.name: frozenset(service.operations) for service in node.services}
        finally:
            launcher.close()


def render_operations(served: Mapping[str, Set[str]]) -> str:
    from botocore import __version__ as botocore_version
    from botocore.session import get_session

    lines = [
        "# Operations",
        "",
        f"What each service answers here, held against AWS's model of it (botocore {botocore_version}). Made from the",
        "code by `make operations`.",
        "An operation that is missing answers `NotImplementedException` with its name, never a success.",
        "",
        "| service | here | on AWS |",
        "|---|---|---|",
    ]
    session = get_session()
    models = {name: session.get_service_model(name) for name in served}
    for name, model in models.items():
        known = len(model.operation_names)
        lines.append(f"| [{TITLES[name]}](#{_anchor(TITLES[name])}) | {len(served[name])} | {known} |")
    for name, model in models.items():
        lines += ["", f"## {TITLES[name]}", "", "| operation | |", "|---|---|"]
        lines += [f"| {each} | {_answered(model, served[name], each)} |" for each in sorted(model.operation_names)]
    return "\n".join(lines) + "\n"


def _answered(model: Any, served: Set[str], name: str) -> str:
    """What is deprecated, and is the same request as its successor, is answered as that."""
    if name in served:
        return "yes"
    operation = model.operation_model(name)
    path = (operation.http.get("method"), operation.http.get("requestUri"))
    for other in sorted(served) if operation.deprecated else ():
        http = model.operation_model(other).http
        if (http.get("method"), http.get("requestUri")) == path:
            return f"as {other}"
    return "missing"


def _anchor(title: str) -> str:
    return title.lower().replace(" ", "-")


def render_settings() -> str:
    lines = [
        "# Settings",
        "",
        "Each setting is a flag of `cosset up`, an environment variable and a key of `cosset.toml` in the current",
        "folder (or in the file that `--config` or `COSSET_CONFIG` names). Flags win over variables, variables over",
        "the file.",
        "What is not known is an error that names the nearest known one. Made from the code by `make operations`.",
        "",
        "| flag | variable | key | default | |",
        "|---|---|---|---|---|",
    ]
    for each in FIELDS:
        names = f"`{each.flag}` | `{each.variable}` | `{each.name}`"
        lines.append(f"| {names} | {_default(each)} | {_sentence(each)} |")
    lines += [
        "",
        "Yes-or-no settings have a second flag, `--no-dev`; as a variable they are `1` or `0`, in the file `true`",
        "or `false`. Lists are given by repeating the flag, with commas in a variable, and as `[...]` in the file.",
        "Relative paths in the file are meant from the folder that the file lies in.",
        "",
        "```toml",
        "# cosset.toml",
        "port = 4570",
        'data = "state"',
        'cors_origins = ["http://localhost:3000"]',
        "```",
        "",
        "## Other variables",
        "",
        "| variable | |",
        "|---|---|",
    ]
    lines += [f"| `{name}` | {meaning} |" for name, meaning in OTHER_VARIABLES.items()]
    return "\n".join(lines) + "\n"


def _default(field: Field) -> str:
    if field.default is None or field.default == ():
        return ""
    return f"`{str(field.default).lower() if field.kind is bool else field.default}`"


def _sentence(field: Field) -> str:
    choices = CHOICES.get(field.name)
    return field.doc.replace("|", "\\|") + (f" One of: {', '.join(choices)}." if choices else "")


def main(folder: Path) -> None:
    for name, text in render().items():
        (folder / name).write_text(text, encoding="utf-8")
        print(f"wrote {folder / name}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
