"""Files written whole or not at all; it does not know what is in them."""

from __future__ import annotations

import os
from pathlib import Path

from cacnb.errors import InputError


def write_atomically(content: str | bytes, path: Path) -> None:
    """Write a file so that a reader finds the old one or the whole new one, never a part.

    Raises
    ------
    InputError
        `cannot_write` where the disk is full or the folder cannot be written; no part stays behind.
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with part.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(
            "cannot_write",
            f"{path} cannot be written ({error.strerror}): free space or choose another place",
        ) from error
