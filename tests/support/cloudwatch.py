"""Clients of CloudWatch that speak the protocol they are told to, of those that its model lists."""

from typing import Any

from botocore.config import Config

from cosset.testing.server import CossetServer

PROTOCOLS = ("json", "query", "smithy-rpc-v2-cbor")


def client_in(server: CossetServer, protocol: str) -> Any:
    """A stock client that is told which protocol to speak, before its model is read."""
    session = server.session()._session
    loader = session.get_component("data_loader")
    load = loader.load_service_model

    def load_as(name: str, kind: str, *rest: Any, **more: Any) -> Any:
        model = load(name, kind, *rest, **more)
        if name == "cloudwatch" and kind == "service-2":
            model = {**model, "metadata": {**model["metadata"], "protocol": protocol, "protocols": [protocol]}}
        return model

    loader.load_service_model = load_as
    keys = server.credentials
    return session.create_client(
        "cloudwatch",
        endpoint_url=server.endpoint,
        region_name=server.region,
        aws_access_key_id=keys.access_key_id,
        aws_secret_access_key=keys.secret_access_key,
        config=Config(retries={"total_max_attempts": 1}),
    )
