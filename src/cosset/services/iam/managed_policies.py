"""The policies that AWS itself manages and that people commonly use, by ARN. The documents: `aws_policies/`.

A policy that is not here answers NoSuchEntity, rather than an invented document. Which versions they are is in
docs/decisions/0014: AWS changes some of them by the month.
"""

from cosset.services.iam.aws_policies import administration, cloudwatch, functions, messaging, reading, storage
from cosset.services.iam.aws_policies.document import ManagedPolicy

__all__ = ["ManagedPolicy", "managed_policies"]


def managed_policies() -> dict[str, ManagedPolicy]:
    """All of them, by ARN."""
    modules = (administration, reading, functions, storage, messaging, cloudwatch)
    return {policy.arn: policy for module in modules for policy in module.policies()}
