"""`media_type` against the names that libmagic gave to several hundred files of other people."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from dam_fs.mime import HEAD_BYTES, media_type

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"

# What libmagic calls it: the registered name, or where none is, the more common one.
SAME = {
    "application/x-rar": "application/vnd.rar",
    "application/x-shockwave-flash": "application/vnd.adobe.flash.movie",
    "audio/vnd.dolby.dd-raw": "audio/ac3",
    "audio/x-aiff": "audio/aiff",
    "audio/x-hx-aac-adif": "audio/aac",
    "audio/x-hx-aac-adts": "audio/aac",
    "audio/x-m4a": "audio/mp4",
    "image/x-jp2-codestream": "image/j2c",
    "image/x-portable-greymap": "image/x-portable-graymap",
    "video/x-m4v": "video/mp4",
}

# Where libmagic knows nothing or less.
MORE_EXACT = {
    # no name, or no rule at all, in its database
    "beets/full.wv": "audio/x-wavpack",
    "exiv2/Canon-R6-pruned.CR3": "image/x-canon-cr3",
    "libvips/sample.hdr": "image/vnd.radiance",
    "metadata-extractor-images/rw2/Issue 419.rw2": "image/x-panasonic-rw2",
    "mutagen/has-tags.tak": "audio/x-tak",
    "pillow/hopper.dds": "image/x-dds",
    "pillow/hopper.msp": "image/x-msp",
    "pillow/hopper.ras": "image/x-sun-raster",
    "pillow/hopper.rgb": "image/x-sgi",
    # text that is a picture, or XMP
    "metadata-extractor-images/xmp/APhotoManager-exmaple.xmp": "application/rdf+xml",
    "pillow/hopper.im": "image/x-ifunc",
    "pillow/hopper.xbm": "image/x-xbitmap",
    # animated
    "hydrus/muh_apng.png": "image/apng",
    "pillow/iss634.apng": "image/apng",
    # sound only, by the streams inside; nero-chapters.m4b by its name too, as its `moov` is at the end
    "beets/full.wma": "audio/x-ms-wma",
    "metadata-extractor-fuzz/fuzzing/crash-fa0988175805af30088394b46a8ebb22b09a2db6.fuzzed": "audio/mp4",
    "mutagen/ep7.m4b": "audio/mp4",
    "mutagen/has-tags.m4a": "audio/mp4",
    "mutagen/nero-chapters.m4b": "audio/mp4",
    "mutagen/no-tags.3g2": "audio/3gpp2",
    # damaged behind the magic number
    "metadata-extractor-fuzz/fuzzing/crash-26a0c51b10b58648f26e8b21c989cf70c3e57589.fuzzed": "video/mp4",
    "pillow/broken.png": "image/png",
    # six bytes, one a backspace: no text
    "metadata-extractor-images/mp3/ArithmeticException.Mp3Reader.extract.mp3": "application/octet-stream",
}


def answers() -> list[tuple[str, str, str]]:
    """Path, the type libmagic gave and the type we give, of every file."""
    with (CORPUS / "manifest.csv").open(newline="", encoding="utf-8") as manifest:
        rows = [(row["path"], row["mime_file"], int(row["bytes"])) for row in csv.DictReader(manifest)]
    found = []
    for path, theirs, size in rows:
        with (CORPUS / "files" / path).open("rb") as file:
            found.append((path, theirs, media_type(file.read(HEAD_BYTES), size, path.rpartition("/")[2])))
    return found


@pytest.mark.skipif(not (CORPUS / "manifest.csv").is_file(), reason=f"no corpus of real files at {CORPUS}")
def test_real_files_have_the_type_that_libmagic_gives_or_a_more_exact_one() -> None:
    everything = answers()
    assert len(everything) > 300
    expected = {path: MORE_EXACT.get(path, SAME.get(theirs, theirs)) for path, theirs, _ in everything}
    assert {path: ours for path, _, ours in everything if ours != expected[path]} == {}
    assert MORE_EXACT.keys() <= expected.keys()
