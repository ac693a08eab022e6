"""What can go wrong with what Cosset keeps, each in a sentence that its reader can act on."""

from pathlib import Path

from cosset.wire.errors import ServiceError


class StoreError(Exception):
    """The data cannot be opened or used. The message names the file and says what to do; it is for the owner's eyes."""


class DiskFullError(ServiceError):
    """A write was refused or undone because the disk is full, or has less left than the owner wants kept free.

    Nothing of the write happened. Reading goes on, and writing goes on by itself once there is room.
    """

    def __init__(self, folder: Path | str) -> None:
        super().__init__(
            "ServiceUnavailableException",
            f"Cosset's disk is full ({folder}). Nothing was changed. Free some space and try again.",
            status=503,
        )


class OverloadedError(ServiceError):
    """More work waits for the store than it lets wait (G6). Every AWS SDK retries this."""

    def __init__(self) -> None:
        super().__init__("ThrottlingException", "Rate exceeded", status=429)


class UnusableError(ServiceError, StoreError):
    """The node runs, but another program has locked its database, or it was damaged, or may not be written any more.

    Nothing of the write happened. All goes on by itself once the cause is gone. `what` says it without the file's
    name, which is for the node's log.
    """

    def __init__(self, what: str) -> None:
        super().__init__(
            "ServiceUnavailableException",
            f"Cosset's database {what}. Nothing was changed. Try again once that is mended.",
            status=503,
        )


class UnavailableError(ServiceError):
    """The database cannot be reached. A write that was being committed may or may not have happened: try it again."""

    def __init__(self) -> None:
        super().__init__(
            "ServiceUnavailableException", "Cosset's database cannot be reached. Try again in a moment.", status=503
        )
