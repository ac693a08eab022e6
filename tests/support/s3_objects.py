"""A bucket of a test's own, and what a stock client is refused with."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError


def new_bucket(s3: Any, **arguments: Any) -> str:
    name = f"objects-{uuid4().hex[:12]}"
    s3.create_bucket(Bucket=name, **arguments)
    return name


def refusal(call: Callable[..., Any], **arguments: Any) -> tuple[str, int]:
    """The code and the status that a call is refused with."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    response = caught.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]
