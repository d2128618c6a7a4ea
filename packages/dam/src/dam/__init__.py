"""dam: a plugin-based entity-component-system framework for digital asset management.

The names below are the vocabulary of plugins and scripts. They are imported when first used: a worker process, or
``dam-cli --help``, imports ``dam`` without paying for a database toolkit.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dam.analysis.algorithm import Algorithm as Algorithm
    from dam.analysis.blob import Blob as Blob
    from dam.analysis.ref import ref as ref
    from dam.commands.analysis_commands import AnalysisCommand as AnalysisCommand
    from dam.commands.copy_commands import CopyEntitiesCommand as CopyEntitiesCommand
    from dam.commands.core import BaseCommand as BaseCommand
    from dam.core.analyzers import analyzer as analyzer
    from dam.core.exceptions import DamError as DamError
    from dam.core.plugin import Plugin as Plugin
    from dam.core.query import Stale as Stale
    from dam.core.query import With as With
    from dam.core.query import Without as Without
    from dam.core.query import query as query
    from dam.core.stages import SystemStage as SystemStage
    from dam.core.system_params import MarkedEntityList as MarkedEntityList
    from dam.core.system_params import Resource as Resource
    from dam.core.system_params import WorldConfig as WorldConfig
    from dam.core.system_params import WorldContext as WorldContext
    from dam.core.system_params import WorldSession as WorldSession
    from dam.core.systems import listens_for as listens_for
    from dam.core.systems import system as system
    from dam.core.transaction import WorldTransaction as WorldTransaction
    from dam.core.world import World as World
    from dam.core.world_manager import create_world_from_components as create_world_from_components
    from dam.events import Event as Event
    from dam.models.config import ConfigComponent as ConfigComponent
    from dam.models.config import SettingsModel as SettingsModel
    from dam.models.core.base_component import BaseComponent as BaseComponent
    from dam.models.core.base_component import LayeredComponent as LayeredComponent
    from dam.models.core.base_component import MarkerComponent as MarkerComponent
    from dam.models.core.base_component import RelationComponent as RelationComponent
    from dam.models.core.base_component import UniqueComponent as UniqueComponent
    from dam.models.core.types import EntityId as EntityId
    from dam.models.entity import Entity as Entity
    from dam.system_events.base import Result as Result

_HOMES = {
    "dam.analysis.algorithm": ("Algorithm",),
    "dam.analysis.blob": ("Blob",),
    "dam.analysis.ref": ("ref",),
    "dam.commands.analysis_commands": ("AnalysisCommand",),
    "dam.commands.copy_commands": ("CopyEntitiesCommand",),
    "dam.commands.core": ("BaseCommand",),
    "dam.core.analyzers": ("analyzer",),
    "dam.core.exceptions": ("DamError",),
    "dam.core.plugin": ("Plugin",),
    "dam.core.query": ("Stale", "With", "Without", "query"),
    "dam.core.stages": ("SystemStage",),
    "dam.core.system_params": ("MarkedEntityList", "Resource", "WorldConfig", "WorldContext", "WorldSession"),
    "dam.core.systems": ("listens_for", "system"),
    "dam.core.transaction": ("WorldTransaction",),
    "dam.core.world": ("World",),
    "dam.core.world_manager": ("create_world_from_components",),
    "dam.events": ("Event",),
    "dam.models.config": ("ConfigComponent", "SettingsModel"),
    "dam.models.core.base_component": (
        "BaseComponent",
        "LayeredComponent",
        "MarkerComponent",
        "RelationComponent",
        "UniqueComponent",
    ),
    "dam.models.core.types": ("EntityId",),
    "dam.models.entity": ("Entity",),
    "dam.system_events.base": ("Result",),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME_OF)  # pyright: ignore[reportUnsupportedDunderAll]  # a test compares it with the imports above


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'dam' has no attribute {name!r}")
    return getattr(import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
