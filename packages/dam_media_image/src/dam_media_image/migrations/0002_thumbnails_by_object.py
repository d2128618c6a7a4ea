"""Thumbnails are found by their objects, so that no object is removed that one of them needs."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_index(
        "ix_dam_media_image_thumbnail_content_identifier", "dam_media_image_thumbnail", ["content_identifier"]
    )


def downgrade() -> None:
    op.drop_index("ix_dam_media_image_thumbnail_content_identifier", "dam_media_image_thumbnail")
