"""An event bus that keeps what it is given, for tests of services that tell EventBridge of what happens."""

from cosset.services.s3.notification_ports import BusEntry
from cosset.store.transaction import Transaction


class RecordingEventBus:
    """Implements services.s3.notification_ports.EventBus. `entries` also has those of transactions that failed."""

    def __init__(self) -> None:
        self.entries: list[BusEntry] = []

    def put(self, tx: Transaction, entry: BusEntry) -> None:
        self.entries.append(entry)
