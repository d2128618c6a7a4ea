"""Errors of the file plugin."""

from dam.core.exceptions import DamError


class StoreMissingError(DamError):
    """The store is not where the database expects it; mount its disk, or correct ``storage_path`` or ``storage_url``. Nothing was
    created."""

    code = "DAM501"


class StoreMismatchError(DamError):
    """The place holds another store than the database knows; correct ``storage_path``, ``storage_url`` or ``database_url``."""

    code = "DAM502"


class StorageError(DamError):
    """The store cannot be written or read; the work stops here, and what was reported as added is safe."""

    code = "DAM503"


class InvalidHashError(DamError):
    """The text is not a hash of that type; check its length and its characters."""

    code = "DAM504"


class NotAFileError(DamError):
    """A folder was given without ``--recursive``, or a list of paths that cannot be read."""

    code = "DAM505"


class InvalidPatternError(DamError):
    """A pattern that says what to leave out is none; write it as in a .gitignore."""

    code = "DAM506"


class ExportError(DamError):
    """Nothing can be written to that folder; choose another, or see to what the message says and run the command again."""

    code = "DAM520"
