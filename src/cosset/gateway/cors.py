"""CORS, for SDKs that run in browsers: off unless origins are configured. A preflight says what is allowed; it opens
nothing, since every call still needs its signature.

AWS lets every origin in. Here the owner names them, since a page in the owner's own browser reaches an installation on
loopback, whose keys may be known (`--dev`); `*` is AWS's way. Browsers ask pages from elsewhere once more before they
let them reach the private network (https://wicg.github.io/private-network-access/), and are answered.
"""

from collections.abc import Sequence

from cosset.wire.message import Request, Response

_METHODS = "GET, HEAD, PUT, POST, PATCH, DELETE, OPTIONS"
# What SDKs read of an answer: the error and the request, what the other protocols need, what Invoke answers in headers.
_EXPOSED = ", ".join(
    (
        *("x-amzn-errortype", "x-amzn-requestid", "x-amzn-errormessage", "x-amzn-trace-id", "x-amzn-query-error"),
        *("x-amz-request-id", "x-amz-id-2", "x-amz-apigw-id", "date", "etag", "smithy-protocol", "retry-after"),
        *("x-amz-function-error", "x-amz-executed-version", "x-amz-log-result", "x-amzn-remapped-content-length"),
    )
)
_MAX_AGE_S = 172_800
_ALLOWS = "access-control-allow-origin"


class Cors:
    """`origins` as configured, for example `http://localhost:3000`; `*` allows any."""

    def __init__(self, origins: Sequence[str]) -> None:
        self._origins = frozenset(origin.rstrip("/") for origin in origins)

    def allowed_origin(self, request: Request) -> str | None:
        """What the answer names as the origin; None where it is not let in."""
        if not self._origins:
            return None
        origin = request.headers.get("origin")
        if origin is None:
            return None
        if "*" in self._origins:
            return "*"
        return origin if origin in self._origins else None

    def preflight(self, request: Request) -> Response | None:
        """The answer when the request is a preflight from an allowed origin, else None."""
        if request.method != "OPTIONS" or "access-control-request-method" not in request.headers:
            return None
        if self.allowed_origin(request) is None:
            return None
        headers = [
            ("Access-Control-Allow-Methods", _METHODS),
            ("Access-Control-Max-Age", str(_MAX_AGE_S)),
        ]
        asked = request.headers.get("access-control-request-headers")
        if asked is not None:
            # By name: a star would leave out Authorization.
            headers.append(("Access-Control-Allow-Headers", asked))
        if request.headers.get("access-control-request-private-network") == "true":
            headers.append(("Access-Control-Allow-Private-Network", "true"))
        return Response(status=200, headers=headers)

    def add_headers(self, request: Request, response: Response) -> None:
        origin = self.allowed_origin(request)
        if origin is None or any(name.lower() == _ALLOWS for name, _ in response.headers):
            return  # a bucket has said it: twice is never, for a browser
        response.headers.append(("Access-Control-Allow-Origin", origin))
        if origin != "*":
            # Caches must not give one origin's answer to another.
            response.headers.append(("Vary", "Origin"))
        response.headers.append(("Access-Control-Expose-Headers", _EXPOSED))
