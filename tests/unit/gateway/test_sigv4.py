"""Signature Version 4 against botocore's own signers: what they sign holds, and any change to it does not."""

import dataclasses
import hashlib
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosset.gateway.canonical import normalize_path
from cosset.gateway.claims import read_claim
from cosset.gateway.payload import UNSIGNED, declared_payload
from cosset.gateway.refusals import Reason, RefusedError
from cosset.gateway.sigv4 import KEYS_CACHED, Verifier
from cosset.wire.message import Headers, Request
from support.clock import ManualClock
from support.front import ACCESS_KEY, SECRET_KEY
from support.signing import SIGNED_AT_MS, SIGNERS, sign

_MALFORMED = (
    *(Reason.INCOMPLETE, Reason.MISMATCH, Reason.EMPTY, Reason.OTHER_SCHEME, Reason.OLD_SCHEME),
    Reason.BROKEN_OLD_SCHEME,
)


def verify(request: Request, *, secret: str = SECRET_KEY, now_ms: int = SIGNED_AT_MS) -> None:
    """What the door does with a claim, without the door."""
    claim = read_claim(request)
    assert claim is not None
    verifier = Verifier(ManualClock(now_ms), 300)
    verifier.check_date(claim)
    s3 = claim.service == "s3"
    assert isinstance(request.body, bytes)
    digest = hashlib.sha256(request.body).hexdigest()
    declared = declared_payload(request, claim, s3=s3) or digest
    if declared not in (UNSIGNED, digest):
        raise RefusedError(Reason.PAYLOAD_MISMATCH)
    verifier.verify(request, claim, secret, declared, single_encoded=s3)


def refused(request: Request, **options: object) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        verify(request, **options)  # type: ignore[arg-type]
    return caught.value


_PCHAR = "abcXYZ019-_.~!$&'()*,;=:@"
_ENCODED = st.binary(min_size=1, max_size=3).map(lambda data: "".join(f"%{byte:02X}" for byte in data))
_SEGMENTS = st.lists(
    st.one_of(st.text(_PCHAR, max_size=8), _ENCODED, st.sampled_from(["", ".", "..", "arn:aws:lambda", "a%2Fb"])),
    max_size=5,
)
PATHS = _SEGMENTS.map(lambda segments: "/" + "/".join(segments))
_WORD = st.one_of(st.text("abcXYZ019-_.~", min_size=1, max_size=6), _ENCODED)
QUERIES = st.lists(
    st.one_of(st.tuples(_WORD, _WORD), st.tuples(_WORD, st.just(""))), max_size=4, unique_by=lambda pair: pair[0]
).map(lambda pairs: "&".join(f"{name}={value}" for name, value in pairs))
HEADERS = st.lists(
    st.tuples(
        st.sampled_from(["x-amz-meta-a", "X-Amz-Log-Type", "content-type", "accept", "x-custom"]),
        st.text(" \tabcXYZ019,;=\"'/-_.~+*", max_size=12),
    ),
    max_size=4,
)
METHODS = st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD", "PATCH"])
KINDS = st.sampled_from(sorted(SIGNERS))


@given(KINDS, METHODS, PATHS, QUERIES, HEADERS, st.binary(max_size=64), st.sampled_from([None, "the/token+=="]))
def test_whatever_botocore_signs_holds(
    kind: str,
    method: str,
    path: str,
    query: str,
    headers: list[tuple[str, str]],
    body: bytes,
    token: str | None,
) -> None:
    verify(sign(kind, method, path, query, headers, body, token=token))


def _with_header(request: Request, name: str, value: str) -> Request:
    kept = [(key, value if key == name else old) for key, old in request.headers]
    return dataclasses.replace(request, headers=Headers(kept))


