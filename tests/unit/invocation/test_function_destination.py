"""Functions as destinations: a record becomes an event."""

import asyncio

import pytest

from cosset.invocation.api import Invocation, InvocationResult, Target
from cosset.invocation.destinations import Delivery, DeliveryRefusedError
from cosset.invocation.function_destination import FunctionDestination
from cosset.wire.errors import ServiceError
from support.invocations import target

SOURCE = "arn:aws:lambda:us-east-1:111111111111:function:f:$LATEST"
G = "arn:aws:lambda:us-east-1:111111111111:function:g"


class Room:
    """A resolver that knows `g`, and an invoker that keeps what it accepts."""

    def __init__(self, error: ServiceError | None = None) -> None:
        self.accepted: list[Invocation] = []
        self.error = error

    async def resolve(self, account: str, region: str, name: str, qualifier: str | None) -> Target:
        if self.error is not None:
            raise self.error
        if (name, qualifier) not in (("g", None), ("g", "Prod")):
            raise ServiceError("ResourceNotFoundException", "no", status=404)
        return target(name)

    async def invoke(self, invocation: Invocation) -> InvocationResult:
        raise AssertionError

    async def invoke_async(self, invocation: Invocation) -> str:
        if self.error is not None:
            raise self.error
        self.accepted.append(invocation)
        return ""


def accepts(room: Room, arn: str) -> bool:
    return asyncio.run(FunctionDestination(room, room).accepts(arn, source_arn=SOURCE))


def deliver(room: Room, arn: str) -> None:
    delivery = Delivery(
        id="d-1",
        target_arn=arn,
        source_arn=SOURCE,
        condition="Success",
        role="role",
        trace_id="Root=1",
        sent_ms=1,
        body=b"{}",
    )
    asyncio.run(FunctionDestination(room, room).deliver(delivery))


def test_functions_of_the_same_account_and_region_that_are_there_are_accepted() -> None:
    room = Room()
    assert accepts(room, G)
    assert accepts(room, f"{G}:Prod")
    assert not accepts(room, f"{G}:Other")
    assert not accepts(room, f"{G}2")
    assert not accepts(room, G.replace("us-east-1", "eu-west-1"))
    assert not accepts(room, G.replace("111111111111", "222222222222"))
    assert not accepts(room, "arn:aws:lambda:us-east-1:111111111111:function")
    assert accepts(Room(ServiceError("ResourceConflictException", "Pending", status=409)), G)


def test_a_record_becomes_an_event_with_the_id_of_the_delivery() -> None:
    room = Room()
    deliver(room, f"{G}:Prod")
    (event,) = room.accepted
    assert (event.function_name, event.qualifier, event.payload) == ("g", "Prod", b"{}")
    assert (event.request_id, event.trace_id, event.invoked_arn) == ("d-1", "Root=1", f"{G}:Prod")


@pytest.mark.parametrize("code", ["ResourceNotFoundException", "RequestTooLargeException"])
def test_what_can_never_be_taken_is_refused_for_good(code: str) -> None:
    with pytest.raises(DeliveryRefusedError):
        deliver(Room(ServiceError(code, "no")), G)


def test_what_cannot_be_taken_now_is_refused_for_now() -> None:
    with pytest.raises(ServiceError):
        deliver(Room(ServiceError("ServiceException", "full disk", status=500)), G)
