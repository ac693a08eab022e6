"""The server's ends of what leads into an environment, and those that go inside with the request for one.

Made before the launcher is asked, so that they go with the asking. Read next: tier.py, who reads and writes there.
"""

import os
import socket
from dataclasses import dataclass, field

from cosset.environments.launcher.client import Request
from cosset.runtimes.sealing import channel


@dataclass(slots=True)
class Ends:
    """`pipes`: of output and, for managed runtimes, of telemetry; none where the environment makes them itself.
    `transport`: of frames. `supervised`, `printed`: the init's and the output of extensions, where there are any.
    `inside`: the launcher's, in its order."""

    pipes: list[int] = field(default_factory=list)
    transport: socket.socket | None = None
    supervised: socket.socket | None = None
    printed: int | None = None
    inside: list[int] = field(default_factory=list)

    @classmethod
    def of(cls, request: Request) -> "Ends":
        """Raises: OSError, when no more files may be open."""
        ends = cls()
        try:
            ends._open(request)
        except OSError:
            for theirs in ends.inside:
                os.close(theirs)
            ends.close()
            raise
        return ends

    def _open(self, request: Request) -> None:
        if not request.standby:
            self.pipes.append(self._pipe(is_output=True))
            if request.interpreter is not None:
                self.pipes.append(self._pipe(is_output=False))
        if request.kind == "python":
            self.transport, theirs = socket.socketpair()
            self.inside.append(theirs.detach())
        if request.extensions:
            self.printed = self._pipe(is_output=True)
            self.supervised, theirs = channel.pair()
            self.inside.append(theirs.detach())

    def close(self) -> None:
        """Ours. To be called where nobody has taken them over."""
        for fd in (*self.pipes, *(() if self.printed is None else (self.printed,))):
            os.close(fd)
        for end in (self.transport, self.supervised):
            if end is not None:
                end.close()

    def _pipe(self, *, is_output: bool) -> int:
        ours, theirs = os.pipe()
        if is_output:
            os.fchmod(theirs, 0o222)  # so that the function, another user, may open /dev/stdout by its name
        self.inside.append(theirs)
        return ours
