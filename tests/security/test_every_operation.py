"""Every operation of every service, asked for by a user without any policy, and by the administrator of another
account: the one is denied whatever they ask, the other is shown and moves nothing that is not their own.

What is served is read from docs/operations.md, which a test holds against the code: who adds an operation has it asked
here, too, and it must be denied. What of the owner's it asks for: support/owner_params.py.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock
from urllib.parse import urlsplit, urlunsplit

import boto3
import pytest
from botocore import xform_name
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from botocore.httpsession import URLLib3Session

from cosset.cli.reference import TITLES
from cosset.services.installation.service import installation_service
from cosset.testing.server import CossetServer
from support.command import cosset
from support.least_params import least_params
from support.owner import NAME, SECRET, make_things, take_away
from support.owner_params import BY_SERVICE, known_to_all, of_operations

AS_IT_IS = Config(
    retries={"total_max_attempts": 1},
    read_timeout=60,
    parameter_validation=False,
    s3={"addressing_style": "path"},
)
DENIED = {"AccessDenied", "AccessDeniedException", "AuthorizationError", "UnauthorizedOperation", "403"}
OPEN = {
    ("sts", "GetCallerIdentity"): "says who signed, to whoever signed",
    ("sts", "GetSessionToken"): "gives the caller's own rights",
    ("sts", "AssumeRoleWithWebIdentity"): "carries its own proof",
    ("s3", "DeleteObjects"): "answers for each object",
}
TOLD = {
    ("sts", "GetAccessKeyInfo"): "says of any key whose it is, as on AWS",
    ("lambda", "CreateCodeSigningConfig"): "repeats whom the caller trusts to sign",
    ("lambda", "ListCodeSigningConfigs"): "likewise",
}


def served() -> Iterator[tuple[str, str]]:
    names = {title: name for name, title in TITLES.items()}
    service = ""
    for line in (Path(__file__).parents[2] / "docs" / "operations.md").read_text().splitlines():
        if line.startswith("## "):
            service = names[line[3:]]
        elif found := re.match(r"\| (\w+) \| yes \|", line):
            yield service, found[1]


@dataclass(frozen=True)
class House:
    """An account that has one of everything, in values that parameters take by their names."""

    server: CossetServer
    known: Mapping[str, Any]
    by_service: Mapping[str, Mapping[str, Any]]
    by_operation: Mapping[str, Mapping[str, Any]]

    def params(self, service: str, operation: str, shape: Any) -> dict[str, Any]:
        known = {**self.known, **self.by_service.get(service, {})}
        more = self.by_operation.get(operation, {})
        return {**least_params(shape, known | more), **{name: more[name] for name in more if name in shape.members}}

    def ask_everything(self, client: Callable[..., Any], tell: Callable[[str, str, str, str], None]) -> None:
        """`tell` is called with service, operation, error code (empty: none), and the whole answer."""
        clients: dict[str, Any] = {}
        for service, operation in served():
            if service not in clients:
                clients[service] = client(service, config=AS_IT_IS)
                clients[service].meta.events.register("before-sign", partial(_to_the_door, self.server.endpoint))
            asked = clients[service]
            shape = asked.meta.service_model.operation_model(operation).input_shape
            params = {} if shape is None else self.params(service, operation, shape)
            try:
                answer = getattr(asked, xform_name(operation))(**params)
            except ClientError as refused:
                tell(service, operation, refused.response["Error"]["Code"], "")
            else:
                answer.pop("ResponseMetadata")
                tell(service, operation, "", str({name: _read(value) for name, value in answer.items()}))
        for each in clients.values():
            each.close()


def _to_the_door(endpoint: str, request: Any, **_: Any) -> None:
    """Without the account number that clients of S3 Control put before the host."""
    parts = urlsplit(request.url)
    request.url = urlunsplit(parts._replace(netloc=urlsplit(endpoint).netloc))


def _read(value: Any) -> Any:
    return value.read() if hasattr(value, "read") else value


@pytest.fixture(scope="module")
def house(server: CossetServer) -> Iterator[House]:
    own = make_things(server)
    by_service = {service: known(own) for service, known in BY_SERVICE.items()}
    yield House(server, known_to_all(own), by_service, of_operations(own))
    take_away(server, own)


def test_who_may_nothing_is_denied_every_operation(house: House) -> None:
    key = house.server.client("iam").create_access_key(UserName=NAME)["AccessKey"]
    session = boto3.Session(key["AccessKeyId"], key["SecretAccessKey"], region_name=house.server.region)
    let_in: list[tuple[str, str, str]] = []
    asked = 0

    def tell(service: str, operation: str, code: str, answer: str) -> None:
        nonlocal asked
        asked += 1
        if SECRET in answer or (code not in DENIED and (service, operation) not in OPEN):
            let_in.append((service, operation, code or answer))

    try:
        house.ask_everything(partial(session.client, endpoint_url=house.server.endpoint), tell)
        for operation in installation_service(*[MagicMock()] * 8).operations:
            status, answer = own(house.server, operation, Credentials(key["AccessKeyId"], key["SecretAccessKey"]))
            if status != 403:
                let_in.append(("cosset", operation, answer))
    finally:
        house.server.client("iam").delete_access_key(UserName=NAME, AccessKeyId=key["AccessKeyId"])
    assert let_in == []
    assert asked > 400


def test_an_administrator_of_another_account_is_shown_nothing_and_changes_nothing(house: House) -> None:
    made = json.loads(cosset(house.server, "account", "add", "--no-profile", "--json").stdout)
    session = boto3.Session(made["access_key_id"], made["secret_access_key"], region_name=house.server.region)
    before = state_of(house.server)
    shown: list[tuple[str, str, str]] = []

    def tell(service: str, operation: str, code: str, answer: str) -> None:
        if SECRET in answer or house.server.account in answer:
            shown.append((service, operation, answer))

    house.ask_everything(partial(session.client, endpoint_url=house.server.endpoint), tell)
    assert [each for each in shown if each[:2] not in TOLD] == []
    after = state_of(house.server)
    for name, value in before.items():
        assert after[name] == value, name


def own(server: CossetServer, operation: str, key: Credentials) -> tuple[int, str]:
    """One of Cosset's own operations."""
    request = AWSRequest("POST", f"{server.endpoint}/_cosset/api/{operation}", {}, b"{}")
    SigV4Auth(key, "cosset", server.region).add_auth(request)
    answer = URLLib3Session().send(request.prepare())
    return answer.status_code, answer.text


