"""`cosset snapshot`: the whole state in one file, and back. On this host, by the data folder, as its owner.

Saving does not need the server to stop. Read next: assembly/snapshot.py.
"""

import json
import os
import secrets
import sqlite3
import sys
import traceback
from collections.abc import Callable
from dataclasses import replace as with_changes
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from cosset.cli import configuration
from cosset.cli.client import json_option
from cosset.cli.failure import Failure
from cosset.cli.key import place_options
from cosset.settings import Settings


@click.group()
def snapshot() -> None:
    """Save everything to one file, while the server runs, and load it again."""


@snapshot.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--root-key/--no-root-key", default=True, help="Put the root key in too. Without it, keep a copy of it.")
@place_options
@json_option
def save(file: Path, root_key: bool, as_json: bool, **flags: Any) -> None:
    """Save functions, code, IAM, queues, objects and logs to FILE.

    FILE holds secrets, as the data folder does: it is made for its owner alone.
    """
    settings = _settings(flags)
    assert settings.data is not None
    if not settings.data.is_dir():
        raise Failure(f"there is no data folder {settings.data}", "name it with --data", exit_code=2)
    draft = file.with_name(f"{file.name}.{secrets.token_hex(4)}.part")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise Failure(f"cannot write {draft}: {error.strerror}") from error
    try:
        with os.fdopen(descriptor, "wb") as out:
            _as_owner(settings, lambda: _save(settings, out, with_root_key=root_key))
            out.flush()
            os.fsync(out.fileno())
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)
    size = file.stat().st_size
    if as_json:
        click.echo(json.dumps({"file": str(file), "bytes": size, "root_key": root_key}))
    else:
        click.echo(f"{file}: {size:,} bytes; load it with: cosset snapshot load {file} --data DIR")


@snapshot.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--replace", is_flag=True, help="Give up what the data folder holds.")
@place_options
@json_option
def load(file: Path, replace: bool, as_json: bool, **flags: Any) -> None:
    """Make the data folder from FILE. The server of that folder must be stopped."""
    from cosset.assembly import snapshot as snapshots
    from cosset.store.errors import StoreError
    from cosset.store.snapshot_file import SnapshotError

    settings = _settings(flags)
    try:
        with file.open("rb") as content:
            made = snapshots.load(settings, content, replace=replace)
    except (StoreError, SnapshotError) as error:
        fix = "stop the server first; it has the folder for itself" if "in use" in str(error) else None
        raise Failure(str(error), fix) from error
    except (OSError, sqlite3.Error) as error:
        raise Failure(f"the snapshot was not loaded: {error}") from error
    moment = datetime.fromtimestamp(made.made_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    if as_json:
        said = {"data": str(settings.data), "made_ms": made.made_ms, "cosset": made.cosset, "schema": made.schema}
        click.echo(json.dumps(said))
    else:
        click.echo(f"{settings.data} is as it was at {moment}; serve it with: cosset up --data {settings.data}")


def _settings(flags: dict[str, Any]) -> Settings:
    settings = configuration.load(flags, os.environ, Path.cwd())
    data = settings.data or configuration.default_data(os.environ)
    return with_changes(settings, data=data.absolute(), key_file=settings.key_file and settings.key_file.absolute())


def _save(settings: Settings, out: Any, *, with_root_key: bool) -> None:
    from cosset.assembly import snapshot as snapshots
    from cosset.store.errors import StoreError

    try:
        snapshots.save(settings, out, with_root_key=with_root_key)
        out.flush()
    except StoreError as error:
        raise Failure(str(error)) from error
    except (OSError, sqlite3.Error) as error:
        raise Failure(f"the snapshot was not saved: {error}") from error


def _as_owner(settings: Settings, work: Callable[[], None]) -> None:
    """As the owner of the data folder: a link that the server laid there leads root nowhere. Root does it in a child,
    since only root may put the file where root asked for it.

    Raises: Failure.
    """
    from cosset.environments.launcher import owner

    assert settings.data is not None
    if os.geteuid() != 0 or settings.data.stat().st_uid == 0:
        work()
        return
    child = os.fork()
    if child == 0:
        code = 1
        try:
            owner.drop_privileges(settings.data, [settings.key_file.parent] if settings.key_file else [])
            work()
            code = 0
        except Failure as failure:
            failure.show()
        except BaseException:  # noqa: BLE001 - the boundary of this process
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0:
        raise click.exceptions.Exit(1)
