"""Resources: services that live as long as their world."""

from typing import Any, TypeVar, cast

from dam.core.exceptions import NoResourceError

T = TypeVar("T")


class ResourceManager:
    """The world's shared services, one for each type."""

    def __init__(self) -> None:
        self._by_type: dict[type, Any] = {}

    def add(self, resource: object, as_type: type | None = None) -> None:
        """Takes the place of an earlier resource of the same type."""
        self._by_type[as_type or type(resource)] = resource

    def get(self, resource_type: type[T]) -> T:
        """Raises ``NoResourceError`` where there is none, naming those that there are."""
        if resource_type not in self._by_type:
            known = ", ".join(sorted(t.__name__ for t in self._by_type)) or "none"
            raise NoResourceError(
                f"no resource {resource_type.__name__!r} in this world (it has: {known}); "
                "add it with world.add_resource(...) in the build() of the plugin that owns it"
            )
        return cast("T", self._by_type[resource_type])  # add() keyed it by its type

    def __contains__(self, resource_type: type) -> bool:
        return resource_type in self._by_type

    def __iter__(self) -> Any:
        return iter(self._by_type.values())
