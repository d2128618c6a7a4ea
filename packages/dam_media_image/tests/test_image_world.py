"""Pictures in a world: what is computed of them, and which are found to be alike."""

from __future__ import annotations

import asyncio
import os
import struct
from contextlib import asynccontextmanager
from dataclasses import replace
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageFilter
from sqlalchemy import select

from dam.commands.analysis_commands import ReprocessCommand, Which
from dam.core.analysis import local_copy
from dam.core.exceptions import NoSuchEntityError
from dam.core.query import query
from dam.core.stages import SystemStage
from dam.models.core.base_component import EFFECTIVE, EMBEDDED
from dam.models.derivation import DerivationComponent
from dam.system_events.analysis import EntitiesAnalysed
from dam_fs.commands import AddAssetsCommand, AssetOutcome
from dam_fs.plugin import FsPlugin
from dam_fs.settings import FsSettings
from dam_media_image.commands import FindSimilarImagesCommand, HashImageCommand, Match, SimilarImage, ThumbnailCommand
from dam_media_image.exceptions import (
    FlatPictureError,
    InvalidThresholdError,
    NotAPictureError,
    UndecodablePictureError,
)
from dam_media_image.hamming import ranges, rotated, signed
from dam_media_image.models import (
    CameraComponent,
    FlatPictureComponent,
    FramePropertiesComponent,
    ImageDimensionsComponent,
    ImagePerceptualDHashComponent,
    ImagePerceptualPHashComponent,
    ThumbnailComponent,
)
from dam_media_image.plugin import ImagePlugin
from dam_media_image.settings import ImageSettings
from dam_media_image.systems import similarity_systems, thumbnail_systems

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
    from pathlib import Path

    from dam.core.content import ContentSource
    from dam.core.world import World
    from dam_test_utils.fixtures import MakeWorld

    PictureWorld = Callable[..., Awaitable[World]]


