"""Copying entities from one world into another, whatever databases and stores these are on."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any
from uuid import uuid4

from sqlalchemy import Table, select
from sqlalchemy.ext.asyncio import AsyncSession

from dam.commands.copy_commands import CopyEntitiesCommand
from dam.core.bisection import in_halves
from dam.core.databases import backend_of
from dam.core.exceptions import CopyError
from dam.core.plugin import normalised
from dam.core.rows import shape_of
from dam.core.systems import system
from dam.core.transaction import WorldTransaction, parts
from dam.core.world import World
from dam.models.core.base_component import EFFECTIVE, Component, LayeredComponent
from dam.models.core.types import LARGEST_ID
from dam.models.entity import Entity
from dam.models.origin import OriginComponent, WorldIdentity
from dam.system_events.copying import CopyStatus, EntityCopied, LinksCopied

BATCH = 256

Row = dict[str, Any]
Rows = dict[type[Component], dict[int, list[Row]]]
"""Component → entity → rows, without those that are computed from others."""


@system(on_command=CopyEntitiesCommand)
async def copy_entities(cmd: CopyEntitiesCommand, world: World) -> AsyncGenerator[EntityCopied | LinksCopied, None]:
    """Copies batch by batch; asks for no transaction, so that each batch commits by itself."""
    copying = Copying(cmd, world)
    await copying.check()
    async for ids in copying.batches():
        for outcome in await copying.bring(ids):
            yield outcome
    if not (cmd.dry_run or cmd.stop.is_set()):
        yield await copying.bring_links()


async def identity_of(world: World) -> str:
    """What other worlds know a world by."""

    async def known(transaction: WorldTransaction) -> str | None:
        return await transaction.session.scalar(select(WorldIdentity.world_id))

    async def make(transaction: WorldTransaction) -> str | None:
        row = {"slot": "main", "world_id": str(uuid4())}
        insert = backend_of(world.engine).insert(WorldIdentity.__table__)
        await transaction.session.execute(insert.values(row).on_conflict_do_nothing())  # somebody else may be first
        return await known(transaction)

    async with world.reading() as session:
        found = await session.scalar(select(WorldIdentity.world_id))
    return found or await world.write(make) or ""


@dataclass
class Plan:
    """One entity on its way: which one of the target it is, if any, the rows that this lacks, and why it cannot come along."""

    source_id: int
    owner: int | None = None
    has_origin: bool = False
    rows: dict[type[Component], list[Row]] = field(default_factory=dict)
    missing: int = 0
    reason: str | None = None

    @property
    def status(self) -> CopyStatus:
        if self.reason is not None:
            return CopyStatus.FAILED
        if self.owner is None:
            return CopyStatus.ADDED
        return CopyStatus.UPDATED if any(self.rows.values()) else CopyStatus.KNOWN

    @property
    def is_done(self) -> bool:
        return self.has_origin and not any(self.rows.values())


class Copying:
    """One run of ``CopyEntitiesCommand``.

    What is known of entities comes first, and relations between them when all are there: their ends may come in any order.
    """

    def __init__(self, cmd: CopyEntitiesCommand, target: World) -> None:
        self._cmd = cmd
        self._source = cmd.source
        self._target = target
        shared = [cls for cls in cmd.source.components if cls in target.components and cls is not OriginComponent]
        self._facts = [cls for cls in shared if not link_columns(cls.__table__)]
        self._links = [cls for cls in shared if link_columns(cls.__table__)]
        self._keys = {cls: column for cls in self._facts if (column := key_column(cls)) is not None}
        self._unkeyed = [cls for cls in shared if not shape_of(cls).key]
        self._ids = ("", "")

    async def check(self) -> None:
        """Raises ``CopyError``."""
        self._ids = await identity_of(self._source), await identity_of(self._target)
        if self._ids[0] == self._ids[1]:
            raise CopyError(
                f"the worlds {self._source.name!r} and {self._target.name!r} have the same database, or one is a copy of the "
                "other's; there is nothing to copy"
            )
        if self._cmd.partial:
            return
        unknown = [cls for cls in self._source.components if cls not in self._target.components]
        if lost := [cls for cls in unknown if await self._has_rows(cls)]:
            plugins = ", ".join(sorted({normalised(cls.__module__.partition(".")[0]) for cls in lost}))
            raise CopyError(
                f"world {self._target.name!r} does not have {plugins}, and would lose "
                f"{', '.join(cls.__name__ for cls in lost)}; add {plugins} to its plugins, or copy all the same with --partial"
            )

    async def batches(self) -> AsyncIterator[Sequence[int]]:
        """The entities to copy, in the order of their ids unless they were named."""
        if self._cmd.entity_ids is not None:
            for part in chunks(list(dict.fromkeys(self._cmd.entity_ids))):
                if not self._cmd.stop.is_set():
                    yield part
            return
        after = 0
        while not self._cmd.stop.is_set():
            query = select(Entity.id).where(Entity.id > after).order_by(Entity.id).limit(BATCH)
            async with self._source.reading() as session:
                ids = list(await session.scalars(query))
            if not ids:
                return
            yield ids
            after = ids[-1]

    async def bring(self, ids: Sequence[int]) -> list[EntityCopied]:
        """Copies what is known of these entities, and their content."""
        there = await self._existing(ids)
        rows = await read(self._source, self._facts, there)
        plans = await self._planned(there, rows)
        told = [
            EntityCopied(i, None, CopyStatus.FAILED, f"there is no entity {i} in world {self._source.name!r}")
            for i in ids
            if i not in there
        ]
        if not self._cmd.dry_run:
            await self._transfer(plans)
        failed = [plan for plan in plans if plan.reason is not None]
        told += [_told(plan, plan.owner) for plan in failed]
        to_do = [plan for plan in plans if plan.reason is None and not (plan.is_done or self._cmd.dry_run)]
        told += [_told(plan, plan.owner) for plan in plans if plan not in failed and plan not in to_do]
        if to_do:
            told += await in_halves(to_do, self._write, _give_up, backend_of(self._target.engine))
        return sorted(told, key=lambda outcome: ids.index(outcome.source_id))

    async def bring_links(self) -> LinksCopied:
        """Copies relations between entities that have copies."""
        added = left_out = 0
        if not self._links:
            return LinksCopied(0, 0)
        async for ids in self.batches():
            ids = await self._existing(ids)
            rows = await read(self._source, self._links, ids)
            plans, lost = await self._linked(ids, rows)
            left_out += lost
            wanted = [plan for plan in plans if any(plan.rows.values())]
            outcomes = await in_halves(wanted, self._write, _give_up, backend_of(self._target.engine)) if wanted else []
            bad = {outcome.source_id for outcome in outcomes if outcome.status is CopyStatus.FAILED}
            for plan in wanted:
                if plan.source_id in bad:
                    left_out += plan.missing
                else:
                    added += plan.missing
        return LinksCopied(added, left_out)

    # -- planning

    async def _existing(self, ids: Sequence[int]) -> list[int]:
        async with self._source.reading() as session:
            found = set(
                await session.scalars(select(Entity.id).where(Entity.id.in_([i for i in ids if i <= LARGEST_ID])))
            )
        return [i for i in ids if i in found]

    async def _has_rows(self, cls: type[Component]) -> bool:
        query = select(cls.entity_id).limit(1)
        async with self._source.reading() as session:
            if self._cmd.entity_ids is None:
                return await session.scalar(query) is not None
            for part in chunks([i for i in self._cmd.entity_ids if i <= LARGEST_ID]):
                if await session.scalar(query.where(cls.entity_id.in_(part))) is not None:
                    return True
        return False

    async def _planned(self, ids: Sequence[int], rows: Rows) -> list[Plan]:
        plans = [Plan(source_id) for source_id in ids]
        by_key = await self._by_key(rows)
        copies = await self._copies(ids)
        back = await self._came_from_target(ids)
        for plan in plans:
            owners = by_key.get(plan.source_id, set())
            if len(owners) > 1:
                named = " and ".join(map(str, sorted(owners)))
                plan.reason = f"it is the entities {named} of world {self._target.name!r}"
            plan.owner = next(iter(owners), None) or copies.get(plan.source_id) or back.get(plan.source_id)
            plan.has_origin = plan.owner is not None and copies.get(plan.source_id) == plan.owner
        await self._compare(plans, rows)
        return plans

    async def _linked(self, ids: Sequence[int], rows: Rows) -> tuple[list[Plan], int]:
        """What is lacking of these relations, and how many rows have an end that was not copied."""
        ends = {row[name] for cls, found in rows.items() for row in _all(found) for name in link_columns(cls.__table__)}
        copies = await self._copies({*ids, *ends} - {None})
        plans = [Plan(source_id, copies.get(source_id), has_origin=True) for source_id in ids]
        left_out = 0
        for cls, found in rows.items():
            names = link_columns(cls.__table__)
            for source_id, there in found.items():
                moved = [row | {name: copies.get(row[name]) for name in names} for row in there]
                found[source_id] = [
                    new
                    for new, row in zip(moved, there, strict=True)
                    if source_id in copies and all(new[name] is not None or row[name] is None for name in names)
                ]
                left_out += len(there) - len(found[source_id])
        plans = [plan for plan in plans if plan.owner is not None]
        await self._compare(plans, rows)
        return plans, left_out

    async def _compare(self, plans: Sequence[Plan], rows: Rows) -> None:
        """Leaves of each entity's rows those that the target lacks."""
        known = [plan.owner for plan in plans if plan.owner is not None]
        there = await read(self._target, list(rows), known) if known else {}
        for plan, (cls, found) in ((plan, item) for plan in plans for item in rows.items()):
            own = found.get(plan.source_id, [])
            if plan.owner is not None:
                own = [row | {"entity_id": plan.owner} for row in own]
                missing = lacking(cls, own, there[cls].get(plan.owner, []), equal=self._cmd.overwrite)
                plan.missing += len(missing)
                # of what has no key it is seen again when it is written
                own = own if missing and cls in self._unkeyed else missing
            if own:
                plan.rows[cls] = own

    async def _by_key(self, rows: Rows) -> dict[int, set[int]]:
        """Source entity → those of the target that have one of its keys."""
        owners: dict[int, set[int]] = {}
        async with self._target.reading() as session:
            for cls, column in self._keys.items():
                wanted = {row[column.key]: source_id for source_id, own in rows[cls].items() for row in own}
                query = select(column, cls.entity_id).where(column.in_(list(wanted)))
                for value, owner in await session.execute(query) if wanted else ():
                    owners.setdefault(wanted[value], set()).add(owner)
        return owners

    async def _copies(self, ids: Iterable[int]) -> dict[int, int]:
        """Source entity → its copy in the target."""
        async with self._target.reading() as session:
            return await copies_of(session, self._ids[0], list(ids))

    async def _came_from_target(self, ids: Sequence[int]) -> dict[int, int]:
        """Source entity → the one of the target that it was copied from, where that still is."""
        origin = OriginComponent
        async with self._source.reading() as session:
            query = select(origin.entity_id, origin.source_id)
            query = query.where(origin.world_id == self._ids[1], origin.entity_id.in_(ids))
            back = {row[0]: row[1] for row in await session.execute(query)}
        if not back:
            return {}
        async with self._target.reading() as session:
            there = set(await session.scalars(select(Entity.id).where(Entity.id.in_(list(back.values())))))
        return {source_id: owner for source_id, owner in back.items() if owner in there}

    # -- doing

    async def _transfer(self, plans: Sequence[Plan]) -> None:
        """Brings what rows speak of; what cannot come along is left out, and where it is essential the entity with it."""
        for cls in self._facts:
            chosen = next(
                (self._target.transfers[base] for base in cls.__mro__ if base in self._target.transfers), None
            )
            pairs = [(plan, row) for plan in plans if plan.reason is None for row in plan.rows.get(cls, [])]
            if chosen is None or not pairs:
                continue
            transfer, essential = chosen
            reasons = await transfer(self._source, self._target, [row for _, row in pairs])
            for (plan, row), reason in zip(pairs, reasons, strict=True):
                if reason is not None and essential:
                    plan.reason = reason
                elif reason is not None:
                    plan.rows[cls] = [other for other in plan.rows[cls] if other is not row]

    async def _write(self, plans: Sequence[Plan]) -> list[EntityCopied]:
        """One transaction; then what it wrote is read again."""

        async def work(transaction: WorldTransaction) -> list[int]:
            owners = await self._claimed(transaction, plans)
            there = await rows_of(transaction.session, self._unkeyed, owners)
            for plan, owner in zip(plans, owners, strict=True):
                if not plan.has_origin:
                    origin = OriginComponent(
                        world_id=self._ids[0], source_id=plan.source_id, world_name=self._source.name
                    )
                    transaction.ensure(owner, origin)
                for cls, rows in plan.rows.items():
                    moved = [row | {"entity_id": owner} for row in rows]
                    if cls in there:  # nothing else would keep another process from adding the same
                        moved = lacking(cls, moved, there[cls].get(owner, []), equal=True)
                    transaction.write_rows(cls, moved, keep=not self._cmd.overwrite)
            return owners

        owners = await self._target.write(work)
        for plan, reason in zip(plans, await self._differences(plans, owners), strict=True):
            plan.reason = reason
        return [_told(plan, owner) for plan, owner in zip(plans, owners, strict=True)]

    async def _claimed(self, transaction: WorldTransaction, plans: Sequence[Plan]) -> list[int]:
        """The entity of the target for each; new ones are made. Other processes that copy there wait from here on: the same
        entities may be on their way."""
        await transaction.lock("dam copy")
        owners = {plan.source_id: plan.owner for plan in plans if plan.owner is not None}
        new = [plan for plan in plans if plan.owner is None]
        for cls in self._keys:
            keyed = [plan for plan in new if plan.source_id not in owners and plan.rows.get(cls)]
            keys = [cls(**{k: v for k, v in plan.rows[cls][0].items() if k != "entity_id"}) for plan in keyed]
            for plan, found in zip(keyed, await transaction.identify(keys), strict=True):
                owners[plan.source_id] = found.entity_id
        if others := [plan.source_id for plan in new if plan.source_id not in owners]:
            owners |= await copies_of(transaction.session, self._ids[0], others)
            left = [source_id for source_id in others if source_id not in owners]
            owners |= dict(zip(left, await transaction.create_entities(len(left)), strict=True))
        return [owners[plan.source_id] for plan in plans]

    async def _differences(self, plans: Sequence[Plan], owners: Sequence[int]) -> list[str | None]:
        """For each entity what is not there although it was written."""
        written = dict.fromkeys(chain.from_iterable(plan.rows for plan in plans))
        there = await read(self._target, list(written), owners)
        found: list[str | None] = []
        for plan, owner in zip(plans, owners, strict=True):
            is_ours = plan.owner is None or self._cmd.overwrite
            names = [
                cls.__name__
                for cls, rows in plan.rows.items()
                if lacking(cls, [row | {"entity_id": owner} for row in rows], there[cls].get(owner, []), equal=is_ours)
            ]
            found.append(f"read again, {', '.join(names)} is not what was written" if names else None)
        return found


