"""How far two masks of one organ agree: overlap and surface distances; it does not know which."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cacnb.ct.grids import resample_onto
from cacnb.ct.volume import Volume
from cacnb.scoring.lesions import bounding_box

#: Pixels are taken at least this far apart in mm: a surface distance needs no finer ones.
LEAST_STEP_MM = 1.5


def compare_masks(found: Volume, reference: Volume) -> dict[str, float] | None:
    """Dice, Hausdorff distance and average symmetric surface distance of two masks.

    Parameters
    ----------
    found, reference
        Masks (anything above 0 counts), on any two grids; compared on the reference's.

    Returns
    -------
    dict or None
        `dice`, `hausdorff_mm`, `surface_mm`; None where either is empty.

    Example
    -------
    >>> one = Volume(np.ones((4, 4, 4), bool), (3.0, 1.5, 1.5))
    >>> compare_masks(one, one)
    {'dice': 1.0, 'hausdorff_mm': 0.0, 'surface_mm': 0.0}
    """
    true = reference.with_array(reference.array > 0)
    ours = resample_onto(found.with_array(found.array > 0), true)
    if not (true.array.any() and ours.array.any()):
        return None
    both = float((true.array & ours.array).sum())
    dice = 2 * both / float(true.array.sum() + ours.array.sum())
    box = bounding_box(true.array | ours.array)
    if box is None:
        return None
    step = max(1, round(LEAST_STEP_MM / true.spacing_mm[1]))
    thin = (slice(None), slice(None, None, step), slice(None, None, step))
    spacing = (true.spacing_mm[0], true.spacing_mm[1] * step, true.spacing_mm[2] * step)
    masks = [np.pad(mask[box][thin], 1) for mask in (ours.array, true.array)]
    to_other = [
        _distances(masks[0], masks[1], spacing), _distances(masks[1], masks[0], spacing),
    ]  # fmt: skip
    return {
        "dice": dice,
        "hausdorff_mm": float(max(each.max() for each in to_other)),
        "surface_mm": float(np.concatenate(to_other).mean()),
    }


def _distances(
    one: NDArray[np.bool_], other: NDArray[np.bool_], spacing_mm: tuple[float, float, float]
) -> NDArray[np.float64]:
    """Distances in mm from one mask's surface voxels to the other's surface."""
    surface, target = (mask & ~ndimage.binary_erosion(mask) for mask in (one, other))
    away = ndimage.distance_transform_edt(~target, sampling=spacing_mm)
    return np.asarray(away[surface], np.float64)
