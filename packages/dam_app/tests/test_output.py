"""What is printed where: data on stdout, all else on stderr, and nothing that a terminal would obey."""

import base64
import io
import json
import os
import sys
import unicodedata
from collections.abc import AsyncIterator
from contextlib import redirect_stdout
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dam_app.output import Output, human_size, path_fields, safe
from dam_app.render import print_listing
from dam_app.services import Listed
from dam_fs.names import DIRECTIONS

NASTY = "a\x1b[31mb\x07c\x9bd\u202ee\u2066f\u2028g\x7fh\ni\tj"


@given(st.text())
def test_nothing_that_a_terminal_obeys_gets_through(text: str) -> None:
    assert not [c for c in safe(text) if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")]


@pytest.mark.parametrize("name", ["Übung 3.jpg", "写真　2019.png", "a b.txt", "café", "👍.gif", "c:\\dir"])
def test_names_of_every_language_are_shown_as_they_are(name: str) -> None:
    assert safe(name) == name


def test_control_and_direction_characters_are_shown_as_escapes() -> None:
    assert safe(DIRECTIONS) == "".join(f"\\u{ord(c):04x}" for c in DIRECTIONS)
    assert safe(NASTY) == r"a\x1b[31mb\x07c\x9bd\u202ee\u2066f\u2028g\x7fh\x0ai\x09j"
    assert safe("\U000e0041") == r"\U000e0041"
    assert safe(os.fsdecode(b"bad\xff")) == "bad\N{REPLACEMENT CHARACTER}"
    assert safe("half \ud800, \udfff") == "half \N{REPLACEMENT CHARACTER}, \N{REPLACEMENT CHARACTER}"


def test_a_path_that_is_not_utf8_comes_as_text_and_as_bytes() -> None:
    raw = b"/tmp/bad\xff\n"
    assert path_fields("/tmp/ä") == {"path": "/tmp/ä"}
    fields = path_fields(os.fsdecode(raw), "where")
    assert fields["where"] == "/tmp/bad\N{REPLACEMENT CHARACTER}\n"
    assert base64.b64decode(fields["where_b64"]) == raw


@given(st.dictionaries(st.text(), st.text(st.characters(exclude_categories=["Cs"])), max_size=3))
def test_a_json_line_is_one_line_of_harmless_characters_that_means_what_was_said(record: dict[str, str]) -> None:
    said = {f"x{key.encode('utf-8', 'replace').decode()}": value for key, value in record.items()}
    printed = io.BytesIO()
    with redirect_stdout(io.TextIOWrapper(printed, encoding="utf-8", newline="\n")) as stdout:
        Output(json=True).item(said)
        stdout.flush()
    (line,) = printed.getvalue().decode().splitlines()
    assert json.loads(line) == {"type": "item", "schema": 1, **said}
    assert line == safe(line)


def test_json_in_a_locale_that_is_not_utf8_is_ascii(monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(buffer, encoding="latin-1"))
    Output(json=True).item({"name": "é写"})
    sys.stdout.flush()
    assert json.loads(buffer.getvalue().decode("ascii"))["name"] == "é写"


def test_json_has_a_line_of_its_type_for_everything_that_is_not_just_for_people(
    capsys: pytest.CaptureFixture[str],
) -> None:
    output = Output(json=True)
    output.item({"when": datetime(2024, 5, 6, 7, tzinfo=UTC)}, "never shown")
    output.warning("w")
    output.error("e", code="DAM1")
    output.progress({"done": 1})
    output.summary({"added": 1}, "never shown")
    out, err = capsys.readouterr()
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["type"] for line in lines] == ["item", "warning", "error", "progress", "summary"]
    assert {line["schema"] for line in lines} == {1}
    assert lines[0]["when"] == "2024-05-06T07:00:00+00:00"
    assert lines[2]["code"] == "DAM1"
    assert err == ""


def test_people_get_data_on_stdout_and_all_else_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    output = Output()
    output.item({}, "line")
    output.table(("a", "b"), [["1", NASTY]])
    output.note("note \x1b[31m")
    output.warning("w\x1b")
    output.error("e\nf\x1b", code="DAM1")
    output.progress({"done": 1})
    output.summary({}, "summary")
    out, err = capsys.readouterr()
    assert out == f"line\n1\t{safe(NASTY)}\n"
    assert err == "note \\x1b[31m\nwarning: w\\x1b\nerror: e\nf\\x1b\nsummary\n"


@pytest.mark.parametrize("as_json", [False, True])
def test_quiet_leaves_data_warnings_and_errors(capsys: pytest.CaptureFixture[str], as_json: bool) -> None:
    output = Output(quiet=True, json=as_json)
    output.note("note")
    output.item({"a": 1}, "line")
    output.error("e")
    out, err = capsys.readouterr()
    assert "note" not in out + err
    assert len((out + err).splitlines()) == 2


def test_a_note_reaches_a_person_whose_stdout_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    Output(json=True).note("world: photos")
    assert capsys.readouterr() == ("", "world: photos\n")


def test_sizes_are_decimal() -> None:
    sizes = [0, 999, 1000, 3_000_000, 12_345_678_901, 5 * 10**15]
    assert list(map(human_size, sizes)) == ["0 B", "999 B", "1.0 kB", "3.0 MB", "12.3 GB", "5000.0 TB"]


async def test_a_listing_says_nothing_raw_of_what_a_store_claims(capsys: pytest.CaptureFixture[str]) -> None:
    async def listed() -> AsyncIterator[Listed]:
        yield Listed(1, "a\x1b[2J", 5, "text/\x1b[2J")

    assert await print_listing(Output(), listed()) == 1
    assert capsys.readouterr().out == "1\t\t5\ttext/\\x1b[2J\ta\\x1b[2J\n"
