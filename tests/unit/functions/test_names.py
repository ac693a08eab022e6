import pytest

from cosset.functions.model import FunctionKey
from cosset.functions.names import check_new_name, is_alias, parse_reference, resource_arn
from cosset.wire.errors import ServiceError

HERE = {"account": "111111111111", "region": "us-east-1"}
KEY = FunctionKey("111111111111", "us-east-1", "fn")
ARN = "arn:aws:lambda:us-east-1:111111111111:function:fn"


@pytest.mark.parametrize(
    ("name", "qualifier"),
    [
        ("fn", None),
        ("function:fn", None),
        ("111111111111:function:fn", None),
        ("us-east-1:111111111111:function:fn", None),
        (ARN, None),
        ("fn:Prod", "Prod"),
        ("function:fn:7", "7"),
        (f"{ARN}:$LATEST", "$LATEST"),
    ],
)
def test_every_form_of_a_name_means_the_same_function(name, qualifier):
    reference = parse_reference(name, None, **HERE)
    assert reference.key == KEY
    assert reference.qualifier == qualifier
    assert reference.arn == (f"{ARN}:{qualifier}" if qualifier else ARN)


def test_an_incomplete_arn_names_a_function_called_function():
    # recorded: test_function_name_and_qualifier_validation[incomplete_arn-get_function]
    assert parse_reference("arn:aws:lambda:us-east-1:111111111111:function", None, **HERE).key.name == "function"


def test_equal_qualifiers_are_one():
    assert parse_reference(f"{ARN}:1", "1", **HERE).qualifier == "1"


def test_qualifiers_that_differ_are_refused():
    # recorded: test_ops_with_arn_qualifier_mismatch, latest_version_with_additional_qualifier
    with pytest.raises(ServiceError) as caught:
        parse_reference(f"{ARN}:$LATEST", "1", **HERE)
    assert caught.value.code == "InvalidParameterValueException"
    assert caught.value.message == (
        "The derived qualifier from the function name does not match the specified qualifier."
    )


def test_another_region_is_out_of_reach():
    with pytest.raises(ServiceError) as caught:
        parse_reference(ARN.replace("us-east-1", "eu-west-1"), None, **HERE)
    assert caught.value.code == "ResourceNotFoundException"
    assert caught.value.message == "Functions from 'eu-west-1' are not reachable in this region ('us-east-1')"


def test_a_new_name_has_up_to_64_characters():
    # recorded: test_function_name_and_qualifier_validation[function_name_too_long-create_function]
    check_new_name("a" * 64)
    with pytest.raises(ServiceError) as caught:
        check_new_name("a" * 65)
    assert caught.value.code == "InvalidParameterValueException"
    assert caught.value.message == (
        f"1 validation error detected: Value '{'a' * 65}' at 'functionName' failed to satisfy constraint: "
        "Member must have length less than or equal to 64"
    )


def test_versions_and_aliases_are_told_apart():
    assert is_alias("2024-01-02")
    assert not is_alias("2024")
    assert not is_alias("$latest")


def test_the_resource_for_iam_is_an_arn_whatever_was_given():
    assert resource_arn("fn", "Prod", **HERE) == f"{ARN}:Prod"
    assert resource_arn("no name!", None, **HERE) == "arn:aws:lambda:us-east-1:111111111111:function:no name!"
