"""The audio plugin's tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
EFFECTIVE = sa.text("layer = 'effective'")


def upgrade() -> None:
    op.create_table(
        "dam_media_audio_config",
        sa.Column("entity_id", ID, autoincrement=False, nullable=False),
        sa.Column("run_id", ID, nullable=True),
        sa.ForeignKeyConstraint(
            ["entity_id"], ["dam_entity.id"], name="fk_dam_media_audio_config_entity_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("entity_id", name="pk_dam_media_audio_config"),
    )
    op.create_table(
        "dam_media_audio_properties",
        sa.Column("id", ID, nullable=False),
        sa.Column("entity_id", ID, nullable=False),
        sa.Column("stream_index", ID, nullable=False),
        sa.Column("codec_name", sa.String(length=64), nullable=True),
        sa.Column("duration_seconds", sa.Double(), nullable=True),
        sa.Column("sample_rate_hz", ID, nullable=True),
        sa.Column("channels", ID, nullable=True),
        sa.Column("bit_rate_bps", ID, nullable=True),
        sa.Column("run_id", ID, nullable=True),
        sa.ForeignKeyConstraint(
            ["entity_id"], ["dam_entity.id"], name="fk_dam_media_audio_properties_entity_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_dam_media_audio_properties"),
        sa.UniqueConstraint("entity_id", "stream_index", name="uq_dam_media_audio_properties_entity_id"),
    )
    for column in ("codec_name", "duration_seconds", "sample_rate_hz"):
        op.create_index(f"ix_dam_media_audio_properties_{column}", "dam_media_audio_properties", [column])
    op.create_table(
        "dam_media_audio_tags",
        sa.Column("entity_id", ID, autoincrement=False, nullable=False),
        sa.Column("layer", sa.String(length=64), nullable=False),
        sa.Column("title", sa.String(length=512), nullable=True),
        sa.Column("artist", sa.String(length=512), nullable=True),
        sa.Column("album", sa.String(length=512), nullable=True),
        sa.Column("album_artist", sa.String(length=512), nullable=True),
        sa.Column("track", ID, nullable=True),
        sa.Column("track_total", ID, nullable=True),
        sa.Column("disc", ID, nullable=True),
        sa.Column("disc_total", ID, nullable=True),
        sa.Column("year", ID, nullable=True),
        sa.Column("genre", sa.String(length=512), nullable=True),
        sa.Column("composer", sa.String(length=512), nullable=True),
        sa.Column("comment", sa.String(length=4096), nullable=True),
        sa.Column("run_id", ID, nullable=True),
        sa.ForeignKeyConstraint(
            ["entity_id"], ["dam_entity.id"], name="fk_dam_media_audio_tags_entity_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("entity_id", "layer", name="pk_dam_media_audio_tags"),
    )
    for column in ("title", "artist", "album", "album_artist", "year", "genre", "composer"):
        op.create_index(
            f"ix_dam_media_audio_tags_{column}",
            "dam_media_audio_tags",
            [column],
            sqlite_where=EFFECTIVE,
            postgresql_where=EFFECTIVE,
        )


def downgrade() -> None:
    op.drop_table("dam_media_audio_tags")
    op.drop_table("dam_media_audio_properties")
    op.drop_table("dam_media_audio_config")
