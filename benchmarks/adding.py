"""Adding files: beside ``sha256sum`` and ``cp``, a second time, and how much memory it takes."""

import json
import os
import statistics
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from measuring import (
    DAM_CLI,
    FILES_ALONE,
    Line,
    Setting,
    alternately,
    output_of,
    peak_megabytes_of,
    python,
    seconds_of,
    written_to,
)
from trees import photographs, pictures, sparse

CHILD = str(Path(__file__).with_name("timed_add.py"))
MEMORY_LIMIT = 300.0


def ingest(setting: Setting) -> Iterator[Line]:
    """Adding a tree without analysis, durable, against hashing it once and copying it."""
    count = setting.either(2000, 400)
    tree = pictures(setting.folder / "pictures", count)
    again: list[float] = []
    candidates: dict[str, Callable[[], float]] = {
        "process": partial(_fresh, setting, partial(_add_by_process, tree)),
        "dispatch": partial(_fresh, setting, partial(_add_twice, tree, again)),
        "sha256sum": partial(_fresh, setting, partial(hash_and_copy, tree, "sha256sum")),
        "openssl": partial(_fresh, setting, partial(hash_and_copy, tree, "openssl dgst -sha256")),
    }
    taken = alternately(setting.either(7, 3), candidates)
    rate = {name: count / seconds for name, seconds in taken.items()}
    for name, label, target in (("dispatch", "ingest", 1.5), ("process", "ingest, start-up included", None)):
        for reference in ("sha256sum", "openssl"):
            ratio = rate[name] / rate[reference]
            aim = target if reference == "sha256sum" else None
            yield Line(label, "assets/s", rate[name], rate[reference], f"{reference} + cp", ratio, aim)
    seconds = statistics.median(again[1:])
    yield Line(
        "adding it again",
        "assets/s",
        count / seconds,
        rate["dispatch"],
        "the first time",
        taken["dispatch"] / seconds,
        50,
    )


def memory(setting: Setting) -> Iterator[Line]:
    """Peak memory of all processes: it must grow neither with the number of files nor with their size."""
    size = setting.either(10, 2) * 10**9
    trees = {
        f"memory, {(count := setting.either(2000, 400)):,} pictures": photographs(setting.folder / "memory", count),
        f"memory, one file of {size // 10**9} GB": sparse(setting.folder / "sparse", size),
    }
    for name, tree in trees.items():
        peak = _fresh(setting, partial(_add_for_memory, tree))
        yield Line(name, "MB", peak, MEMORY_LIMIT, "the limit", peak / MEMORY_LIMIT, 1, "≤")


def _fresh(setting: Setting, measure: Callable[[Path], float]) -> float:
    with written_to(setting) as home:
        return measure(home)


def _set_up(home: Path, **more: str) -> None:
    output_of([DAM_CLI, "--quiet", "setup-db"], DAM_HOME=str(home), **more)


def _add_by_process(tree: Path, home: Path) -> float:
    _set_up(home, **FILES_ALONE)
    return seconds_of([DAM_CLI, "--quiet", "add-asset", "-r", str(tree)], DAM_HOME=str(home), **FILES_ALONE)


def _add_twice(tree: Path, again: list[float], home: Path) -> float:
    _set_up(home, **FILES_ALONE)
    os.sync()
    taken = json.loads(output_of(python(CHILD, str(tree)), DAM_HOME=str(home), **FILES_ALONE))
    again.append(taken["again"])
    return float(taken["first"])


def _add_for_memory(tree: Path, home: Path) -> float:
    _set_up(home)
    return peak_megabytes_of([DAM_CLI, "--quiet", "add-asset", "-r", str(tree)], DAM_HOME=str(home))


def hash_and_copy(tree: Path, digest: str, target: Path) -> float:
    script = f'find "$1" -type f -print0 | xargs -0 {digest} > "$2/sums" && cp -r "$1" "$2/copy"'
    return seconds_of(["sh", "-c", script, "sh", str(tree), str(target)])
