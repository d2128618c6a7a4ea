"""What ``add-asset`` tells of its events, in a pipe; the terminal is looked at from outside, in the tests of the process."""

import asyncio
import json
import os

import pytest

from dam.core.exceptions import DatabaseUnavailableError
from dam_app.exits import Exit
from dam_app.output import Output
from dam_app.progress import IngestReport
from dam_fs.commands import AssetOutcome, FilesCounted, OutcomeStatus

ADDED = AssetOutcome("/p/a", OutcomeStatus.ADDED, 7, 1500)
SKIPPED = AssetOutcome("/p/pipe", OutcomeStatus.SKIPPED, reason="a pipe")
FAILED = AssetOutcome("/p/\x1bb", OutcomeStatus.FAILED, reason="Permission denied")


def reported(output: Output, *events: object, stop: bool = False, dry_run: bool = False) -> Exit:
    stopping = asyncio.Event()
    with IngestReport(output, stopping, dry_run=dry_run) as report:
        for event in events:
            report.take(event)
        if stop:
            stopping.set()
    return report.exit_code


def test_in_a_pipe_every_outcome_is_a_line_of_data_and_the_summary_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    assert reported(Output(), FilesCounted(2, 1500, complete=True), ADDED, SKIPPED) == Exit.DONE
    out, err = capsys.readouterr()
    assert out == "added\t7\t/p/a\nskipped\t\t/p/pipe\ta pipe\n"
    assert err.startswith("1 added, 1 skipped (1.5 kB in ")
    assert "\x1b" not in err, "no bar in a pipe"


@pytest.mark.parametrize("quiet", [False, True])
def test_a_failure_is_data_and_is_said_on_stderr_and_is_exit_code_3(
    capsys: pytest.CaptureFixture[str], quiet: bool
) -> None:
    assert reported(Output(quiet=quiet), ADDED, FAILED) == Exit.SOME_FAILED
    out, err = capsys.readouterr()
    assert "failed\t\t/p/\\x1bb\tPermission denied\n" in out
    assert "failed: /p/\\x1bb: Permission denied\n" in err
    assert ("1 added, 1 failed" in err) is not quiet


def test_json_has_one_item_for_each_outcome_and_a_summary_with_every_count(capsys: pytest.CaptureFixture[str]) -> None:
    odd = AssetOutcome(os.fsdecode(b"/p/\xff"), OutcomeStatus.LINKED, 7, 1500)
    assert reported(Output(json=True), ADDED, odd, FAILED, dry_run=True) == Exit.SOME_FAILED
    out, err = capsys.readouterr()
    *items, summary = [json.loads(line) for line in out.splitlines()]
    assert [(item["type"], item["status"]) for item in items] == [
        ("item", "added"),
        ("item", "linked"),
        ("item", "failed"),
    ]
    assert items[0] == {
        "type": "item",
        "schema": 1,
        "status": "added",
        "path": "/p/a",
        "entity_id": 7,
        "size_bytes": 1500,
        "reason": None,
        "dry_run": True,
    }
    assert items[1]["path_b64"] == "L3Av/w=="
    counts = {status.value: summary[status.value] for status in OutcomeStatus}
    assert counts == {"added": 1, "known": 0, "linked": 1, "restored": 0, "skipped": 0, "failed": 1}
    assert (summary["size_bytes"], summary["dry_run"], summary["interrupted"]) == (3000, True, False)
    assert err == ""


@pytest.mark.parametrize("as_json", [False, True])
def test_an_interruption_is_exit_code_130_and_says_how_to_continue(
    capsys: pytest.CaptureFixture[str], as_json: bool
) -> None:
    assert reported(Output(json=as_json), ADDED, FAILED, stop=True) == Exit.INTERRUPTED
    out, err = capsys.readouterr()
    assert "interrupted; run the same command again to continue" in err
    assert json.loads(out.splitlines()[-1])["interrupted"] if as_json else "1 added" in err


def test_a_failure_of_the_whole_has_no_summary(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        with IngestReport(Output(), asyncio.Event()) as report:
            report.take(ADDED)
            raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        fail()
    assert capsys.readouterr() == ("added\t7\t/p/a\n", "")


def test_what_was_done_before_a_server_is_lost_is_summed_up(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        with IngestReport(Output(), asyncio.Event()) as report:
            report.take(ADDED)
            raise DatabaseUnavailableError("the connection was lost")

    with pytest.raises(DatabaseUnavailableError):
        fail()
    assert "1 added" in capsys.readouterr().err


def test_a_dry_run_says_that_it_only_would(capsys: pytest.CaptureFixture[str]) -> None:
    reported(Output(), ADDED, dry_run=True)
    assert capsys.readouterr().err.startswith("would be: 1 added")


def test_nothing_to_do_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert reported(Output()) == Exit.DONE
    assert capsys.readouterr().err.startswith("nothing to add")
