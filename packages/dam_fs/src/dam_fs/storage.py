"""Where objects are kept: the protocol that every storage follows, and the local folder."""

import contextlib
import errno
import json
import os
import re
import stat
import sys
import threading
import uuid
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import BinaryIO, Protocol, runtime_checkable

from dam.core import faults
from dam.core.durable import OwnFolder, abandoned, flush, flush_files, flush_folder, flush_folders, move_new, sweep
from dam_fs.exceptions import StorageError
from dam_fs.regular import NO_LINK, is_link, open_regular

MARK = "dam-store.json"
FORMAT = 1
MARK_LENGTH, ID_LENGTH = 4096, 36  # characters at most
LONGEST_LINE = 1 << 20
"""Bytes of a line of receipts at most, its end included."""

_FOLDER = re.compile("[0-9a-f]{2}")
_KEY = re.compile("[0-9a-f]{64}")
_NEW_MARK = re.compile(re.escape(MARK) + r"\.[0-9a-f]{8}")
IS_WINDOWS = sys.platform == "win32"
_STAGED_MODE = 0o600 if IS_WINDOWS else 0o400  # Windows flushes only what is open for writing


@dataclass
class Staged:
    """An object on its way: its bytes are written, under a temporary name."""

    path: str
    fd: int = field(default=-1, repr=False)

    def write(self, part: memoryview | bytes) -> None:
        part = memoryview(part)
        try:
            while part:
                part = part[os.write(self.fd, part) :]
        except OSError as e:
            raise storage_error(e, "write to") from e

    def close(self) -> None:
        if self.fd >= 0:
            fd, self.fd = self.fd, -1
            try:
                os.close(fd)  # which on a network file system may be the first to say that its disk is full
            except OSError as e:
                raise storage_error(e, "write to") from e
            faults.reached("objects.staged")

    def abandon(self) -> None:
        """Whatever made it useless matters more than what stands in the way of removing it: it is swept some day."""
        with contextlib.suppress(OSError, StorageError):
            self.close()
        with contextlib.suppress(OSError):
            os.unlink(self.path)


@dataclass(frozen=True)
class StoredObject:
    """An object as a store lists it: its length in bytes, and when it got its name, in seconds since 1970."""

    key: str
    length: int
    modified: float


@dataclass(frozen=True)
class Abandoned:
    """What a process left behind that ended without tidying up: its bytes, and when it was written to last."""

    path: str
    size_bytes: int
    modified: float


@runtime_checkable
class LeavesTemporaries(Protocol):
    """A storage whose temporaries can outlive their process. Those of living processes are never among the abandoned ones."""

    def abandoned(self) -> list[Abandoned]:
        """What could be swept now."""
        ...

    def sweep(self, abandoned: Iterable[Abandoned]) -> list[Abandoned]:
        """Removes those that are abandoned still; returns them."""
        ...


class Storage(Protocol):
    """What the file plugin asks of a store. A key is the SHA-256 of an object in hexadecimal.

    All methods block and may be called from several threads at once, and several processes may share a store. Those that look
    for a store or write to it raise ``StorageError``; where there is no store, nothing is written. ``check_storage`` of
    ``dam_fs.storage_contract`` looks at all that is promised here.
    """

    @property
    def root(self) -> str:
        """Where the store is, without secrets: what messages show. Where that is an absolute path, no scan enters it."""
        ...

    def read_id(self) -> str | None:
        """The id that the store carries, at most 36 characters, or ``None`` where there is no store."""

    def create(self) -> str:
        """Makes a new store with a new id, durably, unless there is one; returns the id that it has."""
        ...

    def is_empty(self) -> bool:
        """Whether no object was ever put here."""
        ...

    def close(self) -> None:
        """Lets go of what this process holds of the store; it can be used again."""

    def length(self, key: str) -> int | None:
        """Bytes of an object, or ``None`` where there is no such object."""

    def objects(self) -> Iterator[StoredObject]:
        """Every object, in the order of their keys. What is published or removed meanwhile may be among them or not. Raises
        ``StorageError`` where it cannot be known that these are all: a store whose disk goes away does not become empty."""
        ...

    def remove(self, keys: Iterable[str]) -> None:
        """Removes objects. What is not there is no error. Whoever calls it has made sure that nobody needs them."""

    def append_receipts(self, lines: bytes) -> None:
        """Adds lines to those that the store keeps beside its objects; when it returns they survive a power loss. None is longer
        than ``LONGEST_LINE``.

        Several processes may do so at once, and none tears the lines of another.
        """

    def receipts(self) -> Iterator[bytes]:
        """Every line that was ever appended, those of one call in their order. One that was written when the power failed may be
        torn; what is longer than ``LONGEST_LINE`` was not appended so, and is left out."""
        ...

    def stage(self) -> Staged:
        """A new object without a name yet, to be written to: a file of this machine, wherever the objects lie."""
        ...

    def publish(
        self, objects: Iterable[tuple[str, Staged]], *, found: Collection[str] = (), replacing: Collection[str] = ()
    ) -> None:
        """Gives staged objects their names; when it returns they survive a power loss, names included, and nothing is left of
        what was staged. A name stands for all of its object's bytes from the moment when it can be seen.

        A key may come twice. An object that has its name already stays as it is unless its key is in ``replacing``. ``found``
        are keys that were there before: somebody else may have published them a moment ago, and their names must be durable
        too.
        """

    def open(self, key: str) -> BinaryIO:
        """A stream that can seek. Raises ``FileNotFoundError``, and ``OSError`` where the object cannot be read now."""
        ...

    def local_path(self, key: str) -> str | None:
        """Where the object lies on this machine, if it does. Raises ``FileNotFoundError`` for what is no key."""


