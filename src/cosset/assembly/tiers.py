"""The isolation tier that the settings name, and Cosset's own endpoints inside its environments."""

import asyncio
import logging
import socket
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from cosset.assembly.refusal import NodeError
from cosset.clock import Clock
from cosset.environments.api import EnvironmentSpec, Tier
from cosset.environments.jail.network import LOCAL, REAL
from cosset.environments.jail.tier import JailTier
from cosset.environments.launcher.client import LauncherClient
from cosset.environments.process import ProcessTier
from cosset.gateway.authority import Authority
from cosset.gateway.http import Front
from cosset.runtimes.catalogue import Catalogue
from cosset.runtimes.sealing import ports
from cosset.settings import Settings

logger = logging.getLogger(__name__)


class Endpoints:
    """Cosset's own endpoints inside environments: each one's listening sockets join the front while it lives. A socket
    joins when the first connection waits there: most never see one, and a start need not wait for it."""

    def __init__(self, authority: Authority) -> None:
        self.front: Front | None = None
        self._authority = authority
        self._tasks: set[asyncio.Task[None]] = set()

    def offer(self, spec: EnvironmentSpec, listener: socket.socket) -> Callable[[], None]:
        """A JailTier's OnEndpoint; also for HTTPS, which is told by its port."""
        loop = asyncio.get_running_loop()
        joining: asyncio.Task[None] | None = None

        def on_first() -> None:
            nonlocal joining
            loop.remove_reader(listener.fileno())
            joining = self._keep(self._join(listener))

        async def leave(joining: asyncio.Task[None]) -> None:
            await joining
            assert self.front is not None
            await self.front.remove_listener(listener)

        def on_end() -> None:
            if joining is None:
                loop.remove_reader(listener.fileno())
                listener.close()
            else:
                self._keep(leave(joining))

        listener.setblocking(False)
        loop.add_reader(listener.fileno(), on_first)
        return on_end

    async def _join(self, listener: socket.socket) -> None:
        assert self.front is not None
        is_secure = listener.getsockname()[1] == ports.AWS_HTTPS
        try:
            await self.front.add_listener(listener, await self._authority.context() if is_secure else None)
        except (OSError, ValueError, RuntimeError) as error:
            logger.error("an environment's port %d is closed: %s", listener.getsockname()[1], error)
            listener.close()

    def _keep(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def make_tier(
    settings: Settings,
    data: Path,
    catalogue: Catalogue,
    launcher: LauncherClient,
    clock: Clock,
    authority: Authority,
    endpoints: Endpoints,
    url: str,
) -> Tier:
    if settings.aws_endpoints not in (LOCAL, REAL):
        raise NodeError(f"aws-endpoints is `{LOCAL}` or `{REAL}`, not `{settings.aws_endpoints}`.")
    modules = data / "runtimes" / "nodejs" / "node_modules"
    node_modules = modules if modules.is_dir() else None
    if settings.tier == "jail":
        return JailTier(
            launcher,
            catalogue,
            clock,
            on_endpoint=endpoints.offer,
            on_aws=endpoints.offer,
            before_first=authority.ensure,
            node_modules=node_modules,
            has_cpu_quota=not settings.dev,
            has_egress=settings.egress,
            aws_endpoints=settings.aws_endpoints,
        )
    if settings.tier == "process":
        return ProcessTier(catalogue, clock, endpoint=lambda: url, node_modules=node_modules)
    raise NodeError(f"There is no tier `{settings.tier}`: `jail`, or by name only `process`.")
