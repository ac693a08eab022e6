"""Go and Rust on AWS's own libraries, as programs called `bootstrap`: how they end, and what they are told."""

from collections.abc import Callable

import pytest

from support.deployed import Deployed
from support.programs import Programs


@pytest.fixture(params=[("go", "provided.al2023"), ("rust", "provided.al2")], ids=["go", "rust"])
def function(request: pytest.FixtureRequest, deploy: Callable[..., Deployed], programs: Programs) -> Deployed:
    language, runtime = request.param
    return deploy(runtime, "bootstrap", {"bootstrap": programs.bootstrap(language)}, MemorySize=256)


def test_the_context_the_errors_and_the_ends(function: Deployed) -> None:
    told = function.invoke({"do": "context"})
    assert told.error is None
    assert isinstance(told.payload, dict), told
    assert told.payload.pop("id") in told.log
    assert told.payload.pop("arn").endswith(f":function:{function.name}")
    assert told.payload == {"function": function.name, "deadline": True}

    failed = function.invoke({"do": "fail"})
    assert failed.error == "Unhandled"
    assert isinstance(failed.payload, dict)
    assert failed.payload["errorMessage"] == "as asked"

    panicked = function.invoke({"do": "panic"})
    assert panicked.error == "Unhandled"
    assert isinstance(panicked.payload, dict)
    assert "as asked" in panicked.payload["errorMessage"]

    ended = function.invoke({"do": "exit"})
    assert isinstance(ended.payload, dict)
    assert ended.payload["errorType"] == "Runtime.ExitError"
    assert ended.payload["errorMessage"].endswith("Error: Runtime exited with error: exit status 3")

    assert function.invoke({"do": "context"}).error is None
