"""Taking files in: one read gives digests, media type and, where the content is new, a staged copy."""

import hashlib
import os
import threading
from dataclasses import dataclass

from dam_fs.mime import HEAD_BYTES, media_type
from dam_fs.regular import FLAGS, NO_LINK, require_regular
from dam_fs.scan import Found, mtime_of
from dam_fs.storage import Staged, Storage

CHUNK = 4 << 20
_own = threading.local()

_FLAGS = FLAGS | NO_LINK  # links were followed, and judged, by the scan


class ChangedWhileReadError(Exception):
    """The file changed while it was read, twice; add it again when nothing writes to it."""


class StoppedError(Exception):
    """Nobody wants the file any more."""


@dataclass
class Taken:
    """One file's content. ``staged`` is ``None`` where the store has such an object, or was not to get one; ``unsound`` says that
    what the store has of that length are other bytes."""

    path: str
    opened: str
    size: int
    mtime_ns: int
    sha256: bytes
    md5: bytes
    media_type: str
    staged: Staged | None = None
    unsound: bool = False

    @property
    def key(self) -> str:
        return self.sha256.hex()


_NEVER = threading.Event()


def take(found: Found, storage: Storage | None, *, force: bool = False, stop: threading.Event = _NEVER) -> Taken:
    """Reads a file once and, with a ``storage``, stages it unless the object is there and verifies (``force``: always).

    A file that changes meanwhile is read once more. Raises ``OSError``, ``NotRegularError`` among them,
    ``ChangedWhileReadError``, ``StoppedError`` soon after ``stop`` is set, or ``StorageError`` where the store is at fault.
    """
    for _ in range(2):
        if taken := _read(found, storage, force=force, stop=stop):
            return taken
    raise ChangedWhileReadError("it changed while it was read, twice; add it again when nothing writes to it")


def _read(found: Found, storage: Storage | None, *, force: bool, stop: threading.Event) -> Taken | None:
    """``None`` where what was read is not what the file system now says."""
    fd = os.open(found.opened, _FLAGS)
    try:
        before = os.fstat(fd)
        require_regular(before.st_mode, found.opened)
        content = _Content(before.st_size, storage, stop, force=force)
        try:
            buffer = _buffer()
            # One that is longer than it was has changed, and may grow as fast as it is read.
            while content.size <= before.st_size and (n := _read_into(fd, buffer)):
                content.take(buffer[:n])
                _require_wanted(stop)
            staged = content.finish()
            after = os.fstat(fd)
            if (after.st_size, after.st_mtime_ns) != (content.size, before.st_mtime_ns):
                content.drop()
                return None
        except BaseException:
            content.drop()
            raise
    finally:
        os.close(fd)
    kind = media_type(content.head, content.size, os.path.basename(found.path))
    sha256, md5 = content.sha256.digest(), content.md5.digest()
    return Taken(found.path, found.opened, content.size, mtime_of(before), sha256, md5, kind, staged, content.unsound)


class _Content:
    """What has been read of a file so far: digests, the head, and the staged copy, if one is needed."""

    def __init__(self, expected: int, storage: Storage | None, stop: threading.Event, *, force: bool) -> None:
        self.sha256 = hashlib.sha256()
        self.md5 = hashlib.md5(usedforsecurity=False)
        self.size = 0
        self.head = b""
        self.unsound = False
        self._stop = stop
        self._expected = expected
        self._storage = storage
        self._force = force
        self._staged: Staged | None = None

    def take(self, part: memoryview) -> None:
        if not self.size:
            self.head = bytes(part[:HEAD_BYTES])
        self.size += len(part)
        self.sha256.update(part)
        self.md5.update(part)
        if self._storage is None:
            return
        if self._staged is None:
            if self.size == self._expected and self._is_stored():
                self._storage = None  # all of it came in one part, and the store has it
                return
            self._staged = self._storage.stage()
        self._staged.write(part)

    def finish(self) -> Staged | None:
        """The staged copy, written and closed; ``None`` where the store has the object already."""
        if self._storage is not None and self._staged is None and not self._is_stored():
            self._staged = self._storage.stage()  # an empty file is content too
        if self._staged is not None:
            self._staged.close()
            if self._is_stored():
                self.drop()
        return self._staged

    def drop(self) -> None:
        if self._staged is not None:
            self._staged.abandon()
            self._staged = None

    def _is_stored(self) -> bool:
        """Whether the store has the very bytes: these ones are in hand now, and may be the last of their kind."""
        if self._force or self._storage is None or self._storage.length(self.sha256.hexdigest()) != self.size:
            return False
        self.unsound = not self._verifies(self._storage)
        return not self.unsound

    def _verifies(self, storage: Storage) -> bool:
        key, sha256 = self.sha256.hexdigest(), hashlib.sha256()
        try:
            with storage.open(key) as stream:
                while part := stream.read(min(CHUNK, self.size + 1)):
                    sha256.update(part)
                    _require_wanted(self._stop)
        except OSError:
            return False
        return sha256.hexdigest() == key


def _require_wanted(stop: threading.Event) -> None:
    if stop.is_set():
        raise StoppedError


def _buffer() -> memoryview:
    """One buffer for each reading thread: allocating 4 MB for each file costs more than reading a small one."""
    if not hasattr(_own, "buffer"):
        _own.buffer = memoryview(bytearray(CHUNK))
    buffer: memoryview = _own.buffer
    return buffer


def _read_into(fd: int, buffer: memoryview) -> int:
    if hasattr(os, "readv"):
        return os.readv(fd, [buffer])
    data = os.read(fd, len(buffer))
    buffer[: len(data)] = data
    return len(data)
