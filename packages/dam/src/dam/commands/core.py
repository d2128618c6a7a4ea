"""Commands: typed requests, each answered by one handler."""

from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar, get_args, get_origin

R = TypeVar("R")
E = TypeVar("E")


@dataclass
class BaseCommand(Generic[R, E]):
    """A request for one specific thing. ``R`` is what its handler returns, ``E`` the events that it may yield meanwhile."""

    many_handlers: ClassVar[bool] = False
    """A second handler is a mistake unless the command's class says here that any number may answer."""

    @classmethod
    def result_type(cls) -> Any:
        """What ``R`` is for this class: a type, or a type variable where a subclass left it open."""
        return _argument(cls, BaseCommand, 0)


def _argument(cls: type, root: type, index: int) -> Any:
    """Follows ``class A(B[int])``, ``class B(Root[T, str], Generic[T])`` up to the argument of ``root``."""
    for base in getattr(cls, "__orig_bases__", ()):
        origin, arguments = get_origin(base), get_args(base)
        if origin is root:
            return arguments[index]
        if isinstance(origin, type) and issubclass(origin, root):
            found = _argument(origin, root, index)
            return arguments[origin.__parameters__.index(found)] if isinstance(found, TypeVar) else found  # type: ignore[attr-defined]
    for base in cls.__bases__:
        if issubclass(base, root) and base is not root:
            return _argument(base, root, index)
    return Any
