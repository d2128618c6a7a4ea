"""What a world tells, kept for a test to look at."""

from collections.abc import AsyncIterable
from typing import Any, TypeVar

from dam.core.systems import system
from dam.core.world import World
from dam.events import Event

T = TypeVar("T")


class EventRecorder:
    """Keeps events in the order in which they came: those that commands and stages yield, and those that are announced.

    recorder.listen(world, AssetsAddedEvent)
    await recorder.run(world.dispatch_command(command))
    assert [event.entity_ids for event in recorder.of(AssetsAddedEvent)] == [[1, 2]]
    """

    def __init__(self) -> None:
        self.events: list[Any] = []

    def listen(self, world: World, *kinds: type[Event]) -> None:
        """Keeps events of these kinds that are announced in the world from now on."""
        for kind in kinds:
            world.register_system(self._listener(kind))

    async def run(self, executor: AsyncIterable[Any]) -> list[Any]:
        """Runs to the end, and keeps what is told; returns that."""
        told = [event async for event in executor]
        self.events += told
        return told

    def of(self, kind: type[T]) -> list[T]:
        """Those of that kind."""
        return [event for event in self.events if isinstance(event, kind)]

    def clear(self) -> None:
        """Forgets everything; listeners go on."""
        self.events.clear()

    def _listener(self, kind: type[Event]) -> Any:
        async def note(event: Event) -> None:
            self.events.append(event)

        note.__annotations__["event"] = kind
        return system(on_event=kind)(note)
