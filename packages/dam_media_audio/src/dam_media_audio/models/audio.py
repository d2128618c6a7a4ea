"""Properties and tags. Both have the namespace ``audio``, so no two of their fields may have one name."""

from sqlalchemy import String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from dam.models.core.base_component import BaseComponent, LayeredComponent
from dam.models.core.fields import UNINDEXED
from dam_media_audio.facts import COMMENT_LENGTH, TEXT_LENGTH


class AudioPropertiesComponent(
    BaseComponent,
    namespace="audio",
    aliases={
        "stream": "stream_index",
        "codec": "codec_name",
        "duration": "duration_seconds",
        "sample_rate": "sample_rate_hz",
        "bit_rate": "bit_rate_bps",
    },
):
    """One track of sound: an audio file has one, a video any number. What its file does not say is empty.

    ``stream_index`` counts all streams of the file, from 0; in a video the first track of sound is seldom stream 0.
    """

    __tablename__ = "dam_media_audio_properties"
    __table_args__ = (UniqueConstraint("entity_id", "stream_index"),)

    stream_index: Mapped[int] = mapped_column(info=UNINDEXED)
    codec_name: Mapped[str | None] = mapped_column(String(64), default=None)
    duration_seconds: Mapped[float | None] = mapped_column(default=None)
    sample_rate_hz: Mapped[int | None] = mapped_column(default=None)
    channels: Mapped[int | None] = mapped_column(default=None, info=UNINDEXED)
    bit_rate_bps: Mapped[int | None] = mapped_column(default=None, info=UNINDEXED)


class AudioTagsComponent(LayeredComponent, namespace="audio"):
    """What a recording is called and who made it. Several artists, genres or composers stand in one text, ``a; b``."""

    __tablename__ = "dam_media_audio_tags"

    title: Mapped[str | None] = mapped_column(String(TEXT_LENGTH), default=None)
    artist: Mapped[str | None] = mapped_column(String(TEXT_LENGTH), default=None)
    album: Mapped[str | None] = mapped_column(String(TEXT_LENGTH), default=None)
    album_artist: Mapped[str | None] = mapped_column(String(TEXT_LENGTH), default=None)
    track: Mapped[int | None] = mapped_column(default=None, info=UNINDEXED)
    track_total: Mapped[int | None] = mapped_column(default=None, info=UNINDEXED)
    disc: Mapped[int | None] = mapped_column(default=None, info=UNINDEXED)
    disc_total: Mapped[int | None] = mapped_column(default=None, info=UNINDEXED)
    year: Mapped[int | None] = mapped_column(default=None)
    genre: Mapped[str | None] = mapped_column(String(TEXT_LENGTH), default=None)
    composer: Mapped[str | None] = mapped_column(String(TEXT_LENGTH), default=None)
    comment: Mapped[str | None] = mapped_column(String(COMMENT_LENGTH), default=None, info=UNINDEXED)
