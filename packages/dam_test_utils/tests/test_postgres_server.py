"""The server that a session of tests starts for itself."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dam_test_utils.databases import DATA, SERVER

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="users and sockets are POSIX"),
    pytest.mark.skipif(bool(os.environ.get(SERVER)), reason="another server is named"),
]

SESSION = """
import asyncio, os, sys
import psutil
from dam_test_utils.databases import PostgresDatabases, data_folder, postgres_server, stop_postgres_server

async def use(url):
    databases = PostgresDatabases(url)
    await databases.drop(await databases.create())

asyncio.run(use(postgres_server()))
folder = data_folder()
server = psutil.Process(int((folder / "postmaster.pid").read_text().split()[0]))
stop_postgres_server()
print("used as", os.getuid(), "left over:", folder.exists() or server.is_running() and server.status() != psutil.STATUS_ZOMBIE)
"""


@pytest.fixture
def temporary() -> Iterator[str]:
    """A folder for temporary files that everybody may write to, with a space in its name."""
    folder = tempfile.mkdtemp(prefix="dam test ")
    Path(folder).chmod(0o777)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def session(temporary: str, **user: Any) -> tuple[int, str]:
    """What a process prints that begins and ends a server of its own."""
    environment = {key: value for key, value in os.environ.items() if key != DATA and not key.startswith("XDG_")}
    environment |= {"TMPDIR": temporary, "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-W", "ignore", "-c", SESSION]
    done = subprocess.run(
        command, env=environment, cwd="/", capture_output=True, text=True, check=False, timeout=200, **user
    )
    return done.returncode, done.stdout + done.stderr


def test_a_server_is_started_and_stopped_where_temporary_paths_have_spaces(temporary: str) -> None:
    assert session(temporary) == (0, f"used as {os.getuid()} left over: False\n")


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root can be somebody else")
def test_an_ordinary_user_has_a_server_after_root_had_one(postgres_databases: object, temporary: str) -> None:
    import pwd

    nobody = pwd.getpwnam("nobody")
    code, said = session(temporary, user=nobody.pw_uid, group=nobody.pw_gid, extra_groups=[])
    if code and "dam_test_utils" in said and "ModuleNotFoundError" in said:
        pytest.skip("an ordinary user cannot read this installation")
    assert (code, said) == (0, f"used as {nobody.pw_uid} left over: False\n")
