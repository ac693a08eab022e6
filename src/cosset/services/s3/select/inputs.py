"""Bytes become records as they come: lines of CSV, lines of JSON, whole documents of JSON; compressed ones first
become plain. Bounded: a record is no longer than 1 MB, a document no longer than 16.
"""

import bz2
import csv
import json
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Protocol

from cosset.services.s3.select.errors import no_text, too_long
from cosset.services.s3.select.records import Headers, Line, Record, Step, below
from cosset.wire.errors import OperationNotImplementedError, ServiceError

LONGEST_RECORD = 1024 * 1024
LONGEST_DOCUMENT = 16 * 1024 * 1024
_PIECE = 256 * 1024


class Input(Protocol):
    def feed(self, data: bytes) -> Iterator[Record]: ...

    def finish(self) -> Iterator[Record]: ...


class Lines:
    """Whole lines of what comes. With `quote` one may have delimiters between quotes."""

    def __init__(self, delimiter: bytes, quote: bytes | None = None) -> None:
        self._delimiter = delimiter
        self._quote = quote
        self._rest = b""
        self._open: list[bytes] = []
        """Of a line whose quotes are not closed: what there is of it, and how long that is."""
        self._size = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Raises ServiceError OverMaxRecordSize."""
        found = (self._rest + data).split(self._delimiter)
        self._rest = found.pop()
        for line in found:
            yield from self._whole(line)
        if len(self._rest) > LONGEST_RECORD:
            raise too_long()

    def finish(self) -> Iterator[bytes]:
        rest, self._rest = self._rest, b""
        if rest:
            yield from self._whole(rest)
        if self._open:
            yield self._delimiter.join(self._open)

    def _whole(self, line: bytes) -> Iterator[bytes]:
        self._size += len(line) + len(self._delimiter)
        if self._size > LONGEST_RECORD:
            raise too_long()
        if self._quote is not None:
            closes = line.count(self._quote) % 2 == 1
            if closes != bool(self._open):
                self._open.append(line)
                return
            line = self._delimiter.join([*self._open, line])
            self._open.clear()
        self._size = 0
        yield line


class CsvInput:
    def __init__(self, given: Mapping[str, Any]) -> None:
        """Raises ServiceError InvalidRequestParameter."""
        quote = given.get("QuoteCharacter", '"')
        escape = given.get("QuoteEscapeCharacter", '"')
        for name, text in (("QuoteCharacter", quote), ("FieldDelimiter", given.get("FieldDelimiter", ","))):
            if len(text) != 1:
                raise invalid_parameter(name)
        delimiter = str(given.get("RecordDelimiter") or "\n").encode()
        self._trims = delimiter == b"\n"
        self._lines = Lines(delimiter, quote.encode() if given.get("AllowQuotedRecordDelimiter") else None)
        self._comment = given.get("Comments") or None
        self._form: dict[str, Any] = {
            "delimiter": given.get("FieldDelimiter", ","),
            "quotechar": quote,
            "doublequote": escape == quote or not escape,
            "escapechar": None if escape == quote or not escape else escape[0],
        }
        self._heads = given.get("FileHeaderInfo", "NONE")
        self._headers: Headers | None = Headers() if self._heads == "NONE" else None

    def feed(self, data: bytes) -> Iterator[Record]:
        return self._records(self._lines.feed(data))

    def finish(self) -> Iterator[Record]:
        return self._records(self._lines.finish())

    def _records(self, lines: Iterator[bytes]) -> Iterator[Record]:
        for raw in lines:
            text = _text(raw.removesuffix(b"\r") if self._trims else raw)
            if not text or (self._comment is not None and text.startswith(self._comment)):
                continue
            fields = self._fields(text)
            if self._headers is not None:
                yield Line(fields, self._headers)
            else:
                self._headers = Headers(tuple(fields) if self._heads == "USE" else None)

    def _fields(self, text: str) -> Sequence[str]:
        if self._form["quotechar"] not in text and self._form["escapechar"] is None:
            return text.split(self._form["delimiter"])
        try:
            # As one line: what stands between quotes may be a line's end.
            return next(csv.reader(iter([text]), **self._form))
        except (csv.Error, StopIteration):
            raise ServiceError("CSVParsingError", "Encountered an error parsing the CSV file.") from None


class JsonLines:
    def __init__(self, path: Sequence[Step | None]) -> None:
        self._lines = Lines(b"\n")
        self._path = path

    def feed(self, data: bytes) -> Iterator[Record]:
        return self._records(self._lines.feed(data))

    def finish(self) -> Iterator[Record]:
        return self._records(self._lines.finish())

    def _records(self, lines: Iterator[bytes]) -> Iterator[Record]:
        for line in lines:
            for value in _values(_text(line)):
                yield from below(value, self._path)


class JsonDocument:
    """Known when it is there as a whole."""

    def __init__(self, path: Sequence[Step | None]) -> None:
        self._found = bytearray()
        self._path = path

    def feed(self, data: bytes) -> Iterator[Record]:
        self._found += data
        if len(self._found) > LONGEST_DOCUMENT:
            raise too_long()
        return iter(())

    def finish(self) -> Iterator[Record]:
        for value in _values(_text(bytes(self._found))):
            yield from below(value, self._path)


def _values(text: str) -> Iterator[Any]:
    """One behind the other. Raises ServiceError JSONParsingError."""
    decoder, at = json.JSONDecoder(parse_float=Decimal), 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        try:
            value, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            raise ServiceError("JSONParsingError", "Encountered an error parsing the JSON file.") from None
        yield value


def _text(raw: bytes) -> str:
    """Raises ServiceError InvalidTextEncoding."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise no_text() from None


