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
_NEVER = threading.Event()


class Read(NamedTuple):
    """What was read: how many bytes, and their SHA-256 in hexadecimal."""

    size: int
    digest: str
    mtime_ns: int = 0  # of a file


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
