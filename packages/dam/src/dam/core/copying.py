"""Copying entities from one world into another, whatever databases and stores these are on."""

import json
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any
from uuid import uuid4

from sqlalchemy import Table, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm.attributes import manager_of_class

from dam.commands.copy_commands import CopyEntitiesCommand
from dam.core.bisection import in_halves
from dam.core.databases import backend_of
from dam.core.exceptions import CopyError
from dam.core.plugin import normalised
from dam.core.rows import key_column, shape_of
from dam.core.systems import system
from dam.core.transaction import WorldTransaction, parts
from dam.core.world import World
from dam.models.core.base_component import EFFECTIVE, Component, LayeredComponent, MarkerComponent
from dam.models.core.types import is_storable
from dam.models.derivation import DerivationComponent
from dam.models.entity import Entity
from dam.models.origin import OriginComponent, WorldIdentity
from dam.system_events.copying import CopyStatus, EntityCopied, LinksCopied

BATCH = 256
TRIES = 8

Row = dict[str, Any]
Rows = dict[type[Component], dict[int, list[Row]]]
"""Component → entity → rows, without those that are computed from others."""

Origin = tuple[str, int]
"""A world, and an entity of it."""


@system(on_command=CopyEntitiesCommand)
async def copy_entities(cmd: CopyEntitiesCommand, world: World) -> AsyncGenerator[EntityCopied | LinksCopied, None]:
    """Copies batch by batch; asks for no transaction, so that each batch commits by itself.

    What is known of entities comes first, and relations between them when all are there: their ends may come in any order.
    """
    copying = Copying(cmd, world)
    await copying.check()
    async for ids in copying.batches():
        for outcome in await copying.bring(ids):
            yield outcome
    if not cmd.dry_run:
        async for ids in copying.batches(links=True):
            for outcome in await copying.bring_links(ids):
                yield outcome
        if not cmd.stop.is_set():
            yield copying.links


async def identity_of(world: World, *, make: bool = True) -> str | None:
    """What other worlds know a world by; ``None`` where it has no identity yet and is to get none."""

    async def begin(transaction: WorldTransaction) -> str | None:
        row = {"slot": "main", "world_id": str(uuid4())}
        insert = backend_of(world.engine).insert(WorldIdentity.__table__)
        await transaction.session.execute(insert.values(row).on_conflict_do_nothing())  # somebody else may be first
        return await transaction.session.scalar(select(WorldIdentity.world_id))

    async with world.reading() as session:
        found = await session.scalar(select(WorldIdentity.world_id))
    return found or (await world.write(begin) if make else None)


@dataclass(eq=False)
class Plan:
    """One entity on its way: which one of the target it is, if any, and the rows that this lacks.

    ``origins`` are what the target has to learn that it is a copy of. ``reason`` says why it cannot come along, and
    ``is_stopped`` that its content was not brought because the work is to end.
    """

    source_id: int
    owner: int | None = None
    rows: dict[type[Component], list[Row]] = field(default_factory=dict)
    missing: int = 0
    origins: set[Origin] = field(default_factory=set)
    reason: str | None = None
    is_stopped: bool = False

    @property
    def has_work(self) -> bool:
        return self.owner is None or bool(self.origins) or any(self.rows.values())

    def told(self, owner: int | None = None, *, created: bool | None = None) -> EntityCopied:
        """What became of it; ``created`` says whether its entity is new to the target."""
        is_new = self.owner is None if created is None else created
        if self.reason is not None:
            status = CopyStatus.FAILED
        elif is_new:
            status = CopyStatus.ADDED
        else:
            status = CopyStatus.UPDATED if any(self.rows.values()) else CopyStatus.KNOWN
        return EntityCopied(self.source_id, owner or self.owner, status, self.reason)


class GoneError(Exception):
    """What was brought into the target was removed there before rows could speak of it."""


