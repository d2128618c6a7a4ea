"""The core's own systems."""

from dam.core.analysis import analyse_entities
from dam.core.stages import SystemStage
from dam.core.system_params import MarkedEntityList
from dam.core.systems import system
from dam.core.world import World
from dam.models.markers import NeedsMetadataExtractionComponent


@system(on_stage=SystemStage.METADATA_EXTRACTION)
async def metadata_extraction_system(
    entities: MarkedEntityList[NeedsMetadataExtractionComponent], world: World
) -> None:
    """Runs the analyzers of the stage over the next marked entities."""
    analyzers = [a for a in world.analyses if a.stage is SystemStage.METADATA_EXTRACTION]
    await analyse_entities(world, entities, analyzers)
