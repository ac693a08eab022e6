"""GET /_cosset/health: 200 only when this node can take an invocation; else 503 and why.

Needs no signature, tells no secret.
"""

import json
from collections.abc import Awaitable, Callable

import sqlalchemy as sa

from cosset.environments.pool import Pool
from cosset.identity.access_book import AccessBook
from cosset.store.database import Store
from cosset.store.errors import StoreError
from cosset.wire.errors import ServiceError
from cosset.wire.message import Request, Response

PATH = "/_cosset/health"


class Health:
    """Knows whether the node is draining, whether its store answers, and how many environments it has.

    `count_spares`: asks how many environments are prepared for nobody yet. `audited`: in audit mode, where what was let
    through is counted."""

    def __init__(
        self,
        store: Store,
        pool: Pool,
        tier: str,
        count_spares: Callable[[], Awaitable[int]],
        audited: AccessBook | None = None,
    ) -> None:
        self._store = store
        self._pool = pool
        self._tier = tier
        self._count_spares = count_spares
        self._audited = audited
        self.is_draining = False

    async def answer(self, request: Request) -> Response:
        trouble = await self._trouble()
        counts = {"alive": self._pool.alive, "idle": self._pool.idle, "spare": await self._count_spares()}
        said: dict[str, object] = {
            "status": "ok" if trouble is None else "unavailable",
            "tier": self._tier,
            "environments": counts,
        }
        if self._audited is not None:
            said["would_have_been_denied"] = self._audited.let_through
        if trouble is not None:
            said["reason"] = trouble
        body = json.dumps(said).encode() + b"\n"
        return Response(200 if trouble is None else 503, [("content-type", "application/json")], body)

    async def _trouble(self) -> str | None:
        if self.is_draining:
            return "the node is stopping"
        try:
            await self._store.read(lambda tx: tx.execute(sa.select(1)).scalar())
        except (StoreError, ServiceError) as error:
            return f"the store does not answer: {error}"
        return None
