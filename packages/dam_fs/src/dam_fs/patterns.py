"""Patterns of ignore files that take no longer than their length and the path's: the file may be a stranger's.

The library makes regular expressions that can match ``*a*a*a*a`` in very many ways, and tries them all. But where a part of a
pattern stands between two wildcards, its first place is as good as any later one, and what was matched need never be tried
again: the groups here are atomic. It is what Python's ``fnmatch`` does for a single part of a path.
"""

from __future__ import annotations

import re
from typing import AnyStr

from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

# What the library writes for wildcards. No user can: parts of patterns hold no "/", and all else is escaped.
_FOLDERS, _START = "(?:/.+)?", "^(?:.+/)?"
_BETWEEN_STARS = re.compile(r"\[\^/\]\*((?:(?!\[\^/\]\*)(?:\[\^/\]|[^/]))*)(?=\[\^/\]\*)")


class Pattern(GitIgnoreSpecPattern):
    """A line of an ignore file."""

    __slots__ = ()

    @classmethod
    def pattern_to_regex(cls, pattern: AnyStr) -> tuple[AnyStr | None, bool | None]:
        regex, include = super().pattern_to_regex(pattern)
        if isinstance(regex, str):
            regex = _without_retries(regex)
        return regex, include


def _without_retries(regex: str) -> str:
    regex = _BETWEEN_STARS.sub(r"(?>[^/]*?\1)", regex)
    first, *others = regex.split(_FOLDERS)
    if not others:
        return regex
    first = first.replace(_START, "^(?:.+?/)??")
    between = "".join(f"(?>(?:/.+?)??{part}(?=/))" for part in others[:-1])
    return f"(?>{first}(?=/)){between}{_FOLDERS}{others[-1]}"
