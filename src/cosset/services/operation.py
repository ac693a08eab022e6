"""How a service offers its operations to the door: a handler, and beside it what IAM must allow.

A service package holds classes whose methods are marked with `@operation`; `Service.of` collects them. The gateway
reads the table; services know nothing of HTTP.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

from cosset.identity.evaluation.context import CallContext
from cosset.identity.ports import Requirement
from cosset.identity.principal import Principal
from cosset.observe.causes import Led
from cosset.wire.errors import ServiceError

Params = dict[str, Any]
Result = dict[str, Any]


@dataclass(slots=True)
class Context:
    """What a handler may know of the call besides its parameters.

    `cancelled` is set when the client has gone: a long poll ends on it. `host` and `scheme` are as the client
    addressed the door, for URLs in answers. `deadline_ms` is epoch milliseconds, None without one. `call` is what the
    conditions of policies may ask of it, for handlers that ask the authorizer themselves. `led`: see `led_to`.
    """

    service: str
    operation: str
    principal: Principal
    account: str
    region: str
    request_id: str
    host: str
    scheme: str = "http"
    trace_id: str | None = None
    deadline_ms: int | None = None
    user_agent: str | None = None
    call: CallContext | None = None
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    led: list[Led] = field(default_factory=list)

    def led_to(self, kind: str, id_: str, resource: str) -> None:
        """Says what the call has caused, for whoever asks what caused what. Told twice it counts once."""
        led = Led(kind=kind, id=id_, resource=resource)
        if led not in self.led:
            self.led.append(led)

    @property
    def source_ip(self) -> str:
        """Empty where it is not known."""
        return (self.call.source_ip if self.call is not None else None) or ""


Handler = Callable[[Context, Params], Awaitable[Result | None]]
Requirements = Callable[[Context, Params], Sequence[Requirement]]
_Method = TypeVar("_Method", bound=Callable[..., Awaitable[Result | None]])

_MARK = "__cosset_operation__"


def operation(name: str, requirements: Requirements) -> Callable[[_Method], _Method]:
    """Marks a method as the handler of the AWS operation `name`; `requirements` says what IAM must allow."""

    def mark(method: _Method) -> _Method:
        setattr(method, _MARK, (name, requirements))
        return method

    return mark


def no_requirements(ctx: Context, params: Params) -> Sequence[Requirement]:
    """For the few operations that AWS lets every authenticated principal call (sts:GetCallerIdentity)."""
    return ()


Refused = Callable[[Context, Params, ServiceError], Awaitable[ServiceError]]


@dataclass(frozen=True, slots=True)
class Operation:
    """`refused`: what a caller is told instead, whom the evaluator did not let in."""

    name: str
    handler: Handler
    requirements: Requirements
    refused: Refused | None = None


@dataclass(frozen=True, slots=True)
class Service:
    """One AWS service as this installation serves it. `name` is botocore's (`lambda`, `iam`, `sts`, `logs`).

    `validation_code` is the error code that this service gives to violated constraints of its model.
    """

    name: str
    operations: Mapping[str, Operation]
    validation_code: str = "ValidationException"

    @classmethod
    def of(cls, name: str, parts: Iterable[object], validation_code: str = "ValidationException") -> "Service":
        operations: dict[str, Operation] = {}
        for part in parts:
            for attribute in dir(type(part)):
                mark = getattr(getattr(type(part), attribute, None), _MARK, None)
                if mark is None:
                    continue
                operation_name, requirements = mark
                if operation_name in operations:
                    raise ValueError(f"{name}:{operation_name} has two handlers")
                operations[operation_name] = Operation(operation_name, getattr(part, attribute), requirements)
        return cls(name, operations, validation_code)


class LateService:
    """A Service that is made when it is first called: what nobody calls costs no import and no memory."""

    def __init__(self, name: str, make: Callable[[], Service]) -> None:
        self.name = name
        self._make = make

    @cached_property
    def _service(self) -> Service:
        return self._make()

    @property
    def operations(self) -> Mapping[str, Operation]:
        return self._service.operations

    @property
    def validation_code(self) -> str:
        return self._service.validation_code


AnyService = Service | LateService
