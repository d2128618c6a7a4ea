"""Writing content out: files that get their names only when they are whole, in a folder where nothing is ever replaced."""

import errno
import hashlib
import os
import re
import stat
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count

from dam.core import faults
from dam.core.content import ContentSource
from dam.core.durable import flush_files, flush_folder, move_new
from dam_fs.exceptions import ExportError
from dam_fs.intake import CHUNK
from dam_fs.names import LONGEST, file_name, numbered
from dam_fs.regular import open_regular

NOT_REGULAR = -1
"""What stands for the length of a folder, a link or a device."""

_NUMBERED = re.compile(r"(?P<stem>.+) \(\d+\)(?P<suffix>\.[^.]*)?", re.DOTALL)
_BAD_NAME = {errno.EINVAL, errno.EILSEQ, errno.ENAMETOOLONG}
_FIXES = {
    errno.ENOSPC: "its disk is full; make room, and run the command again",
    errno.EDQUOT: "your disk quota is used up; make room, and run the command again",
    errno.EROFS: "it is mounted read-only; mount it writable, or choose another folder",
    errno.EACCES: "it is not yours to write; correct its permissions, or choose another folder",
    errno.EPERM: "it is not yours to write; correct its permissions, or choose another folder",
    errno.EIO: "its disk reports an input/output error; check the disk",
    errno.EFBIG: "its file system takes no file so large; choose another folder",
    errno.ENOENT: "it is gone; is its disk still mounted? Mount it, and run the command again",
}


@dataclass
class Wanted:
    """A file that is to be in the folder: a name to begin with, what it has to hold, and where that may be had."""

    name: str
    size: int
    digest: bytes
    sources: Sequence[ContentSource]
    mtime_ns: int | None = None


@dataclass
class Put:
    """What became of one. ``is_new`` says that it was not there before."""

    path: str | None
    is_new: bool = False
    problem: str | None = None


@dataclass
class ExportFolder:
    """A folder that files are put into. ``temporaries`` is a folder in it; without one nothing is written, and what would be is
    told."""

    path: str
    temporaries: str | None
    stop: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._names = Names(self.path)
        self._numbers = count()

    def put(self, wanted: Sequence[Wanted]) -> list[Put]:
        """Puts these into the folder; those that are new survive a power loss once ``flush`` returns.

        Raises ``ExportError`` where the folder is at fault; what has no right content, or a name that is not taken, is told.
        """
        results: list[Put | str] = [self._known(each) or self._write(each) for each in wanted]
        written = [result for result in results if isinstance(result, str)]
        try:
            flush_files(written, self.path)
            faults.reached("export.flushed")
            return [
                result if isinstance(result, Put) else self._name(each, result)
                for each, result in zip(wanted, results, strict=True)
            ]
        except OSError as e:
            raise export_error(e, self.path) from e
        finally:
            for path in written:
                _drop(path)

    def flush(self) -> None:
        """The names of all that was put here are on the disk when this returns."""
        if self.temporaries is not None:
            try:
                flush_folder(self.path)
            except OSError as e:
                raise export_error(e, self.path) from e

    def _known(self, wanted: Wanted) -> Put | None:
        name = self._names.known(wanted)
        if name is not None:
            return Put(f"{self.path}/{name}")
        if self.temporaries is None and wanted.sources:
            return Put(f"{self.path}/{self._names.take(wanted, self._names.free(wanted))}", is_new=True)
        return None

    def _write(self, wanted: Wanted) -> Put | str:
        """The path of a temporary file with the right content."""
        problem = "nothing says where its content is"
        path = f"{self.temporaries}/{next(self._numbers)}"
        for source in wanted.sources:
            found = self._copy(source, wanted, path)
            if found is None:
                return path
            problem = found
            _drop(path)
        return Put(None, problem=problem)

    def _copy(self, source: ContentSource, wanted: Wanted, path: str) -> str | None:
        """Why this source does not give the content."""
        target = _Target(path, self.path)
        try:
            problem = fetch(source, wanted, target.write, self.stop)
            if problem is None:
                target.set_time(wanted.mtime_ns)
        except BaseException:
            target.close()
            _drop(path)
            raise
        target.close()
        return problem

    def _name(self, wanted: Wanted, temporary: str) -> Put:
        while True:
            if known := self._names.known(wanted):
                return Put(f"{self.path}/{known}")
            name = self._names.free(wanted)
            try:
                move_new(temporary, f"{self.path}/{name}")
                faults.reached("export.named")
            except FileExistsError:  # it came a moment ago
                self._names.skip(wanted, name)
            except OSError as e:
                if e.errno not in _BAD_NAME:
                    raise
                return Put(None, problem=f"{self.path} does not take the name {name!r}: {e.strerror}")
            else:
                return Put(f"{self.path}/{self._names.take(wanted, name)}", is_new=True)


