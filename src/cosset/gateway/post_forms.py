"""Files that browsers post to a bucket with a form: who signed its policy puts the object, as the policy says.

A form without a policy is nobody's: what the bucket lets nobody do stays shut. Nothing of the file is kept before the
policy holds. Source: https://docs.aws.amazon.com/AmazonS3/latest/API/RESTObjectPOST.html
"""

import hmac
import re
from asyncio import Event
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from urllib.parse import quote, unquote, urlencode

from cosset.clock import Clock
from cosset.gateway.bucket_hosts import bucket_of
from cosset.gateway.bucket_ways import Calls, Visitor
from cosset.gateway.claims import ALGORITHM, claim_of_form
from cosset.gateway.form_parts import FormParts
from cosset.gateway.keys import find_known_key
from cosset.gateway.post_policies import SizeRange, check_policy
from cosset.gateway.refusals import mismatch
from cosset.gateway.sigv2 import OldClaim
from cosset.gateway.sigv4 import Verifier
from cosset.identity.ports import KeyDirectory
from cosset.services.operation import Result
from cosset.services.s3.errors import access_denied
from cosset.services.s3.places import POSTED
from cosset.wire.errors import SerializationError, ServiceError
from cosset.wire.message import Headers, Request, Response
from cosset.wire.xml_shapes import escape, load_xml

_AS_HEADERS = (
    "cache-control",
    "content-type",
    "content-disposition",
    "content-encoding",
    "expires",
    "content-language",
)
_OF_SIGNATURES = frozenset(
    {"x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature", "x-amz-security-token"}
)
_SIGNED = ("X-Amz-Signature", "X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date")
_SIGNED_BEFORE = ("AWSAccessKeyId", "signature")


class PostForms:
    def __init__(self, calls: Calls, keys: KeyDirectory, verifier: Verifier, clock: Clock) -> None:
        self._calls = calls
        self._keys = keys
        self._verifier = verifier
        self._clock = clock

    async def answer(self, request: Request, request_id: str, gone: Event) -> Response:
        """`request` in path style. Raises: ServiceError, RefusedError."""
        bucket = unquote(bucket_of(request))
        parts = FormParts(request.headers.get("content-type") or "", request.body)
        fields = await parts.fields()
        if fields is None:
            sentence = "POST requires exactly one file upload per request."
            raise ServiceError("InvalidArgument", sentence, fields={"ArgumentName": "file", "ArgumentValue": "0"})
        if not fields.get("key"):
            raise _missing_field("key")
        fields["key"] = fields["key"].replace("${filename}", parts.file_name)
        visitor, sizes = Visitor(), SizeRange()
        if "policy" in fields:
            visitor = await self._signer(fields)
            sizes = check_policy(fields["policy"], {**fields, "bucket": bucket}, self._clock.now_ms())
        as_put = replace(request, method="PUT", query="", headers=_headers(fields), body=b"")
        params = self._calls.read_bucket_params("PutObject", as_put, {"Bucket": bucket, "Key": fields["key"]})
        params |= {"Body": _sized(parts.file(), sizes), POSTED: True}
        called = replace(request, body=b"")
        result = await self._calls.run_for_bucket(called, request_id, gone, visitor, "PutObject", params)
        return _answer(request, bucket, fields, result, request_id)

    async def _signer(self, fields: Mapping[str, str]) -> Visitor:
        """Raises: RefusedError, ServiceError. A policy that nobody signed lets nobody in."""
        if not any(fields.get(name.lower()) for name in _SIGNED):
            if not any(fields.get(name.lower()) for name in _SIGNED_BEFORE):
                raise access_denied()
            return await self._old_signer(fields)
        _need_fields(fields, _SIGNED)
        claim = claim_of_form(fields)
        key = await find_known_key(self._keys, claim, self._clock.now_ms())
        signing_key = self._verifier.signing_key(key.credentials.secret_access_key, claim)
        expected = hmac.digest(signing_key, fields["policy"].encode(), "sha256").hex()
        if fields.get("x-amz-algorithm") != ALGORITHM or not _is_same(expected, claim.signature):
            raise mismatch(claim.access_key_id, fields["policy"], claim.signature)
        return Visitor(key.principal, claim)

    async def _old_signer(self, fields: Mapping[str, str]) -> Visitor:
        """Signature Version 2."""
        _need_fields(fields, _SIGNED_BEFORE)
        access_key_id, signature = fields["awsaccesskeyid"], fields["signature"]
        claim = OldClaim(access_key_id, signature, 0, fields.get("x-amz-security-token"))
        key = await find_known_key(self._keys, claim, self._clock.now_ms())
        digest = hmac.digest(key.credentials.secret_access_key.encode(), fields["policy"].encode(), "sha1")
        if not _is_same(b64encode(digest).decode(), signature):
            raise mismatch(access_key_id, fields["policy"], signature)
        return Visitor(key.principal)


