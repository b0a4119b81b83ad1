"""Zip archives laid out as files for the length of a use; it does not know what the files hold."""

from __future__ import annotations

import shutil
import tempfile
import weakref
import zipfile
import zlib
from pathlib import Path, PurePosixPath

#: More members than any CT study has.
MOST_MEMBERS = 100_000
#: Part of the free disk that an unpacked archive may take.
DISK_SHARE = 0.8


class Unpacked:
    """A folder with an archive's files, removed when the last series that uses it is gone.

    `members` leads from each unpacked file to its name in the archive; `left_out` names the
    members that were not unpacked, and why.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.members: dict[Path, str] = {}
        self.left_out: list[tuple[str, str, str]] = []
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)


def unpack(path: Path) -> Unpacked:
    """Unpack a zip into a temporary folder of its own that nobody else may read.

    No member lands outside the folder: absolute names, names with `..` and links are left out and
    named, as are encrypted and damaged members.

    Raises
    ------
    ValueError
        Where the file is not a zip, or would unpack to more than the disk bears.
    OSError
        Where the archive cannot be opened or the temporary disk is full.
    """
    unpacked = Unpacked(Path(tempfile.mkdtemp(prefix="cacnb-")))
    try:
        with zipfile.ZipFile(path) as archive:
            infos = [info for info in archive.infolist() if not info.is_dir()]
            total = sum(info.file_size for info in infos)
            room = DISK_SHARE * shutil.disk_usage(unpacked.folder).free
            if len(infos) > MOST_MEMBERS or total > room:
                raise ValueError(
                    f"the archive would unpack to {len(infos)} files of {total / 1e9:.1f} GB"
                )
            for info in infos:
                _unpack_member(archive, info, unpacked)
    except zipfile.BadZipFile as error:
        raise ValueError("the archive is damaged or is not a zip") from error
    return unpacked


def _unpack_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, unpacked: Unpacked) -> None:
    name = PurePosixPath(info.filename)
    is_link = (info.external_attr >> 16) & 0o170000 == 0o120000
    if name.is_absolute() or ".." in name.parts or is_link:
        unpacked.left_out.append(
            (info.filename, "unsafe_archive", "the member points outside the archive")
        )
        return
    if info.flag_bits & 1:
        unpacked.left_out.append(
            (info.filename, "encrypted", "the member is encrypted: unpack the archive by hand")
        )
        return
    try:
        target = Path(archive.extract(info, unpacked.folder))
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError):
        unpacked.left_out.append(
            (info.filename, "undecodable", "the member is damaged: copy the archive again")
        )
        return
    unpacked.members[target] = info.filename