def scene(seed: int, size: tuple[int, int] = (320, 240)) -> Image.Image:
    """A picture of large soft shapes: what a photograph is to a perceptual hash."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8))
    return small.resize(size, Image.Resampling.BICUBIC)


async def add(world: World, *paths: Path) -> list[int]:
    """Adds files; their entities, in the order of the paths."""
    command = AddAssetsCommand([str(path) for path in paths])
    found = {e.path: e async for e in world.dispatch_command(command) if isinstance(e, AssetOutcome)}
    ids = [found[str(path)].entity_id for path in paths]
    assert all(entity_id is not None for entity_id in ids), found
    return [entity_id for entity_id in ids if entity_id is not None]


async def similar(
    world: World, path: Path, match: str = "any", limit: int | None = None, **thresholds: Any
) -> list[SimilarImage]:
    command = FindSimilarImagesCommand(str(path), thresholds, Match(match), limit)
    return await world.dispatch_command(command).get_one_value()


def saved(picture: Image.Image, path: Path, **options: Any) -> Path:
    picture.save(path, **options)
    return path


async def test_a_picture_is_hashed_when_it_is_added_and_read_by_the_stage(world: World, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010F] = "Leica"
    (entity_id,) = await add(world, saved(scene(1), tmp_path / "a.jpg", exif=exif))
    async with world.reading() as session:
        hashed = (await session.scalars(query(ImagePerceptualPHashComponent))).one()
        assert (await session.scalars(query(ImageDimensionsComponent))).all() == []
    assert hashed.entity_id == entity_id
    assert len(hashed.hash_value) == 16
    assert hashed.rotated_16 == signed(rotated(int(hashed.hash_value, 16), 16))
    await world.execute_stage(SystemStage.METADATA_EXTRACTION)
    async with world.reading() as session:
        size = (await session.scalars(query(ImageDimensionsComponent))).one()
        layers = (await session.execute(select(CameraComponent.layer, CameraComponent.make))).all()
    assert (size.width_pixels, size.height_pixels) == (320, 240)
    assert sorted(map(tuple, layers)) == [(EFFECTIVE, "Leica"), (EMBEDDED, "Leica")]


async def test_an_animation_has_frame_properties(world: World, tmp_path: Path) -> None:
    first, *others = [scene(i) for i in range(3)]
    await add(world, saved(first, tmp_path / "a.gif", save_all=True, append_images=others, duration=500))
    await world.execute_stage(SystemStage.METADATA_EXTRACTION)
    async with world.reading() as session:
        frames = (await session.scalars(query(FramePropertiesComponent))).one()
    assert (frames.frame_count, frames.frames_per_second, frames.duration_seconds) == (3, 2.0, 1.5)


async def test_a_flat_picture_is_flagged_and_alike_to_nothing(world: World, tmp_path: Path) -> None:
    white = saved(Image.new("RGB", (90, 60), "white"), tmp_path / "white.png")
    (entity_id,) = await add(world, white)
    await add(world, saved(Image.new("RGB", (91, 60), "white"), tmp_path / "other white.png"))
    async with world.reading() as session:
        assert entity_id in (await session.scalars(select(FlatPictureComponent.entity_id))).all()
        assert (await session.scalars(query(ImagePerceptualPHashComponent))).all() == []
    with pytest.raises(FlatPictureError, match="is of one shade"):
        await similar(world, white)


async def test_the_most_alike_come_first_and_tell_which_hashes_matched(world: World, tmp_path: Path) -> None:
    original = scene(1)
    asked = saved(original, tmp_path / "asked.png")
    same = saved(original, tmp_path / "same.bmp")
    smaller = saved(original.resize((160, 120)), tmp_path / "smaller.jpg", quality=60)
    different = saved(scene(2), tmp_path / "different.png")
    same_id, smaller_id, different_id = await add(world, same, smaller, different)
    found = await similar(world, asked)
    assert found[0] == SimilarImage(same_id, {"phash": 0, "ahash": 0, "dhash": 0}, is_same=False)
    assert found[1].entity_id == smaller_id
    assert different_id not in [each.entity_id for each in found]
    assert await similar(world, asked, limit=1) == found[:1]
    assert await similar(world, asked, limit=0) == []


def variants(original: Image.Image, folder: Path) -> list[Path]:
    """What happens to pictures that are passed on."""
    turned = Image.Exif()
    turned[0x0112] = 6
    inner = (4, 3, original.width - 4, original.height - 3)
    return [
        *(saved(original, folder / f"quality-{quality}.jpg", quality=quality) for quality in (95, 70, 50, 30)),
        saved(original, folder / "other.webp", quality=75),
        saved(original, folder / "other.gif"),
        saved(original.convert("L"), folder / "grey.jpg"),
        saved(original.resize((80, 60)), folder / "small.jpg"),
        saved(original.resize((256, 256)), folder / "square.jpg"),
        saved(original.crop(inner), folder / "cropped.jpg"),
        saved(original.rotate(1, Image.Resampling.BICUBIC), folder / "tilted.jpg"),
        saved(original.filter(ImageFilter.GaussianBlur(2)), folder / "blurred.jpg"),
        saved(ImageEnhance.Brightness(original).enhance(0.7), folder / "darker.jpg"),
        saved(ImageEnhance.Contrast(original).enhance(0.7), folder / "paler.jpg"),
        saved(original.transpose(Image.Transpose.ROTATE_90), folder / "turned.jpg", exif=turned),
    ]


@pytest.mark.parametrize(("match", "bits"), [("any", 4), ("two", 8)])
async def test_a_picture_that_was_passed_on_is_found_and_no_other(
    world: World, tmp_path: Path, match: str, bits: int
) -> None:
    first, second = await add_variants(world, tmp_path, 1), await add_variants(world, tmp_path, 2)
    for seed, ids, others in ((1, first, second), (2, second, first)):
        asked = saved(scene(seed), tmp_path / "asked.png")
        found = {each.entity_id for each in await similar(world, asked, match, phash=bits, ahash=bits, dhash=bits)}
        assert set(ids) <= found
        assert not found & set(others)


async def add_variants(world: World, folder: Path, seed: int) -> list[int]:
    folder = folder / str(seed)
    folder.mkdir()
    return await add(world, *variants(scene(seed), folder))


async def put(world: World, *values: int) -> list[int]:
    async with world.transaction() as transaction:
        return [await transaction.create_entity(ImagePerceptualPHashComponent.of(value)) for value in values]


def flipped(value: int, bits: int) -> int:
    for bit in np.random.default_rng(value % 2**32 + bits).choice(64, bits, replace=False):
        value ^= 1 << int(bit)
    return value


def counting_scans(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows with every statement that looks at all hashes."""
    scans: list[int] = []
    scan = similarity_systems._scan

    def counted(*arguments: Any) -> Any:
        scans.append(1)
        return scan(*arguments)

    monkeypatch.setattr(similarity_systems, "_scan", counted)
    return scans


