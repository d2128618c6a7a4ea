"""The plugin: what it brings into a world."""

from dam import Plugin, World

from plugin_name.models import LabelComponent
from plugin_name.settings import LabelSettings, LabelSettingsComponent
from plugin_name.systems import add_label, find_label


class LabelPlugin(Plugin):
    """Labels: assets are given them, and found by them."""

    Settings = LabelSettings
    SettingsComponent = LabelSettingsComponent

    def build(self, world: World) -> None:
        world.register_component(LabelComponent)
        world.register_system(add_label)
        world.register_system(find_label)
