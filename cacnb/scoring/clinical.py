"""Clinical calcium scores inside a region, by a named convention; it does not know who drew it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cacnb.ct.volume import Volume
from cacnb.errors import UsageError
from cacnb.scoring.conventions import Convention
from cacnb.scoring.lesions import (
    Floats,
    Indices,
    LesionVoxels,
    SliceParts,
    bounding_box,
    describe_lesions,
    group_max,
    group_sum,
    label_components,
    lesion_records,
    require_mask,
    require_same_grid,
    slice_parts,
)
from cacnb.scoring.risk import RiskCategory, risk_category

#: Columns of a clinical lesion table.
CLINICAL_COLUMNS = (
    "lesion", "agatston", "volume_mm3", "pseudo_mass_hu_mm3", "peak_hu", "area_mm2", "voxels",
    "z_mm", "y_mm", "x_mm", "first_slice", "last_slice",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class ClinicalScores:
    """Conventional scores of one scan and the lesions that they are made of.

    Parameters
    ----------
    convention, threshold_hu
        What the numbers were made with.
    agatston
        None where the convention publishes no density weights.
    volume_mm3, pseudo_mass_hu_mm3
        Σ voxel volume, and Σ image HU × voxel volume, of the voxels that count.
    mass_mg
        None without a calibration factor.
    lesions
        One row a lesion, columns `CLINICAL_COLUMNS`; centres in patient (LPS) mm. In-plane
        components that touch across slices (26 neighbours) are one lesion.
    lesion_labels
        int32 on the scan's grid: the number of the lesion that a voxel counts for, or 0.
    """

    convention: str
    threshold_hu: float
    agatston: float | None
    volume_mm3: float
    pseudo_mass_hu_mm3: float
    mass_mg: float | None
    lesions: pd.DataFrame
    lesion_labels: Volume

    @property
    def risk_category(self) -> RiskCategory | None:
        """The category of the Agatston score, or None where there is no such score."""
        return None if self.agatston is None else risk_category(self.agatston)

    def as_json(self) -> dict[str, Any]:
        """The object that `cacnb clinical --json` prints."""
        return {
            "convention": self.convention,
            "threshold_hu": self.threshold_hu,
            "agatston": self.agatston,
            "volume_mm3": self.volume_mm3,
            "pseudo_mass_hu_mm3": self.pseudo_mass_hu_mm3,
            "mass_mg": self.mass_mg,
            "risk_category": self.risk_category,
            "lesions": lesion_records(self.lesions),
        }


def score_clinically(
    volume: Volume,
    region: Volume,
    convention: Convention,
    *,
    slice_thickness_mm: float | None = None,
    threshold_hu: float | None = None,
    calibration_mg_per_hu_mm3: float | None = None,
) -> ClinicalScores:
    """Score the calcium of a scan inside a region by one convention.

    Parameters
    ----------
    volume
        The scan in HU, (z, y, x).
    region
        A bool mask on the same grid; voxels outside it never count and never connect.
    slice_thickness_mm
        DICOM SliceThickness; without it the slice spacing stands in for it.
    threshold_hu
        Instead of the convention's threshold, such as `threshold_for_kvp(100)`.
    calibration_mg_per_hu_mm3
        mg of calcium for each HU·mm³ of pseudo-mass.

    Raises
    ------
    InputError
        `different_grid`, `not_a_mask`.
    UsageError
        Where a thickness or a calibration factor is not a positive number.

    Example
    -------
    >>> from cacnb.scoring.conventions import convention
    >>> scan = Volume(np.full((1, 2, 3), 250.0, dtype=np.float32), (3.0, 0.5, 0.5))
    >>> all_of_it = scan.with_array(np.ones(scan.shape, dtype=bool))
    >>> score_clinically(scan, all_of_it, convention("literature")).agatston
    3.0
    """
    require_same_grid(volume, region, "region")
    require_mask(region, "region")
    _require_positive("slice thickness", slice_thickness_mm, "mm")
    _require_positive("calibration factor", calibration_mg_per_hu_mm3, "mg for each HU·mm³")
    threshold = convention.threshold_hu if threshold_hu is None else float(threshold_hu)

    component, voxels = _counted_voxels(volume, region, convention, threshold)
    parts = slice_parts(component, voxels.index[:, 0], voxels.hu)
    factor = convention.thickness_factor(volume.spacing_mm[0], slice_thickness_mm)
    pseudo_mass = voxels.total(voxels.hu) * volume.voxel_volume_mm3
    agatston = _agatston(parts, voxels, convention, volume.pixel_area_mm2, factor)
    lesions = pd.DataFrame(
        {
            **describe_lesions(voxels, volume),
            "agatston": np.full(voxels.count, np.nan) if agatston is None else agatston,
            "pseudo_mass_hu_mm3": pseudo_mass,
        },
        columns=list(CLINICAL_COLUMNS),
    )
    # HU of a scan are integers: summed before they are scaled, the total is exact
    total_mass = float(voxels.hu.sum()) * volume.voxel_volume_mm3
    return ClinicalScores(
        convention=convention.name,
        threshold_hu=threshold,
        agatston=None if agatston is None else float(agatston.sum()),
        volume_mm3=voxels.hu.size * volume.voxel_volume_mm3,
        pseudo_mass_hu_mm3=total_mass,
        mass_mg=None
        if calibration_mg_per_hu_mm3 is None
        else total_mass * calibration_mg_per_hu_mm3,
        lesions=lesions,
        lesion_labels=voxels.labels(volume),
    )


def _counted_voxels(
    volume: Volume, region: Volume, convention: Convention, threshold_hu: float
) -> tuple[Indices, LesionVoxels]:
    """Each counted voxel's component (from 0) and the voxels, grouped into lesions."""
    inside = np.asarray(region.array, dtype=bool)
    box = bounding_box(inside) or (slice(0), slice(0), slice(0))
    hu: NDArray[Any] = volume.array[box]
    above = hu > threshold_hu if convention.strictly_above else hu >= threshold_hu
    labels, count = label_components(inside[box] & above, convention.connectivity)
    size = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    counts = convention.smallest.admits(
        size, pixel_area_mm2=volume.pixel_area_mm2, voxel_volume_mm3=volume.voxel_volume_mm3
    )
    number = np.concatenate([[0], np.where(counts, np.cumsum(counts), 0)])
    labels = number[labels].astype(np.int32)
    lesion_labels, lesions = _lesions_of(labels, int(counts.sum()), convention)
    inner = np.nonzero(labels)
    offset = [edge.start or 0 for edge in box]
    return labels[inner].astype(np.intp) - 1, LesionVoxels(
        lesion=lesion_labels[inner].astype(np.intp),
        index=np.stack(inner, axis=1) + np.asarray(offset, dtype=np.intp),
        hu=hu[inner].astype(np.float64),
        count=lesions,
    )


