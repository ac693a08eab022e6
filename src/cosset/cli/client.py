"""How the commands reach a running server: as any AWS tool does, with a profile's keys and stock boto3.

Refuses to know more than a client may: no look into the data folder but for its `aws/` files. Errors of AWS calls
become one line with the cause and one with the fix. Read next: profile.py.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import click

from cosset.cli import configuration, profile
from cosset.cli.failure import Failure
from cosset.cli.profile import Files, Profile

_Function = TypeVar("_Function", bound=Callable[..., Any])

CONNECT_TIMEOUT_S = 5
READ_TIMEOUT_S = 930
"""A little more than the longest function may run."""

_OTHER_KEYS = "the keys are another installation's: eval $(cosset env --data DIR), with its data folder"
FIXES = {
    "InvalidClientTokenId": _OTHER_KEYS,
    "UnrecognizedClientException": _OTHER_KEYS,
    "SignatureDoesNotMatch": _OTHER_KEYS,
    "InvalidSignatureException": _OTHER_KEYS,
    "ResourceNotFoundException": "what is there: aws --profile cosset lambda list-functions",
    "AccessDeniedException": "use an administrator's profile",
    "NotImplementedException": "what is implemented: docs/operations.md",
}


def data_option(command: _Function) -> _Function:
    where = click.Path(file_okay=False, path_type=Path)
    return click.option("--data", type=where, help="Data folder of the server to talk to, instead of the profile.")(
        command
    )


def json_option(command: _Function) -> _Function:
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def find_profile(data: Path | None, environ: Mapping[str, str]) -> Profile:
    """Who to talk to: `data` or the configured data folder, else the AWS variables, else the user's profile `cosset`,
    else the default data folder.

    Raises:
        Failure: nothing says where a server is.
    """
    chosen = data or configuration.load({}, environ, Path.cwd()).data
    places = [Files.of_data(chosen)] if chosen else []
    if data is None:
        if not places and (spoken := _from_variables(environ)):
            return _checked(spoken)
        places += [Files.of_user(environ), Files.of_data(configuration.default_data(environ))]
    for files in places:
        try:
            found = profile.read(files)
        except OSError as error:
            raise Failure(f"cannot read the AWS profile: {error}", "run this as the user who started Cosset") from error
        if found:
            return _checked(found)
    where = f"{data} holds no Cosset" if data else "no Cosset is known here"
    raise Failure(where, "start one: cosset up; or name its data folder: --data DIR")


def _checked(found: Profile) -> Profile:
    """Raises: Failure, when the endpoint is none."""
    try:
        parts = urlsplit(found.endpoint)
        is_url = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_url = False
    if not is_url or not found.endpoint.isprintable() or " " in found.endpoint:
        raise Failure(f"the endpoint {found.endpoint!r} is no URL", "for instance: http://127.0.0.1:4566")
    return found


def _from_variables(environ: Mapping[str, str]) -> Profile | None:
    """What `eval $(cosset env)` has set, if it has."""
    try:
        return Profile(
            environ["AWS_ENDPOINT_URL"],
            environ["AWS_ACCESS_KEY_ID"],
            environ["AWS_SECRET_ACCESS_KEY"],
            environ.get("AWS_REGION") or environ["AWS_DEFAULT_REGION"],
        )
    except KeyError:
        return None


def connect(data: Path | None, service: str) -> Any:
    """A stock boto3 client of `service` at the server that is found."""
    import boto3
    from botocore.config import Config
    from botocore.session import Session

    found = find_profile(data, os.environ)
    config = Config(
        connect_timeout=CONNECT_TIMEOUT_S,
        read_timeout=READ_TIMEOUT_S,
        retries={"total_max_attempts": 1},
        user_agent_extra="cosset-cli",
    )
    # Of what the AWS variables and files say nothing else counts: a profile named there may not even be.
    session = boto3.Session(botocore_session=Session({"profile": (None, None, None, None)}))
    return session.client(
        service,
        endpoint_url=found.endpoint,
        aws_access_key_id=found.access_key_id,
        aws_secret_access_key=found.secret_access_key,
        region_name=found.region,
        config=config,
    )


@contextmanager
def readable_errors() -> Iterator[None]:
    """Turns what boto3 raises into a Failure."""
    from botocore.exceptions import BotoCoreError, ClientError, EndpointConnectionError, ParamValidationError

    try:
        yield
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        message = error.response.get("Error", {}).get("Message") or error.response.get("Message", "")
        raise Failure(f"{error.operation_name}: {code}: {message}", FIXES.get(code)) from error
    except EndpointConnectionError as error:
        raise Failure(f"nothing answers at {error.kwargs['endpoint_url']}", "start it: cosset up") from error
    except ParamValidationError as error:
        raise Failure(str(error).replace("\n", " ")) from error
    except BotoCoreError as error:
        raise Failure(f"the call failed: {error}", "is it running? cosset status") from error
