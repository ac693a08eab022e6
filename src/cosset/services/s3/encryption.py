"""Server-side encryption: what a call asks for, what is kept of it with an object, and how it is shown.

SSE-S3 and SSE-KMS are names here: files are as safe as the disk that they lie on, since whoever reads them could read
the key beside them too. SSE-C really encrypts (customer_keys.py). Decision 0028.
"""

import base64
import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cosset.services.operation import Context
from cosset.services.s3.customer_keys import CustomerKey, read_key
from cosset.services.s3.errors import access_denied, invalid_argument
from cosset.wire.errors import ServiceError

_KMS = ("aws:kms", "aws:kms:dsse")
_ARN = re.compile(r"arn:[^:]+:kms:([^:]+):(\d{12}):(key|alias)/.+")
_KEY_ID = re.compile(r"(mrk-[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})")
_NO_METHOD = (
    "Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms"
)
_CONTEXT_FORM = (
    "The header 'x-amz-server-side-encryption-context' shall be Base64-encoded UTF-8 string holding JSON which "
    "represents a string-string map"
)
_TWO_KINDS = "Server Side Encryption with Customer provided key is incompatible with the encryption method specified"
_CONTEXT = "SSEKMSEncryptionContext"
_MANAGED = uuid.UUID("6a5cd7ef-2f63-4d7b-9d1c-0b3f6f3f7a11")


@dataclass(frozen=True, slots=True)
class Encryption:
    """What an object is to be kept with: `kept` goes with its facts, `key` is the customer's own."""

    kept: Mapping[str, Any]
    key: CustomerKey | None = None

    @property
    def secret(self) -> bytes | None:
        return None if self.key is None else self.key.secret

    @property
    def hides_md5(self) -> bool:
        """The ETag is not the MD5 of what was uploaded, then."""
        return self.key is not None or self.kept.get("ServerSideEncryption") in _KMS


def read_encryption(ctx: Context, params: Mapping[str, Any], default: Mapping[str, Any] | None) -> Encryption:
    """`default` is the bucket's rule (GetBucketEncryption's). Raises: ServiceError."""
    wanted = params.get("ServerSideEncryption")
    key = read_key(params)
    if key is not None:
        if wanted is not None:
            raise _invalid(_TWO_KINDS, None)
        if "SSE-C" in ((default or {}).get("BlockedEncryptionTypes") or {}).get("EncryptionType", ()):
            raise access_denied()
        return Encryption({"customer": key.kept()}, key)
    key_id, bucket_key = params.get("SSEKMSKeyId"), params.get("BucketKeyEnabled")
    if wanted is None and key_id is not None:
        raise _invalid(_NO_METHOD, None)
    if wanted is None and default:
        applied = default.get("ApplyServerSideEncryptionByDefault") or {}
        wanted, key_id = applied.get("SSEAlgorithm"), applied.get("KMSMasterKeyID")
        bucket_key = bucket_key if bucket_key is not None else default.get("BucketKeyEnabled")
    elif wanted in _KMS and key_id is None and default:
        applied = default.get("ApplyServerSideEncryptionByDefault") or {}
        key_id = applied.get("KMSMasterKeyID")
    if wanted in (None, "AES256"):
        if key_id is not None:
            raise _invalid(_NO_METHOD, wanted)
        return Encryption({})
    if wanted not in _KMS:
        raise _invalid("The encryption method specified is not supported", wanted)
    _check_context(params.get("SSEKMSEncryptionContext"))
    kept: dict[str, Any] = {"ServerSideEncryption": wanted, "SSEKMSKeyId": _key_arn(ctx, key_id)}
    if params.get("SSEKMSEncryptionContext") is not None:
        kept[_CONTEXT] = params["SSEKMSEncryptionContext"]
    return Encryption({**kept, "BucketKeyEnabled": True} if bucket_key else kept)


def _check_context(header: str | None) -> None:
    """Raises: ServiceError InvalidArgument."""
    if header is None:
        return
    try:
        context = json.loads(base64.b64decode(header, validate=True))
    except ValueError:
        context = None
    if not isinstance(context, dict) or not all(isinstance(value, str) for value in context.values()):
        raise invalid_argument(_CONTEXT_FORM, "x-amz-server-side-encryption-context", header)


def shown_encryption(facts: Mapping[str, Any], *, to_writer: bool = False) -> dict[str, Any]:
    """As answers show it, of an object or an upload; its context only whoever brought it is told."""
    kept = facts.get("encryption", {})
    if "customer" in kept:
        return {"SSECustomerAlgorithm": "AES256", "SSECustomerKeyMD5": kept["customer"]["md5"]}
    shown = {name: value for name, value in kept.items() if to_writer or name != _CONTEXT}
    return shown or {"ServerSideEncryption": "AES256"}


def _key_arn(ctx: Context, key_id: str | None) -> str:
    """Recorded: test_s3_sse_validate_kms_key. Keys are not looked up: there is no KMS here to ask."""
    home = f"arn:aws:kms:{ctx.region}:{ctx.account}"
    if key_id is None:
        return f"{home}:key/{uuid.uuid5(_MANAGED, home)}"
    arn = _ARN.fullmatch(key_id)
    if arn is not None:
        if arn[1] != ctx.region:
            raise ServiceError("KMS.NotFoundException", f"Invalid arn {arn[1]}")
        return key_id
    if _KEY_ID.fullmatch(key_id):
        return f"{home}:key/{key_id}"
    if key_id.startswith("alias/"):
        return f"{home}:{key_id}"
    raise ServiceError("KMS.NotFoundException", f"Invalid keyId '{key_id}'")


def _invalid(sentence: str, value: str | None) -> ServiceError:
    fields = {"ArgumentName": "x-amz-server-side-encryption"}
    return ServiceError(
        "InvalidArgument", sentence, fields=fields if value is None else {**fields, "ArgumentValue": value}
    )
