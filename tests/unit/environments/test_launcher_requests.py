"""The launcher believes nothing that the server says."""

import os
from pathlib import Path
from typing import Any

import pytest

from cosset.environments.launcher.requests import (
    KNOWN_S,
    Interpreters,
    RequestError,
    below,
    checked_interpreter,
    parse_root,
    parse_spawn,
)
from cosset.runtimes.catalogue import Catalogue

DATA = Path("/var/lib/cosset")
SERVER_UID = 1_880_000_001


def message(**changes: object) -> dict[str, Any]:
    made: dict[str, Any] = {
        "id": "e1",
        "kind": "program",
        "code": "/var/lib/cosset/code/abc",
        "layers": ["/var/lib/cosset/layers/a"],
        "memory_mb": 128,
        "disk_mb": 512,
        "environment": {"A": "b=c"},
        "command": ["/var/task/bootstrap"],
    }
    made.update(changes)
    return made


def test_takes_what_is_right() -> None:
    spawn = parse_spawn(message(), DATA, Interpreters(SERVER_UID))
    assert (spawn.code, spawn.layers, spawn.memory_mb) == ("code/abc", ("layers/a",), 128)
    assert spawn.fd_names == ("output",)
    extended = parse_spawn(message(extensions=["watcher", "x.sh"]), DATA, Interpreters(SERVER_UID))
    assert extended.extensions == ("watcher", "x.sh")
    assert extended.fd_names == ("output", "extensions", "supervisor")
    assert parse_spawn(message(predecessor="e0"), DATA, Interpreters(SERVER_UID)).predecessor == "e0"
    assert parse_spawn(message(predecessor=None), DATA, Interpreters(SERVER_UID)).predecessor is None


@pytest.mark.parametrize(
    "change",
    [
        {"id": "../x"},
        {"predecessor": "../x"},
        {"predecessor": ["e0"]},
        {"predecessor": ""},
        {"standby": {"LANG": "C"}},  # there is no interpreter that could wait
        {"standby": {"A=B": "c"}},
        {"standby": ["LANG"]},
        {"extensions": "watcher"},
        {"extensions": ["../bin/sh"]},
        {"extensions": [".."]},
        {"extensions": [""]},
        {"extensions": ["a\0b"]},
        {"extensions": [7]},
        {"extensions": ["e"] * 65},
        {"id": "a/b"},
        {"id": ""},
        {"id": 5},
        {"kind": "root"},
        {"kind": "python"},
        {"code": "/etc"},
        {"code": "/var/lib/cosset"},
        {"code": "/var/lib/cosset/../../../etc"},
        {"code": "/var/lib/cosset-other/x"},
        {"code": "code/abc"},
        {"code": "/var/lib/cosset/a,upperdir=/x"},
        {"code": "/var/lib/cosset/a:b"},
        {"code": "/var/lib/cosset/a\0b"},
        {"code": None},
        {"layers": "abc"},
        {"layers": ["/etc"]},
        {"layers": ["/var/lib/cosset/a"] * 17},
        {"memory_mb": 0},
        {"memory_mb": "128"},
        {"memory_mb": 1 << 40},
        {"memory_mb": True, "disk_mb": -1},
        {"environment": []},
        {"environment": {"A": 5}},
        {"environment": {"A=B": "x"}},
        {"environment": {"": "x"}},
        {"environment": {"A": "x\0"}},
        {"command": []},
        {"command": ["bootstrap"]},
        {"command": ["/bin/sh", 5]},
        {"command": "/bin/sh"},
        {"interpreter": "/bin/sh"},
        {"interpreter": "/nonexistent/node"},
        {"modules": "/etc"},
    ],
)
def test_refuses(change: dict[str, object]) -> None:
    with pytest.raises(RequestError):
        parse_spawn(message(**change), DATA, Interpreters(SERVER_UID))


def test_what_may_begin_before_its_function() -> None:
    """Node with the variables that it starts with; of a Python, only whether the SDK is loaded."""
    root = {"kind": "program", "interpreter": str(Catalogue().serve("nodejs22.x").interpreter)}
    waiting = parse_root({**root, "standby": {"B": "2", "A": "1"}}, DATA, Interpreters(SERVER_UID))
    assert waiting.standby == (("A", "1"), ("B", "2"))
    assert not parse_root({**root, "sdk": True}, DATA, Interpreters(SERVER_UID)).has_sdk
    request = message(**root, standby={"A": "1"}, command=["/x"])
    assert parse_spawn(request, DATA, Interpreters(SERVER_UID)).fd_names == ()  # it has its pipes already


def test_a_data_folder_may_have_any_name_below_it_that_mount_reads_as_a_path() -> None:
    assert below(DATA, "/var/lib/cosset/code/My_Code-1.2+x@y") == "code/My_Code-1.2+x@y"


def test_refuses_an_interpreter_that_the_server_may_have_written(tmp_path: Path) -> None:
    interpreter = tmp_path / "python3.11"
    interpreter.write_text("")
    interpreter.chmod(0o755)
    assert checked_interpreter(str(interpreter), SERVER_UID) == str(interpreter)
    interpreter.chmod(0o757)
    with pytest.raises(RequestError, match="could be changed"):
        checked_interpreter(str(interpreter), SERVER_UID)
    interpreter.chmod(0o755)
    tmp_path.chmod(0o777)
    with pytest.raises(RequestError, match="could be changed"):
        checked_interpreter(str(interpreter), SERVER_UID)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_refuses_an_interpreter_of_the_servers(tmp_path: Path) -> None:
    interpreter = tmp_path / "node"
    interpreter.write_text("")
    os.chown(interpreter, SERVER_UID, SERVER_UID)
    with pytest.raises(RequestError, match="could be changed"):
        checked_interpreter(str(interpreter), SERVER_UID)
    link = tmp_path / "python3.11"
    link.symlink_to(interpreter)
    with pytest.raises(RequestError):
        checked_interpreter(str(link), SERVER_UID)


def test_an_interpreter_is_looked_at_again_after_a_while(tmp_path: Path) -> None:
    now_s = 100.0
    interpreters = Interpreters(SERVER_UID, lambda: now_s)
    first, second = tmp_path / "a" / "python3.11", tmp_path / "b" / "python3.11"
    for each in (first, second):
        each.parent.mkdir()
        each.write_text("")
    link = tmp_path / "python3.11"
    link.symlink_to(first)
    assert interpreters.check(str(link)) == str(first)
    link.unlink()
    link.symlink_to(second)
    assert interpreters.check(str(link)) == str(first)
    now_s += KNOWN_S
    assert interpreters.check(str(link)) == str(second)
    second.chmod(0o777)
    now_s += KNOWN_S
    for _ in range(2):  # what is refused is not kept
        with pytest.raises(RequestError, match="could be changed"):
            interpreters.check(str(link))
