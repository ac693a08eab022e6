"""ID tokens of identity providers: what one says, and whether its provider signed it.

Needs joserfc, which `cosset[federation]` brings.
"""

import base64
import binascii
import json
from typing import Any

from cosset.wire.errors import OperationNotImplementedError, ServiceError

ALGORITHMS = ("RS256", "RS384", "RS512", "ES256", "ES384", "ES512")
_NO_JWT = "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)"


def read_unverified(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims as somebody wrote them: enough to know whose keys to ask for, and to be believed in nothing.

    Raises:
        ServiceError: InvalidIdentityToken.
    """
    parts = token.split(".")
    if len(parts) != 3:
        raise invalid_token(_NO_JWT)
    header, claims = _part(parts[0]), _part(parts[1])
    if header.get("alg") not in ALGORITHMS:
        raise invalid_token(_NO_JWT)
    return header, claims


def verify(token: str, keys: dict[str, Any]) -> dict[str, Any]:
    """The claims of a token that one of these keys signed.

    Raises:
        ServiceError: InvalidIdentityToken; NotImplementedException without joserfc.
    """
    try:
        from joserfc import jwt
        from joserfc.errors import JoseError
        from joserfc.jwk import KeySet
    except ImportError:
        missing = "AssumeRoleWithWebIdentity without the package joserfc (pip install 'cosset[federation]')"
        raise OperationNotImplementedError("sts", missing) from None
    # Keys of kinds that sign no tokens here are passed over, not believed: a symmetric key is nobody's signature.
    usable = [key for key in keys["keys"] if isinstance(key, dict) and key.get("kty") in ("RSA", "EC")]
    try:
        key_set = KeySet.import_key_set({"keys": usable})
        return dict(jwt.decode(token, key_set, algorithms=list(ALGORITHMS)).claims)
    except (JoseError, ValueError, KeyError, TypeError):
        raise invalid_token("Couldn't verify signature of the ID Token") from None


def invalid_token(sentence: str) -> ServiceError:
    return ServiceError("InvalidIdentityToken", sentence)


def _part(text: str) -> dict[str, Any]:
    try:
        found = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        raise invalid_token(_NO_JWT) from None
    if not isinstance(found, dict):
        raise invalid_token(_NO_JWT)
    return found
