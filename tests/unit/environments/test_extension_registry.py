"""Who may register, what each may do in which state, and who waits for whom."""

import asyncio
import json

import pytest

from cosset.environments.extensions.registry import (
    MAX_EXTENSIONS,
    ExtensionRefusedError,
    Extensions,
    State,
)
from cosset.environments.transport import Exit, TransportClosedError
from support.written import event_for


class Waiting:
    """A `next` under way."""

    def __init__(self, takes=True):
        self.takes = takes
        self.events = []

    def __call__(self, event):
        if self.takes:
            self.events.append(json.loads(event))
        return self.takes


def in_loop(body):
    asyncio.run(asyncio.wait_for(body(), 60))


def refused(action, *arguments):
    with pytest.raises(ExtensionRefusedError) as raised:
        action(*arguments)
    return raised.value.error_type


async def pending(waiting):
    """The task, which has had its chance and waits all the same."""
    task = asyncio.ensure_future(waiting)
    for _ in range(5):
        await asyncio.sleep(0)
    assert not task.done()
    return task


def test_init_waits_for_every_external_extension_and_its_first_next():
    async def body():
        extensions = Extensions(["a", "b"])
        first = extensions.register("a", ["INVOKE"])
        registered = await pending(extensions.all_registered())
        second = extensions.register("b", [])
        await registered
        extensions.close_registration()
        extensions.next(first, Waiting())
        ready = await pending(extensions.all_ready())
        extensions.next(second, Waiting())
        await ready
        assert refused(extensions.register, "late", []) == "Extension.RegistrationClosed"

    in_loop(body)


def test_what_a_registration_may_not_be():
    extensions = Extensions(["outside"])
    assert refused(extensions.register, "", []) == "Extension.InvalidExtensionName"
    assert refused(extensions.register, "outside", ["NOTHING"]) == "Extension.InvalidEventType"
    assert refused(extensions.register, "inside", ["INVOKE", "SHUTDOWN"]) == "Extension.InvalidEventType"
    extensions.register("outside", ["INVOKE", "SHUTDOWN"])
    assert refused(extensions.register, "outside", []) == "Extension.InvalidExtensionState"
    for number in range(MAX_EXTENSIONS - 1):
        extensions.register(f"inside {number}", ["INVOKE"])
    assert refused(extensions.register, "one too many", []) == "Extension.TooManyExtensions"


def test_identifiers():
    extensions = Extensions()
    known = extensions.register("inside", [])
    assert extensions.find(known.id) is known
    assert refused(extensions.find, None) == "Extension.MissingExtensionIdentifier"
    assert refused(extensions.find, "no uuid") == "Extension.InvalidExtensionIdentifier"
    assert refused(extensions.find, "00000000-0000-0000-0000-000000000000") == "Extension.UnknownExtensionIdentifier"


def test_an_invocation_is_over_when_all_have_asked_again():
    async def body():
        extensions = Extensions()
        one, other, deaf = (extensions.register(name, events) for name, events in
                            (("one", ["INVOKE"]), ("other", ["INVOKE"]), ("deaf", [])))  # fmt: skip
        waiting = [Waiting(), Waiting(), Waiting()]
        for extension, each in zip((one, other, deaf), waiting, strict=True):
            extensions.next(extension, each)
        extensions.invoke(event_for())
        assert [len(each.events) for each in waiting] == [1, 1, 0]
        assert extensions.are_busy
        extensions.next(one, Waiting())
        over = await pending(extensions.all_at_rest())
        extensions.next(other, Waiting())
        await over

    in_loop(body)


def test_an_event_waits_for_whoever_hung_up():
    extensions = Extensions()
    one = extensions.register("one", ["INVOKE"])
    gone, later = Waiting(takes=False), Waiting()
    extensions.next(one, gone)
    assert refused(extensions.next, one, later) == "Extension.InvalidExtensionState"
    extensions.hung_up(one, gone)
    extensions.invoke(event_for())
    assert extensions.are_busy
    extensions.next(one, later)
    assert later.events[0]["eventType"] == "INVOKE"
    assert one.state is State.RUNNING


@pytest.mark.parametrize(
    ("reported", "expected"),
    [(None, "Extension.Crash"), (State.INIT_ERROR, "Extension.InitError"), (State.EXIT_ERROR, "Extension.ExitError")],
)
def test_an_exit_is_a_failure_unless_it_was_wanted(reported, expected):
    async def body():
        failures = []
        extensions = Extensions(["a", "b"], failures.append)
        extension = extensions.register("a", ["INVOKE", "SHUTDOWN"])
        other = extensions.register("b", ["SHUTDOWN"])
        waits = await pending(extensions.all_ready())
        if reported is not None:
            extensions.report_error(extension, reported, "My.Reason")
            assert failures == []
        extensions.exited("a", Exit(code=3))
        extensions.exited("a", Exit(code=3))
        assert [(failure.error_type, failure.message) for failure in failures] == [(expected, "exit code 3")]
        extensions.next(other, told := Waiting())
        await asyncio.sleep(0)
        assert not waits.done()
        extensions.end()
        extensions.shut_down("failure", 5)
        assert told.events == [{"eventType": "SHUTDOWN", "shutdownReason": "failure", "deadlineMs": 5}]
        exited = await pending(extensions.all_exited())
        extensions.exited("b", Exit(signal=9))
        await exited
        assert len(failures) == 1
        extensions.close()
        with pytest.raises(TransportClosedError):
            await waits

    in_loop(body)


def test_an_internal_extension_that_reports_an_error_ends_the_environment_itself():
    failures = []
    extensions = Extensions((), failures.append)
    inside = extensions.register("inside", ["INVOKE"])
    extensions.report_error(inside, State.INIT_ERROR, "My.Reason")
    assert [(failure.error_type, failure.message) for failure in failures] == [("Extension.InitError", "My.Reason")]
    assert refused(extensions.report_error, inside, State.EXIT_ERROR, "x") == "Extension.InvalidExtensionState"
    assert refused(extensions.next, inside, Waiting()) == "Extension.InvalidExtensionState"


def test_nobody_waits_for_an_environment_that_has_ended():
    async def body():
        extensions = Extensions(["a"])
        waits = await pending(extensions.all_registered())
        extensions.close()
        extensions.close()
        for waiting in (waits, extensions.all_registered()):
            with pytest.raises(TransportClosedError):
                await waiting

    in_loop(body)
