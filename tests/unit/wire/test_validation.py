"""Validation's sentences, against answers that AWS gave (the scenario is named where it surprises)."""

from typing import Any

import pytest

from cosset.wire.errors import ServiceError, ValidationError
from cosset.wire.models import Catalogue
from cosset.wire.patterns import compile_java_pattern
from cosset.wire.validation import validate

CATALOGUE = Catalogue()
CREATE = {"FunctionName": "f", "Role": "arn:aws:iam::123456789012:role/r", "Code": {}}
WEIGHT = (
    "Map value must satisfy constraint: [Member must have value less than or equal to 1.0, "
    "Member must have value greater than or equal to 0.0, Member must not be null]"
)
VERSION = (
    "Map keys must satisfy constraint: [Member must have length less than or equal to 1024, "
    "Member must have length greater than or equal to 1, Member must satisfy regular expression pattern: [0-9]+]"
)


def violations(service: str, operation: str, params: dict[str, Any]) -> list[str]:
    try:
        validate(CATALOGUE.service(service), operation, params)
    except ValidationError as error:
        return error.violations
    return []


def alias(weights: dict[str, Any]) -> dict[str, Any]:
    routing = {"AdditionalVersionWeights": weights}
    return {"FunctionName": "f", "Name": "a", "FunctionVersion": "1", "RoutingConfig": routing}


def test_what_keeps_all_constraints_passes() -> None:
    assert violations("lambda", "CreateFunction", CREATE | {"Timeout": 900, "Layers": [], "Tags": {"a": ""}}) == []


def test_all_violations_stand_in_one_message_under_the_services_code() -> None:
    params = CREATE | {"FunctionName": "*", "Timeout": 0}
    with pytest.raises(ServiceError) as caught:
        validate(CATALOGUE.service("lambda"), "CreateFunction", params, "InvalidParameterException")
    pattern = CATALOGUE.service("lambda").model.shape_for("FunctionName").metadata["pattern"]
    assert caught.value.code == "InvalidParameterException"
    assert caught.value.message == (
        "2 validation errors detected: Value '*' at 'functionName' failed to satisfy constraint: Member must satisfy "
        f"regular expression pattern: {pattern}; Value '0' at 'timeout' failed to satisfy constraint: Member must have "
        "value greater than or equal to 1"
    )


@pytest.mark.parametrize(
    ("service", "operation", "params", "expected"),
    [
        # logs test_get_log_events_limit_validation
        (
            "logs",
            "GetLogEvents",
            {"logGroupName": "g", "logStreamName": "s", "limit": 10001},
            "Value '10001' at 'limit' failed to satisfy constraint: Member must have value less than or equal to 10000",
        ),
        # sns test_set_platform_endpoint_attributes_invalid_attributes
        (
            "sns",
            "SetEndpointAttributes",
            {"EndpointArn": "a"},
            "Value null at 'attributes' failed to satisfy constraint: Member must not be null",
        ),
        # sns test_empty_or_wrong_message_attributes: a map's structures are members of their key
        (
            "sns",
            "Publish",
            {"Message": "m", "MessageAttributes": {"attr1": {}}},
            "Value null at 'messageAttributes.attr1.member.dataType' failed to satisfy constraint: "
            "Member must not be null",
        ),
        # kms test_key_with_long_tag_value_raises_error: a list's structures are numbered from one
        (
            "kms",
            "TagResource",
            {"KeyId": "k", "Tags": [{"TagKey": "a", "TagValue": "v" * 257}]},
            f"Value '{'v' * 257}' at 'tags.1.member.tagValue' failed to satisfy constraint: "
            "Member must have length less than or equal to 256",
        ),
        # kms test_plaintext_size_for_encrypt: what is sensitive is not shown
        (
            "kms",
            "Encrypt",
            {"KeyId": "k", "Plaintext": bytes(4097)},
            "Value at 'plaintext' failed to satisfy constraint: Member must have length less than or equal to 4096",
        ),
        # iam test_user_match_id_mismatch: hidden although the model does not call it sensitive, as all of IAM's values
        (
            "iam",
            "DeleteServiceSpecificCredential",
            {"ServiceSpecificCredentialId": "totally-wrong-credential-id"},
            "Value at 'serviceSpecificCredentialId' failed to satisfy constraint: "
            "Member must satisfy regular expression pattern: [\\w]+",
        ),
        (
            "iam",
            "CreateRole",
            {"RoleName": "r" * 65, "AssumeRolePolicyDocument": "{}"},
            "Value at 'roleName' failed to satisfy constraint: Member must have length less than or equal to 64",
        ),
        # lambda test_notfound_and_invalid_routingconfigs: a map of simple values is judged whole
        (
            "lambda",
            "CreateAlias",
            alias({"2": 2.0}),
            f"Value '{{2=2.0}}' at 'routingConfig.additionalVersionWeights' failed to satisfy constraint: {WEIGHT}",
        ),
        (
            "lambda",
            "CreateAlias",
            alias({"$LATEST": 0.5}),
            "Value '{$LATEST=0.5}' at 'routingConfig.additionalVersionWeights' failed to satisfy constraint: "
            + VERSION,
        ),
        # apigateway test_create_rest_api_verify_defaults: a list of simple values is judged whole
        (
            "apigateway",
            "CreateRestApi",
            {"name": "n", "endpointConfiguration": {"types": ["wrong"]}},
            "Value '[wrong]' at 'endpointConfiguration.types' failed to satisfy constraint: Member must satisfy "
            "constraint: [Member must satisfy enum value set: [PRIVATE, EDGE, REGIONAL]]",
        ),
    ],
)
def test_recorded_sentences(service: str, operation: str, params: dict[str, Any], expected: str) -> None:
    assert violations(service, operation, params) == [expected]


