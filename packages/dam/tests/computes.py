"""Computes for the tests of analyzers: imported by worker processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dam.analysis.blob import Blob


def words(blob: Blob, log: str = "", first: int = 1_000_000) -> list[str]:
    """The first words, and a line in ``log`` for each time that it was asked."""
    if log:
        with open(log, "a") as file:
            file.write(f"{blob.size} {blob.media_type}\n")
    with blob.open() as file:
        return file.read().decode().split()[:first]


def fails(blob: Blob, log: str = "") -> list[str]:
    words(blob, log)
    raise ValueError("this is no text")
