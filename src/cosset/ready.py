"""What a started node tells the process that the user looks at, on its way through the launcher.

The node parses hostile input and the user's process may be root: what comes is checked as if someone else had sent it,
because it ends in the user's AWS files and on the terminal.
"""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

_FORMS = {
    "endpoint": re.compile(r"http://[A-Za-z0-9.:\[\]-]{1,255}"),
    "access_key_id": re.compile(r"[A-Za-z0-9]{4,128}"),
    "secret_access_key": re.compile(r"[A-Za-z0-9+/=]{4,128}"),
    "account": re.compile(r"[0-9]{12}"),
    "region": re.compile(r"[a-z0-9-]{1,64}"),
    "tier": re.compile(r"[a-z]{1,32}"),
    "iam_mode": re.compile(r"enforce|audit"),
}
_OPTIONAL = frozenset({"access_key_id", "secret_access_key"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """A node that serves. The keys are the administrator's, None when the owner has taken them away."""

    endpoint: str
    access_key_id: str | None
    secret_access_key: str | None = field(repr=False)
    account: str
    region: str
    tier: str
    iam_mode: str
    data: Path
    first_start: bool


def ready_message(ready: Ready) -> dict[str, Any]:
    """`ready` as the launcher carries it."""
    message = asdict(ready)
    del message["data"]  # whoever started the node knows where its data is
    return message


def parse_ready(message: Mapping[str, Any], data: Path) -> Ready:
    """Raises: ValueError, for anything that a node would not say."""
    values = {name: message.get(name) for name in _FORMS}
    for name, value in values.items():
        if value is None and name in _OPTIONAL:
            continue
        if not isinstance(value, str) or not _FORMS[name].fullmatch(value):
            raise ValueError(f"the node said {name} {value!r:.80}")
    return Ready(**values, data=data, first_start=message.get("first_start") is True)  # type: ignore[arg-type]
