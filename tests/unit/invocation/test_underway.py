"""What an environment is busy with is known by its key while its event is under way, and no longer."""

import pytest

from cosset.invocation.underway import Underway


def test_only_while_the_event_is_under_way() -> None:
    underway = Underway()
    with underway.event("AKIA", "Root=1;Parent=a"), underway.event("OTHER", "Root=2"):
        assert underway.header_of("AKIA") == "Root=1;Parent=a"
        assert underway.header_of("OTHER") == "Root=2"
    assert underway.header_of("AKIA") is None


def test_an_event_that_fails_ends_too() -> None:
    underway = Underway()
    with pytest.raises(ValueError, match="odd"), underway.event("AKIA", "Root=1"):
        raise ValueError("odd")
    assert underway.header_of("AKIA") is None
