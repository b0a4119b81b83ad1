"""Slices held as int16 in a device's memory, gathered there; it knows no label and no window."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cacnb.learning.joined_rows import Slices

#: Slices that are copied to a device at once: what it takes of the host's memory stays small.
COPIED_AT_ONCE = 256


class ResidentSlices:
    """Slices (n, y, x) in HU on a device and, where it is known, the calcium in them.

    `calcium` (m, y, x) holds the slices that show any, `calcium_rows` (n,) a slice's row in it, −1
    for none. Both may be memory maps: they are read once, a block at a time.

    Example
    -------
    >>> held = ResidentSlices(np.arange(12, dtype=np.int16).reshape(3, 2, 2), None, None,
    ...                       torch.device("cpu"))
    >>> held.hu(np.array([[2, 0]]))[0, :, 0, 0].tolist()
    [8, 0]
    """

    def __init__(
        self,
        slices: Slices,
        calcium: Slices | None,
        calcium_rows: NDArray[np.int64] | None,
        device: torch.device,
    ) -> None:
        self.device = device
        self.slices = _copied(slices, device)
        self.calcium: Tensor | None = None
        if calcium is not None and calcium_rows is not None:
            # A slice without calcium is sent to an empty one, which stands after the last.
            rows = np.where(calcium_rows < 0, len(calcium), calcium_rows)
            self.calcium = _copied(calcium, device, empty=1)
            self.rows = torch.from_numpy(rows.astype(np.int64)).to(device)

    def hu(self, indices: NDArray[np.int64]) -> Tensor:
        """Some slices, (…, y, x) int16."""
        return self.slices[torch.from_numpy(indices).to(self.device)]

    def calcium_hu(self, indices: NDArray[np.int64]) -> Tensor:
        """The known calcium of some slices, (…, y, x) int16; raises ValueError without any."""
        if self.calcium is None:
            raise ValueError("the calcium of these slices is not known")
        return self.calcium[self.rows[torch.from_numpy(indices).to(self.device)]]


def _copied(slices: Slices, device: torch.device, empty: int = 0) -> Tensor:
    """Slices (n, y, x) on a device, and as many empty ones after them as asked for."""
    shape = (len(slices) + empty, *slices.shape[1:])
    copied = torch.zeros(shape, dtype=torch.int16, device=device)
    for i in range(0, len(slices), COPIED_AT_ONCE):
        block = np.array(slices[i : i + COPIED_AT_ONCE], np.int16)
        copied[i : i + len(block)] = torch.from_numpy(block).to(device)
    return copied
