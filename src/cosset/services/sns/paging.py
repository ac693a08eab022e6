"""NextToken: where a list goes on."""

import base64
import json

from cosset.services.sns.errors import invalid


def write_token(*after: str) -> str:
    return base64.urlsafe_b64encode(json.dumps(after).encode()).decode()


def read_token(token: str | None, parts: int) -> list[str]:
    """What the last page ended with; empty texts for the first. Raises ServiceError InvalidParameter."""
    if not token:
        return [""] * parts
    try:
        after = json.loads(base64.urlsafe_b64decode(token.encode()))
    except (ValueError, RecursionError):
        raise invalid("NextToken") from None
    if not isinstance(after, list) or len(after) != parts or not all(isinstance(each, str) for each in after):
        raise invalid("NextToken")
    return after
