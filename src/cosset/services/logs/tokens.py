"""Page tokens: where to go on. They carry a place, not a cursor, so that they stay good after a restart.

GetLogEvents gives one for each direction, in AWS's form (`f/` or `b/`, 56 digits, `/s`); the rest are opaque.
"""

import base64
import json
import re
from dataclasses import dataclass
from typing import Any

from cosset.services.logs.errors import invalid_token
from cosset.store.log_rows import Position

_EVENT_TOKEN = re.compile(r"([fb])/(\d{20})(\d{36})/s")
_LARGEST = 2**63 - 1


@dataclass(frozen=True, slots=True)
class EventToken:
    """Forward: what comes after the place. Backward: what comes before it."""

    backward: bool
    position: Position

    def __str__(self) -> str:
        return f"{'b' if self.backward else 'f'}/{event_id(self.position)}/s"

    @classmethod
    def parse(cls, text: str) -> "EventToken":
        """Raises ServiceError InvalidParameterException."""
        found = _EVENT_TOKEN.fullmatch(text)
        if found is None:
            raise invalid_token()
        position = Position(int(found[2]), int(found[3]))
        if max(position) > _LARGEST:
            raise invalid_token()
        return cls(found[1] == "b", position)


def event_id(position: Position) -> str:
    """56 digits, in the order of the events."""
    return f"{position.timestamp_ms:020d}{position.seq:036d}"


def write_token(place: Any) -> str:
    """An opaque token for a list's place (a string, a number or a list of them)."""
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode("ascii").rstrip("=")


def read_place(token: str) -> Any:
    """Raises ServiceError InvalidParameterException."""
    try:
        return json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    except (ValueError, RecursionError):
        raise invalid_token() from None


def read_name(token: str) -> str:
    """A place that is a name."""
    place = read_place(token)
    if not isinstance(place, str):
        raise invalid_token()
    return place


def read_position(token: str) -> Position:
    first, second = _pair(token)
    if not isinstance(second, int) or isinstance(second, bool) or not 0 <= second <= _LARGEST:
        raise invalid_token()
    return Position(first, second)


def read_cursor(token: str) -> tuple[int, str]:
    """A place among streams: the last event's time and the name."""
    first, second = _pair(token)
    if not isinstance(second, str):
        raise invalid_token()
    return first, second


def _pair(token: str) -> tuple[int, Any]:
    place = read_place(token)
    if not isinstance(place, list) or len(place) != 2:
        raise invalid_token()
    first, second = place
    if not isinstance(first, int) or isinstance(first, bool) or not 0 <= first <= _LARGEST:
        raise invalid_token()
    return first, second
