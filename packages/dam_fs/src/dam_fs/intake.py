"""Taking files in: one read gives digests, media type and, where the content is new, a staged copy."""

import errno
import hashlib
import os
import stat
import threading
from dataclasses import dataclass

from dam_fs.mime import HEAD_BYTES, media_type
from dam_fs.scan import Found
from dam_fs.storage import Staged, Storage

CHUNK = 4 << 20
_own = threading.local()

_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_NONBLOCK", 0)  # opening a pipe without a writer must not hang
    | getattr(os, "O_NOFOLLOW", 0)  # links were followed, and judged, by the scan
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_BINARY", 0)
)


class ChangedWhileReadError(Exception):
    """The file changed while it was read, twice; add it again when nothing writes to it."""


class NotRegularError(Exception):
    """What was opened is not a regular file, whatever it was when it was found."""


@dataclass
class Taken:
    """One file's content. ``staged`` is ``None`` where the store has such an object, or was not to get one."""

    path: str
    opened: str
    size: int
    mtime_ns: int
    sha256: bytes
    md5: bytes
    media_type: str
    staged: Staged | None = None

    @property
    def key(self) -> str:
        return self.sha256.hex()


def take(found: Found, storage: Storage | None, *, force: bool = False) -> Taken:
    """Reads a file once and, with a ``storage``, stages it unless the object is there in full length (``force``: always).

    A file that changes meanwhile is read once more. Raises ``OSError``, ``NotRegularError``, ``ChangedWhileReadError``, or
    ``StorageError`` where the store is at fault.
    """
    for attempt in (1, 2):
        taken = _read(found, storage, force=force)
        if taken is not None:
            return taken
        if attempt == 2:
            raise ChangedWhileReadError("it changed while it was read, twice; add it again when nothing writes to it")
    raise AssertionError("unreachable")


def _read(found: Found, storage: Storage | None, *, force: bool) -> Taken | None:
    """``None`` where what was read is not what the file system now says."""
    fd = os.open(found.opened, _FLAGS)
    staged: Staged | None = None
    try:
        before = os.fstat(fd)
        if not stat.S_ISREG(before.st_mode):
            raise NotRegularError("not a regular file")
        sha256, md5, size, head = hashlib.sha256(), hashlib.md5(usedforsecurity=False), 0, b""
        buffer = _buffer()
        while n := os.readv(fd, [buffer]) if hasattr(os, "readv") else _readinto(fd, buffer):
            part = buffer[:n]
            if not size:
                head = bytes(part[:HEAD_BYTES])
            size += n
            sha256.update(part)
            md5.update(part)
            if storage is not None:
                if (
                    staged is None
                    and not force
                    and size == before.st_size
                    and storage.length(sha256.hexdigest()) == size
                ):
                    storage = None  # all of it was in one chunk, and the store has it
                    continue
                staged = staged or storage.stage()
                staged.write(part)
        if storage is not None and staged is None:
            staged = storage.stage()  # an empty file is content too
        if staged is not None:
            staged.close()
        after = os.fstat(fd)
        if (after.st_size, after.st_mtime_ns) != (size, before.st_mtime_ns):
            _drop(staged)
            return None
    except BaseException:
        _drop(staged)
        raise
    finally:
        os.close(fd)
    digest = sha256.digest()
    if staged is not None and storage is not None and not force and storage.length(digest.hex()) == size:
        staged.abandon()
        staged = None
    kind = media_type(head, size, os.path.basename(found.path))
    return Taken(found.path, found.opened, size, before.st_mtime_ns, digest, md5.digest(), kind, staged)


def _drop(staged: Staged | None) -> None:
    if staged is not None:
        staged.abandon()


def _buffer() -> memoryview:
    """One buffer for each reading thread: allocating 4 MB for each file costs more than reading a small one."""
    if not hasattr(_own, "buffer"):
        _own.buffer = memoryview(bytearray(CHUNK))
    buffer: memoryview = _own.buffer
    return buffer


def _readinto(fd: int, buffer: memoryview) -> int:
    data = os.read(fd, len(buffer))
    buffer[: len(data)] = data
    return len(data)


def is_missing(error: OSError) -> bool:
    return error.errno in (errno.ENOENT, errno.ENOTDIR)
