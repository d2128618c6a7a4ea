"""What the trials are made with: each command that changes a world, and a world for it to change."""

from __future__ import annotations

import json
import math
import random
import shutil
import struct
import threading
import wave
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from homes import BrokenError, Done, Home, Server, damaged_in, fresh, is_whole, sha256_of
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Collection

FILES = 300  # more than one batch
VOLATILE = {"dam_run", "dam_world_identity", "dam_lease", "dam_fs_verification", "dam_fs_store"}
"""Tables that say how things came about, and not what is there."""

ALREADY = ("is there already", "holds assets")
"""How a command that makes one thing says that it is made."""


@dataclass(frozen=True)
class State:
    """What a world comes down to, whatever happened on the way."""

    counts: Counter[str]
    assets: frozenset[tuple[Any, ...]]
    sources: frozenset[tuple[Any, ...]]
    places: frozenset[tuple[Any, ...]]
    objects: frozenset[str]

    def differences(self, other: State) -> list[str]:
        found = [
            f"{name}: {self.counts[name]} rows for {other.counts[name]}"
            for name in sorted({*self.counts, *other.counts})
            if self.counts[name] != other.counts[name]
        ]
        for what in ("assets", "sources", "places", "objects"):
            mine, theirs = getattr(self, what), getattr(other, what)
            if mine != theirs:
                found.append(f"{what}: {len(mine - theirs)} too many, {len(theirs - mine)} missing")
        return found


def state_of(home: Home) -> State:
    names = sorted(home.tables - VOLATILE)
    if "dam_fs_file_location" not in names:
        return State(Counter(), frozenset(), frozenset(), frozenset(), frozenset(home.objects()))
    union = " UNION ALL ".join(f"SELECT '{name}', COUNT(*) FROM {name}" for name in names)
    assets = (  # of equal files anyone may have been the first, and give its name
        "SELECT s.hash_value, m.hash_value, p.size_bytes, p.mime_type "
        "FROM dam_fs_file_properties p LEFT JOIN dam_fs_content_hash_sha256 s ON s.entity_id = p.entity_id "
        "LEFT JOIN dam_fs_content_hash_md5 m ON m.entity_id = p.entity_id"
    )
    sources = "SELECT original_path FROM dam_fs_original_source_info"
    # what is damaged and why is no matter of chance; when it was seen is
    places = "SELECT content_identifier, contextual_filename, storage_type, condition FROM dam_fs_file_location"
    return State(
        Counter({name: count for name, count in home.rows(union) if count}),
        frozenset(home.rows(assets)),
        frozenset(home.rows(sources)),
        frozenset(home.rows(places)),
        frozenset(home.objects()),
    )


def receipted(home: Home) -> set[tuple[str, str]]:
    """Content and name of what the store's receipts say that it has: read here, and not by the code that is tried."""
    live: set[tuple[str, str]] = set()
    for file in sorted(home.store.glob("receipts/*.jsonl")):
        for line in file.read_bytes().split(b"\n"):
            try:
                said = json.loads(line)
            except ValueError:
                continue  # an empty one, or one that was torn
            if said.get("copied", True) and not said.get("derived"):
                (live.discard if said.get("deleted") else live.add)((said["sha256"], said["name"]))
    return live


def must_be_receipted(home: Home) -> None:
    """If the database were gone now, the store alone would bring back what there is, and nothing that was deleted."""
    stored = {row[:2] for row in state_of(home).places if row[2] == "cas"}
    found = receipted(home)
    if stored != found:
        raise BrokenError(f"{home.folder}: {len(stored - found)} receipts are missing, {len(found - stored)} too many")