@given(
    kind=KINDS,
    path=PATHS,
    query=QUERIES,
    body=st.binary(max_size=64),
    data=st.data(),
)
def test_any_single_change_fails(kind: str, path: str, query: str, body: bytes, data: st.DataObject) -> None:
    headers = [("x-amz-meta-a", "one"), ("content-type", "text/plain")]
    request = sign(kind, "POST", path, query, headers, body, token="token")
    what = data.draw(st.sampled_from(["method", "path", "query", "value", "host", "date", "extra", "name", "body"]))
    if what == "method":
        changed = dataclasses.replace(request, method=data.draw(st.sampled_from(["GET", "PUT", "post"])))
    elif what == "path":
        other = data.draw(PATHS)
        if kind.startswith("s3"):
            same = unquote_to_bytes(other) == unquote_to_bytes(request.path)
        else:
            same = normalize_path(other) == normalize_path(request.path)
        changed = request if same else dataclasses.replace(request, path=other)
        if same:
            return
    elif what == "query":
        changed = dataclasses.replace(request, query=f"{request.query}&{data.draw(_WORD)}=1".lstrip("&"))
    elif what == "value":
        changed = _with_header(request, "x-amz-meta-a", data.draw(st.sampled_from(["two", "On e", "", "one,one"])))
    elif what == "host":
        changed = _with_header(request, "host", "elsewhere:4566")
    elif what == "date":
        at = request.headers.get("x-amz-date")
        if at is None:
            changed = dataclasses.replace(request, query=request.query.replace("123015", "123016"))
        else:
            changed = _with_header(request, "x-amz-date", at.replace("123015Z", "123016Z"))
    elif what == "extra":
        changed = dataclasses.replace(request, headers=Headers([*request.headers, ("X-Amz-Invocation-Type", "Event")]))
    elif what == "name":
        changed = dataclasses.replace(
            request, headers=Headers([(key, value) for key, value in request.headers if key != "x-amz-meta-a"])
        )
    else:
        if kind == "s3 query":
            return  # a presigned S3 URL says nothing of the body
        changed = dataclasses.replace(request, body=body + b"!")
    refused(changed)


@given(KINDS, st.integers(0, 63), st.sampled_from("0123456789abcdef"))
def test_no_other_signature_holds(kind: str, at: int, digit: str) -> None:
    request = sign(kind, path="/a", query="b=c")
    claim = read_claim(request)
    assert claim is not None
    if claim.signature[at] == digit:
        return
    forged = claim.signature[:at] + digit + claim.signature[at + 1 :]
    authorization = request.headers.get("authorization")
    if authorization is None:
        changed = dataclasses.replace(request, query=request.query.replace(claim.signature, forged))
    else:
        changed = _with_header(request, "authorization", authorization.replace(claim.signature, forged))
    assert refused(changed).reason is Reason.MISMATCH


@pytest.mark.parametrize("kind", sorted(SIGNERS))
@pytest.mark.parametrize(("old", "new"), [("us-east-1", "us-east-2"), ("20260305/", "20260306/"), ("/s3/", "/sqs/")])
def test_another_scope_does_not_hold(kind: str, old: str, new: str) -> None:
    request = sign(kind, service="s3", headers=[("x-amz-content-sha256", UNSIGNED)])
    authorization = request.headers.get("authorization")
    if authorization is None:
        query = request.query.replace(old.replace("/", "%2F"), new.replace("/", "%2F"))
        assert query != request.query
        changed = dataclasses.replace(request, query=query)
    else:
        changed = _with_header(request, "authorization", authorization.replace(old, new))
    assert refused(changed).reason is Reason.MISMATCH


def test_another_secret_does_not_hold() -> None:
    assert refused(sign("header"), secret=SECRET_KEY[:-1]).reason is Reason.MISMATCH


@pytest.mark.parametrize(("sent", "signed"), [("a=+", "a=%2B"), ("a=+", "a=%20"), ("a=b+c", "a=b%20c")])
def test_a_plus_is_neither_a_space_nor_an_encoded_plus(sent: str, signed: str) -> None:
    request = sign("header", query=signed)
    refused(dataclasses.replace(request, query=sent))


def test_a_client_may_send_less_encoded_than_it_signs() -> None:
    """Some SDKs sign `Qualifier=%24LATEST` and send `Qualifier=$LATEST`: the same request."""
    request = sign("header", path="/x", query="Qualifier=%24LATEST")
    verify(dataclasses.replace(request, query="Qualifier=$LATEST"))
    s3 = sign("s3 header", path="/b/k%28%29")
    verify(dataclasses.replace(s3, path="/b/k()"))


def test_header_text_beyond_ascii_holds_as_sent_and_as_botocore_signs_it() -> None:
    request = sign("header", headers=[("x-amz-meta-a", "naïve  text")])
    verify(request)
    as_bytes = "naïve text".encode().decode("latin-1")
    signed = sign("header", headers=[("x-amz-meta-a", "x")])
    refused(_with_header(signed, "x-amz-meta-a", as_bytes))


