"""What an environment may reach, by the node's settings and by its function's own variables.

A function can only be given less of the internet than the node has: its variables are set by whoever may change the
function. They are variables and not tags because they belong to a version, and every tool can set them.
Read next: tier.py, dns.py; docs/lambda.md.
"""

from dataclasses import dataclass

from cosset.environments.api import EnvironmentSpec

EGRESS_VARIABLE = "COSSET_EGRESS"
"""`off`: no way to the internet. `on`, as without it: what the node gives."""
AWS_VARIABLE = "COSSET_AWS_ENDPOINTS"
"""`local`: AWS's names lead to Cosset. `real`: to AWS, and AWS_ENDPOINT_URL is not set. Without it: as the node has
it."""
LOCAL, REAL = "local", "real"
_ON, _OFF = ("on", "true"), ("off", "false")
"""The second as the node's own setting of this name is written."""


@dataclass(frozen=True, slots=True)
class Network:
    """`warnings` are for the function's log: what was asked for and is not given."""

    has_egress: bool
    has_local_aws: bool
    warnings: tuple[str, ...] = ()


def network_of(spec: EnvironmentSpec, *, has_egress: bool, aws_endpoints: str) -> Network:
    """`has_egress`, `aws_endpoints`: the node's. What is misspelt gets the less."""
    warnings = []
    wanted = spec.variables.get(EGRESS_VARIABLE, "on")
    if wanted not in _ON + _OFF:
        warnings.append(f"{EGRESS_VARIABLE} is neither on nor off: it counts as off.")
    gets_egress = has_egress and wanted in _ON
    aws = spec.variables.get(AWS_VARIABLE, aws_endpoints)
    if aws not in (LOCAL, REAL):
        warnings.append(f"{AWS_VARIABLE} is neither {LOCAL} nor {REAL}: it counts as {LOCAL}.")
    elif aws == REAL and not gets_egress:
        warnings.append(f"{AWS_VARIABLE} is {REAL}, but this function has no way to the internet: see `cosset doctor`.")
    return Network(gets_egress, aws != REAL, tuple(warnings))
