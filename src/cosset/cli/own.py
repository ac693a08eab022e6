"""How commands call Cosset's own operations: JSON over HTTP, signed with the profile's keys like any AWS call."""

import json
import os
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from cosset.cli.client import FIXES, find_profile
from cosset.cli.failure import Failure

PATH = "/_cosset/api/"
SERVICE = "cosset"
TIMEOUT_S = 120
"""A look through a full record takes seconds, and on a busy machine more of them."""


def call_own(data: Path | None, operation: str, **params: Any) -> dict[str, Any]:
    """What the operation answers.

    Raises:
        Failure: nobody answers, or the call was refused.
    """
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    found = find_profile(data, os.environ)
    url = found.endpoint.rstrip("/") + PATH + operation
    body = json.dumps(params).encode()
    signed = AWSRequest("POST", url, {"Content-Type": "application/json"}, body)
    SigV4Auth(Credentials(found.access_key_id, found.secret_access_key), SERVICE, found.region).add_auth(signed)
    request = urllib.request.Request(url, body, dict(signed.headers.items()), method="POST")
    # No proxy: the server is on this machine or beside it.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=TIMEOUT_S) as answer:
            result: dict[str, Any] = json.loads(answer.read())
            return result
    except urllib.error.HTTPError as error:
        with error:
            raise _failure(operation, error.code, error.read()) from error
    except OSError as error:
        if isinstance(error, TimeoutError) or isinstance(getattr(error, "reason", None), TimeoutError):
            raise Failure(f"{found.endpoint} did not answer within {TIMEOUT_S} s") from error
        raise Failure(f"nothing answers at {found.endpoint}", "start it: cosset up") from error
    except ValueError as error:
        raise Failure(f"{found.endpoint} answers as no Cosset does", "is it an older one? cosset doctor") from error


def _failure(operation: str, status: int, body: bytes) -> Failure:
    try:
        said = json.loads(body)
        code, message = str(said["code"]), str(said["message"])
    except (ValueError, KeyError, TypeError):
        return Failure(f"{operation}: status {status}", "is it an older Cosset? cosset doctor")
    if code == "ResourceNotFoundException":
        return Failure(message)  # it says all there is to say
    return Failure(f"{operation}: {code}: {message}", FIXES.get(code))
