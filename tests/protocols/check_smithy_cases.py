"""Runs every Smithy protocol test case of the protocols that Cosset speaks against the wire room.

A development check, not part of the suite: the cases are not ours to ship. It reads them from `../shared/protocols`
beside the repository, or from the folder that COSSET_PROTOCOLS names (botocore's source has them under
tests/unit/protocols). Usage: `python tests/protocols/check_smithy_cases.py [case id ...]`.

An input case is a request that our parser must read as the case's parameters. An output case is a result: what our
serializer makes of it must be read by botocore's parser as that result, and its body must equal the case's body.
"""

import base64
import json
import math
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from botocore.model import ServiceModel, Shape
from botocore.parsers import ResponseParserError, create_parser

from cosset.wire.cbor import load_cbor
from cosset.wire.errors import ServiceError
from cosset.wire.message import Headers, Request, Response
from cosset.wire.models import WireService
from cosset.wire.protocols import PROTOCOLS, route

CBOR_SUITES = (
    "smithy-rpc-v2-cbor",
    "smithy-rpc-v2-cbor-query-compatible",
    "smithy-rpc-v2-cbor-non-query-compatible",
)
SUITES = ("query", "json", "json_1_0", "json_1_0-query-compatible", "rest-json", "rest-xml", *CBOR_SUITES)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_CLIENT_ONLY = "tells a client what to send; what arrives here is already the result"
_OLD_ERROR_FORM = "a form of error that clients must bear; a server writes one form, and writes another one"
_OTHER_TEXT = "another text with the same meaning, which clients must bear; a server writes one"

_UNSET_IS_EMPTY = "the case tells apart what is equal on the wire: unset and empty"
_MODEL_LOSS = "botocore's model has lost what the case needs, or botocore itself reads it otherwise (its ignore list)"