def must_be_whole(home: Home, damaged: Collection[str] = ()) -> None:
    """Nothing is half there: every object hashes to its name, every asset has what an asset has, and the database is sound.

    ``damaged`` are the keys of objects that were damaged on purpose.
    """
    if problems := home.server.problems(home.database_url):
        raise BrokenError(f"the database is damaged: {problems[:3]}")
    objects = home.objects()
    if half := [key for key in damaged_in(objects, objects) if key not in damaged]:
        raise BrokenError(f"{len(half)} objects are half there: {half[:3]}")
    state = state_of(home)
    if hashless := [row for row in state.assets if row[0] is None or row[1] is None]:
        raise BrokenError(f"{len(hashless)} assets are half there: {hashless[:3]}")
    stored = {row[0] for row in state.places if row[2] == "cas" and row[3] == "ok"}
    if lost := stored - {*objects, *damaged}:
        raise BrokenError(f"{len(lost)} objects are lost: {sorted(lost)[:3]}")
    placed = {row[0] for row in state.places}
    if homeless := [row[0].hex() for row in state.assets if row[0].hex() not in placed]:
        raise BrokenError(f"{len(homeless)} assets are nowhere: {homeless[:3]}")


# -- what was reported has to be so


def _nothing_told(home: Home, items: list[dict[str, Any]]) -> None:
    """Nothing was promised."""


def _added(home: Home, items: list[dict[str, Any]]) -> None:
    query = (
        "SELECT o.original_path, s.hash_value FROM dam_fs_original_source_info o "
        "JOIN dam_fs_content_hash_sha256 s ON s.entity_id = o.entity_id"
    )
    told = [line["path"] for line in items if line["entity_id"]]
    known = {bytes(path): digest.hex() for path, digest in home.rows(query)} if told else {}
    objects, receipts = home.objects(), receipted(home)
    for path in told:
        key = known.get(path.encode())
        if key is None or key not in objects or sha256_of(objects[key]) != sha256_of(Path(path)):
            raise BrokenError(f"{path} was reported, and is not there")
        if (key, Path(path).name) not in receipts:
            raise BrokenError(f"{path} was reported, and the store has no receipt of it")


def _of_status(home: Home, items: list[dict[str, Any]], status: str, table: str, *, there: bool) -> None:
    told = {line["entity_id"] for line in items if line["status"] == status}
    found = {row[0] for row in home.rows(f"SELECT {'id' if table == 'dam_entity' else 'entity_id'} FROM {table}")}
    if wrong := (told - found) if there else (told & found):
        raise BrokenError(f"{status} was told of {sorted(wrong)[:3]}, and is not so")


def _trashed(home: Home, items: list[dict[str, Any]]) -> None:
    _of_status(home, items, "trashed", "dam_trashed", there=True)


def _deleted(home: Home, items: list[dict[str, Any]]) -> None:
    _of_status(home, items, "deleted", "dam_entity", there=False)


def _exported(home: Home, items: list[dict[str, Any]]) -> None:
    digests = dict(home.rows("SELECT entity_id, hash_value FROM dam_fs_content_hash_sha256"))
    for line in items:
        if line["status"] in ("exported", "known") and not is_whole(
            digests[line["entity_id"]].hex(), Path(line["path"])
        ):
            raise BrokenError(f"{line['path']} was reported as exported, and is not whole")
        if line.get("sidecar") and not _is_json(Path(line["sidecar"])):
            raise BrokenError(f"{line['sidecar']} was reported as exported, and is not whole")
    _all_whole(home, home.folder / "out", {digest.hex() for digest in digests.values()})


def _is_json(path: Path) -> bool:
    try:
        json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return False
    return True


def _all_whole(home: Home, folder: Path, digests: Collection[str]) -> None:
    """No file has a name of its own before it is whole."""
    for path in folder.glob("*.bin"):
        if sha256_of(path) not in digests:
            raise BrokenError(f"{path} is half there")


def _mended(home: Home, items: list[dict[str, Any]]) -> None:
    objects = home.objects()
    told = [line["place"] for line in items if line["status"] == "mended"]
    if half := damaged_in(objects, told):
        raise BrokenError(f"{len(half)} objects were reported as mended, and are not whole: {half[:3]}")


