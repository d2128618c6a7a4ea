"""Schemas as authors and administrators see them: what is behind, what differs, going back, and the next revision."""

import importlib
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
from alembic.operations.ops import AddColumnOp, DowngradeOps, MigrationScript, ModifyTableOps, UpgradeOps
from sqlalchemy import Column, Integer, inspect, make_url, select, text

from dam.core.exceptions import PluginError, PluginUnavailableError, RevisionError
from dam.core.plugin import Plugin
from dam.core.revisions import needs_values
from dam.core.world import World
from dam.core.world_registrar import register_core_systems
from dam.models.config import WorldConfig
from dam.models.derivation import DerivationComponent
from dam_app.schema import SchemaRow, go_back, new_revision, schema_differences, schema_rows, tree_of
from dam_fs.plugin import FsPlugin
from dam_media_image.commands import HashImageCommand
from dam_media_image.plugin import ImagePlugin
from dam_test_utils.fixtures import MakeWorld

PLUGIN = '''
from sqlalchemy.orm import Mapped

from dam.core.plugin import Plugin
from dam.models.config import ConfigComponent, SettingsModel
from dam.models.core.base_component import UniqueComponent


class Bird(UniqueComponent):
    """A bird."""

    __tablename__ = "{package}_bird"
    name: Mapped[str]
    wings: Mapped[int | None]


class BirdsSettings(SettingsModel):
    """None."""


class BirdsSettingsComponent(ConfigComponent, settings=BirdsSettings):
    __tablename__ = "{package}_config"


class BirdsPlugin(Plugin):
    Settings = BirdsSettings
    SettingsComponent = BirdsSettingsComponent

    def build(self, world):
        world.register_component(Bird)
'''


