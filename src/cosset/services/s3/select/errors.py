"""What is wrong with a statement, or with what it reads, in S3's codes.

Source: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html, list of SELECT Object Content error codes.
"""

from cosset.wire.errors import ServiceError


def invalid_character(character: str, at: int) -> ServiceError:
    return ServiceError("LexerInvalidChar", f"Invalid character at line 1, column {at + 1}: {character}.")


def unexpected(token: str, at: int) -> ServiceError:
    return ServiceError("ParseUnexpectedToken", f"Unexpected token found {token or 'EOF'} at line 1, column {at + 1}.")


def no_from() -> ServiceError:
    return ServiceError("ParseSelectMissingFrom", "The SQL expression contains a missing FROM after the SELECT list.")


def unsupported(what: str) -> ServiceError:
    return ServiceError("UnsupportedSyntax", f"Encountered syntax that is not supported: {what}.")


def unknown_function(name: str) -> ServiceError:
    return ServiceError("UnsupportedFunction", f"Encountered an unsupported SQL function: {name}.")


def wrong_arguments(name: str) -> ServiceError:
    return ServiceError("EvaluatorInvalidArguments", f"Incorrect number or type of arguments in the call of {name}.")


def cast_failed(value: object, kind: str) -> ServiceError:
    sentence = "Attempt to convert from one data type to another using CAST failed in the SQL expression"
    return ServiceError("CastFailed", f"{sentence}: {str(value)[:100]!r} is no {kind}.")


def not_a_number(value: object) -> ServiceError:
    sentence = "The SQL expression contains an invalid data type"
    return ServiceError("InvalidDataType", f"{sentence}: {str(value)[:100]!r} is no number.")


def missing_header(name: str) -> ServiceError:
    sentence = "Some headers in the query are missing from the file. Check the file and try again."
    return ServiceError("MissingHeaders", sentence, fields={"Header": name})


def too_long() -> ServiceError:
    return ServiceError("OverMaxRecordSize", "The character number in one record is more than our max threshold, 1 MB.")


def no_text() -> ServiceError:
    return ServiceError("InvalidTextEncoding", "Invalid encoding type. Only UTF-8 encoding is supported.")
