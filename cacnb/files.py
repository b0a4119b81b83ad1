"""Files written whole or not at all; it does not know what is in them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

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


@contextmanager
def one_at_a_time(lock: Path) -> Iterator[None]:
    """Hold a lock file inside the block; another process or thread waits until it is free.

    A process that is killed lets go of it. The file stays.

    Raises
    ------
    InputError
        `cannot_write` where the folder cannot be written.
    """
    import fcntl  # not everywhere, and only what makes files needs it

    with or_cannot_write(lock):
        lock.parent.mkdir(parents=True, exist_ok=True)
        file = lock.open("ab")
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


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


class GrowingArray:
    """A `.npy` file that rows are appended to, to be memory-mapped; whole or not at all.

    Parameters
    ----------
    path
        The file, which is there once the block has ended without an error.
    row
        Shape of a row.
    dtype
        Of the array.
    keep
        Without it the rows are counted and hashed, and no file is written.
    """

    def __init__(
        self, path: Path, row: tuple[int, ...], dtype: DTypeLike, *, keep: bool = True
    ) -> None:
        self._path, self._row, self._dtype, self._keep = path, row, np.dtype(dtype), keep
        self._part = path.with_name(f".{path.name}.part.npy") if keep else Path(os.devnull)
        self._digest = hashlib.sha256()
        self._rows = 0

    @property
    def sha256(self) -> str:
        """Of the rows' bytes."""
        return self._digest.hexdigest()

    def __enter__(self) -> Self:
        with or_cannot_write(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._part.open("w+b")
            self._write_header()
        return self

    def append(self, rows: NDArray[Any]) -> None:
        """Append rows (n, …); raises `cannot_write` where the disk is full."""
        data = np.ascontiguousarray(rows, self._dtype)
        with or_cannot_write(self._path):
            self._file.write(data.data)
        self._digest.update(data.data)
        self._rows += len(data)

    def _write_header(self) -> None:
        # numpy keeps room in a header for the first axis to grow, so its length stays.
        np.lib.format.write_array_header_1_0(
            self._file,
            {
                "descr": np.lib.format.dtype_to_descr(self._dtype),
                "fortran_order": False,
                "shape": (self._rows, *self._row),
            },
        )

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            with or_cannot_write(self._path), self._file as file:
                if kind is None:
                    file.seek(0)
                    self._write_header()
            if kind is None and self._keep:
                self._part.replace(self._path)
        finally:
            if self._keep:
                self._part.unlink(missing_ok=True)
