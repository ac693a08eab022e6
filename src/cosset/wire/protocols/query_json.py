"""The query protocol for who asks for JSON (`Accept: application/json`), as API Gateway's integrations do.

The same form goes in; the answer has the frame of the XML, and null for what is not set. Maps whose keys and values the
protocol names (`Name`, `Value`) are lists of such pairs. Seen in answers to API Gateway, for SQS and SNS.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from cosset.wire.errors import ServiceError
from cosset.wire.json_shapes import JsonWriters, dump_json
from cosset.wire.message import Request, Response
from cosset.wire.models import WireService
from cosset.wire.protocols.base import error_status, is_senders_fault, query_error_code
from cosset.wire.protocols.query import NO_OPERATION, Query, has_detail, sentence_of

if TYPE_CHECKING:
    from botocore.model import OperationModel

Writer = Callable[[Any], Any]


class QueryJson(Query):
    """To a router it is query as well: only what goes out differs."""

    @staticmethod
    def is_wanted(request: Request) -> bool:
        accepted = request.headers.get("accept") or ""
        return accepted.partition(";")[0].strip().lower() == "application/json"

    def serialize(self, service: WireService, operation: str, result: Mapping[str, Any], request_id: str) -> Response:
        write: Writer | None = service.compiled(
            "query answers in JSON", operation, lambda found: _compile(service, service.form_model(found.name))
        )
        content: dict[str, Any] = {} if write is None else {f"{operation}Result": write(result)}
        content["ResponseMetadata"] = {"RequestId": request_id}
        return Response(200, _headers(request_id), dump_json({f"{operation}Response": content}))

    def serialize_error(
        self, service: WireService, operation: str | None, error: ServiceError, request_id: str
    ) -> Response:
        if error.code == NO_OPERATION and not error.message:
            output = {"__type": f"com.amazon.coral.service#{NO_OPERATION}"}
            return Response(error.status, _headers(request_id), dump_json({"Output": output, "Version": "1.0"}))
        shape: Any = service.error_shape(error.code)
        status = error_status(service, error, shape)
        told: dict[str, Any] = {
            "Code": query_error_code(service, shape, error),
            "Message": sentence_of(service, error),
            "Type": "Sender" if is_senders_fault(status) else "Receiver",
        }
        if has_detail(service, operation):
            told["Detail"] = None
        return Response(status, _headers(request_id), dump_json({"Error": told, "RequestId": request_id}))


def _headers(request_id: str) -> list[tuple[str, str]]:
    return [("Content-Type", "application/json"), ("x-amzn-RequestId", request_id)]


def _compile(service: WireService, model: OperationModel) -> Writer | None:
    return None if model.output_shape is None else _writer(service, model.output_shape)


def _writer(service: WireService, shape: Any) -> Writer:
    """No answer of a service that speaks query refers to itself."""
    if shape.type_name == "structure":
        return _structure(service, shape)
    if shape.type_name == "list":
        element = _writer(service, shape.member)
        return lambda value: [element(each) for each in value]
    if shape.type_name == "map":
        return _map(shape, _writer(service, shape.value))
    return JsonWriters().scalar(shape)


def _map(shape: Any, write: Writer) -> Writer:
    key_name, value_name = shape.key.serialization.get("name"), shape.value.serialization.get("name")
    if key_name and value_name:
        return lambda value: [{key_name: key, value_name: write(each)} for key, each in value.items()]
    return lambda value: {key: write(each) for key, each in value.items()}


def _structure(service: WireService, shape: Any) -> Writer:
    members = {
        name: (service.overlay.query_json_names.get(f"{shape.name}.{name}", name), _writer(service, member))
        for name, member in shape.members.items()
    }

    def write(value: Mapping[str, Any]) -> dict[str, Any]:
        unknown = value.keys() - members.keys()
        if unknown:
            raise ValueError(f"{shape.name} has no member {min(unknown)}")
        return {
            shown: None if value.get(name) is None else writer(value[name]) for name, (shown, writer) in members.items()
        }

    return write