# Cases that say nothing about a server, each with the reason: docs/decisions/0003 repeats them.
INAPPLICABLE_INPUT = {
    "SDKAppliedContentEncoding_awsQuery": _CLIENT_ONLY,
    "SDKAppendsGzipAndIgnoresHttpProvidedEncoding_awsQuery": _CLIENT_ONLY,
    "SDKAppliedContentEncoding_awsJson1_1": _CLIENT_ONLY,
    "SDKAppendsGzipAndIgnoresHttpProvidedEncoding_awsJson1_1": _CLIENT_ONLY,
    "SDKAppliedContentEncoding_awsJson1_0": _CLIENT_ONLY,
    "SDKAppendsGzipAndIgnoresHttpProvidedEncoding_awsJson1_0": _CLIENT_ONLY,
    "SDKAppliedContentEncoding_restJson1": _CLIENT_ONLY,
    "SDKAppendedGzipAfterProvidedEncoding_restJson1": _CLIENT_ONLY,
    "SDKAppliedContentEncoding_restXml": _CLIENT_ONLY,
    "SDKAppendedGzipAfterProvidedEncoding_restXml": _CLIENT_ONLY,
    "QueryProtocolIdempotencyTokenAutoFill": _CLIENT_ONLY,
    "RestJsonQueryIdempotencyTokenAutoFill": _CLIENT_ONLY,
    "QueryIdempotencyTokenAutoFill": _CLIENT_ONLY,
    "RestJsonHostWithPath": _CLIENT_ONLY,
    "RestJsonOmitsEmptyListQueryValues": _CLIENT_ONLY,
    "QueryEmptyQueryMaps": _UNSET_IS_EMPTY,
    "RestJsonHttpPrefixHeadersAreNotPresent": _UNSET_IS_EMPTY,
    "HttpPrefixHeadersAreNotPresent": _UNSET_IS_EMPTY,
    "RestJsonHttpWithEmptyStructurePayload": _UNSET_IS_EMPTY,
    "RestJsonHttpWithHeadersButNoPayload": _UNSET_IS_EMPTY,
    "MediaTypeHeaderInputBase64": _MODEL_LOSS,
    "BodyWithXmlName": _MODEL_LOSS,
}
INAPPLICABLE_OUTPUT = {
    "RestJsonHttpPayloadWithUnsetUnion": _MODEL_LOSS,
    "RestXmlHttpPayloadWithUnsetUnion": _MODEL_LOSS,
    "RestJsonHttpPayloadTraitsWithNoBlobBody": _MODEL_LOSS,
    "HttpPayloadTraitsWithNoBlobBody": _MODEL_LOSS,
    "MediaTypeHeaderOutputBase64": _MODEL_LOSS,
    "BodyWithXmlName": _MODEL_LOSS,
    "XmlLists": _MODEL_LOSS,
    "QueryXmlLists": _MODEL_LOSS,
}
# What is written is right by the case's own headers and body; botocore's parser splits dates and quotes at commas.
BOTOCORE_MISREADS = frozenset(
    {
        "RestJsonInputAndOutputWithQuotedStringHeaders",
        "RestJsonInputAndOutputWithTimestampHeaders",
        "InputAndOutputWithTimestampHeaders",
    }
)
# Output cases whose result is checked through botocore's parser, but whose exact text is not ours to write.
_OLD_ERROR_FORMS = (
    "FooErrorUsingXAmznErrorTypeWithUri",
    "FooErrorUsingXAmznErrorTypeWithUriAndNamespace",
    "FooErrorUsingCode",
    "FooErrorUsingCodeAndNamespace",
    "FooErrorUsingCodeUriAndNamespace",
    "FooErrorWithDunderTypeUriAndNamespace",
)
OTHER_TEXT = {
    "NoOutputClientAllowsEmptyCbor": _OTHER_TEXT,
    "RpcV2CborExtraFieldsInTheBodyShouldBeSkippedByClients": _OTHER_TEXT,
    "RpcV2CborPayloadWithUnsetUnion": _OTHER_TEXT,
    "AwsQueryDateTimeWithNegativeOffset": _OTHER_TEXT,
    "AwsQueryDateTimeWithPositiveOffset": _OTHER_TEXT,
    "AwsJson11DateTimeWithNegativeOffset": _OTHER_TEXT,
    "AwsJson11DateTimeWithPositiveOffset": _OTHER_TEXT,
    "RestJsonDateTimeWithNegativeOffset": _OTHER_TEXT,
    "RestJsonDateTimeWithPositiveOffset": _OTHER_TEXT,
    "RestXmlDateTimeWithNegativeOffset": _OTHER_TEXT,
    "RestXmlDateTimeWithPositiveOffset": _OTHER_TEXT,
    "handles_unexpected_json_output": _OTHER_TEXT,
    "AwsJson10HandlesUnexpectedJsonOutput": _OTHER_TEXT,
    "AwsJson11DeserializeIgnoreType": _OTHER_TEXT,
    "AwsJson10DeserializeIgnoreType": _OTHER_TEXT,
    "RestJsonDeserializeIgnoreType": _OTHER_TEXT,
    "QueryXmlNamespaces": "namespaces that stand at a structure itself are written too: S3's Grantee needs them",
    "AwsJson11IntEnums": "the case lists a request's header in a response",
    "InvalidGreetingError": "the body holds a member that the model does not have",
    "ComplexError": "the body holds a message that the error does not have",
    **{
        f"{kind}{form}": _OLD_ERROR_FORM for kind in ("AwsJson11", "AwsJson10", "RestJson") for form in _OLD_ERROR_FORMS
    },
    "AwsJson11FooErrorUsingXAmznErrorType": _OLD_ERROR_FORM,
    "AwsJson10FooErrorUsingXAmznErrorType": _OLD_ERROR_FORM,
    "RestJsonFooErrorWithDunderType": _OLD_ERROR_FORM,
    "RestJsonFooErrorWithDunderTypeAndNamespace": _OLD_ERROR_FORM,
}


@dataclass(frozen=True)
class Case:
    suite: str
    service: WireService
    operation: str
    data: dict[str, Any]

    @property
    def id(self) -> str:
        return str(self.data["id"])


def cases(folder: Path, direction: str) -> Iterator[Case]:
    for suite in SUITES:
        for group in json.loads((folder / direction / f"{suite}.json").read_text()):
            metadata = {"endpointPrefix": "protocol", "serviceId": "Protocol", "signatureVersion": "v4"}
            metadata |= group["metadata"]
            if suite == "query" and direction == "output":
                # Left out of the cases' metadata, present in their bodies and in every real query service.
                metadata["xmlNamespace"] = "https://example.com/"
            for data in group["cases"]:
                given = data["given"]
                description = {
                    "metadata": metadata,
                    "operations": {given["name"]: given},
                    "shapes": group["shapes"],
                }
                service = WireService("protocol", ServiceModel(description, "protocol"))
                yield Case(suite, service, given["name"], data)


