"""What is fuzzed: functions of bytes, and which exceptions are answers."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType

ROOT = Path(__file__).parents[2]
CORPUS = ROOT.parent / "shared" / "corpus" / "files"
"""Files of other people, where there is such a folder; targets have seeds of their own."""

OURS = tuple(f"{os.sep}{name}{os.sep}" for name in ("dam", "dam_app", "dam_fs"))
MEDIA = tuple(f"{os.sep}dam_media_{name}{os.sep}" for name in ("audio", "image", "video"))
LARGEST_SEED = 1 << 18


@dataclass(frozen=True)
class Target:
    """``run`` gets an input and an empty folder, and raises ``AssertionError`` where a promise is broken.

    ``answers`` are the exceptions that the code promises for what cannot be read. With ``foreign`` a decoder of
    somebody else reads the input: what that raises, and how it dies, is contained by worker processes, and only
    counted. ``weight`` is the number of files of one execution.
    """

    name: str
    run: Callable[[bytes, Path], object]
    seeds: Callable[[Path], list[bytes]]
    answers: tuple[type[BaseException], ...] = ()
    longest: int = 1 << 16
    foreign: bool = False
    weight: int = 1
    made: Callable[[int, Path], Iterator[bytes]] | None = None
    """Inputs for a seed of chance and a folder of seeds, where bytes are not just mutated."""


def is_ours(file: str) -> bool:
    return file.startswith(str(ROOT)) and any(part in file for part in OURS + MEDIA) and "site-packages" not in file


def raised_by_us(trace: TracebackType | None) -> bool:
    """Whether the innermost function of a traceback is one of the project."""
    innermost = ""
    while trace is not None:
        innermost, trace = trace.tb_frame.f_code.co_filename, trace.tb_next
    return is_ours(innermost)


def place_of(trace: TracebackType | None) -> str:
    """Where the project was when it was raised: module and line of its innermost function."""
    place = "?"
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if is_ours(file) or file.startswith(str(ROOT / "tests")):
            place = f"{os.path.basename(file)}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place
