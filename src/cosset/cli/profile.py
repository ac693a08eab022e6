"""The AWS profile `cosset`: how every AWS tool finds this server. Reads and writes it, in the user's files or others.

Refuses to be a parser of those files: it changes the lines of our own keys and leaves every other byte as it is.
Read next: up.py writes it, client.py reads it.
"""

import os
import re
import secrets
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

NAME = "cosset"
_HEADER = re.compile(r"^\[(?P<name>[^\]]*)\]")
_KEY = re.compile(r"^(?P<key>[^\s=:#;\[][^=:]*?)\s*[=:]")
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\n|\r)|[^\r\n]+")
_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Files:
    """The two files that AWS tools read. Whoever owns the folder `owner` is who they belong to."""

    config: Path
    credentials: Path
    owner: Path

    @classmethod
    def of_user(cls, environ: Mapping[str, str]) -> "Files":
        """As the AWS tools find them: by their variables, else in the home folder."""
        home = Path(environ.get("HOME") or Path.home())
        config = environ.get("AWS_CONFIG_FILE") or home / ".aws" / "config"
        credentials = environ.get("AWS_SHARED_CREDENTIALS_FILE") or home / ".aws" / "credentials"
        return cls(Path(config).expanduser(), Path(credentials).expanduser(), home)

    @classmethod
    def of_data(cls, data: Path) -> "Files":
        """The pair that every data folder carries, for those who keep their AWS files as they are."""
        return cls(data / "aws" / "config", data / "aws" / "credentials", data)


@dataclass(frozen=True, slots=True)
class Profile:
    """What the profile says."""

    endpoint: str
    access_key_id: str
    secret_access_key: str = field(repr=False)
    region: str


def write(files: Files, profile: Profile, name: str = NAME) -> None:
    """Adds the profile under `name`, or brings it up to date. New files get mode 0600, others keep theirs; links are
    followed.

    As root, the work is done as `files.owner`'s owner: under sudo the files stay the user's, and a link that the
    unprivileged server laid in its data folder leads root nowhere.

    Raises:
        OSError: the files cannot be written. Each file is either as it was, or complete.
    """
    keys = {"aws_access_key_id": profile.access_key_id, "aws_secret_access_key": profile.secret_access_key}
    place = {"region": profile.region, "endpoint_url": profile.endpoint}
    # Root looks the links up, the owner goes there: what a link may not lead the owner to stays shut.
    credentials, config = (Path(os.path.realpath(path)) for path in (files.credentials, files.config))
    with _as_owner_of(files.owner) as base:
        _change(_seen_from(base, credentials), name, keys, unwanted=("aws_session_token",))
        _change(_seen_from(base, config), f"profile {name}", place)


def read(files: Files) -> Profile | None:
    """The profile, or None when it is not there or not complete.

    Raises:
        OSError: a file is there and cannot be read.
    """
    keys = _keys(_text(files.credentials), NAME)
    config = _keys(_text(files.config), f"profile {NAME}")
    try:
        return Profile(
            config["endpoint_url"], keys["aws_access_key_id"], keys["aws_secret_access_key"], config["region"]
        )
    except KeyError:
        return None


def put_section(text: str, section: str, keys: Mapping[str, str], unwanted: tuple[str, ...] = ()) -> str:
    """`text` with `keys` in `[section]`: changed where they are, added at its end, the section appended if missing.

    Lines under a key that are indented belong to it and go with it. Keys named in `unwanted` go.
    """
    newline = "\r\n" if "\r\n" in text else "\n"
    lines = _LINE.findall(text)
    start, end = _find(lines, section)
    if start is None:
        gap = "" if not text or text.endswith(("\n\n", "\r\n\r\n")) else newline
        ended = "" if not text or text.endswith(("\n", "\r")) else newline
        body = [f"[{section}]", *(f"{key} = {value}" for key, value in keys.items())]
        return text + ended + gap + newline.join(body) + newline
    body = _edited(lines[start + 1 : end], keys, unwanted, newline)
    head = lines[start] if lines[start].endswith(("\n", "\r")) else lines[start] + newline
    return "".join([*lines[:start], head, *body, *lines[end:]])