def _backed_up(home: Home, items: list[dict[str, Any]]) -> None:
    """A backup that has its name can be restored."""
    file = home.folder / "backup"
    if items and not file.exists():
        raise BrokenError("a backup was reported, and is not there")
    if file.exists():
        other = Home.new(fresh(home.folder.parent, "restored"), home.server)
        try:
            other.must("backup", "restore", file)
            if (
                found := other.rows("SELECT COUNT(*) FROM dam_entity")[0][0]
                - home.rows("SELECT COUNT(*) FROM dam_entity")[0][0]
            ):
                raise BrokenError(f"a backup holds {found} entities more than the world")
        finally:
            other.remove()


# -- scenes


@dataclass(frozen=True)
class Scene:
    """One command, and the world that it is run on.

    ``told`` looks whether what the command reported is so. ``codes`` are those of a run that came to its end; one that does not
    ``repeats`` may say that all is done already. What is ``receipted`` is in the store's receipts, all of it and nothing else:
    not so where the scene has changed rows behind the product's back.
    """

    name: str
    prepare: Callable[[Studio, Home], None]
    command: Callable[[Studio, Home], list[str]]
    told: Callable[[Home, list[dict[str, Any]]], None] = _nothing_told
    codes: frozenset[int] = frozenset({0})
    repeats: bool = True
    receipted: bool = True

    def is_complete(self, done: Done) -> bool:
        """Whether a run came to its end, or found that an earlier one had."""
        if done.code in self.codes:
            return True
        error = next((line["message"] for line in done.told if line["type"] == "error"), "")
        return not self.repeats and any(said in error for said in ALREADY)


