"""Openers: from locations of files to their bytes."""

import errno
import functools
from collections.abc import Sequence
from typing import BinaryIO

from sqlalchemy import select

from dam.core.content import ContentSource, OpenRequest
from dam_fs.models import (
    FileLocationComponent,
    FilePropertiesComponent,
    LocationCondition,
    OriginalSourceInfoComponent,
    StorageType,
)
from dam_fs.receipts import is_digest
from dam_fs.regular import open_regular
from dam_fs.resources import FileOperationsResource
from dam_fs.scan import is_unchanged


class FileOpener:
    """Opens objects of the store and files by reference. A reference whose file changed serves nothing: its bytes are others."""

    def __init__(self, files: FileOperationsResource) -> None:
        self._files = files

    async def __call__(
        self, request: OpenRequest, locations: Sequence[FileLocationComponent]
    ) -> list[ContentSource | None]:
        ids = {location.entity_id for location in locations}
        properties, source = FilePropertiesComponent, OriginalSourceInfoComponent
        types = {
            entity_id: (media_type, size)
            for entity_id, media_type, size in await request.session.execute(
                select(properties.entity_id, properties.mime_type, properties.size_bytes).where(
                    properties.entity_id.in_(ids)
                )
            )
        }
        times: dict[tuple[int, bytes], int] = {}
        if any(location.storage_type == StorageType.REFERENCE for location in locations):
            rows = await request.session.execute(
                select(source.entity_id, source.path_key, source.mtime_ns).where(source.entity_id.in_(ids))
            )
            times = {(entity_id, key): mtime for entity_id, key, mtime in rows}
        return [self._source(location, types.get(location.entity_id), times) for location in locations]

    def _source(
        self, location: FileLocationComponent, known: tuple[str, int] | None, times: dict[tuple[int, bytes], int]
    ) -> ContentSource | None:
        if known is None or not is_digest(location.content_identifier):  # nothing that anybody here has written
            return None
        media_type, size = known
        digest = bytes.fromhex(location.content_identifier)
        place = location.physical_path_or_key
        if location.storage_type == StorageType.CAS:
            if not is_digest(place):
                return None
            if location.condition == LocationCondition.OK:
                opening = functools.partial(self._files.open, place)
                return ContentSource(opening, size, media_type, digest, self._files.local_path(place))
            return ContentSource(functools.partial(_refuse, place), size, media_type, digest)
        mtime_ns = times.get((location.entity_id, location.location_key))
        is_current = functools.partial(is_unchanged, place, size, mtime_ns)
        if is_current():
            opening = functools.partial(_open, place)
            return ContentSource(opening, size, media_type, digest, place, is_current=is_current)
        return ContentSource(functools.partial(_refuse, place), size, media_type, digest)


def _open(path: str) -> BinaryIO:
    return open_regular(path, follow=True)


def _refuse(path: str) -> BinaryIO:
    raise FileNotFoundError(errno.ENOENT, "it was damaged, changed or removed after it was added", path)
