"""Deployment packages that are none, or mean ill, through the public door: each gets AWS's own error and changes
nothing. The same, archive by archive, without a server: tests/unit/functions/test_archive.py."""

import io
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from support.role import starter_role
from support.victim import Victim
from support.zip import make_zip

GOOD = make_zip({"app.py": "def handler(event, context):\n    return event\n"})
NO_ZIP = "Could not unzip uploaded file. Please check your file, then try to upload again."
TOO_LARGE = "Unzipped size must be smaller than 262144000 bytes"


def packed(*entries: tuple[str, int, str]) -> bytes:
    """A zip of (name, mode, content)."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, mode, content in entries:
            entry = zipfile.ZipInfo(name)
            entry.external_attr = mode << 16
            archive.writestr(entry, content)
    return buffer.getvalue()


def link(name: str, target: str) -> tuple[str, int, str]:
    return name, stat.S_IFLNK | 0o777, target


def bomb(said_bytes: int | None = None) -> bytes:
    """300 MB of nothing in 300 KB, and what its directory says of that size."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("bomb", "w") as entry:
        for _ in range(300):
            entry.write(bytes(1 << 20))
    data = bytearray(buffer.getvalue())
    if said_bytes is not None:
        struct.pack_into("<I", data, data.rfind(b"PK\x01\x02") + 24, said_bytes)
    return bytes(data)


FILE = stat.S_IFREG | 0o644
BAD: dict[str, tuple[Callable[[], bytes], str]] = {
    "no zip": (lambda: b"this is not a zip", NO_ZIP),
    "nothing": (lambda: b"", NO_ZIP),
    "an empty zip": (lambda: packed(), "Uploaded file must be a non-empty zip"),
    "half a zip": (lambda: GOOD[: len(GOOD) // 2], NO_ZIP),
    "a zip without its beginning": (lambda: GOOD[12:], NO_ZIP),
    "a bit has fallen over": (lambda: GOOD[:45] + bytes([GOOD[45] ^ 0xFF]) + GOOD[46:], NO_ZIP),
    "a bomb": (bomb, TOO_LARGE),
    "a bomb that calls itself small": (lambda: bomb(100), NO_ZIP),
    "a bomb that calls itself empty": (lambda: bomb(0), NO_ZIP),
    "a way up": (lambda: packed(("../escaped", FILE, "x"), ("app.py", FILE, "")), NO_ZIP),
    "a way up, later": (lambda: packed(("a/../../escaped", FILE, "x")), NO_ZIP),
    "an absolute path": (lambda: packed(("/tmp/escaped", FILE, "x")), NO_ZIP),
    "a link out, absolute": (lambda: packed(link("escaped", "/etc/passwd")), NO_ZIP),
    "a link out, relative": (lambda: packed(link("a/escaped", "../../../..")), NO_ZIP),
    "a file through a link": (lambda: packed(link("a", "."), ("a/escaped", FILE, "x")), NO_ZIP),
    "links in a row": (lambda: packed(link("a", "b/.."), link("b", "..")), NO_ZIP),
    "a pipe": (lambda: packed(("app.py", stat.S_IFIFO | 0o644, "")), NO_ZIP),
    "a device": (lambda: packed(("app.py", stat.S_IFBLK | 0o644, "")), NO_ZIP),
    "a name too long": (lambda: packed(("x" * 5000, FILE, "")), NO_ZIP),
    "a file that is a folder": (lambda: packed(("a", FILE, ""), ("a/b", FILE, "")), NO_ZIP),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_is_refused_and_changes_nothing(victim: Victim, what: str) -> None:
    package, message = BAD[what]
    role = starter_role(victim.server)
    arguments = {"FunctionName": "none", "Runtime": "python3.13", "Handler": "app.handler", "Role": role}
    with pytest.raises(ClientError) as refused:
        victim.client.create_function(Code={"ZipFile": package()}, **arguments)
    assert refused.value.response["Error"] == {"Code": "InvalidParameterValueException", "Message": message}
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    with pytest.raises(victim.client.exceptions.ResourceNotFoundException):
        victim.client.get_function(FunctionName="none")
    victim.assert_well()
    assert traces(victim) == []


def traces(victim: Victim) -> list[Path]:
    """What a package left where it should not: outside its folder, or half unpacked."""
    outside = [path for path in (Path("/tmp/escaped"), Path("/escaped")) if path.exists()]
    return [*outside, *victim.server.root.rglob("escaped"), *victim.server.root.rglob(".unpacking-*")]


def test_an_update_with_a_bad_package_leaves_the_good_one(victim: Victim) -> None:
    victim.create("kept", GOOD)
    for package, message in ((b"this is not a zip", NO_ZIP), (bomb(), TOO_LARGE)):
        with pytest.raises(victim.client.exceptions.InvalidParameterValueException, match=message):
            victim.client.update_function_code(FunctionName="kept", ZipFile=package)
        assert victim.invoke("kept", "as ever").payload == "as ever"
    victim.client.delete_function(FunctionName="kept")


def test_a_zip_of_more_than_50_mb_is_refused(victim: Victim) -> None:
    arguments = {"Runtime": "python3.13", "Handler": "app.handler", "Role": starter_role(victim.server)}
    with pytest.raises(ClientError) as refused:
        victim.client.create_function(FunctionName="none", Code={"ZipFile": bytes(52_428_801)}, **arguments)
    assert refused.value.response["Error"]["Code"] == "RequestEntityTooLargeException"
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 413
    victim.assert_well()


@pytest.mark.parametrize(
    "package",
    [
        packed(("app.py", stat.S_IFREG | 0o6000, "def handler(event, context):\n    return event\n")),
        packed(("..\\escaped.py", FILE, ""), ("app.py", FILE, "def handler(event, context):\n    return event\n")),
        packed(("real.py", FILE, "def handler(event, context):\n    return event\n"), link("app.py", "real.py")),
    ],
)
def test_odd_but_harmless_packages_run(victim: Victim, package: bytes) -> None:
    """Modes without any right to read, a backslash (an ordinary letter here), a link that stays inside."""
    victim.create("odd", package)
    assert victim.invoke("odd", "fine").payload == "fine"
    victim.client.delete_function(FunctionName="odd")
