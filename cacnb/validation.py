"""From validation scans to the proposed method's thresholds; test scans choose nothing here."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cacnb.ct.grids import resample_onto
from cacnb.ct.heart import without_chest_wall
from cacnb.ct.reading import read_mask, read_scan
from cacnb.ct.volume import Volume
from cacnb.labels.agreed import visible_scans
from cacnb.learning.kept import F1_SLACK
from cacnb.learning.weights import Weights
from cacnb.pipeline import (
    atlas_of,
    network_slices,
    raw_map,
    segment_heart,
    slice_probabilities,
)
from cacnb.scoring.cac_map import SOFT_TISSUE_FLOOR_HU, MapLesions, clean_map, map_lesions
from cacnb.study.detection import count_detections
from cacnb.study.relative_difference import relative_difference
from cacnb.training_scans import TrainingScan, training_scans

#: Thresholds tried on the validation scans: slice probability of a lesion and of the slices beside,
#: healthy value in HU below which the map is noise (the paper's, or none), least map value in HU,
#: least lesion mass in HU·mm³.
SLICE_PROBABILITIES = (0.2, 0.3, 0.5, 0.7)
SLICE_PROBABILITIES_BESIDE = (0.03, 0.1, 0.2)
SOFT_TISSUE_FLOORS_HU = (SOFT_TISSUE_FLOOR_HU, -1000.0)
SMALLEST_MAP_HU = (5.0, 10.0, 20.0)
SMALLEST_MASS_HU_MM3 = (0.0, 1000.0, 2500.0, 4000.0, 6000.0)

#: Sensitivity and false positive rate per scan of the paper's method (section 5.1).
PAPER_POINT = (0.83, 0.14)

#: What the validation scans choose.
THRESHOLDS = (
    "slice_probability_beside", "soft_tissue_floor_hu", "smallest_map_hu", "slice_probability",
    "smallest_lesion_mass_hu_mm3",
)  # fmt: skip


@dataclass(frozen=True)
class ValidationScan:
    """What the networks say of one validation scan, before any threshold."""

    name: str
    pair: str
    visible: bool
    cut: Volume
    heart: Volume
    near_arteries: Volume
    probability: NDArray[np.float32]
    raw_map: Volume
    dice: float


def validation_scans(study: Path, weights: Weights) -> list[ValidationScan]:
    """Heart, probabilities and raw maps of every heart slice of a study's labelled scans.

    Raises
    ------
    InputError
        `no_study`, `no_masks`, `no_labels`.
    """
    scans = training_scans(study)
    cohort = pd.read_csv(study / "cohort.csv", dtype=str).set_index("scan")
    visible = visible_scans(study)
    scans = [scan for scan in scans if scan.name in visible.index]
    with ThreadPoolExecutor(max_workers=2) as pool:
        looks = pool.map(
            lambda scan: _look(
                scan, weights, str(cohort.loc[scan.name, "pair"]), bool(visible[scan.name])
            ),
            scans,
        )
        return [look for look in looks if look is not None]


def _look(scan: TrainingScan, weights: Weights, pair: str, visible: bool) -> ValidationScan | None:
    _, volume = read_scan(scan.path)
    heart = segment_heart(volume, weights)
    truth = read_mask(scan.heart, volume)
    if not heart.array.any():
        return None
    heart = without_chest_wall(heart, volume)
    dice = 2 * (heart.array & truth.array).sum() / (heart.array.sum() + truth.array.sum())
    cut, inside, where = network_slices(volume, heart, weights.slice_recipe.store_px)
    near = resample_onto(atlas_of(weights).region(heart), cut)
    probability = np.zeros(cut.shape[0], np.float32)
    probability[where] = slice_probabilities(cut, where, weights)
    raw = raw_map(cut, probability >= min(SLICE_PROBABILITIES_BESIDE), where, weights).array
    # Only the part that any threshold leaves is kept: hundreds of settings are tried on it.
    worth_it = np.argwhere((raw >= min(SMALLEST_MAP_HU)) & inside.array)
    low, high = (
        (worth_it.min(axis=0), worth_it.max(axis=0) + 1) if len(worth_it) else ([0] * 3, [1] * 3)
    )
    z, y, x = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    parts = [
        Volume(array[z, y, x].copy(), cut.spacing_mm)  # not a view: it would keep the whole
        for array in (cut.array, inside.array, near.array, raw)
    ]
    return ValidationScan(
        scan.name,
        pair,
        visible,
        parts[0],
        parts[1],
        parts[2],
        probability[z],
        parts[3],
        float(dice),
    )


def choose_thresholds(
    scans: list[ValidationScan],
) -> tuple[dict[str, float], dict[str, Any], pd.DataFrame]:
    """The thresholds by the paper's criterion (section 5): detection F1, then relative difference.

    Returns the choice (`best_setting`), its figures and every setting tried, the one that is
    `chosen` marked.
    """
    rows = []
    for beside, floor, least in product(
        SLICE_PROBABILITIES_BESIDE, SOFT_TISSUE_FLOORS_HU, SMALLEST_MAP_HU
    ):
        lesions = [_lesions(scan, beside, floor, least) for scan in scans]
        for sure, mass in product(SLICE_PROBABILITIES, SMALLEST_MASS_HU_MM3):
            scores = [_score(found, sure, mass) for found in lesions]
            setting = dict(zip(THRESHOLDS, (beside, floor, least, sure, mass), strict=True))
            rows.append({**setting, **_figures(scans, scores)})
    tried = pd.DataFrame(rows)
    tried["chosen"] = tried.index == best_setting(tried)
    best: dict[str, Any] = {
        str(key): value for key, value in tried[tried["chosen"]].to_dict("records")[0].items()
    }
    figures = {key: best[key] for key in best if key not in (*THRESHOLDS, "chosen")}
    figures["heart_dice_median"] = float(np.median([s.dice for s in scans]))
    figures["scans"] = len(scans)
    return {name: float(best[name]) for name in THRESHOLDS}, figures, tried


def best_setting(tried: pd.DataFrame) -> int:
    """The row of the setting to take: F1 as good as any, then the smallest relative difference.

    Only settings as sensitive as the paper's method at no higher a false positive rate are looked
    at, if there are any: the best F1 alone would give up faint calcium, which is few scans'. Among
    those within `F1_SLACK` of their best F1 it is the one with the smallest mean relative
    difference in pairs positive in both scans; where no setting has such a pair, F1 alone decides.

    Example
    -------
    >>> tried = pd.DataFrame(
    ...     {
    ...         "sensitivity": [0.70, 0.85, 0.86], "false_positive_rate": [0.0, 0.1, 0.1],
    ...         "f1": [0.90, 0.85, 0.84], "relative_difference_both_positive": [0.4, 0.5, 0.45],
    ...     }
    ... )
    >>> best_setting(tried)
    2
    """
    sensitivity, false_positive_rate = PAPER_POINT
    as_paper = tried[
        (tried["sensitivity"] >= sensitivity)
        & (tried["false_positive_rate"] <= false_positive_rate)
    ]
    allowed = tried if as_paper.empty else as_paper
    good = allowed[allowed["f1"] >= allowed["f1"].max() - F1_SLACK]
    apart = good["relative_difference_both_positive"].astype(float)
    # no pair is positive twice in any of them: nothing beyond F1 speaks for one
    return int(good["f1"].idxmax() if apart.isna().all() else apart.idxmin())


def _lesions(scan: ValidationScan, beside: float, floor: float, least: float) -> MapLesions:
    cleaned = clean_map(
        scan.raw_map, scan.cut, scan.heart, scan.probability >= beside,
        soft_tissue_floor_hu=floor, smallest_hu=least,
    )  # fmt: skip
    return map_lesions(cleaned, scan.near_arteries, scan.probability)


def _score(found: MapLesions, sure: float, mass: float) -> float:
    """Pseudo-mass in HU·mm³ of the lesions that count, as the pipeline counts them."""
    return float(found.mass_hu_mm3[found.counted(sure, mass)].sum())


def _figures(scans: list[ValidationScan], masses: list[float]) -> dict[str, Any]:
    detection = count_detections([s.visible for s in scans], [m > 0 for m in masses])
    table = pd.DataFrame({"pair": [s.pair for s in scans], "mass": masses})
    both = table.groupby("pair").filter(lambda group: len(group) == 2)
    first, second = (both.groupby("pair").nth(i)["mass"].to_numpy(float) for i in (0, 1))
    difference = relative_difference(first, second)
    return {
        "sensitivity": detection.sensitivity, "false_positive_rate": detection.false_positive_rate,
        "f1": detection.f1,
        "relative_difference_both_positive": difference.both_positive,
        "relative_difference_any_positive": difference.any_positive,
        "pairs_both_positive": difference.n_both_positive,
    }  # fmt: skip
