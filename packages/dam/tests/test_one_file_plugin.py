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
