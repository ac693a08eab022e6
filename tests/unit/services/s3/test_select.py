"""Statements over lines of CSV and values of JSON: what they find, what is refused, and what they cannot be made to do.

Sources: the SQL reference of S3 Select in the user guide of S3, and its list of error codes.
"""

import bz2
import gzip
import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosset.services.s3.select.inputs import LONGEST_RECORD, expander
from cosset.services.s3.select.query import Query
from cosset.wire.errors import OperationNotImplementedError, ServiceError

PEOPLE = b'name,age,city\nAnn,30,"New York, NY"\nBob,25,Paris\nCid,,Rome\n"Dee ""D""",41.5,Oslo\n'
THINGS = b'{"name":"Ann","age":30,"tags":["a","b"],"at":{"x":1.5}}\n{"name":"Bob","age":null}\n{"NAME":"Cid"}'
HEADED = {"CSV": {"FileHeaderInfo": "USE"}}
AS_LINES = {"JSON": {"Type": "LINES"}}
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def found(
    statement: str, data: bytes = PEOPLE, source: Mapping[str, Any] = HEADED, target: Mapping[str, Any] | None = None
) -> str:
    query = Query(statement, source, target or {"CSV": {}}, NOW)
    return (query.feed(data) + query.finish()).decode()


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("SELECT * FROM S3Object LIMIT 1", 'Ann,30,"New York, NY"\n'),
        ("select s.* from s3object as s limit 1;", 'Ann,30,"New York, NY"\n'),
        ("SELECT s.name, s._2 FROM S3Object s WHERE s.age > 26", 'Ann,30\n"Dee ""D""",41.5\n'),
        ("SELECT _1, _1 FROM S3Object LIMIT 2", "Ann,Ann\nBob,Bob\n"),
        ('SELECT UPPER("name") FROM S3Object WHERE NAME IN (\'Bob\', \'Cid\')', "BOB\nCID\n"),
        ("SELECT name FROM S3Object WHERE city LIKE '%o%' AND NOT name LIKE '_nn'", 'Cid\n"Dee ""D"""\n'),
        ("SELECT name FROM S3Object WHERE city LIKE 'New!_York%' ESCAPE '!'", ""),
        ("SELECT name FROM S3Object WHERE age BETWEEN 20 AND 30 OR city = 'Rome'", "Ann\nBob\nCid\n"),
        ("SELECT COUNT(*), SUM(CAST(age AS FLOAT)) FROM S3Object WHERE age <> ''", "3,96.5\n"),
        ("SELECT MAX(CAST(age AS DECIMAL)) - MIN(CAST(age AS DECIMAL)) FROM S3Object WHERE age != ''", "16.5\n"),
        ("SELECT AVG(CAST(age AS INT)) FROM S3Object WHERE age = 'none'", "\n"),
        ("SELECT COALESCE(NULLIF(age, ''), '-') FROM S3Object", "30\n25\n-\n41.5\n"),
        ("SELECT CASE WHEN _2 > 26 THEN 'old' WHEN _2 > 1 THEN 'young' END FROM S3Object", "old\nyoung\n\nold\n"),
        ("SELECT CASE city WHEN 'Paris' THEN 1 ELSE 0 END FROM S3Object LIMIT 2", "0\n1\n"),
        ("SELECT 5/2, 5.0/2, -7 % 3, 2+3*4, (2+3)*4, 1e2 FROM S3Object LIMIT 1", "2,2.5,-1,14,20,100\n"),
        ("SELECT SUBSTRING(name FROM 2 FOR 1), SUBSTRING(name, 0, 2), name || '!' FROM S3Object LIMIT 1", "n,A,Ann!\n"),
        ("SELECT TRIM('  x '), TRIM(LEADING 'A' FROM name), CHAR_LENGTH(name) FROM S3Object LIMIT 1", "x,nn,3\n"),
        ("SELECT name FROM S3Object WHERE NULL IS NULL AND _9 IS MISSING LIMIT 1", "Ann\n"),
        ("SELECT CAST('true' AS BOOL), CAST(7.9 AS INT), CAST(1 AS STRING) FROM S3Object LIMIT 1", "true,7,1\n"),
        ("SELECT EXTRACT(YEAR FROM `2007-02T`), DATE_DIFF(month, `2007-01-31T`, `2007-03-01T`) FROM S3Object LIMIT 1",
         "2007,1\n"),
        ("SELECT DATE_ADD(month, 1, TO_TIMESTAMP('2007-01-31T')) FROM S3Object LIMIT 1", "2007-02-28T00:00:00Z\n"),
        ("SELECT TO_STRING(`2007-04-05T14:30:00+02:00`, 'MMMM d y hh:mm a x') FROM S3Object LIMIT 1",
         "April 5 2007 02:30 PM +02\n"),
        ("SELECT UTCNOW() FROM S3Object LIMIT 1", "2026-01-02T03:04:05Z\n"),
        ("SELECT name FROM S3Object LIMIT 0", ""),
    ],
)  # fmt: skip
def test_what_is_found_in_csv(statement: str, expected: str) -> None:
    assert found(statement) == expected


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("SELECT s.at.x, s.tags[1] AS second FROM S3Object s", ['{"x":1.5,"second":"b"}', "{}", "{}"]),
        ("SELECT s.name FROM S3Object[*] s", ['{"name":"Ann"}', '{"name":"Bob"}', '{"name":"Cid"}']),
        ('SELECT s."name" FROM S3Object[*] s', ['{"name":"Ann"}', '{"name":"Bob"}', "{}"]),
        ("SELECT s.age FROM S3Object s WHERE s.age IS NULL", ['{"age":null}', "{}"]),
        ("SELECT COUNT(s.age) AS ages FROM S3Object s", ['{"ages":1}']),
        ("SELECT * FROM S3Object[*].tags[*]", ['{"_1":"a"}', '{"_1":"b"}']),
    ],
)
def test_what_is_found_in_json(statement: str, expected: list[str]) -> None:
    assert found(statement, THINGS, AS_LINES, {"JSON": {}}).splitlines() == expected