def test_values_of_one_header_are_joined_in_order() -> None:
    request = sign("header", headers=[("x-amz-meta-a", " one"), ("x-amz-meta-a", "two  three ")])
    verify(request)
    turned = Headers(sorted(request.headers, key=lambda item: item[1], reverse=True))
    refused(dataclasses.replace(request, headers=turned))


@pytest.mark.parametrize("name", ["host", "x-amz-date", "x-amz-content-sha256", "x-amz-security-token"])
def test_headers_that_steer_come_once(name: str) -> None:
    request = sign("s3 header", token="token")
    value = request.headers.get(name)
    assert value is not None
    doubled = dataclasses.replace(request, headers=Headers([*request.headers, (name, value)]))
    assert refused(doubled).reason is Reason.INCOMPLETE


def test_two_authorizations_are_refused() -> None:
    request = sign("header")
    authorization = request.headers.get("authorization")
    assert authorization is not None
    twice = dataclasses.replace(request, headers=Headers([*request.headers, ("Authorization", authorization)]))
    assert refused(twice).reason is Reason.TWO_WAYS
    both = dataclasses.replace(request, query=sign("query").query)
    assert refused(both).reason is Reason.TWO_WAYS
    older = dataclasses.replace(request, query="AWSAccessKeyId=A&Expires=1&Signature=x")
    assert refused(older).reason is Reason.TWO_WAYS


def test_host_must_be_signed() -> None:
    request = sign("header")
    authorization = request.headers.get("authorization")
    assert authorization is not None
    changed = _with_header(request, "authorization", authorization.replace("host;", ""))
    assert "'Host'" in str(refused(changed))


@pytest.mark.parametrize(
    ("offset_s", "sentence"),
    [
        (
            301,
            "Signature expired: 20260305T123015Z is now earlier than 20260305T123016Z (20260305T123516Z - 5 min.)",
        ),
        (
            -301,
            "Signature not yet current: 20260305T123015Z is still later than 20260305T123014Z "
            "(20260305T122514Z + 5 min.)",
        ),
    ],
)
def test_a_skewed_clock_is_told_in_words_of_aws(offset_s: int, sentence: str) -> None:
    error = refused(sign("header"), now_ms=SIGNED_AT_MS + offset_s * 1000)
    assert error.reason is Reason.SKEWED
    assert str(error) == sentence


@pytest.mark.parametrize("offset_s", [300, -300, 0])
def test_within_the_skew_it_holds(offset_s: int) -> None:
    verify(sign("header"), now_ms=SIGNED_AT_MS + offset_s * 1000)


def test_a_presigned_url_lives_as_long_as_it_says() -> None:
    request = sign("s3 query", "GET", "/b/k", expires_s=3600)
    verify(request, now_ms=SIGNED_AT_MS + 3600_000)
    assert refused(request, now_ms=SIGNED_AT_MS + 3601_000).reason is Reason.PRESIGN_EXPIRED


@pytest.mark.parametrize(
    ("given_s", "sentence"),
    [
        ("604801", "X-Amz-Expires must be less than a week"),
        ("-1", "X-Amz-Expires must be non-negative"),
        ("soon", "X-Amz-Expires should be a number"),
        ("9" * 400, "X-Amz-Expires should be a number"),
    ],
)
def test_a_presigned_url_says_how_long_within_limits(given_s: str, sentence: str) -> None:
    request = sign("s3 query", "GET", "/b/k")
    error = refused(dataclasses.replace(request, query=request.query.replace("Expires=3600", f"Expires={given_s}")))
    assert error.reason is Reason.PRESIGN_MALFORMED
    assert str(error).startswith(sentence)


@pytest.mark.parametrize("name", ["Algorithm", "Credential", "Date", "SignedHeaders"])
def test_a_presigned_url_needs_all_its_parts(name: str) -> None:
    request = sign("s3 query", "GET", "/b/k")
    pairs = [pair for pair in request.query.split("&") if not pair.startswith(f"X-Amz-{name}=")]
    assert refused(dataclasses.replace(request, query="&".join(pairs))).reason is Reason.PRESIGN_MALFORMED
    doubled = f"{request.query}&{next(p for p in request.query.split('&') if p.startswith(f'X-Amz-{name}='))}"
    assert refused(dataclasses.replace(request, query=doubled)).reason is Reason.PRESIGN_MALFORMED


def _authorized(authorization: str, *headers: tuple[str, str]) -> Request:
    return Request("POST", "/", "", Headers([("host", "h"), ("authorization", authorization), *headers]))


