"""Whether the voxels of a NRRD or MetaImage file are whole; it does not know what they mean.

SimpleITK reads a damaged compressed MetaImage with whatever memory held, and says so on standard
error alone (measured on files damaged on purpose); hence the check before it reads.
"""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import IO

#: A header is no longer than this.
_MOST_HEADER_BYTES = 1 << 20
_BLOCK = 1 << 20
#: zlib finds out by itself whether a stream is zlib's or gzip's.
_ANY_STREAM = 47


def check_voxels(path: Path, companions: tuple[Path, ...], wanted_bytes: int) -> None:
    """Check that an image file, or the one file of voxels that it names, holds so many bytes.

    Packed voxels are unpacked for it, to the checksum at their end. Voxels as text, packed as bz2
    or spread over several files are not checked.

    Raises
    ------
    ValueError
        Where voxels are missing, too many, or do not unpack.
    """
    with path.open("rb") as file:
        fields, offset = _header(file)
    packed = (
        fields.get("compresseddata", "false") == "true"
        or fields.get("encoding") in ("gzip", "gz")
    )  # fmt: skip
    if fields.get("encoding", "raw") not in ("raw", "gzip", "gz") or len(companions) > 1:
        return
    place, start = (companions[0], 0) if companions else (path, offset)
    skipped = _skipped(fields)
    with place.open("rb") as file:
        file.seek(start + max(skipped, 0))
        found = _unpacked_bytes(file) if packed else place.stat().st_size - file.tell()
    is_whole = found >= wanted_bytes if skipped < 0 else found == wanted_bytes
    if not is_whole:
        raise ValueError(f"the file holds {found} bytes of voxels, {wanted_bytes} were wanted")


def _header(file: IO[bytes]) -> tuple[dict[str, str], int]:
    """The fields of a text header in small letters, and where the bytes behind it begin."""
    fields: dict[str, str] = {}
    while file.tell() < _MOST_HEADER_BYTES and (line := file.readline(4096)):
        text = line.decode("latin-1").strip().lower()
        if not text:
            break  # an empty line ends a NRRD header
        key, _, value = text.replace("=", ":").partition(":")
        fields[key.strip()] = value.strip()
        if key.strip() == "elementdatafile":
            break
    return fields, file.tell()


def _skipped(fields: dict[str, str]) -> int:
    """Bytes to skip before the voxels; negative where the header says: all but the voxels."""
    try:
        return int(fields.get("byte skip") or fields.get("headersize") or 0)
    except ValueError:
        return 0


def _unpacked_bytes(file: IO[bytes]) -> int:
    stream = zlib.decompressobj(_ANY_STREAM)
    found = 0
    try:
        while not stream.eof and (block := file.read(_BLOCK)):
            found += len(stream.decompress(block))
    except zlib.error as error:
        raise ValueError("the voxels do not unpack") from error
    if not stream.eof:
        raise ValueError("the file ends before its voxels do")
    return found
