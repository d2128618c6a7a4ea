"""New plugins, written from the template: a plugin that works, in which two names are replaced."""

import importlib.util
import keyword
import os
import re
import shlex
import sys
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution, entry_points
from pathlib import Path
from tempfile import TemporaryDirectory

from dam.core.distributions import origin_of
from dam.core.plugin import GROUP, RESERVED, normalised
from dam_app.exceptions import NewPluginError
from dam_app.verbs import verbs

TEMPLATE = Path(__file__).with_name("templates") / "plugin"
NAME, PACKAGE = "plugin-name", "plugin_name"
"""How the template's plugin and its package are called."""

LONGEST_NAME = 40  # PostgreSQL's names have 63 characters, and those of constraints begin with the package's
_NAME = re.compile(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?", re.IGNORECASE)  # as pyproject.toml takes it


@dataclass(frozen=True)
class NewPlugin:
    """A plugin that was written: its name, its folder, and the files in there."""

    name: str
    folder: Path
    files: list[Path]

    @property
    def next_steps(self) -> list[str]:
        """What to type: it is installed beside this program, tested, and used."""
        folder = str(self.folder if self.folder.is_absolute() else os.path.join(os.curdir, self.folder))
        return [
            shlex.join(["uv", "pip", "install", "--python", sys.prefix, "-e", f"{folder}[test]"]),
            shlex.join([sys.executable, "-m", "pytest", folder]),
            "dam-cli setup-db",
            f"dam-cli {self.name} --help",
        ]


def write_plugin(name: str, parent: str, commands: Collection[str]) -> NewPlugin:
    """Writes a new plugin into a folder of its name in ``parent``: all of it, or nothing.

    ``commands`` are those of ``dam-cli``, which no verb can be. Raises ``NewPluginError``.
    """
    if problem := next(_problems(name, commands), None):
        raise NewPluginError(f"no plugin can be called {name!r}: {problem}")
    name = re.sub(r"[-_.]+", "-", name.lower())
    folder = Path(parent) / name
    try:
        _make_room(folder)
        with TemporaryDirectory(prefix=f".{name}-", dir=parent) as scratch:
            files = list(_render(name, Path(scratch, name)))
            os.replace(Path(scratch, name), folder)
    except OSError as e:
        raise NewPluginError(f"{folder} cannot be written: {e.strerror}; choose another place with --in") from e
    return NewPlugin(name, folder, [folder / file for file in files])


def _make_room(folder: Path) -> None:
    """Takes an empty folder out of the way. Raises ``NewPluginError`` for anything else that is there."""
    if folder.is_dir() and not folder.is_symlink() and not any(folder.iterdir()):
        folder.rmdir()
    elif os.path.lexists(folder):
        raise NewPluginError(
            f"{folder} is there already; remove it, or choose another name, or another place with --in"
        )


def _render(name: str, folder: Path) -> Iterator[Path]:
    """Writes the files, and yields their paths inside the folder. What pip or a linter left beside the template is none."""
    for source in sorted(TEMPLATE.rglob("*")):
        inside = source.relative_to(TEMPLATE)
        if source.is_file() and not any(part.startswith((".", "__pycache__")) for part in inside.parts):
            path = Path(_named(str(inside), name))
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(_named(source.read_text(encoding="utf-8"), name), encoding="utf-8", newline="\n")
            yield path


def _named(text: str, name: str) -> str:
    return text.replace(PACKAGE, name.replace("-", "_")).replace(NAME, name)


def _problems(name: str, commands: Collection[str]) -> Iterator[str]:
    """Why nothing can have that name, as distribution, as plugin, as package and as verb."""
    if not _NAME.fullmatch(name):
        yield "a name has letters of a to z, digits, and between them '-', '_' and '.'"
    name = re.sub(r"[-_.]+", "-", name.lower())
    package = name.replace("-", "_")
    if len(name) > LONGEST_NAME:
        yield f"it has {len(name)} characters, and {LONGEST_NAME} is the most"
    if not package.isidentifier() or keyword.iskeyword(package):
        yield f"Python has no package {package!r}, for that is not an identifier of its own"
    if name in RESERVED or name in commands:
        yield "that is a command of dam-cli"
    for entry in [*entry_points(group=GROUP), *(entry for entries in verbs().values() for entry in entries)]:
        if normalised(entry.name) == name:
            yield f"{origin_of(entry)} is called so"
    if package in sys.stdlib_module_names or importlib.util.find_spec(package) is not None:
        yield f"there is a package {package!r} already, which could not be imported any more, or hides the new one"
    try:
        yield f"the distribution {name} {distribution(name).version} is installed"
    except PackageNotFoundError:
        return
