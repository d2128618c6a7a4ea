"""The video plugin."""

from dam.core.plugin import Plugin
from dam.core.world import World
from dam_media_audio.plugin import AudioPlugin
from dam_media_image.plugin import ImagePlugin
from dam_media_video.settings import VideoSettings, VideoSettingsComponent
from dam_media_video.systems.video_systems import film_components, still_components


class VideoPlugin(Plugin):
    """Moving pictures: how large they are, how many, how fast and how long, and the sound that goes with them."""

    Settings = VideoSettings
    SettingsComponent = VideoSettingsComponent
    requires = (AudioPlugin, ImagePlugin)  # their tables hold what this one finds

    def build(self, world: World) -> None:
        world.register_analyzer(film_components)
        world.register_analyzer(still_components)
