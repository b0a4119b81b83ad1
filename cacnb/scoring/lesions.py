"""Connected components of a mask and what each is like; it does not know what a score is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage

from cacnb.ct.volume import Volume
from cacnb.errors import InputError
from cacnb.scoring.conventions import Connectivity

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]


#: The fewest voxels of a lesion that counts (method, "Scores": a named parameter).
SMALLEST_LESION_VOXELS = 3


def _structure(faces: int, *, in_plane: bool) -> NDArray[np.bool_]:
    structure = np.asarray(ndimage.generate_binary_structure(3, faces), dtype=bool)
    if in_plane:
        structure[[0, 2]] = False
    return structure


#: Which of a voxel's 3 × 3 × 3 neighbours belong to its component.
NEIGHBOURS: Mapping[Connectivity, NDArray[np.bool_]] = {
    "2d-4": _structure(1, in_plane=True),
    "2d-8": _structure(2, in_plane=True),
    "3d-6": _structure(1, in_plane=False),
    "3d-26": _structure(3, in_plane=False),
}


def label_components(
    mask: NDArray[np.bool_], connectivity: Connectivity
) -> tuple[NDArray[np.int32], int]:
    """Components of a (z, y, x) mask, numbered from 1 (0 is background), and how many there are.

    Example
    -------
    >>> stack = np.ones((2, 1, 1), dtype=bool)
    >>> label_components(stack, "2d-8")[1], label_components(stack, "3d-26")[1]
    (2, 1)
    """
    labels, count = ndimage.label(mask, structure=NEIGHBOURS[connectivity], output=np.int32)
    return labels, int(count)


@dataclass(frozen=True, eq=False)
class LesionVoxels:
    """The voxels of all lesions as one list, which is what lesions are measured on.

    Parameters
    ----------
    lesion
        (n,) number of each voxel's lesion, from 1.
    index
        (n, 3) its (z, y, x) on the scan's grid.
    hu
        (n,) the image there in HU.
    count
        How many lesions there are.
    """

    lesion: Indices
    index: Indices
    hu: Floats
    count: int

    def total(self, values: Floats | None = None) -> Floats:
        """(count,) sums over each lesion: of `values`, or of voxels where none are given."""
        return group_sum(self.lesion - 1, self.count, values)

    def labels(self, grid: Volume) -> Volume:
        """The lesions' numbers as an int32 image on the grid of `grid`."""
        labels = np.zeros(grid.shape, dtype=np.int32)
        labels[tuple(self.index.T)] = self.lesion
        return grid.with_array(labels)


@dataclass(frozen=True, eq=False)
class SliceParts:
    """What each component shows in each slice: one entry a (component, slice)."""

    component: Indices
    voxels: Floats
    peak_hu: Floats
    of_voxel: Indices


def group_sum(group: Indices, count: int, values: Floats | None = None) -> Floats:
    """(count,) sums of values, or counts, over groups numbered from 0."""
    return np.bincount(group, weights=values, minlength=count).astype(np.float64)


def group_max(group: Indices, count: int, values: Floats) -> Floats:
    """(count,) maxima of values over groups numbered from 0; -inf where a group is empty."""
    peaks = np.full(count, -np.inf)
    np.maximum.at(peaks, group, values)
    return peaks


def slice_parts(component: Indices, slice_index: Indices, hu: Floats) -> SliceParts:
    """Split components, numbered from 0, at slice borders; all three arrays are (n,)."""
    slices = int(slice_index.max(initial=0)) + 1
    key, of_voxel = np.unique(component * slices + slice_index, return_inverse=True)
    return SliceParts(
        component=key // slices,
        voxels=group_sum(of_voxel, key.size),
        peak_hu=group_max(of_voxel, key.size, hu),
        of_voxel=of_voxel,
    )


def describe_lesions(voxels: LesionVoxels, grid: Volume) -> dict[str, NDArray[np.generic]]:
    """What a lesion table says whatever the score: one entry a lesion in each column.

    Returns
    -------
    dict
        `lesion`, `volume_mm3`, `peak_hu` (image), `area_mm2` (in its largest slice), `voxels`,
        the centre `z_mm`, `y_mm`, `x_mm` in patient (LPS) mm, `first_slice`, `last_slice`.
    """
    group, count = voxels.lesion - 1, voxels.count
    z = voxels.index[:, 0]
    size = voxels.total()
    parts = slice_parts(group, z, voxels.hu)
    centre = {
        f"{axis}_mm": grid.origin_mm[i]
        + grid.spacing_mm[i] * voxels.total(voxels.index[:, i].astype(np.float64)) / size
        for i, axis in enumerate("zyx")
    }
    return {
        "lesion": np.arange(1, count + 1),
        "volume_mm3": size * grid.voxel_volume_mm3,
        "peak_hu": group_max(group, count, voxels.hu),
        "area_mm2": group_max(parts.component, count, parts.voxels) * grid.pixel_area_mm2,
        "voxels": size.astype(np.intp),
        **centre,
        "first_slice": -group_max(group, count, -z.astype(np.float64)).astype(np.intp),
        "last_slice": group_max(group, count, z.astype(np.float64)).astype(np.intp),
    }


def lesion_records(lesions: pd.DataFrame) -> list[dict[str, Any]]:
    """The lesion table as JSON-ready rows: plain numbers, and None where there is no value."""
    return [
        {str(key): _plain(value) for key, value in row.items()}
        for row in lesions.to_dict(orient="records")
    ]


def _plain(value: Any) -> Any:
    plain = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(plain, float) and not math.isfinite(plain) else plain


def require_same_grid(volume: Volume, other: Volume, what: str) -> None:
    """Refuse, with InputError `different_grid`, an image that does not stand on the scan's grid."""
    if not volume.same_grid(other):
        raise InputError(
            "different_grid",
            f"the {what} is {other.shape} at {other.spacing_mm} mm from {other.origin_mm} mm, "
            f"the scan {volume.shape} at {volume.spacing_mm} mm from {volume.origin_mm} mm "
            "(z, y, x): resample the one to the other",
        )


def require_mask(mask: Volume, what: str) -> None:
    """Refuse, with InputError `not_a_mask`, values that are not bool."""
    if mask.array.dtype != np.bool_:
        raise InputError(
            "not_a_mask",
            f"the {what} holds {mask.array.dtype} values, wanted bool: compare it first, "
            "as in `region > 0`",
        )


def bounding_box(mask: NDArray[np.bool_]) -> tuple[slice, slice, slice] | None:
    """The smallest box around a mask's voxels, or None where it is empty.

    Example
    -------
    >>> mask = np.zeros((4, 4, 4), dtype=bool)
    >>> mask[1, 2:4, 0] = True
    >>> bounding_box(mask)
    (slice(1, 2, None), slice(2, 4, None), slice(0, 1, None))
    """
    edges = [np.flatnonzero(mask.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
    if edges[0].size == 0:
        return None
    z, y, x = (slice(int(edge[0]), int(edge[-1]) + 1) for edge in edges)
    return z, y, x
