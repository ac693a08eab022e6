"""`cosset doctor`: what this host can give, what is missing, and how to get it. Changes nothing, needs no server.

What each room needs it knows itself: this gathers their findings. Read next: environments/jail/host.py.
"""

import errno
import json
import os
import shutil
import socket
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import click

from cosset.cli import configuration
from cosset.cli.client import json_option
from cosset.settings import Settings

DATABASE_TIMEOUT_S = 5
_COLOURS = {"ok": "green", "weaker": "yellow", "missing": "red"}


@dataclass(frozen=True, slots=True)
class Finding:
    """`level` is ok, weaker (it works with less) or missing. `fix` is empty when all is well."""

    topic: str
    name: str
    level: str
    detail: str
    fix: str = ""


@click.command()
@configuration.settings_options
@json_option
def doctor(as_json: bool, **flags: object) -> None:
    """Say what this host can give. Takes the flags of `cosset up`; ends with 1 when `up` could not serve with them."""
    settings = configuration.load(flags, os.environ, Path.cwd())
    findings = list(examine(settings))
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings]))
    else:
        _print(findings)
    sys.exit(1 if any(finding.level == "missing" for finding in findings) else 0)


def examine(settings: Settings) -> Iterator[Finding]:
    """Everything, topic by topic."""
    yield from examine_isolation(settings.tier, wants_egress=settings.egress)
    yield examine_aws_endpoints(settings.aws_endpoints, settings.tier, has_egress=settings.egress)
    data = settings.data or configuration.default_data(os.environ)
    yield from examine_runtimes(settings.strict_runtimes, data)
    yield from examine_data(data, settings.min_free_mb)
    yield from examine_root_key(settings.key_file or data / "root.key")
    yield examine_database(settings.database)
    yield examine_port(settings.host, settings.port)


def examine_root_key(path: Path) -> Iterator[Finding]:
    """Of a file that is there: whether it can be used. Its keys are not looked at."""
    try:
        mode = path.stat().st_mode & 0o777
    except OSError:
        return
    if mode & 0o077:
        detail = f"{path} may be read by others (mode {mode:o}), and so is refused"
        yield Finding("data", "root key", "missing", detail, f"chmod 600 {path}")
    else:
        yield Finding("data", "root key", "ok", f"{path}; keep a copy apart from the database's")


def examine_isolation(tier: str, *, wants_egress: bool = False) -> Iterator[Finding]:
    """What the jail needs. With the tier `process` chosen, a missing jail stops nothing."""
    from cosset.environments.jail import host

    for found in host.inspect(wants_egress=wants_egress):
        level = "weaker" if tier == "process" and found.level is host.Level.MISSING else found.level.value
        yield Finding("isolation", found.name, level, found.detail, found.fix)
    if tier == "process":
        yield Finding("isolation", "tier", "weaker", "The tier `process` isolates nothing.", "cosset up --tier jail")


def examine_aws_endpoints(wanted: str, tier: str, *, has_egress: bool) -> Finding:
    """Where AWS's own host names lead inside environments."""
    if wanted not in ("local", "real"):
        detail = f"`{wanted}` is neither local nor real."
        return Finding("isolation", "aws endpoints", "missing", detail, "--aws-endpoints local")
    if tier != "jail":
        detail = "In the tier `process` AWS's own names lead to AWS; only AWS_ENDPOINT_URL leads to Cosset."
        return Finding("isolation", "aws endpoints", "weaker", detail, "cosset up --tier jail")
    if wanted == "local":
        detail = "AWS's own names lead to Cosset; for a function with COSSET_AWS_ENDPOINTS=real to AWS, given egress."
        return Finding("isolation", "aws endpoints", "ok", detail)
    if not has_egress:
        detail = "AWS's own names lead nowhere: the real AWS needs a way to the internet."
        return Finding("isolation", "aws endpoints", "weaker", detail, "--egress, or --aws-endpoints local")
    return Finding("isolation", "aws endpoints", "ok", "AWS's own names lead to AWS, and not to Cosset.")


