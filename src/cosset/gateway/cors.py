"""CORS, for SDKs that run in browsers: off unless origins are configured. A preflight says what is allowed; it opens
nothing, since every call still needs its signature."""

from collections.abc import Sequence

from cosset.wire.message import Request, Response

_METHODS = "HEAD, GET, POST, PUT, DELETE, PATCH, OPTIONS"
_EXPOSED = (
    "x-amzn-RequestId, x-amz-request-id, x-amz-id-2, x-amzn-ErrorType, x-amzn-ErrorMessage, Date, ETag, "
    "X-Amz-Function-Error, X-Amz-Executed-Version, X-Amz-Log-Result, X-Amzn-Trace-Id"
)
_MAX_AGE_S = 3600


class Cors:
    """`origins` as configured, for example `http://localhost:3000`; `*` allows any."""

    def __init__(self, origins: Sequence[str]) -> None:
        self._origins = frozenset(origins)

    def allowed_origin(self, request: Request) -> str | None:
        if not self._origins:
            return None
        origin = request.headers.get("origin")
        if origin is not None and (origin in self._origins or "*" in self._origins):
            return origin
        return None

    def preflight(self, request: Request) -> Response | None:
        """The answer when the request is a preflight from an allowed origin, else None."""
        if request.method != "OPTIONS" or "access-control-request-method" not in request.headers:
            return None
        origin = self.allowed_origin(request)
        if origin is None:
            return None
        headers = [
            ("Access-Control-Allow-Methods", _METHODS),
            ("Access-Control-Max-Age", str(_MAX_AGE_S)),
        ]
        asked = request.headers.get("access-control-request-headers")
        if asked is not None:
            headers.append(("Access-Control-Allow-Headers", asked))
        return Response(status=200, headers=headers)

    def add_headers(self, request: Request, response: Response) -> None:
        origin = self.allowed_origin(request)
        if origin is not None:
            response.headers.extend(_origin_headers(origin))
            response.headers.append(("Access-Control-Expose-Headers", _EXPOSED))


def _origin_headers(origin: str) -> list[tuple[str, str]]:
    return [("Access-Control-Allow-Origin", origin), ("Vary", "Origin")]