def _edited(lines: list[str], keys: Mapping[str, str], unwanted: tuple[str, ...], newline: str) -> list[str]:
    """The lines of one section after the change."""
    left = dict(keys)
    kept: list[str] = []
    dropping = False
    for line in lines:
        match = _KEY.match(line)
        key = match["key"].lower() if match else None
        if key is None:
            if dropping and line[:1].isspace() and line.strip():
                continue
            dropping = False
            kept.append(line)
            continue
        dropping = key in keys or key in unwanted
        if key in left:
            value = left.pop(key)
            kept.append(line if _value(line) == value else f"{key} = {value}{newline}")
        elif not dropping:
            kept.append(line)
    last = len(kept)
    while last and not kept[last - 1].strip():
        last -= 1
    if left and last and not kept[last - 1].endswith(("\n", "\r")):
        kept[last - 1] += newline
    return [*kept[:last], *(f"{key} = {value}{newline}" for key, value in left.items()), *kept[last:]]


def _find(lines: list[str], section: str) -> tuple[int | None, int]:
    """Index of the section's header line, and of the line after its last."""
    start: int | None = None
    for index, line in enumerate(lines):
        match = _HEADER.match(line.removeprefix("\ufeff"))
        if match is None:
            continue
        if start is not None:
            return start, index
        if _words(match["name"]) == section.split():
            start = index
    return start, len(lines)


def _words(name: str) -> list[str]:
    """A section's name as the AWS tools split it: `profile "cosset"` is `profile cosset`."""
    try:
        return shlex.split(name)
    except ValueError:
        return [name]


def _keys(text: str, section: str) -> dict[str, str]:
    lines = _LINE.findall(text)
    start, end = _find(lines, section)
    if start is None:
        return {}
    found = {}
    for line in lines[start + 1 : end]:
        match = _KEY.match(line)
        if match:
            found[match["key"].lower()] = _value(line)
    return found


def _value(line: str) -> str:
    match = _KEY.match(line)
    return line[match.end() :].strip() if match else ""


def _text(path: Path) -> str:
    """The file's text, every byte kept (what is not UTF-8 comes back out as it went in). Missing is empty."""
    try:
        return path.read_bytes().decode("utf-8", "surrogateescape")
    except FileNotFoundError:
        return ""


def _change(path: Path, section: str, keys: Mapping[str, str], unwanted: tuple[str, ...] = ()) -> None:
    """Replaces the file by its changed text, at once or not at all. Looks again when somebody else wrote meanwhile."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    for _ in range(_ATTEMPTS):
        before = _text(path)
        after = put_section(before, section, keys, unwanted)
        if after == before or _replace(path, before, after):
            return
    raise OSError(f"{path} keeps changing under our hands")


def _replace(path: Path, before: str, after: str) -> bool:
    """False when the file was no longer `before` just before it was to be replaced."""
    # Not by `tempfile`, which makes paths absolute: root may stand in a folder that it cannot walk to as its owner.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(after.encode("utf-8", "surrogateescape"))
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            os.chmod(temporary, path.stat().st_mode & 0o777)
        if _text(path) != before:
            return False
        os.replace(temporary, path)
        return True
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def _as_owner_of(folder: Path) -> Iterator[Path | None]:
    """Root acts as the owner of `folder`, or of the nearest folder above it that exists, and stands in it: its owner
    need not be able to walk there. Gives that folder. Others act as they are; then it gives None."""
    if os.geteuid() != 0:
        yield None
        return
    folder = Path(os.path.realpath(folder))
    while not folder.exists():
        folder = folder.parent
    owner, group, before = folder.stat(), os.getegid(), os.open(".", os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.chdir(folder)
        os.setegid(owner.st_gid)
        os.seteuid(owner.st_uid)
        yield folder
    finally:
        os.seteuid(0)
        os.setegid(group)
        os.fchdir(before)
        os.close(before)


def _seen_from(base: Path | None, path: Path) -> Path:
    """`path`, relative to `base`, where we stand, when it is below."""
    return path.relative_to(base) if base is not None and path.is_relative_to(base) else path
