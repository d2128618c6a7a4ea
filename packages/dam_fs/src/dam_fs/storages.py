"""Storages that other packages bring: from a world's ``storage_url`` to the storage of its scheme."""

import importlib.metadata
from collections.abc import Callable
from typing import TypeAlias

from dam.core.databases import without_secrets
from dam.core.exceptions import DamError, SettingsError
from dam_fs.storage import Storage

GROUP = "dam.storages"
"""Entry points: URL scheme → ``OpenStorage``."""

OpenStorage: TypeAlias = Callable[[str], Storage]
"""Gets the URL as it is set; reaches for nothing yet, for worlds are built that nobody will use."""


def open_storage(url: str) -> Storage:
    """Raises ``SettingsError`` for a scheme that no installed package brings, and where that package fails."""
    shown = without_secrets(url)
    scheme = url.partition(":")[0] if ":" in url else ""
    if _has_secret(url):
        raise SettingsError(
            f"[settings.dam-fs] storage_url={shown!r} holds a secret, and settings are stored and shown; take it out, and let "
            "the package of that scheme say where it looks for one"
        )
    found = list(importlib.metadata.entry_points(group=GROUP, name=scheme)) if scheme else []
    if not found:
        known = ", ".join(sorted({entry.name for entry in importlib.metadata.entry_points(group=GROUP)}))
        raise SettingsError(
            f"[settings.dam-fs] storage_url={shown!r} has the scheme {scheme!r}, which no installed package brings; installed "
            f"are: {known or 'none'}. For a folder, set storage_path"
        )
    try:
        opening: OpenStorage = found[0].load()
        return opening(url)
    except DamError:
        raise
    except Exception as e:
        raise SettingsError(
            f"[settings.dam-fs] storage_url={shown!r}: {found[0].value} failed with {type(e).__name__}: {e}; correct the URL, "
            "or mend the package"
        ) from e


def _has_secret(url: str) -> bool:
    """A password before the host, or anything called like one behind it."""
    before, _, _ = url.partition("?")[0].rpartition("@")
    rest = url[len(before) :].lower()
    return ":" in before.partition(":")[2] or any(word in rest for word in ("password", "secret", "token", "key="))
