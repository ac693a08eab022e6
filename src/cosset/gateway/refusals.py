"""Why the door stays shut, and how each family of AWS services says it: one table of code, status and sentence.

The same refusal has other names in other protocols: an unknown key is InvalidClientTokenId (query),
UnrecognizedClientException (JSON, REST-JSON) or InvalidAccessKeyId (S3); JSON services answer 400 where the others
answer 403. Sources: the Common Errors page of each service's API reference, the S3 error list, and answers that users
reported to the SDKs' issue trackers (aws-sdk-js 254, aws-sdk-go 2194: 400 from JSON; aws-sdk-js 4545, iamlive 58: 403
from REST-JSON).
Decides nothing; `claims.py` and `sigv4.py` do.
"""

from enum import Enum
from typing import Any, Self

from cosset.wire.errors import ServiceError


class Family(Enum):
    """Which words a service uses. REST-XML services other than S3 speak as query services do."""

    QUERY = "query"
    JSON = "json"
    REST_JSON = "rest-json"
    S3 = "s3"


class Reason(Enum):
    MISSING = "missing"
    INCOMPLETE = "incomplete"
    EMPTY = "empty"
    OTHER_SCHEME = "other scheme"
    OLD_SCHEME = "old scheme"
    BROKEN_OLD_SCHEME = "broken old scheme"
    TWO_WAYS = "two ways"
    NO_DATE = "no date"
    UNKNOWN_KEY = "unknown key"
    MISMATCH = "mismatch"
    SKEWED = "skewed"
    PRESIGN_EXPIRED = "presign expired"
    PRESIGN_MALFORMED = "presign malformed"
    PRESIGN_CREDENTIAL = "presign credential"
    TOKEN_EXPIRED = "token expired"
    TOKEN_INVALID = "token invalid"
    PAYLOAD_MISMATCH = "payload mismatch"
    HEADERS_NOT_SIGNED = "headers not signed"


class RefusedError(Exception):
    """The signature does not hold. `detail` is the sentence where AWS says more than the table's; `words_of_s3` the
    code and the sentence of S3, which reads a claim in another order and finds other words (`malformed`)."""

    def __init__(self, reason: Reason, detail: str | None = None, **fields: Any) -> None:
        super().__init__(detail or reason.value)
        self.reason = reason
        self.detail = detail
        self.fields = fields
        self.words_of_s3: tuple[str, str] | None = None

    def told_by_s3(self, words: tuple[str, str] | None) -> Self:
        self.words_of_s3 = words
        return self


def malformed(what: str, *, in_query: bool = False) -> tuple[str, str]:
    """How S3 refuses a claim whose pieces are not what they should be."""
    if in_query:
        return "AuthorizationQueryParametersError", f"Error parsing the X-Amz-Credential parameter; {what}"
    return "AuthorizationHeaderMalformed", f"The authorization header is malformed; {what}"


_MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
    "and signing method. Consult the service documentation for details."
)
_S3_MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your key and signing method."
)
_INVALID_TOKEN = "The security token included in the request is invalid."
_EXPIRED_TOKEN = "The security token included in the request is expired"
_UNSIGNED_HEADERS = "There were headers present in the request which were not signed"

# reason -> (code of query, its status, code of JSON and REST-JSON, default sentence). JSON answers 400, REST-JSON 403.
_WORDS: dict[Reason, tuple[str, int, str, str]] = {
    Reason.MISSING: (
        "MissingAuthenticationToken",
        403,
        "MissingAuthenticationTokenException",
        "Request is missing Authentication Token",
    ),
    Reason.INCOMPLETE: (
        "IncompleteSignature",
        400,
        "IncompleteSignatureException",
        "The request signature is incomplete",
    ),
    Reason.UNKNOWN_KEY: ("InvalidClientTokenId", 403, "UnrecognizedClientException", _INVALID_TOKEN),
    Reason.MISMATCH: ("SignatureDoesNotMatch", 403, "InvalidSignatureException", _MISMATCH),
    Reason.SKEWED: ("SignatureDoesNotMatch", 403, "InvalidSignatureException", _MISMATCH),
    Reason.PRESIGN_EXPIRED: ("SignatureDoesNotMatch", 403, "InvalidSignatureException", _MISMATCH),
    Reason.PRESIGN_MALFORMED: ("IncompleteSignature", 400, "IncompleteSignatureException", _MISMATCH),
    Reason.PRESIGN_CREDENTIAL: ("IncompleteSignature", 400, "IncompleteSignatureException", _MISMATCH),
    Reason.TOKEN_EXPIRED: ("ExpiredToken", 403, "ExpiredTokenException", _EXPIRED_TOKEN),
    Reason.TOKEN_INVALID: ("InvalidClientTokenId", 403, "UnrecognizedClientException", _INVALID_TOKEN),
    Reason.PAYLOAD_MISMATCH: ("SignatureDoesNotMatch", 403, "InvalidSignatureException", _MISMATCH),
    Reason.HEADERS_NOT_SIGNED: ("SignatureDoesNotMatch", 403, "InvalidSignatureException", _UNSIGNED_HEADERS),
}

