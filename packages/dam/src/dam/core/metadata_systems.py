"""The core's own systems: analyzers over many entities."""

import difflib
from collections.abc import AsyncGenerator, Sequence
from typing import Any

from sqlalchemy import and_, exists, or_, select

from dam.commands.analysis_commands import ReprocessCommand, Which
from dam.core.analysis import analyse_entities
from dam.core.analyzers import Analyzer
from dam.core.exceptions import NoSuchAnalyzerError
from dam.core.stages import SystemStage
from dam.core.system_params import MarkedEntityList
from dam.core.systems import system
from dam.core.world import World
from dam.models.derivation import DerivationComponent
from dam.models.entity import Entity
from dam.models.markers import NeedsMetadataExtractionComponent
from dam.system_events.analysis import EntitiesAnalysed

BATCH = 256  # entities that are analysed and committed together


@system(on_stage=SystemStage.METADATA_EXTRACTION)
async def metadata_extraction_system(
    entities: MarkedEntityList[NeedsMetadataExtractionComponent], world: World
) -> AsyncGenerator[EntitiesAnalysed, None]:
    """Runs the analyzers of the stage over the next marked entities."""
    analyzers = [a for a in world.analyses if a.stage is SystemStage.METADATA_EXTRACTION]
    yield await analyse_entities(world, entities, analyzers)


@system(on_command=ReprocessCommand)
async def reprocess(cmd: ReprocessCommand, world: World) -> AsyncGenerator[EntitiesAnalysed, None]:
    """Analyzer by analyzer, in the order of entities; each batch commits by itself."""
    for analyzer in chosen_analyzers(world, cmd.algorithms):
        after = 0
        while not cmd.stop.is_set():
            wanted = select(Entity.id).where(Entity.id > after, *_conditions(analyzer, cmd.which))
            async with world.reading() as session:
                batch = list(await session.scalars(wanted.order_by(Entity.id).limit(BATCH)))
            if not batch:
                break
            repeat = cmd.which is not Which.STALE
            yield await analyse_entities(world, batch, [analyzer], repeat=repeat, missing=cmd.which is Which.FAILED)
            after = batch[-1]


def chosen_analyzers(world: World, names: Sequence[str]) -> list[Analyzer[Any]]:
    """Those of these names, or all. Raises ``NoSuchAnalyzerError``."""
    known = {analyzer.algorithm.name: analyzer for analyzer in world.analyses}
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(sorted(known)) or 'none'}"
            raise NoSuchAnalyzerError(f"no analyzer of world {world.name!r} is called {name!r}; {hint}")
    return [known[name] for name in dict.fromkeys(names)] if names else list(known.values())


def _conditions(analyzer: Analyzer[Any], which: Which) -> list[Any]:
    row, algorithm = DerivationComponent, analyzer.algorithm
    own = and_(row.entity_id == Entity.id, row.algorithm == algorithm.name)
    if which is Which.FAILED:
        return [exists().where(own, row.status == "failed")]
    if which is Which.STALE:
        digest = algorithm.parameters_digest
        same = and_(row.version == algorithm.version, row.parameters_digest.is_not_distinct_from(digest))
        # of content that could not be reached nothing is known
        return [~exists().where(own, same, or_(row.failure.is_(None), row.failure != "unreachable"))]
    return []
