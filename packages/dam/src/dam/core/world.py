"""World: one isolated set of components, systems, settings and resources over one database."""

import asyncio
import copy
import getpass
import inspect
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from enum import Enum
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar, cast

from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from dam.commands.analysis_commands import AnalysisCommand
from dam.commands.core import BaseCommand
from dam.core import providers
from dam.core.analysis import Analyses, analyse_entities, analyse_stream
from dam.core.analyzers import Analyzer
from dam.core.content import Contents, Opener, OpenerTable
from dam.core.databases import connect, database_file
from dam.core.exceptions import (
    ComponentDefinitionError,
    DamError,
    PluginConflictError,
    PluginError,
    SettingsError,
    SystemDefinitionError,
)
from dam.core.executor import SystemExecutor
from dam.core.injection import ProviderTable, Scope
from dam.core.migrations import RevisionTree, SchemaState, check_states, is_blank, schema_states, upgrade
from dam.core.plugin import Plugin, check_plugin_class, distribution_of, lacking, told
from dam.core.resources import ResourceManager
from dam.core.retries import Tries
from dam.core.runs import RunRecord
from dam.core.systems import ORIGIN, WorldScheduler, ended, entered, system
from dam.core.transaction import TRANSACTION, WorldTransaction, open_reading_session
from dam.events import Event
from dam.models.config import SettingsModel, WorldConfig
from dam.models.core.base_class import package_of, place_of
from dam.models.core.base_component import Component, MarkerComponent

S = TypeVar("S", bound=SettingsModel)
T = TypeVar("T")
R = TypeVar("R")
E = TypeVar("E")


class Release(Protocol):
    """How to dispose of what deleted rows stood for. Rows can be rolled back, and that cannot: it is noted with the deletion, and
    carried out when that is committed."""

    async def require(self, world: "World") -> None:
        """Raises ``DamError`` where nothing could be disposed of now: then nothing is deleted."""
        ...

    async def note(self, transaction: "WorldTransaction", rows: Sequence[dict[str, Any]]) -> None:
        """Remembers, in the transaction that deletes these rows, what is to be disposed of."""
        ...

    async def carry_out(self, world: "World") -> None:
        """Disposes of all that is noted, also by processes that ended before they came to it. It has to prove, in a transaction
        of its own, that nobody else needs it."""
        ...


"""Gets rows that are deleted for good."""

Transfer = Callable[
    ["World", "World", Sequence[dict[str, Any]], asyncio.Event], Awaitable[Sequence[dict[str, Any] | str | None]]
]
"""Brings what rows of the first world speak of into the second. For each row what is to be written there, or why it cannot come
along; ``None`` where it was not tried because the event was set meanwhile."""

StillThere = Callable[[WorldTransaction, Sequence[dict[str, Any]]], Awaitable[bool]]
"""Whether all is there that rows speak of which a transaction writes."""


@dataclass(frozen=True)
class TransferRule:
    """How what rows of a component speak of comes along."""

    transfer: Transfer
    essential: bool
    is_there: StillThere | None


