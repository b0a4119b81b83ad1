"""Arrays one after another, read as one without being copied together; it knows no content."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


class JoinedRows:
    """Several arrays (n, …) that differ in n alone, read row by row as one.

    They may be memory maps: what is asked for is read, nothing else is.

    Example
    -------
    >>> joined = JoinedRows([np.arange(3), np.arange(10, 12)])
    >>> joined[np.array([4, 0, 3])].tolist(), joined[1:4].tolist(), joined.shape
    ([11, 0, 10], [1, 2, 10], (5,))
    """

    def __init__(self, parts: Sequence[NDArray[Any]]) -> None:
        self._parts = parts
        self._begins = np.cumsum([0, *(len(part) for part in parts)])
        self.shape: tuple[int, ...] = (int(self._begins[-1]), *parts[0].shape[1:])
        self.dtype = parts[0].dtype
        self.nbytes = sum(part.nbytes for part in parts)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: NDArray[np.int64] | slice) -> NDArray[Any]:
        """Rows by a slice or by an array of their numbers, (k,), copied."""
        wanted = np.arange(len(self))[rows]
        found = np.empty((len(wanted), *self.shape[1:]), self.dtype)
        of = np.searchsorted(self._begins, wanted, side="right") - 1
        for i in np.unique(of):
            mine = of == i
            found[mine] = self._parts[i][wanted[mine] - self._begins[i]]
        return found


#: Slices (n, y, x) of one study, or of several read as one.
Slices = NDArray[np.int16] | JoinedRows


def joined_rows(parts: Sequence[NDArray[Any]]) -> NDArray[Any] | JoinedRows:
    """Some arrays as one: the only one itself, else a view of all."""
    return parts[0] if len(parts) == 1 else JoinedRows(parts)
