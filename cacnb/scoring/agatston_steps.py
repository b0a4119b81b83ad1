"""How an Agatston score comes about, lesion by lesion and slice by slice; it makes no other score.

The sums are exactly those of `score_clinically` and `score_map`, which do not keep the steps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from cacnb.ct.volume import Volume
from cacnb.errors import UsageError
from cacnb.scoring.clinical import score_clinically
from cacnb.scoring.conventions import REFERENCE_THICKNESS_MM, Convention, convention
from cacnb.scoring.lesions import (
    Floats,
    Indices,
    bounding_box,
    group_max,
    group_sum,
    label_components,
    slice_parts,
)
from cacnb.scoring.proposed import ADJUSTED_DENSITY_EDGES_HU, score_map

#: Columns of the steps, from left to right as they are multiplied.
STEP_COLUMNS = (
    "lesion", "slice", "voxels", "area_mm2", "peak_hu", "weight", "product_mm2",
    "thickness_factor", "agatston",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class AgatstonSteps:
    """An Agatston score taken apart.

    Parameters
    ----------
    steps
        One row a component of a slice, columns `STEP_COLUMNS`: its lesion as the score's table
        numbers it, its area, the maximum that chooses its weight, area × weight, what that is
        multiplied by for the slice's thickness, and what it adds to the score.
    by_lesion
        (lesions,) each lesion's score, rounded where the convention does; the index is its number.
    agatston
        Their sum.
    """

    steps: pd.DataFrame
    by_lesion: pd.Series
    agatston: float


def clinical_steps(
    volume: Volume,
    region: Volume,
    rules: Convention | None = None,
    *,
    slice_thickness_mm: float | None = None,
    threshold_hu: float | None = None,
) -> AgatstonSteps:
    """The steps of the clinical score; arguments and errors as `score_clinically`.

    Parameters
    ----------
    rules
        The convention; the default one where None came.

    Raises
    ------
    UsageError
        Where the convention has no density weights.

    Example
    -------
    >>> scan = Volume(np.full((1, 2, 3), 250.0, dtype=np.float32), (3.0, 0.5, 0.5))
    >>> found = clinical_steps(scan, scan.with_array(np.ones(scan.shape, dtype=bool)))
    >>> found.steps[["area_mm2", "weight", "agatston"]].to_numpy().tolist(), found.agatston
    ([[1.5, 2.0, 3.0]], 3.0)
    """
    rules = rules or convention()
    if rules.weight_from == "no weights":
        raise UsageError(f"{rules.name} publishes no density weights: it has no Agatston score")
    scores = score_clinically(
        volume, region, rules, slice_thickness_mm=slice_thickness_mm, threshold_hu=threshold_hu
    )
    labels = scores.lesion_labels
    # What counts is left over in `labels`, whole components each: the same rule finds them again
    box = bounding_box(labels.array > 0) or (slice(0), slice(0), slice(0))
    lesions = labels.array[box]
    components = lesions
    if not rules.connectivity.startswith("3d"):
        components, _ = label_components(lesions > 0, rules.connectivity)
    where = np.nonzero(lesions)
    component, hu = components[where].astype(np.intp) - 1, volume.array[box][where]
    factor = rules.thickness_factor(volume.spacing_mm[0], slice_thickness_mm)
    rows = _Parts.of(component, where[0], hu.astype(np.float64), lesions[where].astype(np.intp))
    peak_hu = rows.peak_hu
    if rules.weight_from == "lesion 3-D maximum":
        peak_hu = group_max(rows.lesion - 1, len(scores.lesions), rows.peak_hu)[rows.lesion - 1]
    per_voxel = volume.pixel_area_mm2 * factor
    rounded = rules.rounding == "voxel and slice component to 3 decimals"
    weight = rules.weight(peak_hu)
    agatston = rows.voxels * weight * (round(per_voxel, 3) if rounded else per_voxel)
    if rounded:
        agatston = np.round(agatston, 3)
    first = box[0].start or 0
    steps = rows.table(first, peak_hu, weight, volume.pixel_area_mm2, factor, agatston)
    by_lesion = group_sum(rows.lesion - 1, len(scores.lesions), agatston)
    if rules.rounding == "lesion to integer":
        by_lesion = np.round(by_lesion)
    return _told(steps, by_lesion)


def adjusted_steps(cac_map: Volume, image: Volume) -> AgatstonSteps:
    """The steps of the adjusted score of a clean map: weight 1 also below 130 HU (section 3).

    Arguments and errors as `score_map`.

    Example
    -------
    >>> scan = Volume(np.full((1, 2, 2), 120.0, dtype=np.float32), (1.5, 0.5, 0.5))
    >>> adjusted_steps(scan.with_array(np.full((1, 2, 2), 80.0)), scan).agatston
    0.5
    """
    labels = score_map(cac_map, image).lesion_labels.array
    where = np.nonzero(labels)
    lesion = labels[where].astype(np.intp)
    rows = _Parts.of(lesion - 1, where[0], image.array[where].astype(np.float64), lesion)
    weight = 1 + np.searchsorted(ADJUSTED_DENSITY_EDGES_HU, rows.peak_hu, side="right")
    factor = cac_map.spacing_mm[0] / REFERENCE_THICKNESS_MM
    agatston = rows.voxels * weight * (cac_map.pixel_area_mm2 * factor)
    steps = rows.table(0, rows.peak_hu, weight, cac_map.pixel_area_mm2, factor, agatston)
    return _told(steps, group_sum(rows.lesion - 1, int(lesion.max(initial=0)), agatston))


@dataclass(frozen=True, eq=False)
class _Parts:
    """Components cut at slice borders: (parts,) lesion from 1, slice, voxels, maximum."""

    lesion: Indices
    slice: Indices
    voxels: Floats
    peak_hu: Floats

    @classmethod
    def of(cls, component: Indices, z: Indices, hu: Floats, lesion: Indices) -> _Parts:
        """From each counted voxel's component (from 0), slice, HU and lesion, (n,) each."""
        parts = slice_parts(component, z, hu)
        of_lesion, of_slice = (np.zeros(parts.voxels.size, np.intp) for _ in range(2))
        of_lesion[parts.of_voxel], of_slice[parts.of_voxel] = lesion, z
        return cls(of_lesion, of_slice, parts.voxels, parts.peak_hu)

    def table(
        self,
        first_slice: int,
        peak_hu: Floats,
        weight: Indices,
        pixel_area_mm2: float,
        factor: float,
        agatston: Floats,
    ) -> pd.DataFrame:
        """The rows of `STEP_COLUMNS`, a lesion's together."""
        area_mm2 = self.voxels * pixel_area_mm2
        values = (
            self.lesion, self.slice + first_slice, self.voxels.astype(np.intp), area_mm2, peak_hu,
            weight, area_mm2 * weight, np.full(area_mm2.size, factor), agatston,
        )  # fmt: skip
        table = pd.DataFrame(dict(zip(STEP_COLUMNS, values, strict=True)))
        return table.sort_values(["lesion", "slice"], kind="stable", ignore_index=True)


def _told(steps: pd.DataFrame, by_lesion: Floats) -> AgatstonSteps:
    numbered = pd.Series(
        by_lesion, index=pd.RangeIndex(1, len(by_lesion) + 1, name="lesion"), name="agatston"
    )
    return AgatstonSteps(steps, numbered, float(by_lesion.sum()))
