"""Schemas by revisions."""

import asyncio
import importlib
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, inspect, make_url, select, text
from sqlalchemy.exc import IntegrityError

from dam.core.databases import connect
from dam.core.exceptions import MigrationNeededError, RevisionError, SchemaTooNewError
from dam.core.migrations import RevisionTree, context_options, migrate, on_schema
from dam.core.plugin import Plugin
from dam.core.world import World
from dam.core.world_registrar import register_core_systems
from dam.models.config import WorldConfig
from dam.models.core.base_class import Base
from dam.models.markers import NeedsMetadataExtractionComponent
from dam_test_utils.databases import Databases

PLUGIN = """
from dam.core.plugin import Plugin
from dam.models.config import ConfigComponent, SettingsModel

class ThePlugin(Plugin):
    Settings = SettingsModel

    class SettingsComponent(ConfigComponent):
        __tablename__ = "{package}_config"

    def build(self, world):
        pass
"""

REVISION = """
import os, signal
from alembic import op
import sqlalchemy as sa

revision = "{number:04}"
down_revision = {before!r}

def upgrade():
    op.create_table("{package}_table_{number}", sa.Column("id", sa.Integer, primary_key=True))
    {then}
"""

MakePlugin = Callable[..., type[Plugin]]


@pytest.fixture
def make_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakePlugin:
    """Makes a plugin package whose revisions make a table each, and then do what is given."""
    site = tmp_path / "site"
    monkeypatch.syspath_prepend(str(site))

    def make(package: str, *then: str) -> type[Plugin]:
        folder = site / package
        (folder / "migrations").mkdir(parents=True, exist_ok=True)
        (folder / "__init__.py").write_text(textwrap.dedent(PLUGIN.format(package=package)))
        (folder / "migrations" / "__init__.py").write_text("")
        for number, each in enumerate(then, 1):
            before = f"{number - 1:04}" if number > 1 else None
            source = REVISION.format(package=package, number=number, before=before, then=each)
            (folder / "migrations" / f"{number:04}_step.py").write_text(source)
        importlib.invalidate_caches()
        plugin: type[Plugin] = importlib.import_module(package).ThePlugin
        return plugin

    return make


def world_of(database_url: str, *plugins: type[Plugin]) -> World:
    world = World(WorldConfig(name="photos", database_url=database_url))
    register_core_systems(world)
    for plugin in plugins:
        world.add_plugin(plugin)
    return world


async def tables(database_url: str) -> set[str]:
    engine = connect(database_url)
    async with engine.connect() as connection:
        names = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
    await engine.dispose()
    return set(names)


HEAD = RevisionTree("dam", "dam").head

CORE = {
    "dam_alembic_version",
    "dam_derivation",
    "dam_entity",
    "dam_lease",
    "dam_needs_metadata_extraction",
    "dam_origin",
    "dam_run",
    "dam_trashed",
    "dam_world_config",
    "dam_world_identity",
}


async def test_a_new_database_gets_the_tables_of_the_core(empty_database: str) -> None:
    async with world_of(empty_database) as world:
        (behind,) = await world.setup()
        assert (behind.tree.owner, behind.current) == ("dam", None)
        await world.check_schema()
    assert await tables(empty_database) == CORE


async def test_a_database_of_the_first_revision_keeps_its_data_when_it_is_upgraded(empty_database: str) -> None:
    def begin(connection: Connection) -> None:
        migrate(connection, RevisionTree("dam", "dam"), "0001")
        connection.execute(text("INSERT INTO dam_entity DEFAULT VALUES"))
        connection.execute(text("INSERT INTO dam_needs_metadata_extraction (entity_id) VALUES (1)"))

    async with world_of(empty_database) as world:
        await on_schema(world.engine, begin)
        (behind,) = await world.setup()
        assert behind.current == "0001"
        await world.check_schema()
        async with world.reading() as session:
            assert list(await session.scalars(select(NeedsMetadataExtractionComponent.entity_id))) == [1]
        async with world.transaction() as transaction:
            assert await transaction.create_entity() == 2


