"""What an analysis is a function of."""

from __future__ import annotations

from typing import Self

TYPE_CHECKING = False  # workers import this module, and importing `typing` would be a sixth of their start-up
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, BinaryIO, TypeVar

    T = TypeVar("T")


class Blob:
    """Bytes at rest, of any size.

    `path` may hold surrogate escapes: names of files are bytes and need not be UTF-8. Whoever makes a blob closes it, and
    with it the views that can be closed; `with` does.
    """

    __slots__ = ("_views", "media_type", "path", "size")

    def __init__(self, path: str, size: int, media_type: str) -> None:
        self.path = path
        self.size = size
        self.media_type = media_type
        self._views: dict[object, Any] = {}

    def __repr__(self) -> str:
        return f"Blob({self.path!r}, {self.size}, {self.media_type!r})"

    def open(self) -> BinaryIO:
        return open(self.path, "rb")

    def head(self, n: int) -> bytes:
        """The first `n` bytes, or all of them where there are fewer."""
        with self.open() as file:
            return file.read(n)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes what was opened for `once`, and forgets it."""
        views, self._views = list(self._views.values()), {}
        for view in views:
            if callable(close := getattr(view, "close", None)):
                close()

    def once(self, view: Callable[[Blob], T]) -> T:
        """What `view(self)` returned the first time, shared among the analyzers of this file: a decoded picture, say.

        Whoever changes a view changes it for the others. A view that raises is tried again by the next who asks.
        """
        if view not in self._views:
            self._views[view] = view(self)
        shared: T = self._views[view]  # stored under the view that made it
        return shared
