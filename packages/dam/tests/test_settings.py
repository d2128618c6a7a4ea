"""Settings and their stored form."""

from enum import Enum
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import Field, ValidationError
from sqlalchemy import JSON, Boolean, Float, Integer, String, select

from dam.core.world import World
from dam.models.config import ConfigComponent, SettingsModel, SettingsPath, WorldConfig, WorldConfigComponent
from dam.models.core.fields import fields_of
from dam_test_utils.fixtures import MakeWorld


class Method(Enum):
    """A choice."""

    FAST = "fast"
    SLOW = "slow"


class Everything(SettingsModel):
    """One setting of each kind."""

    flag: bool = True
    number: int = 4
    share: float = Field(default=0.5, ge=0, le=1)
    word: str = "word"
    maybe: int | None = None
    path: SettingsPath = Path("here")
    method: Method = Method.FAST
    words: tuple[str, ...] = ("one",)
    table: dict[str, int] = Field(default_factory=dict)


class EverythingComponent(ConfigComponent, settings=Everything):
    __tablename__ = "test_settings_everything"


def test_columns_are_derived_from_the_model() -> None:
    columns = {
        c.name: type(c.type) for c in EverythingComponent.__table__.columns if c.name not in ("entity_id", "run_id")
    }
    assert columns == {
        "flag": Boolean,
        "number": type(WorldConfigComponent.__table__.columns.analysis_workers.type),
        "share": Float,
        "word": String,
        "maybe": type(WorldConfigComponent.__table__.columns.analysis_workers.type),
        "path": String,
        "method": JSON,
        "words": JSON,
        "table": JSON,
    }
    assert issubclass(columns["number"], Integer)
    assert all(c.nullable for c in EverythingComponent.__table__.columns if c.name != "entity_id")


def test_settings_are_no_fields_of_queries_and_hide_their_entity() -> None:
    assert fields_of(EverythingComponent) == ()
    assert EverythingComponent.__hides_entity__


@pytest.fixture
async def world(make_world: MakeWorld) -> World:
    return await make_world(components=[EverythingComponent])


anything = st.fixed_dictionaries(
    {},
    optional={
        "flag": st.booleans(),
        "number": st.integers(-(2**63), 2**63 - 1),
        "share": st.floats(0, 1),
        "word": st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
        "maybe": st.none() | st.integers(0, 9),
        "path": st.sampled_from([Path("/a/b"), Path("/ä/ö")]),
        "method": st.sampled_from(Method),
        "words": st.lists(st.text(max_size=3), max_size=3),
        "table": st.dictionaries(st.text(max_size=3), st.integers(0, 9), max_size=2),
    },
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(values=anything)
async def test_settings_come_back_from_the_database_as_they_went_in(world: World, values: dict[str, object]) -> None:
    stored = Everything.model_validate(values)
    async with world.transaction() as transaction:
        entity_id = await transaction.create_entity(EverythingComponent.from_settings(stored))
    async with world.reading() as session:
        row = await session.get_one(EverythingComponent, entity_id)
        assert row.to_settings() == stored
        raw = await session.execute(
            select(EverythingComponent.__table__).where(EverythingComponent.entity_id == entity_id)
        )
        nulls = {name for name, value in raw.mappings().one().items() if value is None}
    given_values = {name for name, value in values.items() if value is not None}
    assert nulls == Everything.model_fields.keys() - given_values


def test_a_default_that_changes_later_reaches_stored_settings() -> None:
    stored = EverythingComponent.from_settings(Everything(word="set"))
    assert (stored.word, stored.number, stored.flag) == ("set", None, None)  # type: ignore[attr-defined]  # pyright: ignore


def test_relative_paths_are_taken_from_the_file_that_says_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    base = Path("/etc/dam")
    made = EverythingComponent(path="store").to_settings(base)  # type: ignore[call-arg]  # pyright: ignore
    assert made == Everything(path=Path("/etc/dam/store"))
    by_default = EverythingComponent().to_settings(base)
    assert by_default == Everything(path=Path("/etc/dam/here"))
    home = EverythingComponent(path="~/store").to_settings(base)  # type: ignore[call-arg]  # pyright: ignore
    assert home == Everything(path=Path("/home/ada/store"))


def test_settings_do_not_change_and_take_no_unknown_keys() -> None:
    made = Everything()
    with pytest.raises(ValidationError, match="frozen"):
        made.number = 5  # type: ignore[misc]
    with pytest.raises(ValidationError, match="numbr"):
        Everything.model_validate({"numbr": 5})


def test_what_is_stored_is_validated_when_it_is_read() -> None:
    with pytest.raises(ValidationError, match="share"):
        EverythingComponent(share=3.0).to_settings()  # type: ignore[call-arg]  # pyright: ignore


def test_the_core_has_settings_like_a_plugin() -> None:
    config = WorldConfig(name="photos", database_url="sqlite+aiosqlite:///photos.db")
    assert WorldConfigComponent.from_settings(config).to_settings() == config
