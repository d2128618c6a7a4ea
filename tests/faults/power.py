"""Power loss: what a command did is recorded call by call, and at each flush a disk is made that has only what it has to have.

The model is that of POSIX, and more pessimistic than any file system. Data is on the disk when the file was flushed, names when
the folder was; everything else is there, or not, or torn at 512 bytes. A rename is one step where its old name is concerned: the
new name is there before the old one is gone.
"""

from __future__ import annotations

import errno
import json
import os
import random
import shutil
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, ClassVar

import shim
from after import must_complete, must_hold, references_of
from homes import BrokenError, Done, Home, fresh
from scenes import SCENES, Scene, Studio
from shim import Call
from trials import Trial

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

SECTOR = 512
FLUSHES = "fns"
"""Of a file, of the names in a folder, of a whole file system."""

FOUND_OUT = (("ingest", "s"), ("ingest", "f"), ("export", "n"), ("backup", "f"), ("backup", "n"))
"""Commands, and flushes that they must not do without: if that broke no promise, these trials would see nothing."""

MOMENTS = 10  # that are no flush, and
FAILED_FLUSHES = 8  # of each scene, unless a number of trials is asked for


@dataclass
class File:
    """``live`` is what processes see, ``flushed`` what is on the disk for certain; ``pending`` leads from the one to the other:
    when, where, and what was written, or ``None`` where the file got that length."""

    mode: int
    live: bytearray = field(default_factory=bytearray)
    flushed: bytes = b""
    pending: list[tuple[int, int, bytes | None]] = field(default_factory=list)

    def change(self, when: int, at: int, data: bytes | None) -> None:
        _change(self.live, at, data)
        self.pending.append((when, at, data))

    def flush(self) -> None:
        if self.pending:
            content = bytearray(self.flushed)
            for _, at, data in self.pending:
                _change(content, at, data)
            self.flushed = bytes(content)
            self.pending = []

    def lose(self) -> None:
        """A flush failed: the system takes what was pending for written, and no other flush will write it."""
        self.pending = []


@dataclass
class Entry:
    """A name that stands for something else from some moment on, or for nothing. ``after`` has to be on the disk before."""

    when: int
    folder: Folder
    name: str
    node: Node | None
    after: Entry | None = None


@dataclass
class Folder:
    """The same for names."""

    mode: int
    live: dict[str, Node] = field(default_factory=dict)
    flushed: dict[str, Node] = field(default_factory=dict)
    pending: list[Entry] = field(default_factory=list)

    def change(self, entry: Entry) -> None:
        _name(self.live, entry)
        self.pending.append(entry)

    def flush(self) -> None:
        for entry in [entry.after for entry in self.pending if entry.after]:
            entry.folder.flush_name(entry)
        for entry in self.pending:
            _name(self.flushed, entry)
        self.pending = []

    def lose(self) -> None:
        """Names that could not be flushed may come with the next flush."""

    def flush_name(self, last: Entry) -> None:
        """What one name went through, up to some moment."""
        for entry in [each for each in self.pending if each.name == last.name and each.when <= last.when]:
            _name(self.flushed, entry)
            self.pending.remove(entry)


Node = File | Folder


def _change(content: bytearray, at: int, data: bytes | None) -> None:
    end = at + len(data or b"")
    if end > len(content):
        content.extend(bytes(end - len(content)))
    if data is None:
        del content[at:]
    else:
        content[at:end] = data


def _name(names: dict[str, Node], entry: Entry) -> None:
    if entry.node is None:
        names.pop(entry.name, None)
    else:
        names[entry.name] = entry.node


