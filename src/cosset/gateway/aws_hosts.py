"""What AWS's own host names say: the service, by the prefix of its endpoint.

Inside environments these names lead here (environments/jail/dns.py). Before the prefix may stand a bucket or an
account, after it a region; the forms are those of botocore's endpoints.json and of the older names that SDKs still
use. Whose bucket it is, is the service's own to read. Read next: routing.py.
"""

import re
from functools import lru_cache

_HOST = re.compile(r"((?:[a-z0-9_-]+\.)+)(?:amazonaws\.com(?:\.cn)?|api\.aws)(?::\d+)?", re.ASCII | re.IGNORECASE)
_REGION = re.compile(r"[a-z]{2}(?:-[a-z]+)+-\d", re.ASCII)
_LONGEST_PREFIX = 2
"""Labels: `streams.dynamodb`."""
_ALIASES = {"queue": "sqs", "ddb": "dynamodb", "sync-states": "states", "streaming-logs": "logs"}
"""Older names, those with an account before them, and those that single operations have of their own."""


@lru_cache(maxsize=256)  # of whoever asks: a host may be as long as a head
def endpoint_prefixes(host: str) -> tuple[str, ...]:
    """What the service's endpoint prefix may be, the likeliest first; nothing for a host that is not AWS's."""
    found = _HOST.fullmatch(host)
    if found is None:
        return ()
    labels = found[1].lower().rstrip(".").split(".")
    if len(labels) > 1 and _REGION.fullmatch(labels[-1]):
        labels.pop()
    if len(labels) > 1 and labels[-1] == "dualstack":
        labels.pop()
    last = _without_region(labels.pop().removesuffix("-fips"))
    labels.append(_ALIASES.get(last, last))
    return tuple(".".join(labels[-length:]) for length in range(_LONGEST_PREFIX, 0, -1) if len(labels) >= length)


def _without_region(label: str) -> str:
    """`s3-us-west-2`, as S3's endpoints were called first."""
    name, dash, region = label.partition("-")
    return name if dash and name == "s3" and _REGION.fullmatch(region) else label
