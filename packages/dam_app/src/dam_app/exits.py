"""Exit codes: the contract with shells."""

from enum import IntEnum

from dam.core.exceptions import (
    DamError,
    DatabaseLockedError,
    DatabaseUnavailableError,
    MigrationNeededError,
    NoSuchAnalyzerError,
    NoSuchEntityError,
    NoSuchWorldError,
    SettingsError,
    UnansweredRequestError,
)
from dam_app.exceptions import NewPluginError
from dam_fs.exceptions import (
    InvalidHashError,
    InvalidPatternError,
    NotAFileError,
    StoreMismatchError,
    StoreMissingError,
)
from dam_media_image.exceptions import FlatPictureError, InvalidThresholdError, NotAPictureError


class Exit(IntEnum):
    """How a command ended."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    SOME_FAILED = 3
    NOTHING_FOUND = 4
    DAMAGE = 5
    NO_WORLD = 10
    LOCKED = 11
    PASSWORD = 12
    MIGRATION = 13
    LIMIT = 101
    INTERRUPTED = 130
    CLOSED_PIPE = 141


_BY_ERROR: dict[type[DamError], Exit] = {
    DatabaseLockedError: Exit.LOCKED,
    DatabaseUnavailableError: Exit.NO_WORLD,
    FlatPictureError: Exit.NOTHING_FOUND,
    InvalidHashError: Exit.USAGE,
    InvalidPatternError: Exit.USAGE,
    InvalidThresholdError: Exit.USAGE,
    MigrationNeededError: Exit.MIGRATION,
    NewPluginError: Exit.USAGE,
    NoSuchAnalyzerError: Exit.USAGE,
    NoSuchEntityError: Exit.NOTHING_FOUND,
    NoSuchWorldError: Exit.NO_WORLD,
    NotAFileError: Exit.USAGE,
    NotAPictureError: Exit.USAGE,
    SettingsError: Exit.USAGE,
    StoreMismatchError: Exit.NO_WORLD,
    StoreMissingError: Exit.NO_WORLD,
    UnansweredRequestError: Exit.PASSWORD,
}


def exit_of(error: DamError) -> Exit:
    """The code of an error: its own, or the nearest base's."""
    return next((_BY_ERROR[kind] for kind in type(error).__mro__ if kind in _BY_ERROR), Exit.FAILED)
