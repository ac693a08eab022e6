"""`make test-vm`: what this host's kernel cannot show, in a virtual machine of its own: cgroups of version 2, Cosset as
an ordinary user, and the power going off while writes are acknowledged.

By KVM where that works, else by emulation, which takes several times longer. Writes only to `.vm/`, prints what ran and
how it ended, and ends with 1 when anything failed or the time was over. Read next: guest.py (inside), image.py (disks).
"""

import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import image

FOLDER = image.PROJECT / ".vm"
END = "COSSET-VM-END "
STAGE_LIMIT_S = {"kvm": 420, "tcg": 2400}
WHOLE_LIMIT_S = {"kvm": 880, "tcg": 6000}
CUTS = {"kvm": 3, "tcg": 1}
"""How often the power goes off. Emulated, each takes minutes."""
ACKNOWLEDGED = 200
"""So many writes at least before the power goes off."""
_TOOLS = {
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-img": "qemu-utils",
    "debootstrap": "debootstrap",
    "mkfs.ext4": "e2fsprogs",
}


class VmError(Exception):
    """Why the run cannot be had, or what went wrong."""


@dataclass
class Machine:
    """A virtual machine that runs. `lines` follows what its guest says, until it ends or `limit_s` is over."""

    process: subprocess.Popen[bytes]
    said: Path
    limit_s: float

    def lines(self) -> Iterator[str]:
        until = time.monotonic() + self.limit_s
        with self.said.open(encoding="utf-8", errors="replace") as file:
            rest = ""
            while True:
                has_ended = self.process.poll() is not None
                rest += file.read()
                *whole, rest = rest.split("\n")
                yield from (line.rstrip("\r") for line in whole)
                if has_ended:
                    return
                if time.monotonic() > until:
                    raise VmError(f"not ended after {self.limit_s:.0f} s")
                time.sleep(0.05)

    def cut_power(self) -> None:
        self.process.kill()
        self.process.wait()


def main() -> int:
    missing = [package for tool, package in _TOOLS.items() if shutil.which(tool) is None]
    if missing:
        print(f"missing: apt install {' '.join(missing)}")
        return 1
    if os.geteuid() != 0:
        print("missing: root, for debootstrap. The machine itself needs none")
        return 1
    started_s = time.monotonic()
    base, project = image.base(FOLDER), image.project(FOLDER)
    acceleration = _acceleration()
    print(f"{acceleration}; disks after {time.monotonic() - started_s:.0f} s", flush=True)
    began_s = time.monotonic()
    failures = 0
    stages: dict[str, Callable[[], str]] = {
        name: lambda name=name: _run_stage(name, base, project, acceleration)  # type: ignore[misc]
        for name in ("root", "ordinary", "delegated", "contained")
    }
    stages = {"power": lambda: _cut_power(base, project, acceleration), **stages}
    for name in sys.argv[1:] or list(stages):
        left_s = WHOLE_LIMIT_S[acceleration] - (time.monotonic() - began_s)
        stage_s = time.monotonic()
        try:
            if left_s < 60:
                raise VmError("no time left")
            result = stages[name]()
        except VmError as error:
            failures += 1
            result = f"FAILED: {error}"
        print(f"== {name}: {result} ({time.monotonic() - stage_s:.0f} s)", flush=True)
    project.unlink()
    return 1 if failures else 0


def _run_stage(stage: str, base: Path, project: Path, acceleration: str) -> str:
    status = None
    last = ""
    with _data_disk() as disk, _machine(stage, base, project, acceleration, disk) as machine:
        for line in machine.lines():
            if line.startswith(END):
                status = line.removeprefix(END).strip()
            else:
                print(f"   {line}", flush=True)
                last = line or last
    if status != "0":
        raise VmError(f"status {status}, {last}")
    return "passed"


