"""What has to hold after a fault: what was told is so, nothing is half there, and the command run again brings all of it."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING

from homes import BrokenError, Done, Home, fresh
from scenes import Scene, State, Studio, must_be_receipted, must_be_whole, state_of

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence


@dataclass(frozen=True)
class Reference:
    """What a scene comes to when nothing happens: its end, how long it takes, and how often it reaches which fault point."""

    state: State
    seconds: float
    steps: Counter[str]


@cache
def references_of(studio: Studio) -> References:
    """The same for every kind of fault."""
    return References(studio)


class References:
    """Of each scene, made when it is first asked for."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._known: dict[str, Reference] = {}
        self._making = Lock()

    def of(self, scene: Scene) -> Reference:
        with self._making:
            if scene.name not in self._known:
                self._known[scene.name] = self._undisturbed(scene)
            return self._known[scene.name]

    def _undisturbed(self, scene: Scene) -> Reference:
        home, damaged = self._studio.home_for(scene)
        trace = fresh(self._studio.folder, "trace")
        began = time.monotonic()
        done = home.run(*scene.command(self._studio, home), DAM_FAULT=f"trace {trace}")
        seconds = time.monotonic() - began
        if done.code:
            raise BrokenError(f"{scene.name} ended with {done.code}: {done.said[-800:]}")
        must_hold(scene, home, damaged, done)
        reference = Reference(state_of(home), seconds, Counter(trace.read_text().split()))
        must_be_clean(home)
        home.remove()
        return reference


def must_hold(scene: Scene, home: Home, damaged: Collection[str], done: Done) -> None:
    """Nothing is half there, and what was told is so."""
    must_be_whole(home, damaged)
    if home.tables or done.items:
        scene.told(home, done.items)


def must_complete(
    scene: Scene, home: Home, command: Sequence[str], damaged: Collection[str], reference: Reference
) -> None:
    """The same command again comes to its end, and to the same end as if nothing had happened."""
    again = home.run(*command)
    if not scene.is_complete(again):
        raise BrokenError(f"{home.folder}: run again it ended with {again.code}: {again.told[-1:]} {again.said[-800:]}")
    must_be_whole(home, damaged)
    if found := state_of(home).differences(reference.state):
        raise BrokenError(f"{home.folder}: run again it came to something else: {found}")
    if scene.receipted:
        must_be_receipted(home)
    must_be_clean(home)


def must_be_clean(home: Home) -> None:
    """``verify`` finds nothing, and ``gc`` leaves everything that is needed, whatever it calls unknown, and nothing else."""
    found = home.run("verify")
    if found.code:
        raise BrokenError(f"{home.folder}: verify ended with {found.code}: {found.told[-4:]} {found.said[-500:]}")
    home.must("gc", "--grace", "0s", "--named")
    must_be_whole(home)
    needed = {row[0] for row in state_of(home).places if row[2] == "cas"}
    if left := set(home.objects()) - needed:
        raise BrokenError(f"{home.folder}: gc left what nobody needs: {sorted(left)[:3]}")
    if temporaries := list(home.store.glob("tmp/*")):
        raise BrokenError(f"{home.folder}: temporaries stayed: {temporaries[:3]}")
