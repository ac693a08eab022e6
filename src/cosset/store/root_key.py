"""The file of root keys: what seals secrets at rest, outside the database. Read next: sealing.py.

One key a line, 64 hexadecimal digits; the first is in use, others are left by a rotation that was cut short. The file
is its owner's alone (mode 0600), or it is refused. It is replaced as a whole or not at all.
"""

import fcntl
import hashlib
import os
import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from cosset.store.disk import sync_folder
from cosset.store.errors import StoreError

FILE_NAME = "root.key"
KEY_BYTES = 32
_LINE = re.compile(r"[0-9a-f]{64}")
_MAX_KEYS = 16
_HEAD = "# Cosset's root keys: they seal what is secret in the database. Without them it cannot be read.\n"


@dataclass(frozen=True, slots=True)
class RootKey:
    secret: bytes = field(repr=False)

    @property
    def id(self) -> str:
        """Tells keys apart, and nothing of the key."""
        return hashlib.sha256(b"cosset root key\0" + self.secret).hexdigest()[:16]


class RootKeyFile:
    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> tuple[RootKey, ...]:
        """The keys, the one in use first; none when there is no file.

        Raises:
            StoreError: it cannot be read, others may read it, or it holds something else.
        """
        try:
            with self.path.open("rb") as file:
                mode, text = os.fstat(file.fileno()).st_mode, file.read(64 * 1024).decode("ascii", "replace")
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise StoreError(f"Cannot read the root key {self.path}: {error.strerror}. {_WHOSE}") from error
        if mode & 0o077:
            raise StoreError(f"The root key {self.path} may be read by others: chmod 600 {self.path}")
        lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
        if not 0 < len(lines) <= _MAX_KEYS or not all(_LINE.fullmatch(line) for line in lines):
            raise StoreError(f"{self.path} holds no root keys. Put back a copy of it.")
        return tuple(RootKey(bytes.fromhex(line)) for line in lines)

    def write(self, keys: Sequence[RootKey]) -> None:
        """Replaces the file; outlasts a power loss once this returns. Raises StoreError."""
        text = _HEAD + "".join(f"{key.secret.hex()}\n" for key in keys)
        temporary = self.path.with_name(f".{self.path.name}.{secrets.token_hex(8)}")
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(text.encode())
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, self.path)
            sync_folder(self.path.parent)
        except OSError as error:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise StoreError(f"Cannot write the root key {self.path}: {error.strerror}. {_WHOSE}") from error

    @contextmanager
    def rotating(self) -> Iterator[None]:
        """One rotation at a time. Raises StoreError: another is under way."""
        folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError as error:
            raise StoreError(f"Another rotation of {self.path} is under way.") from error
        finally:
            os.close(folder)

    def make(self, key: RootKey) -> tuple[RootKey, ...]:
        """The keys that are there, or else this one, which then is: of several that make one at once, one wins.

        Raises: StoreError.
        """
        own = RootKeyFile(self.path.with_name(f".{self.path.name}.new.{secrets.token_hex(8)}"))
        own.write([key])
        try:
            os.link(own.path, self.path)
            sync_folder(self.path.parent)
        except FileExistsError:
            pass
        except OSError as error:
            raise StoreError(f"Cannot write the root key {self.path}: {error.strerror}. {_WHOSE}") from error
        finally:
            own.path.unlink(missing_ok=True)
        return self.read()


_WHOSE = "It and its folder belong to the user that Cosset runs as: with root, the owner of the data folder."
