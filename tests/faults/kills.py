"""SIGKILL at random moments and at every fault point of every command that changes a world."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from after import must_complete, must_hold, references_of
from scenes import SCENES, Scene, Studio
from trials import Trial

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator, Sequence

    from homes import Done, Home

KILLED = -9
TYPICAL = 0.01  # seconds from a step to a random moment after it
AGAIN = 3
RANDOM = 5  # moments of each scene, unless a number of trials is asked for


def kills(studio: Studio, count: int | None, seed: int) -> Iterator[Trial]:
    """A ``Kind``."""
    trials = Kills(studio)
    for kill in trials.plan(count, seed):
        yield Trial(", then ".join(map(str, kill)), partial(trials.attempt, kill), AGAIN)


@dataclass(frozen=True)
class Kill:
    """When a command is killed: so long after it reached a step for the n-th time, or after a share of its time."""

    scene: Scene
    share: float = 0.0
    step: str = ""
    nth: int = 1
    seconds: float = 0.0

    def __str__(self) -> str:
        later = f"{self.seconds:.3f} s after" if self.seconds else "at"
        when = f"{later} {self.step} {self.nth}" if self.step else f"after {self.share:.2f} of its time"
        return f"{self.scene.name} killed {when}"


class Kills:
    """Trials on one kind of database."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        self._references = references_of(studio)

    def plan(self, count: int | None, seed: int) -> Iterator[list[Kill]]:
        """Over all scenes: each step of each scene first, then random moments. A command that was killed is run again, and killed
        again, ``AGAIN`` times in all."""
        chance = random.Random(f"{seed} {self.studio.server.name}")
        trials = None if count is None else -(-count // AGAIN)
        for i, scene in enumerate(SCENES):
            share = None if trials is None else trials // len(SCENES) + (i < trials % len(SCENES))
            if share == 0:
                continue
            steps = self._references.of(scene).steps
            first = [Kill(scene, step=step, nth=chance.randint(1, times)) for step, times in sorted(steps.items())]
            chance.shuffle(first)
            if share is None:
                share = len(first) + RANDOM
            for j in range(share):
                kill = first[j] if j < len(first) else self._at_random(scene, steps, chance)
                yield [kill, *(self._at_random(scene, steps, chance) for _ in range(AGAIN - 1))]

    def _at_random(self, scene: Scene, steps: Counter[str], chance: random.Random) -> Kill:
        if chance.random() < 0.25:
            return Kill(scene, share=chance.uniform(0.1, 0.9))
        step, times = chance.choice(sorted(steps.items()))
        return Kill(scene, step=step, nth=chance.randint(1, times), seconds=chance.expovariate(1 / TYPICAL))

    def attempt(self, kills: list[Kill]) -> int:
        """One trial; how often the command was killed before its end."""
        scene = kills[0].scene
        home, damaged = self.studio.home_for(scene)
        command = scene.command(self.studio, home)
        struck = 0
        for kill in kills:
            done = self._killed(kill, home, command)
            must_hold(scene, home, damaged, done)
            if done.code != KILLED:
                break
            struck += 1
        must_complete(scene, home, command, damaged, self._references.of(scene))
        home.remove()
        return struck

    def _killed(self, kill: Kill, home: Home, command: Sequence[str]) -> Done:
        if not kill.step:
            running = home.start(*command)
            running.kill_after(kill.share * self._references.of(kill.scene).seconds)
        elif not kill.seconds:
            running = home.start(*command, DAM_FAULT=f"kill {kill.step} {kill.nth}")
        else:
            running = home.start(*command, DAM_FAULT=f"stop {kill.step} {kill.nth}")
            if running.wait_until_stopped():
                running.go_on()
                running.kill_after(kill.seconds)
        return running.finish()
