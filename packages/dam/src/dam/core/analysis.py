"""Analyzers in a world: run at add time, by a stage, by a command or again; recorded with their provenance."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from dam.analysis.jobs import Compute, Failure, Job, Limits
from dam.core import faults
from dam.core.analyzers import Analyzer, check_analyzer
from dam.core.bisection import in_halves
from dam.core.content import ContentSource
from dam.core.databases import backend_of
from dam.core.exceptions import NoSuchEntityError
from dam.core.rows import shape_of
from dam.core.transaction import WorldTransaction, parts
from dam.models.config import WorldConfig
from dam.models.core.base_component import (
    EFFECTIVE,
    PERSON,
    BaseComponent,
    Component,
    LayeredComponent,
    UniqueComponent,
)
from dam.models.derivation import DerivationComponent
from dam.system_events.analysis import EntitiesAnalysed

if TYPE_CHECKING:
    from dam.analysis.pool import WorkerPool
    from dam.core.world import World

F = TypeVar("F")


@dataclass
class Analysis:
    """What one analyzer found in one blob: facts, or why there are none."""

    analyzer: Analyzer[Any]
    facts: Any = None
    error: str | None = None
    failure: str | None = None  # its kind, as in DerivationComponent
    input_digest: bytes | None = None

    def fail(self, kind: str, error: str) -> None:
        """The facts do not count, whatever they are."""
        self.facts, self.failure, self.error = None, kind, error


@dataclass(frozen=True)
class Work:
    """One blob on local disk and the analyzers that are to look at it; ``shown`` is its name in error texts, and
    ``is_current`` tells of a file that anybody may change whether nobody has."""

    path: str
    size: int
    media_type: str
    analyzers: Sequence[Analyzer[Any]]
    digest: bytes | None = None
    shown: str = ""
    is_current: Callable[[], bool] | None = None


class Analyses:
    """The analyzers of a world, and the worker processes that run them."""

    def __init__(self, config: WorldConfig) -> None:
        self._config = config
        self._analyzers: list[Analyzer[Any]] = []
        self._pool: WorkerPool | None = None

    def __iter__(self) -> Any:
        return iter(self._analyzers)

    def add(self, candidate: object) -> Analyzer[Any]:
        analyzer = check_analyzer(candidate, self._analyzers)
        if analyzer not in self._analyzers:
            self._analyzers.append(analyzer)
        return analyzer

    def wanted(self, media_type: str, stage: Enum | None) -> list[Analyzer[Any]]:
        """The analyzers that look at such content, at add time (``None``) or in a stage."""
        return [a for a in self._analyzers if a.stage == stage and a.wants(media_type)]

    def start(self, stage: Enum | None) -> None:
        """Starts the first worker ahead of the work, if anything is to be done at add time or in that stage."""
        if any(a.stage == stage for a in self._analyzers):
            self.pool.start()

    @property
    def pool(self) -> "WorkerPool":
        if self._pool is None:
            from dam.analysis.pool import WorkerPool

            c = self._config
            limits = Limits(c.analysis_time_limit, c.analysis_cpu_limit, c.analysis_memory_mb << 20)
            self._pool = WorkerPool(c.analysis_workers, limits)
        return self._pool

    async def run(self, work: Sequence[Work]) -> list[list[Analysis]]:
        """Computes, in workers; for each piece of work its analyses, in the order of its analyzers."""
        jobs = [
            Job(
                w.path,
                w.size,
                w.media_type,
                tuple(Compute(a.compute.name, a.algorithm.parameters) for a in w.analyzers),
                w.shown,
            )
            for w in work
        ]
        if not any(job.computes for job in jobs):
            return [[] for _ in jobs]
        answers = await self.pool.run(jobs)
        return [
            [_analysis(analyzer, found, w) for analyzer, found in zip(w.analyzers, of_one, strict=True)]
            for w, of_one in zip(await asyncio.to_thread(_looked_at_again, work), answers, strict=True)
        ]

    async def compute(self, job: Job) -> Any:
        """What the one function of a job makes of a file, or a ``Failure``; nothing is recorded."""
        ((found,),) = await self.pool.run([job])
        return found

    async def close(self) -> None:
        if self._pool is not None:
            await self._pool.close()
            self._pool = None


def _looked_at_again(work: Sequence[Work]) -> list[Work]:
    """Without the digests of files that were changed while they were analysed: nobody knows which bytes were seen."""
    return [replace(w, digest=None) if w.is_current is not None and not w.is_current() else w for w in work]


def _analysis(analyzer: Analyzer[Any], found: object, work: Work) -> Analysis:
    analysis = Analysis(analyzer, input_digest=work.digest)
    if isinstance(found, Failure):
        analysis.fail(found.kind, found.message)
    elif work.digest is None and work.is_current is not None:
        analysis.fail("unreachable", "the file changed while it was analysed")
    else:
        analysis.facts = found
    return analysis


async def record(transaction: WorldTransaction, found: Iterable[tuple[int, Sequence[Analysis]]]) -> None:
    """Writes facts and their provenance. Facts that do not become components are recorded as a failure.

    Where an algorithm, or one that it replaces, looked before, what that wrote and is not found any more goes; a failure takes
    nothing.
    """
    each = [(entity_id, analysis) for entity_id, analyses in found for analysis in analyses]
    if not each:
        return
    analyzers = {analysis.analyzer.algorithm.name: analysis.analyzer for _, analysis in each}
    looked = await recorded(transaction.session, sorted({entity_id for entity_id, _ in each}), analyzers.values())
    facts = [(entity_id, analysis, _made(analysis)) for entity_id, analysis in each]
    gone = Gone()
    for entity_id, analysis, components in facts:
        if analysis.error is None and any((entity_id, name) in looked for name in analysis.analyzer.names):
            gone.note(entity_id, analysis.analyzer, components)
    await gone.remove(transaction)
    for entity_id, analysis, components in facts:
        said = [component for component in components if not _says_nothing(component)]
        transaction.add(entity_id, *said, _derivation(analysis))


def _made(analysis: Analysis) -> list[Component]:
    """The components of its facts; where they cannot be made it fails."""
    if analysis.error is not None:
        return []
    try:
        return _components(analysis)
    except Exception as e:  # noqa: BLE001  a plugin's mistake is this analysis's error and nobody else's
        analysis.fail("error", f"{type(e).__name__}: {e}"[:500])
        return []


class Gone:
    """What earlier looks have left and new ones do not find any more, so that each kind goes in one statement."""

    def __init__(self) -> None:
        self._components: dict[type[Component], set[int]] = {}
        self._layers: dict[tuple[type[LayeredComponent], str], set[int]] = {}
        self._algorithms: dict[tuple[str, ...], set[int]] = {}

    def note(self, entity_id: int, analyzer: Analyzer[Any], components: Sequence[Component]) -> None:
        for cls in _outdated(analyzer, components):
            self._components.setdefault(cls, set()).add(entity_id)
        for silent in _silent(components):
            self._layers.setdefault(silent, set()).add(entity_id)
        if analyzer.replaces:
            self._algorithms.setdefault(analyzer.replaces, set()).add(entity_id)

    async def remove(self, transaction: WorldTransaction) -> None:
        for cls, entity_ids in self._components.items():
            await transaction.remove_components(cls, sorted(entity_ids))
        for (layered, layer), entity_ids in self._layers.items():
            await transaction.remove_layer(layered, layer, sorted(entity_ids))
        for names, entity_ids in self._algorithms.items():
            of_names = DerivationComponent.algorithm.in_(names)
            await transaction.remove_components(DerivationComponent, sorted(entity_ids), of_names)


def _outdated(analyzer: Analyzer[Any], components: Sequence[Component]) -> Iterator[type[Component]]:
    """Classes of which earlier rows have to go: all that can be many, and the unique ones that were not found again. Layers
    stay, for other sources share the class."""
    found = {type(component) for component in components}
    for cls in analyzer.produces:
        if issubclass(cls, BaseComponent) or (issubclass(cls, UniqueComponent) and cls not in found):
            yield cls


def _silent(components: Iterable[Component]) -> Iterator[tuple[type[LayeredComponent], str]]:
    """The layers that have become empty."""
    for component in components:
        if isinstance(component, LayeredComponent) and _says_nothing(component):
            yield type(component), component.layer


def _says_nothing(component: Component) -> bool:
    if not isinstance(component, LayeredComponent):
        return False
    shape = shape_of(type(component))
    return all(value is None for name, value in shape.values(component).items() if name not in shape.key)


def _derivation(analysis: Analysis) -> DerivationComponent:
    algorithm = analysis.analyzer.algorithm
    return DerivationComponent(
        algorithm=algorithm.name,
        version=algorithm.version,
        input_digest=analysis.input_digest,
        parameters_digest=algorithm.parameters_digest,
        status="ok" if analysis.error is None else "failed",
        failure=analysis.failure,
        error=analysis.error,
    )


def _components(analysis: Analysis) -> list[Component]:
    components = list(analysis.analyzer.components(analysis.facts))
    for component in components:
        if type(component) not in analysis.analyzer.produces:
            raise TypeError(f"{type(component).__name__} is not among what the analyzer says that it produces")
        if isinstance(component, LayeredComponent) and component.layer in (PERSON, EFFECTIVE):
            raise ValueError(f"an analyzer cannot speak for the layer {component.layer!r}")
    return components


Recorded = Mapping[tuple[int, str], tuple[int, bytes | None, bytes | None]]
"""(entity, algorithm) → version, digest of the parameters and digest of the input of its last outcome."""


async def recorded(session: AsyncSession, entity_ids: Sequence[int], analyzers: Iterable[Analyzer[Any]]) -> Recorded:
    """What these analyzers have left on record; one statement for a thousand entities."""
    row, names = DerivationComponent, [name for a in analyzers for name in a.names]
    found: dict[tuple[int, str], tuple[int, bytes | None, bytes | None]] = {}
    for part in parts(entity_ids):
        query = select(row.entity_id, row.algorithm, row.version, row.parameters_digest, row.input_digest).where(
            row.entity_id.in_(part), row.algorithm.in_(names)
        )
        for entity_id, name, version, parameters, digest in await session.execute(query):
            found[entity_id, name] = (version, parameters, digest)
    return found


def due(
    analyzers: Iterable[Analyzer[Any]], entity_id: int, digest: bytes | None, known: Recorded
) -> list[Analyzer[Any]]:
    """Those that have not looked at these bytes in this version and with these parameters: of the others nothing new can come."""
    return [
        a
        for a in analyzers
        if known.get((entity_id, a.algorithm.name)) != (a.algorithm.version, a.algorithm.parameters_digest, digest)
    ]


async def analyse_entities(
    world: "World",
    entity_ids: Sequence[int],
    analyzers: Sequence[Analyzer[Any]],
    *,
    depth: int = 0,
    repeat: bool = False,
    missing: bool = False,
) -> EntitiesAnalysed:
    """Reads where the bytes are, computes, then writes: nothing is locked while files are decoded.

    What is on record for the same bytes and version is not computed again unless ``repeat``. Content that cannot be reached
    is a failure of each analyzer that wants it, and so is having none where that is ``missing``.
    """
    sources = await world.contents.sources(entity_ids, depth)
    async with world.reading() as session:
        known: Recorded = {} if repeat else await recorded(session, entity_ids, analyzers)
    work: dict[int, Work] = {}
    found: list[tuple[int, Sequence[Analysis]]] = []
    with tempfile.TemporaryDirectory(prefix="dam-") as folder:
        for entity_id, ways in sources.items():
            wanting = [a for a in analyzers if (a.wants(ways[0].media_type or "") if ways else missing)]
            if wanting := due(wanting, entity_id, ways[0].digest if ways else None, known) if wanting else []:
                try:
                    way, path = await asyncio.to_thread(_local, ways, os.path.join(folder, str(entity_id)))
                    work[entity_id] = _work(path, way, wanting, entity_id)
                except OSError as e:
                    found.append((entity_id, [_unreachable(analyzer, e) for analyzer in wanting]))
        computed = await world.analyses.run(list(work.values()))
    found += zip(work, computed, strict=True)
    return EntitiesAnalysed(len(found), await _store(world, found))


def _work(path: str, way: ContentSource, analyzers: Sequence[Analyzer[Any]], entity_id: int) -> Work:
    size, shown = os.path.getsize(path), f"entity {entity_id}"
    return Work(path, size, way.media_type or "", analyzers, way.digest, shown, way.is_current)


def _unreachable(analyzer: Analyzer[Any], error: OSError) -> Analysis:
    analysis = Analysis(analyzer)  # nobody saw any bytes: no digest
    analysis.fail("unreachable", f"the content cannot be reached: {error.strerror}")
    return analysis


async def analyse_stream(world: "World", entity_id: int, stream: BinaryIO, analyzers: Sequence[Analyzer[Any]]) -> None:
    """The same for one entity whose bytes the caller holds; they are taken for what the entity's own sources say they are."""
    ways = (await world.contents.sources([entity_id]))[entity_id]
    with tempfile.TemporaryDirectory(prefix="dam-") as folder:
        path = os.path.join(folder, "content")
        await asyncio.to_thread(_copy, stream, path)
        way = ways[0] if ways else ContentSource(open=lambda: stream)
        (found,) = await world.analyses.run([_work(path, way, analyzers, entity_id)])
    await _store(world, [(entity_id, found)])


