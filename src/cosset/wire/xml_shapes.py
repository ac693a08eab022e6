"""XML bodies: compiled readers and writers per shape, for rest-xml bodies and the answers of the query protocol.

Element and attribute names compare without their namespace, as AWS compares them. A document type declaration is
refused: nothing that AWS accepts has one, and entities are how XML attacks its reader.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from cosset.wire.errors import SerializationError
from cosset.wire.scalars import text_reader, text_writer
from cosset.wire.timestamps import ISO8601

if TYPE_CHECKING:
    from botocore.model import Shape

XmlReader = Callable[[Element], Any]
XmlWriter = Callable[[Any, list[str]], None]

MAX_DEPTH = 500
_UNWRITABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def load_xml(body: bytes) -> Element:
    """The root element, its namespaces dropped.

    Raises:
        SerializationError: not well-formed, has a DOCTYPE, or nested deeper than MAX_DEPTH.
    """
    builder = TreeBuilder()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    depth = 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > MAX_DEPTH:
            raise SerializationError("XML nested too deep")
        builder.start(_local(tag), {_local(name): value for name, value in attributes.items()})

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(_local(tag))

    def doctype(*_: Any) -> None:
        raise SerializationError("Document type declarations are not allowed")

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = doctype
    try:
        parser.Parse(body, True)
    except (expat.ExpatError, ValueError, LookupError):
        raise SerializationError from None
    return builder.close()


def _local(name: str) -> str:
    return name.rpartition(" ")[2]


def escape(text: str) -> str:
    """Text for an element or a double-quoted attribute. What XML 1.0 cannot carry at all becomes U+FFFD."""
    if _UNWRITABLE.search(text):
        text = _UNWRITABLE.sub("\ufffd", text)
    return (
        text.replace("&", "&amp;")
        .replace("<", "&lt;")
        .replace(">", "&gt;")
        .replace('"', "&quot;")
        .replace("\r", "&#xD;")
    )


def flat_name(shape: Any, name: str) -> str:
    """The element that repeats for a flattened list: the name of its member where it has one, else of the list."""
    if shape.type_name == "list" and (inner := shape.member.serialization.get("name")):
        return str(inner)
    return str(shape.serialization.get("name", name))


def root_name(shape: Any, member: str) -> str:
    """The root element of the payload that `member` holds: the name that the member was given, where it is another
    than its own, else that of the structure."""
    given = shape.serialization.get("name", member)
    own = shape._shape_resolver.get_shape_by_name(shape.name).serialization.get("name", shape.name)
    return str(own if given == member else given)


def _wire_name(shape: Shape, name: str) -> str:
    return str(shape.serialization.get("name", name))


class XmlReaders:
    """Compiles readers of elements; shapes that refer to themselves share one reader by name.

    As a schema would have it, elements that nobody knows are refused, and those that come twice and may not: what a
    caller says is never passed over in silence.
    """

    def __init__(self) -> None:
        self._by_name: dict[str, XmlReader] = {}

    def reader(self, shape: Shape) -> XmlReader:
        kind = shape.type_name
        if kind not in ("structure", "list", "map"):
            read = text_reader(shape)
            if kind in ("string", "char", "character"):
                return lambda element: element.text or ""
            return lambda element: read((element.text or "").strip())
        known = self._by_name.get(shape.name)
        if known is None:
            name, table = shape.name, self._by_name
            table[name] = lambda element: table[name](element)
            known = table[name] = getattr(self, f"_{kind}")(shape)
        return known

    def _structure(self, shape: Any) -> XmlReader:
        return self.members(shape.members)

    def members(self, members: Any) -> XmlReader:
        plain: dict[str, tuple[str, XmlReader]] = {}
        flat_lists: dict[str, tuple[str, XmlReader]] = {}
        flat_maps: dict[str, tuple[str, Callable[[Element], tuple[str, Any]]]] = {}
        attributes: list[tuple[str, str, Any]] = []
        for name, member in members.items():
            wire_name = _wire_name(member, name)
            flat = member.serialization.get("flattened")
            if member.serialization.get("xmlAttribute"):
                attributes.append((name, wire_name.rpartition(":")[2], text_reader(member)))
            elif flat and member.type_name == "list":
                # Clients disagree on which of the two names a flattened list repeats: both are read.
                entry = (name, self.reader(member.member))
                flat_lists[wire_name] = flat_lists[flat_name(member, name)] = entry
            elif flat and member.type_name == "map":
                flat_maps[wire_name] = (name, self._entry(member))
            else:
                plain[wire_name] = (name, self.reader(member))

        def read(element: Element) -> dict[str, Any]:
            result: dict[str, Any] = {}
            for name, wire_name, convert in attributes:
                if (text := element.get(wire_name)) is not None:
                    result[name] = convert(text)
            for child in element:
                if (found := plain.get(child.tag)) is not None:
                    if found[0] in result:
                        raise SerializationError(f"The element {child.tag} comes twice")
                    result[found[0]] = found[1](child)
                elif (found := flat_lists.get(child.tag)) is not None:
                    result.setdefault(found[0], []).append(found[1](child))
                elif (pair := flat_maps.get(child.tag)) is not None:
                    key, value = pair[1](child)
                    result.setdefault(pair[0], {})[key] = value
                else:
                    raise SerializationError(f"There is no element {child.tag} here")
            return result

        return read

    def _list(self, shape: Any) -> XmlReader:
        item, tag = self.reader(shape.member), _wire_name(shape.member, "member")

        def read(element: Element) -> list[Any]:
            if any(child.tag != tag for child in element):
                raise SerializationError(f"Elements of {element.tag} are called {tag}")
            return [item(child) for child in element]

        return read

    def _map(self, shape: Any) -> XmlReader:
        entry = self._entry(shape)
        return lambda element: dict(entry(child) for child in element)

    def _entry(self, shape: Any) -> Callable[[Element], tuple[str, Any]]:
        key_name, value_name = _wire_name(shape.key, "key"), _wire_name(shape.value, "value")
        read_value = self.reader(shape.value)

        def read(element: Element) -> tuple[str, Any]:
            key, value = element.find(key_name), element.find(value_name)
            if key is None or value is None:
                raise SerializationError("A map entry needs a key and a value")
            return key.text or "", read_value(value)

        return read


class XmlWriters:
    """Compiles writers that append pieces of text. A member that the shape does not have raises ValueError."""

    def __init__(self, timestamp_format: str = ISO8601) -> None:
        self._timestamp_format = timestamp_format
        self._by_name: dict[tuple[str, str], XmlWriter] = {}

    def element(self, shape: Shape, tag: str, namespace: str = "") -> XmlWriter:
        """A writer of `<tag>value</tag>`. `namespace` is ready-made xmlns text for the tag."""
        namespace = namespace or _declared_namespace(shape)
        kind = shape.type_name
        if kind not in ("structure", "list", "map"):
            return self._scalar(shape, tag, namespace)
        key = (shape.name, tag + namespace)
        known = self._by_name.get(key)
        if known is None:
            table = self._by_name
            table[key] = lambda value, out: table[key](value, out)
            known = table[key] = getattr(self, f"_{kind}")(shape, tag, namespace)
        return known

    def _scalar(self, shape: Shape, tag: str, namespace: str) -> XmlWriter:
        convert = text_writer(shape, self._timestamp_format)
        opening, closing = f"<{tag}{namespace}>", f"</{tag}>"
        return lambda value, out: out.append(f"{opening}{escape(convert(value))}{closing}")

    def _structure(self, shape: Any, tag: str, namespace: str) -> XmlWriter:
        content, attributes = self.members(shape, shape.members)
        opening, closing = f"<{tag}{namespace}", f"</{tag}>"

        def write(value: Any, out: list[str]) -> None:
            out.append(opening)
            attributes(value, out)
            out.append(">")
            content(value, out)
            out.append(closing)

        return write

    def members(self, shape: Any, members: Any) -> tuple[XmlWriter, XmlWriter]:
        """Writers of the child elements and of the attributes, for `members` of `shape`."""
        table: dict[str, XmlWriter] = {}
        marked: list[tuple[str, str, Callable[[Any], str]]] = []
        for name, member in members.items():
            if member.serialization.get("xmlAttribute"):
                marked.append((name, _wire_name(member, name), text_writer(member, self._timestamp_format)))
            else:
                table[name] = self._member(member, name)
        attribute_names = {name for name, _, _ in marked}

        def write(value: Any, out: list[str]) -> None:
            for name, item in value.items():
                if item is None or name in attribute_names:
                    continue
                writer = table.get(name)
                if writer is None:
                    raise ValueError(f"{shape.name} has no member {name}")
                writer(item, out)

        def write_attributes(value: Any, out: list[str]) -> None:
            for name, wire_name, convert in marked:
                if (item := value.get(name)) is not None:
                    out.append(f' {wire_name}="{escape(convert(item))}"')

        return write, write_attributes

    def _member(self, member: Any, name: str) -> XmlWriter:
        if not member.serialization.get("flattened"):
            return self.element(member, _wire_name(member, name))
        tag = flat_name(member, name)
        if member.type_name == "list":
            item = self.element(member.member, tag)
            return lambda value, out: _write_items(value, out, item, tag)
        return self._entries(member, tag, _declared_namespace(member))

    def _list(self, shape: Any, tag: str, namespace: str) -> XmlWriter:
        item_tag = _wire_name(shape.member, "member")
        item = self.element(shape.member, item_tag)

        def write(value: Any, out: list[str]) -> None:
            out.append(f"<{tag}{namespace}>")
            _write_items(value, out, item, item_tag)
            out.append(f"</{tag}>")

        return write

    def _map(self, shape: Any, tag: str, namespace: str) -> XmlWriter:
        entries = self._entries(shape, "entry")

        def write(value: Any, out: list[str]) -> None:
            out.append(f"<{tag}{namespace}>")
            entries(value, out)
            out.append(f"</{tag}>")

        return write

    def _entries(self, shape: Any, tag: str, namespace: str = "") -> XmlWriter:
        write_key = self.element(shape.key, _wire_name(shape.key, "key"))
        write_value = self.element(shape.value, _wire_name(shape.value, "value"))

        def write(value: Any, out: list[str]) -> None:
            for key, item in value.items():
                out.append(f"<{tag}{namespace}>")
                write_key(key, out)
                write_value(item, out)
                out.append(f"</{tag}>")

        return write


def _write_items(value: Any, out: list[str], item: XmlWriter, tag: str) -> None:
    for element in value:
        if element is None:
            out.append(f"<{tag}/>")
        else:
            item(element, out)


def _declared_namespace(shape: Shape) -> str:
    declared = shape.serialization.get("xmlNamespace")
    return namespace_text(declared) if declared else ""


def namespace_text(declared: Any) -> str:
    """The xmlns attribute for a model's xmlNamespace: a URI, or a mapping with `uri` and perhaps `prefix`."""
    if isinstance(declared, str):
        return f' xmlns="{escape(declared)}"'
    prefix = f":{declared['prefix']}" if declared.get("prefix") else ""
    return f' xmlns{prefix}="{escape(declared["uri"])}"'
