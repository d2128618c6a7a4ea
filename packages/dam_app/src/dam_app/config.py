"""Configuration: ``dam.toml``, the environment, and the built-in default world."""

import os
import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from dotenv import dotenv_values
from platformdirs import user_config_dir, user_data_dir
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings import SettingsError as UnreadableVariableError

from dam.core.databases import parse_url
from dam.core.exceptions import NoSuchWorldError, PluginUnavailableError, SettingsError
from dam.core.plugin import PluginReport, discover, normalised, required
from dam.models.config import ConfigComponent, SettingsModel, WorldConfig, WorldConfigComponent, expanded, is_secret

S = TypeVar("S", bound=SettingsModel)

DEFAULT_WORLD = "default"
FILE = "dam.toml"
TABLES = "DAM_WORLDS__"
IN_DOTENV = ("DAM_DEFAULT_WORLD", "DAM_HOME", "DAM_WORLD", "DAM_WORLDS")
VARIABLES = ("DAM_CONFIG", "DAM_LOG_LEVEL", *IN_DOTENV)  # the first two are read before any .env is found

_WORLD_NAME = re.compile(r"[^\W_][\w-]*")


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
class Variable:
    """One environment variable, or one line of a ``.env``: ``place`` says which, and relative paths start at ``base``."""

    value: str
    place: str
    base: Path


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

    def __init__(self, file: Path | None, tables: Tables, variables: Mapping[str, Variable], base: Path) -> None:
        self.file = file
        self.base = base
        self._tables = tables
        self._variables = variables
        self._discovered: dict[str, PluginReport] | None = None

    @property
    def names(self) -> list[str]:
        """All worlds, the built-in default one included."""
        return sorted({*self._tables.worlds, DEFAULT_WORLD})

    @property
    def configured(self) -> list[str]:
        """Those that have a table, or variables."""
        return sorted(self._tables.worlds)

    @property
    def home(self) -> Path:
        """The folder of the built-in default world and of worlds that name no database."""
        given = self._variables.get("DAM_HOME")
        if given is None:
            return Path(user_data_dir("dam")).absolute()
        try:
            return given.base / expanded(Path(given.value))
        except ValueError as e:
            raise SettingsError(f"{given.place}={given.value!r}: {e}; correct it") from e

    def choose(self, name: str | None, said_by: str = "--world") -> str:
        """The world to use: as named by ``said_by``, else ``DAM_WORLD``, else the file's default, else the built-in one.
        ``WORLD:ENTITY`` is one whose configuration is stored in another."""
        variable = self._variables.get("DAM_WORLD")
        chosen, said_by = (
            (name, said_by)
            if name
            else (variable.value, variable.place)
            if variable
            else (self._tables.default_world, self._place("", "default_world"))
            if self._tables.default_world
            else (DEFAULT_WORLD, "")
        )
        if chosen not in self.names and not self._is_stored(chosen):
            place = f"{self.file} has" if self.file else f"there is no {FILE}, which leaves"
            raise NoSuchWorldError(
                f"no world {chosen!r}, which {said_by} names: {place} {', '.join(self.names)}; "
                f"add a table [worlds.{chosen}] or choose another with --world"
            )
        return chosen

    def _is_stored(self, name: str) -> bool:
        """Whether it is of the form ``WORLD:ENTITY``, with a world that is configured or stored itself."""
        holder, _, entity = name.rpartition(":")
        return entity.isdecimal() and (holder in self.names or self._is_stored(holder))

    def describe(self, name: str) -> WorldDescription:
        """Everything about one world, validated. Raises ``SettingsError`` or ``PluginUnavailableError``."""
        table, where = self._table(name)
        components: list[ConfigComponent] = [WorldConfigComponent.from_settings(self.core_of(name))]
        plugins = self._plugins(table, where)
        for report in plugins:
            plugin = report.plugin
            assert plugin is not None
            settings = self.settings_of(name, report.name, plugin.Settings)
            components.append(plugin.SettingsComponent.from_settings(settings))
        return WorldDescription(name, components, plugins, self.base)

    def core_of(self, name: str) -> WorldConfig:
        """A world's own settings, whatever its plugins; the path of an embedded database is absolute."""
        table, where = self._table(name)
        core = dict(table.model_extra or {})
        if "name" in core:
            raise SettingsError(f"{self._place(where, 'name')}: [{where}] name is not a setting: the table's name is")
        core.setdefault("database_url", f"sqlite+aiosqlite:///{self.home / name}.db")
        config: WorldConfig = self._validated(WorldConfig, {**core, "name": name}, where, self.base)
        self._check_database(config, where)
        try:
            return _absolute_database(config, self.base)
        except ValueError as e:
            place = f"{self._place(where, 'database_url')}: [{where}] database_url={config.database_url!r}"
            raise SettingsError(f"{place}: {e}; correct it") from e

    def settings_of(self, name: str, plugin: str, model: type[S]) -> S:
        """What the world's table says for one plugin, whether that can be loaded or not."""
        table, where = self._table(name)
        settings: S = self._validated(model, _table_of(table.settings, plugin), f"{where}.settings.{plugin}", self.base)
        return settings

    def source(self, name: str, key: str, plugin: str | None = None) -> str:
        """Who says a setting of a world, or of one of its plugins: a variable, the file, or ``default``."""
        table, where = self._table(name)
        if plugin is None:
            given = {**(table.model_extra or {}), "plugins": table.plugins}
        else:
            given, where = _table_of(table.settings, plugin), f"{where}.settings.{plugin}"
        return "default" if given.get(key) is None else self._place(where, key)

    def _table(self, name: str) -> tuple[WorldTable, str]:
        return self._tables.worlds.get(name, WorldTable()), f"worlds.{name}"

    def plugin_reports(self) -> dict[str, PluginReport]:
        """All installed plugins."""
        if self._discovered is None:
            self._discovered = discover()
        return self._discovered

    def _check_database(self, config: WorldConfig, where: str) -> None:
        try:
            parse_url(config.database_url)
        except SettingsError as e:
            raise SettingsError(f"{self._place(where, 'database_url')}: [{where}] {e.message}") from e

    def _plugins(self, table: WorldTable, where: str) -> list[PluginReport]:
        reports = self.plugin_reports() if table.plugins is None else discover(table.plugins)
        wanted = list(reports) if table.plugins is None else table.plugins
        for name in wanted:
            self._require(reports, name, where, is_named=table.plugins is not None)
        chosen = {normalised(name) for name in wanted}
        if unknown := [name for name in table.settings if normalised(name) not in chosen]:
            raise SettingsError(
                f"{self._place(where)}: [{where}.settings.{unknown[0]}] is for a plugin that the world does not have; "
                f"it has {', '.join(sorted(reports)) or 'none'}"
            )
        return [report for report in reports.values() if normalised(report.name) in chosen]

    def _require(self, reports: dict[str, PluginReport], name: str, where: str, *, is_named: bool) -> None:
        try:
            required(reports, name)
        except PluginUnavailableError as e:
            if not is_named:
                fix = f"mend or uninstall it, or say in [{where}] which plugins the world has"
                raise PluginUnavailableError(
                    f"world {where.removeprefix('worlds.')!r} has every installed plugin: {e.message}; {fix}"
                ) from e
            usable = ", ".join(r.name for r in self.plugin_reports().values() if r.plugin is not None)
            place = self._place(where, "plugins")
            raise PluginUnavailableError(f"{place}: [{where}] plugins: {e.message}; usable are {usable}") from e

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
            place = f"{self._place(where, key)}: [{where}] {'.'.join(map(str, problem['loc']))}"
            field = model.model_fields.get(key)
            if problem["type"] == "extra_forbidden" and problem["loc"][1:]:
                yield f"{place} is not a setting"
            elif problem["type"] == "extra_forbidden":
                keys = (
                    {*model.model_fields, "plugins", "settings"} - {"name"}
                    if model is WorldConfig
                    else model.model_fields
                )
                near = get_close_matches(key, keys, 1)
                meant = f"did you mean {near[0]}? There" if near else "there"
                yield f"{place} is not a setting; {meant} are {', '.join(sorted(keys)) or 'no settings at all'}"
            elif problem["type"] == "missing":
                yield f"{place} is not set, and has no default"
            else:
                default = None if field is None or field.is_required() else field.default
                fallback = "" if default is None else f"; the default is {default!r}"
                if is_secret(model, key):
                    yield f"{place}=…: say where it is, {{ env = 'NAME' }} or {{ file = 'PATH' }}, and not what it is"
                else:
                    yield f"{place}={problem['input']!r}: {_lower(problem['msg'])}{fallback}"

    def _place(self, where: str, key: str = "") -> str:
        return _place_of(self._variables, self.file, [*where.split("."), key])


