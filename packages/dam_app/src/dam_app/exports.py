"""Exports as the command line speaks of them: what to write where, and what became of it."""

import asyncio
import sys
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from dam_app.exits import Exit
from dam_app.output import Output, human_size, path_fields, safe
from dam_app.progress import PROGRESS_EVERY
from dam_fs.commands import AssetExported, ExportCommand, ExportStatus
from dam_fs.exceptions import NotAFileError


def export_of(
    entity_ids: Sequence[int] | None,
    folder: str,
    *,
    sidecar: bool = False,
    dry_run: bool = False,
    protected: Sequence[str] = (),
) -> ExportCommand:
    """The command that exports these assets, or all of them. Raises ``NotAFileError`` for what is no name of a folder."""
    if not folder:
        raise NotAFileError("the folder to write to has an empty name; is a variable not set?")
    return ExportCommand(entity_ids, folder, sidecar, dry_run, protected)


class ExportReport:
    """Counts what is exported, and says it."""

    def __init__(self, output: Output, stop: asyncio.Event, *, dry_run: bool = False) -> None:
        self._output = output
        self._stop = stop
        self._dry_run = dry_run
        self._counts: Counter[str] = Counter()
        self._bytes = 0
        self._began = self._told = time.monotonic()

    def take(self, event: Any) -> None:
        """One event of the command."""
        if not isinstance(event, AssetExported):
            return
        self._counts[event.status.value] += 1
        self._bytes += event.size_bytes if event.status is ExportStatus.EXPORTED else 0
        if self._output.json or not sys.stdout.isatty():
            cells = [event.status.value, str(event.entity_id), safe(event.path or ""), safe(event.reason or "")]
            self._output.item(self._record(event), "\t".join(cells).rstrip("\t"))
        if event.status is ExportStatus.FAILED and not self._output.json:
            print(safe(f"failed: {event.entity_id}: {event.reason}"), file=sys.stderr)
        if time.monotonic() - self._told > PROGRESS_EVERY:
            self._told = time.monotonic()
            self._output.progress({"done": self._counts.total(), "done_bytes": self._bytes})
            if sys.stderr.isatty() and not self._output.json:
                self._output.note(f"{self._counts.total()} done")

    def finish(self) -> Exit:
        """Says how it ended; returns the exit code."""
        seconds, stopped = time.monotonic() - self._began, self._stop.is_set()
        counts = {status.value: self._counts[status.value] for status in ExportStatus}
        said = ", ".join(f"{n} {status}" for status, n in counts.items() if n) or "nothing to export"
        record = {**counts, "size_bytes": self._bytes, "seconds": round(seconds, 3), "dry_run": self._dry_run}
        line = f"{'would be: ' if self._dry_run else ''}{said} ({human_size(self._bytes)} in {seconds:.1f} s)"
        self._output.summary({**record, "interrupted": stopped}, line)
        if stopped:
            self._output.note("interrupted; run the same command again to continue")
            return Exit.INTERRUPTED
        return Exit.SOME_FAILED if self._counts[ExportStatus.FAILED] else Exit.DONE

    def _record(self, event: AssetExported) -> dict[str, object]:
        return {
            "status": event.status.value,
            "entity_id": event.entity_id,
            **(path_fields(event.path) if event.path is not None else {"path": None}),
            **(path_fields(event.sidecar, "sidecar") if event.sidecar is not None else {}),
            "size_bytes": event.size_bytes,
            "reason": event.reason,
            **({"dry_run": True} if self._dry_run else {}),
        }
