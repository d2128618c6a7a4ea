"""WorldTransaction: the one way in which a world's components change."""

import functools
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import ColumnElement, delete, event, select, update
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import ORMExecuteState, Session
from sqlalchemy.orm.attributes import instance_state, set_committed_value
from sqlalchemy.orm.util import identity_key
from sqlalchemy.util import await_only

from dam.core import faults
from dam.core.databases import backend_of, reading
from dam.core.exceptions import ComponentDefinitionError, ReadOnlySessionError, TransactionDoomedError
from dam.core.injection import Need
from dam.core.rows import key_column, shape_of
from dam.core.runs import RunRecord
from dam.events import Event
from dam.models.core.base_class import Base
from dam.models.core.base_component import EFFECTIVE, Component, LayeredComponent, layer_rank
from dam.models.entity import Entity

C = TypeVar("C", bound=Component)
if TYPE_CHECKING:
    from dam.core.world import World

T = TypeVar("T")

MANY = 1000  # values in one IN: well below every database's limit of bound parameters


@dataclass(frozen=True)
class Identified:
    """The entity that a key stands for, and whether this call created it."""

    entity_id: int
    created: bool


@dataclass
class _Pending:
    values: dict[str, Any]
    keep: bool


class WorldTransaction:
    """The writes of one scope.

    Components handed over are values: they are queued, and each flush writes one statement per table. A flush comes before
    any query on ``session``, before a savepoint and before the commit, so queries see what was written.
    """

    def __init__(self, session: AsyncSession, run: RunRecord) -> None:
        self.session = session
        self.run = run
        self._queue: dict[type[Component], dict[Any, _Pending]] = {}
        self._backend = backend_of(session.get_bind())
        self.announcements: list[Event] = []
        self._doom: tuple[str, BaseException] | None = None
        self._begun = False
        self._holds_run = False
        self._layered: dict[type[LayeredComponent], set[int]] = {}
        self._world: World | None = None
        event.listen(session.sync_session, "do_orm_execute", self._before_query)
        event.listen(session.sync_session, "before_flush", self._stamp)

    @property
    def world(self) -> "World":
        """The world as seen from inside: what is dispatched on it is part of this transaction."""
        if self._world is None:
            raise LookupError("this transaction was opened without a world")
        return self._world

    def bind(self, world: "World") -> None:
        """Says which view of the world is the inside of this transaction."""
        self._world = world

    # -- entities

    async def create_entities(self, count: int) -> list[int]:
        """Any number of new entities in one statement; their ids ascend."""
        if not count:
            return []
        await self.session.run_sync(self._begin)
        result = await (await self.session.connection()).execute(self._backend.new_entities, {"n": count})
        return sorted(result.scalars())

    async def create_entity(self, *components: Component) -> int:
        """A new entity with these components; returns its id."""
        (entity_id,) = await self.create_entities(1)
        self.add(entity_id, *components)
        return entity_id

    async def delete_entities(self, entity_ids: Sequence[int]) -> None:
        """Deletes entities with all their components. Deleting what is not there is no error."""
        await self.flush()
        await self.session.run_sync(self._begin)
        for part in parts(entity_ids):
            await self.session.execute(delete(Entity).where(Entity.id.in_(part)))
        gone = set(entity_ids)
        for held in [c for c in self.session if isinstance(c, Component) and c.entity_id in gone]:
            self.session.expunge(held)

    async def identify(self, keys: Sequence[Component]) -> list[Identified]:
        """For each key its entity, created where there is none yet.

        A key is a unique component with one unique column, such as a digest. Two writers that bring the same key at once get
        the same entity, and exactly one of them ``created`` it; of equal keys in one call, the first one did.
        """
        if not keys:
            return []
        await self.flush()
        await self.session.run_sync(self._begin)
        column = _key_column(type(keys[0]))
        values = [getattr(key, column.key) for key in keys]
        wanted = sorted(set(values))  # sorted: writers of overlapping sets cannot deadlock
        known = await self._owners(column, wanted)
        missing = [value for value in wanted if value not in known]
        by_value = {getattr(key, column.key): key for key in reversed(keys)}
        won = await self._claim(column, [by_value[value] for value in missing])
        known |= won
        if lost := [value for value in missing if value not in won]:
            known |= await self._owners(column, lost)
        first = {value: i for i, value in reversed(list(enumerate(values)))}
        return [Identified(known[value], value in won and first[value] == i) for i, value in enumerate(values)]

    async def _claim(self, column: Any, keys: Sequence[Component]) -> dict[Any, int]:
        """New entities for those keys that nobody else takes first."""
        if not keys:
            return {}
        ids = await self.create_entities(len(keys))
        for entity_id, key in zip(ids, keys, strict=True):
            key.entity_id = entity_id
        connection = await self.session.connection()
        statement = self._backend.insert(column.table).on_conflict_do_nothing(index_elements=[column])
        rows = shape_of(type(keys[0])).rows(keys, self.run.id or 0)
        inserted = await connection.execute(statement.returning(column.table.c.entity_id, column), rows)
        won = {row[column.key]: row["entity_id"] for row in inserted.mappings()}
        if lost := set(ids) - set(won.values()):
            for part in parts(sorted(lost)):
                await connection.execute(delete(Entity.__table__).where(Entity.__table__.c.id.in_(part)))  # type: ignore[arg-type]
        return won

    async def _owners(self, column: Any, values: Sequence[Any]) -> dict[Any, int]:
        connection = await self.session.connection()
        owners: dict[Any, int] = {}
        for part in parts(values):
            rows = await connection.execute(select(column, column.table.c.entity_id).where(column.in_(part)))
            owners.update((value, entity_id) for value, entity_id in rows)
        return owners

    # -- components

    async def add_component_to_entity(self, entity_id: int, component: Component) -> None:
        """Adds a component; a unique one that the entity has already is updated."""
        self.add(entity_id, component)

    def add(self, entity_id: int, *components: Component) -> None:
        """Adds components to an entity, or updates those whose key it has already; equal values write nothing."""
        for component in components:
            self._add(entity_id, component, keep=False)

    def ensure(self, entity_id: int, *components: Component) -> None:
        """Adds those components whose key the entity does not have yet, and leaves the others as they are."""
        for component in components:
            self._add(entity_id, component, keep=True)

    def write_rows(self, cls: type[Component], rows: Iterable[dict[str, Any]], *, keep: bool = False) -> None:
        """The same for rows of another world: each holds all columns but bookkeeping, ``entity_id`` being one of this world."""
        for row in rows:
            self._enqueue(cls, dict(row), keep=keep)

    def _add(self, entity_id: int, component: Component, *, keep: bool) -> None:
        values = shape_of(type(component)).values(component)
        values["entity_id"] = entity_id
        if instance_state(component).key is None:  # else it is a row of its own, which must not move to another entity
            component.entity_id = entity_id
        self._enqueue(type(component), values, keep=keep)

    def _enqueue(self, cls: type[Component], values: dict[str, Any], *, keep: bool) -> None:
        shape = shape_of(cls)
        if issubclass(cls, LayeredComponent):
            if values["layer"] == EFFECTIVE:
                raise ComponentDefinitionError(
                    f"{cls.__name__}: the layer {EFFECTIVE!r} is computed from the others; write one of those"
                )
            self._layered.setdefault(cls, set()).add(values["entity_id"])
        if shape.identity and (held := self._held(cls, shape.key_of(values))) is not None:
            if not keep:  # the session knows this row as an object: that object changes, so whoever holds it sees it
                for name, value in values.items():
                    setattr(held, name, value)
            return
        pending = self._queue.setdefault(cls, {})
        key = shape.key_of(values) if shape.key else len(pending)
        if not (keep and key in pending):
            pending[key] = _Pending(values, keep)

    def _held(self, cls: type[Component], key: tuple[Any, ...]) -> Component | None:
        known = self.session.sync_session.identity_map
        return known.get(identity_key(cls, key)) if known else None

    async def update_components(self, cls: type[Component], *conditions: ColumnElement[bool], **values: Any) -> None:
        """Sets columns of all rows that meet the conditions, in one statement. Layered components refuse: write a layer."""
        if issubclass(cls, LayeredComponent):
            raise ComponentDefinitionError(
                f"{cls.__name__} is layered, and its effective rows would not follow; add() a layer"
            )
        await self.flush()
        await self.session.run_sync(self._begin)
        await self.session.execute(update(cls).where(*conditions).values(**values, run_id=self.run.id))

    async def remove_components(
        self, cls: type[Component], entity_ids: Sequence[int], *conditions: ColumnElement[bool]
    ) -> None:
        """Removes every component of that class, or those that meet the conditions, from these entities."""
        await self.flush()
        await self.session.run_sync(self._begin)
        for part in parts(entity_ids):
            await self.session.execute(delete(cls).where(cls.entity_id.in_(part), *conditions))

    async def remove_layer(self, cls: type[LayeredComponent], layer: str, entity_ids: Sequence[int]) -> None:
        """Takes one source's word back; the effective rows follow."""
        await self.flush()
        await self.session.run_sync(self._begin)
        for part in parts(entity_ids):
            await self.session.execute(delete(cls).where(cls.entity_id.in_(part), cls.layer == layer))
        self._layered.setdefault(cls, set()).update(entity_ids)

    async def get_component(self, entity_id: int, cls: type[C]) -> C | None:
        """The entity's component of that class: of a layered one the effective row, of several the first."""
        statement = select(cls).where(cls.entity_id == entity_id).limit(1)
        if issubclass(cls, LayeredComponent):
            statement = statement.where(cls.layer == EFFECTIVE)
        return await self.session.scalar(statement)

    async def get_components(self, entity_id: int, cls: type[C]) -> list[C]:
        """All of the entity's components of that class; every layer of a layered one."""
        return list(await self.session.scalars(select(cls).where(cls.entity_id == entity_id)))

    # -- boundaries

    async def lock(self, name: str, *, shared: bool = False) -> None:
        """Waits until no other transaction holds the lock of that name, and holds it until this one ends. Those who hold it
        ``shared`` do not wait for each other."""
        await self.session.run_sync(lambda session: self._backend.lock(session.connection(), name, shared=shared))

    @property
    def has_writes(self) -> bool:
        """Whether anything was written or queued."""
        changed = self.session.new or self.session.dirty or self.session.deleted
        return self._begun or bool(self._queue) or bool(changed)

    @property
    def is_open(self) -> bool:
        """Whether it holds a connection, and with that SQLite's write lock, or has something to write."""
        return self.has_writes or self.session.in_transaction()

    def after_commit(self, announcement: Event) -> None:
        """Dispatches an event once the transaction is committed; a rollback drops it."""
        self.announcements.append(announcement)

    def doom(self, cause: BaseException, what: str = "a nested command") -> None:
        """Something failed half-way: the innermost savepoint around it cannot be kept, or else the transaction."""
        self._doom = self._doom or (what, cause)

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """What fails inside is undone, and the transaction goes on; the exception passes through."""
        await self.session.run_sync(self._begin)  # outside of it, or its rollback would take the run's row along
        await self.flush()
        announced, doomed = len(self.announcements), self._doom
        try:
            async with self.session.begin_nested():
                try:
                    yield
                    self._refuse_if_doomed()
                    await self.flush()
                except BaseException:
                    self._queue.clear()
                    self._layered.clear()
                    del self.announcements[announced:]
                    raise
        except BaseException as e:
            self._doom = doomed
            if isinstance(e, Exception):
                await self._reread()
            raise

    async def _reread(self) -> None:
        """After a rollback: what the session holds says what the database says, and vanished rows are held no longer."""
        for held in list(self.session):
            try:
                await self.session.refresh(held)
            except InvalidRequestError:
                self.session.expunge(held)

    async def flush(self) -> None:
        """Writes what is queued; errors of the database show up here."""
        await self.session.run_sync(self._write)

    async def commit(self, *, whole: bool) -> None:
        """Flushes and commits; ``whole`` says that nothing of the run comes after it."""
        self._refuse_if_doomed()
        await self.flush()
        if self._begun and whole:
            await self.session.run_sync(lambda session: self.run.end(session.connection(), "done"))
        if self._begun:
            faults.reached("transaction.written")
        await self.session.commit()
        if self._begun:
            faults.reached("transaction.committed")
            self.run.committed = True
            self.run.finished = whole

    def _refuse_if_doomed(self) -> None:
        if self._doom is not None:
            what, cause = self._doom
            raise TransactionDoomedError(
                f"{what} failed with {type(cause).__name__}: {cause}; its error was caught, but what it wrote until then is part "
                "of this transaction; run it inside 'async with transaction.savepoint()' if it may fail"
            ) from cause

    def release(self) -> None:
        """Lets the run's other transactions go on."""
        if self._holds_run:
            self._holds_run = False
            self.run.lock.release()

    # -- writing; all of it runs inside SQLAlchemy's greenlet, where its synchronous calls do not block the event loop

    def _begin(self, session: Session) -> None:
        """The first write of a run writes the run's own row, so that every other row can name it."""
        if self._begun:
            return
        connection = session.connection()  # before the run's lock, whose holder may be waiting for SQLite's
        if not self.run.committed and not self._holds_run:  # a first attempt may have failed after it had the lock
            await_only(self.run.lock.acquire())
            self._holds_run = True
        if self.run.committed:
            self.release()
        else:
            self.run.begin(connection)
        self._begun = True

    def _before_query(self, state: ORMExecuteState) -> None:
        self._write(state.session)

    def _stamp(self, session: Session, _context: Any, _instances: Any) -> None:
        changed = [
            instance for instance in session.dirty if session.is_modified(instance)
        ]  # dirty is what was set at all
        for instance in (*session.new, *changed):
            if isinstance(instance, Component):
                instance.run_id = self.run.id

    def _write(self, session: Session) -> None:
        queue, self._queue = self._queue, {}
        layered, self._layered = self._layered, {}
        if not (queue or layered or session.dirty or session.new or session.deleted):
            return
        self._begin(session)
        try:
            self._write_queue(session, queue, layered)
        except BaseException as e:
            self.doom(e, "a write")  # the rest of the queue is lost
            raise

    def _write_queue(
        self,
        session: Session,
        queue: dict[type[Component], dict[Any, _Pending]],
        layered: dict[type[LayeredComponent], set[int]],
    ) -> None:
        for changed in session.dirty:
            if isinstance(changed, LayeredComponent) and session.is_modified(changed):
                if changed.layer == EFFECTIVE:
                    raise ComponentDefinitionError(f"{changed!r} is computed from the layers; change one of those")
                layered.setdefault(type(changed), set()).add(changed.entity_id)
        session.flush()
        connection = session.connection()
        for cls in sorted(queue, key=_table_rank):
            ordered = [queue[cls][key] for key in _in_order(queue[cls])]  # one order for all writers: no deadlock
            for pending in ordered:
                pending.values["run_id"] = self.run.id
            for keep in (True, False):
                if rows := [pending.values for pending in ordered if pending.keep is keep]:
                    statement = shape_of(cls).write_statement(self._backend, keep=keep)
                    connection.execute(statement, self._backend.parameters(rows))
            self._show_written(session, cls, {pending.values["entity_id"] for pending in ordered})
        for layered_class, entity_ids in layered.items():
            self._materialise(session, layered_class, entity_ids)

    def _show_written(self, session: Session, cls: type[Component], entity_ids: set[int]) -> None:
        """Rows that the session knows as objects, and that were written past these by a key that is not theirs."""
        if not shape_of(cls).identity:
            for held in [c for c in session.identity_map.values() if type(c) is cls and c.entity_id in entity_ids]:
                session.refresh(held)

    def _materialise(self, session: Session, cls: type[LayeredComponent], entity_ids: set[int]) -> None:
        """Writes the effective rows anew: for every column the word of the most trusted layer that has one."""
        shape, connection = shape_of(cls), session.connection()
        names = [name for name in shape.columns if name not in shape.key]
        layers: dict[int, list[Any]] = {entity_id: [] for entity_id in entity_ids}
        for part in parts(sorted(entity_ids)):
            query = select(shape.table).where(shape.table.c.entity_id.in_(part), shape.table.c.layer != EFFECTIVE)
            for row in connection.execute(query).mappings():
                layers[row["entity_id"]].append(row)
        effective = []
        for entity_id, rows in sorted(layers.items()):
            rows.sort(key=lambda row: layer_rank(row["layer"]))
            values = {name: next((row[name] for row in rows if row[name] is not None), None) for name in names}
            if rows:
                effective.append({"entity_id": entity_id, "layer": EFFECTIVE, **values, "run_id": self.run.id})
            self._show_held(session, cls, entity_id, values)
        if effective:
            connection.execute(shape.write_statement(self._backend, keep=False), self._backend.parameters(effective))
        for part in parts([entity_id for entity_id, rows in layers.items() if not rows]):
            connection.execute(delete(shape.table).where(shape.table.c.entity_id.in_(part)))

    def _show_held(self, session: Session, cls: type[LayeredComponent], entity_id: int, values: dict[str, Any]) -> None:
        held = session.identity_map.get(identity_key(cls, (entity_id, EFFECTIVE)))
        for name, value in values.items() if held is not None else ():
            set_committed_value(held, name, value)


