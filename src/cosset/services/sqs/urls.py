"""Queue URLs: ours are built from the request's own host, and every form that clients have kept is read.

`http://host/ACCOUNT/NAME`; AWS's own, old and new (`sqs.REGION.amazonaws.com`, `REGION.queue.amazonaws.com`,
`queue.amazonaws.com`); with the region in the path; and a bare name, which is one of the caller's own queues.
"""

import re
from urllib.parse import unquote, urlsplit

from cosset.services.operation import Context, Params
from cosset.services.sqs.errors import missing_parameter
from cosset.services.sqs.model import QueueKey
from cosset.wire.errors import ServiceError

_ACCOUNT = re.compile(r"\d{12}", re.ASCII)
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d", re.ASCII)
_HOSTS = (
    re.compile(r"sqs(?:-fips)?\.([a-z0-9-]+)\.(?:amazonaws\.com(?:\.cn)?|api\.aws)", re.ASCII),
    re.compile(r"([a-z0-9-]+)\.queue\.(?:amazonaws\.com(?:\.cn)?|localhost.*)", re.ASCII),
)
_OLDEST_HOST = "queue.amazonaws.com"


def queue_url(ctx: Context, key: QueueKey) -> str:
    return f"{ctx.scheme}://{ctx.host}/{key.account}/{key.name}"


def queue_of(ctx: Context, params: Params) -> QueueKey:
    """The queue that a call names. Raises ServiceError: it names none, or what is no URL of a queue."""
    url = params.get("QueueUrl")
    if not url:
        raise missing_parameter("QueueUrl")
    try:
        split = urlsplit(url)
        host = split.hostname or ""
    except ValueError:
        raise _invalid(url) from None
    segments = [unquote(each) for each in split.path.split("/") if each]
    if not segments or len(segments) > 4:
        raise _invalid(url)
    name = segments[-1]
    if len(segments) == 1:
        return QueueKey(ctx.account, ctx.region, name)
    account = segments[-2]
    if not _ACCOUNT.fullmatch(account):
        raise _invalid(url)
    region = _region_of(host) or (segments[-3] if len(segments) > 2 and _REGION.fullmatch(segments[-3]) else None)
    return QueueKey(account, region or ctx.region, name)


def _region_of(host: str) -> str | None:
    if host == _OLDEST_HOST:
        return "us-east-1"
    for form in _HOSTS:
        if (match := form.fullmatch(host)) is not None:
            return match[1]
    return None


def _invalid(url: str) -> ServiceError:
    return ServiceError("InvalidAddress", f"The address {url} is not valid for this endpoint.", status=404)
