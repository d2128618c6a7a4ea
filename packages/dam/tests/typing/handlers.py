"""Snippets for type checkers. ``# wrong`` marks the lines that they must reject; they must accept all others."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Mapped

from dam import BaseCommand, EntityId, Result, UniqueComponent, World, query, system
from dam.system_events.base import BaseSystemEvent
from dam.system_events.requests import PasswordRequest, PasswordResponse


class Progress(BaseSystemEvent):
    """An event."""


class Colour(UniqueComponent):
    __tablename__ = "typing_colour"
    name: Mapped[str]


@dataclass
class Rename(BaseCommand[str, Progress]):
    """Returns the new name."""


@dataclass
class Unlock(BaseCommand[None, PasswordRequest]):
    """Asks for a password."""


@system(on_command=Rename)
async def right(cmd: Rename) -> str:
    return "name"


@system(on_command=Rename)  # wrong
async def wrong_result(cmd: Rename) -> int:
    return 1


@system(on_command=Rename)  # wrong
async def no_result(cmd: Rename) -> None:
    return None


@system(on_command=Rename)  # wrong
def not_asynchronous(cmd: Rename) -> str:
    return "name"


@system(on_command=Rename)
async def streams(cmd: Rename) -> AsyncGenerator[Progress | Result[str], None]:
    yield Progress()
    yield Result("name")


@system(on_command=Rename)  # wrong
async def streams_the_wrong_result(cmd: Rename) -> AsyncGenerator[Progress | Result[int], None]:
    yield Result(1)


@system(on_command=Unlock)
async def asks(cmd: Unlock) -> AsyncGenerator[PasswordRequest, PasswordResponse]:
    yield PasswordRequest()


async def results(world: World, entity_id: EntityId) -> None:
    name: str = await world.dispatch_command(Rename()).get_one_value()
    number: int = await world.dispatch_command(Rename()).get_one_value()  # wrong
    names: list[str] = await world.dispatch_command(Rename()).get_all_results()
    maybe: str = await world.dispatch_command(Rename()).get_first_non_none_value()  # wrong
    print(name, number, names, maybe, entity_id)


async def components(world: World) -> None:
    async with world.transaction() as transaction:
        transaction.add(1, Colour(name="red"))
        transaction.add(1, Colour("red"))  # wrong
        transaction.add(1, Colour(nmae="red"))  # wrong
        found = await transaction.get_component(1, Colour)
        print(found.name)  # wrong
    async with world.reading() as session:
        colours: Sequence[Colour] = (await session.scalars(query(Colour))).all()
        words: Sequence[str] = (await session.scalars(query(Colour))).all()  # wrong
        print(colours, words)
