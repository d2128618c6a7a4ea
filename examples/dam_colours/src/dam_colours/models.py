from sqlalchemy.orm import Mapped

from dam import UniqueComponent


class DominantColourComponent(UniqueComponent, namespace="dam_colours"):
    __tablename__ = "dam_colours_dominant_colour"
    hex_colour: Mapped[str]
