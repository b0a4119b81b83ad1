"""From one grid to another, HU by interpolation, maps by area; it does not know what they show."""

from __future__ import annotations

import numpy as np
import SimpleITK
from numpy.typing import NDArray
from scipy import ndimage

from cacnb.ct.volume import SAME_GRID_TOLERANCE, Volume

#: Voxel spacings (z, y, x) in mm on which the paper's networks work (method, "Heart
#: segmentation" and "Slices").
HEART_GRID_MM = (3.0, 1.5, 1.5)
SLICE_GRID_MM = (1.5, 1.0, 1.0)
#: Side of the square around the heart that the slice networks see, in voxels.
SLICE_SIZE_PX = 224
#: The HU window that the networks see of a heart slice (section 5).
NETWORK_WINDOW_HU = (-50.0, 950.0)
#: HU of what lies outside a scan.
OUTSIDE_HU = -1000.0
#: A voxel belongs to a resampled mask from this share on.
MASK_SHARE = 0.5


def resample(
    volume: Volume, spacing_mm: tuple[float, float, float], *, antialias: bool = True
) -> Volume:
    """The volume at another spacing (z, y, x) in mm over the same extent, by linear interpolation.

    On an axis reduced by a factor f > 1 the image is first smoothed with a Gaussian of
    σ = ½ √(f² − 1) voxels, which takes the finer grid's point spread to the coarser one's. A mask
    is resampled as 0 and 1 and cut at one half. The new grid has the old one's centre; its length
    is the old one's to within half a new voxel on each axis.
    """
    factors = np.divide(spacing_mm, volume.spacing_mm)
    shape = np.maximum(np.round(np.divide(volume.shape, factors)).astype(int), 1)
    z, y, x = volume.shape
    centre = volume.to_mm(((z - 1) / 2, (y - 1) / 2, (x - 1) / 2))
    origin = np.subtract(centre, np.multiply(spacing_mm, shape - 1) / 2)
    array = _continuous(volume.array)
    if antialias:
        for axis, factor in enumerate(factors):
            if factor > 1.0 + 1e-6:
                sigma = 0.5 * np.sqrt(factor**2 - 1.0)
                array = ndimage.gaussian_filter1d(
                    array, sigma, axis=axis, mode="nearest", truncate=3.0
                )
    grid = (
        tuple(int(n) for n in shape),
        tuple(float(s) for s in spacing_mm),
        tuple(float(o) for o in origin),
    )
    return _interpolated(volume, array, *grid, fill=None)


def resample_onto(volume: Volume, like: Volume, *, fill: float = OUTSIDE_HU) -> Volume:
    """The volume on the grid of `like`, linear; `fill` outside, and False for a mask."""
    if volume.same_grid(like):
        return like.with_array(volume.array.copy())
    is_mask = volume.array.dtype == np.bool_
    array = _continuous(volume.array)
    return _interpolated(
        volume, array, like.shape, like.spacing_mm, like.origin_mm, fill=0.0 if is_mask else fill
    )


def crop_heart(
    volume: Volume,
    centre_mm_yx: tuple[float, float],
    size_px: int = SLICE_SIZE_PX,
    fill_hu: float = OUTSIDE_HU,
) -> Volume:
    """The square of `size_px` pixels around a centre (y, x) in mm on every slice.

    The window is moved by whole pixels only, so that no value is interpolated. Where it passes the
    border it is filled with `fill_hu`, a mask with False.
    """
    _, height, width = volume.shape
    starts: list[int] = []
    for axis, centre in zip((1, 2), centre_mm_yx, strict=True):
        index = (centre - volume.origin_mm[axis]) / volume.spacing_mm[axis]
        starts.append(int(np.floor(index - size_px / 2 + 1)))
    fill = False if volume.array.dtype == np.bool_ else fill_hu
    array = np.full((volume.shape[0], size_px, size_px), fill, dtype=volume.array.dtype)
    (y_to, y_from), (x_to, x_from) = (
        _overlap(start, size_px, length)
        for start, length in zip(starts, (height, width), strict=True)
    )
    array[:, y_to, x_to] = volume.array[:, y_from, x_from]
    return Volume(array, volume.spacing_mm, volume.to_mm((0, starts[0], starts[1])))


