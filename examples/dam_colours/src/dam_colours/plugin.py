from dam import ConfigComponent, Plugin, SettingsModel, World
from dam_colours.systems import colour_components, find_colour


class ColoursSettings(SettingsModel):
    pass


class ColoursSettingsComponent(ConfigComponent, settings=ColoursSettings):
    __tablename__ = "dam_colours_config"


class ColoursPlugin(Plugin):
    Settings = ColoursSettings
    SettingsComponent = ColoursSettingsComponent

    def build(self, world: World) -> None:
        world.register_analyzer(colour_components)
        world.register_system(find_colour)
