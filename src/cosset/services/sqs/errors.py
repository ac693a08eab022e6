"""What SQS refuses, by the codes of its JSON protocol; wire/overlays.py says what the query protocol calls them."""

from cosset.wire.errors import ServiceError


def no_such_queue() -> ServiceError:
    return ServiceError("QueueDoesNotExist", "The specified queue does not exist.")


def invalid_value(value: object, parameter: str, reason: str) -> ServiceError:
    return invalid_parameter(f"Value {value} for parameter {parameter} is invalid. Reason: {reason}")


def invalid_parameter(sentence: str) -> ServiceError:
    return ServiceError("InvalidParameterValueException", sentence)


def missing_parameter(name: str) -> ServiceError:
    return ServiceError("MissingRequiredParameterException", f"The request must contain the parameter {name}.")


def invalid_attribute_value(name: str) -> ServiceError:
    return ServiceError("InvalidAttributeValue", f"Invalid value for the parameter {name}.")


def invalid_attribute_name(sentence: str) -> ServiceError:
    return ServiceError("InvalidAttributeName", sentence)


def unknown_attribute(name: str) -> ServiceError:
    return invalid_attribute_name(f"Unknown Attribute {name}.")


def not_found(sentence: str) -> ServiceError:
    return ServiceError("ResourceNotFoundException", sentence, status=404)


def too_many_statements(found: int, allowed: int) -> ServiceError:
    sentence = f"{found} statements were found in the submitted policy, max allowed is {allowed}"
    return ServiceError("OverLimit", sentence, status=403)