async def read(world: World, classes: Sequence[type[Component]], ids: Sequence[int]) -> Rows:
    """All rows of these entities, with one statement for each class; of layered ones the layers."""
    async with world.reading() as session:
        return await rows_of(session, classes, ids)


async def rows_of(session: AsyncSession, classes: Sequence[type[Component]], ids: Sequence[int]) -> Rows:
    """The same, as a session sees it."""
    found: Rows = {}
    connection = await session.connection()
    for cls in classes:
        names, table = shape_of(cls).columns, cls.__table__
        query = select(*(table.c[name] for name in names)).where(table.c.entity_id.in_(ids))
        if issubclass(cls, LayeredComponent):
            query = query.where(table.c.layer != EFFECTIVE)
        own: dict[int, list[Row]] = {}
        for values in await connection.execute(query.order_by(*table.primary_key.columns)):
            row = dict(zip(names, values, strict=True))
            own.setdefault(row["entity_id"], []).append(row)
        found[cls] = own
    return found


async def copies_of(session: AsyncSession, world_id: str, ids: Sequence[int]) -> dict[int, int]:
    """Entity of that world → its copy, seen from the world of the session."""
    origin = OriginComponent
    found: dict[int, int] = {}
    for part in parts(ids):
        query = select(origin.source_id, origin.entity_id).where(
            origin.world_id == world_id, origin.source_id.in_(part)
        )
        found |= {row[0]: row[1] for row in await session.execute(query)}
    return found


