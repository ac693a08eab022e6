"""What a request says of itself before anybody knows whose it is: parameters and the protocol it looks like."""

from cosset.wire.message import Request

FORM = "application/x-www-form-urlencoded"


def is_form(request: Request) -> bool:
    return (request.headers.get("content-type") or "").startswith(FORM)


def read_parameter(request: Request, name: str) -> str | None:
    """A parameter of the query string, or of a form that has been read; as sent."""
    texts = [request.query]
    if isinstance(request.body, bytes) and is_form(request):
        texts.append(request.body.decode("latin-1"))
    for text in texts:
        for pair in text.split("&"):
            key, _, value = pair.partition("=")
            if key == name:
                return value
    return None


def guess_protocol(request: Request) -> str | None:
    if "x-amz-target" in request.headers:
        return "json"
    if (is_form(request) and request.method == "POST") or read_parameter(request, "Action") is not None:
        return "query"
    return None
