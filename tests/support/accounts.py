"""Further accounts of a server, each with its administrator."""

import configparser
import json
import urllib.error
import urllib.request
from typing import Any

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from cosset.testing.server import CossetServer
from support.command import cosset


class Account:
    """One added account, and its administrator's clients."""

    def __init__(self, server: CossetServer, *arguments: str) -> None:
        done = cosset(server, "account", "add", *arguments, "--json")
        assert done.returncode == 0, done.stderr
        self.said = json.loads(done.stdout)
        self.number = self.said["account"]
        parser = configparser.RawConfigParser()
        parser.read(server.data / "aws" / "credentials", encoding="utf-8")
        keys = parser[self.said["profile"]]
        self._server = server
        self._keys = keys["aws_access_key_id"], keys["aws_secret_access_key"]

    def client(self, service: str, region: str | None = None, **options: Any) -> Any:
        session = boto3.Session(*self._keys, region_name=region or self._server.region)
        return session.client(service, endpoint_url=self._server.endpoint, **options)

    def own(self, operation: str) -> tuple[int, bytes]:
        """One of Cosset's own operations, signed by this account."""
        url = f"{self._server.endpoint}/_cosset/api/{operation}"
        signed = AWSRequest("POST", url, {}, b"{}")
        SigV4Auth(Credentials(*self._keys), "cosset", self._server.region).add_auth(signed)
        request = urllib.request.Request(url, b"{}", dict(signed.headers.items()), method="POST")
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()
