"""What ``verify``, ``repair`` and ``gc`` tell of their events, and their exit codes."""

import asyncio
import json
import os
from datetime import UTC, datetime

import pytest

from dam_app.exits import Exit
from dam_app.output import Output
from dam_app.upkeep import GcReport, RepairReport, VerifyReport
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

BEGUN = PassBegun(datetime(2026, 1, 2, tzinfo=UTC), continued=False, locations=3)
READ = PlacesVerified(2, 1, 1500, 3)
DAMAGED = Finding(FindingKind.WRONG_LENGTH, "ab", is_damage=True, entity_id=7, name="\x1bx", expected=3, found=2)
ABSENT = Finding(FindingKind.ABSENT, "/disk", is_damage=False, references=9)
UNKNOWN = Finding(FindingKind.UNKNOWN, "cd", is_damage=False, found=5)


def verified(output: Output, *events: object, complete: bool = True, stop: bool = False) -> Exit:
    stopping = asyncio.Event()
    report = VerifyReport(output, stopping)
    for event in (BEGUN, READ, *events, PassEnded(complete, at_limit=not complete and not stop)):
        report.take(event)
    if stop:
        stopping.set()
    return report.finish()


def test_a_whole_store_is_exit_code_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert verified(Output()) == Exit.DONE
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("2 objects and 1 references verified: nothing wrong (1.5 kB in ")


def test_damage_is_exit_code_5_also_where_a_limit_was_met(capsys: pytest.CaptureFixture[str]) -> None:
    assert verified(Output(), DAMAGED) == Exit.DAMAGE
    out, err = capsys.readouterr()
    assert out == "wrong-length\t7\t\\x1bx\tab\t2 bytes, and it should have 3\n"
    assert "1 wrong-length" in err
    assert "dam-cli repair" in err
    assert verified(Output(), DAMAGED, complete=False) == Exit.DAMAGE


def test_a_limit_is_exit_code_101_and_ctrl_c_130(capsys: pytest.CaptureFixture[str]) -> None:
    assert verified(Output(), complete=False) == Exit.LIMIT
    assert verified(Output(), complete=False, stop=True) == Exit.INTERRUPTED
    assert "run the same command again to continue" in capsys.readouterr().err


def test_what_could_not_be_looked_at_is_exit_code_3_and_what_nobody_knows_is_none(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert verified(Output(), ABSENT) == Exit.SOME_FAILED
    assert verified(Output(), UNKNOWN) == Exit.DONE
    out, err = capsys.readouterr()
    assert "absent\t\t\t/disk\t9 references lie there; is its disk mounted?" in out
    assert "unknown\t\t\tcd\t5 bytes\n" in out
    assert "dam-cli gc" in err


def test_findings_are_items_of_json_and_every_kind_is_counted(capsys: pytest.CaptureFixture[str]) -> None:
    odd = Finding(FindingKind.CHANGED, os.fsdecode(b"/p/\xff"), is_damage=True)
    assert verified(Output(json=True), DAMAGED, odd) == Exit.DAMAGE
    first, second, summary = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (first["status"], first["expected_bytes"], first["found_bytes"]) == ("wrong-length", 3, 2)
    assert "place_b64" in second
    assert {kind.value for kind in FindingKind} <= summary.keys()
    assert (summary["damage"], summary["complete"], summary["objects"]) == (2, True, 2)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (RepairStatus.MENDED, Exit.DONE),
        (RepairStatus.WHOLE, Exit.DONE),
        (RepairStatus.DROPPED, Exit.DONE),
        (RepairStatus.LOST, Exit.DONE),
        (RepairStatus.BEYOND, Exit.DAMAGE),
    ],
)
def test_only_what_is_beyond_repair_is_exit_code_5(
    capsys: pytest.CaptureFixture[str], status: RepairStatus, code: Exit
) -> None:
    report = RepairReport(Output(json=True), asyncio.Event())
    report.take(RepairOutcome(status, "ab", 7, "a", 3, "/backup/a"))
    assert report.finish() == code
    item, summary = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (item["status"], item["source"]) == (status.value, "/backup/a")
    assert summary[status.value] == 1


def test_what_gc_removes_is_told_with_the_room_that_it_took(capsys: pytest.CaptureFixture[str]) -> None:
    report = GcReport(Output(), asyncio.Event(), dry_run=True)
    report.take(Removed("ab", 1500))
    report.take(Removed("/store/tmp/1-ab", 500, is_temporary=True))
    assert report.finish() == Exit.DONE
    out, err = capsys.readouterr()
    assert out == "unknown\t1500\tab\ntemporary\t500\t/store/tmp/1-ab\n"
    assert err.startswith("would be removed: 1 unknown objects and 1 abandoned temporaries (2.0 kB in ")
