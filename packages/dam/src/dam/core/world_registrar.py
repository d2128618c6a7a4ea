"""What every world has, whatever its plugins."""

from dam.core.copying import copy_entities
from dam.core.disposal import delete, empty_trash, trash, untrash
from dam.core.metadata_systems import metadata_extraction_system, reprocess
from dam.core.world import World
from dam.models.config import WorldConfigComponent
from dam.models.derivation import DerivationComponent
from dam.models.markers import NeedsMetadataExtractionComponent
from dam.models.origin import OriginComponent
from dam.models.trash import TrashedComponent


def register_core_systems(world: World) -> None:
    """Registers the core's components and systems; every standard way to make a world calls it."""
    for component in (
        WorldConfigComponent,
        DerivationComponent,
        NeedsMetadataExtractionComponent,
        OriginComponent,
        TrashedComponent,
    ):
        world.register_component(component)
    for each in (metadata_extraction_system, reprocess, copy_entities, trash, untrash, delete, empty_trash):
        world.register_system(each)
