"""The core's own systems."""

from collections.abc import AsyncGenerator

from dam.core.analysis import analyse_entities
from dam.core.stages import SystemStage
from dam.core.system_params import MarkedEntityList
from dam.core.systems import system
from dam.core.world import World
from dam.models.markers import NeedsMetadataExtractionComponent
from dam.system_events.analysis import EntitiesAnalysed


@system(on_stage=SystemStage.METADATA_EXTRACTION)
async def metadata_extraction_system(
    entities: MarkedEntityList[NeedsMetadataExtractionComponent], world: World
) -> AsyncGenerator[EntitiesAnalysed, None]:
    """Runs the analyzers of the stage over the next marked entities."""
    analyzers = [a for a in world.analyses if a.stage is SystemStage.METADATA_EXTRACTION]
    yield EntitiesAnalysed(len(entities), await analyse_entities(world, entities, analyzers))