TRANSACTION = Need(WorldTransaction)


@asynccontextmanager
async def open_transaction(engine: AsyncEngine, run: RunRecord, *, whole: bool) -> AsyncIterator[WorldTransaction]:
    """A transaction that takes its connection, and on SQLite the write lock, when it is first used, not before."""
    async with AsyncSession(engine, expire_on_commit=False, autoflush=False) as session:
        transaction = WorldTransaction(session, run)
        try:
            yield transaction
            await transaction.commit(whole=whole)
        finally:
            try:
                await session.rollback()  # after a commit there is nothing left to roll back
            finally:
                transaction.release()


@asynccontextmanager
async def open_reading_session(engine: AsyncEngine) -> AsyncIterator[AsyncSession]:
    """A session that takes no write lock; a write through it raises ``ReadOnlySessionError``."""
    async with AsyncSession(reading(engine), expire_on_commit=False, autoflush=False) as session:
        event.listen(session.sync_session, "do_orm_execute", _refuse_statement)
        event.listen(session.sync_session, "before_flush", lambda flushed, *_: _refuse_changes(flushed))
        yield session
        _refuse_changes(session.sync_session)


def _refuse_statement(state: ORMExecuteState) -> None:
    if state.is_insert or state.is_update or state.is_delete:
        raise _read_only(type(state.statement).__name__.lower())


