"""SNS's refusals, in its own sentences. Source: recorded answers (sns)."""

from cosset.wire.errors import ServiceError


def invalid(sentence: str) -> ServiceError:
    """`sentence` is what follows "Invalid parameter: "."""
    return ServiceError("InvalidParameter", f"Invalid parameter: {sentence}")


def no_such_topic() -> ServiceError:
    return ServiceError("NotFound", "Topic does not exist", status=404)


def no_such_subscription() -> ServiceError:
    return ServiceError("NotFound", "Subscription does not exist", status=404)
