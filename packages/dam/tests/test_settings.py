"""Settings and their stored form."""

from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import Field, ValidationError
from sqlalchemy import JSON, Boolean, Float, Integer, String, select

from dam.core.databases import parse_url, with_password
from dam.core.exceptions import SettingsError
from dam.core.secrets import reveal
from dam.core.world import World
from dam.models.config import ConfigComponent, Secret, SettingsModel, SettingsPath, WorldConfig, WorldConfigComponent
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


# -- secrets


class Locked(SettingsModel):
    """Has a secret."""

    key: Secret | None = None


class LockedComponent(ConfigComponent, settings=Locked):
    __tablename__ = "test_settings_locked"


def test_a_secret_is_stored_as_where_it_is_and_read_when_it_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THE_KEY", "sesame")
    (tmp_path / "key").write_text("open\n")
    for place, revealed in (({"env": "THE_KEY"}, "sesame"), ({"file": "key"}, "open")):
        settings = Locked.model_validate({"key": place}, context={"base": tmp_path})
        stored: Any = LockedComponent.from_settings(settings)
        assert stored.key == settings.model_dump(mode="json", exclude_unset=True)["key"]
        again = stored.to_settings()
        assert again == settings
        assert isinstance(again, Locked)
        assert again.key is not None
        assert reveal(again.key, "key") == revealed


@pytest.mark.parametrize("wrong", [{}, {"env": "A", "file": "b"}, "sesame", {"value": "sesame"}])
def test_a_secret_is_in_one_place_and_never_a_value(wrong: object) -> None:
    with pytest.raises(ValidationError):
        Locked.model_validate({"key": wrong})


def test_a_secret_that_is_not_where_it_should_be_is_a_wrong_setting(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="key: there is no environment variable NO_SUCH_KEY; set it"):
        reveal(Secret(env="NO_SUCH_KEY"), "key")
    with pytest.raises(SettingsError, match=r"key: the file .*nowhere cannot be read"):
        reveal(Secret(file=tmp_path / "nowhere"), "key")


def test_a_database_url_holds_no_password_and_the_password_is_taken_from_its_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DB_PASSWORD", "sesame")
    with pytest.raises(SettingsError, match="database_password = ") as refused:
        World(WorldConfig(name="far", database_url="postgresql+asyncpg://ada:sesame@host/db"))
    assert "sesame" not in str(refused.value)
    url = parse_url("postgresql+asyncpg://ada@host/db")
    assert with_password(url, Secret(env="DB_PASSWORD")).password == "sesame"
    assert with_password(url, None).password is None


@pytest.mark.parametrize(
    "url", ["postgresql+asyncpg://me@host/db?password=sesame", "postgresql+asyncpg://host/db?user=me&PASSWORD=sesame"]
)
def test_a_password_does_not_hide_in_the_query_of_a_url(url: str) -> None:
    with pytest.raises(SettingsError, match="database_password = ") as refused:
        parse_url(url)
    assert "sesame" not in str(refused.value)


@pytest.mark.parametrize("url", ["sqlite+aiosqlite://", "sqlite+aiosqlite:///:memory:"])
def test_a_world_is_kept_in_a_file(url: str) -> None:
    with pytest.raises(SettingsError, match="names no file"):
        parse_url(url)
