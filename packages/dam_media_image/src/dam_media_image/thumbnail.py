"""Small pictures of pictures. Knows Pillow, and nothing of dam."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

from PIL import Image, ImageOps

from dam_media_image.facts import Thumbnail
from dam_media_image.picture import in_eight_bits, opened

if TYPE_CHECKING:
    from dam.analysis.blob import Blob

QUALITY = 80


def thumbnail(blob: Blob, size: int) -> Thumbnail:
    """The first frame, upright, as WebP of at most ``size`` pixels each way; never larger than the picture itself."""
    with opened(blob) as picture:
        picture.draft("RGB", (2 * size, 2 * size))  # JPEG decoders shrink by powers of two for nothing
        small = _shown(picture)
        small.thumbnail((size, size), Image.Resampling.LANCZOS, reducing_gap=2.0)
        upright = ImageOps.exif_transpose(small)
        content = BytesIO()
        upright.save(content, "WEBP", quality=QUALITY)
        return Thumbnail(content.getvalue(), *upright.size)


def _shown(picture: Image.Image) -> Image.Image:
    """In colours that WebP has; the orientation stays with it."""
    plain = in_eight_bits(picture)
    shown = plain.convert("RGBA" if plain.has_transparency_data else "RGB")
    shown.info["exif"] = picture.info.get("exif", b"")
    return shown