def load_configuration(config: str | None = None, *, added: str = "") -> Configuration:
    """Reads ``dam.toml`` from ``config``, ``DAM_CONFIG``, the working folder and its parents, or the user's configuration
    folder; none is fine. ``added`` is read as if it stood at the file's end. Raises ``SettingsError``."""
    try:
        here = Path.cwd()
    except FileNotFoundError as e:
        raise SettingsError("the working folder does not exist any more; change to one that does") from e
    file, is_named = _find(config, here)
    if file is None and added:
        file = users_file()
    content = {} if file is None else _read(file, added)
    base = file.parent if file else here
    dotenv = base / ".env"
    if not is_named and dotenv.is_file():
        _refuse_strangers(dotenv)
    variables = _variables(dotenv, here)
    try:
        env_file = dotenv if dotenv.is_file() else None  # a pipe would be waited for, whoever made it
        tables = Tables(_env_file=env_file, **content)  # pyright: ignore[reportCallIssue]  # an option of every BaseSettings
    except ValidationError as e:
        raise SettingsError("\n".join(_misshapen(e, file, variables))) from e
    except UnreadableVariableError as e:
        raise SettingsError(f"DAM_WORLDS, in the environment or in {dotenv}, is not JSON: {e.__cause__}") from e
    return Configuration(file, _same_case(tables, content), variables, base)


