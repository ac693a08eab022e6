"""The services of AWS as botocore's models describe them: read on first use, compiled once per operation.

Knows no service by name. What the models leave out comes from overlays.py. Next: protocols/, validation.py.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from cosset.wire.overlays import NOTHING, OVERLAYS, Overlay

if TYPE_CHECKING:
    from botocore.loaders import Loader
    from botocore.model import OperationModel, ServiceModel, Shape

_Compiled = TypeVar("_Compiled")


class UnknownServiceNameError(LookupError):
    """botocore has no service of that name."""


class WireOperation:
    """One operation: what the gateway must know before it reads the body.

    `streams_in`: its input is a streaming blob, give the body as an iterator. `event_stream_out`: its answer is an
    event stream. `auth_type`: the model's authtype (`none` where a call needs no signature, which an overlay may
    say too), None where it says nothing. `unsigned_payload`: the body's hash is not part of the signature.
    """

    __slots__ = ("auth_type", "event_stream_out", "model", "name", "streams_in", "unsigned_payload")

    def __init__(self, model: OperationModel, *, unsigned: bool = False) -> None:
        self.model = model
        self.name: str = model.name
        self.streams_in: bool = _streams(model.input_shape)
        self.event_stream_out: bool = model.has_event_stream_output
        self.auth_type: str | None = "none" if unsigned else model.auth_type
        self.unsigned_payload: bool = bool(model.unsigned_payload)


def _streams(shape: Any) -> bool:
    """botocore calls every blob payload streaming; only the trait makes it one (Lambda's Invoke is not)."""
    payload = shape.serialization.get("payload") if shape is not None else None
    return payload is not None and bool(shape.members[payload].serialization.get("streaming"))


class WireService:
    """One service, ready to compile. `protocols` are botocore's names, the preferred first: `json`, `query`,
    `rest-json`, `rest-xml`. `target_prefix` is what X-Amz-Target begins with, without its dot."""

    def __init__(self, name: str, model: ServiceModel, overlay: Overlay = NOTHING) -> None:
        self.name = name
        self.model = model
        self.overlay = overlay
        metadata: Mapping[str, Any] = model.metadata
        listed = tuple(metadata.get("protocols") or (metadata["protocol"],))
        self.protocols: tuple[str, ...] = tuple(dict.fromkeys(listed + overlay.protocols))
        self.signing_name: str = metadata.get("signingName", metadata["endpointPrefix"])
        self.endpoint_prefix: str = metadata["endpointPrefix"]
        self.target_prefix: str | None = metadata.get("targetPrefix")
        self.json_version: str = metadata.get("jsonVersion", "1.0")
        self.api_version: str = metadata["apiVersion"]
        self.xml_namespace: str | None = metadata.get("xmlNamespace") or overlay.xml_namespace
        self.query_compatible: bool = "awsQueryCompatible" in metadata
        self.operation_names: frozenset[str] = frozenset(model.operation_names)
        self._operations: dict[str, WireOperation] = {}
        self._compiled: dict[tuple[str, str], Any] = {}

    def __repr__(self) -> str:
        return f"WireService({self.name!r})"

    def operation(self, name: str) -> WireOperation:
        """Raises KeyError for a name that the service does not have."""
        known = self._operations.get(name)
        if known is None:
            if name not in self.operation_names:
                raise KeyError(name)
            known = self._operations[name] = WireOperation(
                self.model.operation_model(name), unsigned=name in self.overlay.unsigned
            )
            self._lay_over(known)
        return known

    def _lay_over(self, operation: WireOperation) -> None:
        root = self.overlay.roots.get(operation.name)
        shape, taken = operation.model.output_shape, operation.model.input_shape
        if self.overlay.checks_roots and taken is not None and (body := taken.serialization.get("payload")):
            taken.members[body].serialization["checksRoot"] = True
        if shape is None:
            return
        if root is not None:
            shape.serialization["name"] = root
            shape.serialization["xmlNamespace"] = {"uri": self.overlay.roots_namespace}
            shape.serialization["isBare"] = operation.name == self.overlay.bare_root
        payload = shape.serialization.get("payload")
        if self.overlay.exact_times:
            for each in (shape, shape.members[payload]) if payload is not None else (shape,):
                each.serialization["exactTimes"] = True
        if self.overlay.roots_namespace and payload is not None:
            shape.members[payload].serialization["xmlNamespace"] = {"uri": self.overlay.roots_namespace}
            shape.members[payload].serialization["root"] = root

    def form_model(self, operation: str) -> OperationModel:
        """The operation as the query protocol sees it: with the names of the overlay, where it has any."""
        return self._form_models.operation_model(operation)

    @cached_property
    def _form_models(self) -> ServiceModel:
        if not self.overlay.form_names:
            return self.model
        from botocore.model import ServiceModel

        description = {**self.model._service_description}
        description["shapes"] = _named(description["shapes"], self.overlay.form_names)
        return ServiceModel(description, service_name=self.name)

    def compiled(self, kind: str, operation: str, build: Callable[[WireOperation], _Compiled]) -> _Compiled:
        """What `build` made of the operation, made once. `kind` keeps apart what several builders make."""
        key = (kind, operation)
        known = self._compiled.get(key)
        if known is None:
            known = self._compiled[key] = build(self.operation(operation))
        result: _Compiled = known
        return result

    def attached(self, kind: str, build: Callable[[WireService], _Compiled]) -> _Compiled:
        """As `compiled`, of the whole service (a router)."""
        known = self._compiled.get((kind, ""))
        if known is None:
            known = self._compiled[kind, ""] = build(self)
        result: _Compiled = known
        return result

    def error_shape(self, code: str) -> Shape | None:
        """The modelled exception of that name or, as the query protocol calls it, of that code."""
        return self._error_shapes.get(code)

    @cached_property
    def _error_shapes(self) -> Mapping[str, Shape]:
        shapes = [self.model.shape_for(name) for name in self._exception_names]
        by_code = {shape.error_code: shape for shape in shapes if shape.error_code}
        return by_code | {shape.name: shape for shape in shapes}

    @property
    def _exception_names(self) -> list[str]:
        described = self.model._service_description.get("shapes", {})
        return [name for name, shape in described.items() if shape.get("exception") or shape.get("error")]


def _named(shapes: Mapping[str, Any], names: Mapping[str, str | tuple[str, str]]) -> dict[str, Any]:
    named = dict(shapes)
    for key, name in names.items():
        shape, _, member = key.partition(".")
        found = dict(named[shape])
        if member:
            found["members"] = {**found["members"], member: {**found["members"][member], "locationName": name}}
        elif isinstance(name, tuple):
            found["key"] = {**found["key"], "locationName": name[0]}
            found["value"] = {**found["value"], "locationName": name[1]}
        else:
            found["member"] = {**found["member"], "locationName": name}
        named[shape] = found
    return named


def _forget_words(described: Any) -> None:
    """Half of what a model weighs in memory is its documentation, for people who read it elsewhere."""
    if isinstance(described, dict):
        if isinstance(described.get("documentation"), str):  # a member may be called so, and is no text
            del described["documentation"]
        for each in described.values():
            _forget_words(each)
    elif isinstance(described, list):
        for each in described:
            _forget_words(each)


@contextmanager
def _hidden(module: str) -> Iterator[None]:
    """From who imports meanwhile. Not for a module that is there already."""
    if module in sys.modules:
        yield
        return
    sys.modules[module] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[module]


class Catalogue:
    """Every service that botocore describes, each read when it is first asked for (about 15 ms).

    botocore itself is imported with the first of them (about 60 ms), not by whoever imports this room. `alone`: nobody
    else in this process uses botocore, so AWS's native library, which it takes for signing where it is installed, stays
    out: six megabytes.
    """

    def __init__(self, *, alone: bool = False) -> None:
        self._alone = alone
        self._services: dict[str, WireService] = {}

    def service(self, name: str) -> WireService:
        """`name` is botocore's (`lambda`, `iam`, `logs`). Raises UnknownServiceNameError."""
        known = self._services.get(name)
        if known is None:
            known = self._services[name] = self._read(name)
        return known

    def names(self) -> list[str]:
        return list(self._loader.list_available_services("service-2"))

    def _read(self, name: str) -> WireService:
        with _hidden("awscrt") if self._alone else nullcontext():
            from botocore.exceptions import UnknownServiceError
            from botocore.model import ServiceModel

        try:
            description = self._loader.load_service_model(name, "service-2")
        except UnknownServiceError:
            raise UnknownServiceNameError(name) from None
        _forget_words(description)
        overlay = OVERLAYS.get(name, NOTHING)
        for shape in overlay.texts:
            description["shapes"][shape] = {"type": "string"}
        return WireService(name, ServiceModel(description, service_name=name), overlay)

    @cached_property
    def _loader(self) -> Loader:
        import botocore
        from botocore.loaders import Loader

        # Only botocore's own models: a file in ~/.aws/models must not change what this server answers.
        data = str(Path(botocore.__file__).parent / "data")
        return Loader(extra_search_paths=[data], include_default_search_paths=False)
