"""What a function's own variables make of what the node gives."""

from dataclasses import replace

import pytest

from cosset.environments.api import EnvironmentSpec
from cosset.environments.jail.network import Network, network_of
from support.environments import spec


def spec_with(variables: dict[str, str]) -> EnvironmentSpec:
    return replace(spec(), variables=variables)


@pytest.mark.parametrize(
    ("variables", "has_egress", "aws_endpoints", "expected"),
    [
        ({}, False, "local", Network(False, True)),
        ({}, True, "local", Network(True, True)),
        ({}, True, "real", Network(True, False)),
        ({"COSSET_EGRESS": "off"}, True, "local", Network(False, True)),
        ({"COSSET_EGRESS": "false"}, True, "local", Network(False, True)),
        ({"COSSET_EGRESS": "on"}, False, "local", Network(False, True)),
        ({"COSSET_EGRESS": "true"}, True, "local", Network(True, True)),
        ({"COSSET_AWS_ENDPOINTS": "real"}, True, "local", Network(True, False)),
        ({"COSSET_AWS_ENDPOINTS": "local"}, True, "real", Network(True, True)),
    ],
)
def test_a_function_may_have_less(
    variables: dict[str, str], has_egress: bool, aws_endpoints: str, expected: Network
) -> None:
    assert network_of(spec_with(variables), has_egress=has_egress, aws_endpoints=aws_endpoints) == expected


@pytest.mark.parametrize(
    ("variables", "has_egress", "expected", "words"),
    [
        ({"COSSET_EGRESS": ""}, True, (False, True), "COSSET_EGRESS is neither"),
        ({"COSSET_EGRESS": "On"}, True, (False, True), "COSSET_EGRESS is neither"),
        ({"COSSET_AWS_ENDPOINTS": "REAL"}, True, (True, True), "COSSET_AWS_ENDPOINTS is neither"),
        ({"COSSET_AWS_ENDPOINTS": "real"}, False, (False, False), "no way to the internet"),
        ({"COSSET_AWS_ENDPOINTS": "real", "COSSET_EGRESS": "off"}, True, (False, False), "no way to the internet"),
    ],
)
def test_what_is_asked_for_and_not_given_is_said(
    variables: dict[str, str], has_egress: bool, expected: tuple[bool, bool], words: str
) -> None:
    found = network_of(spec_with(variables), has_egress=has_egress, aws_endpoints="local")
    assert (found.has_egress, found.has_local_aws) == expected
    (warning,) = found.warnings
    assert words in warning
