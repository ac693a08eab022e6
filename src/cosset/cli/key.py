"""`cosset key`: what only this host's console may do: rotate the root key, recover a lost administrator's key.

Works on the data folder, not on the server: whoever may read the root key may do this, and nobody over the network.
Read next: assembly/console.py.
"""

import asyncio
import json
import os
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import click

from cosset.cli import configuration, profile
from cosset.cli.client import json_option
from cosset.cli.failure import Failure
from cosset.settings import Settings

_Function = TypeVar("_Function", bound=Callable[..., Any])
T = TypeVar("T")


@click.group()
def key() -> None:
    """Rotate the root key and recover lost keys. On this host only, with the server stopped."""


def place_options(command: _Function) -> _Function:
    """Where the data is: as of `cosset up`."""
    wanted = [field for field in configuration.FIELDS if field.name in ("data", "database", "key_file")]
    for field in reversed(wanted):
        command = click.option(
            field.flag,
            field.name,
            type=click.Path(path_type=Path) if field.kind is Path else field.kind,
            help=field.doc,
        )(command)
    return command


@key.command()
@click.option("--sessions", is_flag=True, help="End every session that is out: functions get new ones.")
@place_options
@json_option
def rotate(sessions: bool, as_json: bool, **flags: Any) -> None:
    """Make a new root key and seal every secret of the database under it.

    The access keys stay as they are. Cut short at any point, it is ended by the next start or the next rotation.
    """
    from cosset.assembly import console

    settings = _settings(flags)
    assert settings.data is not None
    where = str(settings.key_file or settings.data / "root.key")
    count = _run(settings, lambda: console.rotate(settings, sessions=sessions))
    if as_json:
        click.echo(json.dumps({"key_file": where, "sealed": count}))
    else:
        click.echo(f"{count} secrets are sealed under a new root key, in {where}; the former opens nothing any more")


@key.command()
@click.argument("account", required=False)
@click.option("--root-key-lost", is_flag=True, help="Go on without the root key; what only it opens is gone.")
@place_options
@json_option
def recover(account: str | None, root_key_lost: bool, as_json: bool, **flags: Any) -> None:
    """Give the administrator of ACCOUNT (else of the server's own) a new key; its old ones end.

    Its boundary, groups and other policies go too, in case they lock it out. The key is kept in the data folder's AWS
    profile, and `cosset up` brings yours up to date.
    """
    from cosset.assembly import console

    settings = _settings(flags)
    assert settings.data is not None
    made = _run(settings, lambda: console.recover(settings, account, is_root_key_lost=root_key_lost))
    name = profile.NAME if account is None else f"{profile.NAME}-{made.account}"
    files = profile.Files.of_data(settings.data)
    former = profile.read(files)
    endpoint = former.endpoint if former else f"http://{settings.host}:{settings.port}"
    found = profile.Profile(endpoint, made.key.access_key_id, made.key.secret_access_key, settings.region)
    try:
        profile.write(files, found, name)
    except OSError as error:
        raise Failure(f"the AWS profile could not be written: {error}", "mend that, and recover again") from error
    if as_json:
        said = {"account": made.account, "access_key_id": made.key.access_key_id, "profile": name, "lost": made.lost}
        click.echo(json.dumps(said))
        return
    click.echo(f"account {made.account}: its administrator has the new key {made.key.access_key_id}")
    click.echo(f"  in the profile {name} of {files.credentials}")
    if made.lost:
        click.echo(f"  {made.lost} secrets are gone with the root key: other users need new keys")


def _settings(flags: dict[str, Any]) -> Settings:
    """With the data folder named, where one is."""
    settings = configuration.load(flags, os.environ, Path.cwd())
    data = settings.data or configuration.default_data(os.environ)
    if not data.is_dir():
        raise Failure(f"there is no data folder {data}", "name it with --data", exit_code=2)
    return replace(settings, data=data.absolute(), key_file=settings.key_file and settings.key_file.absolute())


def _run(settings: Settings, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """As the owner of the data folder: what root would make there the server could not use, and a link that the server
    laid there leads root nowhere."""
    from cosset import server
    from cosset.environments.launcher import owner
    from cosset.store.errors import StoreError

    assert settings.data is not None
    if os.geteuid() == 0 and settings.data.stat().st_uid != 0:
        owner.drop_privileges(settings.data, server.place_of_key(settings))
    try:
        return asyncio.run(work())
    except StoreError as error:
        in_use = "stop the server first; it has the folder for itself" if "in use" in str(error) else None
        raise Failure(str(error), in_use) from error