def examine_runtimes(strict: bool, data: Path) -> Iterator[Finding]:
    """The interpreters of this machine, and each managed runtime that another version serves."""
    from cosset.runtimes import java_client
    from cosset.runtimes.catalogue import RUNTIMES, Catalogue, RuntimeNotServedError, accepted
    from cosset.runtimes.interpreters import LANGUAGES

    libraries = java_client.folder_of(data)
    catalogue = Catalogue(strict=strict, java_libraries=libraries)
    for family, language in LANGUAGES.items():
        found = [".".join(map(str, each.version)) for each in catalogue.installed(family)]
        if found:
            yield Finding("runtimes", language, "ok", ", ".join(found))
        served_by_others, refused = [], []
        for name in (name for name in RUNTIMES if accepted(name) and RUNTIMES[name].family == family):
            try:
                if not catalogue.serve(name).exact:
                    served_by_others.append(name)
            except RuntimeNotServedError:
                refused.append(name)
        if served_by_others:
            detail = f"Served by the nearest version, with a warning in the log: {', '.join(served_by_others)}."
            yield Finding("runtimes", language, "weaker", detail, f"Install these versions of {language}.")
        if refused:
            is_client_missing = family == "java" and found and not java_client.is_installed(libraries)
            fix = "cosset runtimes install java" if is_client_missing else f"Install {language}."
            yield Finding("runtimes", language, "weaker", f"Not served: {', '.join(refused)}.", fix)


def examine_data(data: Path, min_free_mb: int) -> Iterator[Finding]:
    """Whether the data folder can be made or written, and the room on its disk."""
    folder = data
    while not folder.exists():
        folder = folder.parent
    if os.access(folder, os.W_OK | os.X_OK):
        yield Finding("data", "folder", "ok", str(data))
    else:
        yield Finding("data", "folder", "missing", f"{folder} cannot be written.", "Name another: --data DIR")
    free_mb = shutil.disk_usage(folder).free // 2**20
    if free_mb < min_free_mb:
        fix = "Free some, or lower --min-free-mb"
        yield Finding("data", "disk", "missing", f"{free_mb} MB free; below {min_free_mb} MB writes are refused.", fix)
    else:
        yield Finding("data", "disk", "ok", f"{free_mb} MB free.")


def examine_database(url: str | None) -> Finding:
    """SQLite always works; PostgreSQL is asked."""
    if url is None:
        return Finding("database", "engine", "ok", "SQLite in the data folder.")
    try:
        import psycopg
    except ImportError:
        fix = "pip install 'cosset[postgresql]'"
        return Finding("database", "engine", "missing", "The PostgreSQL driver is not installed.", fix)
    try:
        # SQLAlchemy's URLs name the driver after a plus; libpq's do not.
        scheme, _, rest = url.partition("://")
        plain = f"{scheme.partition('+')[0]}://{rest}"
        with psycopg.connect(plain, connect_timeout=DATABASE_TIMEOUT_S) as connection:
            version = connection.info.server_version
    except psycopg.Error as error:
        reason = str(error).strip().splitlines()[0]
        return Finding("database", "engine", "missing", f"PostgreSQL does not answer: {reason}", "Mend --database")
    return Finding("database", "engine", "ok", f"PostgreSQL {version // 10000}.{version % 10000}.")


def examine_port(host: str, port: int) -> Finding:
    """Whether the port is free, or served by a Cosset already."""
    from cosset.cli.status import ask_health

    try:
        socket.create_server((host, port)).close()
    except OSError as error:
        if error.errno == errno.EADDRINUSE and ask_health(f"http://{host}:{port}")["status"] is not None:
            return Finding("port", str(port), "ok", f"A Cosset serves {host}:{port} already.")
        return Finding("port", str(port), "missing", f"Cannot serve on {host}:{port}: {error.strerror}.", "--port 0")
    return Finding("port", str(port), "ok", f"{host}:{port} is free.")


def _print(findings: list[Finding]) -> None:
    topic = ""
    for finding in findings:
        if finding.topic != topic:
            topic = finding.topic
            click.secho(topic, bold=True)
        level = click.style(f"{finding.level:<8}", fg=_COLOURS[finding.level])
        click.echo(f"  {level} {finding.name}: {finding.detail}")
        if finding.fix and finding.level != "ok":
            click.echo(f"           fix: {finding.fix}")
