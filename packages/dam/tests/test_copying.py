"""Entities of one world in another: what they are there, and what copying again does."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import JSON, LargeBinary, UniqueConstraint, func, select
from sqlalchemy.orm import Mapped, mapped_column

from dam.analysis.algorithm import Algorithm
from dam.analysis.ref import ref
from dam.commands.copy_commands import CopyEntitiesCommand
from dam.core import copying
from dam.core.analyzers import analyzer
from dam.core.copying import identity_of
from dam.core.exceptions import CopyError
from dam.core.world import World
from dam.models.core.base_component import (
    EMBEDDED,
    PERSON,
    BaseComponent,
    Component,
    LayeredComponent,
    MarkerComponent,
    RelationComponent,
    UniqueComponent,
)
from dam.models.derivation import DerivationComponent
from dam.models.entity import Entity
from dam.models.origin import OriginComponent
from dam.models.run import Run
from dam.system_events.copying import CopyStatus, EntityCopied, LinksCopied
from dam_test_utils.databases import Databases
from dam_test_utils.fixtures import DatabaseTemplates, MakeWorld, bare_world


class Digest(UniqueComponent):
    __tablename__ = "test_copying_digest"
    value: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)


class Number(UniqueComponent):
    __tablename__ = "test_copying_number"
    value: Mapped[int] = mapped_column(unique=True)


class Stamped(UniqueComponent):
    __tablename__ = "test_copying_stamped"
    value: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    stamp: Mapped[int] = mapped_column(init=False)


class Title(UniqueComponent):
    __tablename__ = "test_copying_title"
    text: Mapped[str]
    seen: Mapped[datetime | None] = mapped_column(default=None)
    more: Mapped[Any] = mapped_column(JSON(none_as_null=True), nullable=True, default=None)
    share: Mapped[float | None] = mapped_column(default=None)


class Place(BaseComponent):
    __tablename__ = "test_copying_place"
    __table_args__ = (UniqueConstraint("entity_id", "path"),)
    path: Mapped[str]
    note: Mapped[str] = mapped_column(default="")


class Remark(BaseComponent):
    """Nothing says which of them are the same."""

    __tablename__ = "test_copying_remark"
    text: Mapped[str]


class Caption(LayeredComponent):
    __tablename__ = "test_copying_caption"
    text: Mapped[str | None] = mapped_column(default=None)


class Pending(MarkerComponent):
    __tablename__ = "test_copying_pending"


class Member(RelationComponent):
    __tablename__ = "test_copying_member"
    __table_args__ = (UniqueConstraint("entity_id", "target_id"),)


class Beside(RelationComponent):
    __tablename__ = "test_copying_beside"


COMPONENTS: list[type[Component]] = [Digest, Title, Place, Remark, Caption, Pending, Member, Beside]

MOMENT = datetime(2024, 2, 29, 12, 30, 1, 234567, tzinfo=UTC)


@pytest.fixture
async def source(make_world: MakeWorld) -> World:
    return await make_world(name="source", components=COMPONENTS)


@pytest.fixture
async def target(make_world: MakeWorld) -> World:
    world = await make_world(name="target", components=COMPONENTS)
    async with world.transaction() as transaction:
        await transaction.create_entities(7)  # so that ids differ
    return world


async def write(world: World, *components: Component) -> int:
    async with world.transaction() as transaction:
        return await transaction.create_entity(*components)


async def everything(world: World) -> int:
    """An asset with every shape of component; returns its id."""
    other = await write(world, Digest(value=b"the other"), Title(text="other"))
    first = await write(
        world,
        Digest(value=b"the first"),
        Title(text="ä \N{GRINNING FACE}", seen=MOMENT, more={"a": [1, None]}, share=0.1),
        Place(path="/a"),
        Place(path="/b", note="twice"),
        Remark(text="same"),
        Remark(text="same"),
        Caption(layer=EMBEDDED, text="DSC1"),
        Caption(layer=PERSON, text="Rex"),
        Pending(),
        Member(target_id=other, ordinal=3),
        Beside(target_id=other),
        Beside(target_id=other),
    )
    async with world.transaction() as transaction:
        transaction.add(other, Member(target_id=first))
    return first


@analyzer(
    Algorithm("test.titles", version=2), compute=ref("dam.analysis.blob:Blob"), accepts=("x/x",), produces=(Title,)
)
def titles(found: str) -> list[Title]:
    return [Title(text=found)]


async def copy(source: World, target: World, *entity_ids: int, **options: Any) -> dict[int, EntityCopied]:
    command = CopyEntitiesCommand(source, entity_ids or None, **options)
    return {
        event.source_id: event async for event in target.dispatch_command(command) if isinstance(event, EntityCopied)
    }


async def links(source: World, target: World, *entity_ids: int) -> LinksCopied:
    command = CopyEntitiesCommand(source, entity_ids or None)
    (last,) = [event async for event in target.dispatch_command(command) if isinstance(event, LinksCopied)]
    return last


async def contents(world: World, *, without: tuple[type[Component], ...] = (OriginComponent,)) -> list[Any]:
    """All that a world knows, with titles in the place of ids."""
    async with world.reading() as session:
        names = {row[0]: row[1] for row in await session.execute(select(Title.entity_id, Title.text))}
        facts = Counter[Any]()
        for cls in world.components:
            if cls in without:
                continue
            for row in (await session.execute(select(cls.__table__))).mappings():
                values = {key: value for key, value in row.items() if key not in ("id", "run_id")}
                values["entity_id"] = names.get(values["entity_id"])
                if "target_id" in values:
                    values["target_id"] = names.get(values["target_id"])
                facts[cls.__name__, repr(sorted(values.items()))] += 1
    return sorted(facts.items())


async def count(world: World, table: Any) -> int:
    async with world.reading() as session:
        return await session.scalar(select(func.count()).select_from(table)) or 0


async def test_everything_known_of_an_asset_comes_along_and_relations_lead_to_the_copies(
    source: World, target: World
) -> None:
    first = await everything(source)
    told = await copy(source, target)
    assert [each.status for each in told.values()] == [CopyStatus.ADDED] * 2
    assert told[first].entity_id != first
    assert await contents(target) == await contents(source)


async def test_copying_again_writes_nothing(source: World, target: World) -> None:
    await everything(source)
    await copy(source, target)
    before = await contents(target), await count(target, Run.__table__), await count(target, Entity.__table__)
    told = await copy(source, target)
    assert {each.status for each in told.values()} == {CopyStatus.KNOWN}
    assert before == (await contents(target), await count(target, Run.__table__), await count(target, Entity.__table__))


async def test_what_is_new_in_the_source_comes_along_the_next_time(source: World, target: World) -> None:
    first = await everything(source)
    await copy(source, target)
    async with source.transaction() as transaction:
        transaction.add(
            first, Remark(text="same"), Remark(text="new"), Place(path="/c"), Caption(layer="model:x", text="a dog")
        )
    told = await copy(source, target)
    assert told[first].status is CopyStatus.UPDATED
    assert await contents(target) == await contents(source)


async def test_an_asset_that_the_target_has_by_its_key_is_the_same_asset(source: World, target: World) -> None:
    there = await write(target, Digest(value=b"the first"), Title(text="as the target calls it"))
    first = await everything(source)
    told = await copy(source, target)
    assert (told[first].entity_id, told[first].status) == (there, CopyStatus.UPDATED)
    async with target.reading() as session:
        assert await session.scalar(select(Title.text).where(Title.entity_id == there)) == "as the target calls it"
        assert await session.scalar(select(func.count()).where(Place.entity_id == there)) == 2


async def test_overwriting_lets_the_source_have_the_last_word(source: World, target: World) -> None:
    await write(target, Digest(value=b"the first"), Title(text="as the target calls it"), Remark(text="stays"))
    first = await everything(source)
    told = await copy(source, target, overwrite=True)
    async with target.reading() as session:
        copied = select(Title.text).where(Title.entity_id == told[first].entity_id)
        assert await session.scalar(copied) == "ä \N{GRINNING FACE}"
        assert await session.scalar(select(func.count()).where(Remark.text == "stays")) == 1
    assert {each.status for each in (await copy(source, target, overwrite=True)).values()} == {CopyStatus.KNOWN}


async def test_an_entity_without_a_key_is_found_again_by_where_it_came_from(source: World, target: World) -> None:
    plain = await write(source, Title(text="no key"))
    first = (await copy(source, target))[plain]
    again = (await copy(source, target))[plain]
    assert (first.status, again.status) == (CopyStatus.ADDED, CopyStatus.KNOWN)
    assert first.entity_id == again.entity_id


async def test_a_copy_that_comes_home_is_the_asset_that_it_was_copied_from(source: World, target: World) -> None:
    plain = await write(source, Title(text="no key"))
    away = (await copy(source, target))[plain].entity_id
    assert away is not None
    async with target.transaction() as transaction:
        transaction.add(away, Remark(text="made there"))
    told = await copy(target, source, away)
    assert (told[away].entity_id, told[away].status) == (plain, CopyStatus.UPDATED)
    assert await count(source, Entity.__table__) == 1


async def test_one_that_was_deleted_at_home_meanwhile_is_a_new_entity_there(source: World, target: World) -> None:
    plain = await write(source, Title(text="no key"))
    away = (await copy(source, target))[plain].entity_id
    assert away is not None
    async with source.transaction() as transaction:
        await transaction.delete_entities([plain])
    told = await copy(target, source, away)
    assert told[away].status is CopyStatus.ADDED
    assert told[away].entity_id != plain


async def test_chosen_entities_alone_are_copied_and_relations_to_others_follow_when_these_do(
    source: World, target: World
) -> None:
    first = await everything(source)
    assert await links(source, target, first) == LinksCopied(added=0, left_out=3)
    assert await count(target, Digest.__table__) == 1
    assert await links(source, target) == LinksCopied(added=4, left_out=0)
    assert await contents(target) == await contents(source)
    assert await links(source, target) == LinksCopied(added=0, left_out=0)


async def test_an_entity_that_is_not_there_fails_alone(source: World, target: World) -> None:
    first = await everything(source)
    told = await copy(source, target, first, 99, 1 << 70)
    assert [told[each].status for each in (first, 99, 1 << 70)] == [
        CopyStatus.ADDED,
        CopyStatus.FAILED,
        CopyStatus.FAILED,
    ]
    assert told[99].reason == "there is no entity 99 in world 'source'"


async def test_a_dry_run_tells_the_same_and_changes_nothing(source: World, target: World) -> None:
    await everything(source)
    before = await contents(target)
    predicted = await copy(source, target, dry_run=True)
    assert (await contents(target), await count(target, Entity.__table__)) == (before, 7)
    done = await copy(source, target)
    assert [each.status for each in predicted.values()] == [each.status for each in done.values()]


async def test_facts_that_the_target_has_no_plugin_for_are_not_lost_unasked(
    source: World, make_world: MakeWorld
) -> None:
    first = await everything(source)
    poor = await make_world(name="poor", components=[Digest, Title])
    with pytest.raises(
        CopyError, match=r"world 'poor' does not have .*, and would lose Place, Remark, Caption, Pending"
    ):
        await copy(source, poor)
    assert await count(poor, Entity.__table__) == 0
    assert (await copy(source, poor, partial=True))[first].status is CopyStatus.ADDED


async def test_a_plugin_of_whose_facts_there_are_none_is_not_missed(source: World, make_world: MakeWorld) -> None:
    await write(source, Title(text="alone"))
    chosen = await write(source, Title(text="chosen"))
    await write(source, Title(text="noted"), Remark(text="x"))
    poor = await make_world(name="poor", components=[Digest, Title])
    assert (await copy(source, poor, chosen, 1 << 70))[chosen].status is CopyStatus.ADDED


async def test_a_world_is_not_copied_into_itself(source: World, make_world: MakeWorld) -> None:
    same = await make_world(name="again", components=COMPONENTS, database_url=source.config.database_url)
    with pytest.raises(CopyError, match="'source' and 'again' have the same database"):
        await copy(source, same)


async def test_a_world_has_one_identity_whoever_asks_first(source: World) -> None:
    assert len(set(await asyncio.gather(*(identity_of(source) for _ in range(8))))) == 1


async def test_what_one_key_says_and_another_denies_is_not_copied(source: World, make_world: MakeWorld) -> None:
    one = await make_world(name="one", components=[Digest, Number])
    two = await make_world(name="two", components=[Digest, Number])
    entity = await write(one, Digest(value=b"x"), Number(value=5))
    await write(two, Digest(value=b"x"))
    await write(two, Number(value=5))
    told = await copy(one, two)
    assert (told[entity].status, told[entity].reason) == (
        CopyStatus.FAILED,
        "it is the entities 1 and 2 of world 'two'",
    )


async def test_two_processes_copy_the_same_world_at_once_and_nothing_is_there_twice(
    source: World, target: World, make_world: MakeWorld
) -> None:
    for i in range(40):
        await write(source, Title(text=f"no key {i}"))
    await everything(source)
    other = await make_world(name="other", components=COMPONENTS, database_url=target.config.database_url)
    await asyncio.gather(copy(source, target), copy(source, other))
    assert await contents(target) == await contents(source)


async def test_what_must_come_along_and_cannot_keeps_its_entity_back(source: World, target: World) -> None:
    async def refuse(_source: World, _target: World, rows: Any, _stop: asyncio.Event) -> list[Any]:
        return ["its place is gone" if row["path"] == "/b" else row for row in rows]

    target.register_transfer(Place, refuse)
    first = await everything(source)
    told = await copy(source, target)
    assert (told[first].status, told[first].reason) == (CopyStatus.FAILED, "its place is gone")
    assert await count(target, Digest.__table__) == 1
    target.register_transfer(Place, refuse, essential=False)
    assert (await copy(source, target))[first].status is CopyStatus.ADDED
    async with target.reading() as session:
        assert list(await session.scalars(select(Place.path))) == ["/a"]


async def test_stopping_ends_at_the_next_batch_and_the_same_command_continues(
    source: World, target: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dam.core.copying.BATCH", 4)
    for i in range(12):
        await write(source, Title(text=str(i)))
    command = CopyEntitiesCommand(source)
    told = []
    async for event in target.dispatch_command(command):
        told.append(event)
        command.stop.set()
    assert len(told) == 4
    statuses = Counter(each.status for each in (await copy(source, target)).values())
    assert statuses == {CopyStatus.KNOWN: 4, CopyStatus.ADDED: 8}


async def test_another_asset_under_an_id_that_was_copied_before_is_another_asset(source: World, target: World) -> None:
    """As after a backup of the source was restored."""
    first = await write(source, Digest(value=b"x"), Place(path="/x"))
    before = (await copy(source, target))[first].entity_id
    async with source.transaction() as transaction:
        await transaction.remove_components(Digest, [first])
        await transaction.remove_components(Place, [first])
        transaction.add(first, Digest(value=b"y"), Place(path="/y"))
    told = (await copy(source, target))[first]
    assert told.status is CopyStatus.ADDED
    assert told.entity_id != before
    async with target.reading() as session:
        found = await session.execute(select(Digest.value, Place.path).join(Place, Place.entity_id == Digest.entity_id))
        assert sorted(tuple(row) for row in found) == [(b"x", "/x"), (b"y", "/y")]
    assert (await copy(source, target))[first].status is CopyStatus.KNOWN


async def test_work_that_was_done_in_the_target_is_not_asked_for_again(source: World, target: World) -> None:
    first = await write(source, Digest(value=b"x"), Pending())
    copied = (await copy(source, target))[first].entity_id
    async with target.transaction() as transaction:
        await transaction.remove_components(Pending, [copied or 0])
    assert (await copy(source, target))[first].status is CopyStatus.KNOWN
    assert await count(target, Pending.__table__) == 0


async def test_a_copy_of_a_copy_is_the_same_entity_as_a_copy(
    source: World, target: World, make_world: MakeWorld
) -> None:
    third = await make_world(name="third", components=COMPONENTS)
    plain = await write(source, Title(text="no key"))
    away = (await copy(source, target))[plain].entity_id
    assert away is not None
    there = (await copy(target, third, away))[away].entity_id
    assert (await copy(source, third))[plain].entity_id == there
    assert await count(third, Entity.__table__) == 1


async def test_a_proof_comes_along_with_its_facts_or_not_at_all(source: World, make_world: MakeWorld) -> None:
    proof = DerivationComponent(algorithm="test.titles", version=1)
    await write(source, Digest(value=b"x"), Title(text="computed"), proof)
    rich = await make_world(name="rich", components=COMPONENTS, analyzers=[titles])
    poor = await make_world(name="poor", components=[Digest])
    await copy(source, rich)
    await copy(source, poor, partial=True)
    assert (await count(rich, DerivationComponent.__table__), await count(poor, DerivationComponent.__table__)) == (
        1,
        0,
    )


async def test_what_the_target_has_computed_itself_is_not_mixed_with_what_the_source_has(
    source: World, make_world: MakeWorld
) -> None:
    target = await make_world(name="computing", components=COMPONENTS, analyzers=[titles])
    await write(
        source, Digest(value=b"x"), Title(text="of version 1"), DerivationComponent(algorithm="test.titles", version=1)
    )
    there = await write(target, Digest(value=b"x"), DerivationComponent(algorithm="test.titles", version=2))
    await copy(source, target)
    async with target.reading() as session:
        assert await session.scalar(select(Title.text).where(Title.entity_id == there)) is None
        assert await session.scalar(select(DerivationComponent.version)) == 2


async def test_two_entities_do_not_become_one_that_they_would_fight_over(source: World, target: World) -> None:
    one = await write(source, Digest(value=b"x"), Title(text="one"))
    await copy(source, target)
    async with source.transaction() as transaction:
        await transaction.remove_components(Digest, [one])
    other = await write(source, Digest(value=b"x"), Title(text="other"))
    told = await copy(source, target, overwrite=True)
    assert told[other].status is CopyStatus.FAILED
    assert f"entity {one} is entity" in (told[other].reason or "")


async def test_an_entity_that_somebody_makes_meanwhile_is_not_called_new(
    source: World, target: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await write(source, Digest(value=b"x"), Title(text="of the source"))
    planned = copying.Copying._planned

    async def and_made(self: copying.Copying, *args: Any) -> Any:
        plans = await planned(self, *args)
        await write(target, Digest(value=b"x"), Title(text="of the target"))
        return plans

    monkeypatch.setattr(copying.Copying, "_planned", and_made)
    told = (await copy(source, target))[first]
    assert (told.status, told.reason) == (CopyStatus.UPDATED, None)
    async with target.reading() as session:
        assert list(await session.scalars(select(Title.text))) == ["of the target"]


async def test_inside_a_transaction_of_the_target_it_is_part_of_that(source: World, target: World) -> None:
    await everything(source)
    with pytest.raises(RuntimeError, match="undo"):
        async with target.transaction() as transaction:
            told = await copy(source, transaction.world)
            assert {each.status for each in told.values()} == {CopyStatus.ADDED}
            raise RuntimeError("undo")
    assert await count(target, Digest.__table__) == 0


async def test_many_remarks_without_a_key_are_compared_in_one_go(source: World, target: World) -> None:
    first = await write(source, Digest(value=b"x"), *(Remark(text=str(i)) for i in range(3000)))
    await copy(source, target)
    async with source.transaction() as transaction:
        await transaction.remove_components(Remark, [first])
        transaction.add(first, *(Remark(text=str(i)) for i in reversed(range(3000))))
    assert (await copy(source, target))[first].status is CopyStatus.KNOWN


async def test_a_value_that_the_other_database_cannot_hold_fails_alone(
    sqlite_databases: Databases,
    postgres_databases: Databases,
    database_templates: DatabaseTemplates,
    make_world: MakeWorld,
) -> None:
    urls = [await database_templates.copy(each, (), COMPONENTS) for each in (sqlite_databases, postgres_databases)]
    async with bare_world(urls[0], "lite") as lite, bare_world(urls[1], "server") as server:
        for component in COMPONENTS:
            lite.register_component(component)
            server.register_component(component)
        bad = await write(lite, Title(text="NUL \0"))
        first = await everything(lite)
        told = await copy(lite, server)
        assert told[bad].status is CopyStatus.FAILED
        assert "it cannot be stored" in (told[bad].reason or "")
        async with lite.transaction() as transaction:
            await transaction.delete_entities([bad])
        assert told[first].status is CopyStatus.ADDED
        assert await contents(server) == await contents(lite)


async def test_from_sqlite_to_postgresql_and_back_everything_is_equal(
    sqlite_databases: Databases, postgres_databases: Databases, database_templates: DatabaseTemplates
) -> None:
    kinds = (sqlite_databases, postgres_databases, sqlite_databases)
    urls = [await database_templates.copy(each, (), COMPONENTS) for each in kinds]
    async with bare_world(urls[0], "a") as one, bare_world(urls[1], "b") as two, bare_world(urls[2], "c") as three:
        for world in (one, two, three):
            for component in COMPONENTS:
                world.register_component(component)
        await everything(one)
        await write(one, Title(text="old", seen=MOMENT - timedelta(days=40_000), share=1e-300))
        await copy(one, two)
        await copy(two, three)
        assert await contents(one) == await contents(two) == await contents(three)


def test_nothing_is_lacking_of_numbers_that_are_none_and_json_in_another_order() -> None:
    def row(share: float, more: Any) -> dict[str, Any]:
        return {"entity_id": 1, "text": "x", "seen": None, "more": more, "share": share}

    nan = float("nan")
    assert copying.lacking(Title, [row(nan, {"a": 1, "b": 2})], [row(nan, {"b": 2, "a": 1})], equal=True) == []
    assert len(copying.lacking(Title, [row(nan, None)], [row(0.5, None)], equal=True)) == 1


async def test_a_key_is_copied_whatever_its_constructor_takes(make_world: MakeWorld) -> None:
    one, two = [await make_world(name=name, components=[Stamped]) for name in ("one", "two")]
    async with one.transaction() as transaction:
        entity_id = await transaction.create_entity()
        transaction.write_rows(Stamped, [{"entity_id": entity_id, "value": b"x", "stamp": 7}])
    assert (await copy(one, two))[entity_id].status is CopyStatus.ADDED
    async with two.reading() as session:
        assert await session.scalar(select(Stamped.stamp)) == 7
