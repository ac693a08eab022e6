"""Requests to S3 that no SDK would make, signed, and their answers as they came."""

import http.client
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials


class Answered(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def error(self) -> dict[str, str | None]:
        return {each.tag: each.text for each in ET.fromstring(self.body)}


def signed(
    server: Any, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
) -> Answered:
    """`server`: a CossetServer, asked by its administrator."""
    place, keys = urlsplit(server.endpoint), server.credentials
    request = AWSRequest(method, f"{server.endpoint}{path}", dict(headers or {}), body)
    S3SigV4Auth(Credentials(keys.access_key_id, keys.secret_access_key), "s3", server.region).add_auth(request)
    connection = http.client.HTTPConnection(place.hostname or "", place.port or 0, timeout=60)
    try:
        connection.request(method, path, body=body, headers=dict(request.headers.items()))
        response = connection.getresponse()
        read = response.read()
        return Answered(response.status, {name.lower(): value for name, value in response.getheaders()}, read)
    finally:
        connection.close()
