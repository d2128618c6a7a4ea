"""Systems: functions that say in their signature what they need, and the scheduler that runs them."""

import difflib
import inspect
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar, get_origin, overload

from dam.commands.core import BaseCommand
from dam.core.exceptions import (
    DamError,
    EventHandlingError,
    HandlerConflictError,
    NoHandlerError,
    StageExecutionError,
    SystemDefinitionError,
    SystemRunError,
    UncommittedRequestError,
)
from dam.core.injection import Plan, ProviderTable, Scope, compile_plan, resolved_hints, unresolvable
from dam.core.retries import Tries
from dam.core.runs import RunRecord
from dam.core.system_params import MarkedEntityList
from dam.core.transaction import TRANSACTION, WorldTransaction
from dam.events import Event
from dam.models.core.base_component import MarkerComponent
from dam.system_events.base import BaseRequest, Result

if TYPE_CHECKING:
    from dam.core.world import World

P = ParamSpec("P")
R = TypeVar("R")
E = TypeVar("E")
F = TypeVar("F", bound=Callable[..., Any])

logger = logging.getLogger(__name__)

_SPEC = "__dam_system__"
ORIGIN = "__dam_origin__"
"""Attribute of a system that was made for a function: that function, whose place messages show."""
_TRIGGERS = ("on_command", "on_event", "on_stage")


class _HandlerDecorator(Protocol[R, E]):
    """Takes a coroutine function that returns the command's result, or a generator that yields its events and results."""

    @overload
    def __call__(self, fn: Callable[P, Coroutine[Any, Any, R]], /) -> Callable[P, Coroutine[Any, Any, R]]: ...
    @overload
    def __call__(
        self, fn: Callable[P, AsyncGenerator[E | Result[R], Any]], /
    ) -> Callable[P, AsyncGenerator[E | Result[R], Any]]: ...


@overload
def system(*, on_command: type[BaseCommand[R, E]]) -> _HandlerDecorator[R, E]: ...
@overload
def system(*, on_event: type[Event]) -> Callable[[F], F]: ...
@overload
def system(*, on_stage: Enum) -> Callable[[F], F]: ...
def system(**triggers: Any) -> Any:
    """Declares a system: exactly one of ``on_command=``, ``on_event=`` or ``on_stage=``.

    Nothing is checked and nothing runs until a world registers it.
    """

    def declare(fn: F) -> F:
        setattr(fn, _SPEC, triggers)
        return fn

    return declare


def listens_for(event: type[Event]) -> Callable[[F], F]:
    """The same as ``@system(on_event=event)``."""
    return system(on_event=event)


@dataclass(frozen=True)
class System:
    """A registered system: the function, what it runs for, and the plan that meets its parameters."""

    fn: Callable[..., Any]
    trigger: Any
    plan: Plan

    @property
    def name(self) -> str:
        origin = getattr(self.fn, ORIGIN, self.fn)
        return f"{origin.__module__}.{origin.__qualname__}"

    @property
    def where(self) -> str:
        return where(self.fn)

    @property
    def queues(self) -> dict[str, type[MarkerComponent]]:
        """Parameter → the marker whose entities it is handed."""
        return {name: need.arguments[0] for name, need in self.plan.needs.items() if need.type is MarkedEntityList}

    @asynccontextmanager
    async def call(self, scope: Scope) -> AsyncIterator[AsyncGenerator[Any, Any] | None]:
        """Calls the function and gives its stream; ``None`` where its queues are empty and there is nothing to call it for."""
        async with AsyncExitStack() as stack:
            arguments = await self.plan.arguments(scope, stack)
            if self.queues and not any(arguments[name] for name in self.queues):
                yield None
                return
            outcome = self.fn(**arguments)
            async with aclosing(outcome if inspect.isasyncgen(outcome) else _once(outcome)) as stream:
                yield stream


async def _once(outcome: Coroutine[Any, Any, Any]) -> AsyncGenerator[Any, Any]:
    yield Result(await outcome)


