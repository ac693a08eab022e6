"""What users' tests are made with: a real server of their own. The pytest fixture of it is plugin.py."""

from cosset.testing.buses import RecordingEventBus
from cosset.testing.destination import RecordingBucket, RecordingBus, RecordingDestination, RecordingTopic
from cosset.testing.event_source import ListedEventSource
from cosset.testing.objects import MemoryObjects
from cosset.testing.server import CossetServer, ServerFailedError
from cosset.testing.tier import best_tier

__all__ = [
    "CossetServer",
    "ListedEventSource",
    "MemoryObjects",
    "RecordingBucket",
    "RecordingBus",
    "RecordingDestination",
    "RecordingEventBus",
    "RecordingTopic",
    "ServerFailedError",
    "best_tier",
]