async def test_revisions_and_metadata_give_the_same_schema(database_url: str) -> None:
    tree = RevisionTree("dam", "dam")

    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts=context_options(tree))
        return list(compare_metadata(context, Base.metadata))

    async with world_of(database_url) as world, world.engine.connect() as connection:
        assert await connection.run_sync(differences) == []
        await connection.execute(text("DROP TABLE dam_derivation"))
        assert await connection.run_sync(differences) != []  # the comparison does see the core's tables


async def test_setting_up_twice_changes_nothing(empty_database: str) -> None:
    async with world_of(empty_database) as world:
        await world.setup()
        before = (await world.schema_states())[0].current
        assert await world.setup() == []
        assert (await world.schema_states())[0].current == before


async def test_worlds_of_one_process_are_set_up_at_once_and_each_gets_its_own_tables(
    databases: Databases, make_plugin: MakePlugin
) -> None:
    """Alembic's operations go through one global of the process."""
    plugins = [make_plugin(f"dam_test_at_once_{n}", "pass", "pass") for n in range(3)]
    worlds = [world_of(await databases.create(), plugin) for plugin in plugins]
    async with asyncio.timeout(50):
        await asyncio.gather(*(world.setup() for world in worlds))
    for n, world in enumerate(worlds):
        await world.check_schema()
        mine = {f"dam_test_at_once_{n}_{name}" for name in ("alembic_version", "table_1", "table_2")}
        assert await tables(world.config.database_url) == CORE | mine
        await world.close()
        await databases.drop(world.config.database_url)


async def test_a_database_without_a_schema_asks_for_setup_db(empty_database: str) -> None:
    async with world_of(empty_database) as world:
        with pytest.raises(
            MigrationNeededError,
            match=rf"world 'photos': .* for dam \(not set up → {HEAD}\); run: dam-cli --world photos setup-db",
        ):
            await world.check_schema()


async def test_each_plugin_has_a_version_of_its_own(empty_database: str, make_plugin: MakePlugin) -> None:
    one, two = make_plugin("dam_test_one", "pass", "pass"), make_plugin("dam_test_two", "pass")
    async with world_of(empty_database, one, two) as world:
        behind = await world.setup()
        assert [(s.tree.owner, s.tree.head) for s in behind] == [
            ("dam", HEAD),
            ("dam-test-one", "0002"),
            ("dam-test-two", "0001"),
        ]
    assert {"dam_test_one_table_1", "dam_test_one_table_2", "dam_test_two_table_1"} < await tables(empty_database)
    async with world_of(empty_database, two) as without:  # removing a plugin breaks nothing
        await without.check_schema()
        assert await without.setup() == []


async def test_an_old_schema_is_upgraded_and_its_rows_stay(empty_database: str, make_plugin: MakePlugin) -> None:
    package = f"dam_test_grows_{make_url(empty_database).get_backend_name()}"
    async with world_of(empty_database, make_plugin(package, "pass")) as world:
        await world.setup()
        async with world.transaction() as transaction:
            await transaction.create_entities(3)
            await transaction.session.execute(text(f"INSERT INTO {package}_table_1 VALUES (7)"))
    async with world_of(empty_database, make_plugin(package, "pass", "pass")) as world:
        with pytest.raises(MigrationNeededError, match=r"dam-test-grows-\w+ \(0001 → 0002\)"):
            await world.check_schema()
        (behind,) = await world.setup()
        assert behind.current == "0001"
        async with world.reading() as session:
            assert (await session.scalars(text(f"SELECT id FROM {package}_table_1"))).all() == [7]
            assert (await session.scalars(text("SELECT count(*) FROM dam_entity"))).one() == 3


