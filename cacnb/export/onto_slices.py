"""Masks from the map's slices onto the scan's, their volume kept; it does not know what they are.

The CAC map and the heart stand on slices 1.5 mm apart, the scan on its own. A Segmentation on
other planes than its source's is right in 3D Slicer, but OHIF shows only segments that lie in the
planes of the images (issues 1345 and 1761 of its repository). Taking each slice's nearest, or all
that is touched, would change the volume of a lesion of two or three slices by up to its own size.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cacnb.ct.volume import Volume
from cacnb.scoring.lesions import bounding_box

#: Voxels covered alike are taken in the order of how much of their 3 × 3 × 3 neighbourhood is.
_NEIGHBOURHOOD = 3


def onto_slices(mask: Volume, like: Volume) -> NDArray[np.bool_]:
    """A mask on the slices of `like`, which shares its in-plane grid, its volume kept.

    Of the voxels that the mask touches those are taken that it covers most, and so many that their
    volume is the mask's to within half a voxel; at least one of a mask that is not empty. On equal
    slices the mask comes back as it is.

    Returns
    -------
    array
        bool, the shape of `like`.

    Example
    -------
    >>> thin = Volume(np.ones((4, 1, 1), bool), (1.5, 1.0, 1.0))
    >>> thick = Volume(np.zeros((2, 1, 1), bool), (3.0, 1.0, 1.0), (0.75, 0.0, 0.0))
    >>> onto_slices(thin, thick).ravel().tolist()
    [True, True]
    """
    found = np.zeros(like.shape, bool)
    if mask.same_grid(like):
        found |= np.asarray(mask.array, bool)
        return found
    box = bounding_box(np.asarray(mask.array, bool))
    if box is None:
        return found
    inside = mask.array[box].astype(np.float32)
    share = _overlap(mask, like).astype(np.float32)[:, box[0]]
    covered = np.tensordot(share, inside, axes=(1, 0))
    wanted = max(round(float(inside.sum()) * mask.spacing_mm[0] / like.spacing_mm[0]), 1)
    around = ndimage.uniform_filter(covered, size=_NEIGHBOURHOOD, mode="constant")
    index = np.flatnonzero(covered)
    # Rounded, so that what is covered alike is alike to the last bit.
    order = np.lexsort((-around.flat[index].round(5), -covered.flat[index].round(5)))
    kept = np.zeros(covered.shape, bool)
    kept.flat[index[order[:wanted]]] = True
    found[:, box[1], box[2]] = kept
    return found


def _overlap(mask: Volume, like: Volume) -> NDArray[np.float64]:
    """(slices of `like`, slices of `mask`) the share of the former that the latter covers."""
    half_mask, half_like = mask.spacing_mm[0] / 2, like.spacing_mm[0] / 2
    ours, theirs = mask.axis_mm(0)[None, :], like.axis_mm(0)[:, None]
    low = np.maximum(theirs - half_like, ours - half_mask)
    high = np.minimum(theirs + half_like, ours + half_mask)
    return np.asarray(np.maximum(high - low, 0.0) / like.spacing_mm[0])
