"""Platform applications, their endpoints and text messages: what is kept, and what says that it is not there."""

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cosset.testing.server import CossetServer

CREDENTIALS = {"PlatformCredential": "secret", "PlatformPrincipal": "who"}


@pytest.fixture(scope="module")
def sns(server: CossetServer) -> Any:
    return server.client("sns")


@pytest.fixture
def application(sns: Any) -> Iterator[str]:
    made = sns.create_platform_application(Name="phones", Platform="ADM", Attributes=CREDENTIALS)
    yield made["PlatformApplicationArn"]
    sns.delete_platform_application(PlatformApplicationArn=made["PlatformApplicationArn"])


@pytest.fixture
def endpoint(sns: Any, application: str) -> str:
    return str(sns.create_platform_endpoint(PlatformApplicationArn=application, Token="token_1")["EndpointArn"])


def refused(call: Any, **params: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**params)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def test_an_application_is_kept_without_showing_its_credentials(
    server: CossetServer, sns: Any, application: str
) -> None:
    assert application.endswith(":app/ADM/phones")
    own = {"PlatformApplicationArn": application}
    assert sns.get_platform_application_attributes(**own)["Attributes"] == {"Enabled": "true"}
    sns.set_platform_application_attributes(**own, Attributes={"SuccessFeedbackSampleRate": "50"})
    shown = {"Enabled": "true", "SuccessFeedbackSampleRate": "50"}
    assert sns.get_platform_application_attributes(**own)["Attributes"] == shown
    pages = sns.get_paginator("list_platform_applications").paginate()
    listed = [each for page in pages for each in page["PlatformApplications"]]
    assert listed == [{"PlatformApplicationArn": application, "Attributes": shown}]


def test_applications_that_cannot_be_are_refused(sns: Any) -> None:
    made = {"Name": "phones", "Platform": "ADM", "Attributes": CREDENTIALS}
    create = sns.create_platform_application
    assert refused(create, **{**made, "Platform": "AAA"}) == (
        "InvalidParameter",
        "Invalid parameter: Platform Reason: AAA is not supported",
    )
    assert refused(create, **{**made, "Name": "a/b"}) == ("InvalidParameter", "Invalid parameter: Name")
    assert refused(create, **{**made, "Attributes": {"Colour": "red"}})[0] == "InvalidParameter"
    for call in (sns.get_platform_application_attributes, sns.list_endpoints_by_platform_application):
        sentence = "Invalid parameter: PlatformApplicationArn Reason: An ARN must have at least 6 elements, not 1"
        assert refused(call, PlatformApplicationArn="adm") == ("InvalidParameter", sentence)


def test_endpoints_come_and_go(sns: Any, application: str, endpoint: str) -> None:
    own = {"PlatformApplicationArn": application}
    assert sns.create_platform_endpoint(**own, Token="token_1")["EndpointArn"] == endpoint
    again = refused(sns.create_platform_endpoint, **own, Token="token_1", CustomUserData="other")
    assert again[0] == "InvalidParameter"
    assert again[1].endswith("with the same Token, but different attributes.")
    listed = sns.list_endpoints_by_platform_application(**own)["Endpoints"]
    assert listed == [{"EndpointArn": endpoint, "Attributes": {"Enabled": "true", "Token": "token_1"}}]
    sns.set_endpoint_attributes(EndpointArn=endpoint, Attributes={"Enabled": "false", "Token": "token_2"})
    shown = sns.get_endpoint_attributes(EndpointArn=endpoint)["Attributes"]
    assert shown == {"Enabled": "false", "Token": "token_2"}
    sns.delete_endpoint(EndpointArn=endpoint)
    sns.delete_endpoint(EndpointArn=endpoint)
    assert sns.list_endpoints_by_platform_application(**own)["Endpoints"] == []
    missing = refused(sns.set_endpoint_attributes, EndpointArn=endpoint, Attributes={"Enabled": "true"})
    assert missing == ("NotFound", "Endpoint does not exist")
    sns.delete_platform_application(**own)
    gone = refused(sns.list_endpoints_by_platform_application, **own)
    assert gone == ("NotFound", "PlatformApplication does not exist")


