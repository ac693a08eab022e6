"""`MessageStructure=json`: one message with a text of its own for each protocol.

Recorded: test_message_structure_json_exc.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from cosset.services.sns.errors import invalid
from cosset.wire.errors import ServiceError


class StructureError(ServiceError):
    """The text is not what `MessageStructure` says it is. In a batch it is the only error that concerns one entry."""

    def __init__(self, reason: str) -> None:
        super().__init__("InvalidParameter", f"Invalid parameter: Message Structure - {reason}")


@dataclass(frozen=True, slots=True)
class Texts:
    """What each protocol gets; the others get the default. `size` in bytes, as it counts towards the limit."""

    default: str
    own: Mapping[str, str] = field(default_factory=dict)
    size: int = 0

    def of(self, protocol: str) -> str:
        return self.own.get(protocol, self.default)


def read_structure(text: str, structure: str | None) -> Texts:
    """Raises: StructureError; ServiceError InvalidParameter."""
    size = len(text.encode())
    if not structure:
        return Texts(text, size=size)
    if structure != "json":
        raise invalid("MessageStructure")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise StructureError("JSON message body failed to parse")
    own = {protocol: each for protocol, each in found.items() if isinstance(each, str)}
    if "default" not in own:
        raise StructureError("No default entry in JSON message body")
    return Texts(own.pop("default"), own, size)