def lacking(cls: type[Component], rows: Sequence[Row], there: Sequence[Row], *, equal: bool) -> list[Row]:
    """Those rows of one entity that are not there: by their key where they have one, and if ``equal`` with all their values."""
    shape = shape_of(cls)
    if shape.key:
        known = {shape.key_of(row): row for row in there}
        keys = [shape.key_of(row) for row in rows]
        return [
            row
            for key, row in zip(keys, rows, strict=True)
            if key not in known or (equal and not _same(row, known[key]))
        ]
    left, missing = list(there), []
    for row in rows:
        at = next((i for i, other in enumerate(left) if _same(row, other)), None)
        if at is None:
            missing.append(row)
        else:
            del left[at]
    return missing


def link_columns(table: Table) -> list[str]:
    """Columns that hold other entities than the one that the row is about."""
    entities = Entity.__tablename__
    others = [c for c in table.columns if c.key != "entity_id"]
    return [c.key for c in others if any(key.column.table.name == entities for key in c.foreign_keys)]


def key_column(cls: type[Component]) -> Any:
    """The column by which two worlds know that they mean the same, such as a digest; ``None`` where there is none."""
    columns = [c for c in cls.__table__.columns if c.unique]
    return columns[0] if len(columns) == 1 else None


def chunks(ids: Sequence[int]) -> Iterable[Sequence[int]]:
    return (ids[start : start + BATCH] for start in range(0, len(ids), BATCH))


def _same(one: Row, other: Row) -> bool:
    return all(value == other[name] or value != value for name, value in one.items())


def _all(found: dict[int, list[Row]]) -> Iterable[Row]:
    return chain.from_iterable(found.values())


def _told(plan: Plan, owner: int | None) -> EntityCopied:
    return EntityCopied(plan.source_id, owner, plan.status, plan.reason)


async def _give_up(plan: Plan, why: str) -> list[EntityCopied]:
    return [EntityCopied(plan.source_id, plan.owner, CopyStatus.FAILED, why)]