class WorldScheduler:
    """Knows which systems run for which command, event or stage of one world, and runs them."""

    def __init__(self) -> None:
        self._by_trigger: dict[Any, list[System]] = {}

    def register(self, fn: Callable[..., Any], table: ProviderTable) -> System:
        """Compiles and checks a system. Raises ``SystemDefinitionError`` or ``HandlerConflictError``."""
        compiled = compile_system(fn, table)
        registered = self._by_trigger.setdefault(compiled.trigger, [])
        if any(other.fn is fn for other in registered):
            return compiled
        many = getattr(compiled.trigger, "many_handlers", True)
        if registered and not many:
            raise HandlerConflictError(
                f"{compiled.trigger.__name__} has a handler already\n"
                f"  first:  {registered[0].where}\n  second: {compiled.where}\n"
                "  set many_handlers = True on the command's class if several may answer it"
            )
        registered.append(compiled)
        return compiled

    @property
    def systems(self) -> list[System]:
        return [system for systems in self._by_trigger.values() for system in systems]

    def handlers(self, command: BaseCommand[Any, Any]) -> Sequence[System]:
        """Raises ``NoHandlerError`` where nothing handles the command."""
        if found := self._by_trigger.get(type(command)):
            return found
        near = difflib.get_close_matches(
            type(command).__name__, [getattr(t, "__name__", "") for t in self._by_trigger], 1
        )
        hint = f" (there is one for {near[0]})" if near else ""
        package = type(command).__module__.partition(".")[0].replace("_", "-")
        raise NoHandlerError(
            f"no handler for {type(command).__name__} in this world{hint}; "
            f"enable the plugin that brings it, {package!r} by its name, or register one with world.register_system(...)"
        )

    def run_command(self, world: "World", command: BaseCommand[Any, Any]) -> AsyncGenerator[Any, Any]:
        name = type(command).__name__
        return _run(world, name, self._once_each(world, command, self.handlers(command)), None)

    def run_event(self, world: "World", announcement: Event) -> AsyncGenerator[Any, Any]:
        name, listeners = type(announcement).__name__, self._by_trigger.get(type(announcement), [])
        if world.scope is not None:  # part of what announced it, and of its transaction
            return _run(world, name, self._once_each(world, announcement, listeners), EventHandlingError)
        return _run(world, name, self._one_by_one(world, announcement, listeners), EventHandlingError)

    def run_stage(self, world: "World", stage: Enum) -> AsyncGenerator[Any, Any]:
        return _run(world, stage.name, self._batches(world, stage), StageExecutionError)

    def _once_each(self, world: "World", trigger: object, systems: Sequence[System]) -> "Units":
        def units(run: RunRecord) -> Iterator[tuple[Scope, Sequence[System]]]:
            yield Scope(world, trigger, run, world.scope, whole=world.scope is None), systems

        return units

    def _one_by_one(self, world: "World", trigger: object, systems: Sequence[System]) -> "Units":
        """A scope for each: what one of them does wrong is not undone for the others."""

        def units(run: RunRecord) -> Iterator[tuple[Scope, Sequence[System]]]:
            for each in systems:
                yield Scope(world, trigger, run), [each]

        return units

    def _batches(self, world: "World", stage: Enum) -> "Units":
        """A scope for each batch, until the queues are empty. Systems that wait for the same marker share its batches."""

        def units(run: RunRecord) -> Iterator[tuple[Scope, Sequence[System]]]:
            for group in _sharing_queues(self._by_trigger.get(stage, [])):
                scope = Scope(world, stage, run, world.scope)
                yield scope, group
                while group[0].queues and not scope.idle:
                    scope = Scope(world, stage, run, world.scope)
                    yield scope, group

        return units


Units = Callable[[RunRecord], Iterator[tuple[Scope, Sequence[System]]]]


