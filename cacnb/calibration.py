"""Does a simulated clinic behave as the published one? It compares; it tunes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cacnb.ct.reading import read_image, read_mask, read_scan
from cacnb.errors import InputError
from cacnb.scoring.clinical import score_clinically
from cacnb.scoring.conventions import convention
from cacnb.study.cohort import REGION_ARTERIES, read_cohort
from cacnb.study.relative_difference import relative_difference


@dataclass(frozen=True)
class Published:
    """A figure of the paper, the range asked of a simulated clinic, and where it stands."""

    figure: str
    value: float
    low: float
    high: float
    source: str


#: What clinical scoring gave in the paper's RTP scans, and the ranges asked of the simulation.
PUBLISHED = (
    Published("scans with visible CAC", 0.37, 0.20, 0.45, "section 5.1: 88 of 238 scans"),
    Published("visible CAC found at 130 HU, LAD", 0.85, 0.75, 0.92, "Table 3A, manual"),
    Published("visible CAC found at 130 HU, LCX", 0.58, 0.45, 0.70, "Table 3A, manual"),
    Published("visible CAC found at 130 HU, RCA", 0.36, 0.28, 0.50, "Table 3A, manual"),
    Published("relative difference, artery pairs", 0.77, 0.60, 0.90, "Table 3B, concordant pairs"),
    Published("relative difference, scan pairs", 0.89, 0.70, 1.00, "Figure 6B, concordant pairs"),
)


@dataclass(frozen=True)
class Comparison:
    """One figure of the simulated clinic beside the published one; `n` scans, arteries or pairs."""

    figure: str
    published: float
    low: float
    high: float
    simulated: float
    standard_error: float
    n: int
    within: bool
    source: str


@dataclass(frozen=True)
class Calibration:
    """All figures, and how many pairs a clinical reader calls positive in one scan only."""

    rows: tuple[Comparison, ...]
    scans: int
    discordant_pairs: int

    def as_json(self) -> dict[str, Any]:
        """The object that `cacnb calibration --json` prints."""
        return {
            "simulated": True,
            "calibration": [asdict(row) for row in self.rows],
            "scans": self.scans,
            "discordant_pairs": self.discordant_pairs,
        }


def calibrate(study: Path) -> Calibration:
    """Compare clinical scoring by the simulated reader of a study with the published figures.

    It reads the cohort, the painted lesion regions and the lesions that the reader picked at
    ≥ 130 HU; the mass is the pseudo-mass of the `literature` convention.

    Raises
    ------
    InputError
        `no_study`; `no_truth` where the study is not a simulated one with both scans of a pair.
    """
    cohort = read_cohort(study)
    truth = study / "truth_scans.csv"
    if not truth.is_file() or cohort["pair"].isna().all():
        raise InputError(
            "no_truth", f"{study} is no simulated study of pairs: make one with `cacnb simulate`"
        )
    visible = pd.read_csv(truth, dtype={"scan": str}).set_index("scan")["visible"].astype(bool)
    with ThreadPoolExecutor(max_workers=2) as pool:
        paths = [study / str(path) for path in cohort["path"]]
        masses = list(pool.map(_clinical_masses, [study] * len(paths), cohort["scan"], paths))
    table = cohort[["scan", "pair", "breath_hold"]].join(pd.DataFrame(masses))
    table["visible"] = visible.reindex(table["scan"]).to_numpy()
    return compare(table)


def compare(table: pd.DataFrame) -> Calibration:
    """The comparison from one row a scan: `pair`, `visible`, `mass`, and for each artery
    `<artery>_visible` and `<artery>_mass` in HU·mm³.
    """
    pairs = table.sort_values(["pair", "scan"]).groupby("pair")
    first, second = (pairs.nth(i).set_index("pair").sort_index() for i in (0, 1))
    first = first.loc[first.index.intersection(second.index)]
    found = [
        table["visible"].to_numpy(float),
        *(
            (table.loc[table[f"{a}_visible"], f"{a}_mass"] > 0).to_numpy(float)
            for a in REGION_ARTERIES
        ),
        np.concatenate([_differences(first, second, f"{a}_mass") for a in REGION_ARTERIES]),
        _differences(first, second, "mass"),
    ]
    discordant = (first["mass"] > 0) != (second["mass"] > 0)
    rows = tuple(_row(want, values) for want, values in zip(PUBLISHED, found, strict=True))
    return Calibration(rows, len(table), int(discordant.sum()))


def _differences(first: pd.DataFrame, second: pd.DataFrame, name: str) -> np.ndarray[Any, Any]:
    """Relative differences of the pairs that are positive in both scans."""
    one, two = first[name].to_numpy(float), second[name].to_numpy(float)
    both = (one > 0) & (two > 0)
    return np.array(
        [
            relative_difference(np.array([a]), np.array([b])).both_positive
            for a, b in zip(one[both], two[both], strict=True)
        ],
        dtype=float,
    )


def _row(want: Published, values: Sequence[float] | np.ndarray[Any, Any]) -> Comparison:
    known = np.asarray(values, float)
    mean = float(known.mean()) if len(known) else float("nan")
    error = float(known.std(ddof=1) / len(known) ** 0.5) if len(known) > 1 else float("nan")
    return Comparison(
        want.figure, want.value, want.low, want.high, mean, error, len(known),
        bool(want.low <= mean <= want.high), want.source,
    )  # fmt: skip


def _clinical_masses(study: Path, scan: str, path: Path) -> dict[str, Any]:
    """What a clinical reader finds in one scan, in all and by artery."""
    regions = read_image(study / "lesion_regions" / f"{scan}.nii.gz")
    row: dict[str, Any] = {"mass": 0.0}
    for artery, label in REGION_ARTERIES.items():
        row[f"{artery}_visible"] = bool((regions.array == label).any())
        row[f"{artery}_mass"] = 0.0
    picked_file = study / "clinical_lesions" / f"{scan}.nii.gz"
    if not read_image(picked_file).array.any():
        return row
    series, volume = read_scan(path)
    picked = read_mask(picked_file, volume, may_be_empty=True)
    labels = np.rint(regions.array)

    def mass(region: np.ndarray[Any, Any]) -> float:
        return score_clinically(
            volume, picked.with_array(region), convention(),
            slice_thickness_mm=series.slice_thickness_mm,
        ).pseudo_mass_hu_mm3  # fmt: skip

    row["mass"] = mass(picked.array)
    for artery, label in REGION_ARTERIES.items():
        row[f"{artery}_mass"] = mass(picked.array & (labels == label))
    return row
