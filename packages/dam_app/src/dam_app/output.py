"""What commands print: data on stdout, everything else on stderr; tables for people, JSON Lines for programs."""

import base64
import json
import os
import re
import sys
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

SCHEMA = 1
_HALVES = re.compile("[\ud800-\udc7f\udd00-\udfff]")  # no bytes of a path, but what JSON can say


def safe(text: str) -> str:
    """Text from files without what a terminal would obey: control and direction characters are shown as escapes."""
    if any("\ud800" <= c <= "\udfff" for c in text):
        text = os.fsencode(_HALVES.sub("\N{REPLACEMENT CHARACTER}", text)).decode("utf-8", "replace")
    return text if text.isprintable() else "".join(c if _is_harmless(c) else _escape(c) for c in text)


def safe_lines(text: str) -> str:
    """The same for text of several lines, or cells with tabs between them, which stay."""
    return "\n".join("\t".join(map(safe, line.split("\t"))) for line in text.split("\n"))


def _is_harmless(character: str) -> bool:
    return character.isprintable() or unicodedata.category(character) == "Zs"  # spaces of any width


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def path_fields(path: str, key: str = "path") -> dict[str, str]:
    """A path for JSON: as text, and where it is not UTF-8 also as the bytes that it is."""
    raw = os.fsencode(path)
    try:
        return {key: raw.decode("utf-8")}
    except UnicodeDecodeError:
        return {key: raw.decode("utf-8", "replace"), f"{key}_b64": base64.b64encode(raw).decode("ascii")}


def human_size(size: int) -> str:
    """Decimal units, as file managers show them."""
    value = float(size)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            break
        value /= 1000
    return f"{size} B" if unit == "B" else f"{value:.1f} {unit}"


@dataclass
class Output:
    """Where one command's words go."""

    json: bool = False
    quiet: bool = False
    verbose: bool = False

    @property
    def is_terminal(self) -> bool:
        return sys.stdout.isatty() and not self.json

    def item(self, record: Mapping[str, Any], line: str | None = None) -> None:
        """One piece of data: a JSON line, or a line for people."""
        if self.json:
            self._json("item", record)
        elif line is not None:
            print(safe_lines(line))

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """For people: aligned on a terminal, separated by tabs without a heading in a pipe."""
        if not self.is_terminal:
            for row in rows:
                print("\t".join(safe(cell) for cell in row))
            return
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in rows:
            table.add_row(*(Text(safe(cell)) for cell in row))
        Console().print(table)

    def note(self, text: str) -> None:
        """Something to know that is not data: for a person, whatever stdout is."""
        if not self.quiet:
            print(safe_lines(text), file=sys.stderr)

    def warning(self, text: str, **fields: Any) -> None:
        if self.json:
            self._json("warning", {"message": text, **fields})
        else:
            print(f"warning: {safe(text)}", file=sys.stderr)

    def error(self, text: str, **fields: Any) -> None:
        if self.json:
            self._json("error", {"message": text, **fields})
        else:
            print("error: " + safe_lines(text), file=sys.stderr)

    def progress(self, record: Mapping[str, Any]) -> None:
        if self.json:
            self._json("progress", record)
            sys.stdout.flush()

    def summary(self, record: Mapping[str, Any], line: str) -> None:
        if self.json:
            self._json("summary", record)
        else:
            self.note(line)

    def _json(self, kind: str, record: Mapping[str, Any]) -> None:
        assert not record.keys() & {"type", "schema"}, "the envelope's own keys"
        text = json.dumps({"type": kind, "schema": SCHEMA, **record}, ensure_ascii=False, default=_plain)
        text = text.encode("utf-8", "replace").decode()
        is_utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
        # JSON leaves C1 controls, directions and line separators as they are: escaped, they mean the same and harm nobody.
        print("".join(c if _is_harmless(c) and (is_utf8 or c.isascii()) else _json_escape(c) for c in text))


def _json_escape(character: str) -> str:
    return json.dumps(character)[1:-1]


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
