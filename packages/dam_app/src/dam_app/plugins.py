"""Installed plugins, and what each brings into a world."""

from collections.abc import Collection
from dataclasses import asdict, dataclass, field
from difflib import get_close_matches
from enum import Enum

from dam.core.exceptions import DamError, PluginCircleError, PluginUnavailableError, SettingsError
from dam.core.plugin import Plugin, distribution_of, in_order, normalised
from dam.core.world import World
from dam.models.config import SettingsModel, WorldConfig
from dam.models.core.fields import fields_of
from dam_app.config import Configuration, WorldDescription
from dam_app.verbs import conflict, is_claimed_by, verbs


@dataclass
class Brought:
    """The names of what a plugin has registered with a world."""

    requires: list[str] = field(default_factory=list)
    components: list[str] = field(default_factory=list)
    fields: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    stages: list[str] = field(default_factory=list)
    analyzers: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class PluginRow:
    """One installed plugin. ``state`` is ``loaded``, ``disabled`` in that world, ``missing dependency`` or ``failed``. One
    that is loaded has an ``error`` where one of its verbs cannot be used."""

    name: str
    distribution: str
    version: str
    state: str
    error: str | None
    verbs: list[str]
    brings: Brought

    def record(self) -> dict[str, object]:
        """As one flat record."""
        own = {key: value for key, value in self.__dict__.items() if key != "brings"}
        return {**own, **asdict(self.brings)}


def plugin_rows(
    configuration: Configuration,
    world: str | None,
    commands: Collection[str] = (),
    description: WorldDescription | None = None,
) -> list[PluginRow]:
    """Every installed plugin, in the order of their names. Of those that the chosen world does not have, or that cannot be built,
    nobody knows what they bring.

    ``commands`` are those of ``dam-cli``, which no verb can be; ``description`` is that of a world that is in no ``dam.toml``.
    """
    reports = configuration.plugin_reports()
    enabled, outcomes = _outcomes(configuration, world, description)
    claims = verbs().values()
    rows = []
    for report in reports.values():
        outcome = outcomes.get(report.name, Brought())
        is_used = report.name in enabled or report.state != "loaded"
        state = "failed" if isinstance(outcome, str) else report.state if is_used else "disabled"
        error, brings = (outcome, Brought()) if isinstance(outcome, str) else (report.error, outcome)
        claimed = [entries for entries in claims if is_claimed_by(report.distribution, entries)]
        errors = [error, *(conflict(entries, commands) for entries in claimed)]
        rows.append(
            PluginRow(
                name=report.name,
                distribution=report.distribution,
                version=report.version,
                state=state,
                error="; ".join(filter(None, errors)) or None,
                verbs=[entries[0].name for entries in claimed],
                brings=brings,
            )
        )
    return rows


def chosen_rows(rows: list[PluginRow], name: str | None) -> list[PluginRow]:
    """The one of that name, or all. Raises ``PluginUnavailableError``."""
    if name is None:
        return rows
    for row in rows:
        if normalised(row.name) == normalised(name):
            return [row]
    names = [row.name for row in rows]
    near = get_close_matches(name, names, 1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(names) or 'none'}"
    raise PluginUnavailableError(f"no plugin {name!r} is installed; {hint}")


Parts = dict[type[Plugin], tuple[str, SettingsModel | None]]
"""By class the name of a plugin, and its settings where those are known."""


def _outcomes(
    configuration: Configuration, name: str | None, stored: WorldDescription | None
) -> tuple[Collection[str], dict[str, Brought | str]]:
    """The names of a world's plugins, and by name what each brings, or why it cannot be built."""
    try:
        description = stored or configuration.describe(configuration.choose(name))
    except DamError:  # a world that cannot be described has whatever is installed
        loaded = [report for report in configuration.plugin_reports().values() if report.plugin is not None]
        parts: Parts = {report.plugin: (report.name, None) for report in loaded if report.plugin is not None}
        nowhere = WorldConfig(name="plugins", database_url="sqlite+aiosqlite:///plugins.db")
        return [report.name for report in loaded], _built(World(nowhere), parts)
    core = description.core.model_copy(update={"database_password": None})  # it is not opened
    return [report.name for report in description.plugins], _built(World(core), _parts(description))


def _parts(description: WorldDescription) -> Parts:
    return {
        report.plugin: (report.name, component.to_settings(description.base, report.plugin.Settings))
        for report, component in zip(description.plugins, description.components[1:], strict=True)
        if report.plugin is not None
    }


def _built(world: World, parts: Parts) -> dict[str, Brought | str]:
    outcomes: dict[str, Brought | str] = {}
    try:
        ordered = in_order(parts)
    except PluginCircleError as e:
        rest = {plugin: part for plugin, part in parts.items() if plugin not in e.plugins}
        return {parts[plugin][0]: e.message for plugin in e.plugins} | _built(world, rest)
    for plugin in ordered:
        name, settings = parts[plugin]
        before = _registered(world)
        try:
            world.add_plugin(plugin, settings)
        except DamError as e:
            if settings is not None or not isinstance(e, SettingsError):  # those that it needs are not known here
                outcomes[name] = e.message
            continue
        after = _registered(world)
        new = {kind: [each for each in after[kind] if each not in before[kind]] for kind in after}
        outcomes[name] = Brought(requires=[distribution_of(each) for each in plugin.requires], **new)
    return outcomes


def _registered(world: World) -> dict[str, list[str]]:
    triggers = [system.trigger for system in world.scheduler.systems]
    kinds = [trigger for trigger in triggers if isinstance(trigger, type)]
    return {
        "components": [cls.__name__ for cls in world.components],
        "fields": [each.name for cls in world.components for each in fields_of(cls)],
        "commands": [cls.__name__ for cls in kinds if hasattr(cls, "result_type")],
        "events": [cls.__name__ for cls in kinds if not hasattr(cls, "result_type")],
        "stages": [trigger.name for trigger in triggers if isinstance(trigger, Enum)],
        "analyzers": [analyzer.algorithm.name for analyzer in world.analyses],
    }
