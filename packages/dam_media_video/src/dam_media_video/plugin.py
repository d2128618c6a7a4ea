"""The video plugin."""

from dam.core.exceptions import PluginError
from dam.core.plugin import Plugin
from dam.core.world import World
from dam_media_audio.plugin import AudioPlugin
from dam_media_image.plugin import ImagePlugin
from dam_media_video.settings import VideoSettings, VideoSettingsComponent
from dam_media_video.systems.video_systems import film_components

NEEDED = {"dam-media-audio": AudioPlugin, "dam-media-image": ImagePlugin}
"""Plugins whose tables hold what this one finds."""


class VideoPlugin(Plugin):
    """Moving pictures: how large they are, how many, how fast and how long, and the sound that goes with them."""

    Settings = VideoSettings
    SettingsComponent = VideoSettingsComponent

    def build(self, world: World) -> None:
        if missing := [name for name, plugin in NEEDED.items() if plugin not in world.plugins]:
            raise PluginError(
                f"dam-media-video stores what it finds in tables of {' and '.join(missing)}; "
                "name that before it among the plugins of the world"
            )
        world.register_analyzer(film_components)
