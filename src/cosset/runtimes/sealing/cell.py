"""What every environment of one spawner has alike. Read next: seal.py, which makes one of it."""

from __future__ import annotations

MYPY = False
if MYPY:
    from collections.abc import Callable, Sequence
    from typing import Any

    Runtime = Callable[[dict[str, Any], dict[str, int]], None]
    """Runs a function's runtime in this very process, given the assignment and the descriptors by name."""
    Standby = Callable[[dict[str, int]], None]
    """Begins a runtime that is nobody's yet, given descriptors: of `telemetry`, and `told`, where it is told in
    one message what function it is."""
    Rehearse = Callable[[], None]
    """Touches what a start will touch, and leaves nothing behind that a function could see."""


class Cell:
    """`ports` are listened on inside and passed out (ports.py). `standby`: what runs in an environment that waits for
    its function, where that is more than a fork. `rehearse`: what one of which nobody has need yet does meanwhile."""

    def __init__(
        self,
        ports: Sequence[int],
        filter_program: bytes,
        run: Runtime,
        standby: Standby | None = None,
        rehearse: Rehearse | None = None,
    ) -> None:
        self.ports = ports
        self.filter_program = filter_program
        self.run = run
        self.standby = standby
        self.rehearse = rehearse