@pytest.mark.parametrize(
    ("operation", "member", "value", "rest"),
    [
        ("GetRole", "roleName", "a b", "contain only alphanumeric characters and/or the following: +=,.@_-"),
        ("GetUser", "userName", "a:b", "contain only alphanumeric characters and/or the following: +=,.@_-"),
        ("CreateGroup", "groupName", "ä", "contain only alphanumeric characters and/or the following: +=,.@_-"),
        (
            "CreateGroup",
            "path",
            "/a",
            "begin and end with / and contain only alphanumeric characters and/or / characters.",
        ),
        (
            "ListPolicies",
            "pathPrefix",
            "/foo",
            "begin with the / character and contain only alphanumeric characters and/or / characters.",
        ),
    ],
)
def test_iam_refuses_names_and_paths_in_its_own_sentence(operation: str, member: str, value: str, rest: str) -> None:
    params = {"GroupName": "g", member[0].upper() + member[1:]: value}
    with pytest.raises(ServiceError) as caught:
        validate(CATALOGUE.service("iam"), operation, params, "ValidationError")
    assert caught.value.code == "ValidationError"
    assert caught.value.message == f"The specified value for {member} is invalid. It must {rest}"


def test_a_sentence_of_its_own_waits_until_all_else_holds() -> None:
    params = {"RoleName": "a b", "MaxSessionDuration": 1}
    assert violations("iam", "CreateRole", params) == [
        "Value null at 'assumeRolePolicyDocument' failed to satisfy constraint: Member must not be null",
        "Value at 'maxSessionDuration' failed to satisfy constraint: Member must have value greater than or equal to "
        "3600",
    ]


@pytest.mark.parametrize(
    ("service", "shape", "recorded"),
    [
        ("lambda", "EventSourcePosition", "LATEST, AT_TIMESTAMP, TRIM_HORIZON"),
        ("lambda", "InvokeMode", "RESPONSE_STREAM, BUFFERED"),
        ("kms", "MacAlgorithmSpec", "HMAC_SHA_384, HMAC_SHA_256, HMAC_SHA_224, HMAC_SHA_512"),
        ("stepfunctions", "ExecutionStatus", "SUCCEEDED, TIMED_OUT, PENDING_REDRIVE, ABORTED, FAILED, RUNNING"),
        ("events", "ApiDestinationHttpMethod", "HEAD, POST, PATCH, DELETE, PUT, GET, OPTIONS"),
        (
            "apigateway",
            "DocumentationPartType",
            "RESPONSE_BODY, RESPONSE, METHOD, MODEL, AUTHORIZER, RESPONSE_HEADER, RESOURCE, PATH_PARAMETER, "
            "REQUEST_BODY, QUERY_PARAMETER, API, REQUEST_HEADER",
        ),
    ],
)
def test_enums_are_listed_in_the_order_that_aws_lists_them(service: str, shape: str, recorded: str) -> None:
    wire = CATALOGUE.service(service)
    operation, params = {
        "EventSourcePosition": ("CreateEventSourceMapping", {"FunctionName": "f", "StartingPosition": "x"}),
        "InvokeMode": ("CreateFunctionUrlConfig", {"FunctionName": "f", "AuthType": "NONE", "InvokeMode": "x"}),
        "MacAlgorithmSpec": ("GenerateMac", {"KeyId": "k", "Message": b"m", "MacAlgorithm": "x"}),
        "ExecutionStatus": ("ListExecutions", {"statusFilter": "x"}),
        "ApiDestinationHttpMethod": (
            "UpdateApiDestination",
            {"Name": "n", "HttpMethod": "x"},
        ),
        "DocumentationPartType": ("GetDocumentationParts", {"restApiId": "r", "type": "x"}),
    }[shape]
    assert wire.model.shape_for(shape).enum
    (found,) = violations(service, operation, params)
    assert found.endswith(f"Member must satisfy enum value set: [{recorded}]")