@pytest.mark.parametrize("databases", ["sqlite"], indirect=True)
async def test_a_table_that_is_altered_by_copying_keeps_what_refers_to_it(
    empty_database: str, make_plugin: MakePlugin
) -> None:
    package = "dam_test_copies"
    refer = f"""op.create_table("{package}_child", sa.Column("id", sa.Integer, sa.ForeignKey(
        "{package}_table_1.id", ondelete="CASCADE"), primary_key=True))"""
    alter = f"""with op.batch_alter_table("{package}_table_1", recreate="always") as batch:
        batch.add_column(sa.Column("more", sa.Integer))"""
    async with world_of(empty_database, make_plugin(package, refer)) as world:
        await world.setup()
        async with world.transaction() as transaction:
            await transaction.session.execute(text(f"INSERT INTO {package}_table_1 VALUES (7)"))
            await transaction.session.execute(text(f"INSERT INTO {package}_child VALUES (7)"))
    async with world_of(empty_database, make_plugin(package, refer, alter)) as world:
        await world.setup()
        async with world.reading() as session:
            assert (await session.scalars(text(f"SELECT id FROM {package}_child"))).all() == [7]
            assert await session.scalar(text("PRAGMA foreign_keys")) == 1


async def test_a_database_of_newer_code_is_refused_and_its_owner_named(
    empty_database: str, make_plugin: MakePlugin
) -> None:
    plugin = make_plugin("dam_test_newer", "pass")
    async with world_of(empty_database, plugin) as world:
        await world.setup()
        async with world.transaction() as transaction:
            await transaction.session.execute(text("UPDATE dam_test_newer_alembic_version SET version_num = '0009'"))
        for refused in (world.check_schema, world.setup):
            with pytest.raises(
                SchemaTooNewError, match=r"world 'photos': .* newer code of dam-test-newer \(database 0009, code 0001\)"
            ):
                await refused()


async def test_a_failing_upgrade_leaves_nothing_half_done(empty_database: str, make_plugin: MakePlugin) -> None:
    async with world_of(empty_database) as world:
        await world.setup()
    plugin = make_plugin("dam_test_fails", "pass", "raise RuntimeError('no more')")
    async with world_of(empty_database, plugin) as world:
        said = "plugin dam-test-fails: revision 0002 cannot be run, and nothing was changed: RuntimeError: no more"
        with pytest.raises(RevisionError, match=said):
            await world.setup()
        assert [state.current for state in await world.schema_states()] == [HEAD, None]
    assert await tables(empty_database) == CORE


FILL_IN = """
    op.execute("UPDATE {package}_table_1 SET id = id + 100")
    with op.batch_alter_table("{package}_table_1") as batch:
        batch.add_column(sa.Column("doubled", sa.Integer))
    op.execute("UPDATE {package}_table_1 SET doubled = 2 * id")
    with op.batch_alter_table("{package}_table_1") as batch:
        batch.alter_column("doubled", nullable=False, existing_type=sa.Integer)
"""


async def rows_of(world: World, package: str, what: str = "id") -> list[tuple[int, ...]]:
    async with world.reading() as session:
        query = text(f"SELECT {what} FROM {package}_table_1 ORDER BY id")
        return [tuple(row) for row in await session.execute(query)]


async def with_rows(database_url: str, plugin: type[Plugin], package: str) -> None:
    """A database of the plugin's revisions as they are now, with three rows."""
    async with world_of(database_url, plugin) as world:
        await world.setup()
        async with world.transaction() as transaction:
            await transaction.session.execute(text(f"INSERT INTO {package}_table_1 VALUES (1), (2), (3)"))


async def test_a_revision_changes_the_rows_that_are_there_and_demands_a_new_column(
    empty_database: str, make_plugin: MakePlugin
) -> None:
    package = f"dam_test_fills_{make_url(empty_database).get_backend_name()}"
    await with_rows(empty_database, make_plugin(package, "pass"), package)
    plugin = make_plugin(package, "pass", FILL_IN.format(package=package), "pass")
    async with world_of(empty_database, plugin) as world:
        (behind,) = await world.setup()
        assert (behind.current, behind.tree.head) == ("0001", "0003")
        assert await rows_of(world, package, "id, doubled") == [(101, 202), (102, 204), (103, 206)]
        with pytest.raises(IntegrityError):
            async with world.transaction() as transaction:
                await transaction.session.execute(text(f"INSERT INTO {package}_table_1 (id) VALUES (9)"))


