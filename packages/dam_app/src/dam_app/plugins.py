"""Installed plugins, and what each brings into a world."""

import importlib.metadata
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from difflib import get_close_matches
from enum import Enum
from typing import TYPE_CHECKING

from dam.core.exceptions import DamError, PluginUnavailableError
from dam.core.plugin import distribution_of, in_order, normalised
from dam.core.world import World
from dam.models.core.fields import fields_of
from dam_app.application import VERBS
from dam_app.config import Configuration, WorldDescription

if TYPE_CHECKING:
    from collections.abc import Mapping


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
    """One installed plugin. ``state`` is ``loaded``, ``disabled`` in that world, ``missing dependency`` or ``failed``."""

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


def plugin_rows(configuration: Configuration, world: str | None) -> list[PluginRow]:
    """Every installed plugin, in the order of their names. Of those that the chosen world does not have, or that cannot be built,
    nobody knows what they bring."""
    reports = configuration.plugin_reports()
    enabled: set[str] = set(reports)
    built: Mapping[str, Brought | str] = {}
    with suppress(DamError):  # a world that cannot be described has whatever is installed
        description = configuration.describe(configuration.choose(world))
        enabled = {report.name for report in description.plugins}
        built = _built(description)
    rows = []
    for report in reports.values():
        outcome = built.get(report.name, Brought())
        is_used = report.name in enabled or report.state != "loaded"
        state = "failed" if isinstance(outcome, str) else report.state if is_used else "disabled"
        error, brings = (outcome, Brought()) if isinstance(outcome, str) else (report.error, outcome)
        verbs = _verbs_of(report.distribution)
        rows.append(PluginRow(report.name, report.distribution, report.version, state, error, verbs, brings))
    return rows


def chosen_rows(rows: list[PluginRow], name: str | None) -> list[PluginRow]:
    """The one of that name, or all. Raises ``PluginUnavailableError``."""
    if name is None:
        return rows
    for row in rows:
        if row.name == normalised(name):
            return [row]
    names = [row.name for row in rows]
    near = get_close_matches(name, names, 1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(names) or 'none'}"
    raise PluginUnavailableError(f"no plugin {name!r} is installed; {hint}")


def _built(description: WorldDescription) -> dict[str, Brought | str]:
    """By name what a plugin brings, or why it cannot be built."""
    world = World(description.core.model_copy(update={"database_password": None}))  # it is not opened
    parts = {
        report.plugin: (report.name, component)
        for report, component in zip(description.plugins, description.components[1:], strict=True)
        if report.plugin is not None
    }
    outcomes: dict[str, Brought | str] = {}
    for plugin in in_order(parts):
        name, component = parts[plugin]
        before = _registered(world)
        try:
            world.add_plugin(plugin, component.to_settings(description.base, plugin.Settings))
        except DamError as e:
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


def _verbs_of(distribution: str) -> list[str]:
    found = importlib.metadata.entry_points(group=VERBS)
    return sorted(entry.name for entry in found if entry.dist is not None and entry.dist.name == distribution)
