"""Settings as people see them: what a world has and who said so, and what there is to say."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import tomli_w

from dam.core.plugin import discover, distribution_of
from dam.core.world_manager import close_world
from dam.models.config import SettingsModel, WorldConfig, is_secret, meanings
from dam_app.config import Configuration
from dam_app.worlds import built

NOT_IN_FILES = frozenset({"name"})
"""What a file says by the name of a table."""


@dataclass(frozen=True)
class SettingRow:
    """One setting of one world. ``source`` is the variable or the file that says it, or ``default``."""

    world: str
    table: str
    key: str
    value: Any
    source: str


def settings_rows(configuration: Configuration, name: str) -> Iterator[SettingRow]:
    """Every setting of a configured world, as it will be used. Raises ``SettingsError`` or ``PluginUnavailableError``."""
    description = configuration.describe(name)
    where = f"worlds.{name}"
    core = configuration.core_of(name)
    for key, value in core.model_dump(mode="json").items():
        if key not in NOT_IN_FILES:
            yield SettingRow(name, where, key, value, configuration.source(name, key))
    plugins = [report.name for report in description.plugins]
    yield SettingRow(name, where, "plugins", plugins, configuration.source(name, "plugins"))
    for report in description.plugins:
        assert report.plugin is not None
        table = f"{where}.settings.{report.name}"
        settings = configuration.settings_of(name, report.name, report.plugin.Settings)
        for key, value in settings.model_dump(mode="json").items():
            yield SettingRow(name, table, key, value, configuration.source(name, key, report.name))


async def stored_settings_rows(configuration: Configuration, name: str) -> list[SettingRow]:
    """The same for a world whose configuration is stored in another one. Raises also what opening that can raise."""
    world = await built(configuration, name)
    holder = f"world {name.rpartition(':')[0]}"
    rows = []
    try:
        tables = {"": world.config} | {distribution_of(each): world.settings[each.Settings] for each in world.plugins}
        for plugin, settings in tables.items():
            where = f"worlds.{name}" + (f".settings.{plugin}" if plugin else "")
            for key, value in settings.model_dump(mode="json").items():
                said_by = holder if key in settings.model_fields_set else "default"
                if key not in NOT_IN_FILES:
                    rows.append(SettingRow(name, where, key, value, said_by))
        plugins = [distribution_of(each) for each in world.plugins]
        rows.append(SettingRow(name, f"worlds.{name}", "plugins", plugins, holder))
    finally:
        await close_world(world)
    return rows


def template() -> str:
    """A ``dam.toml`` with everything that can be set, by the core and by the installed plugins, each with what it means and, as a
    comment, its default."""
    plugins = {report.name: report.plugin for report in discover().values() if report.plugin is not None}
    parts = [
        "# Worlds of dam. Everything is a comment and shows its default; take away the # of what you change.",
        '# default_world = "main"',
        "[worlds.main]",
        *_described(WorldConfig),
        f"# The plugins of the world, by name; every installed one unless set.\n# {_toml('plugins', list(plugins))}",
    ]
    for name, plugin in plugins.items():
        if plugin.Settings.model_fields:
            parts += [f"[worlds.main.settings.{name}]", *_described(plugin.Settings)]
    return "\n\n".join(parts) + "\n"


def _described(model: type[SettingsModel]) -> Iterator[str]:
    said = meanings(model)
    for key, field in model.model_fields.items():
        if key in NOT_IN_FILES:
            continue
        meaning = "\n".join(f"# {line}" for line in said.get(key, "").replace("``", "").splitlines())
        default = None if field.is_required() else field.get_default(call_default_factory=True)
        if is_secret(model, key):
            shown = f'{key} = {{ env = "NAME" }}'
        else:
            shown = _toml(key, default) if default not in (None, "") else f"{key} = …"
        yield "\n".join(filter(None, [meaning, f"# {shown}"]))


def _toml(key: str, value: Any) -> str:
    plain = value if isinstance(value, (bool, int, float, str, list, dict)) else str(value)
    return " ".join(tomli_w.dumps({key: plain}).split())
