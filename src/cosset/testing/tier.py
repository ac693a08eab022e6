"""Which isolation tier tests and demonstrations run in: the strongest that this host can give, and they say which."""

from cosset.environments.jail import host


def best_tier() -> str:
    """`jail` where the host can give it, else `process`, which isolates nothing: say so to whoever watches."""
    return "jail" if host.is_available(host.inspect()) else "process"
