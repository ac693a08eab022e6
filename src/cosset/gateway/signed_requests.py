"""Who signed a small request, for the ways in beside the pipeline: function URLs and Cosset's own operations.

Its body is read whole, within the reader's limit, and only for a key that exists. Refuses bodies in chunks. Next:
authentication.py, the pipeline's own stage, whose bodies stream.
"""

from dataclasses import replace

from cosset.clock import Clock
from cosset.gateway.body import BodyReader
from cosset.gateway.canonical import normalize_path
from cosset.gateway.claims import Claim
from cosset.gateway.keys import find_known_key
from cosset.gateway.payload import CHUNKED_KINDS, UNSIGNED, check_body, declared_payload, hash_body
from cosset.gateway.refusals import Reason, RefusedError
from cosset.gateway.sigv4 import Verifier
from cosset.identity.ports import KeyDirectory, KnownKey
from cosset.wire.message import Request


class SignedRequests:
    def __init__(self, keys: KeyDirectory, clock: Clock, max_clock_skew_s: int, bodies: BodyReader) -> None:
        self._keys = keys
        self._clock = clock
        self._verifier = Verifier(clock, max_clock_skew_s)
        self._bodies = bodies

    async def prove(self, request: Request, claim: Claim, *, takes_declared: bool) -> tuple[KnownKey, bytes]:
        """The key, and the body that it signed. `takes_declared`: headers may say the hash of the body, or that it is
        not signed, as AWS allows; else it is always its own hash that counts.

        Raises: RefusedError, TooLargeError, ServiceError of a body that does not come.
        """
        self._verifier.check_date(claim)
        key = await find_known_key(self._keys, claim, self._clock.now_ms())
        secret = key.credentials.secret_access_key
        declared = declared_payload(request, claim, s3=False) if takes_declared else None
        if declared in CHUNKED_KINDS:
            raise RefusedError(Reason.PAYLOAD_MISMATCH)
        signed = replace(request, path=normalize_path(request.path))
        if declared is not None:
            self._verifier.verify(signed, claim, secret, declared, single_encoded=False)
        self._bodies.check_length(request)
        body = await self._bodies.read(request.body)
        if declared is None:
            self._verifier.verify(signed, claim, secret, await hash_body(body), single_encoded=False)
        elif declared != UNSIGNED:
            await check_body(body, declared)
        return key, body