def test_documents_and_forms_of_lines() -> None:
    document = json.dumps({"items": [{"id": 1}, {"id": 2}]}).encode()
    statement = "SELECT s.id FROM S3Object[*].items[*] s WHERE s.id > 1"
    assert found(statement, document, {"JSON": {"Type": "DOCUMENT"}}) == "2\n"
    odd = {"CSV": {"FieldDelimiter": "|", "RecordDelimiter": ";", "QuoteCharacter": "'", "Comments": "#"}}
    assert found("SELECT _2 FROM S3Object", b"#no;a|b;'c|d'|e;", odd) == "b\ne\n"
    within = {"CSV": {"AllowQuotedRecordDelimiter": True}}
    assert found("SELECT _1 FROM S3Object", b'"a\nb",1\nc,2\n', within) == '"a\nb"\nc\n'
    quoted = {"CSV": {"QuoteFields": "ALWAYS", "FieldDelimiter": ";", "RecordDelimiter": "\r\n"}}
    assert found("SELECT name, age FROM S3Object LIMIT 1", target=quoted) == '"Ann";"30"\r\n'
    assert found("SELECT * FROM S3Object", b"a\nb\r\n", {"CSV": {"FileHeaderInfo": "IGNORE"}}) == "b\n"


@given(cuts=st.lists(st.integers(min_value=0, max_value=len(PEOPLE)), max_size=6))
def test_in_pieces_it_is_the_same(cuts: list[int]) -> None:
    query = Query("SELECT * FROM S3Object", HEADED, {"CSV": {}}, NOW)
    ends = [0, *sorted(cuts), len(PEOPLE)]
    fed = b"".join(query.feed(PEOPLE[start:end]) for start, end in pairwise(ends))
    assert (fed + query.finish()).decode() == found("SELECT * FROM S3Object")


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("SELECT", "ParseSelectMissingFrom"),
        ("DROP TABLE x", "ParseUnexpectedToken"),
        ("SELECT * FROM people", "ParseUnexpectedToken"),
        ("SELECT a FROM S3Object WHERE", "ParseUnexpectedToken"),
        ("SELECT a FROM S3Object LIMIT x", "ParseUnexpectedToken"),
        ("SELECT 'a FROM S3Object", "LexerInvalidChar"),
        ("SELECT nothing(1) FROM S3Object", "UnsupportedFunction"),
        ("SELECT a FROM S3Object GROUP BY a", "UnsupportedSyntax"),
        ("SELECT a FROM S3Object WHERE COUNT(*) > 1", "UnsupportedSyntax"),
        ("SELECT SUM(SUM(a)) FROM S3Object", "UnsupportedSyntax"),
        ("SELECT LOWER(1, 2) FROM S3Object", "EvaluatorInvalidArguments"),
        ("SELECT LOWER(1) FROM S3Object", "EvaluatorInvalidArguments"),
        ("SELECT 1/0 FROM S3Object", "EvaluatorInvalidArguments"),
        ("SELECT nobody FROM S3Object", "MissingHeaders"),
        ("SELECT CAST(city AS INT) FROM S3Object", "CastFailed"),
        ("SELECT CAST('1e999999' AS DECIMAL) FROM S3Object", "CastFailed"),
        ("SELECT city + 1 FROM S3Object", "InvalidDataType"),
        (f"SELECT {'(' * 200}1{')' * 200} FROM S3Object", "UnsupportedSyntax"),
        (f"SELECT {'+'.join(['1'] * 5_000)} FROM S3Object", "UnsupportedSyntax"),
        (f"SELECT {'*'.join(['9' * 300] * 60)} FROM S3Object", "EvaluatorInvalidArguments"),
        (f"SELECT {'*'.join(['1e900'] * 9)} FROM S3Object", "EvaluatorInvalidArguments"),
        ("SELECT 1 FROM S3Object --" + " " * 300_000, "ExpressionTooLong"),
    ],
)
def test_statements_that_are_refused(statement: str, code: str) -> None:
    with pytest.raises(ServiceError) as caught:
        found(statement)
    assert caught.value.code == code