class Names:
    """The names that a folder has, and what they stand for. A file is hashed once at most, where its length says that it may be
    wanted."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._longest = _longest_name(folder)
        self._listed: dict[str, list[str]] = {}  # by the name that was wanted, not looked at yet
        self._by_length: dict[str, dict[int, list[str]]] = {}
        self._digests: dict[str, bytes | None] = {}
        self._next: dict[str, int] = {}
        self._taken: set[str] = set()  # by a dry run, which leaves no file
        for name in _listing(folder):
            for wanted in {name, _NUMBERED.sub(r"\g<stem>\g<suffix>", name)}:
                self._listed.setdefault(wanted, []).append(name)

    def known(self, wanted: Wanted) -> str | None:
        """A file of that name, or of that name with a number, which holds the content."""
        first = self._first(wanted)
        for name in self._listed.pop(first, ()):
            self._look_at(first, name)
        same_length = self._by_length.get(first, {}).get(wanted.size, [])
        return next((name for name in same_length if self._digest(name) == wanted.digest), None)

    def free(self, wanted: Wanted) -> str:
        """The first name that nothing has."""
        first = self._first(wanted)
        number = self._next.get(first, 1)
        while self._is_taken(name := numbered(first, number, self._longest)):
            number += 1
        self._next[first] = number
        return name

    def take(self, wanted: Wanted, name: str) -> str:
        """The name is this file's from now on."""
        self._digests[name] = wanted.digest
        self._by_length.setdefault(self._first(wanted), {}).setdefault(wanted.size, []).append(name)
        self._taken.add(name)
        return name

    def skip(self, wanted: Wanted, name: str) -> None:
        """Somebody else has taken the name."""
        first = self._first(wanted)
        self._next[first] = self._next.get(first, 1) + 1
        self._look_at(first, name)

    def _first(self, wanted: Wanted) -> str:
        return numbered(file_name(wanted.name), 1, self._longest)

    def _is_taken(self, name: str) -> bool:
        return name in self._taken or os.path.lexists(f"{self._folder}/{name}")

    def _look_at(self, first: str, name: str) -> None:
        with suppress(OSError):
            found = os.lstat(f"{self._folder}/{name}")
            length = found.st_size if stat.S_ISREG(found.st_mode) else NOT_REGULAR
            self._by_length.setdefault(first, {}).setdefault(length, []).append(name)

    def _digest(self, name: str) -> bytes | None:
        if name not in self._digests:
            self._digests[name] = _digest_of(f"{self._folder}/{name}")
        return self._digests[name]


class _Target:
    """A new file in the folder of temporaries. What goes wrong with it is the folder's fault."""

    def __init__(self, path: str, folder: str) -> None:
        self._path, self._folder = path, folder
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0)
        try:
            self._fd = os.open(path, flags, 0o666)  # whoever exports decides by the umask who may read it
        except OSError as e:
            raise export_error(e, folder) from e

    def write(self, part: bytes) -> None:
        rest = memoryview(part)
        try:
            while rest:
                rest = rest[os.write(self._fd, rest) :]
        except OSError as e:
            raise export_error(e, self._folder) from e

    def set_time(self, mtime_ns: int | None) -> None:
        if mtime_ns is not None:
            with suppress(OSError, OverflowError):  # a time that this file system does not know
                os.utime(self._path, ns=(mtime_ns, mtime_ns))

    def close(self) -> None:
        os.close(self._fd)


def fetch(source: ContentSource, wanted: Wanted, write: Callable[[bytes], None], stop: threading.Event) -> str | None:
    """Writes what a source gives; why that is not the content, if it is not. ``write`` raises no ``OSError``."""
    sha256, size = hashlib.sha256(), 0
    try:
        with source.open() as stream:
            while size <= wanted.size and (part := stream.read(CHUNK)):  # a file that grows has other content
                size += len(part)
                sha256.update(part)
                write(part)
                if stop.is_set():
                    return "interrupted"
    except OSError as e:
        return f"its content cannot be read: {e.strerror or e}"
    if size == wanted.size and sha256.digest() == wanted.digest:
        return None
    return f"its content is damaged: {size} bytes of {wanted.size}, with the hash {sha256.hexdigest()}"


def export_error(error: OSError, folder: str) -> ExportError:
    """Tells a full disk from a broken one."""
    why = _FIXES.get(error.errno or 0, f"{error.strerror}; see to that, and run the command again")
    return ExportError(f"nothing more can be written to {folder!r}: {why}. What was reported as exported is there")


def _drop(path: str) -> None:
    with suppress(OSError):  # what is left goes with the folder of temporaries, or is swept by the next export
        os.unlink(path)


def _listing(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except FileNotFoundError:  # which a dry run does not make
        return []
    except OSError as e:
        raise export_error(e, folder) from e


def _longest_name(folder: str) -> int:
    with suppress(OSError, ValueError, AttributeError):
        return min(LONGEST, os.pathconf(folder, "PC_NAME_MAX"))
    return LONGEST


def _digest_of(path: str) -> bytes | None:
    """``None`` of what is no regular file, or cannot be read. Links are not followed: they may lead out of the folder."""
    try:
        with open_regular(path) as stream:
            return hashlib.file_digest(stream, "sha256").digest()
    except OSError:
        return None
