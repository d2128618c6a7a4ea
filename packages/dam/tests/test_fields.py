"""Fields: what queries may name, and what is indexed."""

from sqlalchemy import JSON, Text, UniqueConstraint, inspect
from sqlalchemy.orm import Mapped, mapped_column

from dam.models.core.base_component import BaseComponent, Component, LayeredComponent, UniqueComponent
from dam.models.core.fields import HIDDEN, UNINDEXED, fields_of
from dam.models.core.types import PathType
from dam_test_utils.fixtures import MakeWorld


class Picture(UniqueComponent, namespace="picture", aliases={"w": "width", "wide": "width"}):
    __tablename__ = "test_fields_picture"
    width: Mapped[int]
    path: Mapped[str] = mapped_column(PathType)
    caption: Mapped[str | None] = mapped_column(Text, info=UNINDEXED, default=None)
    rotations: Mapped[int] = mapped_column(info=HIDDEN, default=0)
    bag: Mapped[str | None] = mapped_column(JSON, default=None)


class FrameRateComponent(BaseComponent):
    __tablename__ = "test_fields_frame_rate"
    __table_args__ = (UniqueConstraint("rate", "entity_id"),)
    rate: Mapped[float]


class Title(LayeredComponent, namespace="title"):
    __tablename__ = "test_fields_title"
    words: Mapped[str | None] = mapped_column(default=None)


def names(component: type[Component]) -> dict[str, tuple[str, ...]]:
    return {field.name: field.names for field in fields_of(component)}


def indexed(component: type[Component]) -> set[str]:
    return {column.name for index in component.__table__.indexes for column in index.columns}


def test_scalar_columns_are_fields_by_their_names_and_aliases() -> None:
    assert names(Picture) == {
        "picture.width": ("width", "w", "wide"),
        "picture.path": ("path",),
        "picture.caption": ("caption",),
    }


def test_a_field_knows_its_component_and_its_column() -> None:
    width = fields_of(Picture)[0]
    assert width.component is Picture
    assert width.column is Picture.__table__.columns.width


def test_the_default_namespace_is_the_package_and_the_class() -> None:
    package = __name__.partition(".")[0]
    assert FrameRateComponent.__namespace__ == f"{package}.frame_rate"
    assert list(names(FrameRateComponent)) == [f"{package}.frame_rate.rate"]


def test_fields_are_indexed_unless_they_say_otherwise() -> None:
    assert indexed(Picture) == {"width", "path"}


def test_what_a_constraint_begins_with_needs_no_second_index() -> None:
    assert indexed(FrameRateComponent) == {"entity_id"}


def test_the_layer_of_a_layered_component_is_no_field() -> None:
    assert list(names(Title)) == ["title.words"]


async def test_a_layered_index_holds_only_effective_rows(make_world: MakeWorld) -> None:
    world = await make_world(components=[Title])
    async with world.engine.connect() as connection:
        (index,) = await connection.run_sync(lambda sync: inspect(sync).get_indexes("test_fields_title"))
    assert index["column_names"] == ["words"]
    assert "effective" in str(index.get("dialect_options", {})[f"{world.engine.dialect.name}_where"])
