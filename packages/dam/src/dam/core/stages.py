"""Stages of a world's work."""

from enum import Enum


class SystemStage(Enum):
    """Points at which systems run over everything that is marked for them."""

    METADATA_EXTRACTION = "metadata-extraction"
    """After assets were added: facts that are read from their content."""
