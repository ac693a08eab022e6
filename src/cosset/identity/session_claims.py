"""What a session token says, and how it is packed. Sealing and checking: `sessions.py`."""

import json
import zlib
from dataclasses import dataclass
from typing import Any

from cosset.identity.principal import UNNARROWED, PrincipalKind, SessionGrant
from cosset.wire.errors import ServiceError

PACKED_LIMIT_BYTES = 3_072
"""Of a grant. Tokens travel in headers, so there is a limit; where AWS's is, it does not say."""

_SMALL_BYTES = 512
"""What a function's credentials say, for one, is packed with a window of this size: preparing the usual one takes most
of the time that a session costs."""


@dataclass(frozen=True, slots=True)
class SessionClaims:
    """What a session token says. `owner` is a role's ARN or a user's name, `owner_id` its unique id, which a
    successor of the same name does not share; `session_name` is empty for a user's own session, and the name of the
    federated user for one that a user lends. `issued_at_ms` 0: of a token that did not say yet."""

    access_key_id: str
    kind: PrincipalKind
    account: str
    owner: str
    owner_id: str
    session_name: str
    expires_at_ms: int
    issued_at_ms: int = 0
    grant: SessionGrant = UNNARROWED


def pack_claims(claims: SessionClaims) -> bytes:
    """The claims as bytes. Raises ServiceError PackedPolicyTooLarge."""
    fields = [claims.access_key_id, claims.kind.value, claims.account, claims.owner, claims.owner_id]
    head = _json([*fields, claims.session_name, claims.expires_at_ms, claims.issued_at_ms])
    if claims.grant == UNNARROWED:
        return head
    packed = _pack_grant(claims.grant)
    if len(packed) > PACKED_LIMIT_BYTES:
        taken = packed_percentage(claims.grant)
        sentence = f"Packed policy consumes {taken}% of allotted space, please use smaller policy."
        raise ServiceError("PackedPolicyTooLarge", sentence)
    return head + b"\n" + packed


def unpack_claims(body: bytes) -> SessionClaims:
    """The reverse, of bytes that `pack_claims` made: no others come this far."""
    head, _, packed = body.partition(b"\n")
    key_id, kind, account, owner, owner_id, session_name, expires_at_ms, *issued = json.loads(head)
    return SessionClaims(
        key_id,
        PrincipalKind(kind),
        account,
        owner,
        owner_id,
        session_name,
        expires_at_ms,
        issued[0] if issued else 0,
        _unpack_grant(packed) if packed else UNNARROWED,
    )


def packed_percentage(grant: SessionGrant) -> int:
    """How much of the room for a session's policies and tags is taken, as AWS's PackedPolicySize says it."""
    if grant == UNNARROWED:
        return 0
    return -(-len(_pack_grant(grant)) * 100 // PACKED_LIMIT_BYTES)


def _pack_grant(grant: SessionGrant) -> bytes:
    fields: dict[str, Any] = {
        # No policy at all is not the same as an empty list: that allows nothing.
        "policies": grant.policies,
        "arns": grant.policy_arns,
        "tags": grant.tags,
        "transitive": grant.transitive_tag_keys,
        "source": grant.source_identity,
        "context": grant.context,
        "mfa": grant.multi_factor_ms,
    }
    said = {name: value for name, value in fields.items() if value is not None and (value or name == "policies")}
    text = _json(said)
    if len(text) > _SMALL_BYTES:
        return zlib.compress(text, 9)
    packer = zlib.compressobj(9, zlib.DEFLATED, wbits=_SMALL_BYTES.bit_length() - 1, memLevel=4)
    return packer.compress(text) + packer.flush()


def _unpack_grant(packed: bytes) -> SessionGrant:
    fields = json.loads(zlib.decompress(packed))
    policies = fields.get("policies")
    return SessionGrant(
        None if policies is None else tuple(policies),
        tuple(fields.get("arns", ())),
        _pairs(fields.get("tags", ())),
        tuple(fields.get("transitive", ())),
        fields.get("source"),
        _pairs(fields.get("context", ())),
        fields.get("mfa"),
    )


def _pairs(pairs: Any) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in pairs)


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
