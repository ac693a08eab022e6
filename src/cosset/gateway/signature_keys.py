"""What the conditions of S3's policies may ask of a request's signature.

Source: "Amazon S3 authentication-specific policy keys" in the API reference.
"""

from calendar import timegm
from collections.abc import Mapping
from time import strptime

from cosset.gateway.claims import ALGORITHM, Claim
from cosset.gateway.payload import UNSIGNED
from cosset.services.s3.places import REQUEST_PAYER
from cosset.wire.message import Request

_OLD = {"s3:signatureversion": "AWS", "s3:authtype": "REST-QUERY-STRING"}


def signature_keys(request: Request, claim: Claim | None, now_ms: int) -> Mapping[str, str]:
    """`claim` has been verified; None where the request is signed in the older way (its query says so)."""
    payer = request.headers.get("x-amz-request-payer")
    paid = {} if payer is None else {REQUEST_PAYER: payer}
    if claim is None:
        declared = request.headers.get("x-amz-content-sha256") or UNSIGNED
        return {**_OLD, "s3:x-amz-content-sha256": declared, **paid}
    keys = {
        **paid,
        "s3:signatureversion": ALGORITHM,
        "s3:authtype": "REST-QUERY-STRING" if claim.presigned else "REST-HEADER",
        "s3:x-amz-content-sha256": request.headers.get("x-amz-content-sha256") or UNSIGNED,
    }
    if claim.presigned:
        signed_ms = timegm(strptime(claim.timestamp, "%Y%m%dT%H%M%SZ")) * 1000
        keys["s3:signatureage"] = str(max(0, now_ms - signed_ms))
    return keys
