"""What extensions have to do with the phases of their environment: Extension init, Invoke, Shutdown and its deadlines.

Joins the registry, the telemetry and the tier's supervisor; costs an environment without extensions next to nothing.
Refuses to decide when a phase begins or how it ends for the caller: environment.py does.
Source: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-extensions-api.html#runtimes-lifecycle-shutdown
"""

import asyncio
import signal
import socket
from collections.abc import Awaitable, Callable, Sequence

from cosset.clock import Clock
from cosset.environments.api import Answer, EnvironmentSpec, Event, LogSink
from cosset.environments.extensions.api import ExtensionsApi
from cosset.environments.extensions.registry import ExtensionFailure, Extensions
from cosset.environments.extensions.supervisor import Supervisor
from cosset.environments.telemetry.hub import Tap, Telemetry
from cosset.environments.telemetry.platform_events import PlatformEvents
from cosset.environments.telemetry.subscription import Api, Subscription
from cosset.environments.transport import Exit, TransportClosedError
from cosset.observe import extension_lines

SPINDOWN, TIMEOUT, FAILURE = "spindown", "timeout", "failure"
EXTERNAL_LIMIT_S = 2.0
"""AWS's limit for the whole Shutdown where external extensions have registered."""
INTERNAL_LIMIT_S = 0.5
"""Where internal ones have; and what then is the runtime's of the longer limit."""
RUNTIME_LIMIT_S = 0.3
"""What is the runtime's of it where only external ones have."""


class ExtensionPhases:
    """One environment's.

    Args:
        supervisor: None: this tier starts no extensions, and internal ones are not waited for at the end.
        external: file names in /opt/extensions.
    """

    def __init__(
        self,
        spec: EnvironmentSpec,
        sink: LogSink,
        clock: Clock,
        supervisor: Supervisor | None = None,
        external: Sequence[str] = (),
    ) -> None:
        self._spec = spec
        self._sink = sink
        self._clock = clock
        self._supervisor = supervisor
        self.starts_external = bool(external)
        self.on_failure: Callable[[ExtensionFailure], None] = lambda _: None
        self.registry = Extensions(external, lambda failure: self.on_failure(failure))
        is_json = spec.log_format == "JSON"
        self.telemetry = Telemetry(clock, self._connect, keeps_backlog=self.starts_external, is_json=is_json)
        self.telemetry.subscribed = self._on_subscribed
        self.events = PlatformEvents(self.telemetry, spec, clock)
        self._api: ExtensionsApi | None = None

    def output(self, kind: str = "function") -> Tap:
        """Where the output of the function, or of its extensions, goes."""
        return self.telemetry.tap(self._sink, kind)

    def api(self) -> ExtensionsApi:
        if self._api is None:
            self._api = ExtensionsApi(self._spec, self.registry, self.telemetry)
            if not self.starts_external:
                self.telemetry.first = (self.events.start_ms, "platform.initStart", self.events.init_started())
        return self._api

    # Init.

    async def begin(self) -> None:
        """Extension init: the runtime starts when every external extension has registered.

        Raises: TransportClosedError, when the environment ends first.
        """
        if not self.starts_external or self._supervisor is None:
            return
        self.events.init_started()
        self._supervisor.watch(self.registry.exited, self.registry.not_launched)
        await self.registry.all_registered()
        self._supervisor.start_runtime()

    async def runtime_is_ready(self) -> None:
        """Returns when every extension is, too. Raises: TransportClosedError."""
        self.events.runtime_ready()
        await self.registry.all_ready()

    def init_over(self, init_ms: float) -> None:
        self.events.init_over(init_ms)
        self.telemetry.sleep()
        self._write_states()
        self.telemetry.close_subscription()

    def init_failed(self, status: str, error_type: str, phase_ms: float) -> None:
        self.events.init_failed(status, error_type, phase_ms)
        self._write_states()

    # Invoke.

    def invoked(self, event: Event) -> None:
        self.telemetry.wake()
        self.events.invoked(event)
        self.registry.invoke(event)

    def over(self, event: Event, answer: Answer) -> None:
        """The runtime and all extensions have ended with this event."""
        self.events.reported(event, answer)
        self.telemetry.sleep()

    # Shutdown.

    async def runtime_ended(self) -> Exit:
        assert self._supervisor is not None
        return await self._supervisor.runtime_ended()

    async def shut_down(self, reason: str, *, is_runtime_alive: bool) -> None:
        """Lets the extensions end by themselves within AWS's limits; what is left is then for the caller to kill."""
        supervisor = self._supervisor
        if supervisor is None or not self.registry.registered:
            return
        began_s = self._clock.monotonic_s()
        self.registry.end()
        has_external = any(each.is_external for each in self.registry.registered)
        has_internal = any(not each.is_external for each in self.registry.registered)
        if is_runtime_alive:
            if reason == SPINDOWN:
                supervisor.signal_runtime(signal.SIGTERM)
                await self._within(INTERNAL_LIMIT_S if has_internal else RUNTIME_LIMIT_S, supervisor.runtime_ended())
            if has_external:
                supervisor.signal_runtime(signal.SIGKILL)
        if has_external:
            left_s = EXTERNAL_LIMIT_S - (self._clock.monotonic_s() - began_s)
            self.registry.shut_down(reason, self._clock.now_ms() + int(left_s * 1000))
            await self._within(left_s, self._ended())

    async def close(self) -> None:
        """When nothing of the environment runs any more."""
        self.registry.close()
        await self.telemetry.close()
        if self._supervisor is not None:
            await self._supervisor.close()

    async def _ended(self) -> None:
        flushing = asyncio.ensure_future(self.telemetry.flush())
        try:
            await self.registry.all_exited()
        except TransportClosedError:
            return
        finally:
            flushing.cancel()
            await asyncio.gather(flushing, return_exceptions=True)

    async def _within(self, limit_s: float, work: Awaitable[object]) -> None:
        tasks = [asyncio.ensure_future(work), asyncio.ensure_future(self._clock.sleep(limit_s))]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _connect(self, port: int) -> socket.socket:
        if self._supervisor is None:
            raise ConnectionRefusedError("this tier has no way to the ports inside")
        return await self._supervisor.connect(port)

    # What is said of them.

    def _write_states(self) -> None:
        for each in self.registry.named:
            record = extension_lines.extension_record(each.name, each.state.value, each.events, each.declared)
            line = extension_lines.extension_line(each.name, each.state.value, each.events, each.declared)
            self._say("platform.extension", record, line)

    def _on_subscribed(self, name: str, subscription: Subscription) -> None:
        api = "TELEMETRY" if subscription.api is Api.TELEMETRY else "LOGS"
        record = extension_lines.subscription_record(name, subscription.types)
        line = extension_lines.subscription_line(api, name, subscription.types)
        self._say("platform.telemetrySubscription", record, line)

    def _say(self, kind: str, record: dict[str, object], line: str) -> None:
        now_ms = self._clock.now_ms()
        if self.telemetry.is_wanted:
            self.telemetry.emit(kind, record, now_ms)
        self._sink.write(now_ms, extension_lines.in_format(self._spec.log_format, now_ms, kind, record, line))
