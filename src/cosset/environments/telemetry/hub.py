"""What happens in one environment, told to the extensions that have subscribed, in AWS's events.

Costs nothing where nobody subscribes: events are made only when somebody wants them. During Init they are kept within a
bound where there are external extensions, because these subscribe after the first of them. Read next: subscription.py,
delivery.py.
"""

import asyncio
import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass

from cosset.clock import Clock
from cosset.environments.api import LogSink
from cosset.environments.telemetry.delivery import Delivery
from cosset.environments.telemetry.destinations import Connect, HttpDestination, TcpDestination, make_destination
from cosset.environments.telemetry.logs_schema import ONLY_IN_LOGS, Record, in_logs_schema
from cosset.environments.telemetry.subscription import Api, Subscription, SubscriptionRefusedError, parse
from cosset.observe.log_lines import iso_time

_MAX_BACKLOG = 1000
_MAX_BACKLOG_BYTES = 256 * 1024
_BEHIND = "Consumer seems to have fallen behind as it has not acknowledged receipt of logs."


Subscribed = Callable[[str, Subscription], None]
"""Called with the name of an extension that has subscribed."""


@dataclass(slots=True, eq=False)
class _Subscriber:
    subscription: Subscription
    delivery: Delivery
    destination: HttpDestination | TcpDestination


class Telemetry:
    """One environment's.

    Args:
        connect: a way to the ports inside.
        keeps_backlog: there are external extensions, who will want to know what was before they subscribed.
        is_json: what the function prints is JSON where it can be.
    """

    def __init__(self, clock: Clock, connect: Connect, *, keeps_backlog: bool, is_json: bool = False) -> None:
        self._clock = clock
        self._connect = connect
        self._is_json = is_json
        self._subscribers: dict[str, _Subscriber] = {}
        self._endings: set[asyncio.Task[None]] = set()
        self._backlog: list[tuple[int, str, Record]] | None = [] if keeps_backlog else None
        self._backlog_bytes = 0
        self._is_open = True
        self.subscribed: Subscribed = lambda _name, _subscription: None
        self.is_wanted = keeps_backlog
        """Somebody takes events, or may still subscribe to those of now."""
        self.first: tuple[int, str, Record] | None = None
        """The event that every subscriber is told of, however late: the environment's beginning."""

    def tap(self, sink: LogSink, kind: str) -> "Tap":
        """A sink for `function` or `extension` output that passes everything on to `sink`, too."""
        return Tap(self, sink, kind)

    def emit(self, kind: str, record: Record, time_ms: int | None = None) -> None:
        """Never waits. To be called where `is_wanted`; the event begins with `platform.`, or is `function`, ..."""
        time_ms = self._clock.now_ms() if time_ms is None else time_ms
        if self._backlog is not None:
            self._keep(time_ms, kind, record)
        for subscriber in self._subscribers.values():
            self._pass_on(subscriber, time_ms, kind, record)

    def subscribe(self, name: str, path: str, body: bytes) -> None:
        """Raises: SubscriptionRefusedError."""
        api = Api(path)
        prefix = "Telemetry" if api is Api.TELEMETRY else "Logs"
        if not self._is_open:
            message = f"{prefix} API subscription is closed already"
            raise SubscriptionRefusedError(f"{prefix}.SubscriptionClosed", message, 403)
        if any(other.subscription.api is not api for other in self._subscribers.values()):
            message = "An extension of this environment has subscribed by the other API"
            raise SubscriptionRefusedError(f"{prefix}.NotSupported", message, 403)
        subscription = parse(api, body)
        known = self._subscribers.get(name)
        if known is not None:
            if known.subscription == subscription:
                return  # the same once more is no second subscription
            self._forget(known)
        destination = make_destination(subscription.destination, self._connect)
        delivery = Delivery(subscription, destination.send, self._dropped, self._clock)
        subscriber = self._subscribers[name] = _Subscriber(subscription, delivery, destination)
        self.is_wanted = True
        for event in self._missed():
            self._pass_on(subscriber, *event)
        self.subscribed(name, subscription)

    def _missed(self) -> list[tuple[int, str, Record]]:
        """What a new subscriber has missed, as far as it is known."""
        if self._backlog is not None:
            return self._backlog
        return [self.first] if self.first is not None else []

    def close_subscription(self) -> None:
        """Init is over."""
        self._is_open = False
        self._backlog = None
        self.is_wanted = bool(self._subscribers)

    def sleep(self) -> None:
        """The environment is at rest: what is not sent waits."""
        for subscriber in self._subscribers.values():
            subscriber.delivery.sleep()

    def wake(self) -> None:
        for subscriber in self._subscribers.values():
            subscriber.delivery.wake()

    async def flush(self) -> None:
        """Returns when all subscribers have everything. The caller bounds the wait."""
        await asyncio.gather(*(subscriber.delivery.flush() for subscriber in self._subscribers.values()))

    async def close(self) -> None:
        """What is still held is lost. Idempotent."""
        self._is_open = False
        self.is_wanted = False
        subscribers, self._subscribers = list(self._subscribers.values()), {}
        await asyncio.gather(*map(_end, subscribers), *self._endings)

    def _forget(self, subscriber: _Subscriber) -> None:
        task = asyncio.get_running_loop().create_task(_end(subscriber), name="telemetry end")
        self._endings.add(task)
        task.add_done_callback(self._endings.discard)

    def _keep(self, time_ms: int, kind: str, record: Record) -> None:
        assert self._backlog is not None
        self._backlog_bytes += len(record) if isinstance(record, str) else 256
        if len(self._backlog) < _MAX_BACKLOG and self._backlog_bytes <= _MAX_BACKLOG_BYTES:
            self._backlog.append((time_ms, kind, record))

    def _pass_on(self, subscriber: _Subscriber, time_ms: int, kind: str, record: Record) -> None:
        subscription = subscriber.subscription
        if kind.partition(".")[0] not in subscription.types:
            return
        if subscription.api is Api.LOGS:
            translated = in_logs_schema(kind, record, subscription.schema)
            if translated is None:
                return
            kind, record = translated
        elif kind == ONLY_IN_LOGS:
            return
        if self._is_json and isinstance(record, str):
            record = _object_or_text(record)
        subscriber.delivery.add(_event(time_ms, kind, record))

    def _dropped(self, records: int, size_bytes: int) -> bytes:
        record = {"reason": _BEHIND, "droppedRecords": records, "droppedBytes": size_bytes}
        return _event(self._clock.now_ms(), "platform.logsDropped", record)


async def _end(subscriber: _Subscriber) -> None:
    await subscriber.delivery.close()
    subscriber.destination.close()


class Tap:
    """A LogSink between an environment's output and its log."""

    __slots__ = ("_kind", "_sink", "_telemetry")

    def __init__(self, telemetry: Telemetry, sink: LogSink, kind: str) -> None:
        self._telemetry = telemetry
        self._sink = sink
        self._kind = kind

    def write(self, timestamp_ms: int, message: str) -> None:
        self._sink.write(timestamp_ms, message)
        if self._telemetry.is_wanted:
            self._telemetry.emit(self._kind, message, timestamp_ms)


def _event(time_ms: int, kind: str, record: Record) -> bytes:
    document = {"time": iso_time(time_ms), "type": kind, "record": record}
    return json.dumps(document, separators=(",", ":")).encode()


def _object_or_text(text: str) -> Record:
    with contextlib.suppress(ValueError, RecursionError):
        value = json.loads(text)
        if isinstance(value, dict):
            return value
    return text
