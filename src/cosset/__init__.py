"""Cosset: AWS Lambda on your own machines. Start reading in ARCHITECTURE.md."""

__version__ = "0.1.0"
