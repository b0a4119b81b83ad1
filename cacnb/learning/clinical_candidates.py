"""Bright voxels near the heart and what surrounds them; it does not know which are calcium."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from cacnb.ct.grids import OUTSIDE_HU, resample, resample_onto
from cacnb.ct.volume import Volume

#: What the clinical definition calls calcium, in HU.
CANDIDATE_HU = 130.0

#: The networks' window: HU are clipped to it, then (HU − 130) / 1130 (the authors' code).
WINDOW_HU = (-1000.0, 3000.0)
HU_PER_GREY = 1130.0

#: Spacing in mm on which the distance to the heart is measured: fine enough for a reach of 10 mm.
_REACH_GRID_MM = (3.0, 3.0, 3.0)

_TOUCHING = np.ones((3, 3, 3), bool)


@dataclass(frozen=True, eq=False)
class Candidates:
    """The voxels of a scan that may be coronary calcium.

    Parameters
    ----------
    voxels
        Indices (n, 3) on the scan's grid, (z, y, x).
    component
        (n,) the candidate component of each, from 0: voxels that touch (26 neighbours).
    count
        How many components there are.
    image
        The scan around them in HU, on the networks' grid.
    points
        Indices (n, 3) of the voxels on the grid of `image`.
    """

    voxels: NDArray[np.int64]
    component: NDArray[np.int64]
    count: int
    image: Volume
    points: NDArray[np.int64]


def find_candidates(
    volume: Volume,
    heart: Volume,
    *,
    spacing_mm: float,
    reach_mm: float,
    field_px: int,
    threshold_hu: float = CANDIDATE_HU,
) -> Candidates:
    """The voxels at or above a threshold within `reach_mm` of a heart mask.

    `spacing_mm` is that of the networks' grid, `field_px` what they see there around a voxel.

    Raises
    ------
    ValueError
        Where scan and mask stand on different grids.

    Example
    -------
    >>> scan = Volume(np.zeros((9, 9, 9), np.float32), (2.0, 2.0, 2.0))
    >>> scan.array[4, 4, 3:5] = scan.array[0, 0, 0] = 300
    >>> heart = scan.with_array(np.zeros(scan.shape, bool))
    >>> heart.array[3:6, 3:6, 3:6] = True
    >>> found = find_candidates(scan, heart, spacing_mm=1.0, reach_mm=3.0, field_px=5)
    >>> found.voxels.tolist(), found.count
    ([[4, 4, 3], [4, 4, 4]], 1)
    """
    if not volume.same_grid(heart):
        raise ValueError(f"the heart mask is {heart.shape}, the scan {volume.shape}: resample it")
    voxels = _near(volume, heart, reach_mm, threshold_hu)
    if not len(voxels):
        none = np.zeros((0, 3), np.int64)
        empty = Volume(np.full((1, 1, 1), OUTSIDE_HU, np.float32), (spacing_mm,) * 3)
        return Candidates(none, np.zeros(0, np.int64), 0, empty, none)
    low, high = voxels.min(axis=0), voxels.max(axis=0) + 1
    bright = np.zeros(high - low, bool)
    bright[tuple((voxels - low).T)] = True
    labels, count = ndimage.label(bright, structure=_TOUCHING)
    component = labels[tuple((voxels - low).T)].astype(np.int64) - 1
    margin = np.ceil((field_px // 2 + 1) * spacing_mm / np.asarray(volume.spacing_mm)).astype(int)
    start, stop = np.maximum(low - margin, 0), np.minimum(high + margin, volume.shape)
    z, y, x = (slice(int(a), int(b)) for a, b in zip(start, stop, strict=True))
    corner = volume.to_mm((float(start[0]), float(start[1]), float(start[2])))
    around = Volume(volume.array[z, y, x], volume.spacing_mm, corner)
    image = _on_grid(around, spacing_mm)
    return Candidates(voxels, component, int(count), image, _points(volume, image, voxels))


def _on_grid(around: Volume, spacing_mm: float) -> Volume:
    """At another spacing, from the first voxel on and not smoothed: a small peak keeps its HU."""
    extent = np.subtract(around.shape, 1) * around.spacing_mm
    z, y, x = (int(n) for n in np.floor(extent / spacing_mm + 1e-6) + 1)
    like = Volume(np.zeros((z, y, x), np.int8), (spacing_mm,) * 3, around.origin_mm)
    return resample_onto(around, like)


def _near(volume: Volume, heart: Volume, reach_mm: float, threshold_hu: float) -> NDArray[np.int64]:
    """The bright voxels (n, 3) no farther than `reach_mm` from the heart."""
    if not heart.array.any():
        return np.zeros((0, 3), np.int64)
    coarse = resample(heart, _REACH_GRID_MM, antialias=False)
    if not coarse.array.any():
        return np.zeros((0, 3), np.int64)
    away = ndimage.distance_transform_edt(~coarse.array, sampling=coarse.spacing_mm)
    near = np.argwhere(away <= reach_mm)
    box = []
    for axis in range(3):
        ends = coarse.axis_mm(axis)[[near[:, axis].min(), near[:, axis].max()]]
        half = coarse.spacing_mm[axis] / 2
        first = (ends[0] - half - volume.origin_mm[axis]) / volume.spacing_mm[axis]
        last = (ends[1] + half - volume.origin_mm[axis]) / volume.spacing_mm[axis]
        box.append(slice(max(0, int(np.floor(first))), int(np.ceil(last)) + 1))
    offset = [edge.start for edge in box]
    bright = np.argwhere(volume.array[tuple(box)] >= threshold_hu) + offset
    at = np.clip(_points(volume, coarse, bright), 0, np.asarray(coarse.shape) - 1)
    return np.asarray(bright[away[tuple(at.T)] <= reach_mm], np.int64)


def _points(volume: Volume, image: Volume, voxels: NDArray[np.int64]) -> NDArray[np.int64]:
    """The nearest voxels on the grid of `image`."""
    at_mm = np.asarray(volume.origin_mm) + voxels * np.asarray(volume.spacing_mm)
    index = np.rint((at_mm - image.origin_mm) / image.spacing_mm).astype(np.int64)
    return np.asarray(np.clip(index, 0, np.asarray(image.shape) - 1))


def cut_views(
    image: NDArray[np.generic], points: NDArray[np.int64], size: int, fill: float
) -> NDArray[np.generic]:
    """Axial, coronal and sagittal squares (n, 3, size, size) around points (n, 3) of an image.

    `size` is odd; what lies outside the image is `fill`.

    Example
    -------
    >>> stack = np.arange(27).reshape(3, 3, 3)
    >>> cut_views(stack, np.array([[1, 1, 1]]), 3, -1)[0, :, 0].tolist()
    [[9, 10, 11], [3, 4, 5], [1, 4, 7]]
    """
    half = size // 2
    views = np.full((len(points), 3, size, size), fill, image.dtype)
    for i, point in enumerate(points):
        for normal in range(3):
            plane = np.moveaxis(image, normal, 0)[int(point[normal])]
            row, column = (int(at) - half for at in np.delete(point, normal))
            to_y, from_y = _common(row, size, plane.shape[0])
            to_x, from_x = _common(column, size, plane.shape[1])
            views[i, normal, to_y, to_x] = plane[from_y, from_x]
    return views


def _common(first: int, size: int, length: int) -> tuple[slice, slice]:
    """What a window from `first` on and an axis have in common, counted in each."""
    start, stop = max(first, 0), min(first + size, length)
    return slice(start - first, stop - first), slice(start, stop)


def to_clinical_grey(hu: NDArray[np.generic]) -> Tensor:
    """HU to the networks' grey values: 0 at the clinical threshold."""
    values = torch.from_numpy(np.asarray(hu, np.float32)).clamp(*WINDOW_HU)
    return (values - CANDIDATE_HU) / HU_PER_GREY
