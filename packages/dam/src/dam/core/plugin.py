"""Plugins: what they declare, and how they are found."""

import importlib.metadata
import traceback
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol, cast

import dam
from dam.core.distributions import origin_of, remedy
from dam.core.exceptions import DamError, PluginCircleError, PluginConflictError, PluginError, PluginUnavailableError
from dam.models.config import ConfigComponent, SettingsModel
from dam.models.core.base_class import package_of

if TYPE_CHECKING:
    from dam.core.world import World

GROUP = "dam.plugins"

RESERVED = ("list", "new")
"""Names that no plugin can have: ``dam-cli plugins NAME`` is a command of its own for them."""

State = Literal["loaded", "missing dependency", "failed"]


class Plugin(Protocol):
    """What a plugin brings into a world.

    A plugin class names its settings and the component that stores them, both of which may be empty, and registers all
    else in ``build``. If its package has a subpackage ``migrations``, its tables come from the revisions there.
    """

    Settings: ClassVar[type[SettingsModel]]
    SettingsComponent: ClassVar[type[ConfigComponent]]
    requires: ClassVar[tuple[type["Plugin"], ...]] = ()
    """Plugins that a world must have for this one to work; they are built before it."""

    def build(self, world: "World") -> None:
        """Registers components, systems, analyzers, openers and resources with ``world``."""
        ...


@dataclass(frozen=True)
class PluginReport:
    """What became of one entry point of the group ``dam.plugins``."""

    name: str
    distribution: str
    version: str
    state: State
    error: str | None = None
    plugin: type[Plugin] | None = None


def discover(names: Iterable[str] | None = None) -> dict[str, PluginReport]:
    """Loads the installed plugins, or only those named, and says of each what became of it; nothing is raised."""
    wanted = None if names is None else {normalised(name) for name in names}
    found: dict[str, list[importlib.metadata.EntryPoint]] = {}
    for entry in sorted(importlib.metadata.entry_points(group=GROUP), key=lambda entry: (entry.name, origin_of(entry))):
        if wanted is None or normalised(entry.name) in wanted:
            found.setdefault(normalised(entry.name), []).append(entry)
    return {entries[0].name: _load(*entries) for entries in found.values()}


def normalised(name: str) -> str:
    """``dam_fs`` and ``dam-fs`` are the same plugin."""
    return name.lower().replace("_", "-")


def required(reports: dict[str, PluginReport], name: str) -> type[Plugin]:
    """The plugin of that name. Raises ``PluginUnavailableError`` where it is not installed or did not load."""
    report = next((r for r in reports.values() if normalised(r.name) == normalised(name)), None)
    if report is None:
        raise PluginUnavailableError(f"plugin {name!r} is not installed; 'dam-cli plugins' lists what is")
    if report.plugin is None:
        raise PluginUnavailableError(
            f"plugin {report.name!r} ({report.distribution} {report.version}) cannot be used, {report.state}: {report.error}"
        )
    return report.plugin


def _load(entry: importlib.metadata.EntryPoint, *others: importlib.metadata.EntryPoint) -> PluginReport:
    distribution = entry.dist.name if entry.dist else "?"
    version = entry.dist.version if entry.dist else "?"
    try:
        _check_name(entry, others)
        plugin = entry.load()
        check_plugin_class(plugin)
    except (Exception, SystemExit) as e:  # noqa: BLE001  a stranger's code: whatever it raises while it loads is its report
        return PluginReport(entry.name, distribution, version, *unloadable(entry, e))
    return PluginReport(entry.name, distribution, version, "loaded", plugin=cast("type[Plugin]", plugin))


def _check_name(entry: importlib.metadata.EntryPoint, others: Collection[importlib.metadata.EntryPoint]) -> None:
    if others:
        places = " and in ".join(origin_of(each) for each in (entry, *others))
        raise PluginConflictError(f"a plugin of that name is in {places}; uninstall all of them but one")
    if normalised(entry.name) in RESERVED:
        raise PluginError(
            f"no plugin can be called {entry.name!r}: 'dam-cli plugins {entry.name}' is a command; rename its entry point"
        )


