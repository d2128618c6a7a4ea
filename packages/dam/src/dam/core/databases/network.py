"""Whether a folder lies on a file system that other machines may write to as well."""

import ctypes
import os
import sys

SHARED = frozenset(
    """
    9p acfs afpfs afs beegfs ceph cifs coda davfs fhgfs glusterfs gpfs lustre ncpfs nfs nfs4 ocfs2 orangefs prl_fs pvfs2
    smb smb2 smb3 smbfs vboxsf virtiofs vmhgfs webdav
    """.split()  # noqa: SIM905  a list of words is read more easily
)
"""File systems by name, those included that a machine shares with the virtual ones on it."""

SHARED_IN_USERSPACE = frozenset(
    """
    afp ceph ceph-fuse cifs curlftpfs davfs davfs2 gcsfuse glusterfs goofys gvfsd-fuse httpfs juicefs lizardfs mfs moosefs
    mount-s3 mountpoint-s3 nfs rclone s3fs s3ql seaweedfs smbnetfs sshfs vmhgfs-fuse webdavfs
    """.split()  # noqa: SIM905
)
"""The same for ``fuse.NAME`` of Linux."""

_MACOS_LOCAL = 0x1000  # MNT_LOCAL of <sys/mount.h>
_WINDOWS_REMOTE = 4  # DRIVE_REMOTE of <fileapi.h>


def network_file_system(folder: str) -> str | None:
    """The kind of file system that a folder lies on, if other machines may write to it; ``None`` where it is local, or where the
    system does not say."""
    try:
        if sys.platform == "win32":
            drive = os.path.splitdrive(os.path.abspath(folder))[0]
            return "network drive" if ctypes.windll.kernel32.GetDriveTypeW(f"{drive}\\") == _WINDOWS_REMOTE else None
        if sys.platform == "darwin":
            return of_statfs(_statfs(folder))
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as table:
            return of_device(table.read(), os.stat(folder).st_dev)
    except (OSError, AttributeError):
        return None


def of_device(mountinfo: str, device: int) -> str | None:
    """The same from Linux's table of mounts (proc_pid_mountinfo(5)), for the device that ``stat`` tells of the folder. Paths are
    not compared: mounts may lie on top of each other."""
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        kind = after.split(" ", 1)[0]
        if before.split(" ")[2:3] == [wanted]:
            main, _, sub = kind.partition(".")
            return kind if main in SHARED or (main == "fuse" and sub in SHARED_IN_USERSPACE) else None
    return None


def of_statfs(found: bytes) -> str | None:
    """The same from what ``statfs`` of macOS fills in, the 64-bit form: flags at byte 64, the name at byte 72."""
    if int.from_bytes(found[64:68], sys.byteorder) & _MACOS_LOCAL:
        return None
    return found[72:88].split(b"\0", 1)[0].decode("ascii", "replace")


def _statfs(folder: str) -> bytes:
    libc = ctypes.CDLL(None, use_errno=True)
    found = ctypes.create_string_buffer(4096)
    call = getattr(libc, "statfs$INODE64", None) or libc.statfs  # Intel has two, of which the other one is older
    if call(os.fsencode(folder), found):
        raise OSError(ctypes.get_errno(), "statfs", folder)
    return found.raw
