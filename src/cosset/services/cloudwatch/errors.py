"""CloudWatch's refusals, in its own sentences. Sources: recorded answers (cloudwatch), and the API reference."""

from cosset.wire.errors import ServiceError


def invalid_value(sentence: str) -> ServiceError:
    return ServiceError("InvalidParameterValue", sentence)


def invalid_combination(sentence: str) -> ServiceError:
    return ServiceError("InvalidParameterCombination", sentence)


def missing_parameter(name: str) -> ServiceError:
    return ServiceError("MissingParameter", f"The parameter {name} is required.")


def invalid(sentence: str) -> ServiceError:
    return ServiceError("ValidationError", sentence)


def invalid_token() -> ServiceError:
    return ServiceError("InvalidNextToken", "Invalid nextToken")


def no_such_resource(sentence: str = "") -> ServiceError:
    return ServiceError("ResourceNotFound", sentence, status=404)