def users_file() -> Path:
    """The ``dam.toml`` in the user's configuration folder, whether there is one or not."""
    return Path(user_config_dir("dam")) / FILE


def _read(file: Path, added: str) -> dict[str, Any]:
    try:
        is_new = bool(added) and not file.exists()
        content = tomllib.loads(("" if is_new else file.read_text(encoding="utf-8")) + added)
    except OSError as e:
        raise SettingsError(f"{file} cannot be read: {e.strerror}; correct --config or DAM_CONFIG") from e
    except ValueError as e:  # TOMLDecodeError, UnicodeDecodeError, or a number of too many digits
        raise SettingsError(f"{file} is not valid TOML: {e}") from e
    except RecursionError as e:
        raise SettingsError(f"{file} is not valid TOML: it is nested too deeply") from e
    if unknown := sorted(content.keys() - Tables.model_fields.keys()):
        raise SettingsError(
            f"{file}: {unknown[0]!r} is not a setting; at the top there are default_world and tables [worlds.NAME]"
        )
    worlds = content.get("worlds")
    _check_names(worlds if isinstance(worlds, dict) else (), file)
    return content


def _check_names(names: Collection[str], file: Path) -> None:
    seen: dict[str, str] = {}
    for name in names:
        if not _WORLD_NAME.fullmatch(name):
            raise SettingsError(
                f"{file}: [worlds.{name!r}] is not a name for a world; "
                "letters, digits, '-' and '_' are, with a letter or a digit first"
            )
        if (other := seen.setdefault(_in_variables(name), name)) != name:
            raise SettingsError(
                f"{file}: environment variables cannot tell [worlds.{other}] from [worlds.{name}]; rename one of them"
            )


def _variables(dotenv: Path, here: Path) -> dict[str, Variable]:
    """All that the environment and the ``.env`` say, by name in capitals. Raises ``SettingsError`` for what is near a
    setting and none: a misspelt variable must not be nothing."""
    try:
        said = dotenv_values(dotenv) if dotenv.is_file() else {}
        lines = {key.upper(): value for key, value in said.items() if key.upper().startswith("DAM_")}
    except (OSError, UnicodeDecodeError) as e:
        raise SettingsError(f"{dotenv} cannot be read: {e}") from e
    for name in lines:
        if name not in IN_DOTENV and not name.startswith(TABLES):
            raise SettingsError(f"{dotenv}: {name} is not a setting there; {_allowed(IN_DOTENV)}")
    environment = {key.upper(): value for key, value in os.environ.items() if key.upper().startswith("DAM_")}
    for name in environment:
        if name in VARIABLES or name.startswith(TABLES):
            continue
        if name.startswith("DAM_WORLD") or get_close_matches(name, VARIABLES, n=1, cutoff=0.85):
            raise SettingsError(f"environment variable {name} is not a setting; {_allowed(VARIABLES)}")
    found = {n: Variable(value, f"{dotenv}: {n}", dotenv.parent) for n, value in lines.items() if value}
    return found | {n: Variable(value, f"environment variable {n}", here) for n, value in environment.items() if value}


