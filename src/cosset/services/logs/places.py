"""What others must know of CloudWatch Logs before it is imported."""

EXPORTS = "log-exports"
"""The durable queue of export tasks."""