async def _store(world: "World", found: Sequence[tuple[int, Sequence[Analysis]]]) -> int:
    """Writes all of it; facts that cannot be stored are failures of their analyses. Returns how many failed."""
    if not found:
        return 0
    faults.reached("analyses.computed")
    backend = backend_of(world.engine)

    async def store(transaction: WorldTransaction) -> None:
        async def write(part: Sequence[tuple[int, Sequence[Analysis]]]) -> list[None]:
            async with transaction.savepoint():
                await record(transaction, part)
            return []

        async def give_up(one: tuple[int, Sequence[Analysis]], why: str) -> list[None]:
            entity_id, analyses = one
            if all(analysis.error is not None for analysis in analyses):
                raise NoSuchEntityError(f"the analyses of entity {entity_id} cannot be recorded: {why}; is it there?")
            fail_all(analyses, why)
            return await in_halves([one], write, give_up, backend)

        await in_halves(found, write, give_up, backend)

    await world.write(store)
    return sum(analysis.error is not None for _, analyses in found for analysis in analyses)


def fail_all(analyses: Iterable[Analysis], why: str) -> None:
    """Their facts cannot be stored together, and nobody knows whose fault it is."""
    for analysis in analyses:
        if analysis.error is None:
            analysis.fail("data", why)


@asynccontextmanager
async def local_copy(ways: Sequence[ContentSource]) -> AsyncIterator[tuple[ContentSource, str]]:
    """A way to the content, and a local file with it, which is gone afterwards if it was copied for this. Raises the last way's
    ``OSError``."""
    with tempfile.TemporaryDirectory(prefix="dam-") as folder:
        yield await asyncio.to_thread(_local, ways, os.path.join(folder, "content"))


def _local(ways: Sequence[ContentSource], copy: str) -> tuple[ContentSource, str]:
    """A way to the content, and a local file with it: one that is there, or a copy at ``copy``. Raises the last way's
    ``OSError``."""
    error: OSError = FileNotFoundError(2, "it is stored nowhere")
    for way in ways:
        try:
            if way.path is not None:
                os.stat(way.path)
                return way, way.path
            with way.open() as stream:
                return way, _copy(stream, copy)
        except OSError as e:
            error = e
    raise error


def _copy(stream: BinaryIO, path: str) -> str:
    with open(path, "wb") as target:
        shutil.copyfileobj(stream, target)
    return path
