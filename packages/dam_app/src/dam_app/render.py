"""Assets as text and as JSON."""

import json
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any

from dam.models.core.base_component import Component, LayeredComponent
from dam.models.core.types import PathType
from dam_app.output import Output, human_size, path_fields, safe
from dam_app.services import Asset, FailedAnalysis, Listed, SimilarListed, values_of
from dam_fs.models import FilePropertiesComponent

_COLUMNS = "{:>8}  {:16}  {:>10}  {:24}  {}"


def print_asset(output: Output, asset: Asset) -> None:
    """Everything about one asset."""
    if output.json:
        components = [{"component": type(c).__name__, **_layer_of(c), **_json_values(c)} for c in asset.components]
        output.item({"entity_id": asset.entity_id, "components": components})
        return
    properties = asset.of(FilePropertiesComponent)
    name = properties.original_filename if isinstance(properties, FilePropertiesComponent) else ""
    print(f"entity {asset.entity_id}" + (f"  {safe(name)}" if name else ""))
    for component in asset.components:
        title = type(component).__name__.removesuffix("Component")
        layer = f" ({component.layer})" if isinstance(component, LayeredComponent) else ""
        print(f"  {title}{layer}")
        for key, value in values_of(component).items():
            if value is not None:
                print(f"    {key:22} {_text(key, value)}")


async def print_listing(output: Output, assets: AsyncIterator[Listed]) -> int:
    """One line for each asset, on a terminal as columns below a heading; returns how many there were."""
    count = 0
    async for asset in assets:
        count += 1
        if output.json:
            output.item(asset.__dict__)
            continue
        if count == 1 and output.is_terminal:
            print(_COLUMNS.format("id", "added", "size", "type", "name"))
        cells = (
            str(asset.entity_id),
            asset.added_at.astimezone().strftime("%Y-%m-%d %H:%M") if asset.added_at else "",
            ""
            if asset.size_bytes is None
            else human_size(asset.size_bytes)
            if output.is_terminal
            else str(asset.size_bytes),
            safe(asset.mime_type or ""),
            safe(asset.name or ""),
        )
        print(_COLUMNS.format(*cells) if output.is_terminal else "\t".join(cells))
    return count


async def print_failures(output: Output, failures: AsyncIterator[FailedAnalysis]) -> int:
    """One line for each; returns how many there were."""
    count = 0
    async for each in failures:
        count += 1
        cells = (str(each.entity_id), each.algorithm, each.failure or "", each.name or "", each.error or "")
        output.item(each.__dict__, "\t".join(map(safe, cells)))
    return count


async def print_trash(output: Output, trashed: AsyncIterator[tuple[Listed, datetime]]) -> int:
    """One line for each; returns how many there were."""
    count = 0
    async for each, moment in trashed:
        count += 1
        cells = [str(each.entity_id), moment.astimezone().isoformat(sep=" ", timespec="seconds")]
        cells += [str(each.size_bytes or ""), each.mime_type or "", each.name or ""]
        output.item({**each.__dict__, "trashed_at": moment}, "\t".join(map(safe, cells)))
    return count


def print_similar(output: Output, found: Sequence[SimilarListed]) -> None:
    """One line for each, with the hashes that matched and the bits in which they differ."""
    for each in found:
        output.item({**each.listed.__dict__, "distances": each.distances, "is_same": each.is_same})
    if not output.json:
        rows = [
            (
                str(each.listed.entity_id),
                "the same file" if each.is_same else " ".join(f"{kind}:{n}" for kind, n in each.distances.items()),
                each.listed.mime_type or "",
                each.listed.name or "",
            )
            for each in found
        ]
        output.table(("id", "differs in bits", "type", "name"), rows)


def _layer_of(component: Component) -> dict[str, str]:
    return {"layer": component.layer} if isinstance(component, LayeredComponent) else {}


def _json_values(component: Component) -> dict[str, Any]:
    record: dict[str, Any] = {}
    for key, value in values_of(component).items():
        if isinstance(value, str) and isinstance(component.__table__.columns[key].type, PathType):
            record.update(path_fields(value, key))
        else:
            record[key] = (
                value.hex() if isinstance(value, bytes) else value.isoformat() if isinstance(value, datetime) else value
            )
    return record


def _text(key: str, value: Any) -> str:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, datetime):  # a camera's clock has no zone, and gets none
        return (value if value.tzinfo is None else value.astimezone()).isoformat(sep=" ", timespec="seconds")
    if isinstance(value, (dict, list)):
        return safe(json.dumps(value, ensure_ascii=False))
    if key.endswith("_ns") and isinstance(value, int):
        moment = datetime.fromtimestamp(value // 1_000_000_000, UTC).astimezone()
        return f"{value} ({moment.isoformat(sep=' ')})"
    if key == "size_bytes" and isinstance(value, int):
        return f"{value} ({human_size(value)})" if value >= 1000 else str(value)
    return safe(str(value))
