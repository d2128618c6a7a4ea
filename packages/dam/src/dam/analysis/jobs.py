"""What is asked of a worker pool, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias


@dataclass(frozen=True, slots=True)
class Limits:
    """What one compute may use of one file.

    The kernel counts CPU time in whole seconds: a compute gets `cpu_seconds` and up to one second more. `memory_bytes`
    is address space, of the whole worker. Windows knows the wall limit alone.
    """

    wall_seconds: float = 30
    cpu_seconds: float = 20
    memory_bytes: int = 2 << 30


class Compute(NamedTuple):
    """A call of `function(blob, **dict(parameters))`, the function written `"module:function"`."""

    function: str
    parameters: tuple[tuple[str, object], ...] = ()


class Job(NamedTuple):
    """One file and what to compute of it.

    `path` is absolute: workers stay in the folder in which they were started. Error texts name the file as `shown`,
    because `path` may be a temporary, and the same failure has to compare equal the next time.
    """

    path: str
    size: int
    media_type: str
    computes: tuple[Compute, ...]
    shown: str


class Failure(NamedTuple):
    """Why there are no facts: the compute raised ("error"), used too much ("limit"), or ended its process ("crash")."""

    kind: str
    message: str


Found: TypeAlias = "object | Failure"
