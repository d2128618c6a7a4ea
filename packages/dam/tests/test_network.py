"""Databases on file systems that other machines may write to as well."""

import logging
import os
import sys
from pathlib import Path

import pytest

from dam.core.databases import network, sqlite
from dam.core.world import World
from dam.models.config import WorldConfig

MOUNTS = """\
22 28 0:21 / /proc rw,nosuid,nodev,noexec,relatime shared:12 - proc proc rw
28 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard
60 28 0:52 / /home rw,relatime shared:400 - nfs4 server:/export/home rw,vers=4.2,rsize=1048576
61 28 0:53 / /mnt/with\\040space rw - cifs //nas/photos rw,vers=3.1.1
62 28 0:54 / /mnt/ssh rw,nosuid,nodev - fuse.sshfs me@host: rw,user_id=1000
63 28 0:55 / /mnt/crypt rw,nosuid,nodev - fuse.gocryptfs /home/me/.crypt rw,user_id=1000
64 28 0:56 / /mnt/c rw,noatime - 9p C:\\134 rw,dirsync,aname=drvfs
65 60 254:16 / /home/me rw,relatime - xfs /dev/vdb rw
"""
posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no numbers of devices")


@posix
@pytest.mark.parametrize(
    ("device", "kind"),
    [
        ((254, 0), None),
        ((0, 52), "nfs4"),
        ((0, 53), "cifs"),
        ((0, 54), "fuse.sshfs"),
        ((0, 55), None),
        ((0, 56), "9p"),
        ((254, 16), None),
        ((9, 9), None),
    ],
)
def test_the_table_of_mounts_says_what_is_a_network_file_system(device: tuple[int, int], kind: str | None) -> None:
    assert network.of_device(MOUNTS, os.makedev(*device)) == kind


@pytest.mark.parametrize(
    ("flags", "name", "kind"), [(0x1000, b"apfs", None), (0, b"smbfs", "smbfs"), (0, b"nfs", "nfs")]
)
def test_macos_says_it_by_a_flag(flags: int, name: bytes, kind: str | None) -> None:
    statfs = bytes(64) + flags.to_bytes(4, sys.byteorder) + bytes(4) + name.ljust(16, b"\0") + bytes(2000)
    assert network.of_statfs(statfs) == kind


def test_a_folder_that_is_not_there_is_nowhere(tmp_path: Path) -> None:
    assert network.network_file_system(str(tmp_path / "nowhere")) is None


@pytest.mark.parametrize("kind", [None, "nfs4"])
async def test_a_database_on_one_is_warned_about_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, kind: str | None
) -> None:
    monkeypatch.setattr(sqlite, "network_file_system", lambda _folder: kind)
    file = tmp_path / "a.db"
    with caplog.at_level(logging.WARNING, "dam"):
        async with World(WorldConfig(name="a", database_url=f"sqlite+aiosqlite:///{file}")) as world:
            await world.setup()
            await world.check_schema()
    said = [record.getMessage() for record in caplog.records]
    warning = (
        f"{file}: the database lies on a network file system (nfs4); two machines that use it at once destroy it. Put the "
        "database on a local disk, or use PostgreSQL; the store may stay where it is"
    )
    assert said == ([] if kind is None else [warning])
