"""Whether a disk can hold a SQLite store, and making a new file last; it knows no label."""

from __future__ import annotations

import os
from pathlib import Path

from cacnb.errors import InputError

#: File systems that several machines share, as Linux names them. WAL needs memory that all readers
#: and writers share (sqlite.org/wal.html), and locks that some of these only pretend to have.
NETWORK_DISKS = frozenset({
    "9p", "acfs", "afs", "beegfs", "ceph", "cephfs", "cifs", "coda", "davfs", "fuse.davfs",
    "fuse.gcsfuse", "fuse.glusterfs", "fuse.mfs", "fuse.moosefs", "fuse.rclone", "fuse.s3fs",
    "fuse.sshfs", "fuse.ceph", "fuse.ceph-fuse", "fuse.juicefs", "gfs2", "glusterfs", "gpfs",
    "lustre", "ncpfs", "nfs", "nfs4", "ocfs2", "orangefs", "panfs", "pvfs2", "smb", "smb2", "smb3",
    "smbfs", "vboxsf", "virtiofs", "wekafs",
})  # fmt: skip

MOUNTS = Path("/proc/self/mountinfo")


def disk_of(path: Path, mounts: Path = MOUNTS) -> str | None:
    """The type of the file system that holds a path, or would; None where nobody tells.

    Example
    -------
    >>> disk_of(Path("/proc/self/status"), MOUNTS) in ("proc", None)
    True
    """
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return None
    place = path.resolve()
    found: tuple[int, str] | None = None
    for line in lines:
        # … 36 35 98:0 /root /mount/point options [tags] - type source options (proc(5))
        before, _, after = line.partition(" - ")
        mount = Path(_unescaped(before.split()[4]))
        deep = len(mount.parts)
        # The later of two mounts on one point covers the earlier.
        if place.is_relative_to(mount) and (found is None or deep >= found[0]):
            found = deep, after.split()[0]
    return None if found is None else found[1]


def require_local_disk(path: Path, mounts: Path = MOUNTS) -> None:
    """Raise InputError `network_disk` where a SQLite store would lie on a network file system."""
    disk = disk_of(path, mounts)
    if disk in NETWORK_DISKS:
        raise InputError(
            "network_disk",
            f"{path} is on a network file system ({disk}), where SQLite can lose labels: set "
            "CACNB_LABELS to a PostgreSQL address (postgresql://user@host/database), or to a file "
            "on a local disk",
        )


def make_lasting(path: Path) -> None:
    """Put a new file's name on disk as well; its folder is what holds it. Nothing on Windows."""
    if os.name == "nt":
        return
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _unescaped(mount: str) -> str:
    for code, character in (("040", " "), ("011", "\t"), ("012", "\n"), ("134", "\\")):
        mount = mount.replace(f"\\{code}", character)
    return mount
