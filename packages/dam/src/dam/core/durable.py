"""Files that are whole or not there, and that survive a power loss when that is said of them."""

import ctypes
import errno
import os
import re
import shutil
import sys
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING

from dam.core import faults

if TYPE_CHECKING:
    from filelock import FileLock

SMALL = 8  # up to so many are flushed one by one: a flush of the whole file system waits for everybody's writes
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


def flush_files(paths: Sequence[str], folder: str) -> None:
    """Files on the file system of ``folder``."""
    _flush_all(paths, folder, flush_file)


def flush_folders(paths: Sequence[str], folder: str) -> None:
    """The names in folders on the file system of ``folder``."""
    _flush_all(paths, folder, flush_folder)


def _flush_all(paths: Sequence[str], folder: str, flush_one: Callable[[str], None]) -> None:
    if len(paths) <= SMALL or not sync_file_system(folder):
        for path in paths:
            flush_one(path)


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


class OwnFolder:
    """A folder in ``parent`` for the temporaries of this process, which holds its lock as long as it lives. What processes left
    behind that ended without closing theirs is swept. Raises ``OSError``."""

    def __init__(self, parent: str, prefix: str = "") -> None:
        self.path = f"{parent}/{prefix}{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._lock = _lock_of(self.path)
        self._lock.acquire()
        try:
            os.mkdir(self.path, mode=0o700)
        except BaseException:
            _remove(self.path, self._lock)
            raise
        faults.reached("temporaries.made")
        with suppress(OSError):  # it is no condition of what is to be done
            for folder in abandoned(parent, prefix):
                sweep(folder)

    def close(self) -> None:
        _remove(self.path, self._lock)


@contextmanager
def own_folder(parent: str, prefix: str) -> Iterator[str]:
    """The path of an ``OwnFolder`` that is gone when this is left."""
    with closing(OwnFolder(parent, prefix)) as folder:
        yield folder.path


def abandoned(parent: str, prefix: str = "") -> list[str]:
    """The folders in ``parent`` whose processes ended without closing them. Raises ``OSError``."""
    form = re.compile(re.escape(prefix) + r"[0-9]+-[0-9a-f]{8}(?P<lock>\.lock)?")
    found = set()
    with os.scandir(parent) as entries:
        for entry in entries:
            if match := form.fullmatch(entry.name):
                is_ours = entry.is_file if match["lock"] else entry.is_dir
                if is_ours(follow_symlinks=False):
                    found.add(entry.path.removesuffix(".lock"))
    return [folder for folder in sorted(found) if _is_abandoned(folder)]


def sweep(folder: str) -> bool:
    """Removes what ``abandoned`` has found, if it is so still; whether it is gone."""
    lock = _lock_of(folder)
    if not _has(lock):
        return False
    is_gone = _remove(folder, lock)
    faults.reached("temporaries.swept")
    return is_gone


def _is_abandoned(folder: str) -> bool:
    lock = _lock_of(folder)
    if not os.path.lexists(lock.lock_file):
        return True  # it is made before its folder, and removed after it
    if not _has(lock):
        return False
    lock.release()
    return True


def _lock_of(folder: str) -> "FileLock":
    from filelock import FileLock  # only who writes takes locks, and no look-up should wait for the import

    return FileLock(f"{folder}.lock", thread_local=False)


def _has(lock: "FileLock") -> bool:
    from filelock import Timeout

    try:
        lock.acquire(timeout=0)
    except (Timeout, OSError):  # somebody else's, who will sweep it himself
        return False
    return True


def _remove(folder: str, lock: "FileLock") -> bool:
    shutil.rmtree(folder, ignore_errors=True)
    is_gone = not os.path.lexists(folder)
    if is_gone:
        # Unlinked while held: whoever opened the file meanwhile holds a lock on nothing, and its folder is gone already.
        with suppress(OSError):
            os.unlink(lock.lock_file)
    lock.release()
    return is_gone
