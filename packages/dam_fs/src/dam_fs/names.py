"""Names for files that are written for others to use: what a database says is data, and no path."""

import os
import re
import sys
import unicodedata

LONGEST = 255
"""Bytes that a name can have on the file systems that there are; some take fewer, and say so."""

PREFIX = ".dam-export-"
"""Of the temporaries of an export: no asset gets such a name, or the next export would sweep it."""

DIRECTIONS = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
"""What can turn the characters around it: all that have Unicode's property Bidi_Control."""

_DEVICE = re.compile(r"(CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|(COM|LPT)[0-9¹²³])\s*(\.|$)", re.IGNORECASE)
_NOT_ON_WINDOWS = '<>:"|?*'
_SUFFIX = 32  # what is longer after the last dot is no suffix


def file_name(wanted: str, *, windows: bool = sys.platform == "win32") -> str:
    """``wanted`` as the name of one file in a folder: no separator, control or direction character, and nothing that a system
    takes for a device or a folder. A name without these stays as it is."""
    name = "".join("_" if _is_unfit(c, windows=windows) else c for c in wanted)
    if windows:
        name = name.rstrip(". ") or "_"
    if not name.strip(". ") or _DEVICE.match(name) or name.lower().startswith(PREFIX):
        name = "_" + name.lstrip(".")
    return name


def _is_unfit(character: str, *, windows: bool) -> bool:
    return (
        character in "/\\"
        or character in DIRECTIONS
        or unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")
        or (windows and character in _NOT_ON_WINDOWS)
    )


def numbered(name: str, number: int, longest: int = LONGEST) -> str:
    """The first name is ``name``, the others are ``name (2).ext`` and so on; none has more bytes than ``longest``."""
    stem, suffix = os.path.splitext(name)
    if len(os.fsencode(suffix)) > _SUFFIX:
        stem, suffix = name, ""
    ending = suffix if number == 1 else f" ({number}){suffix}"
    room = longest - len(os.fsencode(ending))
    return _cut(stem, room) + ending


def _cut(text: str, room: int) -> str:
    """At most so many bytes, and no half character."""
    return text.encode("utf-8", "replace")[:room].decode("utf-8", "ignore")
