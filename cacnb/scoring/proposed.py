"""Scores of a clean CAC map, the proposed method's; it does not know how the map was made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cacnb.ct.volume import Volume
from cacnb.errors import UsageError
from cacnb.scoring.conventions import REFERENCE_THICKNESS_MM
from cacnb.scoring.lesions import (
    SMALLEST_LESION_VOXELS,
    Floats,
    Indices,
    LesionVoxels,
    bounding_box,
    describe_lesions,
    group_max,
    group_sum,
    label_components,
    lesion_records,
    require_same_grid,
    slice_parts,
)
from cacnb.scoring.risk import RiskCategory, risk_category

#: Left edges in HU of adjusted weights 2-4; all below weighs 1, also below 130 HU (section 3).
ADJUSTED_DENSITY_EDGES_HU = (200.0, 300.0, 400.0)

#: Columns of the proposed method's lesion table.
PROPOSED_COLUMNS = (
    "lesion", "artery", "pseudo_mass_hu_mm3", "agatston_adjusted", "volume_mm3", "peak_hu",
    "peak_map_hu", "area_mm2", "voxels", "z_mm", "y_mm", "x_mm", "first_slice", "last_slice",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class ProposedScores:
    """The proposed method's scores of one scan and the lesions that they are made of.

    Parameters
    ----------
    pseudo_mass_hu_mm3
        Σ map HU × voxel volume over the lesions.
    agatston_adjusted
        Area × density weight of the image's maximum, with weight 1 also below 130 HU.
    volume_mm3
        Volume of the lesions.
    mass_mg
        None without a calibration factor.
    risk_category
        Of the adjusted score as it is; scale cohorts with `scale_to_clinical` to compare methods.
    lesions
        One row a lesion, columns `PROPOSED_COLUMNS`; centres in patient (LPS) mm.
    lesion_labels
        int32 on the map's grid: the number of a voxel's lesion, or 0.
    """

    pseudo_mass_hu_mm3: float
    agatston_adjusted: float
    volume_mm3: float
    mass_mg: float | None
    risk_category: RiskCategory
    lesions: pd.DataFrame
    lesion_labels: Volume

    def as_json(self) -> dict[str, Any]:
        """The object `proposed` of `cacnb score --json`, with its lesions."""
        return {
            "pseudo_mass_hu_mm3": self.pseudo_mass_hu_mm3,
            "agatston_adjusted": self.agatston_adjusted,
            "volume_mm3": self.volume_mm3,
            "mass_mg": self.mass_mg,
            "risk_category": self.risk_category,
            "lesions": lesion_records(self.lesions),
        }


def score_map(
    cac_map: Volume,
    image: Volume,
    *,
    smallest_lesion_voxels: int = SMALLEST_LESION_VOXELS,
    smallest_mass_hu_mm3: float = 0.0,
    calibration_mg_per_hu_mm3: float | None = None,
    artery_of: Callable[[Indices], str | None] | None = None,
) -> ProposedScores:
    """Score a clean CAC map: its lesions, pseudo-mass, adjusted Agatston score and volume.

    Parameters
    ----------
    cac_map
        The clean map in HU, (z, y, x); lesions are its 26-connected voxels above 0.
    image
        The scan in HU on the same grid: its maximum chooses the density weight (section 3).
    smallest_lesion_voxels, smallest_mass_hu_mm3
        A lesion of fewer voxels or less pseudo-mass is dropped from table and scores alike.
    calibration_mg_per_hu_mm3
        mg of calcium for each HU·mm³ of pseudo-mass.
    artery_of
        Names a lesion's artery from its voxels, an (n, 3) array of (z, y, x) indices.

    Raises
    ------
    InputError
        `different_grid`.
    UsageError
        Where a calibration factor is not a positive number.

    Example
    -------
    >>> scan = Volume(np.full((1, 2, 2), 120.0, dtype=np.float32), (3.0, 0.5, 0.5))
    >>> scores = score_map(scan.with_array(np.full((1, 2, 2), 80.0)), scan)
    >>> scores.agatston_adjusted, scores.pseudo_mass_hu_mm3, scores.risk_category
    (1.0, 240.0, 'I')
    """
    require_same_grid(cac_map, image, "scan")
    calibration = calibration_mg_per_hu_mm3
    if calibration is not None and not (np.isfinite(calibration) and calibration > 0):
        raise UsageError(
            f"the calibration factor must be a positive number (mg for each HU·mm³), "
            f"got {calibration}"
        )
    voxels, map_hu = _lesion_voxels(cac_map, image, smallest_lesion_voxels, smallest_mass_hu_mm3)
    pseudo_mass = voxels.total(map_hu) * cac_map.voxel_volume_mm3
    agatston = _adjusted_agatston(voxels, cac_map)
    arteries = [
        None if artery_of is None else artery_of(voxels.index[voxels.lesion == lesion])
        for lesion in range(1, voxels.count + 1)
    ]
    lesions = pd.DataFrame(
        {
            **describe_lesions(voxels, cac_map),
            "artery": pd.Series(arteries, dtype=object),
            "pseudo_mass_hu_mm3": pseudo_mass,
            "agatston_adjusted": agatston,
            "peak_map_hu": group_max(voxels.lesion - 1, voxels.count, map_hu),
        },
        columns=list(PROPOSED_COLUMNS),
    )
    total_mass = float(map_hu.sum()) * cac_map.voxel_volume_mm3
    total_agatston = float(agatston.sum())
    return ProposedScores(
        pseudo_mass_hu_mm3=total_mass,
        agatston_adjusted=total_agatston,
        volume_mm3=map_hu.size * cac_map.voxel_volume_mm3,
        mass_mg=None if calibration is None else total_mass * calibration,
        risk_category=risk_category(total_agatston),
        lesions=lesions,
        lesion_labels=voxels.labels(cac_map),
    )


def _lesion_voxels(
    cac_map: Volume, image: Volume, smallest_voxels: int, smallest_mass_hu_mm3: float
) -> tuple[LesionVoxels, Floats]:
    """The voxels of the lesions that count, and the map's HU at each of them."""
    values: NDArray[Any] = cac_map.array
    positive = values > 0
    box = bounding_box(positive) or (slice(0), slice(0), slice(0))
    labels, count = label_components(positive[box], "3d-26")
    inner = np.nonzero(labels)
    component = labels[inner].astype(np.intp) - 1
    map_hu = values[box][inner].astype(np.float64)
    mass = group_sum(component, count, map_hu) * cac_map.voxel_volume_mm3
    counts = (group_sum(component, count) >= smallest_voxels) & (mass >= smallest_mass_hu_mm3)
    kept = counts[component]
    offset = np.asarray([edge.start or 0 for edge in box], dtype=np.intp)
    voxels = LesionVoxels(
        lesion=np.cumsum(counts, dtype=np.intp)[component[kept]],
        index=np.stack(inner, axis=1)[kept] + offset,
        hu=image.array[box][inner][kept].astype(np.float64),
        count=int(counts.sum()),
    )
    return voxels, map_hu[kept]


def _adjusted_agatston(voxels: LesionVoxels, grid: Volume) -> Floats:
    """(lesions,) area × weight in each slice, × slice spacing / 3 mm."""
    parts = slice_parts(voxels.lesion - 1, voxels.index[:, 0], voxels.hu)
    weight = 1 + np.searchsorted(ADJUSTED_DENSITY_EDGES_HU, parts.peak_hu, side="right")
    per_voxel = grid.pixel_area_mm2 * (grid.spacing_mm[0] / REFERENCE_THICKNESS_MM)
    return group_sum(parts.component, voxels.count, parts.voxels * weight * per_voxel)
