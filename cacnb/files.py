"""Files written whole or not at all; it does not know what is in them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cacnb.errors import InputError


@contextmanager
def or_cannot_write(path: Path) -> Iterator[None]:
    """Turn what a disk refuses inside the block into `cannot_write` for a path.

    Raises
    ------
    InputError
        `cannot_write` where the disk is full or the folder cannot be written.
    """
    try:
        yield
    except (OSError, RuntimeError) as error:  # ITK raises RuntimeError for a full disk
        why = getattr(error, "strerror", None) or "the disk refused it"
        raise InputError(
            "cannot_write",
            f"{path} cannot be written ({why}): free space or choose another place",
        ) from error


def write_atomically(content: str | bytes, path: Path) -> None:
    """Write a file so that a reader finds the old one or the whole new one, never a part.

    Raises
    ------
    InputError
        `cannot_write` where the disk is full or the folder cannot be written; no part stays behind.
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    with or_cannot_write(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with part.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


def save_array(array: NDArray[Any], path: Path) -> None:
    """Write an array as `.npy`, to be memory-mapped, whole or not at all.

    Raises
    ------
    InputError
        `cannot_write` where the disk is full or the folder cannot be written.
    """
    part = path.with_name(f".{path.name}.part.npy")
    with or_cannot_write(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(part, array)
        part.replace(path)
