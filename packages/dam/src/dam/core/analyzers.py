"""What plugins declare to be computed of bytes."""

import inspect
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatchcase
from typing import Any, Generic, TypeVar

from dam.analysis.algorithm import Algorithm
from dam.analysis.ref import ref
from dam.commands.analysis_commands import AnalysisCommand
from dam.core.exceptions import AnalyzerDefinitionError
from dam.models.core.base_component import Component, LayeredComponent

F = TypeVar("F")
LONGEST_NAME = 128  # what fits into a derivation


@dataclass(frozen=True)
class Analyzer(Generic[F]):
    """A fact of bytes: how it is computed, from which media types, and how it becomes components."""

    algorithm: Algorithm
    compute: ref
    components: Callable[[F], Iterable[Component]]
    accepts: tuple[str, ...]
    produces: tuple[type[Component], ...]
    stage: Enum | None = None
    command: type[AnalysisCommand[None]] | None = None
    replaces: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Its algorithm's name, and those that it replaces."""
        return self.algorithm.name, *self.replaces

    def wants(self, media_type: str) -> bool:
        return any(fnmatchcase(media_type, pattern) for pattern in self.accepts)


def analyzer(
    algorithm: Algorithm,
    *,
    compute: ref,
    accepts: tuple[str, ...],
    produces: tuple[type[Component], ...],
    stage: Enum | None = None,
    command: type[AnalysisCommand[None]] | None = None,
    replaces: tuple[str, ...] = (),
) -> Callable[[Callable[[F], Iterable[Component]]], Analyzer[F]]:
    """Declares an analyzer around the function that turns its result into components.

    ``compute`` names a function of a ``Blob`` that runs in a worker process and returns a small value: plain data, or a
    NamedTuple, dataclass or enum of its own package. Without a ``stage`` it runs when an asset is added, on the bytes just
    read; with one, when the stage reaches the entity. ``command`` makes it available for one entity on request. ``accepts``
    are media types, with ``*`` as a wildcard.

    ``replaces`` names algorithms whose facts these are written over, in worlds that had such an analyzer before; what they
    left on record goes.

    A layer without any value is a source that says nothing: no row is written, and an earlier one of that layer goes.
    """

    def declare(components: Callable[[F], Iterable[Component]]) -> Analyzer[F]:
        return Analyzer(algorithm, compute, components, accepts, produces, stage, command, replaces)

    return declare


def check_analyzer(candidate: object, registered: Iterable[Analyzer[Any]]) -> Analyzer[Any]:
    """Raises ``AnalyzerDefinitionError`` with everything that is wrong."""
    if not isinstance(candidate, Analyzer):
        raise AnalyzerDefinitionError(f"{candidate!r} is not an analyzer; declare it with @analyzer(Algorithm(…), …)")
    problems = list(_misshapen(candidate)) or list(_mistaken(candidate, registered))
    if problems:
        lines = "\n".join(f"  {problem}" for problem in problems)
        called = getattr(candidate.algorithm, "name", candidate.algorithm)
        raise AnalyzerDefinitionError(
            f"cannot register analyzer {called!r}\n{lines}\n  see docs/reference/errors.md#dam106"
        )
    return candidate


def _misshapen(candidate: Analyzer[Any]) -> Iterator[str]:
    """What is of another kind than it has to be. At run time an analyzer can hold anything."""
    algorithm: object = candidate.algorithm
    if not isinstance(algorithm, Algorithm):
        yield f"algorithm={algorithm!r}; write Algorithm('package.name', version=1)"
    elif not 0 < len(str(algorithm.name)) <= LONGEST_NAME:
        yield f"the algorithm's name {algorithm.name!r} has to have 1 to {LONGEST_NAME} characters"
    elif type(algorithm.version) is not int or algorithm.version < 1:
        yield f"version={algorithm.version!r}; versions are whole numbers from 1"
    compute: object = candidate.compute
    if not isinstance(compute, ref):
        yield f"compute={compute!r}; write ref('package.module:function')"
    accepts: Any = candidate.accepts
    if not isinstance(accepts, tuple) or not accepts or not all(map(_is_pattern, accepts)):
        yield f"accepts={accepts!r}; write media types such as ('image/*',)"
    produces: Any = candidate.produces
    if not isinstance(produces, tuple) or not produces or not all(map(is_component_class, produces)):
        yield f"produces={produces!r}; write a tuple of component classes, (One,) for a single one"
    stage: object = candidate.stage
    if stage is not None and not isinstance(stage, Enum):
        yield f"stage={stage!r}; write a member of an Enum, such as SystemStage.METADATA_EXTRACTION"
    command: object = candidate.command
    if command is not None and not (isinstance(command, type) and issubclass(command, AnalysisCommand)):
        yield f"command={command!r} is not an AnalysisCommand"
    if inspect.iscoroutinefunction(candidate.components) or inspect.isasyncgenfunction(candidate.components):
        yield f"{_name(candidate.components)} is asynchronous; write 'def': it has nothing to wait for"
    elif not _takes_one(candidate.components):
        signature = inspect.signature(candidate.components)
        yield f"{_name(candidate.components)}{signature} must take one value: what compute returns"


def _mistaken(candidate: Analyzer[Any], registered: Iterable[Analyzer[Any]]) -> Iterator[str]:
    for other in registered:
        if other != candidate and other.algorithm.name == candidate.algorithm.name:
            first, second = (f"{each.components.__module__}.{_name(each.components)}" for each in (other, candidate))
            yield f"{first} has that name already, and {second} needs another; begin it with the name of its package"
        yield from (_taken(component, other) for component in _shared(candidate, other))
    if problem := candidate.compute.problem():
        yield f"compute={candidate.compute.name!r}: {problem}"


def _is_pattern(pattern: object) -> bool:
    return isinstance(pattern, str) and (pattern.count("/") == 1 or pattern == "*")


def _name(function: Callable[..., Any]) -> str:
    return str(getattr(function, "__qualname__", function))


def is_component_class(thing: object) -> bool:
    return isinstance(thing, type) and issubclass(thing, Component)


def _shared(one: Analyzer[Any], other: Analyzer[Any]) -> Iterator[type[Component]]:
    """Classes of which each would take the other's rows away when it looks again. Layers can be shared: each is one source's."""
    if one != other and any(_overlap(a, b) for a in one.accepts for b in other.accepts):
        for component in one.produces:
            if component in other.produces and not issubclass(component, LayeredComponent):
                yield component


def _overlap(one: str, other: str) -> bool:
    return fnmatchcase(one, other) or fnmatchcase(other, one)


def _taken(component: type[Component], other: Analyzer[Any]) -> str:
    return (
        f"{component.__name__} is what {other.algorithm.name!r} produces of the same media types, and an analyzer owns what it "
        "produces; let one of them do it, or make it a LayeredComponent"
    )


def _takes_one(function: Callable[..., Any]) -> bool:
    try:
        inspect.signature(function).bind(object())
    except TypeError:
        return False
    return True
