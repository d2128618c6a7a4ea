"""Backups as the command line speaks of them."""

import asyncio
import os
from collections.abc import Callable
from typing import Any

from sqlalchemy import select

from dam.core.backup import back_up
from dam.core.backup_files import Backup
from dam.core.restoring import restore
from dam.core.world import World
from dam_app.config import Configuration
from dam_app.worlds import opened, protected_paths, unopened
from dam_fs.exceptions import StorageError
from dam_fs.models import Store
from dam_fs.resources import FileOperationsResource

Say = Callable[[str], None]


async def make_backup(configuration: Configuration, name: str, path: str, *, replacing: bool = False) -> dict[str, Any]:
    """Backs the database of a world up, whatever its schema; what was written, for people and programs."""
    async with opened(configuration, name, setup=True) as world:
        backup = await back_up(world, path, replacing=replacing, protected=protected_paths(configuration))
    return {**_described(backup), "size_bytes": os.path.getsize(backup.path)}


async def restore_backup(
    configuration: Configuration, name: str, path: str, *, force: bool = False, warn: Say = lambda _: None
) -> dict[str, Any]:
    """Restores a backup into the database of a world; ``warn`` is told where the store is not the one that it speaks of."""
    async with unopened(configuration, name) as world:
        backup = await restore(world, path, force=force)
        if problem := await _store_problem(world):
            warn(problem)
    return _described(backup)


async def _store_problem(world: World) -> str | None:
    """Why objects that the database speaks of may not be found."""
    if FileOperationsResource not in world.resources:
        return None
    files = world.get_resource(FileOperationsResource)
    async with world.reading() as session:
        expected = await session.scalar(select(Store.store_id))
    try:
        found = await asyncio.to_thread(files.read_id)
    except StorageError as e:
        return e.message
    if found == expected:
        return None
    if found is None:
        return (
            f"there is no store at {files.root}, and the restored database knows of one (id {expected}); mount its disk, or "
            "correct storage_path or storage_url"
        )
    return (
        f"the store at {files.root} has the id {found}, and the restored database "
        + (f"expects {expected}" if expected else "knows of none")
        + "; correct storage_path or storage_url, or restore another backup"
    )


def _described(backup: Backup) -> dict[str, Any]:
    return {
        "world": backup.world,
        "database": backup.database,
        "made_at": backup.made_at.isoformat(),
        "entities": backup.entities,
        "rows": sum(backup.rows.values()),
        "tables": len(backup.rows),
    }
