"""Configuration: ``dam.toml``, the environment, and the built-in default world."""

import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from platformdirs import user_config_dir, user_data_dir
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from dam.core.exceptions import NoSuchWorldError, SettingsError
from dam.core.plugin import PluginReport, discover, normalised, required
from dam.models.config import ConfigComponent, SettingsModel, WorldConfig, WorldConfigComponent

DEFAULT_WORLD = "default"
FILE = "dam.toml"
ENVIRONMENT = ("DAM_CONFIG", "DAM_HOME", "DAM_LOG_LEVEL", "DAM_WORLD")


class WorldTable(BaseModel):
    """One ``[worlds.NAME]`` table: the core's settings, the plugins, and one ``settings`` table for each plugin."""

    model_config = ConfigDict(extra="allow")  # the core's own keys are validated as a WorldConfig

    plugins: list[str] | None = None
    settings: dict[str, dict[str, Any]] = Field(default_factory=dict)


class Tables(BaseSettings):
    """The whole of ``dam.toml``; an environment variable ``DAM_WORLDS__NAME__KEY`` wins over the file."""

    model_config = SettingsConfigDict(env_prefix="DAM_", env_nested_delimiter="__", extra="ignore")

    default_world: str | None = None
    worlds: dict[str, WorldTable] = Field(default_factory=dict)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return env_settings, dotenv_settings, init_settings


@dataclass(frozen=True)
class WorldDescription:
    """One configured world: its name, the components to build it from, and the folder that relative paths start at."""

    name: str
    components: list[ConfigComponent]
    plugins: list[PluginReport]
    base: Path

    @property
    def core(self) -> WorldConfig:
        (component,) = (c for c in self.components if isinstance(c, WorldConfigComponent))
        settings = component.to_settings(self.base)
        assert isinstance(settings, WorldConfig)
        return settings


class Configuration:
    """What ``dam.toml`` and the environment say together. ``file`` is ``None`` where there is no ``dam.toml``."""

    def __init__(self, file: Path | None, tables: Tables) -> None:
        self.file = file
        self._tables = tables
        self._discovered: dict[str, PluginReport] | None = None

    @property
    def names(self) -> list[str]:
        """All worlds, the built-in default one included."""
        return sorted({*self._tables.worlds, DEFAULT_WORLD})

    def choose(self, name: str | None) -> str:
        """The world to use: as named, else ``DAM_WORLD``, else the file's default, else the built-in one."""
        chosen = name or os.environ.get("DAM_WORLD") or self._tables.default_world or DEFAULT_WORLD
        if chosen not in self.names:
            place = f"{self.file} has" if self.file else f"there is no {FILE}, which leaves"
            raise NoSuchWorldError(
                f"no world {chosen!r}: {place} {', '.join(self.names)}; "
                f"add a table [worlds.{chosen}] or choose another with --world"
            )
        return chosen

    def describe(self, name: str) -> WorldDescription:
        """Everything about one world, validated. Raises ``SettingsError`` or ``PluginUnavailableError``."""
        table = self._tables.worlds.get(name, WorldTable())
        where = f"worlds.{name}"
        core = dict(table.model_extra or {}, name=name)
        core.setdefault("database_url", _default_database(name))
        config = self._validated(WorldConfig, core, where)
        base = self.file.parent if self.file else Path.cwd()
        plugins = self._plugins(table, where)
        components: list[ConfigComponent] = [WorldConfigComponent.from_settings(_absolute_database(config, base))]
        for report in plugins:
            plugin = report.plugin
            assert plugin is not None
            given = _table_of(table.settings, report.name)
            settings = self._validated(plugin.Settings, given, f"{where}.settings.{report.name}", base)
            components.append(plugin.SettingsComponent.from_settings(settings))
        return WorldDescription(name, components, plugins, base)

    def plugin_reports(self) -> dict[str, PluginReport]:
        """All installed plugins."""
        if self._discovered is None:
            self._discovered = discover()
        return self._discovered

    def _plugins(self, table: WorldTable, where: str) -> list[PluginReport]:
        reports = self.plugin_reports() if table.plugins is None else discover(table.plugins)
        wanted = list(reports) if table.plugins is None else table.plugins
        for name in wanted:
            required(reports, name)
        chosen = {normalised(name) for name in wanted}
        if unknown := [name for name in table.settings if normalised(name) not in chosen]:
            raise SettingsError(
                f"{self._place(where)}: [{where}.settings.{unknown[0]}] is for a plugin that the world does not have; "
                f"it has {', '.join(sorted(reports)) or 'none'}"
            )
        return [report for report in reports.values() if normalised(report.name) in chosen]

    def _validated(
        self, model: type[SettingsModel], given: Mapping[str, Any], where: str, base: Path | None = None
    ) -> Any:
        try:
            return model.model_validate(dict(given), context={"base": base})
        except ValidationError as e:
            raise SettingsError("\n".join(self._problems(e, where, model))) from e

    def _problems(self, error: ValidationError, where: str, model: type[BaseModel]) -> Iterator[str]:
        for problem in error.errors():
            key = str(problem["loc"][0]) if problem["loc"] else ""
            if problem["type"] == "extra_forbidden":
                known = ", ".join(sorted(model.model_fields.keys() - {"name"})) or "no keys at all"
                yield f"{self._place(where, key)}: [{where}] {key} is not a setting; there are {known}"
            else:
                field = model.model_fields.get(key)
                fallback = (
                    f"; the default is {field.default!r}" if field is not None and not field.is_required() else ""
                )
                yield f"{self._place(where, key)}: [{where}] {key}={problem['input']!r}: {_lower(problem['msg'])}{fallback}"

    def _place(self, where: str, key: str = "") -> str:
        variable = "DAM_" + "__".join([*where.split("."), key]).upper().replace("-", "_")
        if key and variable in os.environ:
            return f"environment variable {variable}"
        return str(self.file or "environment")


