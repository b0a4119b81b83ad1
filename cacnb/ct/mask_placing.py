"""A mask from any grid, oblique ones too, onto a scan's; it does not know what the mask shows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cacnb.ct.geometry import Affine
from cacnb.ct.volume import Volume
from cacnb.errors import InputError


@dataclass(frozen=True, eq=False)
class PlacedMask:
    """A mask (bool, (k, j, i)) and its affine (3, 4) from an index (i, j, k) to LPS mm."""

    array: NDArray[np.bool_]
    affine: Affine


def onto(mask: PlacedMask, like: Volume) -> Volume:
    """The mask on the grid of `like`: each voxel takes the nearest one of the mask, none outside.

    Raises
    ------
    InputError
        `no_geometry` where the mask's voxels have no size.
    """
    steps = mask.affine[:, :3]
    if not np.isfinite(mask.affine).all() or abs(np.linalg.det(steps)) < 1e-9:
        raise InputError(
            "no_geometry",
            "the mask does not say where its voxels stand, spacing and orientation were wanted: "
            "write it again with its geometry",
        )
    inverse = np.linalg.inv(steps)
    out = np.zeros(like.shape, bool)
    box = _box(mask, like)
    if box is None:
        return like.with_array(out)
    z, y, x = box
    # An index is a sum of what each axis of the scan adds to it: (3, n) for z, y and x.
    along = [
        np.outer(inverse[:, 2 - axis], like.axis_mm(axis)[part]) for axis, part in enumerate(box)
    ]
    along[0] -= (inverse @ mask.affine[:, 3])[:, None]
    in_plane = along[1][:, :, None] + along[2][:, None, :]
    size = np.array(mask.array.shape[::-1])[:, None, None]
    for number, index in enumerate(range(z.start, z.stop)):
        at = np.floor(in_plane + along[0][:, number, None, None] + 0.5).astype(np.int64)
        inside = ((at >= 0) & (at < size)).all(axis=0)
        i, j, k = (a.clip(0, n - 1) for a, n in zip(at, size[:, 0, 0], strict=True))
        out[index, y, x] = mask.array[k, j, i] & inside
    return like.with_array(out)


def _box(mask: PlacedMask, like: Volume) -> tuple[slice, slice, slice] | None:
    """The part (z, y, x) of the scan's grid that the mask's voxels may reach; None for no part."""
    parts = []
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        filled = np.flatnonzero(mask.array.any(axis=others))
        if not len(filled):
            return None
        parts.append((filled[0] - 0.5, filled[-1] + 0.5))
    corners = np.stack(np.meshgrid(*reversed(parts), indexing="ij"), axis=-1).reshape(-1, 3)
    mm = corners @ mask.affine[:, :3].T + mask.affine[:, 3]  # (8, 3) x, y, z
    box = []
    for axis in range(3):
        at = (mm[:, 2 - axis] - like.origin_mm[axis]) / like.spacing_mm[axis]
        first = int(max(np.floor(at.min()), 0))
        end = int(min(np.ceil(at.max()) + 1, like.shape[axis]))
        if end <= first:
            return None
        box.append(slice(first, end))
    return box[0], box[1], box[2]
