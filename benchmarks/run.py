"""Measures dam beside references in the same run, and prints the ratios beside their targets. See README.md."""

import argparse
import json
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from adding import ingest, memory
from decoding import pictures
from fullness import lookup, scale
from likeness import likeness
from measuring import Line, Setting, watched
from served import served
from starting import start

BENCHMARKS: dict[str, Callable[[Setting], Iterator[Line]]] = {
    "ingest": ingest,
    "scale": scale,
    "memory": memory,
    "start": start,
    "lookup": lookup,
    "pictures": pictures,
    "likeness": likeness,
    "served": served,
}
COLUMNS = ("name", "value", "reference", "against", "ratio", "target", "met")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="less of everything: good for a first look")
    parser.add_argument(
        "--only", metavar="NAME", action="append", choices=BENCHMARKS, help=f"one of {', '.join(BENCHMARKS)}"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.add_argument("--folder", type=Path, help="where to make the files: the disk that is measured")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dam-bench-", dir=options.folder) as folder:
        machine = described(Path(folder))
        print("; ".join(f"{key} {value}" for key, value in machine.items()), file=sys.stderr)
        lines: list[Line] = []
        for name in options.only or BENCHMARKS:
            with watched(name):
                lines += BENCHMARKS[name](Setting(Path(folder), options.quick))
    if options.json:
        print(json.dumps({"machine": machine, "lines": [{**asdict(line), "met": line.met} for line in lines]}))
    else:
        print_table([cells(line) for line in lines])
    return 1 if any(line.met is False for line in lines) else 0


def described(folder: Path) -> dict[str, str]:
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return {"Python": python, "processors": str(os.cpu_count()), "file system": file_system(folder)}


def file_system(folder: Path) -> str:
    """The type of the file system that a folder lies on, where the system tells."""
    mounts = Path("/proc/self/mounts")
    if not mounts.exists():
        return "unknown"
    entries = [line.split() for line in mounts.read_text().splitlines()]
    around = [(len(place), kind) for _, place, kind, *_ in entries if folder.is_relative_to(place)]
    return max(around)[1]


def cells(line: Line) -> tuple[str, ...]:
    target = "" if line.target is None else f"{line.bound} {line.target:g}"
    met = {None: "", True: "yes", False: "NO"}[line.met]
    value, reference = f"{line.value:,.0f} {line.unit}", f"{line.reference:,.0f} {line.unit}"
    return (line.name, value, reference, line.against, f"{line.ratio:.2f}", target, met)


def print_table(rows: Sequence[tuple[str, ...]]) -> None:
    widths = [max(map(len, column)) for column in zip(COLUMNS, *rows, strict=True)]
    for row in (COLUMNS, *rows):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


if __name__ == "__main__":
    sys.exit(main())
