"""The constraints of the models, checked after parsing: every violation, in AWS's own sentence.

The forms (order, paths, how values print) are those of answers recorded on AWS; docs/decisions/0003 lists what differs
per service. This module refuses to know any service: which error code a service uses is the caller's to say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from cosset.wire.errors import ServiceError, ValidationError
from cosset.wire.models import WireOperation, WireService
from cosset.wire.patterns import compile_java_pattern
from cosset.wire.timestamps import write_iso8601

if TYPE_CHECKING:
    from botocore.model import Shape

    from cosset.wire.overlays import Overlay

Check = Callable[[Any, str, list[str]], None]
Constraint = tuple[str, Callable[[Any], bool]]
_NUMBERS = frozenset({"integer", "long", "float", "double"})
_NESTED = frozenset({"structure", "list", "map"})

_PATTERN = "Member must satisfy regular expression pattern"

# A value this long that is already too long is not also matched: patterns backtrack.
_LONGEST_SHOWN = 16_384
"""Characters of a value that an answer shows: a request of 70 MB is not sent back."""
_LONGEST_MATCHED = 8192


def validate(
    service: WireService, operation: str, params: Mapping[str, Any], code: str = "ValidationException"
) -> None:
    """Checks `params` (as the protocols parse them) against the operation's input shape.

    Raises:
        ValidationError: with error code `code` and all violations in one message.
        ServiceError: with error code `code`, for the first of what the service refuses in a sentence of its own.
    """
    check = service.compiled("validation", operation, lambda found: _compile(service, found))
    violations: list[str] = []
    check(params, "", violations)
    if violations and service.overlay.violation:
        raise service.overlay.violation_of(operation)
    if violations:
        listed = [each for each in violations if not isinstance(each, _Alone)]
        raise ValidationError(listed, code) if listed else ServiceError(code, violations[0])


class _Alone(str):
    """What is wrong with a value, in a sentence that is listed with no other."""


def _compile(service: WireService, operation: WireOperation) -> Check:
    if operation.model.input_shape is None:
        return lambda params, path, violations: None
    overlay = service.overlay
    checks = _Checks(overlay)
    return checks.of(operation.model.input_shape) or (lambda params, path, violations: None)


class _Checks:
    """Compiles the check of a shape; None where the model constrains nothing."""

    def __init__(self, overlay: Overlay) -> None:
        self._names_null = overlay.null_elements_named
        self._hides_values = overlay.hides_values
        self._own_sentences = overlay.own_sentences
        self._by_hand = overlay.checked_by_hand
        self._members_by_hand = overlay.members_checked_by_hand
        self._requires_by_hand = overlay.requires_by_hand
        self._only_bodies = bool(overlay.violation)
        self._by_name: dict[str, Check | None] = {}

    def of(self, shape: Shape) -> Check | None:
        if shape.name in self._by_name:
            return self._by_name[shape.name]
        name, table = shape.name, self._by_name

        def later(value: Any, path: str, violations: list[str]) -> None:
            if (check := table[name]) is not None:
                check(value, path, violations)

        table[name] = later
        table[name] = self._make(shape)
        return table[name]

    def _make(self, shape: Any) -> Check | None:
        if shape.serialization.get("streaming") or shape.serialization.get("eventstream"):
            return None
        own = self._own(shape)
        inner: Check | None = None
        if shape.type_name == "structure":
            inner = None if shape.is_document_type else self._structure(shape)
        elif shape.type_name == "list":
            inner = self._list(shape)
        elif shape.type_name == "map":
            inner = self._map(shape)
        if own is None or inner is None:
            return own or inner
        first, second = own, inner

        def both(value: Any, path: str, violations: list[str]) -> None:
            first(value, path, violations)
            second(value, path, violations)

        return both

    def _own(self, shape: Any) -> Check | None:
        """The constraints on the value itself."""
        constraints = _constraints(shape)
        if not constraints or shape.name in self._by_hand:
            return None
        hidden, alone, by_hand = self._is_hidden(shape), self._own_sentences, self._members_by_hand

        def check(value: Any, path: str, violations: list[str]) -> None:
            if path in by_hand:
                return
            for sentence, holds in constraints:
                if holds(value):
                    continue
                if path in alone and sentence.startswith(_PATTERN):
                    violations.append(_Alone(alone[path]))
                else:
                    violations.append(_violation(None if hidden else _printed(value, shape), path, sentence))

        return check

    def _is_hidden(self, shape: Any) -> bool:
        return self._hides_values or bool(shape.metadata.get("sensitive"))

    def _structure(self, shape: Any) -> Check | None:
        required = frozenset(() if self._requires_by_hand else shape.required_members)
        members = []
        for name, member in shape.members.items():
            if self._only_bodies and member.serialization.get("location"):
                continue
            own = self.of(member)
            if own is not None or name in required:
                members.append((name, name[:1].lower() + name[1:], own, name in required))
        if not members:
            return None

        def check(value: Any, path: str, violations: list[str]) -> None:
            for name, wire_name, inner, is_required in members:
                item = value.get(name)
                if item is None:
                    if is_required:
                        violations.append(_violation("null", path + wire_name, "Member must not be null"))
                elif inner is not None:
                    inner(item, path + wire_name, violations)

        return lambda value, path, violations: check(value, f"{path}." if path else "", violations)

    def _list(self, shape: Any) -> Check:
        element = shape.member
        if element.type_name in _NESTED:
            inner = self.of(element)

            def check_each(value: Any, path: str, violations: list[str]) -> None:
                for number, item in enumerate(value, 1):
                    if item is None:
                        violations.append(_violation("null", f"{path}.{number}.member", "Member must not be null"))
                    elif inner is not None:
                        inner(item, f"{path}.{number}.member", violations)

            return check_each
        holds, sentence = self._elements("Member must satisfy constraint", element)
        hidden = self._is_hidden(element)

        def check(value: Any, path: str, violations: list[str]) -> None:
            if not all(holds(item) for item in value):
                violations.append(_violation(None if hidden else _printed(value, shape), path, sentence))

        return check

    def _map(self, shape: Any) -> Check:
        keys_hold, keys_sentence = self._elements("Map keys must satisfy constraint", shape.key, names_null=False)
        check_values = self._map_values(shape)
        hidden = self._is_hidden(shape)

        def check(value: Any, path: str, violations: list[str]) -> None:
            if not all(keys_hold(key) for key in value):
                violations.append(_violation(None if hidden else _printed(value, shape), path, keys_sentence))
            check_values(value, path, violations)

        return check

    def _map_values(self, shape: Any) -> Check:
        element = shape.value
        if element.type_name in _NESTED:
            inner = self.of(element)

            def check_each(value: Any, path: str, violations: list[str]) -> None:
                for key, item in value.items():
                    if item is None:
                        violations.append(_violation("null", f"{path}.{key}.member", "Member must not be null"))
                    elif inner is not None:
                        inner(item, f"{path}.{key}.member", violations)

            return check_each
        holds, sentence = self._elements("Map value must satisfy constraint", element)
        hidden = self._is_hidden(shape) or self._is_hidden(element)

        def check(value: Any, path: str, violations: list[str]) -> None:
            if not all(holds(item) for item in value.values()):
                violations.append(_violation(None if hidden else _printed(value, shape), path, sentence))

        return check

    def _elements(
        self, opening: str, shape: Any, *, names_null: bool | None = None
    ) -> tuple[Callable[[Any], bool], str]:
        """Elements of simple types are judged together: one violation lists all constraints of the element."""
        constraints = [] if shape.name in self._by_hand else _constraints(shape, length_first=True)
        sentences = [sentence for sentence, _ in constraints]
        if (self._names_null if names_null is None else names_null) or not sentences:
            sentences.append("Member must not be null")
        tests = [holds for _, holds in constraints]

        def holds(value: Any) -> bool:
            return value is not None and all(test(value) for test in tests)

        return holds, f"{opening}: [{', '.join(sentences)}]"


def _constraints(shape: Any, *, length_first: bool = False) -> list[Constraint]:
    """A value's own violations name the pattern before the length, lists of constraints the other way round: so
    recorded (events test_create_connection_validations; lambda routing_config_exc_version_latest)."""
    metadata = shape.metadata
    bounds = _bounds(shape.type_name, metadata.get("min"), metadata.get("max"))
    texts: list[Constraint] = []
    if metadata.get("pattern") and shape.type_name == "string":
        texts += _pattern(metadata["pattern"], metadata.get("max"))
    if metadata.get("enum"):
        allowed = frozenset(metadata["enum"])
        listed = ", ".join(_in_hash_order(metadata["enum"]))
        texts.append((f"Member must satisfy enum value set: [{listed}]", lambda value: value in allowed))
    return bounds + texts if length_first else texts + bounds


def _in_hash_order(values: list[str]) -> list[str]:
    """The order in which AWS lists an enum: that of a Java hash table with 32 buckets, the newest first in each. It
    reproduces all 13 sets that were recorded (lambda startingPosition, apigateway GatewayResponseType, kms, events,
    states ...), which no other order does."""
    newest_first = list(enumerate(values))
    newest_first.sort(key=lambda numbered: (_java_hash(numbered[1]) % 32, -numbered[0]))
    return [value for _, value in newest_first]


def _java_hash(text: str) -> int:
    total = 0
    for char in text:
        total = (31 * total + ord(char)) & 0xFFFFFFFF
    return total


def _bounds(kind: str, least: Any, most: Any) -> list[Constraint]:
    measure: Callable[[Any], Any]
    if kind in _NUMBERS:
        noun, measure = "value", _itself
        if kind in ("float", "double"):
            least, most = (None if bound is None else float(bound) for bound in (least, most))
    elif kind in ("string", "blob", "list", "map"):
        noun, measure = "length", _length if kind == "string" else len
    else:
        return []
    constraints: list[Constraint] = []
    if most is not None:
        constraints.append(
            (f"Member must have {noun} less than or equal to {most}", lambda value: measure(value) <= most)
        )
    if least is not None:
        constraints.append(
            (f"Member must have {noun} greater than or equal to {least}", lambda value: measure(value) >= least)
        )
    return constraints


def _pattern(pattern: str, most: int | None) -> list[Constraint]:
    compiled = compile_java_pattern(pattern)
    if compiled is None:
        return []
    match = compiled.fullmatch
    limit = max(most or 0, _LONGEST_MATCHED)
    return [
        (
            f"{_PATTERN}: {pattern}",
            lambda value: len(value) > limit or match(value) is not None,
        )
    ]


def _itself(value: Any) -> Any:
    return value


def _length(text: str) -> int:
    """Java counts UTF-16 units."""
    return len(text) if text.isascii() else len(text) + sum(char > "\uffff" for char in text)


def _violation(printed: str | None, path: str, sentence: str) -> str:
    if printed is not None and len(printed) > _LONGEST_SHOWN:
        printed = f"{printed[:_LONGEST_SHOWN]}..."
    shown = "" if printed is None else f"{printed} " if printed == "null" else f"'{printed}' "
    return f"Value {shown}at '{path}' failed to satisfy constraint: {sentence}"


def _printed(value: Any, shape: Any) -> str:
    """A value as Java's toString shows it. What is inside a structure or a list is not quoted."""
    if value is None:
        return "null"
    kind = shape.type_name
    if shape.metadata.get("sensitive"):
        return "***Sensitive Data Redacted***"
    if kind == "structure":
        if shape.is_document_type:
            return str(value)
        members = ", ".join(
            f"{name[:1].lower()}{name[1:]}={_printed(value.get(name), member)}"
            for name, member in shape.members.items()
        )
        return f"{shape.name}({members})"
    if kind == "list":
        return f"[{', '.join(_printed(item, shape.member) for item in value)}]"
    if kind == "map":
        return f"{{{', '.join(f'{key}={_printed(item, shape.value)}' for key, item in value.items())}}}"
    return _printed_scalar(value, kind)


def _printed_scalar(value: Any, kind: str) -> str:
    if kind == "boolean":
        return "true" if value else "false"
    if kind == "blob":
        return f"java.nio.HeapByteBuffer[pos=0 lim={len(value)} cap={len(value)}]"
    if kind == "timestamp":
        return write_iso8601(value)
    return str(value)
