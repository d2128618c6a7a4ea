"""Settings: what a world can say about the plugin in its ``dam.toml``."""

from dam import ConfigComponent, SettingsModel


class LabelSettings(SettingsModel):
    """How labels are kept."""

    ignore_case: bool = True
    """Whether ``Beach`` and ``beach`` are the same label."""


class LabelSettingsComponent(ConfigComponent, settings=LabelSettings):
    """The settings, stored."""

    __tablename__ = "plugin_name_config"
