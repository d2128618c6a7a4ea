"""What long commands show while they work, and when they are done."""

import asyncio
import sys
import time
from collections import Counter
from contextlib import aclosing
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from dam.core.exceptions import DamError
from dam.core.stages import SystemStage
from dam.core.world import World
from dam.system_events.analysis import EntitiesAnalysed
from dam.system_events.copying import CopyStatus, EntityCopied, LinksCopied
from dam.system_events.disposal import DisposalStatus, EntityDisposed
from dam_app.answers import answers
from dam_app.exits import Exit
from dam_app.output import Output, human_size, path_fields, safe
from dam_fs.commands import AssetOutcome, FilesCounted, OutcomeStatus

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

PROGRESS_EVERY = 2.0  # seconds between progress records of --json


class IngestReport:
    """Counts outcomes; draws a bar with items, bytes and the time left on a terminal, lines in a pipe."""

    def __init__(self, output: Output, stop: asyncio.Event, *, dry_run: bool = False) -> None:
        self._output = output
        self._stop = stop
        self._dry_run = dry_run
        self._counts: Counter[str] = Counter()
        self._bytes = 0
        self._failed_analyses = 0
        self._began = self._told = time.monotonic()
        self._total: FilesCounted | None = None
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    @staticmethod
    def shows_progress(output: Output) -> bool:
        """Whether somebody looks at the total: a person at a terminal, or a program that reads progress records."""
        return output.json or (sys.stderr.isatty() and not output.quiet)

    def __enter__(self) -> Self:
        if sys.stderr.isatty() and not self._output.json and not self._output.quiet:
            self._bar, self._task = _bar()
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
        if kind is None or issubclass(kind, DamError):  # what was done is told, whatever ended it
            self._summarise()

    def take(self, event: Any) -> None:
        """One event of the command."""
        if isinstance(event, FilesCounted):
            self._total = event
        elif isinstance(event, AssetOutcome):
            self._counts[event.status.value] += 1
            self._bytes += event.size_bytes
            self._failed_analyses += event.analyses_failed
            self._tell(event)
        self._advance()

    async def extract(self, world: World) -> None:
        """Runs the stage after it; interrupting leaves the rest marked for the next time."""
        if self._stop.is_set():
            return
        async with aclosing(world.execute_stage(SystemStage.METADATA_EXTRACTION).answered(answers())) as events:
            async for event in events:
                if isinstance(event, EntitiesAnalysed):
                    self._failed_analyses += event.analyses_failed
                if self._stop.is_set():
                    break

    @property
    def exit_code(self) -> Exit:
        if self._stop.is_set():
            return Exit.INTERRUPTED
        return Exit.SOME_FAILED if self._counts[OutcomeStatus.FAILED] else Exit.DONE

    def _tell(self, outcome: AssetOutcome) -> None:
        record = {
            "status": outcome.status.value,
            **path_fields(outcome.path),
            "entity_id": outcome.entity_id,
            "size_bytes": outcome.size_bytes,
            "reason": outcome.reason,
            **({"dry_run": True} if self._dry_run else {}),
        }
        cells = [outcome.status.value, str(outcome.entity_id or ""), safe(outcome.path)]
        line = "\t".join(cells + ([safe(outcome.reason)] if outcome.reason else []))
        if self._output.json or not sys.stdout.isatty():
            self._output.item(record, line)
        if self._is_worth_a_word(outcome):
            text = f"{outcome.status.value}: {outcome.path}" + (f": {outcome.reason}" if outcome.reason else "")
            if self._bar:
                self._bar.console.print(safe(text), markup=False, highlight=False, soft_wrap=True)
            else:
                print(safe(text), file=sys.stderr)

    def _is_worth_a_word(self, outcome: AssetOutcome) -> bool:
        """Whether a person is told on stderr: of failures always, of more only where stdout does not say it."""
        if outcome.status is OutcomeStatus.FAILED:
            return not self._output.json
        if self._output.json or self._output.quiet or not sys.stdout.isatty():
            return False
        return outcome.status is OutcomeStatus.SKIPPED or self._output.verbose

    def _advance(self) -> None:
        done = self._counts.total() - self._counts[OutcomeStatus.SKIPPED]
        if self._bar is not None and self._task is not None:
            total = self._total
            size = human_size(self._bytes) + (f" of {human_size(total.size_bytes)}" if total and total.complete else "")
            items = f"{min(done, total.files)} of {total.files}" if total and total.complete else str(done)
            by_bytes = {"total": max(total.size_bytes, 1), "completed": self._bytes} if total and total.complete else {}
            self._bar.update(self._task, items=items, size=size, **by_bytes)  # type: ignore[arg-type]
        elif self._output.json and time.monotonic() - self._told > PROGRESS_EVERY:
            self._told = time.monotonic()
            total_fields = {"total": self._total.files, "total_bytes": self._total.size_bytes} if self._total else {}
            self._output.progress({"done": done, "done_bytes": self._bytes, **total_fields})

    def _summarise(self) -> None:
        seconds = time.monotonic() - self._began
        counts = {status.value: self._counts[status.value] for status in OutcomeStatus}
        said = ", ".join(f"{n} {status}" for status, n in counts.items() if n) or "nothing to add"
        line = f"{'would be: ' if self._dry_run else ''}{said} ({human_size(self._bytes)} in {seconds:.1f} s)"
        record = {**counts, "size_bytes": self._bytes, "seconds": round(seconds, 3), "dry_run": self._dry_run}
        stopped = self._stop.is_set()
        if self._failed_analyses:
            text = f"{self._failed_analyses} analyses failed; the files are stored, and 'dam-cli failures' says why"
            self._output.warning(text, analyses_failed=self._failed_analyses)
        self._output.summary({**record, "analyses_failed": self._failed_analyses, "interrupted": stopped}, line)
        if stopped:
            self._output.note("interrupted; run the same command again to continue")