class Disk:
    """What a folder holds, and what of it would be there without power. ``inodes`` are what the files of ``before``, a copy, had
    for numbers in the folder itself."""

    def __init__(self, root: Path, before: Path, inodes: dict[int, str]) -> None:
        self._root = f"{root}/"
        self.root = Folder(0o700)
        self._paths: dict[str, Node] = {"": self.root}
        for at, folders, files in os.walk(before):
            here = self._paths[_relative(at, before)]
            assert isinstance(here, Folder)
            for name in folders + files:
                path = Path(at, name)
                mode = path.lstat().st_mode & 0o777
                content = b"" if path.is_dir() else path.read_bytes()
                node = Folder(mode) if path.is_dir() else File(mode, bytearray(content), content)
                here.live[name] = here.flushed[name] = self._paths[_relative(path, before)] = node
        self._inodes = {number: self._paths[path] for number, path in inodes.items()}
        self._nodes = [*self._paths.values()]

    def replay(self, calls: Sequence[Call]) -> None:
        for when, call in enumerate(calls):
            self._STEPS[call.kind](self, when, call)

    def _make(self, when: int, call: Call, node: Node) -> None:
        folder, name = self._place(call.first)
        folder.change(Entry(when, folder, name, node))
        self._inodes[call.inode] = node
        self._nodes.append(node)

    def _create(self, when: int, call: Call) -> None:
        self._make(when, call, File(call.at & 0o777))

    def _mkdir(self, when: int, call: Call) -> None:
        self._make(when, call, Folder(call.at & 0o777))

    def _write(self, when: int, call: Call) -> None:
        self._file(call).change(when, call.at, call.first)

    def _resize(self, when: int, call: Call) -> None:
        self._file(call).change(when, call.at, None)

    def _unlink(self, when: int, call: Call) -> None:
        folder, name = self._place(call.first)
        folder.change(Entry(when, folder, name, None))

    def _link(self, when: int, call: Call) -> Entry:
        source, old = self._place(call.first)
        target, new = self._place(call.second)
        entry = Entry(when, target, new, source.live[old])
        target.change(entry)
        return entry

    def _rename(self, when: int, call: Call) -> None:
        linked = self._link(when, call)
        folder, name = self._place(call.first)
        folder.change(Entry(when, folder, name, None, linked))

    def _flush(self, when: int, call: Call) -> None:
        self._inodes[call.inode].flush()

    def _fail(self, when: int, call: Call) -> None:
        self._inodes[call.inode].lose()

    def _flush_all(self, when: int, call: Call) -> None:
        for node in self._nodes:
            node.flush()

    def _tell(self, when: int, call: Call) -> None:
        """Nothing that a disk would notice."""

    _STEPS: ClassVar[dict[str, Callable[[Disk, int, Call], object]]] = {
        "c": _create, "d": _mkdir, "w": _write, "t": _resize, "u": _unlink, "l": _link, "r": _rename,
        "f": _flush, "n": _flush, "s": _flush_all, "F": _fail, ">": _tell,
    }  # fmt: skip

    def _file(self, call: Call) -> File:
        node = self._inodes[call.inode]
        assert isinstance(node, File)
        return node

    def _place(self, path: bytes) -> tuple[Folder, str]:
        *folders, name = os.fsdecode(path).removeprefix(self._root).split("/")
        here: Node = self.root
        for folder in folders:
            assert isinstance(here, Folder)
            here = here.live[folder]
        assert isinstance(here, Folder)
        return here, name

    def has_pending(self) -> bool:
        return any(node.pending for node in self._nodes)

    def folders(self) -> list[Folder]:
        return [node for node in self._nodes if isinstance(node, Folder)]


# -- what may be left of it


@dataclass(frozen=True)
class Rest:
    """A way to lose what was not flushed: which names there are, and what a file holds."""

    names: Callable[[Folder], dict[str, Node]]
    content: Callable[[File], bytes]


def nothing(disk: Disk, chance: random.Random) -> Rest:
    return Rest(lambda folder: folder.flushed, lambda file: file.flushed)


def empty(disk: Disk, chance: random.Random) -> Rest:
    """Names, without the data."""
    return Rest(lambda folder: folder.live, lambda file: file.flushed)


def zeros(disk: Disk, chance: random.Random) -> Rest:
    """Names and lengths, without the data."""
    return Rest(lambda folder: folder.live, lambda file: file.flushed[: len(file.live)].ljust(len(file.live), b"\0"))


