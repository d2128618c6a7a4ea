"""Files that are whole or not there, and that survive a power loss when that is said of them."""

import ctypes
import errno
import os
import re
import shutil
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from filelock import FileLock

IS_WINDOWS = sys.platform == "win32"
NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK}
"""How file systems say that they have no hard links: FAT does, as on memory cards."""


def flush(fd: int) -> None:
    """What is written is on the disk when this returns."""
    if sys.platform == "darwin":
        import fcntl

        fcntl.fcntl(fd, fcntl.F_FULLFSYNC)  # fsync there stops at the drive's own cache
    else:
        os.fsync(fd)


def flush_file(path: str) -> None:
    fd = os.open(path, os.O_RDWR if IS_WINDOWS else os.O_RDONLY)  # Windows flushes only what is open for writing
    try:
        flush(fd)
    finally:
        os.close(fd)


def flush_folder(folder: str) -> None:
    """The names in it are on the disk when this returns."""
    if sys.platform == "win32":
        return  # Windows has no such call; NTFS journals names
    fd = os.open(folder, os.O_RDONLY)
    try:
        flush(fd)
    finally:
        os.close(fd)


def sync_file_system(folder: str) -> bool:
    """One flush for everything on the folder's file system; ``False`` where there is no such call."""
    if sys.platform != "linux":
        return False
    syncfs = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
    if syncfs is None:
        return False
    fd = os.open(folder, os.O_RDONLY)
    try:
        if syncfs(fd):
            _raise_errno(folder)
    finally:
        os.close(fd)
    return True


def move_new(source: str, target: str) -> None:
    """Gives a file another name on the same file system. Raises ``FileExistsError`` where the name is taken, by whatever: nothing
    is replaced, not even what came a moment ago."""
    if IS_WINDOWS:
        os.rename(source, target)
        return
    try:
        os.link(source, target)
    except OSError as e:
        if e.errno not in NO_LINKS:
            raise
        _rename_exclusively(source, target)
    else:
        os.unlink(source)


def _rename_exclusively(source: str, target: str) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    names = os.fsencode(source), os.fsencode(target)
    if sys.platform == "linux" and hasattr(libc, "renameat2"):
        at_cwd, no_replace = -100, 1
        failed = libc.renameat2(at_cwd, names[0], at_cwd, names[1], no_replace)
    elif sys.platform == "darwin":
        exclusive = 4
        failed = libc.renamex_np(*names, exclusive)
    else:
        raise OSError(errno.EOPNOTSUPP, "the file system has no way to name a file without replacing another", target)
    if failed:
        _raise_errno(target)


def _raise_errno(path: str) -> None:
    number = ctypes.get_errno()
    raise OSError(number, os.strerror(number), path)


@contextmanager
def own_folder(parent: str, prefix: str) -> Iterator[str]:
    """A folder in ``parent`` for the temporaries of this process, gone when this is left. Those of processes that ended without
    doing so are swept: their locks can be had."""
    from filelock import FileLock  # only who writes takes locks, and no look-up should wait for the import

    folder = f"{parent}/{prefix}{uuid.uuid4().hex[:8]}"
    lock = FileLock(f"{folder}.lock", thread_local=False)
    lock.acquire()
    try:
        os.mkdir(folder, mode=0o700)
        _sweep(parent, prefix, f"{folder}.lock")
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        _discard(lock)


def _sweep(parent: str, prefix: str, mine: str) -> None:
    from filelock import FileLock, Timeout

    pattern = re.compile(re.escape(prefix) + r"[0-9a-f]{8}\.lock")
    with os.scandir(parent) as entries:
        found = [e.path for e in entries if pattern.fullmatch(e.name) and e.is_file(follow_symlinks=False)]
    for path in found:
        lock = FileLock(path, thread_local=False)
        if path != mine:
            with suppress(Timeout, OSError):  # somebody else's, who will sweep it himself
                lock.acquire(timeout=0)
                shutil.rmtree(path.removesuffix(".lock"), ignore_errors=True)
                _discard(lock)


def _discard(lock: "FileLock") -> None:
    # Unlinked while held: whoever opened the file meanwhile holds a lock on nothing, and its folder is gone already.
    with suppress(OSError):
        os.unlink(lock.lock_file)
    lock.release()
