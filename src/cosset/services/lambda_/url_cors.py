"""CORS of one function URL: what its configuration lets a browser do. It wins over what the function itself says.

Source: https://docs.aws.amazon.com/lambda/latest/dg/urls-configuration.html#urls-cors
"""

from collections.abc import Mapping
from typing import Any

from cosset.wire.message import Request

_Headers = list[tuple[str, str]]


def is_preflight(request: Request) -> bool:
    return (
        request.method == "OPTIONS"
        and "origin" in request.headers
        and "access-control-request-method" in request.headers
    )


def write_preflight(cors: Mapping[str, Any], request: Request) -> _Headers:
    """Nothing for an origin that is not allowed: the browser then refuses by itself."""
    headers = _origin_headers(cors, request)
    if not headers:
        return []
    for name, member, asked in (
        ("Access-Control-Allow-Methods", "AllowMethods", "access-control-request-method"),
        ("Access-Control-Allow-Headers", "AllowHeaders", "access-control-request-headers"),
    ):
        allowed = cors.get(member) or []
        if "*" in allowed and cors.get("AllowCredentials"):
            # Where credentials are sent a star would mean only itself.
            allowed = [request.headers.get(asked) or ""]
        if any(allowed):
            headers.append((name, ",".join(allowed)))
    if cors.get("MaxAge") is not None:
        headers.append(("Access-Control-Max-Age", str(cors["MaxAge"])))
    return headers


def add_headers(cors: Mapping[str, Any] | None, request: Request, headers: _Headers) -> _Headers:
    """The response's headers with those of the configuration in place of the function's own."""
    if cors is None or "origin" not in request.headers:
        return headers
    kept = [(name, value) for name, value in headers if not name.lower().startswith("access-control-")]
    added = _origin_headers(cors, request)
    if added and cors.get("ExposeHeaders"):
        added.append(("Access-Control-Expose-Headers", ",".join(cors["ExposeHeaders"])))
    return kept + added


def _origin_headers(cors: Mapping[str, Any], request: Request) -> _Headers:
    origin, allowed = request.headers.get("origin", ""), cors.get("AllowOrigins") or []
    with_credentials = bool(cors.get("AllowCredentials"))
    if origin in allowed or ("*" in allowed and with_credentials):
        headers = [("Access-Control-Allow-Origin", origin or ""), ("Vary", "Origin")]
    elif "*" in allowed:
        headers = [("Access-Control-Allow-Origin", "*")]
    else:
        return []
    if with_credentials:
        headers.append(("Access-Control-Allow-Credentials", "true"))
    return headers