def test_a_header_without_its_parts_is_told_each_of_them() -> None:
    """The sentence of AWS; the header itself only as its hash, since it may hold a secret."""
    error = refused(_authorized("AWS4-HMAC-SHA256 SignedHeaders=host"))
    assert str(error) == (
        "Authorization header requires 'Credential' parameter. Authorization header requires 'Signature' parameter. "
        "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. "
        "(Hashed with SHA-256 and encoded with Base64) Authorization=T6TlTF0tP7OEirEb+CC+gAdhBAW19reUS2EXKW3XV6M="
    )


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        " ",
        "Bearer token",
        "Basic dXNlcjpwYXNz",
        "AWS AKIA:signature",
        "AWS4-HMAC-SHA256",
        "AWS4-HMAC-SHA256 nothing",
        "AWS4-HMAC-SHA256 Credential=, SignedHeaders=, Signature=",
        "AWS4-HMAC-SHA256 Credential=a/b/c, SignedHeaders=host, Signature=0",
        "AWS4-HMAC-SHA256 Credential=a/b/c/d/e/f, SignedHeaders=host, Signature=0",
        "AWS4-HMAC-SHA256 Credential=a/b/c/d/aws4_request, SignedHeaders=host, SignedHeaders=host, Signature=0",
        "AWS4-ECDSA-P256-SHA256 Credential=a/b/c/d/aws4_request, SignedHeaders=host, Signature=0",
        "AWS4-HMAC-SHA256 Credential=a/b/c/d/e, SignedHeaders=host, Signature=0",
        "AWS4-HMAC-SHA256 Credential=a/20260305/../d/aws4_request, SignedHeaders=host, Signature=0",
        "AWS4-HMAC-SHA256 Credential=a/20260305/US<script>/d/aws4_request, SignedHeaders=host, Signature=" + "0" * 64,
        "=" * 1000,
        ",,,,",
        "\xff\xfe",
    ],
)
def test_malformed_authorizations_are_refused(authorization: str) -> None:
    reason = refused(_authorized(authorization, ("x-amz-date", "20260305T123015Z"))).reason
    assert reason in _MALFORMED


def _claiming(day: str) -> str:
    credential = f"{ACCESS_KEY}/{day}/us-east-1/lambda/aws4_request"
    return f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature=0"


@pytest.mark.parametrize("date", ["", "now", "2026-03-05T12:30:15Z", "20260305T123015", "٢٠٢٦٠٣٠٥T123015Z"])
def test_dates_of_another_form_are_refused(date: str) -> None:
    authorization = (
        f"AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/20260305/r/s/aws4_request, SignedHeaders=host, Signature=0"
    )
    assert refused(_authorized(authorization, ("x-amz-date", date))).reason is Reason.NO_DATE
    assert refused(_authorized(authorization, ("date", date))).reason is Reason.NO_DATE


@pytest.mark.parametrize("date", ["20269999T999999Z", "00000000T000000Z", "20260230T123015Z", "99999999T999999Z"])
def test_dates_that_are_none_are_refused(date: str) -> None:
    authorization = (
        f"AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/{date[:8]}/r/s/aws4_request, SignedHeaders=host, Signature=0"
    )
    refused(_authorized(authorization, ("x-amz-date", date)))


def test_a_date_header_serves_where_there_is_no_x_amz_date() -> None:
    request = sign("header", headers=[("Date", "Thu, 05 Mar 2026 12:30:15 GMT")])
    assert "x-amz-date" not in request.headers
    verify(request)


@given(st.text(max_size=200), st.text(max_size=200))
def test_garbage_is_refused_and_raises_nothing_else(authorization: str, query: str) -> None:
    request = _authorized(authorization, ("x-amz-date", "20260305T123015Z"))
    with pytest.raises(RefusedError):
        verify(request)
    presigned = Request("GET", "/", f"X-Amz-Signature={query}", Headers([("host", "h")]))
    with pytest.raises(RefusedError):
        verify(presigned)


def test_signing_keys_are_cached_within_a_bound() -> None:
    verifier = Verifier(ManualClock(SIGNED_AT_MS), 300)
    claim = read_claim(sign("header"))
    assert claim is not None
    first = verifier.signing_key("secret", claim)
    assert verifier.signing_key("secret", claim) is first
    for number in range(KEYS_CACHED + 10):
        verifier.signing_key(f"secret{number}", claim)
    assert len(verifier._keys) == KEYS_CACHED
    assert verifier.signing_key("secret", claim) == first
