"""One set of lesions by every named clinical convention, side by side; it names no best one."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cacnb.ct.volume import Volume
from cacnb.scoring.clinical import score_clinically
from cacnb.scoring.conventions import CONVENTIONS


def score_by_every_convention(
    volume: Volume, region: Volume, *, slice_thickness_mm: float | None = None
) -> pd.DataFrame:
    """Scores of a scan inside a region by each convention, and the rules that they follow.

    Parameters
    ----------
    volume
        The scan in HU, (z, y, x).
    region
        A bool mask on the same grid.
    slice_thickness_mm
        DICOM SliceThickness; without it the slice spacing stands in for it.

    Returns
    -------
    DataFrame
        By convention: `counts_from` (a threshold in HU), `component`, `weight_from`, `thickness`,
        `lesions`, `agatston` (NaN where the convention has no weights), `volume_mm3`,
        `pseudo_mass_hu_mm3`, `risk_category` (empty without an Agatston score).

    Raises
    ------
    InputError, UsageError
        As `score_clinically`.

    Example
    -------
    >>> scan = Volume(np.full((1, 2, 2), 130.0, dtype=np.float32), (3.0, 1.0, 1.0))
    >>> found = score_by_every_convention(scan, scan.with_array(np.ones(scan.shape, dtype=bool)))
    >>> found.loc[["literature", "slicer"], "agatston"].tolist()
    [4.0, 0.0]
    """
    rows = {}
    for name, rules in CONVENTIONS.items():
        scores = score_clinically(volume, region, rules, slice_thickness_mm=slice_thickness_mm)
        rows[name] = {
            "counts_from": f"{'>' if rules.strictly_above else '≥'} {rules.threshold_hu:g} HU",
            "component": rules.connectivity,
            "weight_from": rules.weight_from,
            "thickness": rules.thickness,
            "lesions": len(scores.lesions),
            "agatston": np.nan if scores.agatston is None else scores.agatston,
            "volume_mm3": scores.volume_mm3,
            "pseudo_mass_hu_mm3": scores.pseudo_mass_hu_mm3,
            "risk_category": scores.risk_category or "",
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("convention")
