"""Heart geometry, and whether a heart may be scored; it does not know how the heart was found."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cacnb.ct.grids import resample, resample_onto
from cacnb.ct.verdict import Reason
from cacnb.ct.volume import Volume

#: Hearts of adults on CT, pericardium in: about 400 to 900 cm³, with room for small and failing
#: ones (TotalSegmentator's and planimetric masks; a breast patient's measured 437 to 440 cm³).
HEART_VOLUME_CM3 = (200.0, 1600.0)
#: Width and depth of a heart's bounding box in mm.
HEART_EXTENT_MM = (50.0, 220.0)
#: A cut heart shows more than this share of its largest cross-section on a border of the scan.
CUT_SHARE = 0.15

#: Above this the blood is enhanced: non-contrast hearts measured 40 and 44 HU, contrast ones 245
#: and 391.
CONTRAST_HU = 100.0
#: HU of blood and muscle, enhanced or not; fat, air and metal are left out.
BLOOD_BAND_HU = (-50.0, 1000.0)
#: Depth in mm under the heart's surface at which blood outweighs wall, fat and vessels, and the
#: shallower ones tried where less than `LEAST_POOL_CM3` is left.
POOL_DEPTHS_MM = (15.0, 12.0, 9.0, 6.0, 3.0, 0.0)
LEAST_POOL_CM3 = 5.0

#: Enhanced blood; bone marrow lies mostly below, cortical bone above.
ENHANCED_BAND_HU = (150.0, 600.0)
#: Chambers and great vessels keep a core this far in mm from their wall, vertebrae and ribs hardly
#: any: at 10 mm 122 cm³ in a contrast heart, at most 1.3 cm³ in three scans without contrast.
VESSEL_CORE_DEPTH_MM = 10.0
LEAST_VESSEL_CORE_CM3 = 8.0
#: Spacing in mm of the search for enhanced vessels.
_VESSEL_GRID_MM = 3.0
LUNG_HU = -500.0
#: Share of a vessel's core with lung to its left and right in the same slice and row.
LEAST_SHARE_BETWEEN_LUNGS = 0.5

#: Bone and cartilage after smoothing on a coarse grid; blood and muscle stay below.
WALL_HU = 110.0
WALL_GRID_MM = 2.0
LEAST_WALL_CM3 = 3.0
#: How far from bone and cartilage a mask is cut back, in mm.
WALL_MARGIN_MM = 4.0

#: Smoothing of a heart probability before it is cut, σ in mm: one voxel of the heart grid.
SMOOTHING_MM = 1.5


def judge_heart(volume: Volume, heart: Volume) -> tuple[Reason, ...]:
    """Why the heart in a scan should not be scored: `no_heart`, `heart_truncated`, `contrast`.

    Parameters
    ----------
    volume
        The scan in HU.
    heart
        The heart mask (bool) on the same grid.

    Raises
    ------
    ValueError
        Where the grids differ.
    """
    if not volume.same_grid(heart):
        raise ValueError(f"the heart mask is {heart.shape}, the scan {volume.shape}: resample it")
    mask = _largest_component(heart.array.astype(bool))
    if not mask.any():
        return (_no_heart("no heart was found"),)
    box = ndimage.find_objects(mask.astype(np.uint8))[0]
    reasons: list[Reason] = []
    cut = _cut_share(mask)
    if cut > CUT_SHARE:
        reasons.append(
            Reason(
                "heart_truncated",
                f"the scan cuts the heart ({cut:.0%} of its largest section on the border, at most "
                f"{CUT_SHARE:.0%} was wanted): use a scan that holds the whole heart",
            )
        )
    cm3 = float(mask.sum()) * volume.voxel_volume_mm3 / 1000
    low, high = HEART_VOLUME_CM3
    if cm3 > high or (cm3 < low and not reasons):
        reasons.append(_no_heart(f"the heart found measures {cm3:.0f} cm³"))
    sides = [(box[axis].stop - box[axis].start) * volume.spacing_mm[axis] for axis in (1, 2)]
    low, high = HEART_EXTENT_MM
    if (max(sides) > high or min(sides) < low) and not reasons:
        reasons.append(_no_heart(f"the heart found is {sides[1]:.0f} × {sides[0]:.0f} mm wide"))
    blood = blood_pool_hu(Volume(volume.array[box], volume.spacing_mm), mask[box])
    if blood is not None and blood > CONTRAST_HU:
        reasons.append(_contrast(f"the blood in the heart has {blood:.0f} HU"))
    return tuple(reasons)


def blood_pool_hu(volume: Volume, mask: NDArray[np.bool_]) -> float | None:
    """Median HU of soft tissue deep in a heart mask (z, y, x); None where there is none.

    The depth is the largest of `POOL_DEPTHS_MM` that leaves `LEAST_POOL_CM3`.
    """
    depth = ndimage.distance_transform_edt(mask, sampling=volume.spacing_mm)
    low, high = BLOOD_BAND_HU
    hu = volume.array.astype(np.float32, copy=False)
    soft = mask & (hu >= low) & (hu <= high)
    for deep in POOL_DEPTHS_MM:
        pool = soft & (depth > deep)
        if pool.sum() * volume.voxel_volume_mm3 >= 1000 * LEAST_POOL_CM3:
            return float(np.median(hu[pool]))
    return None


def great_vessels_contrast(volume: Volume) -> Reason | None:
    """The `contrast` refusal where enhanced chambers or vessels stand between the lungs, else None.

    It needs no heart mask: a network trained without contrast may find no heart in a scan with it.
    Enhanced is a connected core of at least `LEAST_VESSEL_CORE_CM3`, `VESSEL_CORE_DEPTH_MM` inside
    voxels of `ENHANCED_BAND_HU`, most of it with lung to its left and right: that keeps out bone
    and oral contrast in the stomach.
    """
    spacing = (_VESSEL_GRID_MM,) * 3
    hu = resample(volume, spacing).array.astype(np.float32, copy=False)
    low, high = ENHANCED_BAND_HU
    band = (hu >= low) & (hu <= high)
    # Repeat the first and last slice: a vessel that leaves the scan does not end there.
    layers = int(np.ceil(VESSEL_CORE_DEPTH_MM / _VESSEL_GRID_MM))
    padded = np.pad(band, ((layers, layers), (0, 0), (0, 0)), mode="edge")
    depth = ndimage.distance_transform_edt(padded, sampling=spacing)[layers:-layers]
    lung = hu < LUNG_HU
    lung_beyond = np.logical_or.accumulate(lung[:, :, ::-1], axis=2)[:, :, ::-1]
    between_lungs = lung_beyond & np.logical_or.accumulate(lung, axis=2)
    labels, _ = ndimage.label(depth > VESSEL_CORE_DEPTH_MM)
    sizes_cm3 = np.bincount(labels.ravel()) * _VESSEL_GRID_MM**3 / 1000
    for label in np.flatnonzero(sizes_cm3 >= LEAST_VESSEL_CORE_CM3):
        core = labels == label
        if label and between_lungs[core].mean() >= LEAST_SHARE_BETWEEN_LUNGS:
            return _contrast(f"large vessels between the lungs have {np.median(hu[core]):.0f} HU")
    return None


def clean_heart(probability: Volume, threshold: float = 0.5) -> Volume:
    """A heart mask (bool) from a heart probability: smoothed, cut, largest part, holes filled."""
    sigma = SMOOTHING_MM / np.asarray(probability.spacing_mm)
    smooth = ndimage.gaussian_filter(probability.array.astype(np.float32), sigma, truncate=3.0)
    mask = _largest_component(smooth >= threshold)
    mask = ndimage.binary_fill_holes(mask)
    for index in np.flatnonzero(mask.any(axis=(1, 2))):  # holes open along z, closed in a slice
        mask[index] = ndimage.binary_fill_holes(mask[index])
    return probability.with_array(mask)


def without_chest_wall(heart: Volume, volume: Volume) -> Volume:
    """A heart mask less ribs, cartilage, sternum and spine, which a coarse mask may reach into.

    Bone and calcified cartilage are one large component above `WALL_HU` once the scan is smoothed;
    calcium in the heart is small. What is larger than `LEAST_WALL_CM3` is cut out with a margin.
    """
    smooth = resample(volume, (WALL_GRID_MM,) * 3)
    array = ndimage.gaussian_filter(smooth.array.astype(np.float32), 0.8, truncate=3.0)
    labels, count = ndimage.label(array >= WALL_HU, np.ones((3, 3, 3)))
    sizes = np.bincount(labels.ravel(), minlength=count + 1) * WALL_GRID_MM**3 / 1000
    large = sizes >= LEAST_WALL_CM3
    large[0] = False
    reach = round(WALL_MARGIN_MM / WALL_GRID_MM)
    ball = ndimage.iterate_structure(ndimage.generate_binary_structure(3, 1), reach)
    wall = resample_onto(smooth.with_array(ndimage.binary_dilation(large[labels], ball)), heart)
    return heart.with_array(_largest_component(heart.array & ~wall.array))


def centre_of_mass_mm(heart: Volume) -> tuple[float, float, float]:
    """Centre of mass (z, y, x) of a mask in patient mm; raises ValueError where it is empty."""
    indices = np.nonzero(heart.array)
    if not len(indices[0]):
        raise ValueError("an empty mask has no centre: find the heart first")
    z, y, x = (float(axis.mean()) for axis in indices)
    return heart.to_mm((z, y, x))


def _largest_component(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    labels, count = ndimage.label(mask)
    if count < 2:
        return mask
    sizes = np.bincount(labels.ravel())[1:]
    return np.asarray(labels == 1 + int(np.argmax(sizes)))


def _cut_share(mask: NDArray[np.bool_]) -> float:
    """Largest section on a border of the scan as a share of the largest one along that axis."""
    shares = []
    for axis in range(3):
        areas = mask.sum(axis=tuple(other for other in range(3) if other != axis))
        shares.append(max(areas[0], areas[-1]) / areas.max())
    return float(max(shares))


def _no_heart(what: str) -> Reason:
    low, high = HEART_VOLUME_CM3
    return Reason(
        "no_heart",
        f"{what}, one of {low:.0f} to {high:.0f} cm³ was wanted: check that the scan shows the "
        "heart, or give a heart mask",
    )


def _contrast(what: str) -> Reason:
    return Reason(
        "contrast",
        f"{what}, a scan without contrast (below {CONTRAST_HU:.0f} HU) was wanted: contrast cannot "
        "be told from calcium; use a scan without it",
    )