def native(value: Any, shape: Any) -> Any:
    """A case's value as Cosset and botocore hold it: blobs are bytes, timestamps datetimes, special floats floats."""
    if value is None or getattr(shape, "is_document_type", False):
        return value
    kind = shape.type_name
    if kind == "structure":
        return {name: native(item, shape.members[name]) for name, item in value.items()}
    if kind == "list":
        return [native(item, shape.member) for item in value]
    if kind == "map":
        return {key: native(item, shape.value) for key, item in value.items()}
    if kind == "blob":
        return value.encode()
    if kind == "timestamp":
        return EPOCH + timedelta(seconds=value)
    if kind in ("float", "double"):
        return float(value)
    return value


def comparable(value: Any) -> Any:
    """NaN equals itself, and what is unset is not there."""
    if isinstance(value, dict):
        return {key: comparable(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [comparable(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        # botocore leaves these as text in JSON.
        return {math.inf: "Infinity", -math.inf: "-Infinity"}.get(value, "NaN")
    if isinstance(value, bytes):
        # botocore gives a blob payload as text.
        return value.decode("utf-8", "replace")
    if hasattr(value, "read"):
        return value.read()
    return value


def check_input(case: Case) -> None:
    sent = case.data["serialized"]
    path, _, query = sent["uri"].partition("?")
    body = sent.get("body", "")
    headers = dict(sent.get("headers", {}))
    is_cbor = case.suite in CBOR_SUITES
    if case.service.target_prefix is not None and not is_cbor:
        # Some cases list no headers at all; every client sends this one.
        headers.setdefault("X-Amz-Target", f"{case.service.target_prefix}.{case.operation}")
    request = Request(sent["method"], path, query, Headers(headers.items()), _body_of(case, body))
    routed = route(case.service, request)
    assert routed.operation == case.operation, f"routed to {routed.operation}"
    params = {name: _collected(value) for name, value in routed.protocol.parse(routed, request).items()}
    shape = case.service.operation(case.operation).model.input_shape
    expected = native(case.data["params"], shape) if shape is not None else {}
    if shape is not None:
        _drop_bound_parameters(shape, params, expected)
    assert comparable(params) == comparable(expected), f"parsed {params!r}, expected {expected!r}"


def _body_of(case: Case, text: str) -> bytes:
    """The cases write CBOR in base64."""
    return base64.b64decode(text) if case.suite in CBOR_SUITES else text.encode()


def _drop_bound_parameters(shape: Any, *values: dict[str, Any]) -> None:
    """A server puts every query parameter into a map that is bound to the query string; clients disagree on it."""
    in_query = {
        name: member for name, member in shape.members.items() if member.serialization.get("location") == "querystring"
    }
    bound = {member.serialization.get("name") for member in in_query.values() if member.type_name != "map"}
    for value in values:
        for name, member in in_query.items():
            if member.type_name == "map" and name in value:
                value[name] = {key: item for key, item in value[name].items() if key not in bound} or None


def _collected(value: Any) -> Any:
    if not hasattr(value, "__anext__"):
        return value
    chunks = []
    try:
        while True:
            value.__anext__().send(None)
    except StopIteration as chunk:
        chunks.append(chunk.value)
    except StopAsyncIteration:
        pass
    return b"".join(chunks)


def check_output(case: Case) -> None:
    protocol = PROTOCOLS[case.service.model.metadata["protocol"]]
    if "errorCode" in case.data:
        check_error(case)
        return
    shape = case.service.operation(case.operation).model.output_shape
    result = native(case.data["result"], shape) if shape is not None else {}
    request_id = case.data["response"].get("headers", {}).get("X-Amzn-Requestid", "foo-id")
    response = protocol.serialize(case.service, case.operation, result, request_id)
    if case.id not in BOTOCORE_MISREADS:
        parsed = _botocore_reads(case, response, shape)
        parsed.pop("ResponseMetadata", None)
        assert comparable(parsed) == comparable(result), f"botocore read {parsed!r}, expected {result!r}"
    _check_response(case, response)


def check_error(case: Case) -> None:
    protocol = PROTOCOLS[case.service.model.metadata["protocol"]]
    code, message = case.data["errorCode"], case.data.get("errorMessage", "")
    shape: Any = case.service.error_shape(code)
    members = native(case.data["error"], shape)
    fields = {name: value for name, value in members.items() if name.lower() != "message"}
    error = ServiceError(code, message, fields=fields)
    response = protocol.serialize_error(case.service, case.operation, error, "foo-id")
    parsed = _botocore_reads(case, response, None)
    assert parsed["Error"]["Code"] == code, f"botocore read the code {parsed['Error']['Code']}"
    assert parsed["Error"].get("Message", "") == message
    modelled = _botocore_reads(case, response, shape)
    assert comparable(modelled) == comparable(members), f"botocore read {modelled!r}, expected {members!r}"
    _check_response(case, response)


def _botocore_reads(case: Case, response: Response, shape: Shape | None) -> dict[str, Any]:
    assert isinstance(response.body, bytes)
    protocol = case.service.model.metadata["protocol"]
    parser = create_parser(protocol)
    if protocol == "query" and shape is not None and response.status < 300:
        # The cases leave out what every query service's model has.
        shape.serialization.setdefault("resultWrapper", f"{case.operation}Result")
    # One case binds a map to all headers, which has none of a server's own in it.
    own = ("x-amzn-requestid", "content-type")
    headers = {name.lower(): value for name, value in response.headers if name.lower() not in own}
    parsed: dict[str, Any] = parser.parse(
        {"status_code": response.status, "headers": _Folded(headers), "body": response.body}, shape
    )
    return parsed


class _Folded(dict[str, str]):
    """Headers as botocore has them: names compare without case."""

    def get(self, name: str, default: Any = None) -> Any:
        return super().get(name.lower(), default)

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())

    def __contains__(self, name: object) -> bool:
        return super().__contains__(str(name).lower())


def _check_response(case: Case, response: Response) -> None:
    expected = case.data["response"]
    assert response.status == expected["status_code"], f"status {response.status}"
    if case.id in OTHER_TEXT:
        return
    headers = _Folded({name.lower(): value for name, value in response.headers})
    for name, value in expected.get("headers", {}).items():
        if name.lower() != "content-type" or expected.get("body"):
            assert headers.get(name) == value, f"header {name}: {headers.get(name)!r}, expected {value!r}"
    text = expected.get("body", "")
    assert isinstance(response.body, bytes)
    if case.suite in CBOR_SUITES:
        if text:
            theirs = load_cbor(_body_of(case, text))
            assert _cbor_structure(load_cbor(response.body or b"\xa0")) == _cbor_structure(theirs)
        return
    ours = response.body.decode("utf-8", "replace")
    if text:
        if "<ErrorResponse" in text:
            # The cases' errors stand in no namespace; AWS's stand in the service's.
            ours = ours.replace(' xmlns="https://example.com/"', "")
        assert _structure(ours) == _structure(text), f"body {ours!r}, expected {text!r}"


def _cbor_structure(value: Any) -> Any:
    value = comparable(value)
    if isinstance(value, dict) and "__type" in value:
        value["__type"] = value["__type"].rpartition("#")[2]
    return value


def _structure(text: str) -> Any:
    stripped = text.strip()
    if stripped.startswith("{"):
        value = comparable(json.loads(stripped))
        if "__type" in value:
            value["__type"] = value["__type"].rpartition("#")[2]
        return value
    if stripped.startswith("<"):
        return _tree(ElementTree.fromstring(stripped))
    return text


def _tree(element: ElementTree.Element) -> Any:
    children = sorted((_tree(child) for child in element if not child.tag.endswith("ResponseMetadata")), key=repr)
    text = "" if children or not (element.text or "").strip() else element.text
    return element.tag, sorted(element.attrib.items()), text, children


def failure_of(check: Callable[[Case], None], case: Case) -> str | None:
    try:
        check(case)
    except (AssertionError, ServiceError, ValueError, LookupError, TypeError, ResponseParserError) as error:
        return f"{type(error).__name__} {error}"
    return None


def main(chosen: list[str]) -> int:
    repository = Path(__file__).resolve().parents[2]
    folder = Path(os.environ.get("COSSET_PROTOCOLS") or repository.parent / "shared" / "protocols")
    if not folder.is_dir():
        print(f"The Smithy cases are not there: {folder} (COSSET_PROTOCOLS names another folder)")
        return 2
    failures = passed = inapplicable = 0
    for direction, check, excused in (
        ("input", check_input, INAPPLICABLE_INPUT),
        ("output", check_output, INAPPLICABLE_OUTPUT),
    ):
        for case in cases(folder, direction):
            if chosen and case.id not in chosen:
                continue
            failure = failure_of(check, case)
            if case.id in excused:
                inapplicable += failure is not None
                failure = None if failure is not None else "passes: take it off the list"
            elif failure is None:
                passed += 1
            if failure is not None:
                failures += 1
                print(f"FAIL {direction} {case.suite} {case.id}: {failure}")
    print(f"{passed} cases passed, {failures} failed, {inapplicable} cannot apply to a server")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
