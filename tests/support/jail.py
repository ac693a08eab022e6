"""A launcher of one's own around a test: the test process is its server. Clears everything away at the end."""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from cosset.clock import SystemClock
from cosset.environments.api import Answer, Environment, EnvironmentSpec, Event
from cosset.environments.jail.tier import JailTier
from cosset.environments.launcher.client import LauncherClient
from cosset.identity.principal import Credentials
from cosset.runtimes.catalogue import Catalogue
from cosset.runtimes.sealing import channel

PATIENCE = float(os.environ.get("COSSET_TEST_PATIENCE", "3"))
"""How many times slower than others this machine may be: a busy one somewhat, an emulated one (tests/vm) much more."""
LAUNCHER = """
import json, socket, sys
from pathlib import Path
from cosset.environments.launcher import cells, hierarchies, images, left_disks, owner
if "--only-cgroups-of-version-1" in sys.argv:
    hierarchies._with_one_freezer = lambda found: tuple(each for each in found if each.version == 1)
if "--without-bare-init" in sys.argv:
    cells.Cells._may_be_bare = lambda *_: False
if "--without-images" in sys.argv:
    images.shutil.which = lambda *_, **__: None
if "--without-left-disks" in sys.argv:
    left_disks.KEPT_S = 0.0
owner.serve_launcher(socket.socket(fileno=int(sys.argv[1])), Path(sys.argv[2]), print, **json.loads(sys.argv[3]))
"""


@dataclass
class Lines:
    """A LogSink that keeps what it is given."""

    events: list[str] = field(default_factory=list)

    def write(self, timestamp_ms: int, message: str) -> None:
        self.events.append(message)

    @property
    def text(self) -> str:
        return "".join(self.events)


class Jail:
    """A tier and a place for code. `data` is the data folder."""

    def __init__(self, tier: JailTier, data: Path, launcher_pid: int, launcher: LauncherClient) -> None:
        self.tier = tier
        self.launcher = launcher
        self.data = data
        self.launcher_pid = launcher_pid
        self.lines = Lines()

    def spec(self, files: Mapping[str, str | bytes], **changes: object) -> EnvironmentSpec:
        """A Python function of these files; `changes` are fields of EnvironmentSpec."""
        code = self.folder(files)
        spec = EnvironmentSpec(
            id=uuid.uuid4().hex,
            account="123456789012",
            region="us-east-1",
            function_name="greetingsOnDemand",
            function_arn="arn:aws:lambda:us-east-1:123456789012:function:greetingsOnDemand",
            version="$LATEST",
            runtime="python{}.{}".format(*sys.version_info[:2]),
            handler="app.handler",
            memory_mb=256,
            timeout_s=int(10 * PATIENCE),
            init_timeout_s=int(10 * PATIENCE),
            ephemeral_storage_mb=512,
            code_dir=code,
            log_group="/aws/lambda/greetingsOnDemand",
            log_stream="2026/11/21/[$LATEST]0123456789abcdef",
            credentials=Credentials("ASIAEXAMPLE", "secret", "token", 0),
        )
        return replace(spec, **changes)  # type: ignore[arg-type]

    def folder(self, files: Mapping[str, str | bytes]) -> Path:
        """A new folder in the data folder, as code or layer."""
        folder = self.data / "code" / uuid.uuid4().hex
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
            path.chmod(0o755)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    async def start(self, files: Mapping[str, str | bytes], **changes: object) -> Environment:
        return await self.tier.start(self.spec(files, **changes), self.lines)

    async def run(self, source: str, payload: bytes = b"{}", **changes: object) -> Answer:
        """One cold invocation of a Python source, then the end of its environment."""
        return await self.run_files({"app.py": source}, payload, **changes)

    async def run_files(self, files: Mapping[str, str | bytes], payload: bytes = b"{}", **changes: object) -> Answer:
        environment = await self.start(files, **changes)
        try:
            return await environment.invoke(event(payload))
        finally:
            await environment.shutdown()


def event(payload: bytes = b"{}", timeout_s: float = 10 * PATIENCE, **changes: object) -> Event:
    deadline_ms = SystemClock().now_ms() + int(timeout_s * 1000)
    arn = "arn:aws:lambda:us-east-1:123456789012:function:greetingsOnDemand"
    made = Event(request_id=str(uuid.uuid4()), payload=payload, deadline_ms=deadline_ms, invoked_arn=arn)
    return made._replace(**changes)


@contextlib.asynccontextmanager
async def jail(
    data: Path | None = None,
    user: int | None = None,
    freezer_version: int = 2,
    has_images: bool = True,
    has_bare_init: bool = True,
    min_free_mb: int = 0,
    egress_to: Sequence[str] | None = None,
    namespace: Path | None = None,
    open_files: int | None = None,
    keeps_disks: bool = True,
    **options: object,
) -> AsyncIterator[Jail]:
    """Args: user: the uid to start the launcher as; None: the test's own. freezer_version: 1 does without cgroups of
    version 2 where there are both. has_images: False: as on a host without mkfs. has_bare_init: False: as on other
    machines than x86_64. namespace: the network that the launcher is to take for the host's. open_files: how many the
    host lets it have. keeps_disks: False: what a reset has left is kept for no
    time."""
    with _data_folder(data) as folder:
        (folder / "scratch").mkdir(mode=0o711, exist_ok=True)  # so that it is a data folder, whoever writes to it first
        ours, theirs = channel.pair()
        command = [sys.executable, "-c", LAUNCHER, str(theirs.fileno()), str(folder)]
        command += [json.dumps({"min_free_mb": min_free_mb, "egress_to": egress_to})]
        command += ["--only-cgroups-of-version-1"] if freezer_version == 1 else []
        command += [] if has_images else ["--without-images"]
        command += [] if has_bare_init else ["--without-bare-init"]
        command += [] if keeps_disks else ["--without-left-disks"]
        command = command if namespace is None else ["nsenter", f"--net={namespace}", *command]
        command = command if open_files is None else ["prlimit", f"--nofile={open_files}:{open_files}", *command]
        process = subprocess.Popen(command, pass_fds=[theirs.fileno()], user=user, group=user)  # noqa: ASYNC220
        theirs.close()
        clock = SystemClock()
        launcher = LauncherClient(ours)
        options.setdefault("has_egress", egress_to is not None)
        tier = JailTier(launcher, Catalogue(), clock, **options)  # type: ignore[arg-type]
        try:
            yield Jail(tier, folder, process.pid, launcher)
        finally:
            await tier.close()
            launcher.close()
            await asyncio.to_thread(process.wait, 15 * PATIENCE)


@contextlib.contextmanager
def _data_folder(data: Path | None) -> Iterator[Path]:
    if data is not None:
        yield data
        return
    with tempfile.TemporaryDirectory(prefix="cosset-test-") as folder:
        os.chmod(folder, 0o755)
        yield Path(folder).resolve()
