"""Closed contours on axial planes to a mask on any grid; it does not know where they came from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cacnb.ct.volume import Volume
from cacnb.errors import InputError

#: A slice is a contour's own where both stand this near, as a share of the slice spacing.
SAME_PLANE_SHARE = 0.05
#: Farther apart in mm, two contours have lost those between them.
LARGEST_GAP_MM = 15.0


@dataclass(frozen=True, eq=False)
class Plane:
    """All contours of a structure at one height: (n, 2) points (x, y) in patient mm each.

    What an odd number of them encloses is inside: a contour within another is a hole, a contour
    that runs through a keyhole closes on itself, and two side by side are two parts.
    """

    z_mm: float
    polygons: tuple[NDArray[np.float64], ...]


def fill(polygons: Sequence[NDArray[np.float64]], like: Volume) -> NDArray[np.bool_]:
    """Which pixel centres (y, x) of a slice of `like` an odd number of polygons encloses."""
    _, height, width = like.shape
    (_, y_0, x_0), (_, dy, dx) = like.origin_mm, like.spacing_mm
    edges = [np.hstack([points, np.roll(points, -1, axis=0)]) for points in polygons]
    x_1, y_1, x_2, y_2 = np.concatenate(edges).T if edges else np.zeros((4, 0))
    # Every edge runs upwards, so that the two sides of a keyhole round alike and cancel.
    up = y_1 <= y_2
    x_1, x_2 = np.where(up, x_1, x_2), np.where(up, x_2, x_1)
    y_1, y_2 = np.where(up, y_1, y_2), np.where(up, y_2, y_1)
    first, end = (np.ceil((y - y_0) / dy).clip(0, height).astype(np.int64) for y in (y_1, y_2))
    counts = end - first
    edge = np.repeat(np.arange(len(counts)), counts)
    row = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts) + first[edge]
    share = (y_0 + dy * row - y_1[edge]) / (y_2 - y_1)[edge]
    crossing = x_1[edge] + share * (x_2 - x_1)[edge]
    column = np.ceil((crossing - x_0) / dx).clip(0, width).astype(np.int64)
    crossings = np.bincount(row * (width + 1) + column, minlength=height * (width + 1))
    passed = np.cumsum(crossings.reshape(height, width + 1), axis=1)[:, :width]
    return np.asarray(passed % 2 == 1)


def area_mm2(plane: Plane) -> float:
    """The area inside a plane's contours, holes left out, in mm².

    Example
    -------
    >>> square = np.array([[0.0, 0.0], [10.0, 0.0], [10.0, 10.0], [0.0, 10.0]])
    >>> area_mm2(Plane(0.0, (square, square * 0.5 + 2.0)))
    75.0
    """
    areas = [_shoelace_mm2(points) for points in plane.polygons]
    signs = [
        -1 if sum(_encloses(other, points[0]) for other in plane.polygons) % 2 else 1
        for points in plane.polygons
    ]
    return float(np.dot(areas, signs))


def planimetry_cm3(planes: Sequence[Plane]) -> float:
    """Volume by planimetry: every contour's area times the distance between contours, in cm³."""
    return sum(area_mm2(plane) for plane in planes) * common_step_mm(planes) / 1000


def common_step_mm(planes: Sequence[Plane]) -> float:
    """The median distance between neighbouring planes in mm; NaN for a single one."""
    heights = np.sort([plane.z_mm for plane in planes])
    return float(np.median(np.diff(heights))) if len(heights) > 1 else float("nan")


def mask_of(planes: Sequence[Plane], like: Volume) -> Volume:
    """The mask (bool) on the grid of `like` of a structure drawn on axial planes.

    A slice that is a contour's own takes it. One between two contours takes the shape between
    theirs, by their signed distances (Raya and Udupa 1990). One beyond the last contour by less
    than half the distance of contours takes that one: a contour stands for its slice's thickness.

    Raises
    ------
    InputError
        `contour_gap` where neighbouring contours are more than `LARGEST_GAP_MM` apart.
    """
    planes = sorted(planes, key=lambda plane: plane.z_mm)
    heights = np.array([plane.z_mm for plane in planes])
    gap = float(np.diff(heights).max(initial=0.0))
    if gap > LARGEST_GAP_MM:
        raise InputError(
            "contour_gap",
            f"neighbouring contours stand {gap:.1f} mm apart, at most {LARGEST_GAP_MM:g} mm were "
            "wanted: contours between them are missing; draw or interpolate them",
        )
    step = common_step_mm(planes) if len(planes) > 1 else like.spacing_mm[0]
    near = SAME_PLANE_SHARE * like.spacing_mm[0]
    mask = np.zeros(like.shape, bool)
    for index, z in enumerate(like.axis_mm(0)):
        above = int(np.searchsorted(heights, z))
        own = int(np.abs(heights - z).argmin())
        if abs(heights[own] - z) <= near:
            mask[index] = fill(planes[own].polygons, like)
        elif 0 < above < len(planes):
            share = (z - heights[above - 1]) / (heights[above] - heights[above - 1])
            lower, upper = (fill(planes[i].polygons, like) for i in (above - 1, above))
            mask[index] = _between(lower, upper, share, like.spacing_mm[1:])
        elif -step / 2 <= z - heights[own] < step / 2:
            mask[index] = fill(planes[own].polygons, like)
    return like.with_array(mask)


def _between(
    lower: NDArray[np.bool_],
    upper: NDArray[np.bool_],
    share: float,
    spacing_mm: tuple[float, ...],
) -> NDArray[np.bool_]:
    """The shape a share of the way from one mask (y, x) to another."""
    rows, columns = np.nonzero(lower | upper)
    if not len(rows):
        return lower
    box = tuple(slice(max(at.min() - 1, 0), at.max() + 2) for at in (rows, columns))
    between = np.zeros_like(lower)
    between[box] = (1 - share) * _depth_mm(lower[box], spacing_mm) + share * _depth_mm(
        upper[box], spacing_mm
    ) > 0
    return between


def _depth_mm(mask: NDArray[np.bool_], spacing_mm: tuple[float, ...]) -> NDArray[np.float64]:
    """Distance to the border in mm, inside above 0 and outside below."""
    if mask.all() or not mask.any():
        far = float(np.hypot(*np.multiply(mask.shape, spacing_mm)))
        return np.full(mask.shape, far if mask.all() else -far)
    inside, outside = (
        ndimage.distance_transform_edt(part, sampling=spacing_mm) for part in (mask, ~mask)
    )
    return np.asarray(inside - outside)


def _shoelace_mm2(points: NDArray[np.float64]) -> float:
    x, y = points.T
    return float(abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2)


def _encloses(points: NDArray[np.float64], at: NDArray[np.float64]) -> bool:
    """Whether a polygon encloses a point (x, y); one on its own border counts as outside."""
    if (points == at).all(axis=1).any():
        return False
    x_1, y_1 = points.T
    x_2, y_2 = np.roll(points, -1, axis=0).T
    cut = (y_1 > at[1]) != (y_2 > at[1])
    x = x_1[cut] + (at[1] - y_1[cut]) * (x_2 - x_1)[cut] / (y_2 - y_1)[cut]
    return bool((x > at[0]).sum() % 2)