# S3 alone tells these apart.
_WORDS |= dict.fromkeys(
    (
        *(Reason.EMPTY, Reason.OTHER_SCHEME, Reason.OLD_SCHEME, Reason.BROKEN_OLD_SCHEME, Reason.TWO_WAYS),
        Reason.NO_DATE,
    ),
    _WORDS[Reason.INCOMPLETE],
)

# What S3 says instead: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
_S3_WORDS: dict[Reason, tuple[str, int, str]] = {
    Reason.MISSING: ("AccessDenied", 403, "Access Denied"),
    Reason.INCOMPLETE: (
        "AuthorizationHeaderMalformed",
        400,
        "The authorization header that you provided is not valid.",
    ),
    Reason.EMPTY: ("AccessDenied", 403, "Access Denied"),
    Reason.OTHER_SCHEME: ("InvalidArgument", 400, "Unsupported Authorization Type"),
    Reason.OLD_SCHEME: (
        "InvalidRequest",
        400,
        "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.",
    ),
    Reason.BROKEN_OLD_SCHEME: (
        "InvalidArgument",
        400,
        "AWS authorization header is invalid.  Expected AwsAccessKeyId:signature",
    ),
    Reason.TWO_WAYS: (
        "InvalidArgument",
        400,
        "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter "
        "or the Authorization header should be specified",
    ),
    Reason.NO_DATE: ("AccessDenied", 403, "AWS authentication requires a valid Date or x-amz-date header"),
    Reason.UNKNOWN_KEY: (
        "InvalidAccessKeyId",
        403,
        "The AWS Access Key Id you provided does not exist in our records.",
    ),
    Reason.MISMATCH: ("SignatureDoesNotMatch", 403, _S3_MISMATCH),
    Reason.SKEWED: (
        "RequestTimeTooSkewed",
        403,
        "The difference between the request time and the current time is too large.",
    ),
    Reason.PRESIGN_EXPIRED: ("AccessDenied", 403, "Request has expired"),
    Reason.PRESIGN_MALFORMED: (
        "AuthorizationQueryParametersError",
        400,
        "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, "
        "X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.",
    ),
    Reason.PRESIGN_CREDENTIAL: (
        "AuthorizationQueryParametersError",
        400,
        "Error parsing the X-Amz-Credential parameter; the Credential is mal-formed; expecting "
        '"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".',
    ),
    Reason.TOKEN_EXPIRED: ("ExpiredToken", 400, "The provided token has expired."),
    Reason.TOKEN_INVALID: ("InvalidToken", 400, "The provided token is malformed or otherwise invalid."),
    Reason.PAYLOAD_MISMATCH: (
        "XAmzContentSHA256Mismatch",
        400,
        "The provided 'x-amz-content-sha256' header does not match what was computed.",
    ),
    Reason.HEADERS_NOT_SIGNED: ("AccessDenied", 403, _UNSIGNED_HEADERS),
}

# S3 keeps its own sentence for these whatever the detail: the detail names what only other services tell.
_S3_KEEPS_ITS_SENTENCE = frozenset(
    {
        *(Reason.SKEWED, Reason.PRESIGN_EXPIRED, Reason.PRESIGN_CREDENTIAL, Reason.MISSING, Reason.EMPTY),
        *(Reason.OTHER_SCHEME, Reason.OLD_SCHEME, Reason.BROKEN_OLD_SCHEME, Reason.TWO_WAYS, Reason.NO_DATE),
    }
)


def mismatch(access_key_id: str, to_sign: str, signature: str, canonical: bytes | None = None) -> RefusedError:
    """A signature that is not the right one, with what S3 tells of how it counted: recorded for forms and for URLs of
    the older kind; `canonical` is the canonical request, where there is one."""
    fields = {
        "AWSAccessKeyId": access_key_id,
        "StringToSign": to_sign,
        "SignatureProvided": signature,
        "StringToSignBytes": _bytes(to_sign.encode()),
    }
    if canonical is not None:
        fields |= {"CanonicalRequest": canonical.decode("utf-8", "replace"), "CanonicalRequestBytes": _bytes(canonical)}
    return RefusedError(Reason.MISMATCH, None, **fields)


def _bytes(text: bytes) -> str:
    return " ".join(f"{byte:02x}" for byte in text)


def answer_refusal(refusal: RefusedError, family: Family) -> ServiceError:
    """The refusal as this family of services answers it."""
    if family is Family.S3 and refusal.words_of_s3 is not None:
        return ServiceError(*refusal.words_of_s3, status=400, fields=refusal.fields)
    if family is Family.S3:
        code, status, sentence = _S3_WORDS[refusal.reason]
        if refusal.detail is not None and refusal.reason not in _S3_KEEPS_ITS_SENTENCE:
            sentence = refusal.detail
        return ServiceError(code, sentence, status=status, fields=refusal.fields)
    query_code, query_status, json_code, sentence = _WORDS[refusal.reason]
    if refusal.reason is Reason.MISSING and family is Family.REST_JSON:
        sentence = "Missing Authentication Token"
    sentence = refusal.detail or sentence
    if family is Family.QUERY:
        return ServiceError(query_code, sentence, status=query_status)
    return ServiceError(json_code, sentence, status=400 if family is Family.JSON else 403)
