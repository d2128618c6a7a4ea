"""Databases: from the URL of a world to an engine, and to the backend that knows its kind."""

import importlib.metadata
import re
from importlib import import_module
from typing import Any, cast

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine

from dam.core.databases.backend import Backend
from dam.core.exceptions import DatabaseUnavailableError, SettingsError
from dam.core.secrets import reveal
from dam.models.config import Secret

__all__ = [
    "Backend",
    "backend_of",
    "connect",
    "database_file",
    "parse_url",
    "reading",
    "with_password",
    "without_secrets",
]

GROUP = "dam.databases"
OURS = {
    "sqlite+aiosqlite": "dam.core.databases.sqlite:BACKEND",
    "postgresql+asyncpg": "dam.core.databases.postgresql:BACKEND",
}
"""Driver → where its backend is. Those of others are entry points, which are looked for only where the driver is not ours."""

_backends: dict[str, Backend] = {}


def connect(database_url: str, password: Secret | None = None) -> AsyncEngine:
    """The engine for a world's ``database_url``. Nothing is opened yet. Raises ``SettingsError``, or
    ``DatabaseUnavailableError`` where its driver is not installed."""
    url = with_password(parse_url(database_url), password)
    try:
        return _backend(url.drivername).engine(url)
    except ModuleNotFoundError as e:
        raise DatabaseUnavailableError(
            f"database_url={url.render_as_string()!r} needs the driver {e.name!r}, which is not installed; "
            f"pip install {e.name}"
        ) from e


def backend_of(engine: Any) -> Backend:
    """The backend of an engine or a connection."""
    return _backend(f"{engine.dialect.name}+{engine.dialect.driver}")


def reading(engine: AsyncEngine) -> AsyncEngine:
    """The same engine for connections that only read: they hold no transaction open and keep no writer waiting."""
    return backend_of(engine).reading(engine)


def parse_url(database_url: str) -> URL:
    """Raises ``SettingsError`` for what is no database that dam knows."""
    shown = without_secrets(database_url)
    try:
        url = make_url(database_url)
    except (ArgumentError, ValueError) as e:
        raise SettingsError(_bad_url(shown)) from e
    if url.password is not None or "@" in (url.host or "") or any("password" in key.lower() for key in url.query):
        raise SettingsError(
            f"database_url={shown!r} holds a password, and settings are stored and shown; take it out and say where it is: "
            "database_password = { env = 'NAME' } or { file = 'PATH' }"
        )
    if not _is_known(url.drivername):
        raise SettingsError(_bad_url(shown))
    if problem := _backend(url.drivername).problem(url):
        raise SettingsError(f"database_url={shown!r} {problem}")
    return url


def without_secrets(url: str) -> str:
    """A URL for messages, however it is misspelt: a user's name may be shown, and nothing else before the last ``@``, nor what is
    asked for behind a ``?``."""
    before, at, place = url.partition("?")[0].rpartition("@")
    scheme = re.match(r"[\w+.-]*:?/{0,3}", before)
    user = before[scheme.end() :] if scheme else before
    shown = user if re.fullmatch(r"[\w.-]*", user) else "…"
    return f"{scheme[0] if scheme else ''}{shown}{at}{place}"


def with_password(url: URL, password: Secret | None) -> URL:
    """The same database, and what opens it. Raises ``SettingsError`` where the password is not to be had."""
    if password is None or _backend(url.drivername).file(url):  # a file has none
        return url
    return url.set(password=reveal(password, "database_password"))


def database_file(database_url: str) -> str | None:
    """The file of an embedded database, or ``None`` for a server's."""
    url = parse_url(database_url)
    return _backend(url.drivername).file(url)


def _is_known(driver: str) -> bool:
    return driver in OURS or driver in _backends or bool(importlib.metadata.entry_points(group=GROUP, name=driver))


def _backend(driver: str) -> Backend:
    if driver not in _backends:
        if driver in OURS:
            module, _, name = OURS[driver].partition(":")
            found = getattr(import_module(module), name)
        else:
            (entry,) = importlib.metadata.entry_points(group=GROUP, name=driver)
            found = entry.load()
        _backends[driver] = cast("Backend", found)
    return _backends[driver]


def _bad_url(shown: str) -> str:
    others = [entry.name for entry in importlib.metadata.entry_points(group=GROUP)]
    allowed = [_backend(driver).example for driver in [*OURS, *others]]
    return f"database_url={shown!r} is not a database that dam knows; allowed are {' and '.join(allowed)}"
