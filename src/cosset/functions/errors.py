"""The errors that functions answer with: one constructor per AWS code, in AWS's words. Raised here, written by wire.

Most carry `Type: User`; the few that AWS answers without it say so (recorded: test_notfound_and_invalid_routingconfigs,
test_function_concurrency_limits, TestLambdaSizeLimits).
"""

from collections.abc import Mapping
from typing import Any

from cosset.wire.errors import ServiceError

_USER: Mapping[str, Any] = {"Type": "User"}
_UNTYPED: Mapping[str, Any] = {"Type": None}


def invalid_parameter(message: str, *, typed: bool = True) -> ServiceError:
    return ServiceError("InvalidParameterValueException", message, fields=_USER if typed else _UNTYPED)


def not_found(message: str) -> ServiceError:
    return ServiceError("ResourceNotFoundException", message, status=404, fields=_USER)


def function_not_found(arn: str) -> ServiceError:
    return not_found(f"Function not found: {arn}")


def conflict(message: str) -> ServiceError:
    return ServiceError("ResourceConflictException", message, status=409, fields=_USER)


def statement_exists(sid: str) -> ServiceError:
    return conflict(
        f"The statement id ({sid}) provided already exists. Please provide a new statement id, or remove the existing "
        "statement."
    )


def still_pending(state: str) -> ServiceError:
    return conflict(
        f"The operation cannot be performed at this time. The function is currently in the following state: {state}"
    )


def update_in_progress(arn: str) -> ServiceError:
    return conflict(f"The operation cannot be performed at this time. An update is in progress for resource: {arn}")


def stale_revision(call: str = "GetFunction/GetAlias") -> ServiceError:
    """The caller's RevisionId is not the current one."""
    return ServiceError(
        "PreconditionFailedException",
        "The Revision Id provided does not match the latest Revision Id. "
        f"Call the {call} API to retrieve the latest Revision Id",
        status=412,
        fields=_USER,
    )


def entity_too_large(message: str) -> ServiceError:
    return ServiceError("RequestEntityTooLargeException", message, status=413)


def code_storage_exceeded() -> ServiceError:
    return ServiceError("CodeStorageExceededException", "Code storage limit exceeded.", fields=_USER)


def code_signing_not_found(arn: str) -> ServiceError:
    """As the operations on the configuration itself say it, untyped (recorded: test_code_signing_not_found_excs)."""
    message = f"The Lambda code signing configuration {arn} can not be found."
    return ServiceError("ResourceNotFoundException", message, status=404, fields=_UNTYPED)


def function_code_signing_not_found(arn: str) -> ServiceError:
    """As the operations on functions say it."""
    return ServiceError(
        "CodeSigningConfigNotFoundException",
        f"The code signing configuration cannot be found. Check that the provided configuration is not deleted: {arn}.",
        status=404,
        fields=_USER,
    )


def code_not_signed(name: str) -> ServiceError:
    return ServiceError(
        "CodeVerificationFailedException",
        "Lambda cannot deploy the function. The function or layer might be signed using a signature that the client "
        f"is not configured to accept. Check the provided signature for {name}.",
        fields=_USER,
    )


def no_provisioned_concurrency() -> ServiceError:
    return ServiceError(
        "ProvisionedConcurrencyConfigNotFoundException",
        "No Provisioned Concurrency Config found for this function",
        status=404,
        fields=_USER,
    )


def policy_too_large(limit_bytes: int) -> ServiceError:
    return ServiceError(
        "PolicyLengthExceededException",
        f"The final policy size is bigger than the limit ({limit_bytes}).",
        fields=_USER,
    )


def access_denied(message: str) -> ServiceError:
    return ServiceError("AccessDeniedException", message, status=403)


def not_here(what: str) -> ServiceError:
    """A setting that has an effect on AWS and would have none here is refused by name, never kept in silence (G7)."""
    return ServiceError(
        "NotImplementedException",
        f"Cosset does not implement {what} yet. What it implements: docs/operations.md",
        status=501,
    )