async def _run(
    world: "World", name: str, units: Units, failure: type[SystemRunError] | None
) -> AsyncGenerator[Any, Any]:
    """Runs systems scope by scope: the one loop through which every event and every answer passes."""
    run = world.scope.run if world.scope else RunRecord(world.actor, name)
    failed: list[EventHandlingError] = []
    async with _noted(run, world, failed):
        for scope, systems in units(run):
            tries = Tries(is_final=world.scope is not None)
            with _kept(failed, world):
                for _ in tries:
                    async with tries.attempt(), entered(scope.begun()):
                        for each in systems:
                            async with each.call(scope) as stream:
                                scope.idle &= stream is None
                                answer = None
                                while stream is not None:
                                    try:
                                        event = await stream.asend(answer)
                                        await _write(scope, event, tries)
                                    except StopAsyncIteration:
                                        break
                                    except Exception as e:
                                        if failure is None:
                                            raise
                                        raise failure(name, each.name, e) from e
                                    if isinstance(event, BaseRequest):
                                        _refuse_while_writing(scope, each, event)
                                    tries.is_final = True  # whoever has heard of it must not hear it twice
                                    answer = yield event
                        await _take_markers_off(scope)
    if failed:
        raise failed[0]


@asynccontextmanager
async def _noted(run: RunRecord, world: "World", failed: Sequence[Exception]) -> AsyncIterator[None]:
    """Notes how a run ended, unless it is part of a larger one."""
    try:
        yield
    except BaseException as e:
        if world.scope is None:
            await run.finish(world.engine, *ended(e))
        raise
    if world.scope is None:
        await run.finish(world.engine, "failed" if failed else "done", *failed[:1])


async def _write(scope: Scope, event: object, tries: Tries) -> None:
    """Before anybody hears of a result, the database hears of what led to it: so that it can still be done again."""
    transaction = scope.find(TRANSACTION) if isinstance(event, Result) and not tries.is_final else None
    if transaction is not None:
        await transaction.flush()


@contextmanager
def _kept(failed: list[EventHandlingError], world: "World") -> Iterator[None]:
    """A listener that fails by itself keeps none of the others from listening; its failure is raised after them."""
    try:
        yield
    except EventHandlingError as e:
        if world.scope is not None:
            raise
        failed.append(e)


async def _take_markers_off(scope: Scope) -> None:
    """What all systems of the scope have seen, in the transaction in which they saw it."""
    for marker, batch in scope.batches.items():
        if batch:
            transaction: WorldTransaction = await scope.get(TRANSACTION)
            await transaction.remove_components(marker, batch)


def _sharing_queues(systems: Sequence[System]) -> list[list[System]]:
    """Systems without a queue alone, and the others together with those that wait for a marker of theirs."""
    groups: list[list[System]] = []
    for each in systems:
        markers = set(each.queues.values())
        sharing = [group for group in groups if markers & {m for other in group for m in other.queues.values()}]
        if sharing:
            sharing[0] += [*(other for group in sharing[1:] for other in group), each]
            groups = [group for group in groups if group not in sharing[1:]]
        else:
            groups.append([each])
    return groups


def ended(error: BaseException) -> tuple[str, BaseException]:
    """How a run ended that was left by that exception: cancelled, or left by its caller, it did not fail."""
    return "failed" if isinstance(error, Exception) else "abandoned", error


@asynccontextmanager
async def entered(scope: Scope) -> AsyncIterator[None]:
    """Ends what the scope holds: commits or rolls back its transaction, then announces what was to follow the commit."""
    try:
        async with scope.afterwards, scope.stack:
            yield
    except BaseException as e:
        joined = scope.parent.find(TRANSACTION) if scope.parent else None
        if joined is not None:
            joined.doom(e)
        raise
    for announcement in scope.announcements:
        try:
            await scope.world.root.dispatch_event(announcement)
        except DamError:  # what was announced is committed: who did it must not be told that it failed, and do it again
            logger.exception("a listener of %s failed", type(announcement).__name__)


def _refuse_while_writing(scope: Scope, asking: System, request: BaseRequest) -> None:
    transaction = scope.find(TRANSACTION)
    if transaction is not None and transaction.is_open:
        raise UncommittedRequestError(
            f"{asking.name} asked {type(request).__name__} while its transaction is in use, and would keep everybody else "
            "from writing for as long as the answer takes; ask before the first use"
        )


