"""The picture plugin."""

from dam.core.plugin import Plugin
from dam.core.world import World
from dam_fs.plugin import FsPlugin
from dam_media_image import models
from dam_media_image.settings import ImageSettings, ImageSettingsComponent
from dam_media_image.systems.analysis_systems import (
    camera_components,
    frame_components,
    hash_analyzer,
    header_components,
)
from dam_media_image.systems.similarity_systems import find_similar_images
from dam_media_image.systems.thumbnail_systems import make_thumbnail


class ImagePlugin(Plugin):
    """Pictures: what they are, what the camera knew, and which are alike."""

    Settings = ImageSettings
    SettingsComponent = ImageSettingsComponent
    requires = (FsPlugin,)  # whose store keeps the thumbnails

    def build(self, world: World) -> None:
        for component in (
            models.ImageDimensionsComponent,
            models.FramePropertiesComponent,
            models.CameraComponent,
            models.GeoPositionComponent,
            models.ImagePerceptualPHashComponent,
            models.ImagePerceptualAHashComponent,
            models.ImagePerceptualDHashComponent,
            models.FlatPictureComponent,
            models.ThumbnailComponent,
        ):
            world.register_component(component)
        for analyzer in (hash_analyzer(world), header_components, frame_components, camera_components):
            world.register_analyzer(analyzer)
        world.register_system(find_similar_images)
        world.register_system(make_thumbnail)