def test_lists_of_structures_name_a_null_element() -> None:
    params = {"logGroupName": "g", "logStreamName": "s", "logEvents": [None]}
    assert violations("logs", "PutLogEvents", params) == [
        "Value null at 'logEvents.1.member' failed to satisfy constraint: Member must not be null"
    ]


def test_a_null_in_a_list_of_strings_is_refused() -> None:
    (found,) = violations("lambda", "CreateFunction", CREATE | {"Layers": [None]})
    assert found.startswith(
        "Value '[null]' at 'layers' failed to satisfy constraint: Member must satisfy constraint: ["
    )
    assert found.endswith("Member must not be null]")


def test_lengths_count_as_java_counts_them() -> None:
    (found,) = violations("lambda", "CreateFunction", CREATE | {"Description": "\U0001f600" * 129})
    assert found.endswith("Member must have length less than or equal to 256")


@pytest.mark.parametrize("service", ["lambda", "iam", "sts", "logs", "sqs", "sns", "dynamodb", "events", "kms", "s3"])
def test_every_pattern_can_be_said_in_python(service: str) -> None:
    shapes = CATALOGUE.service(service).model._service_description["shapes"]
    patterns = {shape["pattern"] for shape in shapes.values() if "pattern" in shape}
    assert [pattern for pattern in patterns if compile_java_pattern(pattern) is None] == []


@pytest.mark.parametrize(
    ("pattern", "matches", "refused"),
    [
        ("[\\w-.]+", "a-b.c", "a,b"),
        ("[\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*", "größe 1", "a\tb"),
        ("\\p{Alpha}+", "abc", "ab1"),
        ("[\\p{Lu}]", "É", "é"),
        ("[a[b]", "[", "c"),
        ("\\x{41}+", "AA", "B"),
        ("[\\u0020-\\uD7FF\\uD800\\uDC00-\\uDBFF\\uDFFF]+", "a\U0001f600", "\t"),
        ("\\d+", "12", "٣"),
    ],
)
def test_java_patterns(pattern: str, matches: str, refused: str) -> None:
    compiled = compile_java_pattern(pattern)
    assert compiled is not None
    assert compiled.fullmatch(matches)
    assert not compiled.fullmatch(refused)


def test_a_pattern_that_python_cannot_say_is_left_out() -> None:
    assert compile_java_pattern("[^\\P{L}]") is None
    assert compile_java_pattern("(") is None


def test_leaves_only_a_functions_own_runtime_to_the_service() -> None:
    assert violations("lambda", "CreateFunction", CREATE | {"Runtime": "nope"}) == []
    for operation, params in (("ListLayers", {}), ("ListLayerVersions", {"LayerName": "l"})):
        (violation,) = violations("lambda", operation, params | {"CompatibleRuntime": "nope"})
        assert violation.startswith(
            "Value 'nope' at 'compatibleRuntime' failed to satisfy constraint: Member must satisfy enum value set: ["
        )


def test_what_is_shown_of_a_request_is_bounded() -> None:
    params = CREATE | {"Tags": {f"{number}": "x" * 300 for number in range(20_000)}, "FunctionName": "f" * 1_000_000}
    with pytest.raises(ValidationError) as refused:
        validate(CATALOGUE.service("lambda"), "CreateFunction", params)
    assert len(refused.value.message) < 100_000
    params = {"FunctionName": "f", "EventSourceArn": "arn:aws:sqs:us-east-1:111111111111:q"}
    patterns = {"Filters": [{"Pattern": "x" * 5000}] * 20_000}
    with pytest.raises(ValidationError) as refused:
        validate(CATALOGUE.service("lambda"), "CreateEventSourceMapping", params | {"FilterCriteria": patterns})
    assert refused.value.message.startswith("20000 validation errors detected: ")
    assert len(refused.value.message) < 2_000_000
