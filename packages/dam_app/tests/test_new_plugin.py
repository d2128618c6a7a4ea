"""New plugins from the template: what is written, and what is refused."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from dam_app.exceptions import NewPluginError
from dam_app.new_plugin import TEMPLATE, write_plugin

COMMANDS = ["add-asset", "plugins"]


def test_every_file_of_the_template_is_written_under_the_new_name(home: Path) -> None:
    plugin = write_plugin("Dam.Test__Labels", ".", COMMANDS)
    assert (plugin.name, plugin.folder) == ("dam-test-labels", Path("dam-test-labels"))
    names = {str(file.relative_to(plugin.folder)) for file in plugin.files}
    assert {"pyproject.toml", "README.md", "tests/test_dam_test_labels.py"} <= names
    package = {str(Path(name).relative_to("src/dam_test_labels")) for name in names if name.startswith("src")}
    assert package == {
        *("__init__.py", "py.typed", "models.py", "settings.py", "commands.py", "systems.py", "plugin.py", "cli.py"),
        *("migrations/__init__.py", "migrations/0001_baseline.py"),
    }
    written = {file: file.read_text() for file in home.rglob("*") if file.is_file()}
    assert {home / file for file in plugin.files} == written.keys()
    assert [file for file, text in written.items() if "plugin_name" in text or "plugin-name" in text] == []
    project = tomllib.loads(written[home / "dam-test-labels" / "pyproject.toml"])["project"]
    assert project["entry-points"] == {
        "dam.plugins": {"dam-test-labels": "dam_test_labels.plugin:LabelPlugin"},
        "dam.cli": {"dam-test-labels": "dam_test_labels.cli:app"},
    }


@pytest.mark.parametrize("name", ["x", "a-plugin-with-a-name-as-long-as-possible"])
def test_what_is_written_is_formatted_and_clean_whatever_the_length_of_the_name(name: str, home: Path) -> None:
    plugin = write_plugin(name, str(home), COMMANDS)
    for command in (["format", "--check"], ["check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--no-cache", "."],
            cwd=plugin.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_what_tools_left_beside_the_template_is_not_written(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    template = home / "template"
    shutil.copytree(TEMPLATE, template, ignore=shutil.ignore_patterns(".*", "__pycache__"))
    monkeypatch.setattr("dam_app.new_plugin.TEMPLATE", template)
    for left in (".ruff_cache", "src/plugin_name/__pycache__"):
        (template / left).mkdir()
        (template / left / "left.bin").write_bytes(b"\xff")
    files = write_plugin("dam-test-clean", ".", COMMANDS).files
    assert files
    assert [file for file in files if file.name == "left.bin"] == []


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "a name has letters of a to z"),
        ("-labels", "a name has letters of a to z"),
        ("étiquettes", "a name has letters of a to z"),
        ("../labels", "a name has letters of a to z"),
        ("labels\n", "a name has letters of a to z"),
        ("x" * 41, "it has 41 characters, and 40 is the most"),
        ("3d", "Python has no package '3d'"),
        ("Class", "Python has no package 'class'"),
        ("new", "that is a command of dam-cli"),
        ("list", "that is a command of dam-cli"),
        ("Add_Asset", "that is a command of dam-cli"),
        ("dam_fs", r"dam-fs \S+ \(dam_fs\.plugin:FsPlugin\) is called so"),
        ("dam", "there is a package 'dam' already"),
        ("json", "there is a package 'json' already"),
        ("typer", "there is a package 'typer' already"),
        ("dam-ecs", r"the distribution dam-ecs \S+ is installed"),
    ],
)
def test_a_name_that_could_not_be_installed_is_refused(name: str, reason: str, home: Path) -> None:
    with pytest.raises(NewPluginError, match=rf"no plugin can be called .*: {reason}"):
        write_plugin(name, ".", COMMANDS)
    assert list(home.iterdir()) == []


def test_an_empty_folder_is_filled_and_nothing_else_is_touched(home: Path) -> None:
    (home / "dam-test-here").mkdir()
    write_plugin("dam-test-here", ".", COMMANDS)
    before = {file: file.read_bytes() for file in home.rglob("*") if file.is_file()}
    with pytest.raises(NewPluginError, match="dam-test-here is there already; remove it, or choose another name"):
        write_plugin("dam-test-here", ".", COMMANDS)
    assert {file: file.read_bytes() for file in home.rglob("*") if file.is_file()} == before
    (home / "dam-test-file").write_text("mine")
    (home / "dam-test-link").symlink_to("nowhere")
    for name in ("dam-test-file", "dam-test-link"):
        with pytest.raises(NewPluginError, match="is there already"):
            write_plugin(name, ".", COMMANDS)


def test_where_it_cannot_be_written_nothing_is_left(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NewPluginError, match="gone/dam-test-nowhere cannot be written: No such file or directory"):
        write_plugin("dam-test-nowhere", "gone", COMMANDS)
    write = Path.write_text

    def full(path: Path, *arguments: str, **keywords: str) -> int:
        if path.name == "systems.py":
            raise OSError(28, os.strerror(28))
        return write(path, *arguments, **keywords)

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(NewPluginError, match="dam-test-nowhere cannot be written: No space left on device"):
        write_plugin("dam-test-nowhere", ".", COMMANDS)
    assert list(home.iterdir()) == []


def test_the_next_steps_can_be_typed_in_whatever_the_folder_is_called(home: Path) -> None:
    (home / "my plugins").mkdir()
    install, test, *use = write_plugin("dam-test-steps", "my plugins", COMMANDS).next_steps
    assert install == f"uv pip install --python {sys.prefix} -e './my plugins/dam-test-steps[test]'"
    assert test == f"{sys.executable} -m pytest './my plugins/dam-test-steps'"
    assert use == ["dam-cli setup-db", "dam-cli dam-test-steps --help"]