def torn(disk: Disk, chance: random.Random) -> Rest:
    """Any part of the names, and any part of the data."""
    last: dict[tuple[int, str], int] = {}
    pending = [entry for folder in disk.folders() for entry in folder.pending]
    for key, times in _times(pending).items():
        last[key] = chance.choice([-1, *times])
    changed = True
    while changed:
        changed = False
        for entry in pending:
            if entry.after and entry.when <= last[_key(entry)]:
                key = _key(entry.after)
                if last.get(key, entry.after.when) < entry.after.when:
                    last[key] = entry.after.when
                    changed = True
    return Rest(partial(_names_until, last.__getitem__), _tearing(chance))


def journal(disk: Disk, chance: random.Random) -> Rest:
    """Names as they were at some moment since, as journals keep them, and any part of the data."""
    times = [entry.when for folder in disk.folders() for entry in folder.pending]
    until = chance.choice([-1, *times])
    return Rest(partial(_names_until, lambda _: until), _tearing(chance))


RESTS = (nothing, empty, zeros, torn, journal)


def _key(entry: Entry) -> tuple[int, str]:
    return id(entry.folder), entry.name


def _times(entries: Iterable[Entry]) -> dict[tuple[int, str], list[int]]:
    found: dict[tuple[int, str], list[int]] = {}
    for entry in entries:
        found.setdefault(_key(entry), []).append(entry.when)
    return found


def _names_until(last: Callable[[tuple[int, str]], int], folder: Folder) -> dict[str, Node]:
    names = dict(folder.flushed)
    for entry in folder.pending:
        if entry.when <= last(_key(entry)):
            _name(names, entry)
    return names


def _tearing(chance: random.Random) -> Callable[[File], bytes]:
    share = chance.choice([0.1, 0.5, 0.9, 1.0])

    def content(file: File) -> bytes:
        found = bytearray(file.flushed)
        for _, at, data in file.pending:
            if data is None:
                if chance.random() < share:
                    _change(found, at, None)
                continue
            for place, part in _sectors(at, data):
                if chance.random() < share:
                    _change(found, place, part)
        return bytes(found)

    return content


def _sectors(at: int, data: bytes) -> Iterator[tuple[int, bytes]]:
    place = 0
    while place < len(data):
        end = min(len(data), place + SECTOR - (at + place) % SECTOR)
        yield at + place, data[place:end]
        place = end


def build(folder: Folder, rest: Rest, target: Path) -> None:
    """Makes a folder of it. What SQLite maps into memory is not recorded, and it makes it anew."""
    target.mkdir(mode=0o700)
    for name, node in rest.names(folder).items():
        path = target / name
        if isinstance(node, Folder):
            build(node, rest, path)
            path.chmod(node.mode)
        elif not name.endswith("-shm"):
            path.write_bytes(rest.content(node))
            path.chmod(node.mode)


# -- trials


@dataclass
class Recording:
    """What a scene's command did, and the folder that it did it to."""

    scene: Scene
    home: Home
    before: Path
    inodes: dict[int, str]
    damaged: Collection[str]
    command: list[str]
    calls: list[Call]

    def disk(self, cut: int, *, without: str = "") -> Disk:
        """At the moment of a call; ``without`` says which kinds of calls do nothing."""
        disk = Disk(self.home.folder, self.before, self.inodes)
        disk.replay([call for call in self.calls[:cut] if call.kind not in without])
        return disk

    def told(self, cut: int, folder: Path) -> Done:
        """What had been told by then, for the same world in another folder."""
        told = b"".join(call.first for call in self.calls[:cut] if call.kind == ">")
        lines = told.replace(os.fsencode(self.home.folder), os.fsencode(folder)).split(b"\n")
        return Done(0, [json.loads(line) for line in lines if line.endswith(b"}")], "")

    def command_in(self, folder: Path) -> list[str]:
        """The same one, for the same world in another folder: made anew it might name other assets."""
        return [word.replace(str(self.home.folder), str(folder)) for word in self.command]

    def forget(self) -> None:
        self.home.remove()
        shutil.rmtree(self.before, ignore_errors=True)

    def cuts(self) -> list[int]:
        """Before and after each flush, after each word, and at the end."""
        found = {len(self.calls)}
        for place, call in enumerate(self.calls):
            if call.kind in FLUSHES:
                found |= {place, place + 1}
            elif call.kind == ">":
                found.add(place + 1)
        return sorted(found)


