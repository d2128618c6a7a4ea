from __future__ import annotations

import hashlib
import os
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from dam_fs.intake import CHUNK, ChangedWhileReadError, StoppedError, Taken, take
from dam_fs.regular import NotRegularError
from dam_fs.scan import Found
from dam_fs.storage import LocalStorage, Staged

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

posix = pytest.mark.skipif(sys.platform == "win32", reason="pipes and links are POSIX")


@dataclass
class MeddlingStaged(Staged):
    meddle: Callable[[], None] = lambda: None
    writes: int = 0

    def write(self, part: memoryview | bytes) -> None:
        super().write(part)
        self.writes += 1
        assert self.writes < 20, "it reads for ever"
        self.meddle()


class MeddlingStorage(LocalStorage):
    """Does something to the file each time that a part of it was written; counts what was staged."""

    def __init__(self, root: str) -> None:
        super().__init__(root)
        self.meddle: Callable[[], None] = lambda: None
        self.staged = 0

    def stage(self) -> Staged:
        self.staged += 1
        new = super().stage()
        return MeddlingStaged(new.path, new.fd, self.meddle)


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[MeddlingStorage]:
    storage = MeddlingStorage(str(tmp_path / "store"))
    storage.create()
    yield storage
    storage.close()


def found(path: Path) -> Found:
    status = path.stat()
    return Found(str(path), str(path), status.st_size, status.st_mtime_ns)


