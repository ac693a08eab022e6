"""What others must know of CloudWatch Logs before it is imported."""

EXPORTS = "log-exports"
"""The durable queue of export tasks."""

TEST_OBJECT = "aws-logs-write-test"
"""What is written below the prefix of an export before its task is made."""

POLICY_CHANGES = "logs/policies"
"""Announced when a resource policy is put or deleted."""
