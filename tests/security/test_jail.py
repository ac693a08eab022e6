"""What a function in the jail can do, and what it cannot. Every test runs the attack inside."""

import asyncio
import json
import os
import sys

import pytest

from cosset.environments.api import Outcome
from support.jail import event, jail

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="the jail needs Linux and, for its full strength, root"
)


def test_runs_a_python_function():
    async def scenario() -> None:
        async with jail() as inside:
            source = "def handler(event, context):\n    print('hello')\n    return {'name': event['name']}"
            environment = await inside.start({"app.py": source})
            answer = await environment.invoke(event(b'{"name": "Ann"}'))
            assert answer.outcome is Outcome.SUCCESS
            assert json.loads(answer.payload) == {"name": "Ann"}
            assert inside.lines.events == ["hello\n"]
            await environment.shutdown()

    asyncio.run(scenario())