def unloadable(entry: importlib.metadata.EntryPoint, error: BaseException) -> tuple[State, str]:
    """What an entry point is that cannot be loaded, and why; of a module that is not there, how it is installed."""
    missing = error.name if isinstance(error, ModuleNotFoundError) else None
    if missing is None or missing.partition(".")[0] in ("dam", entry.module.partition(".")[0]):
        return "failed", told(error)
    return "missing dependency", f"{error}; {remedy(entry.dist, missing)}"


def told(error: BaseException) -> str:
    """What a plugin raised, with the line that did, and for a misspelt name what may have been meant."""
    text = f"{type(error).__name__}: {error}"
    if isinstance(error, DamError):
        return text  # it says itself what is wrong and where
    if isinstance(error, NameError) and (near := get_close_matches(error.name or "", dam.__all__, 1)):
        text += f" (did you mean {near[0]!r}?)"
    line = traceback.extract_tb(error.__traceback__)[-1]
    return f"{text}; {line.filename}:{line.lineno}"


def in_order(plugins: Iterable[type[Plugin]]) -> list[type[Plugin]]:
    """Each behind those that it requires and that are there. Raises ``PluginCircleError`` where two require each other."""
    chosen = dict.fromkeys(plugins)
    present = {plugin: [each for each in plugin.requires if each in chosen] for plugin in chosen}
    try:
        return list(TopologicalSorter(present).static_order())
    except CycleError as e:
        circle = " requires ".join(distribution_of(plugin) for plugin in reversed(e.args[1]))
        raise PluginCircleError(
            f"these plugins can't be put in order: {circle}; one of them has to do without", e.args[1]
        ) from e


def lacking(plugin: type[Plugin], present: Collection[type[Plugin]]) -> str | None:
    """What a plugin requires that is not there, and how to go on."""
    names = " and ".join(distribution_of(required) for required in plugin.requires if required not in present)
    return (
        f"plugin {distribution_of(plugin)} requires {names}; add {names} to the plugins of the world" if names else None
    )


def check_plugin_class(plugin: object) -> None:
    """Raises ``PluginError`` with everything that the class lacks."""
    if not isinstance(plugin, type):
        raise PluginError(
            f"the entry point names {plugin!r}; it must name a class that inherits from dam.core.plugin.Plugin"
        )
    problems = [] if Plugin in plugin.__mro__ else ["it does not inherit from dam.Plugin"]
    for name, base in (("Settings", SettingsModel), ("SettingsComponent", ConfigComponent)):
        value = getattr(plugin, name, None)
        if not (isinstance(value, type) and issubclass(value, base)):
            problems.append(f"{name} = {value!r} is not a subclass of {base.__name__}; it may be an empty one")
    requires = getattr(plugin, "requires", ())
    if not (isinstance(requires, tuple) and all(isinstance(each, type) for each in requires)):
        problems.append(f"requires = {requires!r} is not a tuple of plugin classes")
    if getattr(plugin, "build", Plugin.build) is Plugin.build:
        problems.append("it has no build(self, world)")
    if not problems:
        problems += _unstored(cast("type[Plugin]", plugin))  # it has both classes, as was just seen
    if problems:
        lines = "\n".join(f"  {problem}" for problem in problems)
        raise PluginError(
            f"{plugin.__module__}.{plugin.__qualname__} is not a plugin\n{lines}\n  see docs/reference/errors.md#dam101"
        )


def _unstored(plugin: type[Plugin]) -> list[str]:
    settings, component = plugin.Settings, plugin.SettingsComponent
    if component.__settings__.model_fields.keys() == settings.model_fields.keys():
        return []
    fix = f"declare it as class {component.__name__}(ConfigComponent, settings={settings.__name__})"
    return [f"SettingsComponent does not store {settings.__name__}; {fix}"]


def distribution_of(plugin: type[Plugin]) -> str:
    """What a plugin is called in messages: its package as distributions are named."""
    return normalised(package_of(plugin))
