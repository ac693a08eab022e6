"""The disks of the virtual machine: Debian from its own packages, and this project as it is now.

The first is made once a list of packages and kept in `.vm/`; the second at every run. Nothing of the host is changed
but that folder. Needs root, because debootstrap does. Read next: run.py, which boots them.
"""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[2]
PACKAGES = (
    *("systemd-sysv", "dbus", "libpam-systemd", "linux-image-cloud-amd64", "initramfs-tools", "e2fsprogs", "iproute2"),
    *("nftables", "bubblewrap", "slirp4netns", "curl", "ca-certificates", "openssl", "kmod", "procps", "nodejs"),
    *("python3", "libsqlite3-0", "libffi8", "libssl3", "zlib1g", "libbz2-1.0", "liblzma5", "libreadline8"),
    *("libncursesw6", "libuuid1"),
)
SUITE = "bookworm"
MIRROR = "http://deb.debian.org/debian"
_BASE_MB = 2048
_SPARE_MB = 512
_LEFT_OUT = {"awscli", "mypy", "pip", "test", "tests", "idlelib", "ensurepip", "config-3.11-x86_64-linux-gnu"}
"""Of the environment and its Python: large, and not needed there. What is compiled is: that would take minutes."""
UNIT = """[Unit]
Description=What the host wants to know
After=multi-user.target
[Service]
Type=oneshot
Environment=PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 LANG=C.UTF-8 HOME=/root
ExecStart=/bin/sh -c 'exec /opt/guest >/dev/ttyS1 2>&1'
ExecStopPost=/bin/systemctl --force --force poweroff
[Install]
WantedBy=multi-user.target
"""
START = """#!/bin/sh
# The script changes with the project, so it comes on the second disk.
set -e
mount /dev/vdb /mnt
cp /mnt/guest /run/guest
umount /mnt
exec sh /run/guest
"""
GUEST = """#!/bin/sh
set -e
stty -F /dev/ttyS1 raw -echo
mkdir -p /cosset && mount /dev/vdb /cosset
for place in {places}; do mkdir -p $place && mount --bind /cosset$place $place; done
chmod 711 /root
cd {project}
status=0
{python} tests/vm/guest.py $(sed 's/.*cosset.stage=\\([a-z]*\\).*/\\1/' /proc/cmdline) || status=$?
echo COSSET-VM-END $status
sync
"""


def base(folder: Path) -> Path:
    """The disk with the system; `vmlinuz` and `initrd.img` lie beside it."""
    digest = hashlib.sha256(" ".join((SUITE, *PACKAGES, UNIT)).encode()).hexdigest()[:12]
    disk = folder / f"{SUITE}-{digest}.ext4"
    if not disk.exists():
        root = folder / "root"
        shutil.rmtree(root, ignore_errors=True)
        folder.mkdir(exist_ok=True)
        command = ["debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", SUITE, str(root), MIRROR]
        print(f"Making {disk.name} from Debian's packages (some minutes, once)", flush=True)
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        _furnish(root)
        for name in ("vmlinuz", "initrd.img"):
            (found,) = (root / "boot").glob(f"{name}-*")
            shutil.copy(found, folder / name)
        make_disk(root, disk, _BASE_MB)
        shutil.rmtree(root)
    return disk


def _furnish(root: Path) -> None:
    (root / "etc/systemd/system/cosset-vm.service").write_text(UNIT)
    wants = root / "etc/systemd/system/multi-user.target.wants"
    wants.mkdir(exist_ok=True)
    (wants / "cosset-vm.service").symlink_to("../cosset-vm.service")
    (root / "etc/fstab").write_text("/dev/vda / ext4 defaults 0 0\n")
    (root / "etc/hostname").write_text("cosset-vm\n")
    with (root / "etc/passwd").open("a") as users, (root / "etc/group").open("a") as groups:
        users.write("ordinary:x:1000:1000::/home/ordinary:/bin/sh\n")
        groups.write("ordinary:x:1000:\n")
    (root / "home/ordinary").mkdir()
    shutil.chown(root / "home/ordinary", 1000, 1000)
    # The script changes with the project, so it comes on the second disk.
    script = (
        "#!/bin/sh\nset -e\nmount /dev/vdb /mnt\ncp /mnt/guest /run/guest.copy\numount /mnt\nexec sh /run/guest.copy\n"
    )
    (root / "opt/guest").unlink()
    (root / "opt/guest").write_text(script)
    (root / "opt/guest").chmod(0o755)


def project(folder: Path) -> Path:
    """The disk with this project, its virtual environment and the Python of that, at the places they have here."""
    disk, root = folder / "project.ext4", folder / "project"
    shutil.rmtree(root, ignore_errors=True)
    places = [PROJECT / "src", PROJECT / "tests", Path(sys.prefix)]
    if not sys.base_prefix.startswith("/usr"):
        places.append(Path(sys.base_prefix))
    for place in places:
        shutil.copytree(place, root / place.relative_to("/"), symlinks=True, ignore=_unneeded(place))
    shutil.copy(PROJECT / "pyproject.toml", root / PROJECT.relative_to("/"))
    shown = [str(PROJECT), *(str(place) for place in places if not place.is_relative_to(PROJECT))]
    script = GUEST.format(places=" ".join(shown), project=PROJECT, python=sys.executable)
    (root / "guest").write_text(script)
    size = sum(each.lstat().st_size for each in root.rglob("*")) // 2**20
    make_disk(root, disk, size + size // 5 + _SPARE_MB)
    shutil.rmtree(root)
    return disk


def _unneeded(place: Path):  # type: ignore[no-untyped-def]
    base_packages = Path(sys.base_prefix) / "lib" / f"python3.{sys.version_info[1]}" / "site-packages"

    def ignore(folder: str, names: list[str]) -> set[str]:
        if Path(folder) == base_packages:
            return set(names)
        is_ours = Path(folder).is_relative_to(PROJECT) and not Path(folder).is_relative_to(sys.prefix)
        return set() if is_ours else _LEFT_OUT & set(names)

    return ignore


def make_disk(root: Path, disk: Path, size_mb: int) -> None:
    disk.unlink(missing_ok=True)
    staging = disk.with_suffix(".new")
    command = ["mkfs.ext4", "-q", "-F", "-O", "^has_journal", "-d", str(root), str(staging), f"{size_mb}M"]
    subprocess.run(command, check=True)
    staging.rename(disk)