class Copying:
    """One run of ``CopyEntitiesCommand``."""

    def __init__(self, cmd: CopyEntitiesCommand, target: World) -> None:
        self._cmd = cmd
        self._source = cmd.source.root  # what somebody has not committed yet may never be
        self._target = target
        shared = [cls for cls in self._source.components if cls in target.components and cls is not OriginComponent]
        self._facts = [cls for cls in shared if not link_columns(cls.__table__)]
        self._links = [cls for cls in shared if link_columns(cls.__table__)]
        self._keys = {cls: column for cls in self._facts if (column := key_column(cls)) is not None}
        self._unkeyed = [cls for cls in shared if not shape_of(cls).key]
        # The proof that facts were computed comes along with these facts, or not at all.
        self._proven = {
            each.algorithm.name: each.produces
            for each in target.analyses
            if all(cls in shared for cls in each.produces)
        }
        self._source_world, self._target_world = "the source", "the target"  # unless they have an identity
        self.links = LinksCopied(0, 0)

    async def check(self) -> None:
        """Raises ``CopyError``."""
        make = not self._cmd.dry_run
        names = f"the worlds {self._source.name!r} and {self._target.name!r}"
        if self._source.config.database_url == self._target.config.database_url:
            raise CopyError(f"{names} have the same database; there is nothing to copy")
        self._source_world = await identity_of(self._source, make=make) or self._source_world
        self._target_world = await identity_of(self._target, make=make) or self._target_world
        if self._source_world == self._target_world:
            raise CopyError(
                f"{names} have the same identity: they are one database, or the file of one was copied to make the other, and "
                "their ids cannot be told apart; 'dam-cli backup restore' makes a copy that has an identity of its own"
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
        if strange := await self._strange_plugins():
            raise CopyError(
                f"the database of world {self._source.name!r} has facts of {', '.join(strange)}, which the world does not have "
                f"among its plugins; add {', '.join(strange)}, or copy all the same with --partial"
            )

    async def batches(self, *, links: bool = False) -> AsyncIterator[Sequence[int]]:
        """The entities to copy, in the order of their ids unless they were named; for ``links`` none where there can be none."""
        if links and not self._links:
            return
        if self._cmd.entity_ids is not None:
            for part in parts(list(dict.fromkeys(self._cmd.entity_ids)), BATCH):
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
        rows = await read(self._source, self._facts, [i for i in ids if is_storable(i)])
        there = await self._existing(ids)  # afterwards: what was deleted while it was read is not there
        plans = await self._planned([i for i in ids if i in there], rows)
        if not self._cmd.dry_run:
            await self._transfer(plans)
        missing = [] if self._cmd.entity_ids is None else [i for i in ids if i not in there]
        told = [
            EntityCopied(i, None, CopyStatus.FAILED, f"there is no entity {i} in world {self._source.name!r}")
            for i in missing
        ]
        to_do = [plan for plan in plans if plan.reason is None and not plan.is_stopped]
        told += [plan.told() for plan in plans if plan.reason is not None]
        if self._cmd.dry_run:
            told += [plan.told() for plan in to_do]
        else:
            told += [plan.told() for plan in to_do if not plan.has_work]
            told += await self._written([plan for plan in to_do if plan.has_work])
        order = {source_id: i for i, source_id in enumerate(ids)}
        return sorted(told, key=lambda outcome: order[outcome.source_id])

    async def bring_links(self, ids: Sequence[int]) -> list[EntityCopied]:
        """Copies relations of entities that have copies; returns what failed."""
        ids = [i for i in ids if is_storable(i)]
        rows = await read(self._source, self._links, ids)
        plans, left_out = await self._linked(ids, rows)
        outcomes = await self._written([plan for plan in plans if any(plan.rows.values())])
        failed = [outcome for outcome in outcomes if outcome.status is CopyStatus.FAILED]
        bad = {outcome.source_id for outcome in failed}
        self.links.left_out += left_out
        self.links.added += sum(plan.missing for plan in plans if plan.source_id not in bad)
        for outcome in failed:
            outcome.reason = f"its relations: {outcome.reason}"
        return failed

    # -- what there is

    async def _existing(self, ids: Sequence[int]) -> set[int]:
        async with self._source.reading() as session:
            return set(
                await session.scalars(select(Entity.id).where(Entity.id.in_([i for i in ids if is_storable(i)])))
            )

    async def _has_rows(self, cls: type[Component]) -> bool:
        query = select(cls.entity_id).limit(1)
        async with self._source.reading() as session:
            if self._cmd.entity_ids is None:
                return await session.scalar(query) is not None
            for part in parts([i for i in self._cmd.entity_ids if is_storable(i)]):
                if await session.scalar(query.where(cls.entity_id.in_(part))) is not None:
                    return True
        return False

    async def _strange_plugins(self) -> list[str]:
        """Plugins whose tables the source has, with rows in them, although it does not have the plugins."""
        ending = "_alembic_version"
        own = {tree.package for tree in self._source.revision_trees}
        strange = []
        async with self._source.reading() as session:
            connection = await session.connection()
            tables = set((await connection.execute(backend_of(self._source.engine).table_names)).scalars())
            packages = sorted({name.removesuffix(ending) for name in tables if name.endswith(ending)} - own)
            for package in packages:
                longer = tuple(f"{other}_" for other in own | set(packages) if other.startswith(f"{package}_"))
                for table in sorted(tables):
                    is_its = table.startswith(f"{package}_") and not table.startswith(longer)
                    if is_its and not table.endswith((ending, "_config")):
                        found = await connection.execute(text(f'SELECT 1 FROM "{table}" LIMIT 1'))  # noqa: S608  a name of the database
                        if found.first() is not None:
                            strange.append(normalised(package))
                            break
        return strange

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

    async def _origins_of(self, ids: Sequence[int]) -> dict[int, list[Origin]]:
        """What each entity is known as in other worlds, its own one first."""
        origin = OriginComponent
        known: dict[int, list[Origin]] = {i: [(self._source_world, i)] for i in ids}
        async with self._source.reading() as session:
            query = select(origin.entity_id, origin.world_id, origin.source_id).where(origin.entity_id.in_(ids))
            for entity_id, world_id, source_id in await session.execute(query):
                known[entity_id].append((world_id, source_id))
        return known

    async def _there(self, origins: Iterable[Origin]) -> dict[Origin, int]:
        """Which entity of the target each of them is: its copy, or itself."""
        origins = list(origins)
        own = [entity_id for world_id, entity_id in origins if world_id == self._target_world]
        async with self._target.reading() as session:
            copies = await copies_of(session, origins)
            there = await session.scalars(select(Entity.id).where(Entity.id.in_(own))) if own else ()
            return copies | {(self._target_world, entity_id): entity_id for entity_id in there}

    # -- planning

    async def _planned(self, ids: Sequence[int], rows: Rows) -> list[Plan]:
        plans = [Plan(source_id) for source_id in ids]
        by_key = await self._by_key(rows)
        origins = await self._origins_of(ids)
        there = await self._there(chain.from_iterable(origins.values()))
        for plan in plans:
            owners = by_key.get(plan.source_id, set())
            if len(owners) > 1:
                named = " and ".join(map(str, sorted(owners)))
                plan.reason = f"it is the entities {named} of world {self._target.name!r}"
            copies = [there[each] for each in origins[plan.source_id] if each in there]
            plan.owner = next(iter(owners), None) or next(iter(copies), None)
        await self._part_from_strangers(plans, rows, by_key)
        for plan in plans:
            own, *others = origins[plan.source_id]
            plan.origins = {each for each in others if each not in there and each[0] != self._target_world}
            plan.origins |= set() if there.get(own) == plan.owner is not None else {own}
        await self._refuse_two_in_one(plans)
        await self._compare(plans, rows)
        return plans

    async def _part_from_strangers(self, plans: Sequence[Plan], rows: Rows, by_key: dict[int, set[int]]) -> None:
        """Where a key of the copy denies that it is one, as after a backup was restored, it is another entity."""
        doubtful = [plan for plan in plans if plan.owner is not None and plan.source_id not in by_key]
        there = await read(self._target, list(self._keys), [plan.owner for plan in doubtful if plan.owner is not None])
        for plan in doubtful:
            if any(rows[cls].get(plan.source_id) and there[cls].get(plan.owner or 0) for cls in self._keys):
                plan.owner = None

    async def _refuse_two_in_one(self, plans: Sequence[Plan]) -> None:
        """Two entities of the source that one entity of the target stands for would overwrite each other for ever."""
        origin = OriginComponent
        owners = [plan.owner for plan in plans if plan.owner is not None]
        async with self._target.reading() as session:
            query = select(origin.entity_id, origin.source_id).where(
                origin.world_id == self._source_world, origin.entity_id.in_(owners)
            )
            taken = [(row[0], row[1]) for row in await session.execute(query)] if owners else []
        others = await self._existing([source_id for _, source_id in taken])
        for plan in plans:
            for owner, source_id in taken:
                if plan.owner == owner and source_id != plan.source_id and source_id in others:
                    there = f"entity {owner} of world {self._target.name!r}"
                    plan.reason = f"entity {source_id} is {there}, and this one would be too"

    async def _linked(self, ids: Sequence[int], rows: Rows) -> tuple[list[Plan], int]:
        """What is lacking of these relations, and how many rows have an end that was not copied."""
        ends = {row[name] for cls, found in rows.items() for row in _all(found) for name in link_columns(cls.__table__)}
        async with self._target.reading() as session:
            copies = await copies_of(session, ((self._source_world, i) for i in {*ids, *ends} - {None}))
        there = {source_id: entity_id for (_, source_id), entity_id in copies.items()}
        left_out = 0
        for cls, found in rows.items():
            names = link_columns(cls.__table__)
            for source_id, own in found.items():
                moved = [row | {name: there.get(row[name]) for name in names} for row in own]
                found[source_id] = [
                    new
                    for new, row in zip(moved, own, strict=True)
                    if source_id in there and all(new[name] is not None or row[name] is None for name in names)
                ]
                left_out += len(own) - len(found[source_id])
        plans = [Plan(source_id, there[source_id]) for source_id in ids if source_id in there]
        await self._compare(plans, rows)
        return plans, left_out

    async def _compare(self, plans: Sequence[Plan], rows: Rows) -> None:
        """Leaves of each entity's rows those that the target lacks."""
        known = [plan.owner for plan in plans if plan.owner is not None]
        there = await read(self._target, list(rows), known) if known else {}
        for plan in plans:
            kept = self._computed_there(plan, there) if plan.owner is not None else set()
            for cls, found in rows.items():
                own = self._to_bring(cls, found.get(plan.source_id, []), kept)
                if plan.owner is not None:
                    own = [] if issubclass(cls, MarkerComponent) else own  # its work may be done there already
                    own = [row | {"entity_id": plan.owner} for row in own]
                    missing = lacking(cls, own, there[cls].get(plan.owner, []), equal=self._cmd.overwrite)
                    plan.missing += len(missing)
                    # of what has no key it is seen again when it is written
                    own = own if missing and cls in self._unkeyed else missing
                if own:
                    plan.rows[cls] = own

    def _computed_there(self, plan: Plan, there: Rows) -> set[str]:
        """Algorithms whose outcome the target has itself, so that facts of another version are not mixed into its own."""
        found = there.get(DerivationComponent, {}).get(plan.owner or 0, [])
        return set() if self._cmd.overwrite else {row["algorithm"] for row in found}

    def _to_bring(self, cls: type[Component], rows: list[Row], kept: set[str]) -> list[Row]:
        if cls is DerivationComponent:
            return [row for row in rows if row["algorithm"] in self._proven and row["algorithm"] not in kept]
        if not issubclass(cls, LayeredComponent) and any(cls in self._proven.get(name, ()) for name in kept):
            return []
        return rows

    # -- doing

    async def _transfer(self, plans: Sequence[Plan]) -> None:
        """Brings what rows speak of; what cannot come along is left out, and where it is essential the entity with it."""
        for cls in self._facts:
            rule = self._target.transfer_of(cls)
            pairs = [(plan, i) for plan in plans if plan.reason is None for i in range(len(plan.rows.get(cls, [])))]
            if rule is None or not pairs:
                continue
            wanted = [plan.rows[cls][i] for plan, i in pairs]
            for (plan, i), brought in zip(
                pairs, await rule.transfer(self._source, self._target, wanted, self._cmd.stop), strict=True
            ):
                if isinstance(brought, dict):
                    plan.rows[cls][i] = brought
                elif brought is None:
                    plan.is_stopped = True
                elif rule.essential:
                    plan.reason = brought
                else:
                    plan.rows[cls][i] = {}
            for plan, _ in pairs:
                plan.rows[cls] = [row for row in plan.rows[cls] if row]

    async def _written(self, plans: Sequence[Plan]) -> list[EntityCopied]:
        """Writes them together; those that cannot be stored, or are not what they were when they are read again, fail alone."""
        told: list[EntityCopied] = []
        for _ in range(TRIES):
            if not plans:
                return told
            try:
                return told + await in_halves(plans, self._write, _give_up, backend_of(self._target.engine))
            except GoneError:
                await self._transfer(plans)
                told += [plan.told() for plan in plans if plan.reason is not None]
                plans = [plan for plan in plans if plan.reason is None and not plan.is_stopped]
        raise CopyError(
            f"what is copied into world {self._target.name!r} is removed there before it is recorded, again and again; run it "
            "when nothing removes objects"
        )

    async def _write(self, plans: Sequence[Plan]) -> list[EntityCopied]:
        async def work(transaction: WorldTransaction) -> list[EntityCopied]:
            # Who else copies into this world waits from here on: the same entities may be on their way.
            await transaction.lock("dam copy")
            owners, created = await self._claimed(transaction, plans)
            await self._note_origins(transaction, plans, owners)
            written = await self._write_rows(transaction, plans, owners)
            for cls, by_owner in written.items():
                rule = self._target.transfer_of(cls)
                if rule and rule.is_there and not await rule.is_there(transaction, list(_all(by_owner))):
                    raise GoneError(cls.__name__)
            await transaction.flush()
            there = await rows_of(transaction.session, list(written), owners)
            for plan, owner, is_new in zip(plans, owners, created, strict=True):
                is_ours = is_new or self._cmd.overwrite
                for cls, rows in written.items():
                    if lacking(cls, rows.get(owner, []), there[cls].get(owner, []), equal=is_ours):
                        raise ValueError(
                            f"entity {plan.source_id}: {cls.__name__} is not what it was when it is read again"
                        )
            return [plan.told(owner, created=new) for plan, owner, new in zip(plans, owners, created, strict=True)]

        return await self._target.write(work)

    async def _claimed(self, transaction: WorldTransaction, plans: Sequence[Plan]) -> tuple[list[int], list[bool]]:
        """The entity of the target for each, and whether it is new. Somebody else may have made it since it was looked for."""
        owners = {plan.source_id: plan.owner for plan in plans if plan.owner is not None}
        new = [plan for plan in plans if plan.owner is None]
        made: set[int] = set()
        for cls in self._keys:
            keyed = [plan for plan in new if plan.source_id not in owners and plan.rows.get(cls)]
            keys = [instance_of(cls, plan.rows[cls][0]) for plan in keyed]
            for plan, found in zip(keyed, await transaction.identify(keys), strict=True):
                owners[plan.source_id] = found.entity_id
                made |= {plan.source_id} if found.created else set()
        if unkeyed := [plan.source_id for plan in new if plan.source_id not in owners]:
            copies = await copies_of(transaction.session, ((self._source_world, i) for i in unkeyed))
            owners |= {source_id: entity_id for (_, source_id), entity_id in copies.items()}
            left = [source_id for source_id in unkeyed if source_id not in owners]
            owners |= dict(zip(left, await transaction.create_entities(len(left)), strict=True))
            made |= set(left)
        return [owners[plan.source_id] for plan in plans], [plan.source_id in made for plan in plans]

    async def _note_origins(self, transaction: WorldTransaction, plans: Sequence[Plan], owners: Sequence[int]) -> None:
        """An entity has one copy: where another one was it before, this one is it from now on."""
        wanted = {each: owner for plan, owner in zip(plans, owners, strict=True) for each in plan.origins}
        known = await copies_of(transaction.session, wanted)
        for (world_id, source_id), owner in wanted.items():
            if (world_id, source_id) not in known:
                name = self._source.name if world_id == self._source_world else ""
                transaction.add(owner, OriginComponent(world_id=world_id, source_id=source_id, world_name=name))
            elif known[world_id, source_id] != owner and world_id == self._source_world:
                row = OriginComponent
                moved = (row.world_id == world_id, row.source_id == source_id)
                await transaction.update_components(row, *moved, entity_id=owner)

    async def _write_rows(
        self, transaction: WorldTransaction, plans: Sequence[Plan], owners: Sequence[int]
    ) -> dict[type[Component], dict[int, list[Row]]]:
        there = await rows_of(transaction.session, self._unkeyed, owners)
        written: dict[type[Component], dict[int, list[Row]]] = {}
        for plan, owner in zip(plans, owners, strict=True):
            for cls, rows in plan.rows.items():
                moved = [row | {"entity_id": owner} for row in rows]
                written.setdefault(cls, {}).setdefault(owner, []).extend(moved)
                if cls in there:  # nothing else would keep another process from adding the same
                    moved = lacking(cls, moved, there[cls].get(owner, []), equal=True)
                transaction.write_rows(cls, moved, keep=not self._cmd.overwrite)
        return written


async def read(world: World, classes: Sequence[type[Component]], ids: Sequence[int]) -> Rows:
    """All rows of these entities, with one statement for each class; of layered ones the layers."""
    async with world.reading() as session:
        return await rows_of(session, classes, ids)


async def rows_of(session: AsyncSession, classes: Sequence[type[Component]], ids: Sequence[int]) -> Rows:
    """The same, as a session sees it that has nothing queued."""
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


async def copies_of(session: AsyncSession, origins: Iterable[Origin]) -> dict[Origin, int]:
    """Entities of other worlds → their copies in the world of the session."""
    row = OriginComponent
    by_world: dict[str, list[int]] = {}
    for world_id, source_id in origins:
        by_world.setdefault(world_id, []).append(source_id)
    found: dict[Origin, int] = {}
    for world_id, ids in by_world.items():
        for part in parts(ids):
            query = select(row.source_id, row.entity_id).where(row.world_id == world_id, row.source_id.in_(part))
            found |= {(world_id, source_id): entity_id for source_id, entity_id in await session.execute(query)}
    return found


def lacking(cls: type[Component], rows: Sequence[Row], there: Sequence[Row], *, equal: bool) -> list[Row]:
    """Those rows of one entity that are not there: by their key where they have one, and if ``equal`` with all their values."""
    shape = shape_of(cls)
    local = {c.key for c in cls.__table__.columns if c.info.get("dam_local")}
    if shape.key:
        known = {shape.key_of(row): _frozen(row, local) for row in there}
        return [
            row
            for row in rows
            if shape.key_of(row) not in known or (equal and known[shape.key_of(row)] != _frozen(row, local))
        ]
    left = Counter(_frozen(row, local) for row in there)
    missing = []
    for row in rows:
        frozen = _frozen(row, local)
        if left[frozen]:
            left[frozen] -= 1
        else:
            missing.append(row)
    return missing


def _frozen(row: Row, local: set[str]) -> tuple[Any, ...]:
    """A row as something that can be compared and counted: JSON as text, and NaN equal to itself."""
    return tuple(
        json.dumps(value, sort_keys=True) if isinstance(value, (dict, list)) else "NaN" if value != value else value
        for name, value in row.items()
        if name not in local
    )


def link_columns(table: Table) -> list[str]:
    """Columns that hold other entities than the one that the row is about."""
    others = [c for c in table.columns if c.key != "entity_id"]
    return [c.key for c in others if any(key.column.table.name == Entity.__tablename__ for key in c.foreign_keys)]


def instance_of(cls: type[Component], row: Row) -> Component:
    """A component with these values, whatever its constructor takes."""
    component: Component = manager_of_class(cls).new_instance()
    for name, value in row.items():
        setattr(component, name, value)
    return component


def _all(found: dict[int, list[Row]]) -> Iterable[Row]:
    return chain.from_iterable(found.values())


async def _give_up(plan: Plan, why: str) -> list[EntityCopied]:
    return [EntityCopied(plan.source_id, plan.owner, CopyStatus.FAILED, why)]
