"""Errors of the core. Each class says what its reader should do; ``docs/reference/errors.md`` has a section for each code."""

from collections.abc import Iterable
from typing import Any, ClassVar


class DamError(Exception):
    """The root of all errors that dam raises on purpose."""

    code: ClassVar[str] = "DAM100"

    def __str__(self) -> str:
        return f"{self.code} {super().__str__()}"

    @property
    def message(self) -> str:
        """The text without its code."""
        return super().__str__()


class PluginError(DamError):
    """A plugin does not keep the contract; mend the class that the message names."""

    code = "DAM101"


class PluginCircleError(PluginError):
    """Plugins require each other; one of them has to do without. ``plugins`` are those of the circle."""

    def __init__(self, what: str, plugins: Iterable[Any]) -> None:
        super().__init__(what)
        self.plugins = list(dict.fromkeys(plugins))


class PluginUnavailableError(DamError):
    """A world asks for a plugin that is not installed or did not load; ``dam-cli plugins`` says why."""

    code = "DAM102"


class SystemDefinitionError(DamError):
    """A system cannot run as it is written; mend every line that the message lists."""

    code = "DAM103"


class HandlerConflictError(DamError):
    """A command has two handlers; remove one, or set ``many_handlers = True`` on the command's class."""

    code = "DAM104"


class ComponentDefinitionError(DamError):
    """A component cannot be registered as it is written; mend what the message names."""

    code = "DAM105"


class AnalyzerDefinitionError(DamError):
    """An analyzer cannot be registered as it is written; mend what the message names."""

    code = "DAM106"


class PluginConflictError(PluginError):
    """Two plugins bring the same thing, and nobody could tell which is meant; use one of them, or have one of them rename it."""

    code = "DAM107"


class NoHandlerError(DamError):
    """Nothing handles the command in this world; enable the plugin that brings its handler."""

    code = "DAM201"


class NoResultError(DamError):
    """A single result was asked for and none or several came; use ``get_all_results()`` or iterate."""

    code = "DAM202"


class TransactionDoomedError(DamError):
    """A nested command or a write failed and its error was swallowed; run what may fail inside ``transaction.savepoint()``."""

    code = "DAM203"


class ReadOnlySessionError(DamError):
    """A ``WorldSession`` only reads; ask for a ``WorldTransaction`` to write."""

    code = "DAM204"


class UncommittedRequestError(DamError):
    """A system asked a question while its transaction held writes; ask first, write afterwards."""

    code = "DAM205"


class UnansweredRequestError(DamError):
    """A system asked a question and there is nobody to answer; run it where somebody can."""

    code = "DAM206"


class NoResourceError(DamError):
    """A resource is missing in this world; call ``world.add_resource(...)`` in the plugin that owns it."""

    code = "DAM207"


class WorkerStartError(DamError):
    """No worker process can be started; its own output is in the message: mend the installation."""

    code = "DAM208"


class PoolClosedError(DamError):
    """The worker processes were ended before or while they worked; run analyses before the world is closed."""

    code = "DAM209"


class NoSuchEntityError(DamError):
    """An entity is asked for that is not in this world; ``dam-cli ls`` lists what is."""

    code = "DAM212"


class SelfDeadlockError(DamError):
    """A task would wait for its own open transaction; dispatch on ``transaction.world``, or after the transaction."""

    code = "DAM213"


class NoSuchAnalyzerError(DamError):
    """No analyzer of this world has that name; the message lists those that there are, choose one."""

    code = "DAM214"


class CopyError(DamError):
    """Entities cannot be copied between those two worlds, and nothing was; the message says what stands in the way."""

    code = "DAM215"


class SystemRunError(DamError):
    """A system failed while it ran; ``system_name`` says which, ``__cause__`` is its own error."""

    def __init__(self, what: str, system_name: str, cause: BaseException) -> None:
        super().__init__(f"{what}: {system_name} failed with {type(cause).__name__}: {cause}")
        self.system_name = system_name


class StageExecutionError(SystemRunError):
    """A system of a stage failed; what earlier batches did is committed, the marked rest is still marked."""

    code = "DAM210"


class EventHandlingError(SystemRunError):
    """A listener of an event failed; the others were called all the same. One that follows a commit is logged instead."""

    code = "DAM211"


class MigrationNeededError(DamError):
    """The database's schema is older than the code; run ``dam-cli setup-db``."""

    code = "DAM301"


class SchemaTooNewError(DamError):
    """The database was written by newer code; install at least that version of the plugin."""

    code = "DAM302"


class DatabaseUnavailableError(DamError):
    """The database cannot be opened; look at ``database_url`` and at what it points to."""

    code = "DAM303"


class DatabaseLockedError(DamError):
    """Another process held the database's write lock for too long; run the command again when it is done."""

    code = "DAM304"


class WriteConflictError(DamError):
    """Two writers stood in each other's way, and this one was chosen to try again; it did, and was always chosen."""

    code = "DAM305"


class RevisionError(DamError):
    """A revision that cannot be undone, reached or written from where the database stands; the message says where that is."""

    code = "DAM306"


class BackupError(DamError):
    """A backup cannot be made, or not be restored; nothing was changed, and the message says how to go on."""

    code = "DAM320"


class SettingsError(DamError):
    """A setting is wrong; the message names the file, the table, the key, the value and what is allowed."""

    code = "DAM401"


class NoSuchWorldError(DamError):
    """No world of that name is configured; ``dam-cli worlds list`` shows those that are."""

    code = "DAM402"