def own_paths(storage: Storage) -> list[str]:
    """What no scan enters: the store, where it is a place in this machine's file system."""
    return [storage.root] if os.path.isabs(storage.root) else []


def storage_error(error: OSError, doing: str) -> StorageError:
    """Tells a full disk from a broken one."""
    not_allowed = f"it is not yours to {'read' if doing == 'look into' else 'write'}; correct its permissions"
    fixes = {
        errno.ENOSPC: "its disk is full; make room",
        errno.EDQUOT: "your disk quota is used up; make room",
        errno.EROFS: "it is mounted read-only; mount it writable",
        errno.EACCES: not_allowed,
        errno.EPERM: not_allowed,
        errno.EIO: "its disk reports an input/output error; check the disk",
        errno.ENOENT: "it is gone; is its disk still mounted? Mount it",
    }
    why = fixes.get(error.errno or 0, f"{error.strerror}; see to that")
    return StorageError(f"cannot {doing} the store ({error.filename or 'object'}): {why}, and run the command again")


class LocalStorage:
    """Objects as files: ``objects/ab/abcd…``, read-only, for the owner alone.

    Temporaries lie on the same file system, in a locked folder of this process; those of dead processes are swept.
    """

    def __init__(self, root: str) -> None:
        self._root = os.path.abspath(root)
        self._objects = f"{self.root}/objects"
        self._receipts = f"{self.root}/receipts"
        self._temporaries = f"{self.root}/tmp"  # noqa: S108  inside the store, not the system's
        self._flushed_receipts: str | None = None
        self._numbers = count()
        self._temporary: OwnFolder | None = None
        self._making = threading.Lock()

    # -- identity

    @property
    def root(self) -> str:
        return self._root

    def read_id(self) -> str | None:
        try:
            with open_regular(f"{self.root}/{MARK}", follow=True) as mark:
                found = json.loads(mark.read(MARK_LENGTH))
            return _checked_id(found["store"])
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as e:
            raise storage_error(e, "look into") from e
        except (ValueError, KeyError, TypeError, RecursionError) as e:
            why = "it holds no id" if isinstance(e, KeyError) else str(e)
            raise StorageError(f"{self.root}/{MARK} is damaged: {why}; restore the file from a backup") from e

    def create(self) -> str:
        temporary = f"{self.root}/{MARK}.{uuid.uuid4().hex[:8]}"
        try:
            _make_folders(os.path.dirname(self.root))
            for folder in (self.root, self._objects):
                with contextlib.suppress(FileExistsError):
                    os.mkdir(folder, mode=0o700)
            try:
                with open(temporary, "w", encoding="utf-8") as mark:
                    json.dump({"store": str(uuid.uuid4()), "format": FORMAT}, mark)
                    mark.flush()
                    flush(mark.fileno())
                faults.reached("store.marked")
                with contextlib.suppress(FileExistsError):
                    move_new(temporary, f"{self.root}/{MARK}")  # of two that create at once, one wins
            finally:
                with contextlib.suppress(OSError):
                    os.unlink(temporary)
            for folder in (self._objects, self.root, os.path.dirname(self.root)):
                flush_folder(folder)
        except OSError as e:
            raise storage_error(e, "create") from e
        store_id = self.read_id()
        assert store_id is not None
        return store_id

    def is_empty(self) -> bool:
        with contextlib.suppress(FileNotFoundError), os.scandir(self._objects) as entries:
            return next(entries, None) is None
        return True

    # -- objects

    def local_path(self, key: str) -> str:
        if not _KEY.fullmatch(key):  # a database that somebody else has written may say anything
            raise FileNotFoundError(errno.ENOENT, "it is no name of an object", key)
        return f"{self._objects}/{key[:2]}/{key}"

    def length(self, key: str) -> int | None:
        try:
            found = os.lstat(self.local_path(key))
        except FileNotFoundError:
            return None
        except OSError as e:
            raise storage_error(e, "look into") from e
        return found.st_size if stat.S_ISREG(found.st_mode) else None  # what a link leads to is not kept here

    def open(self, key: str) -> BinaryIO:
        return open_regular(self.local_path(key))

    def objects(self) -> Iterator[StoredObject]:
        with self._staying():
            self._refuse_links([self._objects])
            for folder in _entries(self._objects):
                is_ours = _FOLDER.fullmatch(folder.name) and folder.is_dir(follow_symlinks=False)
                for entry in _entries(folder.path) if is_ours else ():
                    if _KEY.fullmatch(entry.name) and entry.name.startswith(folder.name):
                        with contextlib.suppress(FileNotFoundError):  # removed meanwhile
                            found = entry.stat(follow_symlinks=False)
                            if not stat.S_ISREG(found.st_mode):
                                continue
                            yield StoredObject(entry.name, found.st_size, found.st_ctime)

    def remove(self, keys: Iterable[str]) -> None:
        for key in keys:
            try:
                path = self.local_path(key)
                self._refuse_links([self._objects, os.path.dirname(path)])
                if IS_WINDOWS:
                    os.chmod(path, 0o600)
                os.unlink(path)
                faults.reached("objects.removed")
            except FileNotFoundError:
                continue
            except OSError as e:
                raise storage_error(e, "remove from") from e

    def append_receipts(self, lines: bytes) -> None:
        # One file for a month, for a folder of millions helps nobody. What is appended in one call is one piece to all processes.
        path = f"{self._receipts}/{datetime.now(UTC):%Y-%m}.jsonl"
        try:
            os.stat(f"{self.root}/{MARK}")
            os.makedirs(self._receipts, mode=0o700, exist_ok=True)
            self._refuse_links([self._receipts, path])
            flags = os.O_CREAT | os.O_APPEND | os.O_WRONLY | NO_LINK | getattr(os, "O_NONBLOCK", 0)
            fd = os.open(path, flags | getattr(os, "O_BINARY", 0), 0o600)
            try:
                if os.write(fd, lines) != len(lines):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
                faults.reached("receipts.written")
                flush(fd)
            finally:
                os.close(fd)
            faults.reached("receipts.flushed")
            if path != self._flushed_receipts:
                # The names too: whoever made them may have been killed before he flushed them.
                flush_folders([self._receipts, self.root], self.root)
                self._flushed_receipts = path
        except OSError as e:
            raise storage_error(e, "write to") from e

    def receipts(self) -> Iterator[bytes]:
        with self._staying():
            for entry in _entries(self._receipts):
                if entry.name.endswith(".jsonl"):
                    with open_regular(entry.path) as file:
                        yield from _lines(file)

    @contextlib.contextmanager
    def _staying(self) -> Iterator[None]:
        """What is listed is all that the store holds: one whose disk goes away meanwhile looks as if it held less."""
        found = self.read_id()
        try:
            yield
        except OSError as e:
            raise storage_error(e, "look into") from e
        if found is not None and self.read_id() != found:
            gone = FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), self.root)
            raise storage_error(gone, "look into")

    def stage(self) -> Staged:
        path = f"{self._own_folder()}/{next(self._numbers)}"
        try:
            return Staged(
                path, os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0), _STAGED_MODE)
            )
        except OSError as e:
            raise storage_error(e, "write to") from e

    def publish(
        self, objects: Iterable[tuple[str, Staged]], *, found: Collection[str] = (), replacing: Collection[str] = ()
    ) -> None:
        # Only synced files get final names: renaming an unsynced one over a durable object would endanger what another
        # process has committed. And the names are synced before anybody may refer to them: in the folder of the object, and
        # the folder in ``objects``, which may have been made a moment ago by somebody who has not synced it yet.
        objects = list(objects)
        try:
            flush_files([staged.path for _, staged in objects], self.root)
            faults.reached("objects.flushed")
            self._refuse_links({self._objects, *(os.path.dirname(self.local_path(key)) for key, _ in objects)})
            for key, staged in objects:
                target = self.local_path(key)
                if key not in replacing and self.length(key) is not None:
                    staged.abandon()
                else:
                    _move(staged.path, target)
                    faults.reached("objects.named")
            if keys := {*found, *(key for key, _ in objects)}:
                # The folders' own names too: one may have been made a moment ago, here or by another process.
                folders = {os.path.dirname(self.local_path(key)) for key in keys}
                flush_folders([*folders, self._objects], self.root)
                faults.reached("objects.published")
        except OSError as e:
            raise storage_error(e, "publish to") from e

    def close(self) -> None:
        """Removes this process's temporaries."""
        if self._temporary is not None:
            self._temporary.close()
            self._temporary = None

    # -- temporaries

    def _own_folder(self) -> str:
        with self._making:
            self._temporary = self._temporary or self._make_own_folder()
            return self._temporary.path

    def _make_own_folder(self) -> OwnFolder:
        try:
            os.stat(f"{self.root}/{MARK}")  # nothing is made in the folder that an unmounted store leaves behind
            with contextlib.suppress(FileExistsError):
                os.mkdir(self._temporaries, mode=0o700)
            self._refuse_links([self._temporaries])
            return OwnFolder(self._temporaries)
        except OSError as e:
            raise storage_error(e, "write to") from e

    def abandoned(self) -> list[Abandoned]:
        self._refuse_links([self._temporaries])
        try:
            found = abandoned(self._temporaries)
        except FileNotFoundError:
            found = []
        except OSError as e:
            raise storage_error(e, "look into") from e
        marks = [entry.path for entry in _entries(self.root) if _NEW_MARK.fullmatch(entry.name)]
        return [_weighed(path) for path in [*found, *marks]]

    def sweep(self, abandoned: Iterable[Abandoned]) -> list[Abandoned]:
        self._refuse_links([self._temporaries])
        return [each for each in abandoned if self._is_swept(each.path)]

    def _is_swept(self, path: str) -> bool:
        if _NEW_MARK.fullmatch(os.path.basename(path)) is None:
            return sweep(path)
        with contextlib.suppress(OSError):
            os.unlink(path)
            return True
        return False

    @staticmethod
    def _refuse_links(paths: Iterable[str]) -> None:
        """What is written to a store stays in it: one that came from somebody else may hold links to anywhere."""
        for path in paths:
            if is_link(path):
                raise StorageError(
                    f"the store's {path} is a link, which may lead out of the store; put what it leads to in its place, "
                    "or mount that there, and run the command again"
                )