def test_user_data_of_the_parameter_comes_before_the_attribute(sns: Any, application: str) -> None:
    made = sns.create_platform_endpoint(
        PlatformApplicationArn=application, Token="t", CustomUserData="foo", Attributes={"CustomUserData": "bar"}
    )
    shown = sns.get_endpoint_attributes(EndpointArn=made["EndpointArn"])["Attributes"]
    assert shown == {"Enabled": "true", "Token": "t", "CustomUserData": "foo"}


@pytest.mark.parametrize(
    ("attributes", "sentence"),
    [
        ({"InvalidKey": "x"}, "Invalid attribute name: InvalidKey"),
        ({"PlatformCredential": "x"}, "Invalid attribute name: PlatformCredential"),
        (
            {"CustomUserData": "é" * 1025},
            "Invalid value for attribute: CustomUserData: must be at most 2048 bytes long in UTF-8 encoding",
        ),
    ],
)
def test_attributes_of_endpoints_are_checked(
    sns: Any, application: str, endpoint: str, attributes: dict[str, str], sentence: str
) -> None:
    expected = ("InvalidParameter", f"Invalid parameter: Attributes Reason: {sentence}")
    create = sns.create_platform_endpoint
    assert refused(create, PlatformApplicationArn=application, Token="n", Attributes=attributes) == expected
    assert refused(sns.set_endpoint_attributes, EndpointArn=endpoint, Attributes=attributes) == expected


def test_attributes_of_endpoints_must_be_given(sns: Any, endpoint: str) -> None:
    sentence = "Value null at 'attributes' failed to satisfy constraint: Member must not be null"
    assert refused(sns.set_endpoint_attributes, EndpointArn=endpoint, Attributes={}) == (
        "ValidationError",
        f"1 validation error detected: {sentence}",
    )


def test_nothing_is_published_to_telephones_and_that_is_said(sns: Any, application: str, endpoint: str) -> None:
    code, sentence = refused(sns.publish, TargetArn=endpoint, Message="m")
    assert code == "NotImplementedException"
    assert "endpoint of a platform application" in sentence
    other = endpoint[:-1] + ("0" if endpoint[-1] != "0" else "1")
    assert refused(sns.publish, TargetArn=other, Message="m") == (
        "InvalidParameter",
        "Invalid parameter: TargetArn Reason: No endpoint found for the target arn specified",
    )
    assert refused(sns.publish, PhoneNumber="+15551234567", Message="m")[0] == "NotImplementedException"
    slashes = "Invalid parameter: EndpointArn Reason: Wrong number of slashes in relative portion of the ARN."
    assert refused(sns.set_endpoint_attributes, EndpointArn=application, Attributes={"Enabled": "true"})[1] == slashes


def test_settings_of_text_messages_are_kept(sns: Any) -> None:
    sns.set_sms_attributes(attributes={"DefaultSMSType": "Transactional", "DefaultSenderID": "us"})
    assert sns.get_sms_attributes(attributes=["DefaultSenderID"])["attributes"] == {"DefaultSenderID": "us"}
    assert len(sns.get_sms_attributes()["attributes"]) == 2
    assert refused(sns.set_sms_attributes, attributes={"Colour": "red"})[0] == "InvalidParameter"
    assert sns.list_phone_numbers_opted_out()["phoneNumbers"] == []
    assert sns.check_if_phone_number_is_opted_out(phoneNumber="+15551234567")["isOptedOut"] is False
    sns.opt_in_phone_number(phoneNumber="+15551234567")
    assert refused(sns.check_if_phone_number_is_opted_out, phoneNumber="nobody")[0] == "InvalidParameter"


def test_an_account_has_no_numbers(sns: Any) -> None:
    assert sns.get_sms_sandbox_account_status()["IsInSandbox"] is True
    assert sns.list_sms_sandbox_phone_numbers()["PhoneNumbers"] == []
    assert sns.list_origination_numbers()["PhoneNumbers"] == []
    with pytest.raises(ClientError) as caught:
        sns.create_sms_sandbox_phone_number(PhoneNumber="+12025550123")
    assert caught.value.response["Error"]["Code"] == "NotImplementedException"