@dataclass(eq=False)
class Studio:
    """Where the trials of one kind of database take place: the files to take in, and a world for each scene.

    What is to be undone at the end goes to ``exits``.
    """

    folder: Path
    server: Server

    def __post_init__(self) -> None:
        self.tree = self.folder / "tree"
        self.later = self.folder / "later"
        self.media = self.folder / "media"
        chance = random.Random(1)
        self.folder.mkdir(parents=True, exist_ok=True)
        make_files(self.tree, chance, FILES)
        shutil.copytree(self.tree, self.later)
        make_files(self.later, chance, FILES + FILES // 3, first=FILES // 2)
        make_media(self.media, chance)
        self._templates: dict[str, tuple[Home, frozenset[str]]] = {}
        self._copying = threading.Lock()
        self.exits = ExitStack()

    def home_for(self, scene: Scene) -> tuple[Home, frozenset[str]]:
        """A fresh copy of the scene's world, and the keys of what is damaged in it."""
        with self._copying:
            if scene.name not in self._templates:
                home = Home.new(fresh(self.folder, f"template-{scene.name}"), self.server)
                scene.prepare(self, home)
                objects = home.objects()
                self._templates[scene.name] = home, frozenset(damaged_in(objects, objects))
            home, damaged = self._templates[scene.name]
            return home.copied(fresh(self.folder, scene.name)), damaged

    def close(self) -> None:
        for home, _ in self._templates.values():
            home.remove()
        self.exits.close()


def make_files(folder: Path, chance: random.Random, count: int, *, first: int = 0) -> None:
    """Small files, some of them empty and some of them equal."""
    for i in range(first, count):
        path = folder / str(i % 7) / f"{i}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        content = chance.randbytes(chance.choice([1, 1000, 20_000])) + b"%d" % i
        path.write_bytes(b"" if i == 5 else b"twice" if i % 50 == 1 else content)


def make_media(folder: Path, chance: random.Random) -> None:
    """Pictures and sound, to be analysed."""
    folder.mkdir()
    for i in range(40):
        picture = Image.frombytes("RGB", (16, 16), chance.randbytes(16 * 16 * 3)).resize((160, 120))
        picture.save(folder / f"{i}.{'jpg' if i % 2 else 'png'}")
    for i in range(5):
        with wave.open(str(folder / f"{i}.wav"), "wb") as sound:
            sound.setparams((1, 2, 8000, 0, "NONE", ""))
            sound.writeframes(b"".join(struct.pack("<h", int(9000 * math.sin(n / (i + 3)))) for n in range(2000)))


def _new(studio: Studio, home: Home) -> None:
    if home.server.name != "sqlite":  # which is set up by the first command that adds
        home.must("setup-db")


def _filled(studio: Studio, home: Home) -> None:
    _new(studio, home)
    home.must("add-asset", "-r", studio.tree)


def _unanalysed(studio: Studio, home: Home) -> None:
    plain = home.with_settings(DAM_WORLDS__TRIAL__PLUGINS='["dam-fs"]')
    _filled(studio, plain)
    plain.must("add-asset", "-r", studio.media)
    home.must("setup-db")


def _trashed_most(studio: Studio, home: Home) -> None:
    _filled(studio, home)
    home.must("rm", *ids_of(home)[:-20])


def _littered(studio: Studio, home: Home) -> None:
    """Objects that no row knows, and temporaries of a process that was killed."""
    _filled(studio, home)
    home.execute("DELETE FROM dam_entity WHERE id % 2 = 0")
    killed = home.start("add-asset", "-r", studio.media, DAM_FAULT="kill objects.flushed")
    killed.finish()


def _damaged(studio: Studio, home: Home) -> None:
    _filled(studio, home)
    for key, path in sorted(home.objects().items())[::3]:
        path.chmod(0o600)
        path.write_bytes(path.read_bytes()[:-1] + bytes([int(key[:2], 16)]) + b"x")
        path.chmod(0o400)
    home.run("verify")


def _without_database(studio: Studio, home: Home) -> None:
    _filled(studio, home)
    for table in ("dam_entity", "dam_fs_store", "dam_run"):
        home.execute(f"DELETE FROM {table}")


def _old(studio: Studio, home: Home) -> None:
    _filled(studio, home)
    for plugin, revision in (("dam-fs", "0001"), ("dam", "0001")):
        home.must("db", "downgrade", plugin, revision, "--yes")


def _backup_beside(studio: Studio, home: Home) -> None:
    other = Home.new(fresh(studio.folder, "source"), home.server)
    _filled(studio, other)
    other.must("backup", home.folder / "backup")
    shutil.copytree(other.store, home.store)
    other.remove()


def ids_of(home: Home) -> list[str]:
    return [str(row[0]) for row in sorted(home.rows("SELECT entity_id FROM dam_fs_file_properties"))]


def _command(*arguments: str) -> Callable[[Studio, Home], list[str]]:
    return lambda studio, home: [each.format(studio=studio, home=home) for each in arguments]


INGEST = Scene("ingest", _new, _command("add-asset", "-r", "{studio.tree}"), _added)

FILLED = Scene("filled", _filled, _command("ls"))
"""A world to look at; nothing changes it."""

SCENES = (
    INGEST,
    Scene("re-ingest", _filled, _command("add-asset", "-r", "{studio.later}", "{studio.tree}"), _added),
    Scene("analysis", _unanalysed, _command("reprocess", "--stale")),
    Scene("media", _new, _command("add-asset", "-r", "{studio.media}"), _added),
    Scene("rm", _filled, lambda _, home: ["rm", *ids_of(home)[:-20]], _trashed),
    Scene(
        "rm --delete",
        _filled,
        lambda _, home: ["rm", "--delete", "--yes", *ids_of(home)[:-20]],
        _deleted,
        frozenset({0, 3}),
    ),
    Scene("trash empty", _trashed_most, _command("trash", "empty", "--yes"), _deleted),
    Scene("gc", _littered, _command("gc", "--grace", "0s", "--named"), receipted=False),
    Scene("repair", _damaged, _command("repair", "--from", "{studio.tree}"), _mended),
    Scene("repair --from-store", _without_database, _command("repair", "--from-store")),
    Scene("migration", _old, _command("setup-db")),
    Scene("export", _filled, _command("export", "--all", "--sidecar", "{home.folder}/out"), _exported),
    Scene("backup", _filled, _command("backup", "{home.folder}/backup"), _backed_up, repeats=False),
    Scene("backup restore", _backup_beside, _command("backup", "restore", "{home.folder}/backup"), repeats=False),
)
