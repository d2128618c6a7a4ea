"""Markers of the core."""

from dam.models.core.base_component import MarkerComponent


class NeedsMetadataExtractionComponent(MarkerComponent):
    """The entity's content waits for the analyzers of the ``METADATA_EXTRACTION`` stage."""

    __tablename__ = "dam_needs_metadata_extraction"
