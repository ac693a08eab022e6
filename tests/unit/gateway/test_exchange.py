"""An answer in one piece: the quick way for plain headers writes what the careful way does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from cosset.gateway.exchange import encode_headers, encode_whole
from cosset.wire.message import Response

NAMES = st.text("ABCabcxyz-", min_size=1, max_size=12) | st.sampled_from(["Content-Length", "content-length", "X-A"])
VALUES = st.text(st.characters(codec="latin-1"), max_size=12) | st.text(max_size=8) | st.just("é 7")


@given(
    st.sampled_from([200, 204, 304, 404]),
    st.lists(st.tuples(NAMES, VALUES), max_size=4),
    st.binary(max_size=8),
    st.sampled_from([b"GET", b"HEAD"]),
    st.booleans(),
)
def test_every_answer_is_what_its_encoded_headers_make(status, headers, body, method, keep_alive):
    response = Response(status, headers, body)
    lines = [(b"date", b"now"), *encode_headers(response), *([] if keep_alive else [(b"connection", b"close")])]
    expected = STATUS_LINE[status] + b"".join(name + b": " + value + b"\r\n" for name, value in lines) + b"\r\n"
    expected += b"" if method == b"HEAD" else body
    assert encode_whole(response, method, [(b"date", b"now")], keep_alive=keep_alive) == expected


@pytest.mark.parametrize("value", ["a\r\nSet-Cookie: b", "a\nb", "\r", "a\0b"])
def test_no_value_ends_its_header(value):
    written = encode_whole(Response(200, [("X-A", value)], b""), b"GET", [], keep_alive=True)
    assert written.count(b"\r\n") == 4  # status, two headers, the end
    assert b"\n" not in written.replace(b"\r\n", b"")
