"""Websites of buckets: index and error documents, redirects, and S3's own pages for what goes wrong.

At `http://BUCKET.s3-website.localhost:PORT` and AWS's forms of that host, and below `/_cosset/website/BUCKET/`. Who
visits is nobody: what the bucket's policy does not let in stays shut. Recorded: TestS3StaticWebsiteHosting.
"""

from asyncio import Event
from collections.abc import Mapping
from dataclasses import replace
from html import escape
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, unquote

from cosset.gateway.bucket_hosts import Site
from cosset.gateway.bucket_ways import BucketConfigurations, Calls, Visitor
from cosset.services.s3.kinds import Kind
from cosset.services.s3.website_rules import document_key, find_rule, redirect_of
from cosset.wire.errors import ServiceError
from cosset.wire.host_ids import host_id
from cosset.wire.message import Headers, Request, Response

_READ = ("if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "range")
_MISSING = "The specified bucket does not have a website configuration"


class Websites:
    def __init__(self, configurations: BucketConfigurations, calls: Calls) -> None:
        self._configurations = configurations
        self._calls = calls

    async def answer(self, site: Site, request: Request, request_id: str, gone: Event) -> Response:
        visit = _Visit(site, request, request_id, gone)
        try:
            if request.method not in ("GET", "HEAD"):
                raise _not_allowed(request.method)
            return await self._answer(visit)
        except ServiceError as error:
            return visit.page(error)

    async def _answer(self, visit: "_Visit") -> Response:
        site, request = visit.site, visit.request
        website = await self._configurations.find(site.bucket, Kind.WEBSITE)
        if website is None:
            fields = {"BucketName": site.bucket}
            raise ServiceError("NoSuchWebsiteConfiguration", _MISSING, status=404, fields=fields)
        if not site.path:
            return visit.redirect(302, site.root)  # else links on the page would lead beside the site
        path = unquote(site.path.removeprefix("/"))
        everything = website.get("RedirectAllRequestsTo")
        if everything is not None:
            query = f"?{request.query}" if request.query else ""
            target = f"{everything.get('Protocol') or request.scheme}://{everything['HostName']}{site.path}{query}"
            return visit.redirect(301, target)
        rule = find_rule(website, path)
        if rule is not None:
            return visit.redirect(*redirect_of(rule, path, request.scheme, request.host, site.root))
        try:
            return await self._document(visit, document_key(website, path))
        except ServiceError as error:
            if error.status == 304:
                return Response(304, visit.headers())
            return await self._failure(visit, website, path, error)

    async def _failure(self, visit: "_Visit", website: Mapping[str, Any], path: str, error: ServiceError) -> Response:
        """A redirect that waits for the error, the folder that was meant, the error document, or S3's own page."""
        rule = find_rule(website, path, error.status)
        if rule is not None:
            request, root = visit.request, visit.site.root
            return visit.redirect(*redirect_of(rule, path, request.scheme, request.host, root))
        # Who may not list is told 403 of what is missing; a folder is found all the same.
        may_be_folder = error.status in (403, 404) and bool(path) and not path.endswith("/")
        if may_be_folder and await self._is_folder(visit, website, path):
            return visit.found(f"{visit.site.root}{quote(path)}/")
        document = (website.get("ErrorDocument") or {}).get("Key")
        if document is None or not 400 <= error.status < 500:
            raise error
        try:
            found = await self._document(visit, document, is_plain=True)
        except ServiceError as second:
            return visit.page(error, second)
        return replace(found, status=error.status, headers=[*found.headers, *_error_headers(error)])

    async def _is_folder(self, visit: "_Visit", website: Mapping[str, Any], path: str) -> bool:
        try:
            await self._read(visit, "HeadObject", document_key(website, f"{path}/"), is_plain=True)
        except ServiceError:
            return False
        return True

    async def _document(self, visit: "_Visit", key: str, *, is_plain: bool = False) -> Response:
        operation = "GetObject" if visit.request.method == "GET" else "HeadObject"
        result = await self._read(visit, operation, key, is_plain=is_plain)
        target = result.get("WebsiteRedirectLocation")
        if target is not None and not is_plain:
            root = visit.site.root.removesuffix("/")
            return visit.redirect(301, f"{root}{target}" if target.startswith("/") else target)
        return self._calls.write_bucket_answer(operation, result, visit.request_id)

    async def _read(self, visit: "_Visit", operation: str, key: str, *, is_plain: bool) -> dict[str, Any]:
        """`is_plain`: whatever part of another document the visitor asked for, all of this one is read."""
        asked = [] if is_plain else [(name, value) for name, value in visit.request.headers if name in _READ]
        request = replace(visit.request, headers=Headers(asked), query="", body=b"")
        labels = {"Bucket": visit.site.bucket, "Key": key}
        params = self._calls.read_bucket_params(operation, request, labels)
        who = replace(visit.request, body=b"")
        return await self._calls.run_for_bucket(who, visit.request_id, visit.gone, Visitor(), operation, params)


class _Visit:
    """One request to a site."""

    def __init__(self, site: Site, request: Request, request_id: str, gone: Event) -> None:
        self.site = site
        self.request = request
        self.request_id = request_id
        self.gone = gone

    def headers(self) -> list[tuple[str, str]]:
        return [("x-amz-request-id", self.request_id), ("x-amz-id-2", host_id(self.request_id))]

    def redirect(self, status: int, target: str) -> Response:
        safe = "".join(each for each in target if each.isprintable())
        return Response(status, [*self.headers(), ("Location", safe)])

    def found(self, target: str) -> Response:
        """What was meant is there, with a slash behind it: S3 says so on a page of its own."""
        page = self.page(ServiceError("Found", "Resource Found", status=302))
        return replace(page, headers=[*page.headers, *self.redirect(302, target).headers[-1:]])

    def page(self, error: ServiceError, second: ServiceError | None = None) -> Response:
        """S3's own page. `second` is what went wrong with the error document."""
        title = f"{error.status} {HTTPStatus(error.status).phrase}"
        own = {"RequestId": self.request_id, "HostId": host_id(self.request_id)}
        text = f"<html>\n<head><title>{title}</title></head>\n<body>\n<h1>{title}</h1>\n" + _listed(
            {"Code": error.code, "Message": error.message, **error.fields, **own}
        )
        if second is not None:
            text += "<h3>An Error Occurred While Attempting to Retrieve a Custom Error Document</h3>\n"
            text += _listed({"Code": second.code, "Message": second.message, **second.fields})
        headers = [
            *self.headers(),
            *_error_headers(error),
            ("Content-Type", "text/html; charset=utf-8"),
        ]
        return Response(error.status, headers, f"{text}<hr/>\n</body>\n</html>\n".encode())


def _error_headers(error: ServiceError) -> list[tuple[str, str]]:
    details = [(f"x-amz-error-detail-{name}", str(value)) for name, value in error.fields.items()]
    told = [("x-amz-error-code", error.code), ("x-amz-error-message", error.message), *details]
    return [(name, "".join(each if " " <= each < "\x7f" else "?" for each in value)) for name, value in told]


def _listed(fields: Mapping[str, Any]) -> str:
    items = "".join(f"<li>{escape(name)}: {escape(str(value))}</li>\n" for name, value in fields.items())
    return f"<ul>\n{items}</ul>\n"


def _not_allowed(method: str) -> ServiceError:
    sentence = "The specified method is not allowed against this resource."
    fields = {"Method": method, "ResourceType": "OBJECT"}
    return ServiceError("MethodNotAllowed", sentence, status=405, fields=fields)
