"""A plugin needs no package: a script can hold one."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import asyncio

from sqlalchemy.orm import Mapped

from dam import ConfigComponent, Plugin, SettingsModel, UniqueComponent, World, WorldConfig, query


class BirdComponent(UniqueComponent, namespace="bird"):
    __tablename__ = "birds_bird"
    name: Mapped[str]


class BirdsSettings(SettingsModel):
    pass


class BirdsSettingsComponent(ConfigComponent, settings=BirdsSettings):
    __tablename__ = "birds_config"


class BirdsPlugin(Plugin):
    Settings = BirdsSettings
    SettingsComponent = BirdsSettingsComponent

    def build(self, world: World) -> None:
        world.register_component(BirdComponent)


async def main() -> None:
    async with World(WorldConfig(name="birds", database_url="sqlite+aiosqlite:///birds.db")) as world:
        world.add_plugin(BirdsPlugin)
        await world.setup()
        async with world.transaction() as transaction:
            await transaction.create_entity(BirdComponent(name="owl"))
        async with world.reading() as session:
            print([bird.name for bird in await session.scalars(query(BirdComponent))])


if __name__ == "__main__":
    asyncio.run(main())
"""


@pytest.mark.parametrize("command", [["birds.py"], ["-c", "import asyncio, birds; asyncio.run(birds.main())"]])
def test_a_plugin_that_is_one_module_gets_its_tables(command: list[str], tmp_path: Path) -> None:
    (tmp_path / "birds.py").write_text(SCRIPT, encoding="utf-8")
    done = subprocess.run([sys.executable, *command], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["['owl']"], done.stderr


def run(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    (folder / "birds").mkdir(exist_ok=True)
    (folder / "birds" / "__init__.py").write_text(script, encoding="utf-8")
    return subprocess.run(
        [sys.executable, "-c", "import asyncio, birds; asyncio.run(birds.main())"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def changed(column: str) -> str:
    return SCRIPT.replace("    name: Mapped[str]\n", f"    name: Mapped[str]{column}\n")


def test_tables_without_revisions_follow_additions_and_everything_else_is_refused(tmp_path: Path) -> None:
    assert run(SCRIPT, tmp_path).stdout == "['owl']\n"
    unique = changed("\n    __table_args__ = (UniqueConstraint('entity_id', 'name', name='uq_birds'),)").replace(
        "import asyncio\n", "import asyncio\nfrom sqlalchemy import UniqueConstraint\n"
    )
    refused = run(unique, tmp_path)
    assert "its tables changed by more than additions (" in refused.stderr
    assert "CreateUniqueConstraint birds_bird" in refused.stderr
    assert "write a revision in birds/migrations" in refused.stderr
    added = run(
        changed("\n    colour: Mapped[str | None] = mapped_column(default=None)").replace(
            "import Mapped", "import Mapped, mapped_column"
        ),
        tmp_path,
    )
    assert added.stdout == "['owl', 'owl']\n", added.stderr


REVISION = """
import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade():
    op.create_table("birds_bird", sa.Column("entity_id", sa.Integer, primary_key=True))
"""


def test_a_first_revision_has_to_describe_the_tables_that_were_derived(tmp_path: Path) -> None:
    assert run(SCRIPT, tmp_path).stdout == "['owl']\n"
    (tmp_path / "birds" / "migrations").mkdir()
    (tmp_path / "birds" / "migrations" / "__init__.py").touch()
    (tmp_path / "birds" / "migrations" / "0001_first.py").write_text(REVISION, encoding="utf-8")
    assert run(SCRIPT, tmp_path).stdout == "['owl', 'owl']\n"
    more = changed("\n    colour: Mapped[str | None] = mapped_column(default=None)").replace(
        "import Mapped", "import Mapped, mapped_column"
    )
    (tmp_path / "birds.db").unlink()
    (tmp_path / "birds" / "migrations" / "0001_first.py").unlink()
    assert run(SCRIPT, tmp_path).stdout == "['owl']\n"
    (tmp_path / "birds" / "migrations" / "0001_first.py").write_text(REVISION, encoding="utf-8")
    refused = run(more, tmp_path)
    assert "its first revision does not describe the tables that this database got" in refused.stderr
    assert "AddColumn birds_bird" in refused.stderr
