"""Freezes environments that have been idle for 50 ms, and thaws them for the next event, as AWS does: what a function
leaves running in the background gets no CPU between invocations.

One sweep for all environments: becoming idle or busy costs a dictionary entry. Everything happens on the event loop,
so that an event and the freezing never cross. Read next: tier.py, who makes these; ../launcher/client.py, who freezes.
"""

import asyncio
from collections.abc import Callable
from itertools import islice
from typing import Protocol

from cosset.clock import Clock
from cosset.environments.api import Answer, EnvironmentSpec, EnvironmentState, Event, nothing
from cosset.environments.environment import RunningEnvironment
from cosset.environments.extensions.phases import ExtensionPhases
from cosset.environments.launcher.client import JailProcess
from cosset.environments.log_pipe import LogPipe
from cosset.environments.transport import Transport

FREEZE_AFTER_S = 0.05
_AT_ONCE = 8
"""Frozen in one go; each takes the loop about a tenth of a millisecond."""
_PERIOD_S = 0.01
"""The sweep looks no more often, however many come and go: an environment is frozen up to this much later."""


class Freezable(Protocol):
    """A process that can be halted whole."""

    def freeze(self) -> None: ...

    def thaw(self) -> None: ...


class IdleSweep:
    """Knows since when each environment of a tier has been idle."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._idle_since_s: dict[Freezable, float] = {}
        """The longest idle first: whoever becomes idle comes last."""
        self._sweeper: asyncio.Task[None] | None = None

    def rest(self, process: Freezable) -> None:
        """It is idle from now on."""
        self._idle_since_s[process] = self._clock.monotonic_s()
        if self._sweeper is None:
            self._sweeper = asyncio.get_running_loop().create_task(self._sweep(), name="freeze idle environments")

    def wake(self, process: Freezable) -> None:
        """It is to run: what is sent to it now will be read."""
        if self._idle_since_s.pop(process, None) is None:
            process.thaw()

    def close(self) -> None:
        if self._sweeper is not None:
            self._sweeper.cancel()
        self._idle_since_s.clear()

    async def _sweep(self) -> None:
        """Ends when nothing is left to be frozen."""
        while self._idle_since_s:
            latest_s = self._clock.monotonic_s() - FREEZE_AFTER_S
            due = [each for each, since_s in islice(self._idle_since_s.items(), _AT_ONCE) if since_s <= latest_s]
            for process in due:
                del self._idle_since_s[process]
                process.freeze()
            if len(due) == _AT_ONCE:
                await self._clock.sleep(0)
            elif self._idle_since_s:
                longest_s = next(iter(self._idle_since_s.values()))
                await self._clock.sleep(max(longest_s - latest_s, _PERIOD_S))
        self._sweeper = None


class IdlingEnvironment(RunningEnvironment):
    """An environment that is frozen between its invocations."""

    def __init__(
        self,
        spec: EnvironmentSpec,
        process: JailProcess,
        transport: Transport,
        log_pipe: LogPipe,
        clock: Clock,
        started_s: float,
        sweep: IdleSweep,
        extensions: ExtensionPhases | None = None,
    ) -> None:
        super().__init__(spec, process, transport, log_pipe, clock, started_s, extensions)
        self._own_transport = transport
        self._jail_process = process
        self._sweep = sweep

    async def start(self) -> None:
        await super().start()
        self._rest()

    async def invoke(self, event: Event, begun: Callable[[], None] = nothing) -> Answer:
        self._sweep.wake(self._jail_process)
        try:
            return await super().invoke(event, begun)
        finally:
            self._rest()

    async def settle(self, answer: Answer) -> Answer:
        try:
            return await super().settle(answer)
        finally:
            self._rest()

    async def shutdown(self) -> None:
        self._sweep.wake(self._jail_process)
        await super().shutdown()

    def _rest(self) -> None:
        """What the runtime does before it asks for the next event is part of the last one: it is not frozen then."""
        if self.state is EnvironmentState.READY:
            self._own_transport.when_asked(self._sleep)

    def _sleep(self) -> None:
        if self.state is EnvironmentState.READY:
            self._sweep.rest(self._jail_process)
