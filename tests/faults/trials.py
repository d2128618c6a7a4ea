"""What a kind of fault brings: trials, one after the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scenes import Studio


class UnavailableError(Exception):
    """This kind of fault cannot be made on this machine; says why."""


@dataclass(frozen=True)
class Trial:
    """One fault, or several. ``attempt`` says how many struck before the command was over. It raises ``BrokenError`` where a
    promise did not hold; the world that it was made on is there still, then."""

    name: str
    attempt: Callable[[], int]
    faults: int = 1


class Kind(Protocol):
    """``count`` trials chosen by ``seed``; or, without one, as many as it takes to try everything once. Raises
    ``UnavailableError`` before the first."""

    def __call__(self, studio: Studio, count: int | None, seed: int) -> Iterator[Trial]: ...