def load_configuration(config: str | None = None) -> Configuration:
    """Reads ``dam.toml`` from ``config``, ``DAM_CONFIG``, the working folder and its parents, or the user's configuration
    folder; none is fine. Raises ``SettingsError``."""
    file = _find(config)
    content: dict[str, Any] = {}
    if file is not None:
        try:
            content = tomllib.loads(file.read_text(encoding="utf-8"))
        except OSError as e:
            raise SettingsError(f"{file} cannot be read: {e.strerror}; correct --config or DAM_CONFIG") from e
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
            raise SettingsError(f"{file} is not valid TOML: {e}") from e
        if unknown := sorted(content.keys() - Tables.model_fields.keys()):
            raise SettingsError(
                f"{file}: {unknown[0]!r} is not a setting; at the top there are default_world and tables [worlds.NAME]"
            )
    folder = file.parent if file else Path.cwd()
    try:
        tables = Tables(_env_file=folder / ".env", **_known_names(content))  # pyright: ignore[reportCallIssue]  # an option of every BaseSettings
    except ValidationError as e:
        first = e.errors()[0]
        *table, key = [str(part) for part in first["loc"]]
        raise SettingsError(
            f"{file or 'environment'}: [{'.'.join(table)}] {key}={first['input']!r}: {_lower(first['msg'])}"
        ) from e
    return Configuration(file, _same_case(tables, content))


def _find(config: str | None) -> Path | None:
    if named := config or os.environ.get("DAM_CONFIG"):
        return Path(named).absolute()
    here = Path.cwd()
    for folder in (here, *here.parents):
        file = folder / FILE
        if file.is_file():
            _refuse_strangers(file)
            return file
    file = Path(user_config_dir("dam")) / FILE
    return file if file.is_file() else None


def _refuse_strangers(file: Path) -> None:
    """A file found by walking up is somebody's choice of databases and plugins: it has to be the user's own."""
    if hasattr(os, "getuid") and file.stat().st_uid != os.getuid():
        raise SettingsError(
            f"{file} belongs to another user, who could make this command use any database; "
            f"if you trust it, say so with --config {file} or DAM_CONFIG"
        )


def _known_names(content: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in content.items() if key in Tables.model_fields}


def _same_case(tables: Tables, content: dict[str, Any]) -> Tables:
    """Environment variables know no case: ``DAM_WORLDS__PHOTOS__…`` is about the file's world ``Photos``."""
    written = {name.lower(): name for name in content.get("worlds", {})}
    for name in [name for name in tables.worlds if written.get(name, name) != name]:
        extra, original = tables.worlds.pop(name), tables.worlds[written[name]]
        merged = {**(original.model_extra or {}), **(extra.model_extra or {})}
        settings = {key: {**_table_of(original.settings, key), **value} for key, value in extra.settings.items()}
        tables.worlds[written[name]] = WorldTable(
            plugins=extra.plugins or original.plugins, settings={**original.settings, **settings}, **merged
        )
    return tables


def _table_of(settings: Mapping[str, dict[str, Any]], plugin: str) -> dict[str, Any]:
    """A plugin's settings under any spelling of its name; what the environment spells with underscores wins."""
    merged: dict[str, Any] = {}
    for name in sorted(settings, key=lambda name: name != plugin):
        if normalised(name) == normalised(plugin):
            merged.update(settings[name])
    return merged


def home() -> Path:
    """The folder of the built-in default world and of worlds that name no database."""
    return Path(os.environ.get("DAM_HOME") or user_data_dir("dam")).expanduser().absolute()


def _default_database(name: str) -> str:
    return f"sqlite+aiosqlite:///{home() / name}.db"


def _absolute_database(config: WorldConfig, base: Path) -> WorldConfig:
    prefix = "sqlite+aiosqlite:///"
    if not config.database_url.startswith(prefix):
        return config
    path = base / Path(config.database_url.removeprefix(prefix)).expanduser()
    return config.model_copy(update={"database_url": f"{prefix}{path}"})


def _lower(message: str) -> str:
    return message[:1].lower() + message[1:]
