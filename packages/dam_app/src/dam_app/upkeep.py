"""What the commands that look after a store show while they work, and when they are done."""

import asyncio
import sys
import time
from collections import Counter
from typing import Any

from dam_app.exits import Exit
from dam_app.output import Output, human_size, path_fields, safe
from dam_app.progress import PROGRESS_EVERY
from dam_fs.commands import (
    Finding,
    FindingKind,
    PassBegun,
    PassEnded,
    PlacesVerified,
    Removed,
    RepairOutcome,
    RepairStatus,
)

CONTINUE = "interrupted; run the same command again to continue"
NOT_JUDGED = (FindingKind.UNREADABLE, FindingKind.BUSY, FindingKind.ABSENT)


class VerifyReport:
    """Counts what was verified, and says what was found."""

    def __init__(self, output: Output, stop: asyncio.Event) -> None:
        self._output = output
        self._stop = stop
        self._counts: Counter[FindingKind] = Counter()
        self._damage = self._not_judged = 0
        self._objects = self._references = self._bytes = self._locations = 0
        self._pass: PassBegun | None = None
        self._end = PassEnded(complete=False, at_limit=False)
        self._began = self._told = time.monotonic()

    def take(self, event: Any) -> None:
        """One event of the command."""
        if isinstance(event, PassBegun):
            self._pass = event
            if event.continued:
                began = event.began_at.astimezone().strftime("%Y-%m-%d %H:%M")
                self._output.note(f"continuing the pass that began {began}")
        elif isinstance(event, PlacesVerified):
            self._objects += event.objects
            self._references += event.references
            self._bytes += event.size_bytes
            self._locations += event.locations
            self._advance()
        elif isinstance(event, Finding):
            self._counts[event.kind] += 1
            self._damage += event.is_damage
            self._not_judged += not event.is_damage and event.kind in NOT_JUDGED
            self._tell(event)
        elif isinstance(event, PassEnded):
            self._end = event

    def finish(self) -> Exit:
        """Says how it ended; returns the exit code."""
        seconds = time.monotonic() - self._began
        found = ", ".join(f"{n} {kind}" for kind in FindingKind if (n := self._counts[kind])) or "nothing wrong"
        places = f"{self._objects} objects" + (f" and {self._references} references" if self._references else "")
        line = f"{places} verified: {found} ({human_size(self._bytes)} in {seconds:.1f} s)"
        counts = {kind.value: self._counts[kind] for kind in FindingKind}
        read = {"objects": self._objects, "references": self._references, "size_bytes": self._bytes}
        state = {"damage": self._damage, "complete": self._end.complete, "at_limit": self._end.at_limit}
        record = {**read, **counts, **state, "seconds": round(seconds, 3), "interrupted": self._stop.is_set()}
        self._output.summary(record, line)
        self._advise()
        if self._stop.is_set():
            return Exit.INTERRUPTED
        if self._damage:
            return Exit.DAMAGE
        return Exit.LIMIT if self._end.at_limit else Exit.SOME_FAILED if self._not_judged else Exit.DONE

    def _advise(self) -> None:
        rows = self._counts[FindingKind.INCOMPLETE] + self._counts[FindingKind.CONTRADICTION]
        if self._damage > rows:
            self._output.note("'dam-cli repair' mends what has a copy somewhere")
        if rows:
            self._output.note(
                "rows that are lacking or contradict each other are in an older backup of the database, perhaps"
            )
        if self._counts[FindingKind.UNKNOWN]:
            self._output.note(
                "unknown objects take room and do no harm; 'dam-cli gc' removes them, but for what was added as files: "
                "'dam-cli repair --from-store' brings that back"
            )
        if self._stop.is_set():
            self._output.note(CONTINUE)
        elif self._end.at_limit:
            self._output.note("the time is up; run the same command again to continue")

    def _tell(self, finding: Finding) -> None:
        record = {
            "status": finding.kind.value,
            "damage": finding.is_damage,
            **path_fields(finding.place, "place"),
            "entity_id": finding.entity_id,
            "name": finding.name,
            "expected_bytes": finding.expected,
            "found_bytes": finding.found,
            "reason": finding.reason,
            "derived": finding.derived,
            "references": finding.references,
        }
        cells = [finding.kind.value, str(finding.entity_id or ""), finding.name or "", finding.place, _why(finding)]
        self._output.item(record, "\t".join(map(safe, cells)).rstrip())

    def _advance(self) -> None:
        if time.monotonic() - self._told <= PROGRESS_EVERY:
            return
        self._told = time.monotonic()
        total = self._pass.locations if self._pass else 0
        self._output.progress({"done": self._locations, "total": total, "done_bytes": self._bytes})
        if sys.stderr.isatty() and not self._output.json:
            done = min(self._locations, total)
            self._output.note(f"{done} of {total} verified, {self._damage} damaged ({human_size(self._bytes)})")


