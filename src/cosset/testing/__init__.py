"""What users' tests are made with: a real server of their own. The pytest fixture of it is plugin.py."""

from cosset.testing.destination import RecordingDestination
from cosset.testing.server import CossetServer, ServerFailedError
from cosset.testing.tier import best_tier

__all__ = ["CossetServer", "RecordingDestination", "ServerFailedError", "best_tier"]
