"""Zip and tar archives laid out as files for the length of a use; it does not know what they hold.

Unpacking costs what the archive weighs: it is the one place where an inspection reads pixels.
"""

from __future__ import annotations

import shutil
import tarfile
import tempfile
import weakref
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

#: More members than any CT study has.
MOST_MEMBERS = 100_000
#: Part of the free disk that an unpacked archive may take.
DISK_SHARE = 0.8

ZIP_ENDINGS = (".zip",)
TAR_ENDINGS = (
    ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz", ".tbz2", ".tar.xz", ".txz",
)  # fmt: skip

_DAMAGED = ("undecodable", "the member is damaged: copy the archive again")
_UNSAFE = ("unsafe_archive", "the member points outside the archive, or is a link or device")
_ENCRYPTED = ("encrypted", "the member is encrypted: unpack the archive by hand")
#: What the decoders of zlib, bz2 and lzma raise for bytes that are not theirs.
_BROKEN = (
    zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, NotImplementedError, ValueError,
)  # fmt: skip


class Unpacked:
    """A folder with an archive's files, removed when the last series that uses it is gone.

    `members` leads from each unpacked file to its name in the archive; `left_out` names the
    members that were not unpacked, and why. `name` is what people call the archive.
    """

    def __init__(self, folder: Path, name: Path) -> None:
        self.folder = folder
        self.name = name
        self.members: dict[Path, str] = {}
        self.left_out: list[tuple[str, str, str]] = []
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)


def is_archive(path: Path) -> bool:
    """Whether a file's name ends as a zip's or a tar's does."""
    return path.name.lower().endswith(ZIP_ENDINGS + TAR_ENDINGS)


def unpack(path: Path, name: Path | None = None) -> Unpacked:
    """Unpack a zip or tar into a temporary folder of its own that nobody else may read.

    No member lands outside the folder: absolute names, names with `..`, links and devices are left
    out and named, as are encrypted and damaged members. A member of a name that stands there
    already gets a folder of its own.

    Raises
    ------
    ValueError
        Where the file is not an archive, or would unpack to more than the disk bears.
    OSError
        Where the archive cannot be opened or the temporary disk is full.
    """
    unpacked = Unpacked(Path(tempfile.mkdtemp(prefix="cacnb-")), name or path)
    room = DISK_SHARE * shutil.disk_usage(unpacked.folder).free
    kind = "zip" if path.name.lower().endswith(ZIP_ENDINGS) else "tar"
    try:
        if kind == "zip":
            _unpack_zip(path, unpacked, room)
        else:
            _unpack_tar(path, unpacked, room)
    except _TooLargeError:
        raise
    except _BROKEN as error:
        if unpacked.members:  # a cut tar: what stands before the cut is whole
            unpacked.left_out.append(("(the rest)", *_DAMAGED))
        else:
            raise ValueError(f"the archive is damaged or is not a {kind}") from error
    return unpacked


class _TooLargeError(ValueError):
    """The archive would fill the disk."""


def _unpack_zip(path: Path, unpacked: Unpacked, room: float) -> None:
    with zipfile.ZipFile(path) as archive:
        infos = [info for info in archive.infolist() if not info.is_dir()]
        _check_size(len(infos), sum(info.file_size for info in infos), room)
        for info in infos:
            is_link = (info.external_attr >> 16) & 0o170000 == 0o120000
            if is_link or _leads_out(info.filename):
                unpacked.left_out.append((info.filename, *_UNSAFE))
            elif info.flag_bits & 1:
                unpacked.left_out.append((info.filename, *_ENCRYPTED))
            else:
                try:
                    with archive.open(info) as member:
                        _write(member, info.filename, unpacked)
                except _BROKEN:
                    unpacked.left_out.append((info.filename, *_DAMAGED))


def _unpack_tar(path: Path, unpacked: Unpacked, room: float) -> None:
    with tarfile.open(path, "r:*") as archive:
        total = 0
        for number, info in enumerate(_members(archive), start=1):
            total += info.size if info.isreg() else 0
            _check_size(number, total, room)
            member = archive.extractfile(info) if info.isreg() else None
            if member is None or _leads_out(info.name):
                unpacked.left_out.append((info.name, *_UNSAFE))
            else:
                _write(member, info.name, unpacked)


def _members(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """The members that are no folders, one after the other as they are unpacked."""
    while (info := archive.next()) is not None:
        if not info.isdir():
            yield info


def _check_size(members: int, total_bytes: int, room: float) -> None:
    if members > MOST_MEMBERS or total_bytes > room:
        raise _TooLargeError(
            f"the archive would unpack to {members} files of {total_bytes / 1e9:.1f} GB or more"
        )


def _leads_out(name: str) -> bool:
    path = PurePosixPath(name.replace("\\", "/"))
    return path.is_absolute() or ".." in path.parts or "\0" in name or not path.parts


def _write(member: IO[bytes], name: str, unpacked: Unpacked) -> None:
    """Write one member below the folder; a damaged one raises and leaves no part."""
    target = unpacked.folder / PurePosixPath(name)
    if target.exists() or any(parent.is_file() for parent in target.parents):
        target = Path(tempfile.mkdtemp(dir=unpacked.folder)) / PurePosixPath(name).name
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with target.open("wb") as file:
            shutil.copyfileobj(member, file, 1 << 20)
    except _BROKEN:
        target.unlink(missing_ok=True)
        raise
    unpacked.members[target] = name