def _need_fields(fields: Mapping[str, str], names: Sequence[str]) -> None:
    """Raises: ServiceError InvalidArgument."""
    for name in names:
        if not fields.get(name.lower()):
            raise _missing_field(name)


def _missing_field(name: str) -> ServiceError:
    sentence = (
        f"Bucket POST must contain a field named '{name}'.  If it is specified, please check the order of the fields."
    )
    return ServiceError("InvalidArgument", sentence, fields={"ArgumentName": name, "ArgumentValue": ""})


def _headers(fields: Mapping[str, str]) -> Headers:
    """The fields that a PUT would have as headers."""
    found = []
    for name, value in fields.items():
        if name in _AS_HEADERS or (name.startswith("x-amz-") and name not in _OF_SIGNATURES):
            found.append((name, re.sub(r"[\r\n\x00]+", " ", value)))
        elif name == "acl":
            found.append(("x-amz-acl", value))
        elif name == "tagging":
            found.append(("x-amz-tagging", _tags(value)))
    return Headers([(name, value.encode().decode("latin-1")) for name, value in found])


def _tags(document: str) -> str:
    """As the header has them. Raises: ServiceError MalformedXML."""
    try:
        root = load_xml(document.encode())
    except SerializationError:
        sentence = "The XML you provided was not well-formed or did not validate against our published schema"
        raise ServiceError("MalformedXML", sentence) from None
    return urlencode([(tag.findtext("Key") or "", tag.findtext("Value") or "") for tag in root.iter("Tag")])


async def _sized(chunks: AsyncIterator[bytes], sizes: SizeRange) -> AsyncIterator[bytes]:
    """Raises: ServiceError EntityTooLarge, EntityTooSmall, at the end, which is when the size is known."""
    size = 0
    async for chunk in chunks:
        size += len(chunk)
        if size <= sizes.most:
            yield chunk
    if size > sizes.most:
        sentence = "Your proposed upload exceeds the maximum allowed size"
        fields = {"ProposedSize": str(size), "MaxSizeAllowed": str(sizes.most)}
        raise ServiceError("EntityTooLarge", sentence, fields=fields)
    if size < sizes.least:
        sentence = "Your proposed upload is smaller than the minimum allowed size"
        fields = {"ProposedSize": str(size), "MinSizeAllowed": str(sizes.least)}
        raise ServiceError("EntityTooSmall", sentence, fields=fields)


def _answer(request: Request, bucket: str, fields: Mapping[str, str], result: Result, request_id: str) -> Response:
    etag, key = str(result["ETag"]), fields["key"]
    location = f"{request.scheme}://{request.host}/{bucket}/{quote(key, safe='')}"
    headers = [("x-amz-request-id", request_id), ("ETag", etag)]
    if result.get("VersionId"):
        headers.append(("x-amz-version-id", str(result["VersionId"])))
    target = fields.get("success_action_redirect") or fields.get("redirect")
    if target and target.startswith(("http://", "https://")) and target.isprintable():
        told = urlencode({"bucket": bucket, "key": key, "etag": etag}, quote_via=quote)
        return Response(303, [*headers, ("Location", f"{target}{'&' if '?' in target else '?'}{told}")])
    headers.append(("Location", location))
    status = fields.get("success_action_status")
    if status != "201":
        return Response(200 if status == "200" else 204, headers)
    named = {"Location": location, "Bucket": bucket, "Key": key, "ETag": etag}
    text = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in named.items())
    document = f'<?xml version="1.0" encoding="UTF-8"?>\n<PostResponse>{text}</PostResponse>'
    return Response(201, [*headers, ("Content-Type", "application/xml")], document.encode())


def _is_same(expected: str, given: str) -> bool:
    return hmac.compare_digest(expected.encode(), given.encode("utf-8", "replace"))
