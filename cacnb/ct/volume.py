"""A scan or a mask on one regular grid in patient axes; it does not know its file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Two grids are one where origins and far corners agree within this fraction of a voxel.
SAME_GRID_TOLERANCE = 0.05


@dataclass(frozen=True, eq=False)
class Volume:
    """A regular grid in DICOM patient axes (LPS): x to the left, y to the back, z to the head.

    Parameters
    ----------
    array
        (z, y, x). Attenuation in HU (float32), a CAC map in HU, or a mask (bool).
    spacing_mm
        Distance between voxel centres, (z, y, x).
    origin_mm
        Centre of voxel [0, 0, 0] in patient (LPS) millimetres, (z, y, x).

    Raises
    ------
    ValueError
        Where the array is not 3-D or a spacing is not a positive number.
    """

    array: NDArray[Any]
    spacing_mm: tuple[float, float, float]
    origin_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        if self.array.ndim != 3:
            raise ValueError(f"a volume is (z, y, x), got {self.array.ndim} axes")
        if not all(np.isfinite(step) and step > 0 for step in self.spacing_mm):
            raise ValueError(f"spacing must be positive millimetres, got {self.spacing_mm}")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along (z, y, x)."""
        z, y, x = self.array.shape
        return z, y, x

    @property
    def voxel_volume_mm3(self) -> float:
        """Volume of one voxel in mm³."""
        return float(np.prod(self.spacing_mm))

    @property
    def pixel_area_mm2(self) -> float:
        """Area of one pixel of an axial slice in mm²."""
        return float(self.spacing_mm[1] * self.spacing_mm[2])

    def with_array(self, array: NDArray[Any]) -> Volume:
        """The same grid with other values; raises ValueError where the shape differs."""
        if array.shape != self.array.shape:
            raise ValueError(f"the grid is {self.array.shape}, the values are {array.shape}")
        return Volume(array, self.spacing_mm, self.origin_mm)

    def axis_mm(self, axis: int) -> NDArray[np.float64]:
        """Patient coordinates in mm of the voxel centres along one array axis (0 z, 1 y, 2 x)."""
        steps = np.arange(self.shape[axis], dtype=np.float64)
        return np.asarray(self.origin_mm[axis] + self.spacing_mm[axis] * steps)

    def to_mm(self, index_zyx: tuple[float, float, float]) -> tuple[float, float, float]:
        """Patient millimetres (z, y, x) of a fractional voxel index (z, y, x)."""
        z, y, x = (
            origin + step * i
            for origin, step, i in zip(self.origin_mm, self.spacing_mm, index_zyx, strict=True)
        )
        return z, y, x

    def same_grid(self, other: Volume) -> bool:
        """Whether both volumes stand on one grid, voxel for voxel."""
        if self.shape != other.shape:
            return False
        tolerance = SAME_GRID_TOLERANCE * np.asarray(self.spacing_mm)
        last = tuple(n - 1.0 for n in self.shape)
        near = np.abs(np.subtract(self.origin_mm, other.origin_mm)) <= tolerance
        far = np.abs(np.subtract(self.to_mm(last), other.to_mm(last))) <= tolerance  # type: ignore[arg-type]
        return bool(near.all() and far.all())
