"""What a started node tells the process that the user looks at, on its way through the launcher."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """What a started node tells the process that the user looks at. The keys are the administrator's,
    None when the owner has taken them away."""

    endpoint: str
    access_key_id: str | None
    secret_access_key: str | None
    account: str
    region: str
    tier: str
    iam_mode: str
    data: Path
    first_start: bool


def ready_message(ready: Ready) -> dict[str, Any]:
    """`ready` as the launcher carries it."""
    return {**asdict(ready), "data": str(ready.data)}
