"""Answers of boto3 that a test does not read to the end: closed with the test, whoever still refers to them.

Such a body keeps its connection. Left to the garbage collector it is found unclosed later, in another test, which fails
for it: warnings are errors. Refuses to change what a client sees: an answer stays readable as long as its test lasts.
"""

from typing import Any
from weakref import WeakSet

import pytest
from botocore.awsrequest import AWSResponse


class OpenAnswers:
    """What urllib3 gave to any client of this process since the last `close`. No connection lives longer for it."""

    def __init__(self) -> None:
        self._open: WeakSet[Any] = WeakSet()

    def watch(self, patch: pytest.MonkeyPatch) -> None:
        make = AWSResponse.__init__

        def made(answer: AWSResponse, url: str, status_code: int, headers: Any, raw: Any) -> None:
            make(answer, url, status_code, headers, raw)
            self._keep(raw)

        patch.setattr(AWSResponse, "__init__", made)

    def _keep(self, raw: Any) -> None:
        if raw is None:
            return  # botocore's stub answers without a connection
        if getattr(raw, "length_remaining", None) == 0:
            raw.drain_conn()  # nothing is to come: the connection is free, asked for or not
        else:
            self._open.add(raw)

    def close(self) -> None:
        for raw in list(self._open):
            raw.close()
        self._open.clear()