async def test_a_plugin_that_was_removed_leaves_its_rows_and_finds_them_when_it_is_back(
    empty_database: str, make_plugin: MakePlugin
) -> None:
    package = f"dam_test_leaves_{make_url(empty_database).get_backend_name()}"
    plugin, other = make_plugin(package, "pass"), make_plugin(f"{package}_other", "pass")
    await with_rows(empty_database, plugin, package)
    async with world_of(empty_database, other) as without:
        assert [state.tree.package for state in await without.setup()] == [f"{package}_other"]
        async with without.transaction() as transaction:
            (entity_id,) = await transaction.create_entities(1)
            await transaction.delete_entities([entity_id])
        assert f"{package}_table_1" in await tables(empty_database)
    async with world_of(empty_database, plugin, other) as world:
        await world.check_schema()
        assert await rows_of(world, package) == [(1,), (2,), (3,)]
    grown = make_plugin(package, "pass", FILL_IN.format(package=package))
    async with world_of(empty_database, grown) as world:  # it was updated before it came back
        with pytest.raises(MigrationNeededError, match=r"0001 → 0002"):
            await world.check_schema()
        await world.setup()
        assert await rows_of(world, package) == [(101,), (102,), (103,)]


KILLED = """
import asyncio, sys
from dam.core.world import World
from dam.models.config import WorldConfig
from {package} import ThePlugin

async def main():
    async with World(WorldConfig(name="killed", database_url=sys.argv[1])) as world:
        world.add_plugin(ThePlugin)
        await world.setup()

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
async def test_an_upgrade_that_is_killed_leaves_nothing_half_done_and_can_be_repeated(
    empty_database: str, tmp_path: Path, make_plugin: MakePlugin
) -> None:
    kill = "os.environ.get('TEST_KILL') and os.kill(os.getpid(), signal.SIGKILL)"
    plugin = make_plugin("dam_test_killed", "pass", kill)
    environment = {**os.environ, "TEST_KILL": "1", "PYTHONPATH": str(tmp_path / "site")}
    script = KILLED.format(package="dam_test_killed")
    ended = subprocess.run([sys.executable, "-c", script, empty_database], env=environment, check=False)  # noqa: ASYNC221
    assert ended.returncode == -9
    assert await tables(empty_database) == set()
    async with world_of(empty_database, plugin) as world:
        await world.setup()
        await world.check_schema()
    assert {"dam_test_killed_table_1", "dam_test_killed_table_2"} < await tables(empty_database)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
async def test_an_upgrade_that_is_killed_between_two_changes_leaves_the_rows_as_they_were(
    empty_database: str, tmp_path: Path, make_plugin: MakePlugin
) -> None:
    package = f"dam_test_cut_{make_url(empty_database).get_backend_name()}"
    await with_rows(empty_database, make_plugin(package, "pass"), package)
    kill = "    os.environ.get('TEST_KILL') and os.kill(os.getpid(), signal.SIGKILL)\n"
    plugin = make_plugin(package, "pass", FILL_IN.format(package=package) + kill)
    environment = {**os.environ, "TEST_KILL": "1", "PYTHONPATH": str(tmp_path / "site")}
    script = KILLED.format(package=package)
    ended = subprocess.run([sys.executable, "-c", script, empty_database], env=environment, check=False)  # noqa: ASYNC221
    assert ended.returncode == -9
    async with world_of(empty_database, plugin) as world:
        assert await rows_of(world, package, "*") == [(1,), (2,), (3,)]
        (behind,) = await world.setup()
        assert behind.current == "0001"
        assert await rows_of(world, package, "id, doubled") == [(101, 202), (102, 204), (103, 206)]