@pytest.fixture
def birds(tmp_path: Path, empty_database: str, monkeypatch: pytest.MonkeyPatch) -> type[Plugin]:
    """A plugin with a package for revisions, and none in it; each kind of database has one of its own."""
    package = f"dam_test_birds_{make_url(empty_database).get_backend_name()}_{abs(hash(str(tmp_path))) % 10**8}"
    folder = tmp_path / "site" / package
    (folder / "migrations").mkdir(parents=True)
    (folder / "__init__.py").write_text(textwrap.dedent(PLUGIN.format(package=package)))
    (folder / "migrations" / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    importlib.invalidate_caches()
    plugin: type[Plugin] = importlib.import_module(package).BirdsPlugin
    return plugin


@pytest.fixture
def open_world(birds: type[Plugin], empty_database: str) -> Callable[[], World]:
    """The world as a new process sees it: with the revisions that are there now."""

    def open_one() -> World:
        world = World(WorldConfig(name="photos", database_url=empty_database))
        register_core_systems(world)
        world.add_plugin(birds)
        return world

    return open_one


def name_of(birds: type[Plugin]) -> str:
    return birds.__module__.replace("_", "-")


async def written(open_world: Callable[[], World], birds: type[Plugin], message: str = "baseline") -> Path:
    async with open_world() as world:
        return await new_revision(world, name_of(birds), message)


async def columns(world: World, table: str) -> set[str]:
    async with world.engine.connect() as connection:
        found = await connection.run_sync(lambda sync: inspect(sync).get_columns(table))
    return {column["name"] for column in found}


async def test_the_first_revision_makes_what_the_classes_say(
    open_world: Callable[[], World], birds: type[Plugin]
) -> None:
    file = await written(open_world, birds, "The first Birds!")
    assert file.name == "0001_the_first_birds.py"
    async with open_world() as world:
        assert (await schema_rows(world))[1] == SchemaRow(name_of(birds), None, "0001", "new")
        await world.setup()
        assert (await schema_rows(world))[1] == SchemaRow(name_of(birds), "0001", "0001", "current")
        assert await schema_differences(world) == {}
        with pytest.raises(RevisionError, match=r"the database has what the classes .* say; there is nothing to write"):
            await new_revision(world, name_of(birds), "nothing")


async def test_the_next_revision_holds_what_the_database_lacks(
    open_world: Callable[[], World], birds: type[Plugin]
) -> None:
    await written(open_world, birds)
    table = f"{birds.__module__}_bird"
    async with open_world() as world:
        await world.setup()
        async with world.engine.begin() as connection:
            await connection.execute(text(f"DROP INDEX ix_{table}_wings"))
            await connection.execute(text(f"ALTER TABLE {table} DROP COLUMN wings"))
        (steps,) = (await schema_differences(world)).values()
        assert f"AddColumn {table}.wings" in steps
    assert (await written(open_world, birds, "wings")).name == "0002_wings.py"
    async with open_world() as world:
        with pytest.raises(RevisionError, match="stands at 0001, before 0002; upgrade it first"):
            await new_revision(world, name_of(birds), "too early")
        await world.setup()
        assert "wings" in await columns(world, table)
        assert await schema_differences(world) == {}


async def test_revisions_can_be_undone_and_done_again(open_world: Callable[[], World], birds: type[Plugin]) -> None:
    await written(open_world, birds)
    async with open_world() as world:
        await world.setup()
        async with world.transaction() as transaction:
            await transaction.create_entities(3)
        await go_back(world, name_of(birds), "base")
        assert (await schema_rows(world))[1].state == "new"
        with pytest.raises(RevisionError, match="stands at base; it can go back to base, and not to '0001'"):
            await go_back(world, name_of(birds), "0001")
        async with world.reading() as session:
            assert await session.scalar(text("SELECT count(*) FROM dam_entity")) == 3
    async with open_world() as world:
        await world.setup()
        assert (await schema_rows(world))[1].state == "current"
        assert await columns(world, f"{birds.__module__}_bird") == {"entity_id", "name", "wings", "run_id"}


async def test_a_failing_step_back_changes_nothing(open_world: Callable[[], World], birds: type[Plugin]) -> None:
    file = await written(open_world, birds)
    async with open_world() as world:
        await world.setup()
    file.write_text(file.read_text() + "    raise RuntimeError('no way back')\n")
    async with open_world() as world:
        with pytest.raises(RevisionError, match="cannot be run, and nothing was changed: RuntimeError: no way back"):
            await go_back(world, name_of(birds), "base")
        assert (await schema_rows(world))[1].state == "current"
        assert "wings" in await columns(world, f"{birds.__module__}_bird")


async def test_tables_that_were_derived_are_not_undone(open_world: Callable[[], World], birds: type[Plugin]) -> None:
    async with open_world() as world:
        await world.setup()
        with pytest.raises(RevisionError, match=r"stands at derived-.* none of its revisions; nothing can be undone"):
            await go_back(world, name_of(birds), "base")


async def test_a_plugin_that_is_not_there_is_told_with_what_is_meant(
    open_world: Callable[[], World], birds: type[Plugin]
) -> None:
    async with open_world() as world:
        with pytest.raises(PluginUnavailableError, match=f"did you mean '{name_of(birds)}'"):
            tree_of(world, name_of(birds)[:-1])


async def test_a_plugin_without_a_package_for_revisions_is_told_what_to_make(
    open_world: Callable[[], World], birds: type[Plugin], tmp_path: Path
) -> None:
    folder = tmp_path / "site" / birds.__module__ / "migrations"
    (folder / "__init__.py").unlink()
    folder.rmdir()
    importlib.invalidate_caches()
    with pytest.raises(
        PluginError, match=r"has no package dam_test_birds_.*\.migrations; make one, with an __init__\.py"
    ):
        await written(open_world, birds)


async def test_tables_that_others_rest_on_do_not_go(open_world: Callable[[], World], birds: type[Plugin]) -> None:
    await written(open_world, birds)
    async with open_world() as world:
        await world.setup()
        with pytest.raises(RevisionError, match=f"the tables of dam cannot go: those of {name_of(birds)} rest on them"):
            await go_back(world, "dam", "base")
        assert {row.state for row in await schema_rows(world)} == {"current"}


async def test_what_was_computed_into_tables_that_went_is_computed_again(make_world: MakeWorld) -> None:
    world = await make_world(FsPlugin, ImagePlugin)
    (analyzer,) = [each for each in world.analyses if each.command is HashImageCommand]
    proof = DerivationComponent(algorithm=analyzer.algorithm.name, version=analyzer.algorithm.version)
    async with world.transaction() as transaction:
        await transaction.create_entity(proof, DerivationComponent(algorithm="somebody.else", version=1))
    await go_back(world, "dam-media-image", "base")
    await world.setup()
    async with world.reading() as session:
        assert list(await session.scalars(select(DerivationComponent.algorithm))) == ["somebody.else"]


@pytest.mark.parametrize("nullable", [True, False])
def test_a_column_that_must_have_a_value_is_pointed_at(*, nullable: bool) -> None:
    added = AddColumnOp("bird", Column("wings", Integer, nullable=nullable))
    found = MigrationScript(None, UpgradeOps([ModifyTableOps("bird", [added])]), DowngradeOps([]))
    assert needs_values(found) is not nullable
