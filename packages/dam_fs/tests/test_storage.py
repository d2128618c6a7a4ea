from __future__ import annotations

import ctypes
import errno
import hashlib
import os
import shutil
import stat
import subprocess
import sys
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING, Any

import pytest

from dam_fs.exceptions import StorageError
from dam_fs.regular import NotRegularError
from dam_fs.storage import LONGEST_LINE, MARK, Abandoned, LocalStorage, Staged

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

posix = pytest.mark.skipif(sys.platform == "win32", reason="permissions and flushing of folders are POSIX")
linux = pytest.mark.skipif(
    sys.platform != "linux", reason="names of descriptors are read from /proc, and syncfs is Linux"
)


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[LocalStorage]:
    storage = LocalStorage(str(tmp_path / "store"))
    storage.create()
    yield storage
    storage.close()


def key_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def staged(storage: LocalStorage, content: bytes) -> Staged:
    new = storage.stage()
    new.write(content)
    new.close()
    return new


def put(storage: LocalStorage, *contents: bytes, replacing: bool = False) -> list[str]:
    keys = [key_of(content) for content in contents]
    objects = [(key, staged(storage, content)) for key, content in zip(keys, contents, strict=True)]
    storage.publish(objects, replacing=keys if replacing else ())
    return keys


def names_below(folder: str) -> set[str]:
    return {os.path.relpath(os.path.join(at, name), folder) for at, _, names in os.walk(folder) for name in names}


