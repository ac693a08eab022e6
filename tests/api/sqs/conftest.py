"""A client of SQS on the shared server, and queues that go with their test."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import botocore.session
import pytest
from botocore.exceptions import ClientError

from cosset.testing.server import CossetServer
from support.old_sqs import write_old_model

MakeQueue = Callable[..., str]


def new_client(server: CossetServer, protocol: str, models: Any) -> Any:
    """Stock botocore; for `query` with the model that it had until 2023."""
    if protocol == "json":
        return server.client("sqs")
    session = botocore.session.get_session()
    session.set_config_variable("data_path", str(models))
    keys = server.credentials
    return session.create_client(
        "sqs",
        region_name=server.region,
        endpoint_url=server.endpoint,
        aws_access_key_id=keys.access_key_id,
        aws_secret_access_key=keys.secret_access_key,
    )


@pytest.fixture(scope="session")
def old_models(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("models")
    write_old_model(folder)
    return folder


@pytest.fixture(params=["json", "query"])
def sqs(request: pytest.FixtureRequest, server: CossetServer, old_models: Any) -> Iterator[Any]:
    client = new_client(server, request.param, old_models)
    assert client.meta.service_model.protocol == request.param
    yield client
    client.close()


@pytest.fixture
def make_queue(server: CossetServer) -> Iterator[MakeQueue]:
    client = server.client("sqs")
    made: list[str] = []

    def make(suffix: str = "", **attributes: str) -> str:
        if suffix == ".fifo":
            attributes = {"FifoQueue": "true", "ContentBasedDeduplication": "true", **attributes}
        name = f"q-{uuid.uuid4().hex[:12]}{suffix}"
        made.append(client.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"])
        return made[-1]

    yield make
    for url in made:
        with suppress(client.exceptions.QueueDoesNotExist):
            client.delete_queue(QueueUrl=url)


@pytest.fixture
def arn_of(server: CossetServer) -> Callable[[str], str]:
    return lambda url: f"arn:aws:sqs:{server.region}:{server.account}:{url.rpartition('/')[2]}"


def refusal(call: Callable[..., Any], **params: Any) -> tuple[str, str, int]:
    """Code, sentence and status."""
    with pytest.raises(ClientError) as refused:
        call(**params)
    response = refused.value.response
    return response["Error"]["Code"], response["Error"]["Message"], response["ResponseMetadata"]["HTTPStatusCode"]
