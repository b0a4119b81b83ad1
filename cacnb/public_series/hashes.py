"""Whether a file is the object that a store describes, by its ETag; it downloads nothing."""

from __future__ import annotations

import hashlib
from pathlib import Path

MIB = 1 << 20

#: Part sizes that uploads in parts use, MiB: the ETag of such an object is a hash of its parts'.
PART_SIZES_MIB = (5, 8, 10, 15, 16, 20, 25, 32, 50, 64, 100, 128, 256, 512)


def matches(file: Path, etag: str) -> bool | None:
    """Whether a file's MD5 is the ETag; None where the ETag tells nothing that can be checked.

    An object uploaded in n parts has the ETag `md5(md5(part 1) … md5(part n))-n`; the size of a
    part is not told, so the usual ones are tried.
    """
    digest, dash, parts = etag.strip('"').lower().partition("-")
    if len(digest) != 32:
        return None
    if not dash:
        return _md5(file) == digest
    size, count = file.stat().st_size, int(parts) if parts.isdigit() else 0
    for mib in PART_SIZES_MIB:
        if count and -(-size // (mib * MIB)) == count and _of_parts(file, mib * MIB) == digest:
            return True
    return None


def _md5(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _of_parts(file: Path, part: int) -> str:
    whole = hashlib.md5(usedforsecurity=False)
    with file.open("rb") as content:
        while piece := content.read(part):
            whole.update(hashlib.md5(piece, usedforsecurity=False).digest())
    return whole.hexdigest()
