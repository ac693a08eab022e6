"""Filter patterns, from the examples of "Filter pattern syntax" in the CloudWatch Logs user guide and around them."""

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosset.observe.pattern import compile_pattern, compile_reader
from cosset.observe.pattern_errors import InvalidPatternError, UnsupportedPatternError

LINES = [
    "[ERROR 400] BAD REQUEST",
    "[ERROR 401] UNAUTHORIZED REQUEST",
    "[ERROR 419] MISSING ARGUMENTS",
    "[WARN 420] slow",
    "[INFO] error in lower case",
]


def matching(pattern: str) -> list[int]:
    matcher = compile_pattern(pattern)
    return [number for number, line in enumerate(LINES) if matcher(line)]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("", [0, 1, 2, 3, 4]),
        (" ", [0, 1, 2, 3, 4]),
        ("ERROR", [0, 1, 2]),
        ("error", [4]),
        ("ERROR ARGUMENTS", [2]),
        ('"BAD REQUEST"', [0]),
        ("?BAD ?MISSING", [0, 2]),
        ("ERROR -REQUEST", [2]),
        ('ERROR -"UNAUTHORIZED REQUEST"', [0, 2]),
        ("-ERROR", [3, 4]),
        ("?ERROR ?WARN slow", [3]),
        ('?"BAD REQUEST" ?slow', [0, 3]),
        ("ERROR WARN", []),
    ],
)
def test_terms(pattern: str, expected: list[int]) -> None:
    assert matching(pattern) == expected


def test_quotes_keep_what_is_special() -> None:
    assert compile_pattern('"-x"')("a -x b")
    assert compile_pattern(r'"say \"hi\""')('they say "hi" there')
    assert not compile_pattern('"a  b"')("a b")


JSON_LINE = (
    '{"level": "error", "status": 404, "latency": 12.5, "ok": false, "none": null, "user": {"name": "Ada Lovelace", '
    '"id.with.dots": "x"}, "items": [{"sku": "a1"}, {"sku": "b2"}], "text": "404"}'
)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ('{ $.level = "error" }', True),
        ("{ $.level = error }", True),
        ('{$.level="warn"}', False),
        ('{ $.level != "warn" }', True),
        ('{ $.missing != "warn" }', False),
        ("{ $.status = 404 }", True),
        ("{ $.status = 4* }", True),
        ("{ $.status = 5* }", False),
        ("{ $.status != 500 }", True),
        ("{ $.status >= 404 && $.status < 500 }", True),
        ("{ $.status > 404 }", False),
        ("{ $.latency > 12 }", True),
        ("{ $.latency <= 1.25e1 }", True),
        ("{ $.text > 1 }", False),
        ("{ $.text = 404 }", True),
        ('{ $.user.name = "Ada*" }', True),
        ('{ $.user.name = "*Love*" }', True),
        ('{ $.user["id.with.dots"] = "x" }', True),
        ('{ $.items[1].sku = "b2" }', True),
        ('{ $.items[7].sku = "b2" }', False),
        ("{ $.ok IS FALSE }", True),
        ("{ $.ok IS TRUE }", False),
        ("{ $.none IS NULL }", True),
        ("{ $.missing IS NULL }", False),
        ("{ $.missing NOT EXISTS }", True),
        ("{ $.user NOT EXISTS }", False),
        ("{ $.user EXISTS }", True),
        ('{ ($.status = 1 || $.level = "error") && $.ok IS FALSE }', True),
        ('{ $.status = 1 || $.level = "error" && $.ok IS TRUE }', False),
    ],
)
def test_json_patterns(pattern: str, expected: bool) -> None:
    assert compile_pattern(pattern)(JSON_LINE) is expected


def test_json_patterns_pass_over_what_is_not_json() -> None:
    matcher = compile_pattern("{ $.a NOT EXISTS }")
    assert not matcher("plain")
    assert not matcher("{ broken")
    assert not matcher("[" * 100_000)
    assert matcher("{}")


