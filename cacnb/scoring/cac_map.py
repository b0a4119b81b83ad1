"""What is done to a CAC map between the network and the scores; it does not know the network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cacnb.ct.grids import NETWORK_WINDOW_HU
from cacnb.ct.volume import Volume
from cacnb.errors import InputError
from cacnb.scoring.lesions import (
    SMALLEST_LESION_VOXELS,
    Floats,
    group_max,
    group_sum,
    label_components,
    require_mask,
    require_same_grid,
)

#: A synthetic healthy voxel below this is no soft tissue: the map there is noise (section 3).
SOFT_TISSUE_FLOOR_HU = -10.0


def healthy_image(image: Volume, cac_map: Volume) -> Volume:
    """The synthetic image without calcium, noĈAC = CAC − G_R(CAC) (section 3, Figure 4).

    Parameters
    ----------
    image
        The scan in HU; it is clipped to the window that the network saw.
    cac_map
        The map in HU, on the same grid.

    Raises
    ------
    InputError
        `different_grid`.

    Example
    -------
    >>> scan = Volume(np.full((1, 1, 1), 1200.0), (3.0, 1.0, 1.0))
    >>> float(healthy_image(scan, scan.with_array(np.full((1, 1, 1), 900.0))).array[0, 0, 0])
    50.0
    """
    require_same_grid(image, cac_map, "CAC map")
    seen = np.clip(image.array.astype(np.float32), *NETWORK_WINDOW_HU)
    return image.with_array(seen - cac_map.array.astype(np.float32))


def clean_map(
    map_hu: Volume,
    image: Volume,
    heart: Volume,
    positive_slices: NDArray[np.bool_],
    *,
    soft_tissue_floor_hu: float = SOFT_TISSUE_FLOOR_HU,
    smallest_hu: float,
) -> Volume:
    """The map that is scored: noise removed, and nothing outside the heart or on negative slices.

    Parameters
    ----------
    map_hu
        The network's map in HU, (z, y, x).
    image
        The scan in HU on the same grid.
    heart
        The heart as a bool mask on the same grid.
    positive_slices
        (z,) bool, the slices called positive.
    soft_tissue_floor_hu
        A voxel whose synthetic healthy value falls below this is noise (section 3).
    smallest_hu
        Map values below this are noise. The paper gives none (method.md, "After the map").

    Returns
    -------
    Volume
        The map in HU, float32, ≥ 0.

    Raises
    ------
    InputError
        `different_grid`, `not_a_mask`, `unequal_length`, or `not_finite` where the map holds a
        NaN or an infinity.
    """
    require_same_grid(map_hu, heart, "heart mask")
    require_mask(heart, "heart mask")
    positive = np.asarray(positive_slices)
    if positive.shape != (map_hu.shape[0],) or positive.dtype != np.bool_:
        raise InputError(
            "unequal_length",
            f"{positive.dtype} {positive.shape} came for the positive slices, wanted one bool for "
            f"each of the {map_hu.shape[0]} slices",
        )
    values = map_hu.array.astype(np.float32)
    if not np.isfinite(values).all():
        raise InputError(
            "not_finite",
            "the CAC map holds values that are no numbers: the network's weights or the scan's "
            "pixels are damaged",
        )
    healthy: NDArray[Any] = healthy_image(image, map_hu).array
    kept = (
        np.asarray(heart.array, dtype=bool)
        & positive[:, np.newaxis, np.newaxis]
        & (healthy >= soft_tissue_floor_hu)
        & (values >= max(smallest_hu, 0.0))
    )
    return map_hu.with_array(np.where(kept, values, np.float32(0.0)))


#: A lesion belongs to the arteries where at least this share of its mass lies near them. On the
#: validation scans any share from 0.02 to 0.5 gives the same figures; a small one forgives a heart
#: whose shape differs from the atlas's.
NEAR_SHARE = 0.1


@dataclass(frozen=True, eq=False)
class MapLesions:
    """The 26-connected lesions of a map and what speaks for each of them.

    `labels` int32 (z, y, x), numbered from 1; for each lesion its `voxels`, its `mass_hu_mm3`, the
    share of it that lies near the arteries (`near_share`), and the highest `probability` of CAC of
    the slices that show it.
    """

    labels: NDArray[np.int32]
    voxels: Floats
    mass_hu_mm3: Floats
    near_share: Floats
    probability: Floats

    def counted(
        self, least_probability: float, least_mass_hu_mm3: float, *, near_arteries: bool = True
    ) -> NDArray[np.bool_]:
        """(lesions,) which of them count.

        A scan has calcium where one lesion is certain: some slice of it reaches
        `least_probability`, and its pseudo-mass `least_mass_hu_mm3`. Then all that the map shows
        counts, since who has calcium mostly has more of it. With `near_arteries` only lesions that
        lie near them are looked at.
        """
        looked_at = self.voxels >= SMALLEST_LESION_VOXELS
        if near_arteries:
            looked_at = looked_at & (self.near_share >= NEAR_SHARE)
        certain = (self.probability >= least_probability) & (self.mass_hu_mm3 >= least_mass_hu_mm3)
        return np.asarray(looked_at & bool((looked_at & certain).any()))

    def kept(self, cac_map: Volume, keep: NDArray[np.bool_]) -> Volume:
        """The map with the lesions marked in `keep` (lesions,) and no other."""
        stays = np.concatenate([[False], keep])[self.labels]
        return cac_map.with_array(np.where(stays, cac_map.array, np.float32(0)))


def map_lesions(
    cac_map: Volume, near_arteries: Volume, probability: NDArray[np.floating[Any]]
) -> MapLesions:
    """Find the lesions of a clean map, whole ones, to be kept or dropped each as one.

    A lesion that is cut where a slice falls below a probability, or where the region near the
    arteries ends, is cut elsewhere in the next scan of the same patient.

    Parameters
    ----------
    cac_map
        The clean map in HU, (z, y, x).
    near_arteries
        Where coronary arteries may run, a bool mask on the same grid.
    probability
        (z,) the probability of CAC of each slice.

    Raises
    ------
    InputError
        `different_grid`, `not_a_mask`.
    """
    require_same_grid(cac_map, near_arteries, "region near the arteries")
    require_mask(near_arteries, "region near the arteries")
    labels, count = label_components(cac_map.array > 0, "3d-26")
    where = np.nonzero(labels)
    lesion = labels[where].astype(np.intp) - 1
    hu = cac_map.array[where].astype(np.float64)
    mass = group_sum(lesion, count, hu)
    near = group_sum(lesion, count, hu * near_arteries.array[where])
    best = group_max(lesion, count, np.asarray(probability, np.float64)[where[0]])
    return MapLesions(
        labels, group_sum(lesion, count), mass * cac_map.voxel_volume_mm3, near / mass, best
    )
