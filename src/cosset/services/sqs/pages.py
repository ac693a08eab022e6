"""Tokens of pages: where to go on, in a form that nobody takes for anything else."""

import base64
import binascii

from cosset.services.sqs.errors import invalid_parameter

_MARK = b"after:"


def write_token(name: str) -> str:
    return base64.urlsafe_b64encode(_MARK + name.encode()).decode()


def read_token(token: str) -> str:
    """Raises ServiceError InvalidParameterValue."""
    try:
        data = base64.b64decode(token, altchars=b"-_", validate=True)
        if data.startswith(_MARK):
            return data[len(_MARK) :].decode()
    except (binascii.Error, ValueError):
        pass
    raise invalid_parameter("Invalid or expired next token.")
