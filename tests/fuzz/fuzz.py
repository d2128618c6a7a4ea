"""Fuzzes the project's parsers and its ingest as a whole; prints a table, and exits with 1 on findings. See docs/how-to/fuzz.md.

Each target runs in a process of its own, which is started again when an input kills it. ``--executions`` are shared out among the
chosen targets. A finding's input is written into the folder ``--findings``; ``--replay FILE --target NAME`` runs it once more, in
this process and with a traceback.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from catalogue import TARGETS
from executing import Finding, Report
from targets import CORPUS, Target

COLUMNS = ("target", "executions", "per second", "findings", "contained", "slowest (ms)", "memory (MB)")
SILENCE = 180.0
"""Seconds without a word after which a process hangs where no signal of its own reaches; an ingest says nothing for longer."""

DEATHS = 200  # of own parsers far fewer are news
COSTLY = {"backup": 0.5, "urls": 0.5, "rebuild": 0.4, "pictures": 0.4, "sound": 0.4, "films": 0.4, "ingest": 0.008}
"""Targets that get a smaller share than the others: of an ingest one execution is a folder of files."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--executions", type=int, default=100_000, help="of all targets together")
    parser.add_argument(
        "--target", metavar="NAME", action="append", choices=TARGETS, help=f"one of {', '.join(TARGETS)}"
    )
    parser.add_argument("--seed", type=int, default=1, help="of chance: the same one makes the same inputs")
    parser.add_argument(
        "--seeds", type=Path, default=CORPUS, help="a folder of files to damage, besides those made here"
    )
    parser.add_argument("--findings", type=Path, default=Path("fuzz-findings"), help="where to write what was found")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="run one input, with --target NAME")
    options = parser.parse_args()
    chosen = [TARGETS[name] for name in options.target or TARGETS]
    if options.replay is not None:
        if len(chosen) != 1:
            parser.error("--replay needs one --target")
        if not options.replay.is_file():
            parser.error(f"there is no file {str(options.replay)!r}")
        return replay(chosen[0], options.replay)
    reports = {}
    for target, executions in shares(chosen, options.executions):
        print(f"{target.name}: {executions} …", file=sys.stderr)
        reports[target.name] = fuzz(
            target, executions, options.seed, options.seeds.absolute(), options.findings.absolute()
        )
    print_table([cells(name, report) for name, report in reports.items()])
    found = [(name, finding) for name, report in reports.items() for finding in report.findings]
    for name, finding in found:
        print(f"\n{name}: {finding.kind} at {finding.place}\n{finding.message}")
        print(f"repeat: uv run python tests/fuzz/fuzz.py --target {name} --replay {finding.file}")
    return 1 if found else 0


def shares(targets: Sequence[Target], executions: int) -> Iterator[tuple[Target, int]]:
    """Each target with its part of the executions."""
    weights = {target.name: COSTLY.get(target.name, 1) for target in targets}
    total = sum(weights.values())
    for target in targets:
        yield target, max(round(executions * weights[target.name] / total), 1)


def fuzz(target: Target, executions: int, chance: int, seeds: Path, findings: Path) -> Report:
    """Runs one target to its end, in as many processes as it takes."""
    whole = Report()
    deaths = 0
    while whole.executions < executions and deaths < DEATHS:
        with tempfile.TemporaryDirectory(prefix="dam-fuzz-") as scratch:
            part, code = one_process(
                target, executions - whole.executions, chance + 1000 * deaths, seeds, findings, Path(scratch)
            )
            if code:
                deaths += 1
                note_death(target, part, code, Path(scratch), findings)
        add(whole, part)
    return whole


def one_process(
    target: Target, executions: int, chance: int, seeds: Path, findings: Path, scratch: Path
) -> tuple[Report, int]:
    """What the process has written down, and how it ended."""
    script = Path(__file__).with_name("executing.py")
    command = [
        sys.executable,
        str(script),
        target.name,
        str(executions),
        str(chance),
        str(scratch),
        str(findings),
        str(seeds),
    ]
    with (scratch / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        try:
            code = wait(process, scratch, SILENCE * (10 if target.made else 1))
        finally:
            process.kill()
    report = scratch / "report"
    if not report.exists() and code:
        print((scratch / "log").read_text(errors="replace"), file=sys.stderr)
        raise SystemExit(f"{target.name} does not start")
    said = json.loads(report.read_text())
    return Report(**{**said, "findings": [Finding(**each) for each in said["findings"]]}), code


def wait(process: "subprocess.Popen[bytes]", scratch: Path, silence: float) -> int:
    while True:
        try:
            return process.wait(1)
        except subprocess.TimeoutExpired:
            file = scratch / "input"
            if file.exists() and time.time() - file.stat().st_mtime > silence:
                process.kill()
                return process.wait() or 1


def note_death(target: Target, part: Report, code: int, scratch: Path, findings: Path) -> None:
    """Of a decoder it is contained, for workers are processes as well; of our own code it is a finding."""
    part.executions += 1
    if target.foreign:
        part.contained += 1
        return
    findings.mkdir(parents=True, exist_ok=True)
    file = findings / f"{target.name}-death-{os.urandom(4).hex()}"
    file.write_bytes((scratch / "input").read_bytes())
    message = (scratch / "log").read_text(errors="replace")[-2000:]
    place = "killed after a long silence, if not by somebody else" if code == -9 else f"exit code {code}"
    part.findings.append(Finding("death", place, message, str(file)))


def add(whole: Report, part: Report) -> None:
    whole.executions += part.executions
    whole.contained += part.contained
    whole.busy += part.busy
    whole.slowest = max(whole.slowest, part.slowest)
    whole.memory = max(whole.memory, part.memory)
    known = {(each.kind, each.place) for each in whole.findings}
    whole.findings += [each for each in part.findings if (each.kind, each.place) not in known]


def replay(target: Target, file: Path) -> int:
    with tempfile.TemporaryDirectory(prefix="dam-fuzz-") as folder:
        try:
            target.run(file.read_bytes(), Path(folder))
        except target.answers as e:
            print(f"an answer: {type(e).__name__}: {e}")
    print("nothing is wrong")
    return 0


def cells(name: str, report: Report) -> tuple[str, ...]:
    target = TARGETS[name]
    count, rate = report.executions * target.weight, report.executions * target.weight / max(report.busy, 1e-9)
    figures = (f"{count:,}", f"{rate:,.0f}", str(len(report.findings)), str(report.contained))
    return (name, *figures, f"{report.slowest * 1000:,.0f}", f"{report.memory / 1e6:,.0f}")


def print_table(rows: Sequence[tuple[str, ...]]) -> None:
    widths = [max(map(len, column)) for column in zip(COLUMNS, *rows, strict=True)]
    for row in (COLUMNS, *rows):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


if __name__ == "__main__":
    sys.exit(main())
