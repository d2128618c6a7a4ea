"""Pictures of a blob: opened once, decoded once, however many look at them. Knows Pillow, and nothing of dam.

All of it runs in a worker process with limits, so that pictures of any size are tried, and what takes too much is stopped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

if TYPE_CHECKING:
    from dam.analysis.blob import Blob

Image.MAX_IMAGE_PIXELS = None  # the worker's limit of memory is the limit

_DRAWINGS = {"image/emf": ("WMF",), "image/wmf": ("WMF",), "image/x-eps": ("EPS",)}
"""Media types, and Pillow's formats. A size is all that they have: their pixels would be Ghostscript's or Windows' to draw."""

# The others read formats that only a registered program understands.
_REFUSED = frozenset({"EPS", "WMF", "BUFR", "GRIB", "HDF5", "MPEG"})
Pixels: TypeAlias = "np.ndarray[tuple[int, ...], np.dtype[Any]]"

_FIRST = ("JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "PPM")
ORIENTATION = 0x0112
TURNED = "dam_orientation"  # in a picture's info: the orientation that Pillow applies while it decodes
WHITE_OF_16_BITS = 65280.0  # so that the upper byte is the shade


class MissingDecoderError(Exception):
    """The format needs a library that is not installed: says how it is, and what to do then."""

    def __init__(self, media_type: str, library: str) -> None:
        super().__init__(
            f"{media_type} needs {library}, which is not installed; where dam is installed, 'uv pip install {library}' or "
            f"'python -m pip install {library}', then 'dam-cli reprocess --failed'"
        )


def opened(blob: Blob) -> Image.Image:
    """The picture with its header read and its pixels not decoded yet. Raises ``OSError`` or ``MissingDecoderError``."""
    if blob.media_type.startswith(("image/heic", "image/heif")):
        return _heif(blob)
    if blob.media_type == "image/jxl":
        return _jxl(blob)
    try:
        picture = Image.open(blob.path, formats=_DRAWINGS.get(blob.media_type) or _formats())
    except UnidentifiedImageError as e:
        raise OSError(f"no {blob.media_type} that Pillow can read") from e
    if isinstance(picture, TiffImageFile):  # decoding turns it, and forgets that it did
        picture.info[TURNED] = picture.tag_v2.get(ORIENTATION)
    return picture


def stored_size(picture: Image.Image) -> tuple[int, int]:
    """Width and height before any orientation is applied; of a TIFF Pillow tells those after it."""
    width, height = picture.size
    return (height, width) if picture.info.get(TURNED) in (5, 6, 7, 8) else (width, height)


def grey(blob: Blob) -> Pixels:
    """The first frame as people see it, in shades of grey: uint8 of (height, width), transparency over white, upright."""
    picture = blob.once(opened)
    return upright(np.asarray(_shades(picture)), orientation(picture))


def _shades(picture: Image.Image) -> Image.Image:
    if picture.mode == "LAB":  # of which the first band is the lightness
        return picture.getchannel(0)
    return flattened(in_eight_bits(picture)).convert("L")


def in_eight_bits(picture: Image.Image) -> Image.Image:
    """With 256 shades, where there are more: Pillow itself would make everything white that is not nearly black."""
    if not picture.mode.startswith(("I", "F")):
        return picture
    shades = np.nan_to_num(np.asarray(picture).astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    white = _white(picture.mode, float(shades.max(initial=0)))
    return Image.fromarray(np.clip(shades * (255 / white), 0, 255).astype(np.uint8))


def _white(mode: str, most: float) -> float:
    """The value that is white: one in fractions, the largest of its width in whole numbers, else the brightest there is."""
    if mode == "F":
        return max(most, 1.0)
    if mode.startswith("I;16") or 255 < most <= 65535:
        return WHITE_OF_16_BITS
    return max(most, 255.0)


def flattened(picture: Image.Image) -> Image.Image:
    """Without transparency. Where there was some, white shows: black drawings on nothing would all be black."""
    if not picture.has_transparency_data:
        return picture
    above = picture.convert("RGBA")
    flat = Image.new("RGBA", above.size, "white")
    flat.alpha_composite(above)
    return flat.convert("RGB")


def orientation(picture: Image.Image) -> int:
    """1 to 8 as EXIF numbers them, of pixels as they are decoded; 1 where there is none, or none that can be read."""
    if TURNED in picture.info:
        return 1
    try:
        found = picture.getexif().get(ORIENTATION, 1)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001  Pillow's readers of broken metadata raise whatever they like; the pixels are fine
        return 1
    return found if isinstance(found, int) and 1 <= found <= 8 else 1


def upright(pixels: Pixels, orientation: int) -> Pixels:
    """Turned and mirrored as the EXIF orientation asks. A view where that is possible."""
    turns = {
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.T,
        6: lambda a: a.T[:, ::-1],
        7: lambda a: a[::-1, ::-1].T,
        8: lambda a: a.T[::-1],
    }
    return turns[orientation](pixels) if orientation in turns else pixels


def _formats() -> list[str]:
    Image.init()
    return [*_FIRST, *sorted(Image.OPEN.keys() - _REFUSED - set(_FIRST))]


def _heif(blob: Blob) -> Image.Image:
    try:
        from pillow_heif import HeifImageFile  # pyright: ignore[reportMissingImports]
    except ImportError as e:
        raise MissingDecoderError(blob.media_type, "pillow-heif") from e
    file: ImageFile.ImageFile = HeifImageFile(blob.path)
    return file


def _jxl(blob: Blob) -> Image.Image:
    try:
        from imagecodecs import jpegxl_decode  # pyright: ignore[reportMissingImports]
    except ImportError as e:
        raise MissingDecoderError(blob.media_type, "imagecodecs") from e
    with blob.open() as file:
        pixels = jpegxl_decode(file.read())
    if pixels.ndim == 4:  # an animation: its first frame
        pixels = pixels[0]
    if pixels.dtype != np.uint8:
        scale = 255 / np.iinfo(pixels.dtype).max if pixels.dtype.kind == "u" else 255
        pixels = np.clip(pixels * scale, 0, 255).astype(np.uint8)
    return Image.fromarray(pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels)
