"""Subscriptions, and how events reach them: batches, retries, bounds, rest; on a clock moved by hand."""

import asyncio
import json

import pytest

from cosset.environments.telemetry.delivery import Delivery
from cosset.environments.telemetry.hub import Telemetry
from cosset.environments.telemetry.subscription import Api, SubscriptionRefusedError, parse
from support.clock import ManualClock

HTTP = {"protocol": "HTTP", "URI": "http://sandbox.localdomain:8080/logs"}
GOOD = {"schemaVersion": "2022-12-13", "types": ["platform", "function"], "destination": HTTP}


def body_of(**changes):
    return json.dumps({**GOOD, **changes}).encode()


def test_a_subscription_with_awss_defaults():
    subscription = parse(Api.TELEMETRY, body_of())
    assert (subscription.max_items, subscription.max_bytes, subscription.timeout_ms) == (10_000, 262_144, 1_000)
    assert subscription.types == ("platform", "function")
    destination = subscription.destination
    assert (destination.port, destination.method, destination.path) == (8080, "POST", "/logs")
    assert parse(Api.LOGS, json.dumps({"types": ["function"], "destination": HTTP}).encode()).schema == "2020-08-15"
    assert parse(Api.TELEMETRY, body_of(destination={"protocol": "TCP", "port": 9})).destination.port == 9


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"types": [], "destination": {"protocol": "HTTP", "URI": "http://sandbox.localdomain"}},
            "URI port is not provided; types should not be empty",
        ),
        ({"schemaVersion": None}, "schemaVersion is not provided"),
        ({"schemaVersion": "1999-01-01"}, "schemaVersion is not supported"),
        ({"types": ["platform", "secrets"]}, "types should be of platform, function, extension"),
        ({"buffering": {"maxItems": 999}}, "maxItems should be between 1000 and 10000"),
        ({"buffering": {"maxBytes": 1_048_577}}, "maxBytes should be between 262144 and 1048576"),
        ({"buffering": {"timeoutMs": 24}}, "timeoutMs should be between 25 and 30000"),
        ({"buffering": {"timeoutMs": True}}, "timeoutMs should be between 25 and 30000"),
        ({"buffering": 7}, "buffering should be an object"),
        ({"destination": {"protocol": "TCP", "port": 9001}}, "port 9001 is reserved"),
        ({"destination": {"protocol": "TCP", "port": 0}}, "port should be between 1 and 65535"),
        ({"destination": {"protocol": "UDP"}}, "destination protocol should be HTTP or TCP"),
        ({"destination": None}, "destination is not provided"),
        ({"destination": {**HTTP, "method": "GET"}}, "destination method should be POST or PUT"),
        (
            {"destination": {"protocol": "HTTP", "URI": "http://169.254.169.254:80/"}},
            "URI should be of the form http://sandbox.localdomain:PORT",
        ),
        ({"destination": {"protocol": "HTTP", "URI": "http://sandbox:80/a b"}}, "URI path is not valid"),
        ({"destination": {"protocol": "HTTP", "URI": "http://sandbox:x/"}}, "URI is not valid"),
    ],
)
def test_what_a_subscription_may_not_be(changes, sentence):
    with pytest.raises(SubscriptionRefusedError) as raised:
        parse(Api.TELEMETRY, body_of(**changes))
    assert (raised.value.error_type, raised.value.message, raised.value.status) == ("ValidationError", sentence, 400)


@pytest.mark.parametrize("body", [b"", b"[]", b"[" * 100_000, b"\xff"])
def test_a_body_that_is_no_object(body):
    with pytest.raises(SubscriptionRefusedError) as raised:
        parse(Api.LOGS, body)
    assert raised.value.error_type == "Logs.ValidationError"


class Subscriber:
    """Takes batches, unless it is told not to."""

    def __init__(self):
        self.batches = []
        self.refusals = 0

    async def send(self, batch):
        if self.refusals:
            self.refusals -= 1
            raise ConnectionRefusedError
        self.batches.append(batch)


async def turn():
    for _ in range(10):
        await asyncio.sleep(0)


def delivering(body, **buffering):
    async def main():
        clock, subscriber = ManualClock(), Subscriber()
        subscription = parse(Api.TELEMETRY, body_of(buffering=buffering))
        delivery = Delivery(subscription, subscriber.send, lambda records, size: b"%d %d" % (records, size), clock)
        try:
            await body(delivery, subscriber, clock)
        finally:
            await delivery.close()

    asyncio.run(asyncio.wait_for(main(), 60))


def test_a_batch_goes_when_its_time_has_come():
    async def body(delivery, subscriber, clock):
        delivery.add(b"1")
        await turn()
        clock.advance(0.09)
        delivery.add(b"2")
        await turn()
        assert subscriber.batches == []
        clock.advance(0.01)
        await turn()
        assert subscriber.batches == [[b"1", b"2"]]
        delivery.add(b"3")
        await turn()
        clock.advance(0.1)
        await turn()
        assert subscriber.batches[1:] == [[b"3"]]

    delivering(body, timeoutMs=100)


