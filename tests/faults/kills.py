"""SIGKILL at random moments and at every fault point of every command that changes a world."""

from __future__ import annotations

import random
import time
from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from homes import BrokenError, fresh
from scenes import SCENES, Scene, State, Studio, must_be_whole, state_of
from trials import Trial

if TYPE_CHECKING:
    from collections.abc import Iterator

    from homes import Home

KILLED = -9
RANDOM = 5  # moments of each scene, unless a number of trials is asked for


def kills(studio: Studio, count: int | None, seed: int) -> Iterator[Trial]:
    """A ``Kind``."""
    trials = Kills(studio)
    for kill in trials.plan(count, seed):
        yield Trial(str(kill), partial(trials.attempt, kill))


@dataclass(frozen=True)
class Reference:
    """What a scene comes to when nothing happens: its end, how long it takes, and how often it reaches which fault point."""

    state: State
    seconds: float
    steps: Counter[str]


@dataclass(frozen=True)
class Kill:
    """When a command is killed: after a share of its time, or when it reaches a step for the n-th time."""

    scene: Scene
    share: float = 0.0
    step: str = ""
    nth: int = 1

    def __str__(self) -> str:
        when = f"at {self.step} {self.nth}" if self.step else f"after {self.share:.2f} of its time"
        return f"{self.scene.name}, killed {when}"


class Kills:
    """Trials on one kind of database."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        self._references: dict[str, Reference] = {}

    def plan(self, count: int | None, seed: int) -> Iterator[Kill]:
        """Over all scenes: each step of each scene first, then random moments."""
        chance = random.Random(f"{seed} {self.studio.server.name}")
        for i, scene in enumerate(SCENES):
            if count is not None and not (count + len(SCENES) - 1 - i) // len(SCENES):
                continue
            steps = self.reference(scene).steps
            named = [Kill(scene, step=step, nth=chance.randint(1, times)) for step, times in sorted(steps.items())]
            share = len(named) + RANDOM if count is None else (count + len(SCENES) - 1 - i) // len(SCENES)
            chance.shuffle(named)
            yield from named[:share]
            for _ in range(share - len(named)):
                yield Kill(scene, share=chance.uniform(0.25, 1.0))

    def reference(self, scene: Scene) -> Reference:
        if scene.name not in self._references:
            self._references[scene.name] = self._undisturbed(scene)
        return self._references[scene.name]

    def _undisturbed(self, scene: Scene) -> Reference:
        home, damaged = self.studio.home_for(scene)
        trace = fresh(self.studio.folder, "trace")
        began = time.monotonic()
        done = home.run(*scene.command(self.studio, home), DAM_FAULT=f"trace {trace}")
        seconds = time.monotonic() - began
        if done.code:
            raise BrokenError(f"{scene.name} ended with {done.code}: {done.said[-800:]}")
        must_be_whole(home, damaged)
        scene.told(home, done.items)
        reference = Reference(state_of(home), seconds, Counter(trace.read_text().split()))
        self._must_be_clean(home)
        home.remove()
        return reference

    def attempt(self, kill: Kill) -> bool:
        """One trial; whether the command was killed before its end. Raises ``BrokenError``, and leaves the world then."""
        scene, reference = kill.scene, self.reference(kill.scene)
        home, damaged = self.studio.home_for(scene)
        command = scene.command(self.studio, home)
        if kill.step:
            running = home.start(*command, DAM_FAULT=f"kill {kill.step} {kill.nth}")
        else:
            running = home.start(*command)
            if not running.ends_within(kill.share * reference.seconds):
                running.kill()
        done = running.finish()
        must_be_whole(home, damaged)
        if home.tables:
            scene.told(home, done.items)
        again = home.run(*command)
        if not scene.is_complete(again):
            raise BrokenError(
                f"{home.folder}: run again it ended with {again.code}: {again.told[-1:]} {again.said[-800:]}"
            )
        must_be_whole(home, damaged)
        if found := state_of(home).differences(reference.state):
            raise BrokenError(f"{home.folder}: run again it came to something else: {found}")
        self._must_be_clean(home)
        home.remove()
        return done.code == KILLED

    def _must_be_clean(self, home: Home) -> None:
        """``verify`` finds nothing, and ``gc`` leaves everything that is needed and nothing else."""
        found = home.run("verify")
        unknown = {line["key"] for line in found.items if line["status"] == "unknown"}
        if found.code:
            raise BrokenError(f"{home.folder}: verify ended with {found.code}: {found.items[:3]} {found.said[-500:]}")
        before = set(home.objects())
        home.must("gc", "--grace", "0s", "--named")
        if lost := before - set(home.objects()) - unknown:
            raise BrokenError(f"{home.folder}: gc removed what was needed: {sorted(lost)[:3]}")
        if left := list(home.store.glob("tmp/*")):
            raise BrokenError(f"{home.folder}: temporaries stayed: {left[:3]}")