def _checked_id(found: object) -> str:
    if not isinstance(found, str) or not 0 < len(found) <= ID_LENGTH or not found.isprintable():
        raise ValueError(f"{str(found)[:ID_LENGTH]!r} is not the id of a store")
    return found


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """A file without line ends, which may claim terabytes, is not held in memory."""
    is_start = True
    while part := file.readline(LONGEST_LINE):
        is_end = part.endswith(b"\n")
        if is_start and (is_end or len(part) < LONGEST_LINE):
            yield part
        is_start = is_end


def _entries(folder: str) -> list[os.DirEntry[str]]:
    """In the order of their names. Raises ``StorageError``, for a folder that cannot be listed is not an empty one."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except FileNotFoundError:
        return []
    except OSError as e:
        raise storage_error(e, "look into") from e


def _weighed(path: str) -> Abandoned:
    """A file or a folder of files as it is now; what vanishes meanwhile, or cannot be looked at, weighs nothing."""
    size, modified = 0, 0.0
    paths = [path, f"{path}.lock", *(os.path.join(at, name) for at, _, names in os.walk(path) for name in names)]
    for each in paths:
        with contextlib.suppress(OSError):
            found = os.stat(each, follow_symlinks=False)
            size += found.st_size if stat.S_ISREG(found.st_mode) else 0
            modified = max(modified, found.st_ctime)
    return Abandoned(path, size, modified)


def _make_folders(folder: str) -> None:
    """Makes what is missing of a path. Each level's name is on the disk before there is something in it."""
    parent = os.path.dirname(folder)
    if parent != folder and not os.path.isdir(folder):
        _make_folders(parent)
        with contextlib.suppress(FileExistsError):
            os.mkdir(folder)
        flush_folder(parent)


def _move(source: str, target: str) -> None:
    folder = os.path.dirname(target)
    if IS_WINDOWS and os.path.exists(target):
        os.chmod(target, 0o600)  # a read-only file cannot be replaced there
    try:
        os.replace(source, target)
    except IsADirectoryError:
        os.rmdir(target)  # one that holds something is named in the error, and somebody's
        os.replace(source, target)
    except FileNotFoundError:
        # Made when missing: all 256 in advance cost more than most imports.
        # Only this one level: where the store itself is gone, nothing may take its place.
        with contextlib.suppress(FileExistsError):
            os.mkdir(folder, mode=0o700)
        os.replace(source, target)
    if IS_WINDOWS:
        os.chmod(target, 0o400)
