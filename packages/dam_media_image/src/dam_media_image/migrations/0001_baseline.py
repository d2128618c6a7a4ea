"""The picture plugin's tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "dam_media_image_ahash",
        sa.Column("entity_id", ID, autoincrement=False, nullable=False),
        sa.Column("hash_value", sa.BigInteger(), nullable=False),
        sa.Column("rotated_16", sa.BigInteger(), nullable=False),
        sa.Column("rotated_32", sa.BigInteger(), nullable=False),
        sa.Column("rotated_48", sa.BigInteger(), nullable=False),
        sa.Column("run_id", ID, nullable=True),
        sa.ForeignKeyConstraint(
            ["entity_id"], ["dam_entity.id"], name="fk_dam_media_image_ahash_entity_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("entity_id", name="pk_dam_media_image_ahash"),
    )
    op.create_index("ix_dam_media_image_ahash_hash_value", "dam_media_image_ahash", ["hash_value"], unique=False)
    op.create_index("ix_dam_media_image_ahash_rotated_16", "dam_media_image_ahash", ["rotated_16"], unique=False)
    op.create_index("ix_dam_media_image_ahash_rotated_32", "dam_media_image_ahash", ["rotated_32"], unique=False)
    op.create_index("ix_dam_media_image_ahash_rotated_48", "dam_media_image_ahash", ["rotated_48"], unique=False)
    op.create_table(
        "dam_media_image_camera",
        sa.Column("entity_id", ID, autoincrement=False, nullable=False),
        sa.Column("layer", sa.String(length=64), nullable=False),
        sa.Column("captured_at", sa.DateTime(), nullable=True),
        sa.Column("offset_minutes", ID, nullable=True),
        sa.Column("make", sa.String(length=255), nullable=True),
        sa.Column("model", sa.String(length=255), nullable=True),
        sa.Column("lens", sa.String(length=255), nullable=True),
        sa.Column("exposure_seconds", sa.Double(), nullable=True),
        sa.Column("f_number", sa.Double(), nullable=True),
        sa.Column("iso", ID, nullable=True),
        sa.Column("focal_length_mm", sa.Double(), nullable=True),
        sa.Column("orientation", ID, nullable=True),
        sa.Column("run_id", ID, nullable=True),
        sa.ForeignKeyConstraint(
            ["entity_id"], ["dam_entity.id"], name="fk_dam_media_image_camera_entity_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("entity_id", "layer", name="pk_dam_media_image_camera"),
    )
    op.create_index(
        "ix_dam_media_image_camera_captured_at",
        "dam_media_image_camera",
        ["captured_at"],
        unique=False,
        sqlite_where=sa.text("layer = 'effective'"),
        postgresql_where=sa.text("layer = 'effective'"),
    )
    op.create_index(
        "ix_dam_media_image_camera_exposure_seconds",
        "dam_media_image_camera",
        ["exposure_seconds"],
        unique=False,
        sqlite_where=sa.text("layer = 'effective'"),
        postgresql_where=sa.text("layer = 'effective'"),
    )
    op.create_index(
        "ix_dam_media_image_camera_f_number",
        "dam_media_image_camera",
        ["f_number"],
        unique=False,
        sqlite_where=sa.text("layer = 'effective'"),
        postgresql_where=sa.text("layer = 'effective'"),
    )
    op.create_index(
        "ix_dam_media_image_camera_focal_length_mm",
        "dam_media_image_camera",
        ["focal_length_mm"],
        unique=False,
        sqlite_where=sa.text("layer = 'effective'"),
        postgresql_where=sa.text("layer = 'effective'"),
    )
    op.create_index(
        "ix_dam_media_image_camera_iso",
        "dam_media_image_camera",
        ["iso"],
        unique=False,
        sqlite_where=sa.text("layer = 'effective'"),
        postgresql_where=sa.text("layer = 'effective'"),
    )
    op.create_index(
        "ix_dam_media_image_camera_lens",
        "dam_media_image_camera",
        ["lens"],
        unique=False,
        sqlite_where=sa.text("layer = 'effective'"),
        postgresql_where=sa.text("layer = 'effective'"),
    )
    op.create_index(
        "ix_dam_media_image_camera_make",
        "dam_media_image_camera",
        ["make"],
        unique=False,
        sqlite_where=sa.text("layer = 'effective'"),
        postgresql_where=sa.text("layer = 'effective'"),
    )
    op.create_index(
        "ix_dam_media_image_camera_model",
        "dam_media_image_camera",
        ["model"],
        unique=False,
        sqlite_where=sa.text("layer = 'effective'"),
        postgresql_where=sa.text("layer = 'effective'"),
    )
    op.create_table(
        "dam_media_image_config",
        sa.Column("entity_id", ID, autoincrement=False, nullable=False),
        sa.Column("fast_hashes", sa.Boolean(), nullable=True),
        sa.Column("run_id", ID, nullable=True),
        sa.ForeignKeyConstraint(
            ["entity_id"], ["dam_entity.id"], name="fk_dam_media_image_config_entity_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("entity_id", name="pk_dam_media_image_config"),
    )
    op.create_table(
        "dam_media_image_dhash",
        sa.Column("entity_id", ID, autoincrement=False, nullable=False),
        sa.Column("hash_value", sa.BigInteger(), nullable=False),
        sa.Column("rotated_16", sa.BigInteger(), nullable=False),
        sa.Column("rotated_32", sa.BigInteger(), nullable=False),
        sa.Column("rotated_48", sa.BigInteger(), nullable=False),
        sa.Column("run_id", ID, nullable=True),
        sa.ForeignKeyConstraint(
            ["entity_id"], ["dam_entity.id"], name="fk_dam_media_image_dhash_entity_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("entity_id", name="pk_dam_media_image_dhash"),
    )
    op.create_index("ix_dam_media_image_dhash_hash_value", "dam_media_image_dhash", ["hash_value"], unique=False)
    op.create_index("ix_dam_media_image_dhash_rotated_16", "dam_media_image_dhash", ["rotated_16"], unique=False)
    op.create_index("ix_dam_media_image_dhash_rotated_32", "dam_media_image_dhash", ["rotated_32"], unique=False)
    op.create_index("ix_dam_media_image_dhash_rotated_48", "dam_media_image_dhash", ["rotated_48"], unique=False)
    op.create_table(
        "dam_media_image_dimensions",
        sa.Column("entity_id", ID, autoincrement=False, nullable=False),
        sa.Column("width_pixels", ID, nullable=False),
        sa.Column("height_pixels", ID, nullable=False),
        sa.Column("run_id", ID, nullable=True),
        sa.ForeignKeyConstraint(
            ["entity_id"], ["dam_entity.id"], name="fk_dam_media_image_dimensions_entity_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("entity_id", name="pk_dam_media_image_dimensions"),
    )
    op.create_index(
        "ix_dam_media_image_dimensions_height_pixels", "dam_media_image_dimensions", ["height_pixels"], unique=False
    )
    op.create_index(
        "ix_dam_media_image_dimensions_width_pixels", "dam_media_image_dimensions", ["width_pixels"], unique=False
    )
    op.create_table(
        "dam_media_image_flat",
        sa.Column("entity_id", ID, autoincrement=False, nullable=False),
        sa.Column("run_id", ID, nullable=True),
        sa.ForeignKeyConstraint(
            ["entity_id"], ["dam_entity.id"], name="fk_dam_media_image_flat_entity_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("entity_id", name="pk_dam_media_image_flat"),
    )
    op.create_table(
        "dam_media_image_frame_properties",
        sa.Column("entity_id", ID, autoincrement=False, nullable=False),
        sa.Column("frame_count", ID, nullable=True),
        sa.Column("frames_per_second", sa.Double(), nullable=True),
        sa.Column("duration_seconds", sa.Double(), nullable=True),
        sa.Column("run_id", ID, nullable=True),
        sa.ForeignKeyConstraint(
            ["entity_id"], ["dam_entity.id"], name="fk_dam_media_image_frame_properties_entity_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("entity_id", name="pk_dam_media_image_frame_properties"),
    )
    op.create_index(
        "ix_dam_media_image_frame_properties_duration_seconds",
        "dam_media_image_frame_properties",
        ["duration_seconds"],
        unique=False,
    )
    op.create_index(
        "ix_dam_media_image_frame_properties_frame_count",
        "dam_media_image_frame_properties",
        ["frame_count"],
        unique=False,
    )
    op.create_index(
        "ix_dam_media_image_frame_properties_frames_per_second",
        "dam_media_image_frame_properties",
        ["frames_per_second"],
        unique=False,
    )
    op.create_table(
        "dam_media_image_geo_position",
        sa.Column("entity_id", ID, autoincrement=False, nullable=False),
        sa.Column("layer", sa.String(length=64), nullable=False),
        sa.Column("latitude_degrees", sa.Double(), nullable=True),
        sa.Column("longitude_degrees", sa.Double(), nullable=True),
        sa.Column("altitude_metres", sa.Double(), nullable=True),
        sa.Column("run_id", ID, nullable=True),
        sa.ForeignKeyConstraint(
            ["entity_id"], ["dam_entity.id"], name="fk_dam_media_image_geo_position_entity_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("entity_id", "layer", name="pk_dam_media_image_geo_position"),
    )
    op.create_index(
        "ix_dam_media_image_geo_position_latitude_degrees",
        "dam_media_image_geo_position",
        ["latitude_degrees"],
        unique=False,
        sqlite_where=sa.text("layer = 'effective'"),
        postgresql_where=sa.text("layer = 'effective'"),
    )
    op.create_index(
        "ix_dam_media_image_geo_position_longitude_degrees",
        "dam_media_image_geo_position",
        ["longitude_degrees"],
        unique=False,
        sqlite_where=sa.text("layer = 'effective'"),
        postgresql_where=sa.text("layer = 'effective'"),
    )
    op.create_table(
        "dam_media_image_phash",
        sa.Column("entity_id", ID, autoincrement=False, nullable=False),
        sa.Column("hash_value", sa.BigInteger(), nullable=False),
        sa.Column("rotated_16", sa.BigInteger(), nullable=False),
        sa.Column("rotated_32", sa.BigInteger(), nullable=False),
        sa.Column("rotated_48", sa.BigInteger(), nullable=False),
        sa.Column("run_id", ID, nullable=True),
        sa.ForeignKeyConstraint(
            ["entity_id"], ["dam_entity.id"], name="fk_dam_media_image_phash_entity_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("entity_id", name="pk_dam_media_image_phash"),
    )
    op.create_index("ix_dam_media_image_phash_hash_value", "dam_media_image_phash", ["hash_value"], unique=False)
    op.create_index("ix_dam_media_image_phash_rotated_16", "dam_media_image_phash", ["rotated_16"], unique=False)
    op.create_index("ix_dam_media_image_phash_rotated_32", "dam_media_image_phash", ["rotated_32"], unique=False)
    op.create_index("ix_dam_media_image_phash_rotated_48", "dam_media_image_phash", ["rotated_48"], unique=False)
    op.create_table(
        "dam_media_image_thumbnail",
        sa.Column("id", ID, nullable=False),
        sa.Column("entity_id", ID, nullable=False),
        sa.Column("size_pixels", ID, nullable=False),
        sa.Column("version", ID, nullable=False),
        sa.Column("width_pixels", ID, nullable=False),
        sa.Column("height_pixels", ID, nullable=False),
        sa.Column("content_identifier", sa.String(length=64), nullable=False),
        sa.Column("size_bytes", ID, nullable=False),
        sa.Column("mime_type", sa.String(length=255), nullable=False),
        sa.Column("run_id", ID, nullable=True),
        sa.ForeignKeyConstraint(
            ["entity_id"], ["dam_entity.id"], name="fk_dam_media_image_thumbnail_entity_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_dam_media_image_thumbnail"),
        sa.UniqueConstraint("entity_id", "size_pixels", name="uq_dam_media_image_thumbnail_entity_id"),
    )


def downgrade() -> None:
    op.drop_table("dam_media_image_thumbnail")
    op.drop_table("dam_media_image_phash")
    op.drop_table("dam_media_image_geo_position")
    op.drop_table("dam_media_image_frame_properties")
    op.drop_table("dam_media_image_flat")
    op.drop_table("dam_media_image_dimensions")
    op.drop_table("dam_media_image_dhash")
    op.drop_table("dam_media_image_config")
    op.drop_table("dam_media_image_camera")
    op.drop_table("dam_media_image_ahash")
