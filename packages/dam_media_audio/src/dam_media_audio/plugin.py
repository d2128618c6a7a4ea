"""The audio plugin."""

from dam.core.plugin import Plugin
from dam.core.world import World
from dam_media_audio.settings import AudioSettings, AudioSettingsComponent
from dam_media_audio.systems.audio_systems import property_components, tag_components


class AudioPlugin(Plugin):
    """Sound: how it is coded, how long it lasts, and what its tags say."""

    Settings = AudioSettings
    SettingsComponent = AudioSettingsComponent

    def build(self, world: World) -> None:
        world.register_analyzer(property_components)
        world.register_analyzer(tag_components)
