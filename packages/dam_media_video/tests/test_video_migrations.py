from __future__ import annotations

from typing import TYPE_CHECKING, Any

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from dam.core.migrations import context_options
from dam.models.core.base_class import Base
from dam_fs.plugin import FsPlugin
from dam_media_audio.plugin import AudioPlugin
from dam_media_image.models import FramePropertiesComponent
from dam_media_image.plugin import ImagePlugin
from dam_media_video.plugin import VideoPlugin
from dam_media_video.settings import VideoSettingsComponent

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from dam.core.migrations import RevisionTree
    from dam_test_utils.fixtures import MakeWorld


def differences(connection: Connection, tree: RevisionTree) -> list[Any]:
    """Between the database and the classes, as far as the tree owns them."""
    context = MigrationContext.configure(connection, opts=context_options(tree))
    return list(compare_metadata(context, Base.metadata))


async def test_the_revisions_give_the_schema_of_the_classes(make_world: MakeWorld) -> None:
    world = await make_world(FsPlugin, AudioPlugin, ImagePlugin, VideoPlugin)
    (tree,) = (tree for tree in world.revision_trees if tree.package == "dam_media_video")
    assert tree.owns(VideoSettingsComponent.__table__)
    assert not tree.owns(FramePropertiesComponent.__table__)
    async with world.engine.connect() as connection:
        assert await connection.run_sync(differences, tree) == []