@pytest.mark.parametrize(
    "pattern",
    [
        '"unclosed',
        "{ $.a = }",
        "{ $.a }",
        "{ }",
        "{ $.a = 1",
        "{ $.a = 1 && }",
        "{ $.a > x }",
        "{ ($.a = 1 }",
        "{ $.a = 1) }",
        "{ $.a IS MAYBE }",
        "{ $.a NOT }",
        "{ a = 1 }",
        "{ " + "(" * 1000 + " }",
        "{ $.a = 1 & $.b = 2 }",
    ],
)
def test_what_is_no_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(InvalidPatternError):
        compile_pattern(pattern)


@pytest.mark.parametrize("pattern", ["[ip, user = %x%]", "%ERROR|WARN%", "{ $.a = %x% }"])
def test_what_is_not_there_yet_says_so(pattern: str) -> None:
    with pytest.raises(UnsupportedPatternError):
        compile_pattern(pattern)


TOKENS = st.sampled_from(
    [
        *("{", "}", "(", ")", "$", "$.a", "$.a[0]", "=", "!=", ">", "&&", "||", "1", '"x"'),
        *("IS", "NOT", "EXISTS", "NULL", "%", "é"),
    ]
)


TERMS = st.lists(TOKENS, max_size=12).map(" ".join)


@given(TERMS | TERMS.map(lambda text: "{ " + text + " }"))
@settings(max_examples=300, deadline=None)
def test_any_pattern_is_read_or_refused(pattern: str) -> None:
    with suppress(InvalidPatternError, UnsupportedPatternError):
        matcher = compile_pattern(pattern)
        for message in ("", "plain", JSON_LINE, '{"a": [1, {"b": null}]}', "[]", "{"):
            matcher(message)


LINE = '127.0.0.1 - frank [10/Oct/2000:13:25:15 -0700] "GET /index.html HTTP/1.0" 404 1534'


@pytest.mark.parametrize(
    ("pattern", "is_matched"),
    [
        ("[ip, id, user, timestamp, request, status, bytes]", True),
        ("[ip, id, user, timestamp, request, status]", False),
        ("[ip, id, user, timestamp, request, status, bytes, more]", False),
        ("[...]", True),
        ("[..., status = 4*, bytes]", True),
        ("[..., status = 5*, bytes]", False),
        ("[ip = 127.*, ...]", True),
        ("[..., request = *.html*, status, bytes > 1000]", True),
        ("[..., bytes >= 1534]", True),
        ("[..., bytes < 1534]", False),
        ("[..., request < 3, status, bytes]", False),
        ("[..., status = 404 || status = 410, bytes]", True),
        ("[..., (status != 404 && status != 410), bytes]", False),
        ('[..., user = "frank", timestamp, request, status, bytes]', True),
        ("[,,,,,,]", True),
    ],
)
def test_fields_between_spaces(pattern: str, is_matched: bool) -> None:
    assert compile_pattern(pattern)(LINE) is is_matched


def test_fields_are_read_by_name_and_by_place() -> None:
    fields = compile_reader("[ip, ..., request, status, ]")(LINE)
    assert fields == {
        "$ip": "127.0.0.1",
        "$2": "-",
        "$3": "frank",
        "$4": "10/Oct/2000:13:25:15 -0700",
        "$request": "GET /index.html HTTP/1.0",
        "$status": "404",
        "$7": "1534",
    }


@pytest.mark.parametrize(
    "pattern", ["[a", "[a=]", "[a = b c]", "[..., ...]", "[a=1 && b=2]", "[(a=1]", "[a > x]", "[a)]"]
)
def test_fields_that_are_not_understood(pattern: str) -> None:
    with pytest.raises(InvalidPatternError):
        compile_pattern(pattern)


@pytest.mark.parametrize("message", ["[ " * 100_000, '" ' * 99_999, '"[ ' * 60_000])
def test_a_message_of_openings_is_read_in_a_moment(message: str) -> None:
    """Each opening was once looked for its end through all of the rest."""
    assert compile_pattern("[..., x]")(message)