def _why(finding: Finding) -> str:
    if finding.kind is FindingKind.ABSENT:
        return f"{finding.references} references lie there; is its disk mounted? They stay as they are"
    if finding.kind is FindingKind.WRONG_LENGTH:
        return f"{finding.found} bytes, and it should have {finding.expected}"
    if finding.kind is FindingKind.UNKNOWN:
        return f"{finding.found} bytes"
    return finding.reason or ("can be made again" if finding.derived and finding.is_damage else "")


class RepairReport:
    """Says what was mended, and what was not."""

    def __init__(self, output: Output, stop: asyncio.Event, *, dry_run: bool = False) -> None:
        self._output = output
        self._stop = stop
        self._dry_run = dry_run
        self._counts: Counter[RepairStatus] = Counter()
        self._began = time.monotonic()

    def take(self, event: Any) -> None:
        """One event of the command."""
        if not isinstance(event, RepairOutcome):
            return
        self._counts[event.status] += 1
        record = {
            "status": event.status.value,
            **path_fields(event.place, "place"),
            "entity_id": event.entity_id,
            "name": event.name,
            "size_bytes": event.size_bytes,
            **(path_fields(event.source, "source") if event.source else {"source": None}),
            "reason": event.reason,
            **({"dry_run": True} if self._dry_run else {}),
        }
        words = f"from {event.source}" if event.source else event.reason or _MEANING.get(event.status, "")
        cells = [event.status.value, str(event.entity_id or ""), event.name or "", event.place, words]
        self._output.item(record, "\t".join(map(safe, cells)).rstrip())

    def finish(self) -> Exit:
        """Says how it ended; returns the exit code."""
        seconds, stopped = time.monotonic() - self._began, self._stop.is_set()
        said = ", ".join(f"{n} {status}" for status in RepairStatus if (n := self._counts[status]))
        counts = {status.value: self._counts[status] for status in RepairStatus}
        record = {**counts, "seconds": round(seconds, 3), "dry_run": self._dry_run, "interrupted": stopped}
        would = "would be: " if self._dry_run else ""
        self._output.summary(record, f"{would}{said or 'nothing is recorded as damaged'} ({seconds:.1f} s)")
        if stopped:
            self._output.note(CONTINUE)
            return Exit.INTERRUPTED
        if self._counts[RepairStatus.BEYOND]:
            self._output.note(
                "what is beyond repair stays listed; '--from FOLDER' looks for copies, and adding a file mends it"
            )
            return Exit.DAMAGE
        return Exit.DONE


_MEANING = {
    RepairStatus.WHOLE: "holds the right bytes again",
    RepairStatus.DROPPED: "is made again when somebody wants it",
    RepairStatus.LOST: "its bytes are in the store",
}


class GcReport:
    """Says what was removed, and how much room that made."""

    def __init__(self, output: Output, stop: asyncio.Event, *, dry_run: bool = False) -> None:
        self._output = output
        self._stop = stop
        self._dry_run = dry_run
        self._objects = self._temporaries = self._spared = self._bytes = 0
        self._began = time.monotonic()

    def take(self, event: Any) -> None:
        """One event of the command."""
        if not isinstance(event, Removed):
            return
        self._spared += event.is_spared
        if not event.is_spared:
            self._objects += not event.is_temporary
            self._temporaries += event.is_temporary
            self._bytes += event.size_bytes
        status = "temporary" if event.is_temporary else "spared" if event.is_spared else "unknown"
        record = {"status": status, **path_fields(event.place, "place"), "size_bytes": event.size_bytes}
        if self._dry_run:
            record["dry_run"] = True
        self._output.item(record, f"{status}\t{event.size_bytes}\t{safe(event.place)}")

    def finish(self) -> Exit:
        """Says how it ended; returns the exit code."""
        seconds, stopped = time.monotonic() - self._began, self._stop.is_set()
        what = f"{self._objects} unknown objects and {self._temporaries} abandoned temporaries"
        line = f"{'would be removed' if self._dry_run else 'removed'}: {what} ({human_size(self._bytes)} in {seconds:.1f} s)"
        if self._spared:
            self._output.warning(
                f"{self._spared} objects that the database does not know were added as files, say the store's receipts, and are "
                "left alone: if the database is older than the store, 'dam-cli repair --from-store' brings them back; to remove "
                "them, add --named"
            )
        counts = {
            "objects": self._objects,
            "temporaries": self._temporaries,
            "spared": self._spared,
            "size_bytes": self._bytes,
        }
        record = {**counts, "seconds": round(seconds, 3), "dry_run": self._dry_run, "interrupted": stopped}
        self._output.summary(record, line)
        if stopped:
            self._output.note(CONTINUE)
            return Exit.INTERRUPTED
        return Exit.DONE
