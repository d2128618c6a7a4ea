"""New worlds: a table in ``dam.toml``, and a database that is set up."""

import os
import tomllib
from collections.abc import Callable, Sequence
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

    The file is written last, and only added to: what stands there stays as it is. Raises ``SettingsError``, and what opening a
    database raises; then the file is not touched.
    """
    configuration = load_configuration(config)
    file = configuration.file or users_file()
    if name in configuration.names:
        raise SettingsError(
            f"{file}: there is a world {name!r} already; choose another name, or change its table by hand"
        )
    added = "\n" + tomli_w.dumps({"worlds": {name: table}})
    extended = load_configuration(config, added=added)
    async with opened(extended, name, say=say, setup=True) as world:
        await world.setup()
    try:
        os.makedirs(file.parent, mode=0o700, exist_ok=True)
        # added in one piece: another process may be doing the same
        descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, added.encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as e:
        raise SettingsError(
            f"{file} cannot be written: {e.strerror}; the database is set up, and this table would have been added:\n{added}"
        ) from e
    return str(file)


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
