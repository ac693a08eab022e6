"""Records of an answer, as CSV or as JSON."""

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from cosset.services.s3.select.inputs import invalid_parameter
from cosset.services.s3.select.records import Members
from cosset.services.s3.select.values import MISSING, is_absent, write_text, write_time
from cosset.wire.errors import ServiceError

Writer = Callable[[Members], str]


def open_output(given: Mapping[str, Any]) -> Writer:
    """By OutputSerialization. Raises ServiceError."""
    if given.get("CSV") is not None and given.get("JSON") is None:
        return _csv(given["CSV"])
    if given.get("JSON") is not None and given.get("CSV") is None:
        return _json(given["JSON"])
    raise ServiceError("InvalidDataSource", "Invalid data source type. Only CSV and JSON are supported at this time.")


def _csv(given: Mapping[str, Any]) -> Writer:
    field, record = given.get("FieldDelimiter", ","), given.get("RecordDelimiter", "\n")
    quote, escape = given.get("QuoteCharacter", '"'), given.get("QuoteEscapeCharacter", '"')
    always = given.get("QuoteFields") == "ALWAYS"
    if len(quote) != 1 or not field or not record:
        raise invalid_parameter("OutputSerialization")

    def shown(value: Any) -> str:
        if is_absent(value):
            return ""
        text = _dumped(value) if isinstance(value, dict | list) else write_text(value)
        needs = always or any(sign in text for sign in (field, record, quote, "\n", "\r"))
        return quote + text.replace(quote, escape + quote) + quote if needs else text

    return lambda members: field.join([shown(value) for _, value in members]) + record


def _json(given: Mapping[str, Any]) -> Writer:
    record = given.get("RecordDelimiter", "\n")
    return lambda members: _dumped({name: each for name, each in members if each is not MISSING}) + record


def _dumped(value: Any) -> str:
    return json.dumps(_plain(value), separators=(",", ":"), ensure_ascii=False)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items() if each is not MISSING}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return write_time(value) if isinstance(value, datetime) else value
