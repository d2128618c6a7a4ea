"""Disks and clocks that fail: full, broken, read-only, no longer allowed, no longer there, and a clock that jumps.

After each, the command says clearly what happened, nothing is lost, and the same command comes to its end as soon as the fault is
gone. A command that ended well all the same has to have done everything.
"""

from __future__ import annotations

import errno
import os
import random
import re
import subprocess
from collections import Counter
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import shim
from after import must_complete, must_hold, references_of
from homes import WORLD, BrokenError, Done, Home, fresh
from scenes import SCENES, Scene, State, Studio, state_of
from trials import Trial

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

YEAR = 365 * 86400
CODES = Path(__file__).parents[2] / "docs" / "reference" / "exit-codes.md"

UNCLEAR = re.compile(r"\[Errno|Error\(|<class|sqlalche\.me|0x[0-9a-f]{6}|Background on")
"""What no user should have to read."""

BY_NAME = {scene.name: scene for scene in SCENES}
READING = (
    replace(BY_NAME["rm"], name="verify", command=lambda studio, home: ["verify"], told=BY_NAME["gc"].told),
    BY_NAME["export"],
    BY_NAME["analysis"],
    BY_NAME["repair"],
)
"""Those whose work is to read what is stored."""


@dataclass
class Struck:
    """A command that met a fault, and what became of it."""

    home: Home
    damaged: frozenset[str]
    command: list[str]
    done: Done
    met: bool
    may_spare: bool = False  # what should have gone may be there


@dataclass
class Disks:
    """Trials on one kind of database."""

    studio: Studio

    def __post_init__(self) -> None:
        self.references = references_of(self.studio)
        self._calls: dict[tuple[str, str, str], list[str]] = {}
        self._counting = Lock()

    # -- ways to strike

    def fail(self, scene: Scene, kinds: str, error: int, nth: int, *, within: str = "", **how: bool) -> bool:
        """The n-th call of some kinds below the world's folder fails."""
        home, damaged = self.studio.home_for(scene)
        struck = fresh(self.studio.folder, "struck")
        command = scene.command(self.studio, home)
        done = home.run(*command, **shim.failing(kinds, nth, error, struck, home.folder / within, **how))
        met = f"{shim.name_of(error)} from {nth} on" if how.get("persists") else f"{shim.name_of(error)} at {nth}"
        return self.judge(scene, Struck(home, damaged, command, done, bool(_first(struck))), f"{met}: {_first(struck)}")

    def calls(self, scene: Scene, kinds: str, *, within: str = "") -> list[str]:
        """The calls of some kinds that a command makes when nothing happens, as ``KIND PATH``."""
        key = scene.name, kinds, within
        with self._counting:
            if key not in self._calls:
                self._calls[key] = self._undisturbed(scene, kinds, within)
            return self._calls[key]

    def _undisturbed(self, scene: Scene, kinds: str, within: str) -> list[str]:
        home, _ = self.studio.home_for(scene)
        struck = fresh(self.studio.folder, "calls")
        variables = shim.failing(kinds, 0, errno.EIO, struck, home.folder / within)
        done = home.run(*scene.command(self.studio, home), **variables)
        if done.code not in scene.codes:
            raise BrokenError(f"{scene.name} ended with {done.code}: {done.said[-800:]}")
        home.remove()
        return [line.replace(str(home.folder), "") for line in struck.read_text().splitlines()]

    def interrupt(
        self,
        scene: Scene,
        step: str,
        nth: int,
        strike: Callable[[Home], Callable[[], None]],
        variables: Callable[[Home], dict[str, str]] = lambda home: {},
    ) -> bool:
        """The command waits at a fault point, while ``strike`` does something to its world; what that returns undoes it."""
        home, damaged = self.studio.home_for(scene)
        command = scene.command(self.studio, home)
        running = home.start(*command, DAM_FAULT=f"stop {step} {nth}", **variables(home))
        met = running.wait_until_stopped()
        undo = strike(home)
        if met:
            running.go_on()
        try:
            done = running.finish()
        finally:
            undo()
        return self.judge(scene, Struck(home, damaged, command, done, met), f"at {step} {nth}")

    # -- what has to hold

    def judge(self, scene: Scene, struck: Struck, what: str) -> bool:
        """Raises ``BrokenError``; whether the fault was met. The fault is gone by now."""
        home, done, reference = struck.home, struck.done, self.references.of(scene)
        try:
            if done.code in scene.codes:
                must_have_done(done, state_of(home), reference.state, may_spare=struck.may_spare)
            else:
                must_be_clear(done)
            must_hold(scene, home, struck.damaged, done)
            must_complete(scene, home, struck.command, struck.damaged, reference)
            must_be_tidy(home)
        except BrokenError as e:
            raise BrokenError(f"{scene.name}, {what}: {e} ({home.folder}); it had said {_error_of(done)}") from e
        home.remove()
        return struck.met

    def steps(self, scene: Scene) -> list[tuple[str, int]]:
        """The fault points of a scene, and how often it comes there."""
        return sorted(self.references.of(scene).steps.items())