def _allowed(names: Collection[str]) -> str:
    return f"there are {', '.join(sorted(names))} and {TABLES}NAME__KEY, with two underscores between the parts"


def _misshapen(error: ValidationError, file: Path | None, variables: Mapping[str, Variable]) -> Iterator[str]:
    """What is wrong with the tables themselves, before any plugin looks at what is in them."""
    for problem in error.errors():
        path = [part for part in problem["loc"] if isinstance(part, str)]
        *table, key = path
        where = f"[{'.'.join(table)}] " if table else ""
        is_table = problem["type"] in ("dict_type", "model_type")
        wanted = f"must be a table [{'.'.join(path)}]" if is_table else _lower(problem["msg"])
        if path == ["worlds"]:
            wanted = "must be tables [worlds.NAME]"
        yield f"{_place_of(variables, file, path)}: {where}{key}={problem['input']!r}: {wanted}"


def _place_of(variables: Mapping[str, Variable], file: Path | None, path: Collection[str]) -> str:
    """Who said this setting: the variable of its name, else the file."""
    variable = variables.get("DAM_" + "__".join(map(_in_variables, filter(None, path))).upper())
    return variable.place if variable else str(file or "environment")


def _in_variables(name: str) -> str:
    """How environment variables spell a name of ``dam.toml``: they know neither case nor hyphens."""
    return name.lower().replace("-", "_")


def _find(config: str | None, here: Path) -> tuple[Path | None, bool]:
    """The file, and whether the user named it."""
    if named := config or os.environ.get("DAM_CONFIG"):
        return (here / named).absolute(), True
    for folder in (here, *here.parents):
        file = folder / FILE
        if file.is_file():
            _refuse_strangers(file)
            return file, False
    file = users_file()
    return (file if file.is_file() else None), False


def _refuse_strangers(file: Path) -> None:
    """What is found by walking up is somebody's choice of databases and plugins: it has to be the user's own."""
    if hasattr(os, "getuid") and {file.stat().st_uid, file.lstat().st_uid} != {os.getuid()}:
        toml = file.parent / FILE
        raise SettingsError(
            f"{file} belongs to another user, who could make this command use any database; "
            f"if you trust it, say so with --config {toml} or DAM_CONFIG"
            + ("" if toml.exists() else " after creating that file, which may be empty")
        )


def _same_case(tables: Tables, content: dict[str, Any]) -> Tables:
    """``DAM_WORLDS__MY_PHOTOS__…`` is about the file's world ``My-Photos``."""
    written = {_in_variables(name): name for name in content.get("worlds", {})}
    for name in [name for name in tables.worlds if written.get(name, name) != name]:
        extra, original = tables.worlds.pop(name), tables.worlds[written[name]]
        merged = {**(original.model_extra or {}), **(extra.model_extra or {})}
        settings = {key: {**_table_of(original.settings, key), **value} for key, value in extra.settings.items()}
        tables.worlds[written[name]] = WorldTable(
            plugins=original.plugins if extra.plugins is None else extra.plugins,
            settings={**original.settings, **settings},
            **merged,
        )
    return tables


def _table_of(settings: Mapping[str, dict[str, Any]], plugin: str) -> dict[str, Any]:
    """A plugin's settings under any spelling of its name; what the environment spells with underscores wins."""
    merged: dict[str, Any] = {}
    for name in sorted(settings, key=lambda name: name != plugin):
        if normalised(name) == normalised(plugin):
            merged.update(settings[name])
    return merged


def _absolute_database(config: WorldConfig, base: Path) -> WorldConfig:
    prefix = "sqlite+aiosqlite:///"
    if not config.database_url.startswith(prefix):
        return config
    path = base / expanded(Path(config.database_url.removeprefix(prefix)))
    return config.model_copy(update={"database_url": f"{prefix}{path}"})


def _lower(message: str) -> str:
    return message[:1].lower() + message[1:]