def test_patterns_cannot_take_forever() -> None:
    line = b"a" * 5_000 + b"\n"
    assert found(f"SELECT 1 FROM S3Object WHERE _1 LIKE '{'%a' * 50}%b'", line, {"CSV": {}}) == ""


@pytest.mark.parametrize(
    ("source", "data", "code"),
    [
        ({"CSV": {}}, b"x" * (LONGEST_RECORD + 1), "OverMaxRecordSize"),
        ({"CSV": {"AllowQuotedRecordDelimiter": True}}, b'"' + b"x\n" * LONGEST_RECORD, "OverMaxRecordSize"),
        ({"CSV": {}}, b"\xff\xfe\n", "InvalidTextEncoding"),
        (AS_LINES, b"{", "JSONParsingError"),
        (AS_LINES, b"[" * 100_000, "JSONParsingError"),
        ({"JSON": {"Type": "PAGES"}}, b"", "InvalidJsonType"),
        ({}, b"", "InvalidDataSource"),
        ({"CSV": {"FieldDelimiter": ""}}, b"", "InvalidRequestParameter"),
    ],
)
def test_what_cannot_be_read(source: Mapping[str, Any], data: bytes, code: str) -> None:
    with pytest.raises(ServiceError) as caught:
        found("SELECT * FROM S3Object", data, source)
    assert caught.value.code == code


def test_parquet_is_refused_by_name() -> None:
    with pytest.raises(OperationNotImplementedError):
        found("SELECT * FROM S3Object", source={"Parquet": {}})


@pytest.mark.parametrize(("kind", "pack"), [("GZIP", gzip.compress), ("BZIP2", bz2.compress)])
def test_what_is_compressed_comes_in_pieces_of_a_bounded_size(kind: str, pack: Any) -> None:
    bomb, expand = pack(bytes(8_000_000)) + pack(b"end"), expander(kind)
    pieces = [piece for start in range(0, len(bomb), 1_000) for piece in expand(bomb[start : start + 1_000])]
    assert b"".join(pieces) == bytes(8_000_000) + b"end"
    assert max(len(piece) for piece in pieces) <= 256 * 1024
    with pytest.raises(ServiceError):
        list(expander(kind)(b"not this"))


_WORDS = st.sampled_from(
    [
        *("SELECT", "FROM", "S3Object", "WHERE", "LIMIT", "s", "name", "_1", "*", ",", ".", "(", ")", "[", "]", "1"),
        *("NOT", "AND", "OR", "IS", "NULL", "MISSING", "IN", "LIKE", "BETWEEN", "CASE", "WHEN", "THEN", "ELSE", "END"),
        *("CAST", "AS", "INT", "TIMESTAMP", "COUNT", "SUM", "TRIM", "SUBSTRING", "EXTRACT", "YEAR", "DATE_ADD", "'a'"),
        *("+", "-", "/", "%", "||", "=", "<", "`2007T`", '"x"', "0.5", "UTCNOW", "TO_STRING", "COALESCE"),
        *("ESCAPE", "DATE_DIFF"),
    ]
)  # fmt: skip


@given(words=st.lists(_WORDS, max_size=25))
def test_any_words_are_read_or_refused(words: list[str]) -> None:
    for statement in (" ".join(words), f"SELECT {' '.join(words)} FROM S3Object s"):
        with suppress(ServiceError):
            found(statement)
            found(statement, THINGS, AS_LINES, {"JSON": {}})


@given(data=st.binary(max_size=300), quoted=st.booleans())
def test_any_bytes_are_read_or_refused(data: bytes, quoted: bool) -> None:
    for source in ({"CSV": {"AllowQuotedRecordDelimiter": quoted}}, AS_LINES, {"JSON": {"Type": "DOCUMENT"}}):
        with suppress(ServiceError):
            found("SELECT * FROM S3Object s", data, source, {"JSON": {}})
