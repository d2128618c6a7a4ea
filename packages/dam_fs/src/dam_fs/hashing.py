"""Reading places to the end and hashing what is there: how every promise about stored bytes is checked."""

import hashlib
import os
import threading
from collections.abc import Callable
from typing import BinaryIO, NamedTuple

from dam_fs.intake import ChangedWhileReadError, StoppedError
from dam_fs.regular import FLAGS, require_regular
from dam_fs.scan import mtime_of

CHUNK = 4 << 20
LEEWAY = (
    64 << 20
)  # bytes by which an object may be longer than is recorded, and is read: the record may be what is wrong
_NEVER = threading.Event()


class Read(NamedTuple):
    """What was read: how many bytes, and their SHA-256 in hexadecimal, which is empty where they were not worth reading."""

    size: int
    digest: str
    mtime_ns: int = 0  # of a file

    @property
    def hashed(self) -> int:
        """Bytes that were looked at."""
        return self.size if self.digest else 0


def read_stream(
    stream: BinaryIO,
    *,
    expected: int | None = None,
    most: int | None = None,
    write: Callable[[bytes], None] = lambda _: None,
    stop: threading.Event = _NEVER,
) -> Read:
    """Hashes a stream to its end, or until it is longer than ``most``, and hands every part to ``write``. Raises what the two
    raise, and ``StoppedError`` soon after ``stop`` is set."""
    sha256, size = hashlib.sha256(), 0
    # As much as is expected and a little more: most files are small, and a buffer for large ones costs more than reading them.
    portion = CHUNK if expected is None else min(CHUNK, expected + 1)
    while (most is None or size <= most) and (part := stream.read(portion)):
        sha256.update(part)
        size += len(part)
        write(part)
        portion = CHUNK
        if stop.is_set():
            raise StoppedError
    return Read(size, sha256.hexdigest())


def read_object(
    stream: BinaryIO,
    expected: int | None,
    *,
    write: Callable[[bytes], None] = lambda _: None,
    stop: threading.Event = _NEVER,
) -> Read:
    """Hashes a store's object to the end that it has now. One that is far longer than expected is not read, for a file without
    bytes on the disk can be longer than anybody lives. Raises what ``read_stream`` does."""
    length = stream.seek(0, os.SEEK_END)
    if expected is not None and length > expected + LEEWAY:
        return Read(length, "")
    stream.seek(0)
    return read_stream(stream, expected=expected, most=length, write=write, stop=stop)


def read_file(
    path: str, *, write: Callable[[bytes], None] = lambda _: None, stop: threading.Event = _NEVER, again: bool = True
) -> Read:
    """The same for a file that is somebody else's. One that changes meanwhile is read once more, unless ``again`` is off. Raises
    ``OSError``, ``NotRegularError`` among them, or ``ChangedWhileReadError``."""
    for _ in range(2 if again else 1):
        with open(path, "rb", buffering=0, opener=lambda name, _: os.open(name, FLAGS)) as file:
            before = os.fstat(file.fileno())
            require_regular(before.st_mode, path)
            # One that is longer than it was has changed, and may grow as fast as it is read.
            read = read_stream(file, expected=before.st_size, most=before.st_size, write=write, stop=stop)
            after = os.fstat(file.fileno())
        if (after.st_size, after.st_mtime_ns) == (read.size, before.st_mtime_ns):
            return read._replace(mtime_ns=mtime_of(before))
    raise ChangedWhileReadError("it changed while it was read")
