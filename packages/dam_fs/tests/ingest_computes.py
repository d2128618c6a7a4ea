"""Computes for the tests of ingest: imported by worker processes."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dam.analysis.blob import Blob


def length(blob: Blob) -> int:
    """Also leaves a line in the file that ``DAM_TEST_CALLS`` names: how often it was called."""
    with open(os.environ["DAM_TEST_CALLS"], "a") as calls:
        calls.write("length\n")
    return len(blob.head(1 << 20))


def first_byte(blob: Blob) -> int:
    return blob.head(1)[0] if blob.size else -1


def too_large(_: Blob) -> int:
    return 2**70


def loops(_: Blob) -> int:
    while True:
        pass


def hangs(_: Blob) -> int:
    time.sleep(1000)
    return 0


def crashes(_: Blob) -> int:
    os.abort()


def eats_memory(_: Blob) -> int:
    eaten = []
    while True:
        eaten.append(bytes(1 << 24))


def raises(_: Blob) -> int:
    raise ValueError("no such header")
