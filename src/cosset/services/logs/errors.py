"""CloudWatch Logs' refusals, in its own sentences. Sources: recorded answers (logs), and the API reference."""

from cosset.wire.errors import ServiceError


def no_such_group() -> ServiceError:
    return ServiceError("ResourceNotFoundException", "The specified log group does not exist.")


def no_such_stream() -> ServiceError:
    return ServiceError("ResourceNotFoundException", "The specified log stream does not exist.")


def group_exists() -> ServiceError:
    """Without a full stop (recorded: test_create_log_group_duplicate_error)."""
    return ServiceError("ResourceAlreadyExistsException", "The specified log group already exists")


def stream_exists() -> ServiceError:
    return ServiceError("ResourceAlreadyExistsException", "The specified log stream already exists")


def invalid_parameter(sentence: str) -> ServiceError:
    return ServiceError("InvalidParameterException", sentence)


def invalid_token() -> ServiceError:
    return invalid_parameter("The specified nextToken is invalid.")