def must_be_tidy(home: Home) -> None:
    """``gc`` has been here, and the next backup and the next restore sweep what an earlier one had to leave."""
    if list(home.folder.glob(".dam-*")):
        swept = home.folder / "swept"
        home.must("backup", swept)
        home.run(
            "backup", "restore", swept, DAM_WORLDS__TRIAL__DATABASE_URL=f"sqlite+aiosqlite:///{home.folder}/other.db"
        )
    if left := [*home.folder.glob(".dam-*"), *home.store.glob("dam-store.json.*")]:
        raise BrokenError(f"temporaries stayed: {left[:3]}")


def must_have_done(done: Done, state: State, wanted: State, *, may_spare: bool) -> None:
    """Objects that nobody needs may be left where that is told: the next deletion finishes it."""
    if state.objects > wanted.objects and (may_spare or any(line.get("reason") for line in done.items)):
        counts = Counter({name: count for name, count in state.counts.items() if name != "dam_fs_pending_release"})
        state = replace(state, objects=wanted.objects, counts=counts)
    if found := state.differences(wanted):
        raise BrokenError(f"it ended well, and did not do everything: {found}")


def must_be_clear(done: Done) -> None:
    """What a person can act upon, and the exit code that the docs promise."""
    error = _error_of(done)
    if error is None:
        told_of_items = any(line["status"] in ("failed", "deleted") and line.get("reason") for line in done.items)
        counted = any(line["type"] == "summary" and line.get("failed") for line in done.told)  # 'failures' says why
        if (done.code == 3 and (told_of_items or counted)) or (done.code == 5 and done.items):
            return
        raise BrokenError(f"it ended with {done.code}, and did not say why: {done.said[-500:]}")
    said = error["message"]
    if UNCLEAR.search(said) or ";" not in said:
        raise BrokenError(f"its error is not clear: {said}")
    wanted = exit_codes().get(error.get("code") or "", 1)
    if done.code not in (wanted, 3):
        raise BrokenError(f"it ended with {done.code}, and the docs promise {wanted} for {error['code']}")


@cache
def exit_codes() -> dict[str, int]:
    """Of each numbered error, as the docs have them."""
    rows = re.findall(r"^\| (\d+) \|.*$", CODES.read_text(), re.MULTILINE)
    lines = [line for line in CODES.read_text().splitlines() if re.match(r"\| \d+ \|", line)]
    return {code: int(row) for row, line in zip(rows, lines, strict=True) for code in re.findall(r"\[(DAM\d+)\]", line)}


def _error_of(done: Done) -> dict[str, Any] | None:
    return next((line for line in done.told if line["type"] == "error"), None)


def _first(struck: Path) -> str:
    return struck.read_text().partition("\n")[0] if struck.exists() else ""


# -- kinds

STORE = f"{WORLD}-store"


