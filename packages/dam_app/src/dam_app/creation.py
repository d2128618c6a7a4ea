"""New worlds: a table in ``dam.toml``, and a database that is set up."""

import os
import shutil
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import tomli_w

from dam.core.exceptions import SettingsError
from dam_app.config import load_configuration, users_file
from dam_app.worlds import opened


async def create_world(
    config: str | None, name: str, table: dict[str, Any], *, say: Callable[[str], None] = lambda _: None
) -> str:
    """Adds ``[worlds.NAME]`` to the ``dam.toml`` in use, or to a new one in the user's configuration folder, and sets its
    database up; returns the file.

    The file is written last, and what stands there stays as it is. Raises ``SettingsError``, and what opening a
    database raises; then the file is not touched.
    """
    configuration = load_configuration(config)
    file = configuration.file or users_file()
    if name in configuration.names:
        raise _taken(file, name)
    added = "\n" + tomli_w.dumps({"worlds": {name: table}})
    extended = load_configuration(config, added=added)
    async with opened(extended, name, say=say, setup=True) as world:
        await world.setup()
    try:
        _add(config, file, name, added)
    except OSError as e:
        raise SettingsError(
            f"{file} cannot be written: {e.strerror}; the database is set up, and this table would have been added:\n{added}"
        ) from e
    return str(file)


def _add(config: str | None, file: Path, name: str, added: str) -> None:
    """The file is whole before and after it, whatever happens; who does the same at this moment waits."""
    from filelock import FileLock

    file = file.resolve()
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with FileLock(f"{file}.lock", mode=0o600):
        if name in load_configuration(config).names:
            raise _taken(file, name)
        content = file.read_text(encoding="utf-8") if file.exists() else ""
        load_configuration(config, added=added)  # what somebody has written meanwhile may not go with it
        with NamedTemporaryFile("w", encoding="utf-8", dir=file.parent, prefix=f".{file.name}-", delete=False) as new:
            new.write(content + added)
            new.flush()
            os.fsync(new.fileno())
        if file.exists():
            shutil.copymode(file, new.name)
        os.replace(new.name, file)


def _taken(file: Path, name: str) -> SettingsError:
    return SettingsError(
        f"{file}: there is a world {name!r} already; choose another name, or change what the file says of it"
    )


def world_table(
    database_url: str | None = None, plugins: Sequence[str] | None = None, settings: Sequence[str] = ()
) -> dict[str, Any]:
    """A table from the words of a command line: ``settings`` are ``KEY=VALUE``, or ``PLUGIN.KEY=VALUE``, with a value as in
    ``dam.toml``; one that is none is a text. Raises ``SettingsError``."""
    table: dict[str, Any] = {}
    if database_url is not None:
        table["database_url"] = database_url
    if plugins is not None:
        table["plugins"] = list(plugins)
    for setting in settings:
        key, equals, value = setting.partition("=")
        plugin, _, own = key.strip().rpartition(".")
        if not equals or not own:
            raise SettingsError(f"--set {setting!r} is not KEY=VALUE, or PLUGIN.KEY=VALUE for a setting of a plugin")
        place = table.setdefault("settings", {}).setdefault(plugin, {}) if plugin else table
        place[own] = _value(value)
    return table


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