@pytest.mark.parametrize("value", [None, 2**63, 2**64 - 1])
@pytest.mark.parametrize("range_cost", [0, similarity_systems.RANGE_COST])
@pytest.mark.parametrize("distance", [0, 1, 3, 4, 5, 10, 18, 20, 30, 64])
async def test_everything_within_the_distance_is_found_exactly(
    world: World, monkeypatch: pytest.MonkeyPatch, distance: int, range_cost: int, value: int | None
) -> None:
    monkeypatch.setattr(similarity_systems, "RANGE_COST", range_cost)
    scans = counting_scans(monkeypatch)
    rng = np.random.default_rng(distance)
    if value is None:
        value = int.from_bytes(rng.bytes(8), "big")
    values = [flipped(value, bits) for bits in range(65)]
    values += [int.from_bytes(rng.bytes(8), "big") for _ in range(300)] + [0, 2**64 - 1, 2**63, 2**63 - 1]
    ids = await put(world, *values)
    async with world.reading() as session:
        near = await similarity_systems.near(session, ImagePerceptualPHashComponent, value, distance)
        found = {row.entity_id: row.bits for row in await session.execute(select(near.c.entity_id, near.c.bits))}
    wanted = {i: (v ^ value).bit_count() for i, v in zip(ids, values, strict=True)}
    assert found == {i: bits for i, bits in wanted.items() if bits <= distance}
    looked_at_all = distance > 20 or len(ids) <= range_cost * sum(len(r) for _, r in ranges(value, distance))
    assert bool(scans) == looked_at_all


