"""Commands of the picture plugin."""

from dataclasses import dataclass, field
from enum import StrEnum

from dam.commands.analysis_commands import AnalysisCommand
from dam.commands.core import BaseCommand


@dataclass
class HashImageCommand(AnalysisCommand[None]):
    """Computes the perceptual hashes of one stored picture."""


@dataclass
class ReadImageHeaderCommand(AnalysisCommand[None]):
    """Reads width and height of one stored picture."""


@dataclass
class ReadFramesCommand(AnalysisCommand[None]):
    """Counts the frames of one stored animation."""


@dataclass
class ReadCameraFactsCommand(AnalysisCommand[None]):
    """Reads what the camera wrote into one stored picture."""


class Match(StrEnum):
    """How many of the three hashes have to be near."""

    ANY = "any"
    TWO = "two"
    ALL = "all"

    @property
    def needed(self) -> int:
        return {Match.ANY: 1, Match.TWO: 2, Match.ALL: 3}[self]


@dataclass(frozen=True)
class SimilarImage:
    """A picture that is like the one asked for: ``distances`` holds, for each hash that matched, the bits that differ.

    ``is_same`` says that it is the very file.
    """

    entity_id: int
    distances: dict[str, int]
    is_same: bool = False


@dataclass
class FindSimilarImagesCommand(BaseCommand[list[SimilarImage], None]):
    """Pictures of the world that are like the one at ``path``, the most alike first.

    ``thresholds`` are the bits in which a hash may differ, by the hash's name (``phash``, ``ahash``, ``dhash``). The picture
    need not be in the world; if it is, it is the first result. Raises ``NotAPictureError``, ``UndecodablePictureError`` or
    ``FlatPictureError``.
    """

    path: str
    thresholds: dict[str, int] = field(default_factory=dict)
    match: Match = Match.ANY
    limit: int | None = None


@dataclass
class ThumbnailCommand(BaseCommand[bytes, None]):
    """The WebP thumbnail of a stored picture, of at most ``size`` pixels each way: kept when it was made before, else made now.

    Raises ``NotAPictureError``, ``UndecodablePictureError`` or ``NoSuchEntityError``.
    """

    entity_id: int
    size: int = 256
