"""What a bucket is. Values only. What an object is: `versions.py`."""

from dataclasses import dataclass
from enum import StrEnum


class Versioning(StrEnum):
    NEVER = ""
    ENABLED = "Enabled"
    SUSPENDED = "Suspended"


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket. Its name is its own in the whole installation, as on AWS."""

    name: str
    account: str
    region: str
    created_ms: int
    versioning: Versioning = Versioning.NEVER
    has_object_lock: bool = False

    @property
    def arn(self) -> str:
        return f"arn:aws:s3:::{self.name}"
