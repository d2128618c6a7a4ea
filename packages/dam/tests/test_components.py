"""The shapes of components as tables, and what a world says of those that it cannot take."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import BigInteger, Dialect, make_url, select
from sqlalchemy.exc import StatementError
from sqlalchemy.orm import Mapped, mapped_column

from dam.core.exceptions import ComponentDefinitionError
from dam.core.world import World
from dam.models.core.base_component import (
    BaseComponent,
    Component,
    LayeredComponent,
    MarkerComponent,
    RelationComponent,
    UniqueComponent,
)
from dam.models.core.types import PathType
from dam.models.entity import Entity
from dam_test_utils.fixtures import MakeWorld

DIALECTS: list[Dialect] = [make_url(f"{name}://").get_dialect()() for name in ("sqlite", "postgresql")]


class Many(BaseComponent):
    __tablename__ = "test_components_many"
    word: Mapped[str]


class One(UniqueComponent):
    __tablename__ = "test_components_one"
    moment: Mapped[datetime]
    path: Mapped[str | None] = mapped_column(PathType, default=None)
    number: Mapped[int] = mapped_column(default=0)


class Mark(MarkerComponent):
    __tablename__ = "test_components_mark"


class Edge(RelationComponent):
    __tablename__ = "test_components_edge"


class Layered(LayeredComponent):
    __tablename__ = "test_components_layered"
    title: Mapped[str | None] = mapped_column(default=None)


class Misnamed(UniqueComponent, aliases={"w": "widht", "h": "height"}):
    __tablename__ = "test_components_misnamed"
    width: Mapped[int]
    height: Mapped[int]


class Unfinished(BaseComponent):
    __abstract__ = True


def key_of(component: type[Component]) -> list[str]:
    return [column.name for column in component.__table__.primary_key.columns]


def test_each_shape_has_its_key() -> None:
    assert key_of(Many) == ["id"]
    assert key_of(One) == key_of(Mark) == ["entity_id"]
    assert key_of(Edge) == ["id"]
    assert key_of(Layered) == ["entity_id", "layer"]


@pytest.mark.parametrize("component", [Many, One, Mark, Edge, Layered])
def test_a_column_that_holds_an_entity_id_is_a_cascading_key(component: type[Component]) -> None:
    holding = [column for column in component.__table__.columns if column.foreign_keys]
    assert [c.name for c in holding] == ["entity_id", "target_id"][: len(holding)]
    for column in holding:
        (key,) = column.foreign_keys
        assert key.target_fullname == "dam_entity.id"
        assert key.ondelete == "CASCADE"
    assert (component is Edge) == (len(holding) == 2)


def test_a_key_of_many_is_wide_on_a_server_and_counts_up_on_sqlite() -> None:
    kind = Many.__table__.columns.id.type
    assert isinstance(kind.dialect_impl(DIALECTS[1]), BigInteger)
    assert kind.compile(DIALECTS[0]) == "INTEGER"


def test_components_take_keywords_and_no_entity() -> None:
    wrong: Any = Many
    assert Many(word="red").word == "red"
    with pytest.raises(TypeError):
        wrong("red")
    with pytest.raises(TypeError):
        wrong(word="red", entity_id=1)


@pytest.mark.parametrize(
    ("thing", "said"),
    [
        (Unfinished, "Unfinished is abstract and has no table"),
        (MarkerComponent, "MarkerComponent is abstract and has no table"),
        (Entity, "is not a component class; inherit from BaseComponent or UniqueComponent"),
        (Misnamed, r"Misnamed: the aliases \['w'\] name no column; its columns are entity_id, width, height, run_id"),
        (One, None),
        (One(moment=datetime.now(UTC)), "is not a component class"),
    ],
)
async def test_what_is_no_component_is_refused_when_registered(world: World, thing: Any, said: str | None) -> None:
    if said is None:
        world.register_component(thing)
        assert thing in world.components
    else:
        with pytest.raises(ComponentDefinitionError, match=said):
            world.register_component(thing)


async def test_paths_and_moments_come_back_as_they_went_in(make_world: MakeWorld) -> None:
    world = await make_world(components=[One])
    path = b"/photos/\xff\xfe sommer".decode("utf-8", "surrogateescape")
    noon = datetime(2020, 2, 29, 12, 30, 1, 123456, tzinfo=timezone(timedelta(hours=5)))
    async with world.transaction() as transaction:
        entity_id = await transaction.create_entity(One(moment=noon, path=path, number=2**62))
    async with world.reading() as session:
        row = (await session.scalars(select(One).where(One.path == path, One.moment == noon))).one()
    assert (row.entity_id, row.path, row.number) == (entity_id, path, 2**62)
    assert row.moment == noon
    assert row.moment.tzinfo is UTC


async def test_a_moment_without_a_time_zone_is_refused_with_the_fix(make_world: MakeWorld) -> None:
    world = await make_world(components=[One])
    naive = datetime(2020, 2, 29)  # noqa: DTZ001
    with pytest.raises(StatementError, match=r"has no time zone; write datetime.now\(UTC\)"):
        async with world.transaction() as transaction:
            await transaction.create_entity(One(moment=naive))


@given(name=st.binary(max_size=200).filter(lambda name: b"\0" not in name))
@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda d: str(d.name))
def test_any_name_that_a_file_system_has_survives_its_column(dialect: Dialect, name: bytes) -> None:
    kind = PathType()
    path = name.decode("utf-8", "surrogateescape")
    stored = kind.process_bind_param(path, dialect)
    assert stored == name
    assert kind.process_result_value(stored, dialect) == path


def test_no_path_is_no_bytes() -> None:
    kind = PathType()
    assert kind.process_bind_param(None, DIALECTS[0]) is None
    assert kind.process_result_value(None, DIALECTS[0]) is None
