"""Each operation of Lambda with each of its parameters violated, alone, in each way that the model has: AWS's own
error, in a moment, and the server is well."""

import json
import random
from typing import Any

import pytest
from botocore import xform_name
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from support.any_params import AnyParams
from support.broken_params import Break, breaks
from support.victim import Victim

AS_IT_IS = Config(retries={"total_max_attempts": 1}, read_timeout=60, parameter_validation=False)
KNOWN = {"FunctionName": ["nobody"], "LayerName": ["nobody"], "VersionNumber": [1], "ZipFile": [b"x"]}
# Streams that the client must read, and what is refused by name before anything of it is looked at.
LEFT_OUT = {"InvokeWithResponseStream"}


class Breaker:
    """A client that sends what no client sends."""

    def __init__(self, victim: Victim) -> None:
        self.client = victim.server.client("lambda", config=AS_IT_IS)
        self.client.meta.events.register("before-sign.lambda", self._replace)
        self._member: str | None = None
        self._value: Any = None

    def _replace(self, request: AWSRequest, **_given: Any) -> None:
        if self._member is None:
            return
        body = json.loads(request.data or b"{}")
        body[self._member] = self._value
        request.data = json.dumps(body).encode()
        request.headers["Content-Length"] = str(len(request.data))

    def send(self, operation: str, broken: Break) -> tuple[int, str] | None:
        """Status and code of the refusal; None when nothing was refused, or no client can send it."""
        self._member = None
        if broken.kind == "type":
            shape = self.client.meta.service_model.operation_model(operation).input_shape.members[broken.path[0]]
            self._member, self._value = shape.serialization.get("name", broken.path[0]), broken.wrong_type
        try:
            getattr(self.client, xform_name(operation))(**broken.params)
        except ClientError as refused:
            status = int(refused.response["ResponseMetadata"]["HTTPStatusCode"])
            return status, str(refused.response["Error"]["Code"])
        except (BotoCoreError, KeyError, ValueError, TypeError, AttributeError):
            return None  # it has no form on the wire
        return None


@pytest.fixture(scope="module")
def breaker(victim: Victim):
    made = Breaker(victim)
    yield made
    made.client.close()


def test_every_violation_is_refused(breaker: Breaker, victim: Victim) -> None:
    failures, refused = [], 0
    for operation in breaker.client.meta.service_model.operation_names:
        if operation in LEFT_OUT:
            continue
        shape = breaker.client.meta.service_model.operation_model(operation).input_shape
        base = AnyParams(random.Random(0), KNOWN, odd=0.0).of(shape)
        required = {name: base[name] for name in shape.required_members} if shape is not None else {}
        for broken in breaks(shape, required):
            answer = breaker.send(operation, broken)
            if answer is None:
                continue
            status, code = answer
            refused += 1
            if not (400 <= status < 500 or (status, code) == (501, "NotImplementedException")):
                failures.append(f"{operation} {broken}: {status} {code}")
    assert failures == []
    assert refused > 800, refused
    victim.assert_well()
    assert "Traceback" not in victim.server.log()
