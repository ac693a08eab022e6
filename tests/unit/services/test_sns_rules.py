"""SNS's rules that need no server: how often it tries, what attributes it takes, which numbers it calls."""

from typing import Any

import pytest

from cosset.services.sns.delivery_policy import TO_SERVICES, effective_policy, retries_of
from cosset.services.sns.endpoints import is_phone_number
from cosset.services.sns.http_poster import Poster
from cosset.services.sns.message_attributes import read_attributes, size_of
from cosset.services.sns.model import MessageAttribute, Published, pack, unpack
from cosset.services.sns.ports import RefusedByTargetError
from cosset.wire.errors import ServiceError

ARN = "arn:aws:sns:us-east-1:111111111111:topic"


def test_queues_and_functions_are_tried_for_23_days() -> None:
    delays: list[int] = []
    while (delay := TO_SERVICES.delay_ms(len(delays) + 1)) is not None:
        delays.append(delay)
    assert len(delays) == 100_015
    assert delays[:5] == [0, 0, 0, 1_000, 1_000]
    assert delays[5] == 1_000
    assert delays[14] == delays[-1] == 20_000
    assert 23 <= sum(delays) / 86_400_000 < 24


def test_http_endpoints_are_tried_as_their_policy_says() -> None:
    http = effective_policy(None)["http"]
    retries = retries_of({"healthyRetryPolicy": http["defaultHealthyRetryPolicy"]})
    assert [retries.delay_ms(attempts) for attempts in (1, 2, 3, 4)] == [20_000, 20_000, 20_000, None]


def test_a_linear_back_off_grows_evenly() -> None:
    retry = {
        "minDelayTarget": 1,
        "maxDelayTarget": 3,
        "numRetries": 6,
        "numNoDelayRetries": 1,
        "numMinDelayRetries": 1,
        "numMaxDelayRetries": 1,
        "backoffFunction": "linear",
    }
    retries = retries_of({"healthyRetryPolicy": retry})
    assert [retries.delay_ms(attempts) for attempts in range(1, 8)] == [0, 1000, 1000, 2000, 3000, 3000, None]


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ({"DataType": "Binary", "StringValue": "x"}, "with type 'Binary' must use field 'Binary'."),
        ({"DataType": "Number", "BinaryValue": b"1"}, "with type 'Number' must use field 'String'."),
        ({"DataType": "String"}, "must contain non-empty message attribute value"),
        ({"DataType": "Text", "StringValue": "x"}, "has an invalid message attribute type"),
        ({"DataType": "Number", "StringValue": "many"}, "Could not cast message attribute 'attr1' value to number."),
        ({"DataType": "String.Array", "StringValue": "{}"}, "must be a JSON array"),
    ],
)
def test_an_attribute_is_what_its_type_says(value: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ServiceError) as caught:
        read_attributes({"attr1": value}, "messageAttributes")
    assert caught.value.code == "ParameterValueInvalid"
    assert sentence in caught.value.message


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("a^", "Invalid non-alphanumeric character '#x5E' was found in the message attribute name."),
        (".a", "Invalid message attribute name starting with character '.' was found."),
        ("a.", "Invalid message attribute name ending with character '.' was found."),
        ("a..b", "Message attribute name can not have successive '.' character."),
        ("a" * 257, "Length of message attribute name must be less than 256 bytes."),
    ],
)
def test_an_attribute_has_a_proper_name(name: str, sentence: str) -> None:
    with pytest.raises(ServiceError) as caught:
        read_attributes({name: {"DataType": "String", "StringValue": "x"}}, "messageAttributes")
    assert caught.value.message.startswith(sentence)


def test_attributes_count_towards_the_size() -> None:
    read = read_attributes({"name": {"DataType": "Binary", "BinaryValue": b"12345"}}, "messageAttributes")
    assert size_of(read) == len("name") + len("Binary") + 5


def test_a_message_comes_out_of_the_queue_as_it_went_in() -> None:
    attributes = {"a": MessageAttribute("String", "é😀"), "b": MessageAttribute("Binary", "AA==")}
    message = Published(id="1", topic_arn=ARN, text="\x00ü", sent_ms=1, url="http://x", attributes=attributes)
    key, read = unpack(pack(f"{ARN}:id", message.head()))
    assert (key.arn, read) == (f"{ARN}:id", message)


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("+15551234567", True),
        ("+1/555-123.4567", True),
        ("15551234567", True),
        ("+15--551234567", False),
        ("+15551234567.", False),
        ("/+15551234567", False),
        ("NAA+15551234567", False),
        ("", False),
        ("+" + "1" * 16, False),
    ],
)
def test_telephone_numbers(text: str, is_one: bool) -> None:
    assert is_phone_number(text) is is_one


@pytest.mark.parametrize(
    "host",
    [
        *(
            "127.0.0.1",
            "localhost",
            "a.b.localhost",
            "10.0.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "[::1]",
            "[::ffff:127.0.0.1]",
        ),
        *("0.0.0.0", "224.0.0.1", "100.64.0.1", "[fd00::1]", "[fe80::1]", "2130706433", "0x7f000001"),
    ],
)
def test_nothing_private_can_be_reached(host: str) -> None:
    poster = Poster([], anywhere=False)
    try:
        with pytest.raises(RefusedByTargetError):
            poster._post(f"http://{host}:9/", {}, b"")
    finally:
        poster.close()


def test_the_owner_may_list_what_can_be_reached() -> None:
    poster = Poster(["127.0.0.0/8"], anywhere=False)
    try:
        with pytest.raises(ServiceError, match="could not be reached"):
            poster._post("http://127.0.0.1:9/", {}, b"")
        with pytest.raises(ServiceError, match="Connection refused"):
            poster._post("http://anything.LOCALHOST.:9/", {}, b"")
    finally:
        poster.close()
