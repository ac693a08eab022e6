"""Starts environments of targets: with the role's credentials, a log stream of their own, and INIT_START in it.

For an event that waits (execution.py), and ahead of all events (provisioning.py). Refuses to try an Init again: whose
time that takes is the caller's to say.
"""

import secrets
import time
from dataclasses import dataclass, replace

from cosset.clock import Clock
from cosset.environments.api import EnvironmentSpec, InitError, TierUnavailableError
from cosset.environments.pool import Pool, PoolFullError, PoolKey, Resident
from cosset.identity.ports import SessionIssuer
from cosset.invocation.admission import ThrottledError
from cosset.invocation.api import Target
from cosset.invocation.environment_log import EnvironmentLog
from cosset.invocation.platform_log import InitLog
from cosset.observe.ports import LogWriter, StreamKey
from cosset.wire.errors import ServiceError

SESSION_S = 12 * 3600
"""How long the credentials in an environment hold; the pool lets environments go well before."""

ON_DEMAND = "on-demand"
PROVISIONED = "provisioned-concurrency"
PROVISIONED_INIT_S = 130
"""What AWS gives the Init of such an environment, or the function's own timeout, if that is longer."""


@dataclass(frozen=True, slots=True)
class Planned:
    """An environment that is about to be made. `lines` says in its log how that goes."""

    key: PoolKey
    spec: EnvironmentSpec
    log: EnvironmentLog
    lines: InitLog

    def again(self, init_timeout_s: int) -> "Planned":
        """Another in its place: in the same log and with the same /tmp, with the time that is left to it."""
        name, predecessor = secrets.token_hex(16), self.spec.id
        spec = replace(self.spec, id=name, init_timeout_s=init_timeout_s, predecessor=predecessor)
        return replace(self, spec=spec)


class Starter:
    """Makes environments in the pool."""

    def __init__(self, pool: Pool, sessions: SessionIssuer, logs: LogWriter, clock: Clock) -> None:
        self._pool = pool
        self._sessions = sessions
        self._logs = logs
        self._clock = clock

    async def plan(self, target: Target, initialization_type: str, *, want_tail: bool = False) -> Planned:
        """Writes INIT_START: call `make` next."""
        environment_id = secrets.token_hex(16)
        stream = _stream_name(self._clock.now_ms(), target.version, environment_id)
        log = EnvironmentLog(StreamKey(target.account, target.region, target.log_group, stream), self._logs)
        if want_tail:
            log.begin_tail()
        arn = target.function_arn
        credentials = await self._sessions.issue(target.role, target.function_name, SESSION_S, arn)
        lines = InitLog(log, target, initialization_type, self._clock)
        lines.started(environment_id)
        spec = EnvironmentSpec.of(
            target,
            id=environment_id,
            log_stream=stream,
            credentials=credentials,
            initialization_type=initialization_type,
        )
        if initialization_type == PROVISIONED:
            spec = replace(spec, init_timeout_s=max(PROVISIONED_INIT_S, target.timeout_s))
        return Planned(key_of(target), spec, log, lines)

    async def make(self, planned: Planned) -> Resident:
        """Ready and taken: release it.

        Raises: InitError, ThrottledError (the node is full), ServiceError.
        """
        is_provisioned = planned.spec.initialization_type == PROVISIONED
        try:
            resident = await self._pool.start(planned.key, planned.spec, planned.log, is_provisioned=is_provisioned)
        except InitError:
            if is_provisioned:
                self._pool.forget(planned.spec.id)
            raise
        except PoolFullError:
            raise ThrottledError("ConcurrentInvocationLimitExceeded") from None
        except TierUnavailableError as error:
            raise ServiceError("ServiceException", str(error), status=500) from error
        if planned.spec.predecessor is None:  # or else AWS logs nothing of an Init, except that it failed
            planned.lines.succeeded(resident.environment.init_ms)
        return resident


def key_of(target: Target) -> PoolKey:
    return PoolKey(target.function_arn, target.version, target.revision)


def _stream_name(now_ms: int, version: str, environment_id: str) -> str:
    """AWS's name for the stream of one environment: 2026/11/21/[$LATEST]0123456789abcdef0123456789abcdef."""
    return f"{time.strftime('%Y/%m/%d', time.gmtime(now_ms / 1000))}/[{version}]{environment_id}"