def full(studio: Studio, count: int | None, seed: int) -> Iterator[Trial]:
    """The disk is full from the n-th call on that needs room; and, where a small file system can be mounted, really is."""
    disks = Disks(studio)
    shim.library()

    def fail(scene: Scene, nth: int, chance: random.Random) -> bool:
        error = chance.choice([errno.ENOSPC, errno.ENOSPC, errno.EDQUOT])
        return disks.fail(scene, shim.GROWING, error, nth, persists=True, shortens=chance.random() < 0.5)

    if os.geteuid() == 0:
        scenes = SCENES if count is None else random.Random(seed).sample(SCENES, min(len(SCENES), count // 8))
        for scene in scenes:
            yield Trial(
                f"{scene.name} on a small disk",
                partial(on_a_small_disk, disks, scene, random.Random(f"{seed} {scene.name}")),
            )
        count = count if count is None else count - len(scenes)
    yield from _at_calls(disks, SCENES, shim.GROWING, fail, count, seed)


def broken(studio: Studio, count: int | None, seed: int) -> Iterator[Trial]:
    """EIO once or from then on: on writing and flushing, and on reading what is stored."""
    disks = Disks(studio)
    shim.library()
    objects = f"{STORE}/objects"

    def write(scene: Scene, nth: int, chance: random.Random) -> bool:
        return disks.fail(scene, "wf", errno.EIO, nth, persists=chance.random() < 0.5)

    def read(scene: Scene, nth: int, chance: random.Random) -> bool:
        return disks.fail(scene, "RO", errno.EIO, nth, within=objects, persists=chance.random() < 0.5)

    part = count and (count + 1) // 2
    yield from _at_calls(disks, SCENES, "wf", write, part, seed)
    yield from _at_calls(disks, READING, "RO", read, count and count - (part or 0), seed, within=objects)


def read_only(studio: Studio, count: int | None, seed: int) -> Iterator[Trial]:
    """The store, or all of the world's folder, cannot be written to: from the beginning, or from some call on."""
    disks = Disks(studio)
    shim.library()
    kinds = f"{shim.CHANGING}o"

    def fail(within: str, error: int, scene: Scene, nth: int, _: random.Random) -> bool:
        return disks.fail(scene, kinds, error, nth, within=within, persists=True)

    ways = [(within, error) for within in (STORE, "") for error in (errno.EROFS, errno.EACCES)]
    for i, (within, error) in enumerate(ways):
        scenes: Sequence[Scene] = SCENES
        rest: int | None = None
        if count is not None:
            part = count // len(ways) + (i < count % len(ways))
            scenes = random.Random(f"{seed} {i}").sample(SCENES, min(len(SCENES), part // 2))
            rest = part - len(scenes)
        for scene in scenes:
            what = f"{scene.name}, {within or 'all'} is {shim.name_of(error)} from the beginning"
            yield Trial(what, partial(fail, within, error, scene, 1, random.Random(0)))
        yield from _at_calls(disks, SCENES, kinds, partial(fail, within, error), rest, seed + i, within=within)


def permission(studio: Studio, count: int | None, seed: int) -> Iterator[Trial]:
    """Permission for the store or for all of the world is lost at a fault point; what is open stays open."""
    disks = Disks(studio)
    shim.library()

    def lose(scene: Scene, step: str, nth: int) -> bool:
        switch, struck = fresh(studio.folder, "switch"), fresh(studio.folder, "struck")

        def strike(_: Home) -> Callable[[], None]:
            switch.touch()
            return switch.unlink

        def variables(home: Home) -> dict[str, str]:
            within = random.Random(f"{seed} {scene.name} {step} {nth}").choice([home.folder, home.store])
            return shim.switched(shim.NAMING, errno.EACCES, switch, struck, within)

        return disks.interrupt(scene, step, nth, strike, variables) and bool(_first(struck))

    yield from _at_steps(disks, lose, count, seed)


def unmounted(studio: Studio, count: int | None, seed: int) -> Iterator[Trial]:
    """The store is gone while a command is at one of its fault points; in its place is nothing, or an empty folder."""
    disks = Disks(studio)

    def take_away(is_empty: bool, home: Home) -> Callable[[], None]:
        away = fresh(studio.folder, "unmounted")
        if not home.store.exists():
            return lambda: None
        home.store.rename(away)
        if is_empty:
            home.store.mkdir(0o755)

        def put_back() -> None:
            if made := sorted(home.store.rglob("*")):
                raise BrokenError(f"something was made where the store is not mounted: {made[:3]}")
            if home.store.exists() and not is_empty:
                raise BrokenError(f"{home.store} was made where the store is not mounted")
            if is_empty:
                home.store.rmdir()
            away.rename(home.store)

        return put_back

    def lose(scene: Scene, step: str, nth: int) -> bool:
        is_empty = random.Random(f"{seed} {scene.name} {step} {nth}").random() < 0.5
        return disks.interrupt(scene, step, nth, partial(take_away, is_empty))

    yield from _at_steps(disks, lose, count, seed)


def clock(studio: Studio, count: int | None, seed: int) -> Iterator[Trial]:
    """The clock on the wall jumps by years, forth and back."""
    disks = Disks(studio)
    shim.library()
    chance = random.Random(f"{seed} clock")
    beside = [
        Trial(f"gc a year later beside an ingest at {step}", partial(beside_an_ingest, disks, step))
        for step in ("objects.flushed", "objects.named", "objects.published", "receipts.flushed")
    ] + [Trial("the leases of an analysis run out at once", partial(beside_an_analysis, disks))]
    yield from beside if count is None else chance.sample(beside, min(len(beside), (count + 2) // 4))
    scenes = [*SCENES, READING[0]]
    for i in range(3 * len(scenes) if count is None else count - min(len(beside), (count + 2) // 4)):
        scene = scenes[i % len(scenes)] if count is None else chance.choice(scenes)
        jump = chance.choice([YEAR, -YEAR, 30 * YEAR, -30 * YEAR, 86400, -3600])
        yield Trial(f"{scene.name}, {jump} seconds", partial(_jump, disks, scene, chance.random(), jump))


def _jump(disks: Disks, scene: Scene, share: float, seconds: int) -> bool:
    """After a share of the times that the clock is looked at."""
    home, _ = disks.studio.home_for(scene)
    counted, struck = fresh(disks.studio.folder, "looks"), fresh(disks.studio.folder, "struck")
    home.run(*scene.command(disks.studio, home), **shim.jumping(0, 0, counted))
    looks = int(counted.read_text().split()[-1])
    home.remove()
    home, damaged = disks.studio.home_for(scene)
    command = scene.command(disks.studio, home)
    done = home.run(*command, **shim.jumping(1 + int(share * looks), seconds, struck))
    if done.code not in scene.codes:
        raise BrokenError(f"{scene.name} does not bear a clock that jumps by {seconds}: {done.code} {_error_of(done)}")
    looks_young = scene.name == "gc" and seconds < 0  # to a clock that went back
    met = Struck(home, damaged, command, done, bool(_first(struck)), looks_young)
    return disks.judge(scene, met, f"the clock jumped by {seconds}")


def beside_an_ingest(disks: Disks, step: str) -> bool:
    """To ``gc`` the objects of an ingest that goes on are a year old, and nobody's. Media, for no two of them are the same: which
    of two names comes first may change when their content is taken once more."""

    def collect(home: Home) -> Callable[[], None]:
        done = home.run("gc", "--grace", "1d", "--named", **shim.jumping(1, YEAR, fresh(disks.studio.folder, "struck")))
        if done.code:
            raise BrokenError(f"gc beside an ingest ended with {done.code}: {_error_of(done)} {done.said[-500:]}")
        return lambda: None

    return disks.interrupt(BY_NAME["media"], step, 1, collect)


def beside_an_analysis(disks: Disks) -> bool:
    """Two analyse the same, for one of them does not believe that the leases of the other one hold."""

    def analyse(home: Home) -> Callable[[], None]:
        command = BY_NAME["analysis"].command(disks.studio, home)
        done = home.run(*command, **shim.jumping(1, YEAR, fresh(disks.studio.folder, "struck")))
        if done.code:
            raise BrokenError(
                f"an analysis beside another ended with {done.code}: {_error_of(done)} {done.said[-500:]}"
            )
        return lambda: None

    return disks.interrupt(BY_NAME["analysis"], "analyses.computed", 1, analyse)


def on_a_small_disk(disks: Disks, scene: Scene, chance: random.Random) -> bool:
    """A file system in memory that has some room, and then more."""
    template, damaged = disks.studio.home_for(scene)
    at = fresh(disks.studio.folder, "small")
    at.mkdir()
    used = sum(path.stat().st_size + 4096 for path in template.folder.rglob("*"))
    room = used + (4096 << chance.randrange(9))
    mounting = ["mount", "-t", "tmpfs", "-o", f"size={room}", "dam-faults", str(at)]
    if subprocess.run(mounting, check=False, capture_output=True).returncode:
        template.remove()
        return False  # root without the right to mount, as in a container
    try:
        home = template.copied(at / "world")
        command = scene.command(disks.studio, home)
        done = home.run(*command)
        subprocess.run(["mount", "-o", f"remount,size={1 << 30}", at], check=True)
        return disks.judge(scene, Struck(home, damaged, command, done, done.code != 0), f"{room} bytes of room")
    finally:
        subprocess.run(["umount", at], check=True)
        template.remove()


# -- where to strike


def _at_calls(
    disks: Disks,
    scenes: Sequence[Scene],
    kinds: str,
    fail: Callable[[Scene, int, random.Random], bool],
    count: int | None,
    seed: int,
    *,
    within: str = "",
) -> Iterator[Trial]:
    """At random calls; or, without a count, at the first and the last call and one between of each sort of call on each sort of
    file."""

    def attempt(scene: Scene, chance: random.Random) -> bool:
        calls = disks.calls(scene, kinds, within=within)
        sort = chance.choice(sorted({_sort(call) for call in calls})) if calls else ""
        chosen = [nth for nth, call in enumerate(calls, 1) if _sort(call) == sort]
        return bool(chosen) and fail(scene, chance.choice(chosen), chance)

    if count is not None:
        chance = random.Random(f"{seed} {kinds}")
        for i in range(count):
            scene = chance.choice(scenes)
            yield Trial(f"{scene.name}, {i}", partial(attempt, scene, random.Random(f"{seed} {kinds} {i}")))
        return
    for scene in scenes:
        sorts: dict[str, list[int]] = {}
        for nth, call in enumerate(disks.calls(scene, kinds, within=within), 1):
            sorts.setdefault(_sort(call), []).append(nth)
        for sort, places in sorts.items():
            chance = random.Random(f"{seed} {scene.name} {sort}")
            for nth in sorted({places[0], chance.choice(places), places[-1]}):
                yield Trial(f"{scene.name}, {sort}, call {nth}", partial(fail, scene, nth, chance))


def _sort(call: str) -> str:
    """What it does, and the kind of file that it does it to."""
    return re.sub(r"[0-9a-f]{8,}|\d+", "N", re.sub(r"/[0-9a-f]{2}(?=/|$)", "/NN", call))


def _at_steps(disks: Disks, lose: Callable[[Scene, str, int], bool], count: int | None, seed: int) -> Iterator[Trial]:
    """At random fault points; or, without a count, at the first and the last time of each in each scene."""

    def attempt(scene: Scene, chance: random.Random) -> bool:
        step, times = chance.choice(disks.steps(scene))
        return lose(scene, step, chance.randint(1, times))

    if count is not None:
        chance = random.Random(f"{seed} steps")
        for i in range(count):
            scene = chance.choice(SCENES)
            yield Trial(f"{scene.name}, {i}", partial(attempt, scene, random.Random(f"{seed} steps {i}")))
        return
    for scene in SCENES:
        for step, times in disks.steps(scene):
            for nth in sorted({1, times}):
                yield Trial(f"{scene.name} at {step} {nth}", partial(lose, scene, step, nth))
