"""Every file below the paths that were asked for, once; it does not know what a file holds."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cacnb.ct.archives import Unpacked, is_archive, unpack

#: Archives in archives are opened so many deep.
DEEPEST_ARCHIVE = 4


@dataclass(frozen=True, slots=True)
class Found:
    """A file on disk, its name for people, and the archive that it was unpacked from.

    `is_regular` is False for pipes, sockets, devices and links to nothing: opening one may wait for
    ever. `real` is its place without links.
    """

    file: Path
    name: Path
    archive: Unpacked | None
    is_regular: bool
    real: str


#: Called with a path, a stable code and a sentence for what cannot be entered.
Note = Callable[[Path, str, str], None]


def files_below(paths: Sequence[Path], note: Note) -> Iterator[Found]:
    """Every file below files, folders and archives, once, in the order of their names.

    Folders are walked to the bottom, links to folders not followed; archives are unpacked, and
    those in them. Whatever cannot be entered goes to `note`, so that it is not lost.
    """
    seen: set[str] = set()
    for path in paths:
        for found in _walk(Path(path), note):
            if found.real not in seen:
                seen.add(found.real)
                yield from _opened(found, note, 1)


def why(error: OSError) -> str:
    """A sentence for a file that the system does not give."""
    return f"the file cannot be read ({error.strerror or 'it cannot be opened'}): check it"


def _walk(path: Path, note: Note) -> Iterator[Found]:
    try:
        mode = path.stat().st_mode
    except OSError as error:
        if path.is_symlink():
            yield Found(path, path, None, False, str(path.absolute()))
        elif isinstance(error, FileNotFoundError | NotADirectoryError):
            note(path, "missing", "nothing stands at this path, a scan was wanted: check it")
        else:
            note(path, "unreadable", why(error))
        return
    real = os.path.realpath(path)
    if stat.S_ISDIR(mode):
        yield from _walk_folder(str(path), real, note)
    else:
        yield Found(path, path, None, stat.S_ISREG(mode), real)


def _walk_folder(folder: str, real: str, note: Note) -> Iterator[Found]:
    try:
        with os.scandir(folder) as scan:
            entries = sorted(scan, key=lambda entry: entry.name)
    except OSError as error:
        note(Path(folder), "unreadable", why(error))
        return
    folders = []
    for entry in entries:
        if entry.is_dir():
            folders.append(entry)
            continue
        place = f"{real}{os.sep}{entry.name}"
        if entry.is_symlink():
            place = os.path.realpath(place)
        path = Path(entry.path)
        yield Found(path, path, None, entry.is_file(), place)
    for entry in folders:
        if entry.is_symlink():
            note(
                Path(entry.path),
                "link_to_folder",
                "the link leads to a folder and was not followed: give that folder itself",
            )
        else:
            yield from _walk_folder(entry.path, f"{real}{os.sep}{entry.name}", note)


def _opened(found: Found, note: Note, depth: int) -> Iterator[Found]:
    """The file itself, or where it is an archive the files in it."""
    if not (found.is_regular and is_archive(found.file)):
        yield found
        return
    if depth > DEEPEST_ARCHIVE:
        note(
            found.name,
            "nested_archive",
            f"the archive stands in {DEEPEST_ARCHIVE} others: unpack them by hand",
        )
        return
    try:
        archive = unpack(found.file, found.name)
    except OSError as error:
        note(found.name, "unreadable", why(error))
        return
    except ValueError as error:
        note(found.name, "undecodable", f"{error}: copy or send the file again")
        return
    for member, code, sentence in archive.left_out:
        note(found.name / member, code, sentence)
    if not archive.members and not archive.left_out:
        note(found.name, "empty", "the archive holds no files")
    for file in sorted(archive.members):
        inner = Found(file, found.name / archive.members[file], archive, True, str(file))
        yield from _opened(inner, note, depth + 1)