def open_input(given: Mapping[str, Any], path: Sequence[Step | None]) -> Input:
    """By InputSerialization. Raises ServiceError."""
    kinds = [name for name in ("CSV", "JSON", "Parquet") if given.get(name) is not None]
    if len(kinds) != 1:
        raise ServiceError(
            "InvalidDataSource", "Invalid data source type. Only CSV, JSON, and Parquet are supported at this time."
        )
    if kinds == ["Parquet"]:
        raise OperationNotImplementedError("s3", "SelectObjectContent of Parquet")
    if kinds == ["CSV"]:
        return CsvInput(given["CSV"])
    kind = given["JSON"].get("Type")
    if kind not in ("DOCUMENT", "LINES"):
        raise ServiceError("InvalidJsonType", "The JsonType is not valid. Only DOCUMENT and LINES are supported.")
    return JsonDocument(path) if kind == "DOCUMENT" else JsonLines(path)


def expander(kind: str) -> Callable[[bytes], Iterator[bytes]]:
    """What makes compressed bytes plain, in pieces, and may raise ServiceError InvalidCompressionFormat."""
    if kind == "GZIP":
        return _Expander(lambda: zlib.decompressobj(31)).pieces
    if kind == "BZIP2":
        return _Expander(bz2.BZ2Decompressor).pieces
    return lambda data: (data[start : start + _PIECE] for start in range(0, len(data), _PIECE))


class _Expander:
    """Of several streams behind each other, too."""

    def __init__(self, begin: Callable[[], Any]) -> None:
        self._begin = begin
        self._under_way = begin()

    def pieces(self, data: bytes) -> Iterator[bytes]:
        try:
            while data or self._waits():
                if self._under_way.eof:
                    data = data or self._under_way.unused_data
                    if not data.strip(b"\0"):
                        return
                    self._under_way = self._begin()
                piece = self._under_way.decompress(data, _PIECE)
                data = self._left()
                if piece:
                    yield piece
                elif not data:
                    return
        except (zlib.error, OSError, EOFError):
            sentence = "GZIP is not applicable to the queried object. Correct the request and try again."
            raise ServiceError("InvalidCompressionFormat", sentence) from None

    def _waits(self) -> bool:
        return not self._under_way.eof and not getattr(self._under_way, "needs_input", True)

    def _left(self) -> bytes:
        if self._under_way.eof:
            return bytes(self._under_way.unused_data)
        return bytes(getattr(self._under_way, "unconsumed_tail", b""))


def invalid_parameter(name: str) -> ServiceError:
    sentence = f"The value of a parameter in the SelectRequest element is not valid: {name}."
    return ServiceError("InvalidRequestParameter", sentence)
