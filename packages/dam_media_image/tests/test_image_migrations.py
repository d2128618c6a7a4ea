from __future__ import annotations

from typing import TYPE_CHECKING, Any

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from dam.core.migrations import context_options
from dam.models.core.base_class import Base
from dam_media_image.models import ImageDimensionsComponent

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from dam.core.migrations import RevisionTree
    from dam.core.world import World


def differences(connection: Connection, tree: RevisionTree) -> list[Any]:
    """Between the database and the classes, as far as the tree owns them."""
    context = MigrationContext.configure(connection, opts=context_options(tree))
    return list(compare_metadata(context, Base.metadata))


def tree_of(world: World) -> RevisionTree:
    (tree,) = (tree for tree in world.revision_trees if tree.package == "dam_media_image")
    return tree


async def test_the_revisions_give_the_schema_of_the_classes(world: World) -> None:
    tree = tree_of(world)
    assert tree.owns(ImageDimensionsComponent.__table__)
    async with world.engine.connect() as connection:
        assert await connection.run_sync(differences, tree) == []


async def test_setting_up_twice_changes_nothing(world: World) -> None:
    assert await world.setup() == []
    assert all(state.is_current for state in await world.schema_states())


async def test_a_missing_index_would_be_noticed(world: World) -> None:
    async with world.engine.begin() as connection:
        await connection.exec_driver_sql("DROP INDEX ix_dam_media_image_phash_hash_value")
    async with world.engine.connect() as connection:
        ((what, index),) = await connection.run_sync(differences, tree_of(world))
    assert (what, index.name) == ("add_index", "ix_dam_media_image_phash_hash_value")