def _cut_power(base: Path, project: Path, acceleration: str) -> str:
    """Kills the machine while it acknowledges, again and again on the same disk; then all of it must be there. The
    image's own tables are in qemu's memory until the guest flushes: what it had not, is lost with it."""
    acknowledged: set[str] = set()
    with _data_disk() as disk:
        for cut in range(CUTS[acceleration]):
            before = len(acknowledged)
            with _machine("write", base, project, acceleration, disk) as machine:
                _collect(machine, acknowledged, before + ACKNOWLEDGED)
            print(f"   cut {cut + 1}: {len(acknowledged) - before} acknowledged", flush=True)
        found: set[str] = set()
        status = None
        with _machine("read", base, project, acceleration, disk) as machine:
            for line in machine.lines():
                if line.startswith("FOUND "):
                    found.add(line.removeprefix("FOUND "))
                elif line.startswith(END):
                    status = line.removeprefix(END).strip()
                else:
                    print(f"   {line}", flush=True)
    if status != "0":
        raise VmError(f"the restarted server: status {status}")
    if lost := acknowledged - found:
        raise VmError(f"{len(lost)} of {len(acknowledged)} acknowledged are lost: {sorted(lost)[:10]}")
    return f"{CUTS[acceleration]} cuts, all of {len(acknowledged)} acknowledged writes are there"


@contextmanager
def _data_disk() -> Iterator[Path]:
    """Empty, and as large as what a function may write."""
    disk = FOLDER / "data.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(disk), "12G"], check=True)
    try:
        yield disk
    finally:
        disk.unlink()


def _collect(machine: Machine, acknowledged: set[str], wanted: int) -> None:
    spare = random.randrange(100)
    for line in machine.lines():
        if line.startswith("ACK "):
            acknowledged.add(line.removeprefix("ACK "))
            if len(acknowledged) >= wanted + spare:
                machine.cut_power()
                return
        elif line.startswith(END):
            raise VmError(f"the writer ended: {line}")
        else:
            print(f"   {line}", flush=True)
    raise VmError("the machine ended before its power was cut")


def _acceleration() -> str:
    """`kvm` only when a kernel gets as far as its own panic by it: a device that opens proves nothing where this
    machine is a virtual one itself."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "tcg"
    command = ["qemu-system-x86_64", "-accel", "kvm", "-cpu", "host", "-m", "256", "-nographic", "-no-reboot"]
    command += ["-kernel", str(FOLDER / "vmlinuz"), "-append", "console=ttyS0 panic=-1"]
    try:
        booted = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, timeout=15)
    except subprocess.TimeoutExpired:
        return "tcg"
    return "kvm" if b"Kernel panic" in booted.stdout else "tcg"


@contextmanager
def _machine(stage: str, base: Path, project: Path, acceleration: str, data: Path | None = None) -> Iterator[Machine]:
    """Killed at the end, whatever happens. What it changes on its disks but `data` is forgotten."""
    said, console = FOLDER / "said", FOLDER / f"console-{stage}"
    said.write_bytes(b"")
    append = f"root=/dev/vda rw console=ttyS0 quiet panic=-1 mitigations=off cosset.stage={stage}"
    command = ["qemu-system-x86_64", "-accel", "kvm" if acceleration == "kvm" else "tcg,thread=multi"]
    command += ["-cpu", "host" if acceleration == "kvm" else "max", "-smp", "2", "-m", "3072", "-no-reboot"]
    command += ["-display", "none", "-nodefaults", "-nic", "none"]
    command += ["-kernel", str(FOLDER / "vmlinuz"), "-initrd", str(FOLDER / "initrd.img"), "-append", append]
    command += ["-serial", f"file:{console}", "-serial", f"file:{said}"]
    for disk in (base, project):
        command += ["-drive", f"file={disk},format=raw,if=virtio,snapshot=on"]
    if data is not None:
        command += ["-drive", f"file={data},format=qcow2,if=virtio,cache=writeback"]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        yield Machine(process, said, STAGE_LIMIT_S[acceleration])
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    sys.exit(main())
