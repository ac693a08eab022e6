"""What the rest protocols carry outside the body: headers, prefix headers, labels, query strings, the status.

Next: protocols/rest.py, which puts these and a body together.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Container, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

from cosset.wire import scalars
from cosset.wire.errors import SerializationError
from cosset.wire.message import Headers
from cosset.wire.timestamps import RFC822

if TYPE_CHECKING:
    from botocore.model import Shape

_QUOTED_OR_PLAIN = re.compile(r'\s*(?:"((?:[^"\\]|\\.)*)"|([^,]*))\s*(?:,|$)')
_BREAKS = re.compile(r"[\r\n]+")
_PRINTABLE = re.compile(r"[\t\x20-\x7e]*")
_QUOTED = tuple(
    "_" if byte == 0x20 else chr(byte) if 0x20 < byte < 0x7F and byte not in b"=_?" else f"={byte:02X}"
    for byte in range(256)
)


@lru_cache(maxsize=8)
def read_query(query: str) -> Mapping[str, list[str]]:
    """The query string by name, decoded; a name without `=` has the empty value. Several ask it of each request."""
    found: dict[str, list[str]] = {}
    for part in query.split("&"):
        if part:
            name, _, value = part.partition("=")
            found.setdefault(unquote_plus(name), []).append(unquote_plus(value))
    return found


def without_names(query: str, names: Container[str]) -> str:
    """The query string without some of its parameters."""
    return "&".join(part for part in query.split("&") if unquote_plus(part.partition("=")[0]) not in names)


class InputBindings:
    """Reads the members of an input shape that are bound to headers, labels and the query string."""

    def __init__(self, shape: Any) -> None:
        self._headers: list[tuple[str, str, Callable[[str], Any]]] = []
        self._header_lists: list[tuple[str, str, Callable[[str], Any]]] = []
        self._prefixes: list[tuple[str, str]] = []
        self._labels: list[tuple[str, str, scalars.TextReader]] = []
        self._query: list[tuple[str, str, Callable[[list[str]], Any]]] = []
        self._query_maps: list[tuple[str, Callable[[list[str]], Any]]] = []
        self.body_members: dict[str, Shape] = {}
        payload = shape.serialization.get("payload")
        for name, member in shape.members.items():
            bind = getattr(self, f"_bind_{member.serialization.get('location', 'body')}", None)
            if bind is not None:
                bind(name, member.serialization.get("name", name), member)
            elif name != payload:
                self.body_members[name] = member
        self.has_query = bool(self._query or self._query_maps)

    def _bind_header(self, name: str, wire_name: str, member: Any) -> None:
        wire_name = wire_name.lower()
        if member.type_name == "list":
            self._header_lists.append((name, wire_name, _header_list_reader(member.member)))
        else:
            self._headers.append((name, wire_name, header_reader(member)))

    def _bind_headers(self, name: str, wire_name: str, member: Any) -> None:
        prefix = member.serialization.get("name", "")
        self._prefixes.append((name, prefix.lower()))

    def _bind_uri(self, name: str, wire_name: str, member: Any) -> None:
        self._labels.append((name, wire_name, scalars.text_reader(member)))

    def _bind_querystring(self, name: str, wire_name: str, member: Any) -> None:
        if member.type_name == "map":
            inner = member.value
            read = _many_reader(inner.member) if inner.type_name == "list" else _one_reader(inner)
            self._query_maps.append((name, read))
        elif member.type_name == "list":
            self._query.append((name, wire_name, _many_reader(member.member)))
        else:
            self._query.append((name, wire_name, _one_reader(member)))

    def unreadable(self, headers: Headers, query: str) -> dict[str, str]:
        """The headers and parameters of the query that cannot be read, by their names on the wire."""
        first, asked = headers.first_values(), read_query(query)
        named = [(wire_name, read, first.get(wire_name)) for _, wire_name, read in self._headers]
        listed = [(wire_name, read, asked.get(wire_name)) for _, wire_name, read in self._query]
        found = {name: text for name, read, text in named if text is not None and not _is_readable(read, text)}
        return found | {
            name: values[0] for name, read_all, values in listed if values and not _is_readable(read_all, values)
        }

    def read(self, params: dict[str, Any], headers: Headers, labels: Mapping[str, str], query: str) -> None:
        """Adds to `params` what the request carries outside its body. Raises SerializationError."""
        for name, wire_name, read in self._labels:
            params[name] = read(labels[wire_name])
        first = headers.first_values()
        for name, wire_name, read in self._headers:
            text = first.get(wire_name)
            if text is not None:
                params[name] = read(text)
        for name, wire_name, read in self._header_lists:
            if wire_name in first:
                params[name] = read(", ".join(headers.get_all(wire_name)))
        for name, prefix in self._prefixes:
            found = {key[len(prefix) :]: value for key, value in first.items() if key.startswith(prefix)}
            if found:
                params[name] = found
        if query and self.has_query:
            self._read_query(params, read_query(query))

    def _read_query(self, params: dict[str, Any], query: Mapping[str, list[str]]) -> None:
        for name, wire_name, read in self._query:
            values = query.get(wire_name)
            if values is not None:
                params[name] = read(values)
        for name, read in self._query_maps:
            params[name] = {key: read(values) for key, values in query.items()}


def _is_readable(read: Callable[[Any], Any], given: Any) -> bool:
    try:
        read(given)
    except SerializationError:
        return False
    return True


class OutputBindings:
    """Writes the members of an output shape that are bound to headers and the status."""

    def __init__(self, shape: Any) -> None:
        self._headers: dict[str, tuple[str, Callable[[Any], str]]] = {}
        self._prefixes: dict[str, str] = {}
        self._status: str | None = None
        self._content_type: str | None = None
        self.body_members: dict[str, Shape] = {}
        payload = shape.serialization.get("payload")
        for name, member in shape.members.items():
            location = member.serialization.get("location")
            wire_name = member.serialization.get("name", name)
            if location == "header":
                self._headers[name] = (wire_name, header_writer(member))
                if wire_name.lower() == "content-type":
                    self._content_type = name
            elif location == "headers":
                self._prefixes[name] = member.serialization.get("name", "")
            elif location == "statusCode":
                self._status = name
            elif name != payload:
                self.body_members[name] = member

    def write(self, result: Mapping[str, Any], headers: list[tuple[str, str]]) -> int | None:
        """Appends to `headers`; returns the status where a member holds it."""
        for name, (wire_name, write) in self._headers.items():
            value = result.get(name)
            if value is not None:
                headers.append((wire_name, safe_header(write(value))))
        for name, prefix in self._prefixes.items():
            for key, value in (result.get(name) or {}).items():
                headers.append((safe_header(prefix + key), safe_header(str(value))))
        return result.get(self._status) if self._status else None

    def wrote_content_type(self, result: Mapping[str, Any]) -> bool:
        return self._content_type is not None and result.get(self._content_type) is not None

    def holds(self, name: str) -> bool:
        return name in self._headers or name in self._prefixes or name == self._status


def safe_header(value: str) -> str:
    """A value that cannot break out of its header; what is not printable ASCII is encoded as RFC 2047 says, as S3 does
    (recorded: test_user_metadata_rfc2047_encoded): most of it ASCII, readably, else in base64."""
    value = _BREAKS.sub(" ", value)
    if _PRINTABLE.fullmatch(value):
        return value
    plain = sum(1 for character in value if _PRINTABLE.fullmatch(character))
    raw = value.encode("utf-8", "surrogateescape")
    if plain * 2 <= len(value):
        return f"=?UTF-8?B?{base64.b64encode(raw).decode()}?="
    return f"=?UTF-8?Q?{''.join(_QUOTED[byte] for byte in raw)}?="


def header_reader(member: Shape) -> Callable[[str], Any]:
    if member.serialization.get("jsonvalue"):
        return scalars.read_json_header
    return scalars.text_reader(member)


def header_writer(member: Any) -> Callable[[Any], str]:
    if member.serialization.get("jsonvalue"):
        return scalars.write_json_header
    if member.type_name == "list":
        write = scalars.text_writer(member.member, RFC822)
        quote = member.member.type_name == "string"
        return lambda value: ", ".join(_quoted(write(item)) if quote else write(item) for item in value)
    return scalars.text_writer(member, RFC822)


def _quoted(text: str) -> str:
    if '"' not in text and "," not in text:
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _header_list_reader(member: Shape) -> Callable[[str], Any]:
    read = scalars.text_reader(member)
    dates = member.type_name == "timestamp" and member.serialization.get("timestampFormat", RFC822) == RFC822

    def read_list(text: str) -> list[Any]:
        if not text.strip():
            return []
        if dates:
            # An HTTP date has a comma of its own.
            parts = text.split(",")
            return [read(",".join(parts[start : start + 2]).strip()) for start in range(0, len(parts), 2)]
        return [read(item) for item in _split_list(text)]

    return read_list


def _split_list(text: str) -> list[str]:
    items, position = [], 0
    while position < len(text):
        match = _QUOTED_OR_PLAIN.match(text, position)
        if match is None:
            raise SerializationError("A header that holds a list cannot be read")
        quoted, plain = match.groups()
        items.append(re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else plain.strip())
        position = match.end()
    return items


def _one_reader(shape: Shape) -> Callable[[list[str]], Any]:
    read = scalars.text_reader(shape)
    return lambda values: read(values[0])


def _many_reader(shape: Shape) -> Callable[[list[str]], Any]:
    read = scalars.text_reader(shape)
    return lambda values: [read(value) for value in values]
