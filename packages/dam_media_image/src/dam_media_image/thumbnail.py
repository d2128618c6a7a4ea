"""Small pictures of pictures. Knows Pillow, and nothing of dam."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

from PIL import Image, ImageCms

from dam_media_image.facts import Thumbnail
from dam_media_image.picture import in_eight_bits, opened, orientation

if TYPE_CHECKING:
    from dam.analysis.blob import Blob

QUALITY = 80
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What EXIF's orientations ask for."""


def thumbnail(blob: Blob, size: int) -> Thumbnail:
    """The first frame, upright, as WebP of at most ``size`` pixels each way; never larger than the picture itself."""
    with opened(blob) as picture:
        picture.draft("RGB", (2 * size, 2 * size))  # JPEG decoders shrink by powers of two for nothing
        small = _shown(picture)
        small.thumbnail((size, size), Image.Resampling.LANCZOS, reducing_gap=2.0)
        turn = TURNS.get(orientation(picture))
        shown = small if turn is None else small.transpose(turn)
        content = BytesIO()
        shown.save(content, "WEBP", quality=QUALITY)
        return Thumbnail(content.getvalue(), *shown.size)


def _shown(picture: Image.Image) -> Image.Image:
    """In colours that WebP has."""
    if picture.mode == "LAB":
        to_colours = ImageCms.buildTransform(
            ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB"
        )
        return to_colours.apply(picture)
    plain = in_eight_bits(picture)
    return plain.convert("RGBA" if plain.has_transparency_data else "RGB")