async def test_where_many_hashes_begin_alike_all_are_judged_with_the_same_result(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = [i << 20 for i in range(3000)]
    ids = await put(world, *values)
    scans = counting_scans(monkeypatch)
    async with world.reading() as session:
        near = await similarity_systems.near(session, ImagePerceptualPHashComponent, 0, 4)
        found = {row.entity_id: row.bits for row in await session.execute(select(near.c.entity_id, near.c.bits))}
    assert scans
    assert found == {i: v.bit_count() for i, v in zip(ids, values, strict=True) if v.bit_count() <= 4}


async def test_two_or_all_hashes_can_be_asked_for(world: World, tmp_path: Path) -> None:
    asked = saved(scene(1), tmp_path / "asked.png")
    (entity_id,) = await add(world, asked)
    assert [each.entity_id for each in await similar(world, asked, "all", phash=0, ahash=0, dhash=0)] == [entity_id]
    async with world.transaction() as transaction:
        await transaction.update_components(
            ImagePerceptualPHashComponent, hash_value="0" * 16, rotated_16=0, rotated_32=0, rotated_48=0
        )
    assert [list(each.distances) for each in await similar(world, asked, "two")] == [["ahash", "dhash"]]
    assert await similar(world, asked, "all") == []


@pytest.mark.parametrize("thresholds", [{"phash": -1}, {"ahash": 65}, {"xhash": 4}])
async def test_a_wrong_threshold_is_named(world: World, tmp_path: Path, thresholds: dict[str, Any]) -> None:
    with pytest.raises(InvalidThresholdError, match=r"a threshold of phash, ahash, dhash is a number from 0 to 64"):
        await similar(world, tmp_path / "any", **thresholds)


async def test_what_cannot_be_hashed_is_told_why(world: World, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("words")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    for name, why in (
        ("nowhere", "cannot be read: No such file"),
        ("text", "is text/plain, which is no picture"),
        ("broken.png", "cannot be hashed: "),
    ):
        with pytest.raises((NotAPictureError, UndecodablePictureError), match=why):
            await similar(world, tmp_path / name)


async def test_fast_hashes_are_an_algorithm_of_their_own(picture_world: PictureWorld, tmp_path: Path) -> None:
    world = await picture_world(fast_hashes=True)
    (entity_id,) = await add(world, saved(scene(1, (1600, 1200)), tmp_path / "a.jpg"))
    async with world.reading() as session:
        names = (await session.scalars(select(DerivationComponent.algorithm))).all()
    assert names == ["dam_media_image.fast_perceptual_hashes"]
    assert [each.entity_id for each in await similar(world, tmp_path / "a.jpg", "all")] == [entity_id]


async def hashes_in(world: World) -> dict[int, str]:
    async with world.reading() as session:
        rows = await session.execute(
            select(ImagePerceptualDHashComponent.entity_id, ImagePerceptualDHashComponent.hash_value)
        )
        return {row.entity_id: row.hash_value for row in rows}


async def analysed(world: World, which: Which, *algorithms: str) -> int:
    events = [event async for event in world.dispatch_command(ReprocessCommand(algorithms, which))]
    return sum(event.entities for event in events if isinstance(event, EntitiesAnalysed))


async def test_another_choice_of_hashes_makes_all_stale_whenever_it_is_changed(
    picture_world: PictureWorld, make_world: MakeWorld, tmp_path: Path
) -> None:
    exact = await picture_world()
    rng = np.random.default_rng(5)
    noisy = [Image.fromarray(rng.integers(0, 256, (1500, 2000, 3), dtype=np.uint8)) for _ in range(3)]
    paths = [saved(each, tmp_path / f"{i}.jpg", quality=95) for i, each in enumerate(noisy)]
    await add(exact, *paths)
    before = await hashes_in(exact)
    settings = [FsSettings(storage_path=tmp_path / "store"), ImageSettings(fast_hashes=True)]
    fast = await make_world(FsPlugin, ImagePlugin, settings=settings, database_url=exact.config.database_url)
    names = "dam_media_image.perceptual_hashes", "dam_media_image.fast_perceptual_hashes"
    assert await analysed(fast, Which.STALE, names[1]) == 3
    assert await hashes_in(fast) != before
    assert await analysed(fast, Which.STALE, names[1]) == 0
    assert await analysed(exact, Which.STALE, names[0]) == 3
    assert await hashes_in(exact) == before
    async with exact.reading() as session:
        assert set(await session.scalars(select(DerivationComponent.algorithm))) == {names[0]}


async def test_a_picture_that_is_its_own_mirror_image_has_the_hashes_that_mean_something(
    world: World, tmp_path: Path
) -> None:
    half = scene(3, (160, 240))
    whole = Image.new("RGB", (320, 240))
    whole.paste(half, (0, 0))
    whole.paste(half.transpose(Image.Transpose.FLIP_LEFT_RIGHT), (160, 0))
    asked = saved(whole, tmp_path / "mirror.png")
    smaller_id, _ = await add(
        world, saved(whole.resize((160, 120)), tmp_path / "smaller.png"), saved(scene(4), tmp_path / "other.png")
    )
    (found,) = await similar(world, asked)
    assert found.entity_id == smaller_id
    assert found.distances.keys() <= {"ahash", "dhash"}
    assert [each.entity_id for each in await similar(world, asked, "all")] == [smaller_id]  # all that it has
    async with world.reading() as session:
        assert (await session.scalars(select(FlatPictureComponent))).all() == []


async def test_the_very_file_comes_first_and_is_told_apart(world: World, tmp_path: Path) -> None:
    copies = [saved(scene(1), tmp_path / f"copy.{ending}") for ending in ("png", "bmp", "tiff")]
    ids = await add(world, *copies)
    for path, entity_id in zip(copies, ids, strict=True):
        first, *others = await similar(world, path)
        assert (first.entity_id, first.is_same) == (entity_id, True)
        assert [each.is_same for each in others] == [False, False]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")
async def test_a_pipe_is_not_waited_for(world: World, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.jpg"
    os.mkfifo(pipe)
    async with asyncio.timeout(10):
        with pytest.raises(NotAPictureError, match="no regular file"):
            await similar(world, pipe)


@pytest.mark.parametrize("limit", [-1, -100])
async def test_a_negative_limit_is_refused(world: World, tmp_path: Path, limit: int) -> None:
    with pytest.raises(InvalidThresholdError, match=f"limit={limit}"):
        await similar(world, saved(scene(1), tmp_path / "a.png"), limit=limit)


async def test_the_first_frame_of_an_animator_film_is_hashed(world: World, tmp_path: Path) -> None:
    frame = np.asarray(scene(1).convert("L"))
    film = tmp_path / "film.flc"
    film.write_bytes(autodesk_film(frame))
    (entity_id,) = await add(world, film)
    (found,) = await similar(world, saved(Image.fromarray(frame), tmp_path / "frame.png"))
    assert found.entity_id == entity_id


def autodesk_film(pixels: np.ndarray) -> bytes:
    """One frame, not packed, in shades of grey."""
    height, width = pixels.shape
    palette = struct.pack("<IHHBB", 6 + 4 + 768, 4, 1, 0, 0) + bytes(i // 3 for i in range(768))
    picture = struct.pack("<IH", 6 + pixels.size, 16) + pixels.tobytes()
    frame = struct.pack("<IHH8x", 16 + len(palette) + len(picture), 0xF1FA, 2) + palette + picture
    header = struct.pack("<IHHHHHHI", 128 + len(frame), 0xAF12, 1, width, height, 8, 3, 40)
    return header.ljust(128, b"\0") + frame


async def test_a_picture_that_cannot_be_decoded_stays_with_the_reason_and_can_be_tried_again(
    world: World, tmp_path: Path
) -> None:
    broken = saved(scene(1), tmp_path / "a.png")
    broken.write_bytes(broken.read_bytes()[:5000])
    (entity_id,) = await add(world, broken)
    async with world.reading() as session:
        first = (await session.scalars(select(DerivationComponent))).one()
    assert (first.entity_id, first.status) == (entity_id, "failed")
    assert "truncated" in str(first.error)
    async with world.transaction() as transaction:
        transaction.add(entity_id, DerivationComponent(algorithm=first.algorithm, version=first.version, status="ok"))
    await world.dispatch_command(HashImageCommand(entity_id))
    async with world.reading() as session:
        again = (await session.scalars(select(DerivationComponent))).one()
    assert (again.status, again.error) == ("failed", first.error)


# -- thumbnails


async def thumbnail(world: World, entity_id: int, size: int = 64) -> Image.Image:
    return Image.open(BytesIO(await world.dispatch_command(ThumbnailCommand(entity_id, size)).get_one_value()))


async def kept(world: World) -> list[ThumbnailComponent]:
    async with world.reading() as session:
        return list(await session.scalars(select(ThumbnailComponent)))


async def test_a_thumbnail_is_made_once_and_kept_in_the_store(world: World, tmp_path: Path) -> None:
    (entity_id,) = await add(world, saved(scene(1), tmp_path / "a.jpg"))
    with await thumbnail(world, entity_id) as small:
        assert (small.format, small.size) == ("WEBP", (64, 48))
    (row,) = await kept(world)
    assert (row.entity_id, row.size_pixels, row.width_pixels, row.height_pixels) == (entity_id, 64, 64, 48)
    made = tmp_path / "store" / "objects" / row.content_identifier[:2] / row.content_identifier
    assert made.stat().st_size == row.size_bytes
    before = made.stat().st_ino
    await thumbnail(world, entity_id)
    await thumbnail(world, entity_id, 32)
    assert made.stat().st_ino == before
    assert sorted(each.size_pixels for each in await kept(world)) == [32, 64]
    made.unlink()
    with await thumbnail(world, entity_id) as small:
        assert small.size == (64, 48)
    whole = made.read_bytes()
    made.chmod(0o600)
    made.write_bytes(bytes(len(whole)))
    with await thumbnail(world, entity_id) as small:
        assert small.size == (64, 48)
    assert made.read_bytes() == whole


async def test_a_file_that_changes_while_its_thumbnail_is_made_has_none(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @asynccontextmanager
    async def changing(ways: Sequence[ContentSource]) -> AsyncIterator[tuple[ContentSource, str]]:
        async with local_copy(ways) as (way, path):
            yield replace(way, is_current=lambda: False), path

    (entity_id,) = await add(world, saved(scene(1), tmp_path / "a.jpg"))
    monkeypatch.setattr(thumbnail_systems, "local_copy", changing)
    with pytest.raises(UndecodablePictureError, match="the file changed while it was looked at"):
        await thumbnail(world, entity_id)
    assert await kept(world) == []


async def test_a_thumbnail_is_upright_transparent_where_the_picture_is_and_never_larger(
    world: World, tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = saved(scene(1), tmp_path / "turned.jpg", exif=exif)
    clear = saved(Image.new("RGBA", (20, 10), (255, 0, 0, 0)), tmp_path / "clear.png")
    deep = saved(Image.fromarray(np.full((30, 40), 40_000, np.uint16)), tmp_path / "deep.png")
    lightness = Image.new("LAB", (30, 20), (180, 128, 128))
    grey = saved(lightness, tmp_path / "grey.tiff")
    turned_id, clear_id, deep_id, grey_id = await add(world, turned, clear, deep, grey)
    with await thumbnail(world, grey_id) as small:
        assert small.size == (30, 20)
        red, green, blue = np.asarray(small)[5, 5].astype(int)
        assert max(red, green, blue) - min(red, green, blue) < 8
    with await thumbnail(world, turned_id) as small:
        assert small.size == (48, 64)
    with await thumbnail(world, clear_id) as small:
        assert (small.size, small.mode) == ((20, 10), "RGBA")
        assert small.getchannel("A").getextrema() == (0, 0)
    with await thumbnail(world, deep_id) as small:
        assert small.getpixel((5, 5)) == pytest.approx((156, 156, 156), abs=3)


async def test_what_has_no_thumbnail_is_told_why(world: World, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("words")
    broken = saved(scene(1), tmp_path / "a.png")
    broken.write_bytes(broken.read_bytes()[:5000])
    text_id, broken_id = await add(world, tmp_path / "text", broken)
    for entity_id, why in ((text_id, "is text/plain"), (broken_id, "truncated")):
        with pytest.raises((NotAPictureError, UndecodablePictureError), match=why):
            await thumbnail(world, entity_id)
    with pytest.raises(NoSuchEntityError, match="there is no entity 999"):
        await thumbnail(world, 999)
    with pytest.raises(NotAPictureError, match="1 to 2048 pixels"):
        await thumbnail(world, text_id, 0)
