"""The roots of what an executor yields."""

from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


class BaseSystemEvent:
    """Something that a running system tells its caller."""


class BaseRequest(BaseSystemEvent):
    """Something that a running system asks its caller; the answer arrives through ``SystemExecutor.asend``."""


@dataclass
class Result(BaseSystemEvent, Generic[T]):
    """A result. A coroutine handler's return value arrives as one; a generator handler yields as many as it has."""

    value: T
