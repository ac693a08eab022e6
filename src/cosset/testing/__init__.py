"""What users' tests are made with: a real server of their own. The pytest fixture of it is plugin.py."""

from cosset.testing.destination import RecordingDestination
from cosset.testing.event_source import ListedEventSource
from cosset.testing.server import CossetServer, ServerFailedError
from cosset.testing.tier import best_tier

__all__ = ["CossetServer", "ListedEventSource", "RecordingDestination", "ServerFailedError", "best_tier"]
