"""``dam-cli`` as it is installed: exit codes, what goes to stdout and stderr, terminals, pipes, Ctrl-C, verbs of plugins."""

import json
import os
import re
import shlex
import shutil
import signal
import sqlite3
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import typer
from PIL import Image

from dam_app.cli import app
from dam_fs.names import DIRECTIONS

DAM_CLI = str(Path(sys.executable).with_name("dam-cli"))
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="needs signals and terminals of POSIX")


def dam(*arguments: str, stdin: bytes = b"", **environment: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [DAM_CLI, *arguments],
        input=stdin,
        capture_output=True,
        env={**os.environ, **environment},
        check=False,
        timeout=120,
    )
    out, err = done.stdout.decode(), done.stderr.decode()
    return subprocess.CompletedProcess(arguments, done.returncode, out, err)


def lines(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    """The JSON Lines of stdout, all of it."""
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert all(record["type"] in ("item", "warning", "error", "progress", "summary") for record in records)
    assert all(record["schema"] == 1 for record in records)
    return records


def on_terminal(*arguments: str, columns: int = 100, **environment: str) -> tuple[int, str]:
    """The exit code, and all that a terminal of that width is sent."""
    import fcntl
    import pty
    import struct
    import termios

    terminal, process_side = pty.openpty()
    fcntl.ioctl(process_side, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color", **environment}
    process = subprocess.Popen(
        [DAM_CLI, *arguments], stdin=process_side, stdout=process_side, stderr=process_side, env=environment
    )
    os.close(process_side)
    received = b""
    with open(terminal, "rb", buffering=0) as stream:
        while True:
            try:
                received += stream.read(65536) or b""
            except OSError:  # how Linux says that the other side is closed
                break
    return process.wait(60), received.decode()


@pytest.fixture
def pictures(home: Path) -> Path:
    """Three files of two contents, one of them with a name to be careful with."""
    folder = home / "pictures"
    folder.mkdir()
    (folder / "a.txt").write_text("one")
    (folder / "-b.txt").write_text("one")
    (folder / os.fsdecode(b"evil\x1b[31m\xe2\x80\xae\xff.txt")).write_text("two")
    return folder


@pytest.fixture
def database(home: Path) -> Path:
    return home.parent / "home" / "default.db"


# -- a session


def test_a_first_session_in_a_pipe(pictures: Path, database: Path) -> None:
    foretold = dam("add-asset", "-n", "-r", str(pictures))
    assert foretold.returncode == 0
    assert foretold.stderr.splitlines()[:2] == [f"set up world 'default': {database}", "world: default"]
    assert sorted(line.split("\t")[0] for line in foretold.stdout.splitlines()) == ["added", "added", "linked"]
    done = dam("add-asset", "-r", str(pictures))
    assert [line.split("\t")[::2] for line in done.stdout.splitlines()] == [
        line.split("\t")[::2] for line in foretold.stdout.splitlines()
    ]
    assert done.stderr.startswith("world: default\n2 added, 1 linked (9 B in ")
    assert len(done.stderr.splitlines()) == 2
    listing = dam("ls")
    assert (listing.returncode, listing.stderr) == (0, "")
    ids = [line.split("\t")[0] for line in listing.stdout.splitlines()]
    assert len(ids) == 2
    shown, found = dam("show", *ids), dam("find-file-by-hash", "-f", str(pictures / "a.txt"))
    assert (shown.returncode, found.returncode) == (0, 0)
    assert found.stdout in (shown.stdout, *["entity" + part for part in shown.stdout.split("entity")])
    for words in (
        "original_filename",
        "size_bytes",
        "mime_type",
        "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed",
    ):
        assert words in found.stdout
    for words in (
        "f97c5d29941bfb1b2fdab0874906ab82",
        "contextual_filename",
        "content_identifier",
        "physical_path_or_key",
    ):
        assert words in found.stdout
    assert "\x1b" not in done.stdout + listing.stdout + shown.stdout
    assert "\u202e" not in done.stdout + listing.stdout + shown.stdout


def test_every_command_speaks_json_wherever_the_option_stands(pictures: Path) -> None:
    added = dam("--json", "add-asset", "-r", str(pictures))
    *items, summary = lines(added)
    assert summary["type"] == "summary"
    assert (summary["added"], summary["linked"], len(items)) == (2, 1, 3)
    assert sum("path_b64" in item for item in items) == 1
    assert "world: default" in added.stderr
    entity = str(items[0]["entity_id"])
    for command in (
        ["ls"],
        ["show", entity],
        ["find-file-by-hash", "--file", str(pictures / "a.txt")],
        ["worlds", "list"],
        ["plugins"],
        ["setup-db"],
    ):
        done = dam(*command, "--json")
        assert done.returncode == 0
        assert {record["type"] for record in lines(done)} == {"item"}
    (error,) = lines(dam("--json", "show", "999"))
    assert error["type"] == "error"
    for mistake in (["ls", "--nope"], ["nope"], ["add-asset"], ["ls", "--limit", "x"], ["show", "abc"]):
        done = dam("--json", *mistake)
        assert (done.returncode, done.stderr) == (2, "")
        assert [record["type"] for record in lines(done)] == ["error"]
    (error,) = lines(dam("--world", "nope", "ls", "--json"))
    assert (error["code"], error["message"][:16]) == ("DAM402", "no world 'nope',")


def test_paths_come_from_arguments_after_a_double_dash_and_from_lists(
    pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(pictures)
    assert dam("add-asset", "-b.txt").returncode == 2
    done = dam("add-asset", "--json", "--", "-b.txt")
    assert [record["status"] for record in lines(done)[:-1]] == ["added"]
    names = b"\0".join(os.fsencode(path) for path in pictures.iterdir()) + b"\0/not/there\0"
    done = dam("--json", "add-asset", "--files-from", "-", "-0", stdin=names)
    assert done.returncode == 3
    assert sorted(record["status"] for record in lines(done)[:-1]) == ["added", "failed", "known", "linked"]


# -- exit codes


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["add-asset", "."], 2, "add -r to add the files below it"),
        (["add-asset", "nope"], 3, "nope: No such file or directory"),
        (["add-asset", "-r", ""], 2, "one of the paths is empty"),
        (["find-file-by-hash", "--file", "."], 2, "--file '.' is no file"),
        (["add-asset", "-0", "nope"], 2, "--null says how the paths of --files-from end"),
        (["add-asset"], 2, "give at least one PATH"),
        (["find-file-by-hash", "abc"], 2, "64 hexadecimal digits"),
        (["find-file-by-hash", "abc", "--hash-type", "sha1"], 2, "allowed are sha256, md5"),
        (["find-file-by-hash", "abc", "--file", "x"], 2, "give either HASH or --file PATH"),
        (["find-file-by-hash"], 2, "give either HASH or --file PATH"),
        (["find-file-by-hash", "00" * 32], 4, "nothing in world 'default' has this sha256"),
        (["show", "99", "999999999999999999999999"], 4, "there is no entity 99"),
        (["show", "abc"], 2, "'ID'"),
        (["ls"], 0, "has no assets yet"),
        (["failures"], 0, "no analysis failed in world 'default'"),
        (["reprocess"], 2, "name an ALGORITHM, or give --stale or --failed"),
        (["reprocess", "--stale", "--failed"], 2, "choose one of --stale and --failed"),
        (["reprocess", "nope"], 2, "is called 'nope'; there are"),
        (["find-similar-images", "nope"], 2, "cannot be read: No such file"),
        (["find-similar-images", "dam.toml"], 2, "which is no picture"),
        (["ls", "--nope"], 2, "--nope"),
        (["nope"], 2, "nope"),
        (["ls", "--world", "default"], 2, "--world stands before the command: dam-cli --world … ls"),
        (["--world", "nope", "ls"], 10, "no world 'nope', which --world names"),
        (["--world", "nope", "worlds", "list"], 0, "no world 'nope'"),
        (["--config", "nope.toml", "ls"], 2, "nope.toml cannot be read"),
        (["--world", "far", "ls"], 10, "is its disk mounted?"),
        (["--world", "strange", "ls"], 1, "plugin 'dam-nope' is not installed"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_a_user_can_do_wrong_has_its_code_and_no_traceback(
    home: Path, arguments: Sequence[str], code: int, said: str
) -> None:
    (home / "dam.toml").write_text(
        "[worlds.far]\ndatabase_url = 'sqlite+aiosqlite:///mnt/far.db'\n[worlds.strange]\nplugins = ['dam-nope']\n"
    )
    done = dam(*arguments)
    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    if code not in (0, 3):
        assert done.stdout == ""


def test_mistakes_set_up_no_world(database: Path) -> None:
    assert dam("add-asset", ".").returncode == 2
    assert dam("find-file-by-hash", "abc").returncode == 2
    assert not database.exists()


def test_a_cameras_clock_is_shown_as_it_is(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x0132] = "Kodak", "2004:06:08 16:04:50"
    Image.linear_gradient("L").save(tmp_path / "photo.jpg", exif=exif)
    dam("add-asset", str(tmp_path / "photo.jpg"))
    shown = dam("show", "1", TZ="Asia/Tokyo").stdout.splitlines()
    assert [line.split(maxsplit=1)[1] for line in shown if "captured_at" in line] == ["2004-06-08 16:04:50"] * 2


def test_the_schema_is_shown_compared_and_undone(pictures: Path) -> None:
    dam("setup-db")
    rows = lines(dam("--json", "db", "status"))
    assert {row["state"] for row in rows} == {"current"}
    assert rows[0]["plugin"] == "dam"
    assert dam("db", "check").returncode == 0
    refused = dam("db", "downgrade", "dam-media-video", "base")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "--yes" in refused.stderr
    assert dam("db", "downgrade", "dam-media-video", "base", "--yes").returncode == 0
    assert dam("ls").returncode == 13
    assert [row["state"] for row in lines(dam("--json", "db", "status"))][-1] == "new"
    assert dam("db", "downgrade", "dam-media-vidoe", "base", "--yes").returncode == 1
    assert dam("db", "upgrade").returncode == 0
    assert dam("ls").returncode == 0


def test_what_was_changed_by_hand_is_damage(pictures: Path, database: Path) -> None:
    dam("setup-db")
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("DROP INDEX ix_dam_media_image_phash_hash_value")
    checked = dam("--json", "db", "check")
    assert checked.returncode == 5
    (found,) = lines(checked)
    assert found["plugin"] == "dam-media-image"
    assert "dam_media_image_phash" in found["missing"]


def test_layers_are_told_apart_by_programs_as_well(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010F] = "Kodak"
    Image.linear_gradient("L").save(tmp_path / "photo.jpg", exif=exif)
    dam("add-asset", str(tmp_path / "photo.jpg"))
    (shown,) = lines(dam("--json", "show", "1"))
    layers = [each["layer"] for each in shown["components"] if each["component"] == "CameraComponent"]
    assert sorted(layers) == ["effective", "embedded"]


def test_a_missing_entity_has_the_number_of_its_error(pictures: Path) -> None:
    dam("setup-db")
    (error,) = lines(dam("--json", "show", "99"))
    assert (error["type"], error["code"]) == ("error", "DAM212")


def test_a_thumbnail_goes_to_stdout_where_that_is_asked_for(pictures: Path) -> None:
    Image.linear_gradient("L").save(pictures / "photo.png")
    dam("add-asset", str(pictures / "photo.png"))
    written = subprocess.run([DAM_CLI, "thumbnail", "1", "-o", "-"], capture_output=True, check=False)
    assert (written.returncode, written.stdout[:4], written.stderr) == (0, b"RIFF", b"")
    refused = dam("--json", "thumbnail", "1", "-o", "-")
    assert refused.returncode == 2
    assert not Path("-").exists()


def test_failures_of_an_analyzer_that_is_not_there_are_a_mistake(pictures: Path) -> None:
    dam("add-asset", "-r", str(pictures))
    mistaken = dam("failures", "dam_media_image.heder")
    assert mistaken.returncode == 2
    assert "did you mean 'dam_media_image.header'?" in mistaken.stderr
    assert dam("failures", "dam_media_image.header").returncode == 0


def test_failures_are_listed_and_tried_again(pictures: Path) -> None:
    (pictures / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    added = dam("--json", "add-asset", "-r", str(pictures))
    assert added.returncode == 0
    assert lines(added)[-1]["analyses_failed"] == 3
    failed = lines(dam("--json", "failures"))
    assert {record["algorithm"] for record in failed} == {
        "dam_media_image.camera",
        "dam_media_image.header",
        "dam_media_image.perceptual_hashes",
    }
    assert {(record["name"], record["failure"]) for record in failed} == {("broken.png", "error")}
    again = dam("reprocess", "--failed")
    assert (again.returncode, again.stdout) == (3, "")
    assert "3 analysed, 3 failed" in again.stderr
    assert lines(dam("--json", "reprocess", "--stale"))[-1]["analysed"] == 0
    assert len(dam("failures", "dam_media_image.header").stdout.splitlines()) == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is always full")
def test_output_that_cannot_be_written_is_an_error_and_what_was_added_is_safe(pictures: Path, database: Path) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [DAM_CLI, "add-asset", "-r", str(pictures)], stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert done.returncode == 1
    assert b"error: the output cannot be written: No space left on device; what was committed is safe" in done.stderr
    assert b"Traceback" not in done.stderr


def test_a_database_that_was_changed_by_hand_is_refused_without_a_traceback(pictures: Path, database: Path) -> None:
    dam("add-asset", "-r", str(pictures))
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("DROP TABLE dam_fs_file_properties")
    done = dam("ls")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: the database refused: no such table: dam_fs_file_properties; if its tables")
    assert "Traceback" in dam("-v", "ls").stderr


def test_verbose_shows_the_traceback_of_a_mistake() -> None:
    done = dam("-v", "--world", "nope", "ls")
    assert done.returncode == 10
    assert "Traceback" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: no world 'nope'")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with names")
def test_one_bad_file_does_not_stop_the_others_and_what_is_no_file_is_left_out(pictures: Path) -> None:
    os.mkfifo(pictures / "pipe")
    done = dam("add-asset", "-r", str(pictures))
    assert done.returncode == 0
    assert "1 skipped" in done.stderr
    done = dam("-q", "add-asset", "--files-from", "-", stdin=f"{pictures}/a.txt\n{pictures}/gone\n".encode())
    assert done.returncode == 3
    assert done.stderr == f"failed: {pictures}/gone: No such file or directory\n"


def test_stores_and_databases_that_are_gone_or_old(pictures: Path, database: Path) -> None:
    store = database.with_name("default-store")
    assert dam("add-asset", "-r", str(pictures)).returncode == 0
    store.rename(store.with_name("away"))
    (pictures / "new.txt").write_text("new")
    gone = dam("add-asset", "-r", str(pictures))
    assert (gone.returncode, store.exists()) == (10, False)
    assert "Nothing was created" in gone.stderr
    store.with_name("away").rename(store)
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("DELETE FROM dam_fs_alembic_version")
    old = dam("ls")
    assert (old.returncode, old.stdout) == (13, "")
    assert "run: dam-cli --world default setup-db" in old.stderr
    for file in database.parent.glob("default.db*"):
        file.unlink()
    lost = dam("ls")
    assert (lost.returncode, database.exists()) == (10, False)
    assert "restore the database from a backup" in lost.stderr


def test_damage_is_found_mended_and_told_by_exit_codes(pictures: Path, database: Path) -> None:
    dam("add-asset", "-r", str(pictures))
    assert dam("verify").returncode == 0
    objects = sorted((database.parent / "default-store" / "objects").glob("*/*"))
    objects[0].chmod(0o600)
    objects[0].write_text("xxx")
    objects[1].unlink()
    assert dam("verify", "--time-limit", "0").returncode == 101
    found = dam("verify", "--json")
    assert found.returncode == 5
    assert {(item["status"], item["place"]) for item in lines(found) if item["type"] == "item"} == {
        ("damaged", objects[0].name),
        ("missing", objects[1].name),
    }
    assert dam("repair").returncode == 5
    mended = dam("repair", "--from", str(pictures))
    assert (mended.returncode, mended.stdout.count("mended\t")) == (0, 2)
    assert dam("verify", "--subset", "1/2").returncode == dam("verify", "--subset", "2/2").returncode == 0
    stray = objects[0].with_name(objects[0].name[:2] + "0" * 62)
    stray.write_text("left over")
    assert dam("verify").returncode == 0
    assert dam("gc").stdout == ""
    assert dam("gc", "--grace", "0").stdout == f"unknown\t9\t{stray.name}\n"
    for mistake in (
        ["verify", "--subset", "4/3"],
        ["verify", "--sample", "5"],
        ["verify", "--sample", "5%", "--subset", "1/2"],
        ["verify", "--time-limit", "soon"],
        ["gc", "--grace", "1"],
        ["repair", "--from", "nowhere"],
    ):
        assert dam(*mistake).returncode == 2


def test_setting_up_twice_says_what_was_new(home: Path) -> None:
    first, second = dam("setup-db"), dam("setup-db")
    lines = first.stdout.splitlines()
    assert [line.partition("\t")[0] for line in lines[:2]] == ["dam", "dam-fs"]
    assert "dam-media-audio\t0001\t(was new)" in lines
    assert second.stdout == first.stdout.replace("\t(was new)", "")
    assert (first.returncode, second.returncode) == (0, 0)


def test_processes_that_set_up_the_same_world_at_once_all_succeed(home: Path) -> None:
    for i in range(4):
        (home / f"{i}.txt").write_text(str(i))
    running = [
        subprocess.Popen([DAM_CLI, "add-asset", f"{i}.txt"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for i in range(4)
    ]
    ended = [(process.communicate(timeout=120)[1], process.returncode) for process in running]
    assert [code for _, code in ended] == [0] * 4, ended
    assert len(dam("ls").stdout.splitlines()) == 4


def test_the_log_level_is_a_variable(home: Path) -> None:
    assert "DEBUG" in dam("worlds", "list", DAM_LOG_LEVEL="debug").stderr
    wrong = dam("worlds", "list", DAM_LOG_LEVEL="loud")
    assert wrong.returncode == 0
    assert "DAM_LOG_LEVEL='LOUD' is not a level; allowed are DEBUG, INFO" in wrong.stderr


# -- pipes and terminals


@POSIX
def test_a_closed_pipe_ends_quietly(home: Path, database: Path) -> None:
    (home / "many").mkdir()
    for i in range(1500):
        (home / "many" / f"a file with a name that is not short {i}.txt").write_text(str(i))
    assert dam("-q", "add-asset", "-r", "many").returncode == 0
    for command, reader in (("ls", "head -1"), ("ls --json", "head -1"), ("show 2", "true")):
        script = f"{shlex.quote(DAM_CLI)} {command} | {reader}"
        done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False, timeout=60)
        assert done.stderr == ""
        assert len(done.stdout.splitlines()) == (reader != "true")


@POSIX
def test_streams_that_are_closed_or_know_few_characters_are_no_mistake(home: Path) -> None:
    (home / "写真.txt").write_text("x")
    closed = subprocess.run(["sh", "-c", f"{shlex.quote(DAM_CLI)} add-asset *.txt >&- 2>&-"], check=False, timeout=60)
    assert closed.returncode == 0
    latin = dam("ls", PYTHONIOENCODING="latin-1")
    assert (latin.returncode, latin.stderr) == (0, "")
    assert "\\u5199\\u771f.txt" in latin.stdout
    assert lines(dam("ls", "--json", PYTHONIOENCODING="latin-1"))[0]["name"] == "写真.txt"


@POSIX
def test_on_a_terminal_there_are_tables_with_headings_and_nothing_raw(pictures: Path, home: Path) -> None:
    code, screen = on_terminal("add-asset", "-r", str(pictures))
    assert code == 0
    assert "2 added, 1 linked" in screen
    assert "added\t" not in screen, "files that went well are no news on a terminal"
    code, screen = on_terminal("ls")
    heading, *rows = screen.splitlines()
    assert heading.split() == ["id", "added", "size", "type", "name"]
    assert len(rows) == 2
    name_at = heading.index("name")
    assert sorted(row[name_at:].startswith("evil\\x1b[31m\\u202e") for row in rows) == [False, True]
    assert "\x1b" not in screen
    _, screen = on_terminal("worlds", "list")
    assert [word for word in ("name", "database", "plugins", "default", "dam-fs") if word not in screen] == []
    assert "\x1b[" in screen
    _, screen = on_terminal("worlds", "list", NO_COLOR="1")
    assert not any(f"\x1b[{color}" in screen for color in range(30, 38))


@POSIX
def test_verbose_tells_every_file_on_a_terminal_and_failures_are_always_told(pictures: Path, home: Path) -> None:
    (home / "list").write_text(f"{pictures}/a.txt\n{home}/evil\x1b[2J\n")
    code, screen = on_terminal("-q", "add-asset", "--files-from", "list")
    assert code == 3
    assert screen == f"failed: {home}/evil\\x1b[2J: No such file or directory\r\n"
    code, screen = on_terminal("-v", "add-asset", "-r", str(pictures), columns=400)
    assert f"known: {pictures}/a.txt" in screen
    assert f"linked: {pictures}/-b.txt" in screen


OBEYED = "\x1b]0;owned\x07\r\x9b31m\u200f\u202egnp\x1b[2Jx\u2028\x85"
"""What a terminal would obey, or what would turn a line around."""

FOR_TERMINALS = re.compile(r"\x1b\[[0-9;]*[mAK]|\x1b\[\?25[lh]|\r(?=\n)|\r(?=\x1b\[)")
"""Colours, and what the progress bar moves the cursor with."""


def raw(text: str) -> list[str]:
    """What should have been escaped, each with what stands around it."""
    found = re.finditer(f"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029{DIRECTIONS}]", text)
    return [ascii(text[max(match.start() - 40, 0) : match.end() + 20]) for match in found]


@pytest.fixture
def obeyed(home: Path) -> Path:
    """Files whose names, and what they say in EXIF and ID3, is what a terminal would obey; one of them is damaged."""
    folder = home / "obeyed"
    (folder / f"in{OBEYED}").mkdir(parents=True)
    exif = Image.Exif()
    for tag in (0x010E, 0x010F, 0x0110, 0x0131, 0x013B, 0x8298):
        exif[tag] = OBEYED
    Image.new("RGB", (64, 48), "#ff7f00").save(folder / f"{OBEYED}.jpg", exif=exif)
    (folder / f"bad{OBEYED}.png").write_bytes(b"\x89PNG\r\n\x1a\n" + OBEYED.encode())
    (folder / f"in{OBEYED}" / "link").symlink_to(f"nowhere{OBEYED}")
    text = b"\x01" + OBEYED.encode("utf-16")
    tags = b"".join(name + struct.pack(">IH", len(text), 0) + text for name in (b"TIT2", b"TPE1", b"TALB", b"TCON"))
    size = bytes(len(tags) >> shift & 0x7F for shift in (21, 14, 7, 0))
    (folder / f"{OBEYED}.mp3").write_bytes(b"ID3\3\0\0" + size + tags + (b"\xff\xfb\x90\0" + bytes(413)) * 20)
    return folder


@POSIX
def test_nothing_that_files_say_reaches_a_terminal_or_a_pipe_raw(obeyed: Path) -> None:
    picture = str(obeyed / f"{OBEYED}.jpg")
    toml = obeyed / f"in{OBEYED}" / "dam.toml"
    toml.write_text("[worlds.a]\n")
    for arguments in (
        ["-v", "add-asset", "-r", str(obeyed)],
        ["--json", "add-asset", "-r", str(obeyed)],
        ["add-asset", f"no{OBEYED}"],
        ["show", "1", "2", "3"],
        ["--json", "show", "1", "2", "3"],
        ["ls"],
        ["failures"],
        ["find-file-by-hash", "--file", picture],
        ["find-similar-images", str(obeyed / f"bad{OBEYED}.png")],
        ["thumbnail", "1", "--output", f"{OBEYED}.webp"],
        ["export", "--all", f"out{OBEYED}", "--sidecar"],
        ["backup", f"backup{OBEYED}"],
        ["-v", "export", "1", picture],
        ["-v", "--world", OBEYED, "ls"],
        ["ls", OBEYED],
        ["ls", f"--{OBEYED}"],
        ["--config", str(toml), "worlds", "create", "b"],
        ["--config", str(toml), "config", "show"],
        ["rm", "1"],
        ["trash", "list"],
    ):
        done = dam(*arguments)
        assert not raw(done.stdout + done.stderr), arguments
        _, screen = on_terminal(*arguments)
        assert not raw(FOR_TERMINALS.sub("", screen)), arguments


@POSIX
def test_what_is_logged_and_what_nobody_foresaw_is_escaped_as_well(obeyed: Path) -> None:
    """A plugin's verb that logs and raises what it has read in a file."""
    code = f"""
import sys
import dam_app.cli, dam_app.context
sys.argv = ["dam-cli", "-v", "ls"]
def work(*_):
    import logging
    dam_app.context._set_up_logging(dam_app.context.Globals())
    logging.getLogger("birds").warning("seen: %s", {OBEYED!r})
    raise ValueError({OBEYED!r})
dam_app.cli.app = lambda **_: work()
dam_app.cli.main()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, timeout=60)
    err = done.stderr.decode()
    assert done.returncode == 1
    assert "seen: \\x1b]0;owned" in err
    assert "ValueError: \\x1b]0;owned" in err
    assert not raw(err)


@POSIX
def test_the_progress_bar_shows_items_and_bytes_and_is_gone_at_the_end(home: Path) -> None:
    (home / "many").mkdir()
    for i in range(600):
        (home / "many" / f"{i}.txt").write_text(f"{i:04}" * 100)
    (home / "many" / "link").symlink_to("nothing")
    code, screen = on_terminal("add-asset", "-r", "many")
    assert code == 0
    assert "600 files" in screen
    assert "of 240.0 kB" in screen
    assert "601 of" not in screen, "what is left out is no file"
    assert "\x1b[?25l" in screen
    assert screen.rindex("\x1b[?25h") > screen.rindex("\x1b[?25l"), "the cursor is there again"
    assert "600 added, 1 skipped (240.0 kB in " in screen.splitlines()[-1]


# -- Ctrl-C


@contextmanager
def write_lock(database: Path) -> Iterator[Callable[[], None]]:
    """Keeps everybody else from writing, until the function is called that it gives."""
    with closing(sqlite3.connect(database, isolation_level=None, timeout=60)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield connection.rollback


@contextmanager
def long_addition(home: Path) -> Iterator[tuple["subprocess.Popen[bytes]", bytes]]:
    """A running ``add-asset`` of 3,000 files that has reported some of them."""
    (home / "many").mkdir()
    for i in range(3000):
        (home / "many" / f"{i}.txt").write_text(str(i))
    command = [DAM_CLI, "add-asset", "-r", "many"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout.read1(1 << 16)  # type: ignore[attr-defined]
        finally:
            process.kill()


def wait_for(process: "subprocess.Popen[bytes]", words: bytes) -> bytes:
    assert process.stderr is not None
    said = b""
    for line in process.stderr:
        said += line
        if words in line:
            return said
    raise AssertionError(said)


@POSIX
def test_the_first_interrupt_finishes_the_batch_and_the_same_command_continues(home: Path, database: Path) -> None:
    with long_addition(home) as (process, reported), write_lock(database) as release:
        process.send_signal(signal.SIGINT)
        wait_for(process, b"finishing the batch in hand; Ctrl-C again stops at once")
        release()
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.splitlines()[-1] == b"interrupted; run the same command again to continue"
    added = {line.split(b"\t")[1].decode() for line in (reported + out).splitlines()}
    assert 0 < len(added) < 3000
    listed = {line.split("\t")[0] for line in dam("ls").stdout.splitlines()}
    assert listed == added, "what was committed was reported, and the other way round"
    again = dam("--json", "add-asset", "-r", "many")
    assert again.returncode == 0
    summary = lines(again)[-1]
    assert (summary["known"], summary["added"]) == (len(added), 3000 - len(added))


@POSIX
def test_the_second_interrupt_stops_at_once_and_nothing_reported_is_lost(home: Path, database: Path) -> None:
    with long_addition(home) as (process, reported), write_lock(database) as release:
        process.send_signal(signal.SIGINT)
        wait_for(process, b"finishing the batch in hand")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)  # while the lock is held, which it would wait for
        assert process.returncode == 130
        assert b"stopped; run the same command again to continue" in err
        release()
    added = {line.split(b"\t")[1].decode() for line in (reported + out).splitlines()}
    assert added <= {line.split("\t")[0] for line in dam("ls").stdout.splitlines()}
    assert lines(dam("--json", "add-asset", "-r", "many"))[-1]["failed"] == 0
    assert len(dam("ls").stdout.splitlines()) == 3000


# -- help, and the verbs of plugins


def commands(group: Any, prefix: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, command in group.commands.items():
        yield (*prefix, name), command
        if hasattr(command, "commands"):
            yield from commands(command, (*prefix, name))


def test_the_help_of_every_command_has_an_example_that_its_parser_takes() -> None:
    root = typer.main.get_command(app)
    found = dict(commands(root))
    assert {
        ("add-asset",),
        ("find-file-by-hash",),
        ("show",),
        ("ls",),
        ("worlds", "list"),
        ("plugins", "list"),
        ("plugins", "new"),
        ("setup-db",),
    } <= set(found)
    for path, command in [((), root), *found.items()]:
        assert command.help, path
        assert command.epilog.startswith("Example: dam-cli "), path
        root.make_context("dam-cli", words := shlex.split(command.epilog.removeprefix("Example: dam-cli ")))
        while words and words[0] != (path or words)[0]:
            words.pop(0)
        if path and not hasattr(command, "commands"):
            command.make_context(path[-1], words[len(path) :])


def test_help_calls_no_switch_a_bool() -> None:
    done = dam("add-asset", "--help")
    assert done.returncode == 0
    assert "<bool>" not in done.stdout
    assert "Example: dam-cli add-asset" in done.stdout


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder for ``PYTHONPATH`` with an installed distribution: a good verb, one that cannot be imported, and a plugin that
    lacks a dependency."""
    site = tmp_path / "site"
    info = site / "dam_hello-1.2.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: dam-hello\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text("[dam.cli]\nhello = dam_hello:app\nbroken = dam_broken:app\n")
    (site / "dam_hello.py").write_text(
        "import typer\n\napp = typer.Typer()\n\n\n@app.command()\ndef hello(name: str) -> None:\n"
        '    """Greet somebody."""\n    print("hello", name)\n    raise typer.Exit(7)\n'
    )
    (site / "dam_broken.py").write_text("raise RuntimeError('no such luck')\n")
    return site


def test_plugins_add_verbs_and_one_that_cannot_be_imported_leaves_the_others_alone(site: Path) -> None:
    path = str(site)
    hello = dam("hello", "world", PYTHONPATH=path)
    assert (hello.returncode, hello.stdout, hello.stderr) == (7, "hello world\n", "")
    usage = dam("--help", PYTHONPATH=path)
    assert usage.returncode == 0
    assert "hello" in usage.stdout
    assert "Greet somebody." in usage.stdout
    (site / "dam_hello.py").write_text((site / "dam_hello.py").read_text() + "\n\napp.command('bye')(hello)\n")
    assert "hello" in dam("--help", PYTHONPATH=path).stdout, "a verb that has several commands"
    assert "the verb 'broken' of dam_broken:app cannot be used: RuntimeError: no such luck" in usage.stderr
    broken = dam("broken", PYTHONPATH=path)
    assert broken.returncode == 2
    assert "no such luck" in broken.stderr
    assert "Traceback" not in broken.stderr
    others = dam("worlds", "list", PYTHONPATH=path)
    assert (others.returncode, others.stderr) == (0, "")


def test_verbs_that_two_claim_and_those_of_dam_cli_itself_are_refused_with_both_sides_named(site: Path) -> None:
    path = str(site)
    other = site / "dam_hi-2.0.dist-info"
    other.mkdir()
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: dam-hi\nVersion: 2.0\n")
    (other / "entry_points.txt").write_text(
        "[dam.plugins]\ndam-hi = dam_hi:Plugin\n[dam.cli]\nhello = dam_hi:app\nls = dam_hi:app\n"
    )
    (site / "dam_hi.py").write_text(
        "from dam import ConfigComponent, Plugin as Base, SettingsModel\n\n\nclass Settings(SettingsModel):\n    pass\n\n\n"
        "class Stored(ConfigComponent, settings=Settings):\n    __tablename__ = 'dam_hi_config'\n\n\n"
        "class Plugin(Base):\n    Settings, SettingsComponent = Settings, Stored\n\n"
        "    def build(self, world):\n        pass\n"
    )
    twice = "the verb 'hello' is in dam-hello 1.2 (dam_hello:app) and in dam-hi 2.0 (dam_hi:app); uninstall all of them but one"
    ours = "the verb 'ls' in dam-hi 2.0 (dam_hi:app) is a command of dam-cli itself; rename its entry point"
    refused = dam("--json", "hello", "world", PYTHONPATH=path)
    assert (refused.returncode, lines(refused)[0]["message"]) == (2, twice)
    usage = dam("--help", PYTHONPATH=path)
    assert usage.returncode == 0
    assert {f"warning: {twice}", f"warning: {ours}"} <= set(usage.stderr.splitlines())
    listing = dam("ls", PYTHONPATH=path)
    assert listing.returncode == 0
    assert "warning" not in listing.stderr
    listed = dam("plugins", PYTHONPATH=path)
    assert listed.returncode == 1
    assert f"dam-hi\tdam-hi\t2.0\tloaded\t{twice}; {ours}\n" in listed.stdout
    shown = dam("plugins", "dam-hi", PYTHONPATH=path)
    assert shown.stdout.splitlines()[0] == f"dam-hi 2.0 (dam-hi), loaded: {twice}; {ours}"


def test_plugins_alone_and_with_a_name_are_the_list(home: Path) -> None:
    assert dam("plugins").stdout == dam("plugins", "list").stdout
    assert dam("plugins", "--json", "dam-fs").stdout == dam("--json", "plugins", "list", "dam-fs").stdout
    assert dam("plugins", "dam-fs", "--json").stdout == dam("plugins", "dam-fs", "--json").stdout
    usage = dam("plugins", "--help").stdout
    assert [word for word in ("list", "new", "Example: dam-cli plugins dam-fs") if word not in usage] == []
    mistaken = dam("plugins", "--world", "photos")
    assert (mistaken.returncode, mistaken.stdout) == (2, "")
    assert "--world stands before the command" in mistaken.stderr


def test_a_new_plugin_is_written_and_told_with_the_next_steps(home: Path) -> None:
    done = dam("plugins", "new", "dam-test-labels", "--json")
    assert done.returncode == 0
    *files, summary = lines(done)
    assert {"dam-test-labels/pyproject.toml", "dam-test-labels/README.md"} <= {file["path"] for file in files}
    assert summary["next"][-1] == "dam-cli dam-test-labels --help"
    again = dam("plugins", "new", "dam-test-labels")
    assert (again.returncode, again.stdout) == (2, "")
    assert again.stderr.startswith("error: dam-test-labels is there already; ")


def test_a_plugin_that_does_not_load_is_listed_with_the_reason_and_named_by_worlds_that_need_it(
    site: Path, home: Path
) -> None:
    info = site / "dam_hello-1.2.dist-info"
    (info / "entry_points.txt").write_text("[dam.plugins]\ndam-hello = dam_hello:Plugin\n")
    with open(info / "METADATA", "a") as metadata:
        metadata.write("Requires-Dist: a-module-that-is-not-there>=2\n")
    (site / "dam_hello.py").write_text("import a_module_that_is_not_there\n")
    listed = dam("plugins", PYTHONPATH=str(site))
    assert listed.returncode == 1
    wanted = "'a-module-that-is-not-there>=2'"
    reason = (
        "No module named 'a_module_that_is_not_there'; where dam is installed, "
        f"run: uv pip install {wanted} (or: python -m pip install {wanted})"
    )
    assert f"dam-hello\tdam-hello\t1.2\tmissing dependency\t{reason}\n" in listed.stdout
    refused = dam("ls", PYTHONPATH=str(site))
    assert (refused.returncode, refused.stdout) == (1, "")
    assert reason in refused.stderr
    assert "mend or uninstall it, or say in [worlds.default] which plugins the world has" in refused.stderr
    (home / "dam.toml").write_text("[worlds.default]\nplugins = ['dam-fs']\n")
    assert dam("ls", PYTHONPATH=str(site)).returncode == 0


def test_the_installed_script_is_the_one_that_is_tested() -> None:
    assert shutil.which(DAM_CLI) is not None
    version = dam("--version")
    assert version.stdout.startswith("dam-cli ")
