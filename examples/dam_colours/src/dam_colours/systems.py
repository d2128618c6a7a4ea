from dam import Algorithm, WorldSession, analyzer, ref, system
from dam.services.ecs_service import find_entities_by_attribute
from dam_colours.commands import FindColourCommand
from dam_colours.models import DominantColourComponent as Colour

DOMINANT = Algorithm("dam_colours.dominant", version=1)


@analyzer(DOMINANT, compute=ref("dam_colours.colour:dominant"), accepts=("image/*",), produces=(Colour,))
def colour_components(hex_colour: str) -> list[Colour]:
    return [Colour(hex_colour=hex_colour)]


@system(on_command=FindColourCommand)
async def find_colour(cmd: FindColourCommand, session: WorldSession) -> list[int]:
    return await find_entities_by_attribute(session, Colour, "hex_colour", cmd.hex_colour)
