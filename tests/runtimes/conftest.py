"""Compiled functions, and functions on the live server that all tests share."""

import shutil
import uuid
from collections.abc import Callable, Iterator

import pytest

from cosset.runtimes import java_client
from cosset.testing.server import CossetServer
from support.deployed import Deployed
from support.programs import Programs
from support.role import starter_role
from support.zip import make_zip


@pytest.fixture(scope="session")
def programs(request: pytest.FixtureRequest) -> Iterator[Programs]:
    built = Programs(request.config.cache.mkdir("programs"))
    yield built
    built.close()


@pytest.fixture
def deploy(server: CossetServer) -> Iterator[Callable[..., Deployed]]:
    """Creates functions by stock boto3, each under a name of its own, and deletes them again."""
    client = server.client("lambda")
    made: list[str] = []

    def make(runtime: str, handler: str, files: dict[str, str | bytes], **more: object) -> Deployed:
        name = f"runtimes-{uuid.uuid4().hex[:8]}"
        given = {"Role": starter_role(server), "Timeout": 30, "MemorySize": 512, **more}
        package = make_zip(files, mode=0o755)
        client.create_function(FunctionName=name, Runtime=runtime, Handler=handler, Code={"ZipFile": package}, **given)
        made.append(name)
        client.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})
        return Deployed(server, name)

    yield make
    for name in made:
        client.delete_function(FunctionName=name)


@pytest.fixture
def java(server: CossetServer, programs: Programs) -> Programs:
    """With AWS's client where `cosset runtimes install java` puts it."""
    folder = java_client.folder_of(server.data)
    if not folder.exists():
        shutil.copytree(programs.java_client(), folder)
    return programs
