"""What a backup is: an SQLite file with every table of a database, what it says of itself, and a seal over every byte."""

import hashlib
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from dam.core.exceptions import BackupError

APPLICATION_ID = 0x64616D62  # "damb"
FORMAT = 1
VERSIONS = "_alembic_version"
"""How the name of a plugin's version table ends."""

_ABOUT = """
CREATE TABLE dam_backup (
    format INTEGER NOT NULL, world TEXT NOT NULL, database TEXT NOT NULL, made_at TEXT NOT NULL, seal TEXT NOT NULL
);
CREATE TABLE dam_backup_table (name TEXT NOT NULL PRIMARY KEY, rows INTEGER NOT NULL) WITHOUT ROWID;
"""
_OWN = ("dam_backup", "dam_backup_table")
_PART = 1 << 24


@dataclass(frozen=True)
class Backup:
    """What a backup says of itself: of which world it is, on which kind of database, and how many rows each table has."""

    path: str
    world: str
    database: str
    made_at: datetime
    rows: dict[str, int]

    @property
    def entities(self) -> int:
        return self.rows.get("dam_entity", 0)

    @property
    def packages(self) -> set[str]:
        """The core and the plugins whose tables it has."""
        return {name.removesuffix(VERSIONS) for name in self.rows if name.endswith(VERSIONS)}


def seal(path: str, world: str, database: str) -> Backup:
    """Makes a backup of a file with every table: checks it, and writes down what it is. Raises ``BackupError``, and
    ``sqlite3.Error`` where it cannot be written."""
    mark = secrets.token_hex(32)
    made_at = datetime.now(UTC)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
        check(connection, f"the database of world {world!r}")
        rows = count_rows(connection)
        connection.executescript(f"BEGIN; {_ABOUT}")
        about = (FORMAT, world, database, made_at.isoformat(), mark)
        connection.execute("INSERT INTO dam_backup VALUES (?, ?, ?, ?, ?)", about)
        connection.executemany("INSERT INTO dam_backup_table VALUES (?, ?)", rows.items())
        connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
        connection.execute("COMMIT")
    with open(path, "r+b") as file:
        digest, place = _sealed(file, mark.encode())
        file.seek(place)
        file.write(digest.encode())
    return Backup(path, world, database, made_at, rows)


def read_backup(path: str) -> Backup:
    """Reads a backup and proves that it is whole. Raises ``BackupError``."""
    if not Path(path).is_file():
        raise BackupError(f"there is no file {path!r}; check the name")
    with _told(path), closing(_opened(path)) as connection:
        (number,) = connection.execute("PRAGMA application_id").fetchone()
        if number != APPLICATION_ID:
            raise BackupError(f"{path!r} is an SQLite database, and no backup that dam has made; name another file")
        about = connection.execute("SELECT format, world, database, made_at, seal FROM dam_backup").fetchone()
        if about is None or about[0] != FORMAT:
            form = about and about[0]
            raise BackupError(f"{path!r} is a backup of the format {form}, and this version reads {FORMAT}; update dam")
        with open(path, "rb") as file:
            if _sealed(file, str(about[4]).encode())[0] != about[4]:
                raise BackupError(f"{path!r} is damaged: its bytes are not those that were written; use another backup")
        check(connection, repr(path))
        said = dict(connection.execute("SELECT name, rows FROM dam_backup_table"))
        if said != count_rows(connection):
            raise BackupError(f"{path!r} is damaged: it has not the rows that it says it has; use another backup")
        return Backup(path, about[1], about[2], datetime.fromisoformat(about[3]), said)


def unpack(path: str, target: str) -> None:
    """Writes the database that a backup holds to a new file, without what the backup says of itself."""
    with _told(path), closing(_opened(path)) as source, closing(sqlite3.connect(target, isolation_level=None)) as copy:
        source.backup(copy)
        copy.executescript("".join(f"DROP TABLE {name};" for name in _OWN) + "PRAGMA application_id=0; VACUUM;")


def check(connection: sqlite3.Connection, shown: str) -> None:
    """Raises ``BackupError`` for what is damaged, or that has more than tables and indexes: nothing in it may act."""
    found = [row[0] for row in connection.execute("PRAGMA integrity_check")]
    if found != ["ok"]:
        raise BackupError(f"{shown} is damaged: {'; '.join(map(str, found[:3]))}")
    if (row := connection.execute("PRAGMA foreign_key_check").fetchone()) is not None:
        raise BackupError(f"{shown} is damaged: a row of {row[0]} refers to one of {row[2]} that is not there")
    acting = "type NOT IN ('table', 'index') OR sql LIKE 'CREATE VIRTUAL%'"
    if (row := connection.execute(f"SELECT name FROM sqlite_master WHERE {acting}").fetchone()) is not None:  # noqa: S608
        raise BackupError(f"{shown} has {row[0]!r}, which is neither a table nor an index; dam makes no such thing")


def count_rows(connection: sqlite3.Connection) -> dict[str, int]:
    """Of every table of the database, without those that are about the backup."""
    names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
    shown = [name for name in names if name not in _OWN and not name.startswith("sqlite_")]
    return {name: connection.execute(f"SELECT count(*) FROM {quoted(name)}").fetchone()[0] for name in shown}  # noqa: S608


def quoted(name: str) -> str:
    doubled = name.replace('"', '""')
    return f'"{doubled}"'


def _opened(path: str) -> sqlite3.Connection:
    """Nothing is written, not even beside it: a backup may lie on a disk that is read-only."""
    connection = sqlite3.connect(f"{Path(path).absolute().as_uri()}?mode=ro&immutable=1", uri=True)
    connection.execute("PRAGMA trusted_schema=OFF")
    return connection


def _sealed(file: BinaryIO, mark: bytes) -> tuple[str, int]:
    """The hash of a file with zeros where it has the mark, and where that is; -1 where it has none."""
    sha256 = hashlib.sha256()
    place, hashed, rest = -1, 0, b""
    # Read and not mapped: a read error, or an end that comes sooner, is an exception then, and no signal that kills.
    while part := file.read(_PART):
        rest += part
        if place < 0 and (at := rest.find(mark)) >= 0:
            place = hashed + at
            rest = rest.replace(mark, b"0" * len(mark), 1)
        whole = len(rest) if place >= 0 else max(len(rest) - len(mark) + 1, 0)  # what is left may be a part of the mark
        sha256.update(rest[:whole])
        hashed, rest = hashed + whole, rest[whole:]
    sha256.update(rest)
    return sha256.hexdigest(), place


@contextmanager
def _told(path: str) -> Iterator[None]:
    """What SQLite says of a file that is none of its own, or of which a part is missing, and the system of one on a bad disk."""
    try:
        yield
    except OSError as e:
        raise BackupError(f"{path!r} cannot be read: {e.strerror}; check its disk, or use another backup") from e
    except (sqlite3.DatabaseError, ValueError, TypeError) as e:
        raise BackupError(f"{path!r} is no backup, or is damaged: {e}; use another one") from e