def _lesions_of(
    labels: NDArray[np.int32], count: int, convention: Convention
) -> tuple[NDArray[np.int32], int]:
    """The lesions that a reader sees: in-plane components are joined across slices."""
    if convention.connectivity.startswith("3d"):
        return labels, count
    return label_components(labels > 0, "3d-26")


def _agatston(
    parts: SliceParts,
    voxels: LesionVoxels,
    convention: Convention,
    pixel_area_mm2: float,
    thickness_factor: float,
) -> Floats | None:
    """(lesions,) Agatston scores, or None where the convention has no density weights."""
    if convention.weight_from == "no weights":
        return None
    peak_hu = parts.peak_hu
    if convention.weight_from == "lesion 3-D maximum":
        peak_hu = group_max(parts.component, voxels.count, parts.peak_hu)[parts.component]
    per_voxel = pixel_area_mm2 * thickness_factor
    to_3_decimals = convention.rounding == "voxel and slice component to 3 decimals"
    if to_3_decimals:
        per_voxel = round(per_voxel, 3)
    score = parts.voxels * convention.weight(peak_hu) * per_voxel
    if to_3_decimals:
        score = np.round(score, 3)
    lesion_of_part = np.zeros(parts.voxels.size, dtype=np.intp)
    lesion_of_part[parts.of_voxel] = voxels.lesion - 1
    lesion_score = group_sum(lesion_of_part, voxels.count, score)
    return np.round(lesion_score) if convention.rounding == "lesion to integer" else lesion_score


def _require_positive(what: str, value: float | None, unit: str) -> None:
    if value is not None and not (np.isfinite(value) and value > 0):
        raise UsageError(f"the {what} must be a positive number ({unit}), got {value}")
