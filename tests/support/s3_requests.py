"""Requests to a bucket as no client makes them: signed, but with whatever headers, query and body a test wants."""

import http.client
import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from cosset.testing.server import CossetServer


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def code(self) -> str:
        return self.told("Code")

    def told(self, element: str) -> str:
        """The text of an element of the answer, empty where there is none."""
        found = re.search(f"<{element}>(.*?)</{element}>", self.body.decode())
        return "" if found is None else found[1]


class _Signer(S3SigV4Auth):  # type: ignore[misc]
    def __init__(self, *arguments: object, declared: str) -> None:
        super().__init__(*arguments)
        self._declared = declared

    def payload(self, request: object) -> str:
        return self._declared


class Sender:
    """`ask("PUT", "/bucket/key", ...)`, as the server's administrator, or as nobody."""

    def __init__(self, server: CossetServer) -> None:
        self._server = server
        self._place = urlsplit(server.endpoint)

    def ask(
        self,
        method: str,
        path: str,
        query: str = "",
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        *,
        signed: bool = True,
        declared: str = "UNSIGNED-PAYLOAD",
        length: bool = True,
    ) -> Answer:
        """`declared`: what the signature says of the body. Without `length` nothing tells how long it is."""
        target = path + (f"?{query}" if query else "")
        given = self._sign(method, target, headers or {}, declared) if signed else dict(headers or {})
        connection = http.client.HTTPConnection(self._place.hostname or "", self._place.port, timeout=60)
        try:
            connection.putrequest(method, target, skip_accept_encoding=True)
            for name, value in given.items():
                connection.putheader(name, value.encode())
            if length and "Transfer-Encoding" not in given:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body or None)
            response = connection.getresponse()
            content = response.read()
            return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, content)
        finally:
            connection.close()

    def _sign(self, method: str, target: str, headers: Mapping[str, str], declared: str) -> dict[str, str]:
        request = AWSRequest(method=method, url=self._server.endpoint + target, headers=dict(headers))
        keys = self._server.credentials
        credentials = Credentials(keys.access_key_id, keys.secret_access_key)
        _Signer(credentials, "s3", self._server.region, declared=declared).add_auth(request)
        return dict(request.headers.items())
