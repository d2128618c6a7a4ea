"""Sidecars: all that is known of an asset as JSON beside its file, for programs that do not know dam."""

import base64
import json
import math
import os
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select

from dam.core.transaction import parts
from dam.core.world import World
from dam.models.core.types import PathType

SCHEMA = 1
_HIDDEN = ("id", "entity_id", "run_id")


async def sidecars(world: World, entity_ids: Sequence[int]) -> dict[int, bytes]:
    """The sidecar of each entity, one statement for each component. The same facts give the same bytes."""
    found: dict[int, list[dict[str, Any]]] = {entity_id: [] for entity_id in entity_ids}
    async with world.reading() as session:
        connection = await session.connection()
        for cls in sorted(world.components, key=lambda cls: cls.__table__.name):
            table = cls.__table__
            for part in parts(entity_ids):
                rows = await connection.execute(
                    select(table).where(table.c.entity_id.in_(part)).order_by(*table.primary_key.columns)
                )
                for row in rows.mappings():
                    fields = {key: value for key, value in row.items() if _is_shown(table.c[key])}
                    found[row["entity_id"]].append({"component": cls.__name__, **_plain_fields(table, fields)})
    return {entity_id: _as_json(entity_id, components) for entity_id, components in found.items()}


def _is_shown(column: Any) -> bool:
    return column.key == "layer" or (column.key not in _HIDDEN and column.info.get("dam_field") != "hidden")


def _as_json(entity_id: int, components: list[dict[str, Any]]) -> bytes:
    record = {"schema": SCHEMA, "entity_id": entity_id, "components": components}
    text = json.dumps(record, ensure_ascii=False, indent=2, default=str)
    return text.encode("utf-8", "replace") + b"\n"


def _plain_fields(table: Any, fields: dict[str, Any]) -> dict[str, Any]:
    """Values as JSON has them; a path that is not UTF-8 also as the bytes that it is."""
    plain: dict[str, Any] = {}
    for key, value in fields.items():
        if isinstance(value, str) and isinstance(table.c[key].type, PathType):
            raw = os.fsencode(value)
            plain[key] = raw.decode("utf-8", "replace")
            if plain[key].encode() != raw:
                plain[f"{key}_b64"] = base64.b64encode(raw).decode("ascii")
        else:
            plain[key] = _plain(value)
    return plain


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # JSON has no such numbers
    return value
