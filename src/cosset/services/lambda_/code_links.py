"""Code.Location: links to a function's package that work for ten minutes, for whoever holds them, on this same door.

A link carries its own proof, a hash over what it gives and until when, made with a secret that the store keeps: so it
outlives a restart, and any node can check it. No credentials are asked for, as for AWS's own presigned links.
"""

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs, urlencode

from sqlalchemy import insert, select

from cosset.clock import Clock
from cosset.functions.code import CodeStore
from cosset.functions.tables import secrets as secrets_table
from cosset.store.database import Store, Transaction
from cosset.wire.message import Request, Response

PATH = "/_cosset/code/"
LASTS_S = 600
_SECRET = "code-links"
_CHUNK = 1 << 18


class CodeLinks:
    """Makes links and answers them."""

    def __init__(self, store: Store, code: CodeStore, clock: Clock) -> None:
        self._store = store
        self._code = code
        self._clock = clock
        self._secret: bytes | None = None

    async def make(self, digest: str, *, scheme: str, host: str) -> str:
        """A link to the package, on the host that the caller addressed."""
        expires = self._clock.now_ms() // 1000 + LASTS_S
        signature = _sign(await self._read_secret(), digest, expires)
        return f"{scheme}://{host}{PATH}{digest}?{urlencode({'Expires': expires, 'Signature': signature})}"

    async def answer(self, request: Request) -> Response:
        """A GET on a link: the zip, or 403 for a link that does not hold, in whatever way."""
        digest = request.path.removeprefix(PATH)
        query = parse_qs(request.query)
        signature, expires = query.get("Signature", [""])[0], query.get("Expires", [""])[0]
        if not expires.isascii() or not expires.isdigit() or len(expires) > 12:
            return _refuse()
        expected = _sign(await self._read_secret(), digest, int(expires))
        if not hmac.compare_digest(signature.encode(), expected.encode()):
            return _refuse()
        if int(expires) < self._clock.now_ms() // 1000:
            return _refuse()
        path = self._code.zip_path(digest)
        try:
            size = (await asyncio.to_thread(path.stat)).st_size
        except FileNotFoundError:
            return _plain(404, "The function has been deleted.")
        headers = [("content-type", "application/zip"), ("content-length", str(size))]
        return Response(200, headers, _chunks(path))

    async def _read_secret(self) -> bytes:
        if self._secret is None:
            # Looked up first: all but the very first link need no write, and so are made on a full disk too.
            kept = await self._store.read(_find_secret)
            if kept is None:
                candidate = secrets.token_hex(32)
                kept = await self._store.write(lambda tx: _read_or_insert(tx, candidate))
            self._secret = bytes.fromhex(kept)
        return self._secret


def _sign(secret: bytes, digest: str, expires: int) -> str:
    return hmac.new(secret, f"{digest}\n{expires}".encode(), hashlib.sha256).hexdigest()


def _find_secret(tx: Transaction) -> str | None:
    kept = tx.execute(select(secrets_table.c.value).where(secrets_table.c.name == _SECRET)).scalar()
    return None if kept is None else tx.unseal(secrets_table.c.value, (_SECRET,), kept)


def _read_or_insert(tx: Transaction, candidate: str) -> str:
    kept = _find_secret(tx)
    if kept is not None:
        return kept
    tx.execute(insert(secrets_table).values(name=_SECRET, value=tx.seal(secrets_table.c.value, (_SECRET,), candidate)))
    return candidate


async def _chunks(path: Path) -> AsyncIterator[bytes]:
    file = await asyncio.to_thread(path.open, "rb")
    try:
        while chunk := await asyncio.to_thread(file.read, _CHUNK):
            yield chunk
    finally:
        file.close()


def _refuse() -> Response:
    return _plain(403, "This link has expired, or was never valid. GetFunction gives a new one.")


def _plain(status: int, text: str) -> Response:
    body = f"{text}\n".encode()
    return Response(status, [("content-type", "text/plain"), ("content-length", str(len(body)))], body)