def test_a_batch_goes_when_it_is_full():
    async def body(delivery, subscriber, clock):
        for _ in range(1000):
            delivery.add(b"x")
        await turn()
        assert [len(batch) for batch in subscriber.batches] == [1000]
        delivery.add(b"y" * 262_144)
        delivery.add(b"z")
        await turn()
        assert subscriber.batches[1:] == [[b"y" * 262_144]]

    delivering(body, maxItems=1000)


def test_what_was_not_taken_is_brought_again_and_pauses_grow():
    async def body(delivery, subscriber, clock):
        subscriber.refusals = 2
        delivery.add(b"1")
        await turn()
        clock.advance(1)
        await turn()
        for pause_s in (0.05, 0.1):
            assert subscriber.batches == []
            clock.advance(pause_s)
            await turn()
        assert subscriber.batches == [[b"1"]]

    delivering(body)


def test_beyond_its_bound_events_are_dropped_and_counted():
    async def body(delivery, subscriber, clock):
        delivery.sleep()
        for _ in range(2001):
            delivery.add(b"x")
        delivery.add(b"four")
        delivery.wake()
        await turn()
        assert [len(batch) for batch in subscriber.batches] == [1001, 1000]
        assert subscriber.batches[0][-1] == b"2 5"

    delivering(body, maxItems=1000)


def test_nothing_is_sent_to_an_environment_at_rest_until_it_wakes_or_ends():
    async def body(delivery, subscriber, clock):
        delivery.sleep()
        delivery.add(b"1")
        await turn()
        clock.advance(60)
        await turn()
        assert subscriber.batches == []
        await delivery.flush()
        assert subscriber.batches == [[b"1"]]

    delivering(body)


def in_hub(body, **options):
    async def main():
        clock = ManualClock()

        async def connect(port):
            raise ConnectionRefusedError

        telemetry = Telemetry(clock, connect, **options)
        try:
            await body(telemetry)
        finally:
            await telemetry.close()
            await telemetry.close()
        assert [task for task in asyncio.all_tasks() if task.get_name().startswith("telemetry")] == []

    asyncio.run(asyncio.wait_for(main(), 60))


def held(telemetry, name="a"):
    return [json.loads(event) for event in telemetry._subscribers[name].delivery._events]


def test_an_extension_learns_of_what_was_before_it_subscribed():
    async def body(telemetry):
        telemetry.emit("platform.initStart", {"phase": "init"})
        telemetry.emit("function", "printed\n")
        telemetry.emit("extension", "not wanted\n")
        telemetry.subscribe("a", Api.TELEMETRY.value, body_of())
        assert [each["type"] for each in held(telemetry)] == ["platform.initStart", "function"]
        telemetry.close_subscription()
        telemetry.emit("platform.end", {"requestId": "r"})
        assert len(held(telemetry)) == 2

    in_hub(body, keeps_backlog=True)


def test_the_same_subscription_twice_is_one_and_the_other_api_is_refused():
    async def body(telemetry):
        telemetry.subscribe("a", Api.TELEMETRY.value, body_of())
        first = telemetry._subscribers["a"]
        telemetry.subscribe("a", Api.TELEMETRY.value, body_of())
        assert telemetry._subscribers["a"] is first
        telemetry.subscribe("a", Api.TELEMETRY.value, body_of(types=["function"]))
        assert telemetry._subscribers["a"] is not first
        with pytest.raises(SubscriptionRefusedError) as raised:
            telemetry.subscribe("b", Api.LOGS.value, body_of(schemaVersion="2020-08-15"))
        assert raised.value.status == 403
        telemetry.close_subscription()
        with pytest.raises(SubscriptionRefusedError) as raised:
            telemetry.subscribe("b", Api.TELEMETRY.value, body_of())
        assert raised.value.error_type == "Telemetry.SubscriptionClosed"
        await turn()

    in_hub(body, keeps_backlog=False)


def test_nothing_is_kept_where_nobody_can_want_it():
    async def body(telemetry):
        assert not telemetry.is_wanted
        telemetry.close_subscription()
        assert not telemetry.is_wanted

    in_hub(body, keeps_backlog=False)


def test_lines_of_a_function_with_the_json_format_are_objects():
    async def body(telemetry):
        telemetry.subscribe("a", Api.TELEMETRY.value, body_of())
        for line in ('{"level":"INFO"}\n', "plain\n", "[1]\n"):
            telemetry.emit("function", line)
        assert [each["record"] for each in held(telemetry)] == [{"level": "INFO"}, "plain\n", "[1]\n"]

    in_hub(body, keeps_backlog=False, is_json=True)