def file(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "file"
    path.write_bytes(content)
    return path


def once(meddle: Callable[[], object]) -> Callable[[], None]:
    left = [meddle]

    def first_time() -> None:
        if left:
            left.pop()()

    return first_time


def is_staged(taken: Taken, content: bytes) -> bool:
    """Compared here and not by ``assert``, which would explain at length how millions of bytes differ."""
    if taken.staged is None:
        return False
    with open(taken.staged.path, "rb") as staged:
        return staged.read() == content and hashlib.sha256(content).digest() == taken.sha256


def temporaries(storage: LocalStorage) -> list[str]:
    below = f"{storage.root}/tmp"
    return [name for at, _, names in os.walk(below) for name in names if not name.endswith(".lock")]


@pytest.mark.parametrize("size", [0, 1, 1000, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK + 17])
def test_one_reading_gives_digests_and_the_staged_copy_whatever_the_size(
    storage: MeddlingStorage, tmp_path: Path, size: int
) -> None:
    content = os.urandom(size)
    path = file(tmp_path, content)
    taken = take(found(path), storage)
    assert (taken.sha256, taken.md5) == (hashlib.sha256(content).digest(), hashlib.md5(content).digest())
    assert (taken.path, taken.size, taken.mtime_ns) == (str(path), size, path.stat().st_mtime_ns)
    assert is_staged(taken, content)


def test_an_empty_file_has_a_type_of_its_own(storage: MeddlingStorage, tmp_path: Path) -> None:
    assert take(found(file(tmp_path, b"")), storage).media_type == "application/x-empty"


def test_the_name_that_counts_is_that_of_the_link(storage: MeddlingStorage, tmp_path: Path) -> None:
    target = file(tmp_path, b"# heading\n")
    link = found(target)._replace(path=str(tmp_path / "notes.md"))
    taken = take(link, storage)
    assert (taken.media_type, taken.path, taken.opened) == ("text/markdown", str(tmp_path / "notes.md"), str(target))


def test_without_a_storage_nothing_is_staged(tmp_path: Path) -> None:
    taken = take(found(file(tmp_path, b"content")), None)
    assert (taken.staged, taken.sha256) == (None, hashlib.sha256(b"content").digest())


def publish(storage: LocalStorage, content: bytes) -> None:
    new = storage.stage()
    new.write(content)
    new.close()
    storage.publish([(hashlib.sha256(content).hexdigest(), new)])


@pytest.mark.parametrize(("size", "times"), [(0, 0), (1000, 0), (CHUNK + 1, 1)])
def test_content_that_is_stored_is_not_kept_twice_and_small_content_not_even_written(
    storage: MeddlingStorage, tmp_path: Path, size: int, times: int
) -> None:
    content = os.urandom(size)
    publish(storage, content)
    storage.staged = 0
    taken = take(found(file(tmp_path, content)), storage)
    assert (taken.staged, storage.staged) == (None, times)
    assert temporaries(storage) == []


def test_content_whose_object_is_too_short_is_staged(storage: MeddlingStorage, tmp_path: Path) -> None:
    publish(storage, b"content")
    path = storage.local_path(hashlib.sha256(b"content").hexdigest())
    os.chmod(path, 0o600)
    os.truncate(path, 3)
    assert is_staged(take(found(file(tmp_path, b"content")), storage), b"content")


def test_content_that_is_stored_is_staged_all_the_same_when_that_is_forced(
    storage: MeddlingStorage, tmp_path: Path
) -> None:
    publish(storage, b"content")
    assert is_staged(take(found(file(tmp_path, b"content")), storage, force=True), b"content")


def append(path: Path, content: bytes = b"more") -> None:
    with path.open("ab") as stream:
        stream.write(content)


def rewrite(path: Path, content: bytes) -> None:
    """In place, with a time of its own: clocks of file systems are coarse."""
    path.write_bytes(content)
    os.utime(path, ns=(1, 1))


@pytest.mark.parametrize("size", [100, CHUNK + 100])
def test_a_file_that_grows_while_it_is_read_is_read_once_more(
    storage: MeddlingStorage, tmp_path: Path, size: int
) -> None:
    path = file(tmp_path, b"x" * size)
    storage.meddle = once(lambda: append(path))
    taken = take(found(path), storage)
    assert is_staged(taken, b"x" * size + b"more")
    assert (taken.size, taken.mtime_ns) == (size + 4, path.stat().st_mtime_ns)
    assert len(temporaries(storage)) == 1


def test_a_file_that_shrinks_while_it_is_read_is_read_once_more(storage: MeddlingStorage, tmp_path: Path) -> None:
    path = file(tmp_path, b"x" * 3 * CHUNK)
    storage.meddle = once(lambda: os.truncate(path, 10))
    assert is_staged(take(found(path), storage), b"x" * 10)
    assert len(temporaries(storage)) == 1


def test_a_file_that_is_rewritten_with_the_same_length_while_it_is_read_is_read_once_more(
    storage: MeddlingStorage, tmp_path: Path
) -> None:
    path = file(tmp_path, b"x" * (CHUNK + 1))
    storage.meddle = once(lambda: rewrite(path, b"y" * (CHUNK + 1)))
    assert is_staged(take(found(path), storage), b"y" * (CHUNK + 1))


def test_of_a_file_that_is_replaced_while_it_is_read_one_of_the_two_is_taken_whole(
    storage: MeddlingStorage, tmp_path: Path
) -> None:
    path, other = file(tmp_path, b"x" * (CHUNK + 1)), tmp_path / "other"
    other.write_bytes(b"y" * 10)
    storage.meddle = once(lambda: other.replace(path))
    taken = take(found(path), storage)
    assert is_staged(taken, b"x" * (CHUNK + 1)) or is_staged(taken, b"y" * 10)


def test_a_file_that_was_replaced_after_the_scan_is_taken_as_it_is_now(
    storage: MeddlingStorage, tmp_path: Path
) -> None:
    path = file(tmp_path, b"when it was found")
    seen = found(path)
    rewrite(path, b"now")
    taken = take(seen, storage)
    assert is_staged(taken, b"now")
    assert (taken.size, taken.mtime_ns) == (3, 1)


def test_a_file_that_changes_each_time_fails_and_leaves_nothing(storage: MeddlingStorage, tmp_path: Path) -> None:
    path = file(tmp_path, b"x")
    storage.meddle = lambda: append(path)
    with pytest.raises(ChangedWhileReadError, match="it changed while it was read, twice"):
        take(found(path), storage)
    assert storage.staged == 2
    assert temporaries(storage) == []


def test_a_file_that_grows_as_fast_as_it_is_read_does_not_keep_the_reader(
    storage: MeddlingStorage, tmp_path: Path
) -> None:
    path = file(tmp_path, b"x" * CHUNK)
    storage.meddle = lambda: append(path, b"x" * CHUNK)
    with pytest.raises(ChangedWhileReadError):
        take(found(path), storage)


def outcome_of(work: Callable[[], object]) -> object:
    """What it returned or raised, in a thread that may be left hanging."""
    outcome: list[object] = []

    def attempt() -> None:
        try:
            outcome.append(work())
        except Exception as e:  # noqa: BLE001  handed on
            outcome.append(e)

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(30)
    assert not thread.is_alive(), "it hangs"
    return outcome[0]


@posix
def test_a_pipe_that_took_the_place_of_a_file_does_not_hang(storage: MeddlingStorage, tmp_path: Path) -> None:
    path = file(tmp_path, b"x")
    seen = found(path)
    path.unlink()
    os.mkfifo(path)
    assert isinstance(outcome_of(lambda: take(seen, storage)), NotRegularError)


@posix
@pytest.mark.parametrize("target", ["/dev/zero", "/etc/passwd"])
def test_a_link_that_took_the_place_of_a_file_is_not_followed(
    storage: MeddlingStorage, tmp_path: Path, target: str
) -> None:
    path = file(tmp_path, b"x")
    seen = found(path)
    path.unlink()
    path.symlink_to(target)
    assert isinstance(outcome_of(lambda: take(seen, storage)), OSError)


@posix
def test_a_folder_that_took_the_place_of_a_file_is_not_read(storage: MeddlingStorage, tmp_path: Path) -> None:
    path = file(tmp_path, b"x")
    seen = found(path)
    path.unlink()
    path.mkdir()
    assert isinstance(outcome_of(lambda: take(seen, storage)), NotRegularError)


def test_a_file_that_is_gone_is_an_error(storage: MeddlingStorage, tmp_path: Path) -> None:
    seen = found(file(tmp_path, b"x"))
    (tmp_path / "file").unlink()
    with pytest.raises(FileNotFoundError):
        take(seen, storage)


def test_reading_ends_between_two_parts_when_it_is_told_to_stop(storage: MeddlingStorage, tmp_path: Path) -> None:
    stop = threading.Event()
    storage.meddle = stop.set
    with pytest.raises(StoppedError):
        take(found(file(tmp_path, b"x" * (2 * CHUNK))), storage, stop=stop)
    assert temporaries(storage) == []


@posix
@pytest.mark.parametrize("year", [1, 1900, 1969, 2262, 2300, 9999])
def test_a_time_that_no_column_holds_becomes_the_nearest_that_one_does(
    storage: MeddlingStorage, tmp_path: Path, year: int
) -> None:
    path = file(tmp_path, b"x")
    os.utime(path, (0, (year - 1970) * 31_556_952))
    mtime_ns = take(found(path), storage).mtime_ns
    assert mtime_ns == min(max(path.stat().st_mtime_ns, -(2**63)), 2**63 - 1)
