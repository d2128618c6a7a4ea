"""Worlds from configuration: one way to build them, whatever the configuration came from."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from pydantic import ValidationError

from dam.core.exceptions import NoSuchWorldError, PluginUnavailableError, SettingsError
from dam.core.plugin import Plugin, discover, in_order
from dam.core.world import World
from dam.core.world_registrar import register_core_systems
from dam.models.config import ConfigComponent, SettingsModel, WorldConfig, WorldConfigComponent, is_secret

_worlds: dict[str, World] = {}


def create_world_from_components(
    components: Iterable[ConfigComponent],
    *,
    plugins: Iterable[type[Plugin]] | None = None,
    base: Path | None = None,
) -> World:
    """Builds a world and registers it under its name, in the place of an earlier one, which stays its owner's to close.

    ``components`` hold one ``WorldConfigComponent`` and, for each plugin that the world has, its settings component.
    ``plugins`` are the classes to choose from (default: all installed ones); relative paths are taken from ``base``.
    Raises ``SettingsError``, ``PluginUnavailableError`` or ``PluginError``.
    """
    components = list(components)
    core = [c for c in components if isinstance(c, WorldConfigComponent)]
    if len(core) != 1:
        raise SettingsError(
            f"a world needs exactly one WorldConfigComponent, and there are {len(core)} among {len(components)} components"
        )
    config = _validated(core[0], base)
    assert isinstance(config, WorldConfig)
    available = _by_component(plugins)
    world = World(config)
    register_core_systems(world)
    chosen = {_plugin_of(component, available): component for component in components if component is not core[0]}
    for plugin in in_order(chosen):
        world.add_plugin(plugin, _validated(chosen[plugin], base, plugin.Settings))
    world.check_systems()
    _worlds[config.name] = world
    return world


def get_world(name: str) -> World:
    """A world that was created in this process. Raises ``NoSuchWorldError``."""
    if name not in _worlds:
        raise NoSuchWorldError(
            f"no world {name!r} was created in this process; there are: {', '.join(sorted(_worlds)) or 'none'}"
        )
    return _worlds[name]


def all_worlds() -> Mapping[str, World]:
    """The worlds that were created in this process, by name."""
    return dict(_worlds)


async def close_world(world: World | str) -> None:
    """Closes a world and forgets it; another one that was created under its name since is left alone."""
    world = get_world(world) if isinstance(world, str) else world
    if _worlds.get(world.name) is world:
        del _worlds[world.name]
    await world.close()


def _by_component(plugins: Iterable[type[Plugin]] | None) -> dict[type[ConfigComponent], type[Plugin]]:
    if plugins is None:
        plugins = [report.plugin for report in discover().values() if report.plugin is not None]
    return {plugin.SettingsComponent: plugin for plugin in plugins}


def _plugin_of(component: ConfigComponent, available: Mapping[type[ConfigComponent], type[Plugin]]) -> type[Plugin]:
    if type(component) not in available:
        raise PluginUnavailableError(
            f"no installed plugin has the settings component {type(component).__name__} "
            f"({type(component).__module__}); 'dam-cli plugins' lists what is installed"
        )
    return available[type(component)]


def _validated(
    component: ConfigComponent, base: Path | None, model: type[SettingsModel] | None = None
) -> SettingsModel:
    try:
        return component.to_settings(base, model)
    except ValidationError as e:
        settings = model or component.__settings__
        lines = "; ".join(
            f"{'.'.join(map(str, p['loc'])) or 'value'}="
            f"{'…' if p['loc'] and is_secret(settings, str(p['loc'][0])) else repr(p['input'])}: {p['msg']}"
            for p in e.errors()
        )
        raise SettingsError(f"{type(component).__name__} is not valid: {lines}") from e