def compile_system(fn: Callable[..., Any], table: ProviderTable) -> System:
    """Reads a system's declaration and signature. Raises ``SystemDefinitionError`` with every mistake in it."""
    if not inspect.isroutine(fn):
        raise SystemDefinitionError(f"{fn!r} is no function; write @system(on_command=…) above one and register that")
    triggers: dict[str, Any] | None = getattr(fn, _SPEC, None)
    if triggers is None:
        raise SystemDefinitionError(_cannot_register(fn, ["it is not declared; write @system(on_command=…) above it"]))
    problems = [_unknown_keyword(name) for name in triggers if name not in _TRIGGERS]
    given = [(name, triggers[name]) for name in _TRIGGERS if name in triggers]
    trigger = given[0][1] if len(given) == 1 else None
    if len(given) != 1:
        named = " and ".join(name for name, _ in given) or "none"
        problems.append(f"exactly one of {', '.join(_TRIGGERS)} is needed, and there is {named}")
    else:
        problems += _wrong_trigger(*given[0])
    trigger_type = trigger if isinstance(trigger, type) else type(trigger) if isinstance(trigger, Enum) else None
    plan, unmet = compile_plan(fn, trigger_type, table)
    problems += unmet
    if isinstance(trigger, type) and issubclass(trigger, BaseCommand):
        problems += _wrong_result(fn, trigger)
    if not (inspect.iscoroutinefunction(fn) or inspect.isasyncgenfunction(fn)):
        problems.append("it is not asynchronous; write 'async def'")
    if problems:
        raise SystemDefinitionError(_cannot_register(fn, problems))
    return System(fn, trigger, plan)


def where(fn: Callable[..., Any]) -> str:
    """``package.module.function (file.py:12)``."""
    origin = getattr(fn, ORIGIN, fn)
    code = inspect.unwrap(origin).__code__
    return f"{origin.__module__}.{origin.__qualname__} ({PurePath(code.co_filename).name}:{code.co_firstlineno})"


def _cannot_register(fn: Callable[..., Any], problems: Sequence[str]) -> str:
    lines = "\n".join(f"  {problem}" for problem in problems)
    return f"cannot register system {where(fn)}\n{lines}\n  see docs/reference/errors.md#dam103"


def _unknown_keyword(name: str) -> str:
    near = difflib.get_close_matches(name, _TRIGGERS, 1)
    return f"@system has no keyword {name!r}" + (
        f" (did you mean {near[0]}?)" if near else f"; it has {', '.join(_TRIGGERS)}"
    )


def _wrong_trigger(keyword: str, trigger: Any) -> list[str]:
    kinds = {"on_command": BaseCommand, "on_event": Event}
    wanted = kinds.get(keyword)
    if wanted is None:
        return (
            [] if isinstance(trigger, Enum) else [f"{keyword}={trigger!r} is not a stage; use a member of SystemStage"]
        )
    if isinstance(trigger, type) and issubclass(trigger, wanted):
        return []
    return [f"{keyword}={trigger!r} is not a subclass of {wanted.__name__}"]


def _wrong_result(fn: Callable[..., Any], command: type[BaseCommand[Any, Any]]) -> list[str]:
    """The declared result of a handler against its command's; no annotation means ``None``. Generators yield theirs."""
    result = command.result_type()
    hints, unresolved = resolved_hints(fn)
    if "return" in unresolved:
        return [f"its result: {unresolvable(unresolved['return'])}"]
    declared = hints.get("return", type(None))
    if inspect.isasyncgenfunction(fn):
        streams = declared is type(None) or get_origin(declared) in (AsyncGenerator, AsyncIterator)
        return [] if streams else [f"it yields, so its result is an AsyncGenerator[…], not {_shown(declared)}"]
    wanted = type(None) if result is None else result
    fits = Any in (wanted, declared) or isinstance(wanted, TypeVar) or declared == wanted
    if not fits and isinstance(declared, type) and isinstance(wanted, type):
        fits = issubclass(declared, wanted)
    return [] if fits else [f"it returns {_shown(declared)}, and the result of {command.__name__} is {_shown(wanted)}"]


def _shown(hint: Any) -> str:
    if hint is type(None):
        return "None"
    return hint.__name__ if isinstance(hint, type) and get_origin(hint) is None else str(hint).replace("typing.", "")
