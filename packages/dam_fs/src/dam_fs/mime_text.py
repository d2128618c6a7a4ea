"""Text, and the formats written in it."""

from __future__ import annotations

import codecs
import json
import re

from dam_fs.mime_fields import extension
from dam_fs.mime_table import INTERPRETERS, MARKUP_ROOTS, TEXT_NAMES, TEXT_STARTS

__all__ = ["legacy_text_type", "unicode_text_type"]

# C0 without tab, newline, form feed, carriage return and escape; and DEL.
_CONTROLS = bytes(code for code in range(32) if code not in b"\t\n\f\r\x1b") + b"\x7f"
_CONTROL_POINTS = re.compile(f"[{re.escape(_CONTROLS.decode('ascii'))}]")


def unicode_text_type(head: bytes, size: int, name: str) -> str | None:
    """The type of text in UTF-8, or in UTF-16 or UTF-32 with a byte order mark; None where it is none of them."""
    whole = size <= len(head)
    if head.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        text = _decoded(head, "utf-32", whole)
    elif head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        text = _decoded(head, "utf-16", whole)
    elif b"\0" in head or len(head.translate(None, _CONTROLS)) != len(head):
        return None
    else:
        text = _decoded(head, "utf-8", whole)
        return None if text is None else _text_type(text.removeprefix("\ufeff"), whole, name)
    return None if text is None or _CONTROL_POINTS.search(text) else _text_type(text, whole, name)


def _decoded(head: bytes, encoding: str, whole: bool) -> str | None:
    try:
        return codecs.getincrementaldecoder(encoding)().decode(head, final=whole)
    except UnicodeDecodeError:
        return None


def legacy_text_type(head: bytes, size: int, name: str) -> str | None:
    """The type of text in an 8-bit encoding: no controls, few of C1, and either mostly ASCII or with spaces between."""
    length = len(head)
    if len(head.translate(None, _CONTROLS)) != length:
        return None
    high = len(head.translate(None, bytes(range(128))))
    c1 = high - len(head.translate(None, bytes(range(160))))
    spaces = sum(head.count(space) for space in (b" ", b"\n", b"\r", b"\t"))
    if c1 * 16 > length or (high * 10 > length * 3 and spaces * 20 < length):
        return None
    return _text_type(head.decode("latin-1"), size <= length, name)


def _text_type(text: str, whole: bool, name: str) -> str:
    start = text.lstrip()
    for prefix, kind in TEXT_STARTS:
        if start.startswith(prefix):
            return kind
    found = None
    match start[:1]:
        case "<":
            found = _markup_type(start)
        case "#":
            found = _hash_type(start)
        case "{" | "[":
            found = _json_type(start, whole)
    # What is called .json and is JSON may be the more exact .geojson; what is called .html and is SVG may not.
    named = TEXT_NAMES.get(extension(name), "text/plain")
    if found == "application/json":
        return named if named.endswith("json") else found
    return found or named


_CUT_JSON = re.compile(r'\{\s*"[^"\\]{0,256}"\s*:|\[\s*\{\s*"[^"\\]{0,256}"\s*:')


def _json_type(start: str, whole: bool) -> str | None:
    if not whole:
        return "application/json" if _CUT_JSON.match(start) else None
    try:
        json.loads(start)
    except (ValueError, RecursionError):
        return None
    return "application/json"


_XBM = re.compile(r"#define[ \t]+\w+_width[ \t]+\d+\s+#define[ \t]+\w+_height[ \t]+\d+\s")


def _hash_type(start: str) -> str | None:
    if _XBM.match(start[:1024]):
        return "image/x-xbitmap"
    if not start.startswith("#!"):
        return None
    words = [word.rpartition("/")[2] for word in start[2:256].partition("\n")[0].split()]
    programs = [word for word in words if word != "env" and not word.startswith("-")]
    return INTERPRETERS.get(programs[0].rstrip("0123456789."), None) if programs else None


_DOCTYPE = re.compile(r"<!DOCTYPE\s+([\w:.-]+)", re.IGNORECASE)
_ELEMENT = re.compile(r"<(?:[\w.-]+:)?([A-Za-z_][\w.-]*)[\s/>]")


def _markup_type(start: str) -> str | None:
    """By the first element; None for what starts with `<` but is neither declared as XML nor known."""
    declared = start.startswith("<?xml")
    at, doctype = _prolog_end(start)
    element = _ELEMENT.match(start, at)
    root = element[1].lower() if element else doctype
    kind = MARKUP_ROOTS.get(root) or MARKUP_ROOTS.get(doctype)
    if declared:
        return "application/xhtml+xml" if kind == "text/html" else kind or "application/xml"
    return kind


def _prolog_end(text: str) -> tuple[int, str]:
    """Where the first element starts (or the length), and the name in the document type declaration, in lower case."""
    at, doctype = 0, ""
    while text.startswith(("<?", "<!"), at):
        closing = "?>" if text.startswith("<?", at) else "-->" if text.startswith("<!--", at) else ">"
        if closing == ">":
            found = _DOCTYPE.match(text, at)
            doctype = found[1].lower() if found else doctype
            subset = text.find("[", at, max(text.find(">", at), at))
            at = text.find("]", subset) if subset > 0 else at
        end = text.find(closing, at) if at >= 0 else -1
        if end < 0:
            return len(text), doctype
        at = end + len(closing)
        while text[at : at + 1].isspace():
            at += 1
    return at, doctype