class World:
    """Everything hangs on a world, and two worlds share nothing.

    The world that a system receives is a view bound to the scope it runs in: what is dispatched on it joins that scope.
    """

    def __init__(self, config: WorldConfig) -> None:
        self.config = config
        self.name = config.name
        self.called = config.name  # how users name it: one that is stored in another world by WORLD:ENTITY
        self.engine = connect(config.database_url, config.database_password)
        self.actor = _user()
        self.providers = ProviderTable()
        self.resources = ResourceManager()
        self.scheduler = WorldScheduler()
        self.analyses = Analyses(config)
        self.openers = OpenerTable()
        self.releases: dict[type[Component], Release] = {}
        self.transfers: dict[type[Component], TransferRule] = {}
        self.components: dict[type[Component], None] = {}
        self.settings: dict[type[SettingsModel], SettingsModel] = {WorldConfig: config}
        self.plugins: dict[type[Plugin], Plugin] = {}
        self.root = self
        self.scope: Scope | None = None
        self._problems: list[DamError] | None = None
        self._building: type[Plugin] | None = None
        self._owners: dict[tuple[str, object], type[Plugin]] = {}
        providers.register(self.providers)

    # -- what plugins register

    def add_plugin(self, plugin: Plugin | type[Plugin], settings: SettingsModel | None = None) -> None:
        """Builds a plugin into the world; one that is there already is left alone.

        Raises ``PluginError`` where one that it requires is not there yet, and with every mistake that showed up while it
        registered its parts.
        """
        cls = plugin if isinstance(plugin, type) else type(plugin)
        if cls in self.plugins:
            return
        check_plugin_class(cls)
        if missing := lacking(cls, self.plugins):
            raise PluginError(missing)
        settings = _settings_for(cls, settings)
        instance = cls() if isinstance(plugin, type) else plugin
        self.plugins[cls] = instance
        self.settings[cls.Settings] = settings
        self.register_component(cls.SettingsComponent)
        outer, self._problems = self._problems, []
        around, self._building = self._building, cls
        try:
            instance.build(self)
            problems = self._problems
        except BaseException as e:
            self._forget(cls)
            if isinstance(e, DamError) or not isinstance(e, Exception):
                raise
            raise PluginError(f"cannot build {cls.__module__}.{cls.__qualname__}: {told(e)}") from e
        finally:
            self._problems, self._building = outer, around
        if problems:
            self._forget(cls)
            if len(problems) == 1:
                raise problems[0]
            raise PluginError(
                f"cannot build {cls.__qualname__}, {len(problems)} mistakes:\n" + "\n".join(map(str, problems))
            )

    def register_component(self, component: type[Component]) -> None:
        """Makes a component part of the world. Raises ``ComponentDefinitionError`` or ``PluginConflictError``."""
        if problem := _component_problem(component):
            self._report(ComponentDefinitionError(problem))
        elif conflict := _namespace_conflict(component, self.components):
            self._report(PluginConflictError(conflict))
        else:
            self.components[component] = None

    def register_system(self, fn: Callable[..., Any]) -> None:
        """Compiles and checks a system. Raises ``SystemDefinitionError`` or ``HandlerConflictError``."""
        try:
            self.scheduler.register(fn, self.providers)
        except DamError as e:
            self._report(e)

    def register_analyzer(self, candidate: Analyzer[Any]) -> None:
        """Adds an analyzer, and the handler of its command. Raises ``AnalyzerDefinitionError``."""
        if candidate in self.analyses:
            return
        try:
            added = self.analyses.add(candidate)
        except DamError as e:
            self._report(e)
            return
        for component in added.produces:
            self.register_component(component)
        if added.command is not None:
            self.register_system(_command_handler(added, added.command))

    def register_opener(self, location: type[Component], opener: Opener[Any], *, cost: int = 50) -> None:
        """Says how content is reached from one kind of location; the cheapest opener is tried first."""
        if self._claim("the opener of", location):
            self.openers.add(location, opener, cost)

    def register_transfer(
        self,
        component: type[Component],
        transfer: Transfer,
        *,
        essential: bool = True,
        is_there: StillThere | None = None,
    ) -> None:
        """Says what has to come along when rows of a component, or of those that inherit from it, are copied into another world.

        An entity with an ``essential`` row that cannot come along is not copied; any other such row is left out. ``is_there``
        looks inside the transaction that writes the rows, and keeps it so until the commit.
        """
        if self._claim("the transfer of", component):
            self.transfers[component] = TransferRule(transfer, essential, is_there)

    def transfer_of(self, component: type[Component]) -> "TransferRule | None":
        """What was registered for that component, or for one that it inherits from."""
        return next((self.transfers[base] for base in component.__mro__ if base in self.transfers), None)

    def register_release(self, component: type[Component], release: Release) -> None:
        """Says how to dispose of what rows of a component, or of those that inherit from it, stood for, once they are deleted."""
        if self._claim("the release of", component):
            self.releases[component] = release

    def release_of(self, component: type[Component]) -> "Release | None":
        """What was registered for that component, or for one that it inherits from."""
        return next((self.releases[base] for base in component.__mro__ if base in self.releases), None)

    def register_provider(self, key: Any, open: Any, *, lifetime: Any = "call") -> None:  # noqa: A002
        """Makes a type, or the class of an ``Annotated`` marker, something that systems can ask for."""
        if self._claim("the provider of", key):
            self.providers.add(key, open, lifetime)

    def add_resource(self, resource: object, as_type: type | None = None) -> None:
        if self._claim("the resource", as_type or type(resource)):
            self.resources.add(resource, as_type)

    def get_resource(self, resource_type: type[T]) -> T:
        """Raises ``NoResourceError``."""
        return self.resources.get(resource_type)

    def settings_of(self, settings_type: type[S]) -> S:
        """A plugin's settings in this world, by their class."""
        if settings_type not in self.settings:
            raise PluginError(f"no plugin of world {self.name!r} has the settings {settings_type.__name__}")
        return cast("S", self.settings[settings_type])  # keyed by its own class

    def check_systems(self) -> None:
        """Looks, once all plugins are in, whether what systems ask for is there. Raises ``SystemDefinitionError``."""
        problems = [
            f"cannot run system {each.where}\n  parameter {name!r}: {problem}"
            for each in self.scheduler.systems
            for name, provider in each.plan.providers.items()
            if provider.problem and (problem := provider.problem(self, each.plan.needs[name]))
        ]
        stages = {each.trigger for each in self.scheduler.systems}
        problems += [
            f"cannot run analyzer {each.algorithm.name!r}\n  stage {each.stage}: no system of this world runs its analyzers"
            for each in self.analyses
            if each.stage is not None and each.stage not in stages
        ]
        if problems:
            raise SystemDefinitionError("\n".join(problems) + "\n  see docs/reference/errors.md#dam103")

    def _forget(self, plugin: type[Plugin]) -> None:
        """A plugin that could not be built has brought nothing that others would be in conflict with."""
        del self.plugins[plugin]
        self._owners = {key: owner for key, owner in self._owners.items() if owner is not plugin}

    def _claim(self, what: str, key: Any) -> bool:
        """Whether the plugin that is being built may bring it. Scripts and tests may put theirs in its place."""
        builder = self._building
        if builder is None:
            return True
        owner = self._owners.setdefault((what, key), builder)
        if owner is not builder:
            sides = " and by ".join(f"{distribution_of(each)} ({place_of(each)})" for each in (owner, builder))
            name = getattr(key, "__name__", key)
            self._report(
                PluginConflictError(
                    f"{what} {name} is brought by {sides}; leave one of them out of the plugins of the world"
                )
            )
        return owner is builder

    def _report(self, problem: DamError) -> None:
        """While a plugin is built its mistakes are collected, so that all of them are shown at once."""
        if self._problems is None:
            raise problem
        self._problems.append(problem)

    # -- running

    def dispatch_command(self, command: BaseCommand[R, E]) -> SystemExecutor[R, E]:
        """The executor of a command; it runs while it is iterated. Raises ``NoHandlerError`` at once."""
        self.scheduler.handlers(command)
        return SystemExecutor(self.scheduler.run_command(self, command))

    def dispatch_event(self, event: Event) -> SystemExecutor[None, Any]:
        """Runs all listeners, in the order of their registration; a failing one raises ``EventHandlingError``."""
        return SystemExecutor(self.scheduler.run_event(self, event))

    def execute_stage(self, stage: Enum) -> SystemExecutor[None, Any]:
        """Runs all systems of a stage until their queues are empty; a failing one raises ``StageExecutionError``."""
        return SystemExecutor(self.scheduler.run_stage(self, stage))

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[WorldTransaction]:
        """A unit of work: the scope's own transaction where it has one, else a new one that commits at the end."""
        scope = self.scope
        run = scope.run if scope else RunRecord(self.actor, "transaction")
        unit = Scope(self, None, run, scope, whole=scope is None)
        try:
            async with entered(unit):
                yield await unit.get(TRANSACTION)
        except BaseException as e:
            if scope is None:
                await run.finish(self.engine, *ended(e))
            raise

    async def write(self, work: Callable[[WorldTransaction], Awaitable[T]]) -> T:
        """A unit of work as a function, which is called again where another writer stood in its way.

        Where the scope has a transaction of its own, this is part of it, and is not repeated. Raises ``WriteConflictError``
        after several tries.
        """
        tries = Tries(is_final=self.is_in_transaction)
        for _ in tries:
            async with tries.attempt(), self.transaction() as transaction:
                return await work(transaction)
        raise AssertionError("the last attempt returns or raises")

    @property
    def is_in_transaction(self) -> bool:
        """Whether the scope that this is seen from has a transaction, so that what is written there is part of it."""
        return self.scope is not None and self.scope.find(TRANSACTION) is not None

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """A session that takes no write lock; inside a scope that has written, that scope's own, which sees it."""
        transaction = self.scope.find(TRANSACTION) if self.scope else None
        if transaction is not None and transaction.has_writes:
            yield transaction.session
        else:
            async with open_reading_session(self.engine) as session:
                yield session

    @property
    def contents(self) -> Contents:
        """The way to the bytes of entities."""
        return Contents(self, self.openers)

    def awaits(self, marker: type[MarkerComponent], media_type: str, stage: Enum) -> bool:
        """Whether anything would be done for content of that type if its entity were marked."""
        if self.analyses.wanted(media_type, stage):
            return True
        queues = (s for s in self.scheduler.systems if marker in s.queues.values())
        return any(not s.name.startswith("dam.core.") for s in queues)

    def bound(self, scope: Scope) -> "World":
        """The same world, seen from inside a scope."""
        view = copy.copy(self)
        view.scope = scope
        return view

    # -- life

    @property
    def database_files(self) -> list[str]:
        """The files of an embedded database; none of a server's."""
        file = database_file(self.config.database_url)
        return [os.path.abspath(file + ending) for ending in ("", "-wal", "-shm", "-journal")] if file else []

    @property
    def revision_trees(self) -> list[RevisionTree]:
        """The core's and each plugin's revisions, in the order in which they are to run."""
        packages = {"dam": "dam"} | {package_of(cls): package_of(cls) for cls in self.plugins}
        trees = [RevisionTree(package.replace("_", "-"), package) for package in packages]
        return [tree for tree in trees if tree.head is not None]

    async def schema_states(self) -> list[SchemaState]:
        """Where the database stands, tree by tree."""
        return await schema_states(self.engine, self.revision_trees)

    async def is_blank(self) -> bool:
        """Whether the database has no table at all."""
        return await is_blank(self.engine)

    async def check_schema(self) -> None:
        """Raises ``MigrationNeededError`` or ``SchemaTooNewError``."""
        check_states(await self.schema_states(), self.called)

    async def setup(self) -> list[SchemaState]:
        """Creates or upgrades the database; returns where those plugins stood that were behind."""
        return await upgrade(self.engine, self.revision_trees, self.called)

    async def close(self) -> None:
        """Ends worker processes, closes resources that have a ``close``, then connections: all of it, whatever fails."""
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self.engine.dispose)
            for resource in self.resources:
                stack.push_async_callback(_close, resource)
            stack.push_async_callback(self.analyses.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<World {self.name!r}>"


def _command_handler(analyzer: Analyzer[Any], command: type[AnalysisCommand[None]]) -> Callable[..., Any]:
    """The one-entity form of an analyzer."""

    async def analyse_one(cmd: Any, world: World) -> None:
        if cmd.stream is not None:
            async with cmd.open_stream(world) as stream:
                await analyse_stream(world, cmd.entity_id, stream, [analyzer])
        else:
            await analyse_entities(world, [cmd.entity_id], [analyzer], depth=cmd.depth, repeat=True, missing=True)

    analyse_one.__annotations__["cmd"] = command
    setattr(analyse_one, ORIGIN, analyzer.components)
    return system(on_command=command)(analyse_one)


def _settings_for(plugin: type[Plugin], given: SettingsModel | None) -> SettingsModel:
    if given is None:
        try:
            return plugin.Settings()
        except ValidationError as e:
            lines = "; ".join(f"{'.'.join(map(str, p['loc']))}: {p['msg']}" for p in e.errors())
            raise SettingsError(f"{plugin.__qualname__} needs settings: {lines}") from e
    if not isinstance(given, plugin.Settings):
        raise PluginError(
            f"{plugin.__qualname__} takes {plugin.Settings.__name__}, and was given {type(given).__name__}: {given!r}"
        )
    return given


def _component_problem(component: Any) -> str | None:
    if not (isinstance(component, type) and issubclass(component, Component)):
        return f"{component!r} is not a component class; inherit from BaseComponent or UniqueComponent"
    if component.__dict__.get("__abstract__") or not hasattr(component, "__table__"):
        return f"{component.__name__} is abstract and has no table; register the classes that inherit from it"
    columns = component.__table__.columns.keys()
    if wrong := [alias for alias, name in component.__aliases__.items() if name not in columns]:
        return f"{component.__name__}: the aliases {wrong} name no column; its columns are {', '.join(columns)}"
    return None


def _namespace_conflict(component: type[Component], others: Iterable[type[Component]]) -> str | None:
    """The components of one package may share a namespace."""
    package, namespace = package_of(component), component.__namespace__
    for other in others:
        if other.__namespace__ == namespace and package_of(other) != package:
            return (
                f"the namespace {namespace!r} is that of {place_of(other)}, and {place_of(component)} has the same; "
                f"leave one of the two plugins out of the world, or choose another: namespace={package!r}"
            )
    return None


async def _close(resource: object) -> None:
    if callable(close := getattr(resource, "close", None)) and inspect.isawaitable(closing := close()):
        await closing


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # an id without a name, as in containers
        return "unknown"