def _bar() -> "tuple[Progress, TaskID]":
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

    bar = Progress(
        SpinnerColumn(),
        BarColumn(),
        TextColumn("{task.fields[items]} files"),
        TextColumn("{task.fields[size]}"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    return bar, bar.add_task("adding", total=None, items="0", size="0 B")


class AnalysisReport:
    """Counts what is analysed again, and says it."""

    def __init__(self, output: Output, stop: asyncio.Event) -> None:
        self._output = output
        self._stop = stop
        self._done = self._failed = 0
        self._began = self._told = time.monotonic()

    def take(self, event: Any) -> None:
        """One event of the command."""
        if not isinstance(event, EntitiesAnalysed):
            return
        self._done += event.entities
        self._failed += event.analyses_failed
        if time.monotonic() - self._told > PROGRESS_EVERY:
            self._told = time.monotonic()
            self._output.progress({"done": self._done, "failed": self._failed})
            if sys.stderr.isatty() and not self._output.json:
                self._output.note(f"{self._done} analysed, {self._failed} failed")

    def finish(self) -> Exit:
        """Says how it ended; returns the exit code."""
        seconds, stopped = time.monotonic() - self._began, self._stop.is_set()
        record = {"analysed": self._done, "failed": self._failed, "seconds": round(seconds, 3), "interrupted": stopped}
        self._output.summary(record, f"{self._done} analysed, {self._failed} failed ({seconds:.1f} s)")
        if stopped:
            self._output.note("interrupted; run the same command again to continue")
            return Exit.INTERRUPTED
        return Exit.SOME_FAILED if self._failed else Exit.DONE


class CopyReport:
    """Counts what is copied into another world, and says it."""

    def __init__(self, output: Output, stop: asyncio.Event, *, dry_run: bool = False) -> None:
        self._output = output
        self._stop = stop
        self._dry_run = dry_run
        self._counts: Counter[str] = Counter()
        self._links = LinksCopied(0, 0)
        self._began = self._told = time.monotonic()

    def take(self, event: Any) -> None:
        """One event of the command."""
        if isinstance(event, LinksCopied):
            self._links = event
        elif isinstance(event, EntityCopied):
            self._counts[event.status.value] += 1
            self._tell(event)

    def finish(self) -> Exit:
        """Says how it ended; returns the exit code."""
        seconds, stopped = time.monotonic() - self._began, self._stop.is_set()
        counts = {status.value: self._counts[status.value] for status in CopyStatus}
        said = ", ".join(f"{n} {status}" for status, n in counts.items() if n) or "nothing to copy"
        links = {"links_added": self._links.added, "links_left_out": self._links.left_out}
        record = {**counts, **links, "seconds": round(seconds, 3), "dry_run": self._dry_run, "interrupted": stopped}
        if self._links.left_out:
            self._output.warning(
                f"{self._links.left_out} relations were left out: an end of theirs is not in the other world"
            )
        self._output.summary(record, f"{'would be: ' if self._dry_run else ''}{said} ({seconds:.1f} s)")
        if stopped:
            self._output.note("interrupted; run the same command again to continue")
            return Exit.INTERRUPTED
        return Exit.SOME_FAILED if self._counts[CopyStatus.FAILED] or self._links.left_out else Exit.DONE

    def _tell(self, copied: EntityCopied) -> None:
        if self._output.json or not sys.stdout.isatty():
            record = {"status": copied.status.value, "source_id": copied.source_id, "entity_id": copied.entity_id}
            cells = [copied.status.value, str(copied.source_id), str(copied.entity_id or ""), safe(copied.reason or "")]
            self._output.item({**record, "reason": copied.reason}, "\t".join(cells).rstrip())
        if copied.status is CopyStatus.FAILED and not self._output.json:
            print(safe(f"failed: {copied.source_id}: {copied.reason}"), file=sys.stderr)
        if time.monotonic() - self._told > PROGRESS_EVERY:
            self._told = time.monotonic()
            self._output.progress({"done": self._counts.total()})
            if sys.stderr.isatty() and not self._output.json:
                self._output.note(f"{self._counts.total()} done")


class DisposalReport:
    """Counts what goes to the trash, comes back or is deleted, and says it."""

    def __init__(self, output: Output, stop: asyncio.Event, *, dry_run: bool = False) -> None:
        self._output = output
        self._stop = stop
        self._dry_run = dry_run
        self._counts: Counter[str] = Counter()
        self._is_left = False  # something that a deleted asset stood for

    def take(self, event: Any) -> None:
        """One event of the command."""
        if not isinstance(event, EntityDisposed):
            return
        self._counts[event.status.value] += 1
        self._is_left |= event.status is DisposalStatus.DELETED and event.reason is not None
        record = {"status": event.status.value, "entity_id": event.entity_id, "reason": event.reason}
        cells = [event.status.value, str(event.entity_id), safe(event.reason or "")]
        self._output.item(record | ({"dry_run": True} if self._dry_run else {}), "\t".join(cells).rstrip())

    def finish(self) -> Exit:
        """Says how it ended; returns the exit code."""
        counts = {status.value: self._counts[status.value] for status in DisposalStatus}
        said = ", ".join(f"{n} {status}" for status, n in counts.items() if n) or "nothing to do"
        stopped = self._stop.is_set()
        record = {**counts, "dry_run": self._dry_run, "interrupted": stopped}
        self._output.summary(record, f"{'would be: ' if self._dry_run else ''}{said}")
        if stopped:
            self._output.note("interrupted; run the same command again to continue")
            return Exit.INTERRUPTED
        if self._is_left:
            self._output.warning(
                "what deleted assets stood for is left; the next deletion, or 'dam-cli gc', removes it"
            )
        return Exit.SOME_FAILED if self._counts[DisposalStatus.FAILED] or self._is_left else Exit.DONE