def _refuse_changes(session: Session) -> None:
    changed = {type(instance).__name__ for instance in (*session.new, *session.dirty, *session.deleted)}
    if changed:
        raise _read_only(f"a changed {', '.join(sorted(changed))}")


def _read_only(what: str) -> ReadOnlySessionError:
    return ReadOnlySessionError(
        f"a WorldSession only reads, and it was given {what}; ask for a WorldTransaction and write with its methods"
    )


def _key_column(cls: type[Component]) -> Any:
    column = key_column(cls)
    if column is None:
        raise ComponentDefinitionError(
            f"{cls.__name__} cannot identify entities: it needs exactly one unique column; "
            "declare one with mapped_column(unique=True)"
        )
    return column


def parts(values: Sequence[T], size: int = MANY) -> Iterator[Sequence[T]]:
    """``values`` in pieces, by default as large as one ``IN`` can take."""
    for start in range(0, len(values), size):
        yield values[start : start + size]


def _in_order(keys: Iterable[Any]) -> list[Any]:
    try:
        return sorted(keys)
    except TypeError:  # a part of a key may be None
        return sorted(keys, key=lambda key: [(part is not None, part) for part in key])


def _table_rank(cls: type[Component]) -> int:
    return _ranks(len(Base.metadata.tables))[cls.__table__]


@functools.cache
def _ranks(_tables: int) -> dict[Any, int]:
    return {table: i for i, table in enumerate(Base.metadata.sorted_tables)}
