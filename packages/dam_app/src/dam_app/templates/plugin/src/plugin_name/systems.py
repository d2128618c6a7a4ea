"""Systems: what happens when a command is dispatched. Their parameters say what they need, and dam provides it."""

from dam import Entity, World, WorldSession, WorldTransaction, system
from dam.services.ecs_service import find_entities_by_attribute

from plugin_name.commands import AddLabelCommand, FindLabelCommand, LabelError
from plugin_name.models import LONGEST_LABEL, LabelComponent
from plugin_name.settings import LabelSettings


@system(on_command=AddLabelCommand)
async def add_label(cmd: AddLabelCommand, world: World, transaction: WorldTransaction) -> str:
    text = as_kept(cmd.label, world.settings_of(LabelSettings))
    if await transaction.session.get(Entity, cmd.entity_id) is None:
        raise LabelError(f"there is no entity {cmd.entity_id}; 'dam-cli ls' lists those that there are")
    await transaction.add_component_to_entity(cmd.entity_id, LabelComponent(text=text))
    return text


@system(on_command=FindLabelCommand)
async def find_label(cmd: FindLabelCommand, world: World, session: WorldSession) -> list[int]:
    text = as_kept(cmd.label, world.settings_of(LabelSettings))
    return await find_entities_by_attribute(session, LabelComponent, "text", text)


def as_kept(label: str, settings: LabelSettings) -> str:
    """A label as it stands in the database: single spaces, and one case where case does not matter."""
    text = " ".join(label.split())
    if settings.ignore_case:
        text = text.casefold()
    if not 0 < len(text) <= LONGEST_LABEL:
        raise LabelError(f"a label has 1 to {LONGEST_LABEL} characters, and {label!r} would have {len(text)}")
    if not text.isprintable():
        raise LabelError(f"a label has no control characters, and {label!r} has some")
    return text
