"""The one exception that crosses the wire. Rooms raise families of it; the protocol of the request writes it."""

from collections.abc import Mapping
from typing import Any


class ServiceError(Exception):
    """An error that AWS would answer: its code, its sentence, its status.

    `fields` are further members of the modelled error shape (`Type`, `Reason`, `retryAfterSeconds` ...).
    Where the code is a modelled exception of the service, status and shape come from the model; `status` serves
    the rest. `headers` go beside the error, in protocols whose errors have any (S3's delete markers).
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        status: int = 400,
        fields: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.fields = dict(fields or {})
        self.headers = dict(headers or {})


MAX_SHOWN = 100
"""Violations that an answer lists; how many there are it says all the same."""


class ValidationError(ServiceError):
    """The request breaks constraints of the model: all violations in one sentence, as AWS writes it."""

    def __init__(self, violations: list[str], code: str = "ValidationException") -> None:
        noun = "validation error" if len(violations) == 1 else "validation errors"
        shown = "; ".join(violations[:MAX_SHOWN])
        super().__init__(code, f"{len(violations)} {noun} detected: {shown}")
        self.violations = violations


class SerializationError(ServiceError):
    """The body cannot be read as what the operation takes."""

    def __init__(self, message: str = "") -> None:
        super().__init__("SerializationException", message)


class OperationNotImplementedError(ServiceError):
    """The operation exists on AWS and is not there yet: said by name (G7)."""

    def __init__(self, service: str, operation: str) -> None:
        super().__init__(
            "NotImplementedException",
            f"Cosset does not implement {service}:{operation} yet. What it implements: docs/operations.md",
            status=501,
        )