class Recorder:
    """Names of what is flushed, renamed and made, in order, relative to the store."""

    def __init__(self, storage: LocalStorage, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[tuple[str, str]] = []
        self._root = storage.root
        fsync, replace, mkdir = os.fsync, os.replace, os.mkdir

        def recorded_fsync(fd: int) -> None:
            self.note("flush", os.readlink(f"/proc/self/fd/{fd}"))
            fsync(fd)

        def recorded_replace(source: str, target: str) -> None:
            self.note("rename", target)
            replace(source, target)

        def recorded_mkdir(path: str, mode: int = 0o777) -> None:
            mkdir(path, mode)
            self.note("mkdir", path)

        monkeypatch.setattr(os, "fsync", recorded_fsync)
        monkeypatch.setattr(os, "replace", recorded_replace)
        monkeypatch.setattr(os, "mkdir", recorded_mkdir)

    def note(self, what: str, path: str) -> None:
        self.calls.append((what, os.path.relpath(path, self._root)))

    def at(self, what: str, path: str) -> int:
        return self.calls.index((what, path))

    def last(self, what: str, path: str) -> int:
        return len(self.calls) - 1 - self.calls[::-1].index((what, path))


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_a_store_is_for_its_owner_alone(tmp_path: Path) -> None:
    LocalStorage(str(tmp_path / "deep" / "store")).create()
    for folder in ("", "objects"):
        assert (tmp_path / "deep" / "store" / folder).stat().st_mode & 0o777 == 0o700


def test_an_object_is_read_as_it_was_written(storage: LocalStorage) -> None:
    (key,) = put(storage, b"content")
    assert storage.length(key) == 7
    with storage.open(key) as stream:
        assert stream.read() == b"content"
    assert storage.local_path(key) == f"{storage.root}/objects/{key[:2]}/{key}"


def test_what_is_not_there_has_no_length_and_does_not_open(storage: LocalStorage) -> None:
    key = key_of(b"never written")
    assert storage.length(key) is None
    with pytest.raises(FileNotFoundError):
        storage.open(key)


def test_an_object_has_no_name_before_it_is_published(storage: LocalStorage) -> None:
    new = staged(storage, b"half")
    assert names_below(f"{storage.root}/objects") == set()
    storage.publish([(key_of(b"half"), new)])
    assert names_below(f"{storage.root}/objects") == {f"{key_of(b'half')[:2]}/{key_of(b'half')}"}


@posix
def test_objects_are_read_only_and_everything_is_for_the_owner_alone(storage: LocalStorage) -> None:
    (key,) = put(storage, b"private")
    path = storage.local_path(key)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o400
    folders = [os.path.dirname(path), f"{storage.root}/objects", f"{storage.root}/tmp"]
    assert [stat.S_IMODE(os.stat(folder).st_mode) for folder in folders] == [0o700] * 3
    own = storage.stage()
    assert stat.S_IMODE(os.stat(own.path).st_mode) == 0o400
    assert stat.S_IMODE(os.stat(os.path.dirname(own.path)).st_mode) == 0o700
    own.abandon()


def test_publishing_leaves_no_temporary_and_neither_does_abandoning(storage: LocalStorage) -> None:
    put(storage, b"one", b"two")
    storage.stage().abandon()
    assert not [name for name in names_below(f"{storage.root}/tmp") if not name.endswith(".lock")]
    storage.close()
    assert os.listdir(f"{storage.root}/tmp") == []


def test_an_object_is_not_overwritten(storage: LocalStorage) -> None:
    (key,) = put(storage, b"first")
    before = os.stat(storage.local_path(key)).st_ino
    storage.publish([(key, staged(storage, b"other"))])
    assert os.stat(storage.local_path(key)).st_ino == before
    with storage.open(key) as stream:
        assert stream.read() == b"first"
    assert not [name for name in names_below(f"{storage.root}/tmp") if not name.endswith(".lock")]


def test_an_object_that_is_to_be_replaced_is(storage: LocalStorage) -> None:
    (key,) = put(storage, b"whole")
    os.chmod(storage.local_path(key), 0o600)
    os.truncate(storage.local_path(key), 1)
    put(storage, b"whole", replacing=True)
    assert storage.length(key) == 5


@linux
def test_an_object_is_flushed_before_its_name_and_every_folder_after_it(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    new, key = staged(storage, b"content"), key_of(b"content")
    temporary = os.path.relpath(new.path, storage.root)
    folder = f"objects/{key[:2]}"
    calls = Recorder(storage, monkeypatch)
    storage.publish([(key, new)])
    assert calls.at("flush", temporary) < calls.last("rename", f"{folder}/{key}")
    assert calls.last("rename", f"{folder}/{key}") < calls.last("flush", folder)
    assert calls.at("mkdir", folder) < calls.last("flush", "objects")


@linux
def test_the_folders_of_a_found_object_are_flushed_all_the_way_to_the_root(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    (key,) = put(storage, b"there a moment ago")
    calls = Recorder(storage, monkeypatch)
    storage.publish([], found=[key])
    assert sorted(calls.calls) == [("flush", "objects"), ("flush", f"objects/{key[:2]}")]


@linux
def test_an_object_whose_folder_another_publisher_made_has_that_folder_flushed_too(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    new, key = staged(storage, b"content"), key_of(b"content")
    os.mkdir(f"{storage.root}/objects/{key[:2]}")
    calls = Recorder(storage, monkeypatch)
    storage.publish([(key, new)])
    assert calls.at("rename", f"objects/{key[:2]}/{key}") < calls.last("flush", "objects")


@linux
def test_many_objects_are_flushed_with_the_file_system_before_the_names_and_after(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = [b"%d" % i for i in range(40)]
    objects = [(key_of(content), staged(storage, content)) for content in contents]
    calls = Recorder(storage, monkeypatch)

    class Library:
        @staticmethod
        def syncfs(fd: int) -> int:
            calls.note("sync", os.readlink(f"/proc/self/fd/{fd}"))
            return 0

    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: Library)
    storage.publish(objects)
    order = [what for what, _ in calls.calls if what in ("sync", "rename")]
    assert (order[0], order[-1]) == ("sync", "sync")
    assert order.count("rename") >= len(objects)


@linux
def test_without_a_flush_of_the_file_system_each_file_is_flushed(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = [b"%d" % i for i in range(40)]
    objects = [(key_of(content), staged(storage, content)) for content in contents]
    temporaries = [os.path.relpath(new.path, storage.root) for _, new in objects]
    calls = Recorder(storage, monkeypatch)
    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: object())
    storage.publish(objects)
    first_rename = min(i for i, (what, _) in enumerate(calls.calls) if what == "rename")
    assert all(calls.at("flush", temporary) < first_rename for temporary in temporaries)
    assert {name for what, name in calls.calls[first_rename:] if what == "flush"} >= {
        f"objects/{key[:2]}" for key, _ in objects
    }


@linux
def test_a_flush_that_fails_publishes_nothing(storage: LocalStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    new, key = staged(storage, b"content"), key_of(b"content")

    def fails(fd: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(StorageError, match="input/output error"):
        storage.publish([(key, new)])
    assert storage.length(key) is None


def test_a_full_disk_is_called_one(storage: LocalStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    new = storage.stage()

    def fails(fd: int, part: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", fails)
    with pytest.raises(StorageError, match="its disk is full; make room"):
        new.write(b"content")
    new.abandon()


def test_what_cannot_be_removed_any_more_hides_no_error(storage: LocalStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    new = staged(storage, b"content")

    def fails(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), new.path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", fails)
        patch.setattr(os, "fsync", fails)
        with pytest.raises(StorageError, match="it is not yours to write"):
            try:
                storage.publish([(key_of(b"content"), new)])
            finally:
                new.abandon()
    storage.close()
    assert names_below(storage.root) == {MARK}


def test_a_close_that_tells_of_a_full_disk_is_an_error_of_the_store(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = storage.stage()
    close = os.close

    def fails(fd: int) -> None:
        close(fd)
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    with monkeypatch.context() as patch:
        patch.setattr(os, "close", fails)
        with pytest.raises(StorageError, match="your disk quota is used up"):
            new.close()
    new.abandon()


def test_a_write_that_takes_only_a_part_is_continued(storage: LocalStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, part: write(fd, part[:3]))
    (key,) = put(storage, b"more than three bytes")
    with storage.open(key) as stream:
        assert stream.read() == b"more than three bytes"


def test_a_store_that_goes_away_half_way_is_an_error_and_is_not_made_again(
    storage: LocalStorage, tmp_path: Path
) -> None:
    new = staged(storage, b"content")
    os.rename(storage.root, tmp_path / "elsewhere")
    with pytest.raises(StorageError, match="still mounted"):
        storage.publish([(key_of(b"content"), new)])
    with pytest.raises(StorageError, match="still mounted"):
        storage.stage()
    assert not os.path.exists(storage.root)
    other = LocalStorage(storage.root)
    with pytest.raises(StorageError, match="still mounted"):
        other.stage()
    assert not os.path.exists(storage.root)


def test_an_unmounted_store_leaves_its_mount_point_as_it_is(storage: LocalStorage, tmp_path: Path) -> None:
    new = staged(storage, b"content")
    os.rename(storage.root, tmp_path / "elsewhere")
    os.mkdir(storage.root)
    with pytest.raises(StorageError):
        storage.publish([(key_of(b"content"), new)])
    with pytest.raises(StorageError):
        LocalStorage(storage.root).stage()
    assert os.listdir(storage.root) == []


@pytest.mark.parametrize("listed", ["objects", "receipts"])
@pytest.mark.parametrize("leaves_mount_point", [True, False])
def test_a_store_that_goes_away_while_it_is_listed_does_not_look_as_if_it_held_less(
    storage: LocalStorage, tmp_path: Path, listed: str, leaves_mount_point: bool
) -> None:
    storage.publish([(key_of(content), staged(storage, content)) for content in (b"one", b"two", b"three")])
    storage.append_receipts(b"one\ntwo\n")
    found = getattr(storage, listed)()
    next(found)

    (tmp_path / "store").rename(tmp_path / "elsewhere")
    if leaves_mount_point:
        (tmp_path / "store").mkdir()

    with pytest.raises(StorageError, match="is its disk still mounted"):
        list(found)


def test_temporaries_of_the_dead_are_swept_and_those_of_the_living_are_kept(storage: LocalStorage) -> None:
    killed = """
import os, signal, sys
from dam_fs.storage import LocalStorage
LocalStorage(sys.argv[1]).stage().write(b"never published")
os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", killed, storage.root], check=False)
    (dead,) = (name for name in os.listdir(f"{storage.root}/tmp") if not name.endswith(".lock"))

    alive = LocalStorage(storage.root)
    kept = staged(alive, b"on its way")
    assert dead not in os.listdir(f"{storage.root}/tmp")
    mine = staged(storage, b"mine")
    assert os.path.exists(kept.path)
    assert os.path.exists(mine.path)
    assert len(os.listdir(f"{storage.root}/tmp")) == 4  # two folders, two locks
    alive.publish([(key_of(b"on its way"), kept)])
    alive.close()
    storage.publish([(key_of(b"mine"), mine)])
    assert storage.length(key_of(b"on its way")) == 10


def test_temporaries_that_somebody_else_has_locked_away_stop_nobody(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave(storage, "999-deadbeef", "998-deadbeef")
    theirs, opened = f"{storage.root}/tmp/999-deadbeef.lock", os.open

    def refusing(path: str, *options: Any, **more: Any) -> int:
        if str(path) == theirs:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return opened(path, *options, **more)

    monkeypatch.setattr(os, "open", refusing)
    other = LocalStorage(storage.root)
    found = other.abandoned()
    assert "999-deadbeef" not in {os.path.basename(each.path) for each in found}
    other.sweep([*found, Abandoned(theirs.removesuffix(".lock"), 0, 0.0)])
    put(storage, b"content")
    assert os.path.exists(theirs)
    assert "998-deadbeef" not in os.listdir(f"{storage.root}/tmp")


def test_temporaries_without_a_lock_file_are_collected_too(storage: LocalStorage) -> None:
    leave(storage, "999-deadbeef", "998-deadbeef")
    os.unlink(f"{storage.root}/tmp/999-deadbeef.lock")
    mine = staged(storage, b"mine")
    leave(storage, "999-deadbeef")
    os.unlink(f"{storage.root}/tmp/999-deadbeef.lock")
    before = sorted(os.listdir(f"{storage.root}/tmp"))
    found = storage.abandoned()
    assert [os.path.basename(each.path) for each in found] == ["999-deadbeef"]
    assert sorted(os.listdir(f"{storage.root}/tmp")) == before
    assert storage.sweep(found) == found
    assert sorted(os.listdir(f"{storage.root}/tmp")) == sorted(set(before) - {"999-deadbeef"})
    assert os.path.exists(mine.path)


def test_temporaries_that_cannot_be_removed_are_tried_again(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave(storage, "999-deadbeef")
    found = storage.abandoned()
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", lambda *_, **__: None)
        assert storage.sweep(found) == []
    assert storage.sweep(storage.abandoned()) == found
    assert os.listdir(f"{storage.root}/tmp") == []


def leave(storage: LocalStorage, *names: str) -> None:
    """What a process left that was killed."""
    for name in names:
        os.makedirs(f"{storage.root}/tmp/{name}")
        open(f"{storage.root}/tmp/{name}.lock", "w").close()


def test_of_many_that_create_one_store_all_get_the_same_id(tmp_path: Path) -> None:
    start = Barrier(8)

    def create(_: int) -> str:
        start.wait()
        return LocalStorage(str(tmp_path / "store")).create()

    with ThreadPoolExecutor(8) as pool:
        ids = set(pool.map(create, range(8)))
    assert ids == {LocalStorage(str(tmp_path / "store")).read_id()}
    assert sorted(os.listdir(tmp_path / "store")) == [MARK, "objects"]


@linux
def test_a_store_can_be_made_on_a_file_system_without_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def link(_source: str, target: str) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM), target)

    monkeypatch.setattr(os, "link", link)
    made = LocalStorage(str(tmp_path / "store")).create()
    assert LocalStorage(str(tmp_path / "store")).create() == made
    assert sorted(os.listdir(tmp_path / "store")) == [MARK, "objects"]


@posix
def test_a_store_that_cannot_be_made_leaves_no_temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def link(_source: str, target: str) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO), target)

    monkeypatch.setattr(os, "link", link)
    with pytest.raises(StorageError, match="input/output error"):
        LocalStorage(str(tmp_path / "store")).create()
    assert os.listdir(tmp_path / "store") == ["objects"]


def test_creating_a_store_again_keeps_its_id_and_its_objects(storage: LocalStorage) -> None:
    (key,) = put(storage, b"kept")
    assert LocalStorage(storage.root).create() == storage.read_id()
    assert storage.length(key) == 4


def test_two_stores_have_different_ids(tmp_path: Path, storage: LocalStorage) -> None:
    assert LocalStorage(str(tmp_path / "other")).create() != storage.read_id()


def test_a_folder_that_is_no_store_has_no_id(tmp_path: Path) -> None:
    assert LocalStorage(str(tmp_path)).read_id() is None
    assert LocalStorage(str(tmp_path / "nothing")).read_id() is None


@pytest.mark.parametrize("damage", [
    b"", b"{", b"[]", b'{"format": 1}', b"\xff\xfe", b"null", b'{"store": null}', b'{"store": "%s"}' % (b"x" * 37),
    b'{"store": ""}', b'{"store": "a\\u001b[2J"}', b"[" * 1_000_000, b" " * 1_000_000 + b'{"store": "a"}',
], ids=range(12))  # fmt: skip
def test_a_damaged_mark_is_an_error_and_stays_as_it_is(storage: LocalStorage, damage: bytes) -> None:
    with open(f"{storage.root}/{MARK}", "wb") as mark:
        mark.write(damage)
    for asked in (storage.read_id, storage.create):
        with pytest.raises(StorageError, match="is damaged"):
            asked()
    with open(f"{storage.root}/{MARK}", "rb") as mark:
        assert mark.read() == damage


def test_a_store_is_empty_until_its_first_object(storage: LocalStorage, tmp_path: Path) -> None:
    assert LocalStorage(str(tmp_path / "nothing")).is_empty()
    assert storage.is_empty()
    put(storage, b"first")
    assert not storage.is_empty()


@linux
def test_the_name_of_the_receipts_is_flushed_by_whoever_appends_for_the_first_time(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.append_receipts(b"{}\n")  # another process may have been killed before it flushed the name
    second = LocalStorage(storage.root)
    calls = Recorder(storage, monkeypatch)
    second.append_receipts(b"{}\n")
    names = {call for call in calls.calls if call in (("flush", "receipts"), ("flush", "."))}
    assert names == {("flush", "receipts"), ("flush", ".")}
    del calls.calls[:]
    second.append_receipts(b"{}\n")
    assert not {("flush", "receipts"), ("flush", ".")} & set(calls.calls)


@linux
def test_every_folder_that_is_made_for_a_store_has_its_name_flushed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = LocalStorage(str(tmp_path / "one" / "two" / "store"))
    calls = Recorder(new, monkeypatch)
    new.create()
    made = [path for what, path in calls.calls if what == "mkdir"]
    assert made == ["../..", "..", ".", "objects"]
    for path in made:
        parent = os.path.normpath(os.path.join(path, "..")) if path != "objects" else "."
        assert calls.at("mkdir", path) < calls.last("flush", parent), path


def test_what_only_has_the_name_of_an_object_is_none(storage: LocalStorage) -> None:
    (key,) = put(storage, b"an object")
    folder = f"{storage.root}/objects/{key[:2]}"
    os.mkdir(f"{folder}/{key[:2]}{'0' * 62}")
    os.symlink(key, f"{folder}/{key[:2]}{'1' * 62}")
    free = next(name for name in ("00", "01") if name != key[:2])
    with open(f"{storage.root}/objects/{free}", "w") as file:
        file.write("no folder")
    assert [found.key for found in storage.objects()] == [key]


# -- a store that somebody else has made

LOSES_ITS_BYTES = b"what the link leads to may be gone tomorrow"


def plant(storage: LocalStorage, key: str, kind: str, elsewhere: Path) -> str:
    """Something else than a file where an object should be."""
    path = storage.local_path(key)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if kind == "a link":
        elsewhere.write_bytes(LOSES_ITS_BYTES)
        os.symlink(elsewhere, path)
    else:
        os.mkfifo(path)
    return path


@posix
@pytest.mark.parametrize("kind", ["a link", "a pipe"])
def test_what_has_the_name_of_an_object_and_is_no_file_is_none_and_makes_room(
    storage: LocalStorage, tmp_path: Path, kind: str
) -> None:
    key = key_of(LOSES_ITS_BYTES)
    path = plant(storage, key, kind, tmp_path / "elsewhere")
    assert storage.length(key) is None
    with pytest.raises(NotRegularError, match="not a regular file"):
        storage.open(key)
    put(storage, LOSES_ITS_BYTES)
    assert stat.S_ISREG(os.lstat(path).st_mode)
    with storage.open(key) as stream:
        assert stream.read() == LOSES_ITS_BYTES


@posix
def test_nothing_is_written_through_links_out_of_the_store(storage: LocalStorage, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    root = storage.root
    os.symlink(elsewhere, f"{root}/objects/{key_of(b'x')[:2]}")
    with pytest.raises(StorageError, match="is a link, which may lead out of the store"):
        put(storage, b"x")
    with pytest.raises(StorageError, match="is a link"):
        storage.remove([key_of(b"x")])
    os.symlink(elsewhere, f"{root}/receipts")
    with pytest.raises(StorageError, match="is a link"):
        storage.append_receipts(b"{}\n")
    assert not os.listdir(elsewhere)


@posix
def test_a_store_whose_objects_are_linked_to_another_one_takes_nothing_from_it(
    storage: LocalStorage, tmp_path: Path
) -> None:
    (key,) = put(storage, b"of another world")
    linked = LocalStorage(str(tmp_path / "linked"))
    linked.create()
    os.rmdir(f"{linked.root}/objects")
    os.symlink(f"{storage.root}/objects", f"{linked.root}/objects")
    for use in (lambda: linked.remove([key]), lambda: list(linked.objects())):
        with pytest.raises(StorageError, match="objects is a link, which may lead out of the store"):
            use()
    assert storage.length(key) == 16


@posix
def test_nothing_is_swept_through_a_link(storage: LocalStorage, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    (theirs / "1-00000000").mkdir(parents=True)
    (theirs / "1-00000000.lock").touch()
    os.symlink(theirs, f"{storage.root}/tmp")
    same = Abandoned(f"{storage.root}/tmp/1-00000000", 0, 0.0)
    for use in (storage.abandoned, lambda: storage.sweep([same])):
        with pytest.raises(StorageError, match="tmp is a link"):
            use()
    assert sorted(os.listdir(theirs)) == ["1-00000000", "1-00000000.lock"]


@posix
def test_receipts_are_added_to_no_file_elsewhere_and_no_pipe_is_waited_for(
    storage: LocalStorage, tmp_path: Path
) -> None:
    storage.append_receipts(b"{}\n")
    (name,) = os.listdir(f"{storage.root}/receipts")
    path, elsewhere = f"{storage.root}/receipts/{name}", tmp_path / "elsewhere"
    elsewhere.touch()
    os.unlink(path)
    os.symlink(elsewhere, path)
    for use in (lambda: storage.append_receipts(b"{}\n"), lambda: list(storage.receipts())):
        with pytest.raises(StorageError):
            use()
    assert not elsewhere.read_bytes()
    os.unlink(path)
    os.mkfifo(path)
    for use in (lambda: storage.append_receipts(b"{}\n"), lambda: list(storage.receipts())):
        with pytest.raises(StorageError):
            use()


def test_a_file_of_receipts_without_line_ends_does_not_fill_the_memory(storage: LocalStorage) -> None:
    storage.append_receipts(b"first\n")
    (name,) = os.listdir(f"{storage.root}/receipts")
    with open(f"{storage.root}/receipts/{name}", "r+b") as file:
        file.truncate(64 << 20)
    longest = b"x" * (LONGEST_LINE - 1) + b"\n"
    storage.append_receipts(b"\nsecond\n" + longest + b"x" + longest + b"third\ntorn")
    tracemalloc.start()
    try:
        read = list(storage.receipts())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert read == [b"first\n", b"second\n", longest, b"third\n", b"torn"]
    assert peak < 16 << 20


@posix
def test_sweeping_removes_nothing_that_is_not_a_temporary(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "project").mkdir(parents=True)
    (elsewhere / "project.lock").touch()
    (elsewhere / "project" / "work").touch()
    linked, own = LocalStorage(str(tmp_path / "linked")), LocalStorage(str(tmp_path / "own"))
    linked.create()
    os.symlink(elsewhere, f"{linked.root}/tmp")
    with pytest.raises(StorageError, match="is a link"):
        linked.stage()
    own.create()
    os.rename(elsewhere, f"{own.root}/tmp")
    os.symlink(tmp_path / "kept", f"{own.root}/tmp/1-00000000.lock")
    own.stage().abandon()
    own.close()
    assert os.path.exists(f"{own.root}/tmp/project/work")
    assert not (tmp_path / "kept").exists()


@posix
def test_a_mark_that_is_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    storage = LocalStorage(str(tmp_path / "store"))
    storage.create()
    os.unlink(f"{storage.root}/{MARK}")
    os.mkfifo(f"{storage.root}/{MARK}")
    with pytest.raises(StorageError, match="not a regular file"):
        storage.read_id()


def test_a_folder_in_the_place_of_an_object_makes_room_if_it_is_empty(storage: LocalStorage) -> None:
    put(storage, b"content")
    path = storage.local_path(key_of(b"content"))
    os.unlink(path)
    os.mkdir(path)
    put(storage, b"content")
    with storage.open(key_of(b"content")) as stream:
        assert stream.read() == b"content"
    os.unlink(path)
    os.makedirs(f"{path}/mine")
    with pytest.raises(StorageError, match=key_of(b"content")):
        put(storage, b"content")


@pytest.mark.parametrize("key", ["../../victim", "/etc/passwd", "ab", "", "A" * 64])
def test_what_is_no_key_is_no_object(storage: LocalStorage, key: str) -> None:
    assert storage.length(key) is None
    storage.remove([key])
    with pytest.raises(FileNotFoundError):
        storage.open(key)