def to_scan_grid(cac_map: Volume, like: Volume) -> Volume:
    """A CAC map on the in-plane grid of `like`, float32, its Σ map × pixel area kept.

    Each pixel of the scan gets the mean of the map over its area (method, "After the map"): the
    value is shared by overlap, so what lies inside `like` is conserved and what lies outside is
    lost. Slices are not touched.

    Raises
    ------
    ValueError
        Where the slices of map and scan are not the same.
    """
    z_step = like.spacing_mm[0]
    near = abs(cac_map.origin_mm[0] - like.origin_mm[0]) <= SAME_GRID_TOLERANCE * z_step
    same_step = abs(cac_map.spacing_mm[0] - z_step) * like.shape[0] <= 0.1 * z_step
    if cac_map.shape[0] != like.shape[0] or not near or not same_step:
        raise ValueError(
            f"the map has {cac_map.shape[0]} slices of {cac_map.spacing_mm[0]:g} mm from "
            f"{cac_map.origin_mm[0]:g} mm, the scan {like.shape[0]} of {z_step:g} mm from "
            f"{like.origin_mm[0]:g} mm: both must stand on the same slices"
        )
    along_y, along_x = _overlap_weights(cac_map, like, 1), _overlap_weights(cac_map, like, 2)
    remapped = np.zeros(like.shape, dtype=np.float32)
    for index in np.flatnonzero(cac_map.array.any(axis=(1, 2))):  # most slices have no calcium
        values = cac_map.array[index].astype(np.float64)
        remapped[index] = along_y @ values @ along_x.T
    return like.with_array(remapped)


def _overlap_weights(source: Volume, target: Volume, axis: int) -> NDArray[np.float64]:
    """Share of each target pixel (row) that each source pixel (column) covers along an axis."""
    half_source, half_target = source.spacing_mm[axis] / 2, target.spacing_mm[axis] / 2
    s, t = source.axis_mm(axis)[None, :], target.axis_mm(axis)[:, None]
    low = np.maximum(t - half_target, s - half_source)
    high = np.minimum(t + half_target, s + half_source)
    return np.asarray(np.maximum(high - low, 0.0) / target.spacing_mm[axis])


def _overlap(start: int, size: int, length: int) -> tuple[slice, slice]:
    """Slices into a window that begins at `start`, and into an axis of `length`, that coincide."""
    first, last = max(start, 0), max(min(start + size, length), max(start, 0))
    return slice(first - start, last - start), slice(first, last)


def _continuous(array: NDArray[np.generic]) -> NDArray[np.float32]:
    return array.astype(np.float32, copy=False)


def _interpolated(
    volume: Volume,
    array: NDArray[np.float32],
    shape: tuple[int, ...],
    spacing_mm: tuple[float, ...],
    origin_mm: tuple[float, ...],
    *,
    fill: float | None,
) -> Volume:
    """`array` on the grid of `volume`, taken at another grid; `fill` None repeats the border."""
    image = SimpleITK.GetImageFromArray(array)
    image.SetSpacing(volume.spacing_mm[::-1])
    image.SetOrigin(volume.origin_mm[::-1])
    resampler = SimpleITK.ResampleImageFilter()
    resampler.SetSize([int(n) for n in shape[::-1]])
    resampler.SetOutputSpacing(spacing_mm[::-1])
    resampler.SetOutputOrigin(origin_mm[::-1])
    resampler.SetInterpolator(SimpleITK.sitkLinear)
    resampler.SetUseNearestNeighborExtrapolator(fill is None)
    resampler.SetDefaultPixelValue(fill or 0.0)
    values = SimpleITK.GetArrayFromImage(resampler.Execute(image))
    if volume.array.dtype == np.bool_:
        values = values >= MASK_SHARE
    z, y, x = spacing_mm
    return Volume(values, (z, y, x), (origin_mm[0], origin_mm[1], origin_mm[2]))
