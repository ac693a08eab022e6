"""The isolation tier that the settings name, and Cosset's own endpoint inside its environments."""

import asyncio
import socket
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from cosset.assembly.refusal import NodeError
from cosset.clock import Clock
from cosset.environments.api import EnvironmentSpec, Tier
from cosset.environments.jail.tier import JailTier
from cosset.environments.launcher.client import LauncherClient
from cosset.environments.process import ProcessTier
from cosset.gateway.http import Front
from cosset.runtimes.catalogue import Catalogue
from cosset.settings import Settings


class Endpoints:
    """Cosset's own endpoint inside environments: each one's listening socket joins the front while it lives."""

    def __init__(self) -> None:
        self.front: Front | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def offer(self, spec: EnvironmentSpec, listener: socket.socket) -> Callable[[], None]:
        """A JailTier's OnEndpoint."""
        assert self.front is not None
        front = self.front
        joining = self._keep(front.add_listener(listener))

        async def leave() -> None:
            await joining
            await front.remove_listener(listener)

        def on_end() -> None:
            self._keep(leave())

        return on_end

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
    endpoints: Endpoints,
    url: str,
) -> Tier:
    modules = data / "runtimes" / "nodejs" / "node_modules"
    node_modules = modules if modules.is_dir() else None
    if settings.tier == "jail":
        return JailTier(
            launcher,
            catalogue,
            clock,
            on_endpoint=endpoints.offer,
            node_modules=node_modules,
            has_cpu_quota=not settings.dev,
        )
    if settings.tier == "process":
        return ProcessTier(catalogue, clock, endpoint=lambda: url, node_modules=node_modules)
    raise NodeError(f"There is no tier `{settings.tier}`: `jail`, or by name only `process`.")