class Losses:
    """Trials on one kind of database."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        self.references = references_of(studio)
        self.tried: Counter[str] = Counter()  # cuts and ways to lose, of each scene
        self._recordings: dict[str, Recording] = {}
        self._lock = Lock()

    def recording(self, scene: Scene) -> Recording:
        with self._lock:
            if scene.name not in self._recordings:
                self._recordings[scene.name] = self._undisturbed(scene)
            return self._recordings[scene.name]

    def _undisturbed(self, scene: Scene) -> Recording:
        recording, done = self.record(scene)
        if done.code not in scene.codes:
            raise BrokenError(f"{scene.name} ended with {done.code}: {done.said[-800:]}")
        must_explain(recording.disk(len(recording.calls)), recording.home.folder)
        return recording

    def record(self, scene: Scene, **variables: str) -> tuple[Recording, Done]:
        home, damaged = self.studio.home_for(scene)
        log = fresh(self.studio.folder, "calls")
        before = fresh(self.studio.folder, "before")
        shutil.copytree(home.folder, before)
        inodes = {path.lstat().st_ino: _relative(path, home.folder) for path in [home.folder, *home.folder.rglob("*")]}
        command = scene.command(self.studio, home)
        done = home.run(*command, **{**variables, **shim.recording(log, home.folder)})
        calls = list(shim.calls_in(log))
        log.unlink(missing_ok=True)
        return Recording(scene, home, before, inodes, damaged, command, calls), done

    def cut(self, scene: Scene, choice: int | random.Random, without: str = "") -> bool:
        """Loses power at one moment, in each way, and runs the command again after one of them. ``without`` are calls that are
        taken as not done."""
        recording = self.recording(scene)
        cut = (
            choice
            if isinstance(choice, int)
            else choice.choice([*recording.cuts(), choice.randrange(len(recording.calls))])
        )
        disk = recording.disk(cut, without=without)
        when = f"at call {cut} of {len(recording.calls)}"
        return self._lose(recording, disk, partial(recording.told, cut), when, completes=not without)

    def kill(self, scene: Scene, choice: tuple[str, int] | random.Random) -> bool:
        """Kills the command at a fault point, and then loses power: the database is on a server, and keeps what it has. Any
        moment after a commit is the moment of that commit to the store, which does nothing in between that could be lost."""
        if isinstance(choice, random.Random):
            step, times = choice.choice(sorted(self.references.of(scene).steps.items()))
            choice = step, choice.randint(1, times)
        recording, done = self.record(scene, DAM_FAULT=f"kill {choice[0]} {choice[1]}")
        disk = recording.disk(len(recording.calls))
        must_explain(disk, recording.home.folder)
        told = partial(recording.told, len(recording.calls))
        struck = self._lose(recording, disk, told, f"at {choice[0]} {choice[1]}") and done.code < 0
        recording.forget()
        return struck

    def fail(self, scene: Scene, chance: random.Random) -> bool:
        """Lets one flush fail, and loses power after the end: what was told by then must not have been in it."""
        flushes = sum(call.kind in FLUSHES for call in self.recording(scene).calls)
        nth, struck = chance.randint(1, flushes), fresh(self.studio.folder, "struck")
        recording, _ = self.record(scene, **shim.failing("f", nth, errno.EIO, struck, self.studio.folder))
        disk = recording.disk(len(recording.calls))
        self._lose(recording, disk, partial(recording.told, len(recording.calls)), f"after flush {nth} had failed")
        recording.forget()
        return struck.stat().st_size > 0

    def _lose(
        self, recording: Recording, disk: Disk, told: Callable[[Path], Done], when: str, *, completes: bool = True
    ) -> bool:
        """Makes what may be left, in each way, and runs the command again after one of them; whether there was anything to
        lose."""
        scene, chance = recording.scene, random.Random(f"{recording.scene.name} {when}")
        chosen = chance.choice(RESTS)
        for way in RESTS if disk.has_pending() else [chosen]:
            folder = fresh(self.studio.folder, scene.name)
            build(disk.root, way(disk, chance), folder)
            home = replace(recording.home, folder=folder)
            home = replace(home, database_url=home.server.copy(recording.home.database_url, folder))
            try:
                must_hold(scene, home, recording.damaged, told(folder))
                if way is chosen and completes:
                    must_complete(
                        scene, home, recording.command_in(folder), recording.damaged, self.references.of(scene)
                    )
            except BrokenError as e:
                raise BrokenError(f"{scene.name}, power lost {when}, left of it {way.__name__}: {e} ({folder})") from e
            home.remove()
            self.tried[scene.name] += 1
        return disk.has_pending()

    def close(self) -> None:
        for recording in self._recordings.values():
            recording.forget()


def must_explain(disk: Disk, folder: Path) -> None:
    """What was recorded comes to what is there: no call was missed."""
    there = {_relative(path, folder): path for path in folder.rglob("*") if not path.name.endswith("-shm")}
    known = {path: node for path, node in _walk(disk.root, "") if not path.endswith("-shm")}
    if missed := sorted({*there} ^ {*known}):
        raise BrokenError(f"the recorder missed what happened to {missed[:3]}")
    for name, node in known.items():
        if isinstance(node, File) and there[name].read_bytes() != node.live:
            raise BrokenError(f"the recorder missed what happened to the bytes of {name}")


def _walk(folder: Folder, path: str) -> Iterator[tuple[str, Node]]:
    for name, node in folder.live.items():
        yield f"{path}{name}", node
        if isinstance(node, Folder):
            yield from _walk(node, f"{path}{name}/")


def _relative(path: Path | str, root: Path) -> str:
    found = os.path.relpath(path, root)
    return "" if found == "." else found


def must_be_found_out(losses: Losses, scene: Scene, without: str) -> bool:
    """Without these flushes the command breaks a promise at some moment."""
    recording = losses.recording(scene)
    for cut in reversed(recording.cuts()):
        try:
            losses.cut(scene, cut, without)
        except BrokenError:
            return True
    raise BrokenError(f"{scene.name} without flushes ({without}) broke no promise: these trials see nothing")


def power(studio: Studio, count: int | None, seed: int) -> Iterator[Trial]:
    """Implements ``Kind``."""
    shim.library()
    losses = Losses(studio)
    lose = losses.cut if studio.server.name == "sqlite" else losses.kill
    chance = random.Random(f"{seed} {studio.server.name}")
    for name, without in FOUND_OUT if studio.server.name == "sqlite" else ():
        scene = next(each for each in SCENES if each.name == name)
        yield Trial(
            f"{name} without flushes ({without}) is found out", partial(must_be_found_out, losses, scene, without)
        )
    if count is not None:
        for i in range(count):
            scene, own = chance.choice(SCENES), random.Random(f"{seed} {i}")
            is_flush = studio.server.name == "sqlite" and i % 5 == 4
            yield Trial(f"{scene.name}, {i}", partial(losses.fail if is_flush else lose, scene, own))
        return
    for scene in SCENES:
        for choice in _moments(losses, scene):
            yield Trial(f"{scene.name}, {choice}", partial(lose, scene, choice))
        for i in range(FAILED_FLUSHES if studio.server.name == "sqlite" else 0):
            own = random.Random(f"{seed} {scene.name} {i}")
            yield Trial(f"{scene.name}, failed flush {i}", partial(losses.fail, scene, own))


def _moments(losses: Losses, scene: Scene) -> list[Any]:
    """All that a scene has."""
    if losses.studio.server.name == "sqlite":
        recording = losses.recording(scene)
        others = range(len(recording.calls))
        return recording.cuts() + random.Random(scene.name).sample(others, min(MOMENTS, len(others)))
    steps = losses.references.of(scene).steps
    return [(step, nth) for step, times in sorted(steps.items()) for nth in range(1, times + 1)]
