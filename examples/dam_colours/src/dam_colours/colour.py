from PIL import Image

from dam import Blob


def dominant(blob: Blob) -> str:
    with blob.open() as stream, Image.open(stream) as picture:
        small = picture.convert("RGB").resize((64, 64)).quantize(8).convert("RGB")
    _, colour = max(small.getcolors())
    return "#{:02x}{:02x}{:02x}".format(*colour)
