"""A reader who sees what can be seen: slice labels, painted regions, picked lesions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cacnb.ct.volume import Volume

#: A lesion is seen half of the time at this contrast-to-noise ratio, corrected for its area
#: (Rose 1948: about 5 for an ideal observer; a rested reader who scrolls does a little better).
SEEN_AT_CNR = 5.0

#: Width of the reader's psychometric curve, in the same units.
READER_SPREAD = 0.5

#: Correlation area of CT noise in mm², with which a lesion's area is compared.
NOISE_AREA_MM2 = 4.0

#: Less contrast than this in HU no reader calls calcium, whatever the noise.
LEAST_CONTRAST_HU = 30.0

#: Radius of the round brush in mm: 1 cm wide (section 2 of the paper).
BRUSH_RADIUS_MM = 5.0


def local_noise_hu(image: Volume, heart: Volume) -> NDArray[np.float64]:
    """Noise in HU of each slice inside the heart, (z,): robust spread of the high-pass image."""
    found = np.full(image.shape[0], np.nan)
    for k in np.flatnonzero(heart.array.any(axis=(1, 2))):
        plane = image.array[k].astype(np.float32)
        rough = plane - ndimage.uniform_filter(plane, 5)
        inside = heart.array[k].astype(bool) & (np.abs(plane) < 200)
        if inside.sum() > 50:
            found[k] = 1.4826 * float(np.median(np.abs(rough[inside])))
    known = found[~np.isnan(found)]
    return np.where(np.isnan(found), np.median(known) if len(known) else np.inf, found)


def contrast_to_noise(calcium: Volume, noise_hu: NDArray[np.float64]) -> NDArray[np.float64]:
    """The best area-corrected contrast-to-noise ratio of any calcium in each slice, (z,)."""
    best = np.zeros(calcium.shape[0])
    for k in np.flatnonzero(calcium.array.max(axis=(1, 2)) >= LEAST_CONTRAST_HU):
        plane = calcium.array[k]
        spots, count = ndimage.label(plane >= LEAST_CONTRAST_HU / 2)
        for spot in range(1, count + 1):
            inside = spots == spot
            peak = float(plane[inside].max())
            if peak < LEAST_CONTRAST_HU:
                continue
            core = inside & (plane >= peak / 2)
            area = float(core.sum()) * calcium.pixel_area_mm2
            contrast = float(plane[core].mean())
            best[k] = max(best[k], contrast / noise_hu[k] * (area / NOISE_AREA_MM2) ** 0.5)
    return best


def label_slices(
    image: Volume, calcium: Volume, heart: Volume, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Whether the reader says *containing CAC* of each slice, (z,), by eye, without a threshold.

    The reader errs: what lies near the limit of vision is seen on a throw of `rng`.
    """
    cnr = contrast_to_noise(calcium, local_noise_hu(image, heart))
    certainty = 1 / (1 + np.exp(-(cnr - SEEN_AT_CNR) / READER_SPREAD))
    certainty = np.where(cnr > 0, certainty, 0.0)
    return np.asarray(rng.random(len(certainty)) < certainty)


def paint_regions(by_artery: dict[str, Volume], seen: NDArray[np.bool_]) -> Volume:
    """Lesion regions painted with a 1 cm brush on the slices seen: 1 LAD, 2 LCX, 3 RCA."""
    first = next(iter(by_artery.values()))
    regions = np.zeros(first.shape, np.uint8)
    for label, calcium in enumerate(by_artery.values(), start=1):
        visible = calcium.array >= LEAST_CONTRAST_HU / 2
        for k in np.flatnonzero(seen & visible.any(axis=(1, 2))):
            away = ndimage.distance_transform_edt(~visible[k], sampling=calcium.spacing_mm[1:])
            regions[k][away <= BRUSH_RADIUS_MM] = label
    return first.with_array(regions)


def pick_lesions(image: Volume, calcium: Volume, *, threshold_hu: float = 130.0) -> Volume:
    """What a clinical reader counts: components ≥ threshold in which coronary calcium lies."""
    bright, count = ndimage.label(
        (image.array >= threshold_hu) & (calcium.array > 1.0), np.ones((3, 3, 3))
    )
    if not count:
        return image.with_array(np.zeros(image.shape, bool))
    peaks = ndimage.maximum(calcium.array, bright, np.arange(1, count + 1))
    keep = np.concatenate([[False], np.asarray(peaks) >= LEAST_CONTRAST_HU])
    return image.with_array(keep[bright])
