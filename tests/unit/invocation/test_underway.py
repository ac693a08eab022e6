"""What an environment is busy with is known by its key while its event is under way, and no longer."""

from cosset.invocation.underway import Underway


def test_only_while_the_event_is_under_way() -> None:
    underway = Underway()
    underway.begin("AKIA", "Root=1;Parent=a")
    underway.begin("OTHER", "Root=2")
    assert underway.header_of("AKIA") == "Root=1;Parent=a"
    assert underway.header_of("OTHER") == "Root=2"
    underway.end("AKIA")
    underway.end("AKIA")
    assert underway.header_of("AKIA") is None
    assert underway.header_of("OTHER") == "Root=2"