def state_of(server: CossetServer) -> Mapping[str, Any]:
    """What the owner sees of all that can be changed."""
    lambda_, iam, sns, sqs = (server.client(name) for name in ("lambda", "iam", "sns", "sqs"))
    logs, s3, alarms = (server.client(name) for name in ("logs", "s3", "cloudwatch"))
    queue = sqs.get_queue_url(QueueName=NAME)["QueueUrl"]
    topic = f"arn:aws:sns:{server.region}:{server.account}:{NAME}"
    seen: dict[str, Callable[[], dict[str, Any]]] = {
        "function": lambda: lambda_.get_function_configuration(FunctionName=NAME),
        "concurrency": lambda: lambda_.get_function_concurrency(FunctionName=NAME),
        "aliases": lambda: lambda_.list_aliases(FunctionName=NAME),
        "versions": lambda: lambda_.list_versions_by_function(FunctionName=NAME),
        "layers": lambda: lambda_.list_layer_versions(LayerName=NAME),
        "mappings": lambda: lambda_.list_event_source_mappings(),
        "signing": lambda: lambda_.list_code_signing_configs(),
        "identities": lambda: iam.get_account_authorization_details(
            Filter=["User", "Role", "Group", "LocalManagedPolicy"]
        ),
        "keys": lambda: iam.list_access_keys(UserName=NAME),
        "queue": lambda: sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"]),
        "topic": lambda: sns.get_topic_attributes(TopicArn=topic),
        "subscriptions": lambda: sns.list_subscriptions_by_topic(TopicArn=topic),
        "groups": lambda: logs.describe_log_groups(logGroupNamePrefix=NAME),
        "streams": lambda: logs.describe_log_streams(logGroupName=NAME),
        "objects": lambda: s3.list_object_versions(Bucket=NAME),
        "uploads": lambda: s3.list_multipart_uploads(Bucket=NAME),
        "acl": lambda: s3.get_bucket_acl(Bucket=NAME),
        "shut": lambda: s3.get_public_access_block(Bucket=NAME),
        "alarms": lambda: alarms.describe_alarms(AlarmNames=[NAME]),
        "dashboards": lambda: alarms.get_dashboard(DashboardName=NAME),
    }
    return {name: {k: v for k, v in see().items() if k != "ResponseMetadata"} for name, see in seen.items()}
