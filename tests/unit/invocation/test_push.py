"""Events that other services push to functions: the function's policy decides, and what is accepted waits once."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from cosset.functions.function_book import FunctionBook
from cosset.functions.records import TOPIC as FUNCTION_CHANGES
from cosset.functions.resource_policies import FunctionResources
from cosset.identity.authorizer import PolicyAuthorizer
from cosset.identity.policy_sources import HeldPolicies
from cosset.identity.principal import Principal
from cosset.invocation.asynchronous import AsyncEvent, AsyncEvents
from cosset.invocation.limits import ASYNC_PAYLOAD_BYTES
from cosset.invocation.push import Push, PushedEvent, PushRefusedError
from cosset.store.queue import DurableQueue
from support.functions import ACCOUNT, REGION, Room, functions_room

TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:t"
FN = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:fn"


class NoPolicies:
    """Services carry no policies of their own."""

    async def policies_of(self, principal: Principal) -> HeldPolicies:
        return HeldPolicies()


def event(**given: Any) -> PushedEvent:
    values = {
        "id": "e-1",
        "function_arn": FN,
        "payload": b"{}",
        "principal": "sns.amazonaws.com",
        "source_arn": TOPIC,
        "source_account": ACCOUNT,
    }
    return PushedEvent(**{**values, **given})


def in_room(folder: Path, test: Any) -> None:
    """`fn` lets the topic in, and nobody else."""

    async def main() -> None:
        async with functions_room(folder) as room:
            await room.create("fn")
            await room.call(
                "AddPermission",
                FunctionName="fn",
                StatementId="s",
                Action="lambda:InvokeFunction",
                Principal="sns.amazonaws.com",
                SourceArn=TOPIC,
            )
            queue = DurableQueue(room.store, "async", room.clock)
            resources = {"lambda": FunctionResources(room.store, FunctionBook(room.store))}
            authorizer = PolicyAuthorizer(NoPolicies(), resources, room.clock, audit=True)
            room.store.on_change(FUNCTION_CHANGES, authorizer.forget)
            push = Push(room.functions, authorizer, AsyncEvents(room.store, queue, room.clock), room.clock)
            await test(room, push, queue)

    asyncio.run(main())


def test_an_event_that_the_policy_lets_in_waits_once(tmp_path: Path) -> None:
    async def test(room: Room, push: Push, queue: DurableQueue) -> None:
        for _ in range(2):  # as a worker would that was killed before it settled its own message
            await push.push(event(payload=b'{"a":1}', trace_id="Root=1-a;Parent=b;Sampled=1"))
        (message,) = await queue.receive(limit=10, lease_ms=1000)
        found, payload, _ = AsyncEvent.unpack(message.body)
        assert (found.function_name, found.qualifier, found.request_id) == ("fn", None, "e-1")
        assert (found.invoked_arn, found.trace_id, payload) == (FN, "Root=1-a;Parent=b;Sampled=1", b'{"a":1}')

    in_room(tmp_path, test)


def test_a_service_accepts_within_its_own_transaction(tmp_path: Path) -> None:
    async def test(room: Room, push: Push, queue: DurableQueue) -> None:
        await push.check(event())

        def fails(tx: Any) -> None:
            push.push_within(tx, event())
            raise LookupError

        with pytest.raises(LookupError):
            await room.store.write(fails)
        assert await queue.count() == 0
        await room.store.write(lambda tx: push.push_within(tx, event()))
        assert await queue.count() == 1

    in_room(tmp_path, test)


def test_what_was_let_in_before_is_let_in_at_once_until_anything_changes(tmp_path: Path) -> None:
    async def test(room: Room, push: Push, queue: DurableQueue) -> None:
        async def pushed(**given: Any) -> bool:
            return await room.store.write(lambda tx: push.push_if_known(tx, event(**given)))

        assert not await pushed()  # nobody has decided yet
        await push.check(event())
        assert await pushed(id="e-2")
        (message,) = await queue.receive(limit=10, lease_ms=1000)
        assert AsyncEvent.unpack(message.body)[0].request_id == "e-2"
        for other in (
            {"source_arn": f"{TOPIC}2"},
            {"principal": "s3.amazonaws.com"},
            {"function_arn": f"{FN}:7"},
            {"payload": bytes(ASYNC_PAYLOAD_BYTES + 1)},
        ):
            assert not await pushed(**other)
        await room.call("RemovePermission", FunctionName="fn", StatementId="s")
        assert not await pushed()
        with pytest.raises(PushRefusedError):
            await push.push(event())
        assert not await pushed()  # what is denied is not known to be allowed, though here it is only audited
        assert await queue.count() == 1

    in_room(tmp_path, test)


def test_a_function_that_went_is_not_known_any_more(tmp_path: Path) -> None:
    async def test(room: Room, push: Push, queue: DurableQueue) -> None:
        await push.check(event())
        await room.call("DeleteFunction", FunctionName="fn")
        assert not await room.store.write(lambda tx: push.push_if_known(tx, event()))
        assert await queue.count() == 0

    in_room(tmp_path, test)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"source_arn": f"{TOPIC}2"}, "not authorized to perform: lambda:InvokeFunction"),
        ({"principal": "s3.amazonaws.com"}, "not authorized to perform: lambda:InvokeFunction"),
        ({"function_arn": f"{FN}:$LATEST"}, ""),
        ({"function_arn": f"{FN}:7"}, "Function not found"),
        ({"function_arn": f"{FN}2"}, "Function not found"),
        ({"function_arn": TOPIC}, "is not the ARN of a function"),
        ({"payload": bytes(ASYNC_PAYLOAD_BYTES + 1)}, "too large"),
    ],
)
def test_what_never_will_be_taken_is_refused(tmp_path: Path, given: dict[str, Any], why: str) -> None:
    async def test(room: Room, push: Push, queue: DurableQueue) -> None:
        if not why:
            await push.push(event(**given))
            return
        with pytest.raises(PushRefusedError, match=why):
            await push.push(event(**given))
        assert await queue.count() == 0

    in_room(tmp_path, test)
