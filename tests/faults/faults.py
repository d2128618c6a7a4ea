"""Fault trials: breaks things on purpose while ``dam-cli`` works, and looks whether what was promised holds.

Say ``--help`` for the options; docs/how-to/fault-trials.md tells what is tried and what has to hold.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, astuple, dataclass, fields
from importlib import import_module
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from homes import BrokenError, Postgresql, Server, Sqlite
from scenes import Studio
from trials import Kind, Trial, UnavailableError

from dam_test_utils.databases import stop_postgres_server

if TYPE_CHECKING:
    from collections.abc import Callable

KINDS = {
    "kill": "kills:kills",
    "power": "power:power",
    "full": "disks:full",
    "broken": "disks:broken",
    "read-only": "disks:read_only",
    "permission": "disks:permission",
    "unmounted": "disks:unmounted",
    "clock": "disks:clock",
    "connection": "servers:connection_cut",
    "server": "servers:server_crashed",
    "damage": "damage:damage",
}
"""Where each kind of fault is; what it needs is imported only for those that are wanted."""

SERVERS: dict[str, Callable[[], Server]] = {"sqlite": Sqlite, "postgresql": Postgresql}


@dataclass
class Tally:
    """What came of one kind of fault on one kind of database; ``struck`` are those that met the command at its work."""

    kind: str
    database: str
    tried: int = 0
    struck: int = 0
    broken: int = 0
    seconds: float = 0.0
    note: str = ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", metavar="KIND", action="append", choices=KINDS, help=f"one of {', '.join(KINDS)}")
    parser.add_argument(
        "--database", metavar="NAME", action="append", choices=SERVERS, help=f"one of {', '.join(SERVERS)}"
    )
    parser.add_argument(
        "--trials", metavar="N", type=int, help="of each kind on each database; otherwise everything once"
    )
    parser.add_argument("--seed", metavar="N", type=int, default=0, help="another one chooses other moments")
    parser.add_argument("--jobs", metavar="N", type=int, default=2, help="trials at a time; two, unless given")
    parser.add_argument("--folder", metavar="DIR", type=Path, help="where to make the worlds")
    parser.add_argument("--json", action="store_true", help="one JSON object a line on stdout")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="dam-faults-", dir=options.folder)).resolve()
    tallies = []
    try:
        for database in options.database or SERVERS:
            studio = Studio(folder / database, SERVERS[database]())
            tallies += [run(kind, studio, options) for kind in options.only or KINDS]
            studio.close()
    finally:
        stop_postgres_server()
        if not any(tally.broken for tally in tallies):
            shutil.rmtree(folder, ignore_errors=True)
    report(tallies, as_json=options.json)
    return 1 if any(tally.broken for tally in tallies) else 0


def run(name: str, studio: Studio, options: argparse.Namespace) -> Tally:
    """All trials of one kind, some at a time."""
    module, function = KINDS[name].split(":")
    kind: Kind = getattr(import_module(module), function)
    tally, began = Tally(name, studio.server.name), time.monotonic()

    counting = Lock()

    def attempt(trial: Trial) -> None:
        struck = broken = 0
        try:
            struck = trial.attempt()
        except Exception as e:  # noqa: BLE001  a trial that fails itself has shown nothing
            broken = 1
            print(f"BROKEN {tally.kind} on {tally.database}: {trial.name}\n  {e}", file=sys.stderr)
            if not isinstance(e, BrokenError):
                traceback.print_exc()
        with counting:
            tally.tried, tally.struck, tally.broken = (
                tally.tried + trial.faults, tally.struck + struck, tally.broken + broken
            )  # fmt: skip
        print(f"{tally.kind} on {tally.database}: {tally.tried}, {trial.name}", file=sys.stderr)

    try:
        with ThreadPoolExecutor(options.jobs) as pool:
            for done in [pool.submit(attempt, trial) for trial in kind(studio, options.trials, options.seed)]:
                done.result()
    except UnavailableError as e:
        tally.note = str(e)
    tally.seconds = round(time.monotonic() - began, 1)
    return tally


def report(tallies: list[Tally], *, as_json: bool) -> None:
    if as_json:
        for tally in tallies:
            print(json.dumps(asdict(tally)))
        return
    rows = [[field.name for field in fields(Tally)], *([str(value) for value in astuple(tally)] for tally in tallies)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


if __name__ == "__main__":
    sys.exit(main())
