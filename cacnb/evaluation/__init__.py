"""From a scored study to tables: detection, reproducibility, accuracy; it scores nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cacnb.ct.reading import read_mask, read_scan
from cacnb.errors import InputError
from cacnb.files import write_atomically
from cacnb.scoring.clinical import score_clinically
from cacnb.scoring.conventions import convention
from cacnb.simulation.lesions import hu_mm3_per_mg
from cacnb.study.agreement import (
    bootstrap_interval,
    compare_relative_differences,
    icc,
    icc_value,
    relative_difference,
    relative_difference_interval,
)
from cacnb.study.cohort import read_cohort
from cacnb.study.detection import count_detections

#: The three methods of the paper's tables; in a simulated study the manual one is the simulated
#: reader, who picks every true component at ≥ 130 HU.
METHODS = ("proposed", "clinical_manual", "clinical_automatic")

#: Fewer pairs than this give no interval worth printing.
LEAST_PAIRS = 3

Rows = list[dict[str, Any]]


def evaluate_study(study: Path) -> dict[str, Rows]:
    """The tables of `cacnb evaluate`: detection_per_scan, reproducibility, comparison, truth.

    `truth` is empty where the study is not simulated.

    Raises
    ------
    InputError
        `no_study`, or `no_scores` where no scan of the study is scored.
    """
    scans = score_table(study)
    pairs = pair_table(scans)
    methods = [m for m in METHODS if scans[f"{m}_mass"].notna().any()]
    return {
        "detection_per_scan": [_detection(scans, m) for m in methods] if "visible" in scans else [],
        "reproducibility": [_reproducibility(pairs, m) for m in methods],
        "comparison": [_comparison(pairs, m) for m in methods if m != "proposed"],
        "truth": [_truth(scans, m) for m in methods] if "mass_mg" in scans else [],
        "refused": [
            {"scan": scan, "why": why}
            for scan, verdict, why in zip(
                scans["scan"], scans["verdict"], scans["why"], strict=True
            )
            if verdict == "refused"
        ],
    }


def score_table(study: Path) -> pd.DataFrame:
    """One row a scan: cohort columns, each method's mass and Agatston, and the truth if any."""
    cohort = read_cohort(study)
    rows = []
    for scan in cohort["scan"]:
        file = study / "scores" / f"{scan}.json"
        if file.is_file():
            rows.append(_scored(study, cohort.set_index("scan").loc[scan], file, scan))
    if not rows:
        raise InputError(
            "no_scores", f"no scan of {study} is scored: run `cacnb score --study {study}` first"
        )
    table = cohort.merge(pd.DataFrame(rows), on="scan")
    truth = study / "truth_scans.csv"
    if truth.is_file():
        table = table.merge(pd.read_csv(truth, dtype={"scan": str}), on="scan")
    return table


def _scored(study: Path, row: pd.Series, file: Path, scan: str) -> dict[str, Any]:
    found = json.loads(file.read_text(encoding="utf-8"))
    out: dict[str, Any] = {
        "scan": scan,
        "verdict": found["verdict"],
        "why": "; ".join(r["code"] for r in found["reasons"]),
    }
    for method in METHODS:
        out[f"{method}_mass"] = out[f"{method}_agatston"] = np.nan
    if "proposed" not in found:
        return out
    out["proposed_mass"] = found["proposed"]["pseudo_mass_hu_mm3"]
    out["proposed_agatston"] = found["proposed"]["agatston_adjusted"]
    out["clinical_automatic_mass"] = found["clinical"]["pseudo_mass_hu_mm3"]
    out["clinical_automatic_agatston"] = found["clinical"]["agatston"]
    picked = study / "clinical_lesions" / f"{scan}.nii.gz"
    if picked.is_file():
        out |= _manual(study / str(row["path"]), picked, study / "scores" / f"{scan}.manual.json")
    return out


def _manual(path: Path, picked: Path, cache: Path) -> dict[str, float]:
    """Clinical scores of the voxels that a reader picked, kept beside the scan's scores."""
    if not cache.is_file():
        series, volume = read_scan(path)
        region = read_mask(picked, volume, may_be_empty=True)
        scores = score_clinically(
            volume, region, convention(), slice_thickness_mm=series.slice_thickness_mm
        )
        values = {
            "clinical_manual_mass": scores.pseudo_mass_hu_mm3,
            "clinical_manual_agatston": float(scores.agatston or 0.0),
        }
        write_atomically(json.dumps(values), cache)
    return dict(json.loads(cache.read_text(encoding="utf-8")))


def pair_table(scans: pd.DataFrame) -> pd.DataFrame:
    """One row a pair in which both scans were scored: each score as `<score>_1` and `<score>_2`."""
    scored = scans[scans["proposed_mass"].notna() & scans["pair"].notna()]
    both = scored.groupby("pair").filter(lambda group: len(group) == 2)
    both = both.sort_values(["pair", "breath_hold"])
    first = both.groupby("pair").nth(0).set_index("pair")
    second = both.groupby("pair").nth(1).set_index("pair")
    return first.add_suffix("_1").join(second.add_suffix("_2"))


def _detection(scans: pd.DataFrame, method: str) -> dict[str, Any]:
    known = scans[scans[f"{method}_mass"].notna()]
    counts = count_detections(
        known["visible"].to_numpy(bool), (known[f"{method}_mass"] > 0).to_numpy(bool)
    )
    return {
        "method": method,
        "sensitivity": counts.sensitivity, "sensitivity_ci95": counts.sensitivity_ci95,
        "false_positive_rate": counts.false_positive_rate,
        "false_positive_rate_ci95": counts.false_positive_rate_ci95,
        "f1": counts.f1, "accuracy": counts.accuracy,
        "true_positive": counts.true_positive, "false_positive": counts.false_positive,
        "false_negative": counts.false_negative, "true_negative": counts.true_negative,
    }  # fmt: skip


def _reproducibility(pairs: pd.DataFrame, method: str) -> dict[str, Any]:
    first, second = (pairs[f"{method}_mass_{i}"].to_numpy(float) for i in (1, 2))
    found = relative_difference(first, second)
    row: dict[str, Any] = {
        "method": method, "n_pairs": found.n_pairs, "n_both_positive": found.n_both_positive,
        "n_discordant": found.n_discordant,
        "relative_difference_any_positive": found.any_positive,
        "relative_difference_both_positive": found.both_positive,
    }  # fmt: skip
    for name, both in (("any_positive", False), ("both_positive", True)):
        enough = (
            found.n_both_positive if both else found.n_both_positive + found.n_discordant
        ) >= LEAST_PAIRS
        interval = (
            relative_difference_interval(first, second, both_positive=both) if enough else None
        )
        row[f"relative_difference_{name}_ci95"] = interval
    for score in ("mass", "agatston"):
        ratings = pairs[[f"{method}_{score}_1", f"{method}_{score}_2"]].to_numpy(float)
        usable = len(ratings) >= LEAST_PAIRS and np.ptp(ratings) > 0
        row[f"icc_{score}"] = icc(ratings).value if usable else None
        row[f"icc_{score}_ci95"] = bootstrap_interval(icc_value, ratings) if usable else None
    return row


def _comparison(pairs: pd.DataFrame, method: str) -> dict[str, Any]:
    """The proposed method's relative difference less another's in the same pairs."""
    one, other = (
        tuple(pairs[f"{m}_mass_{i}"].to_numpy(float) for i in (1, 2)) for m in ("proposed", method)
    )
    positive = np.min([*one, *other], axis=0) > 0
    row: dict[str, Any] = {
        "proposed_less": method, "n_pairs_positive_by_both": int(positive.sum()),
        "difference": None, "difference_ci95": None,
    }  # fmt: skip
    if positive.sum() >= LEAST_PAIRS:
        found = compare_relative_differences(
            (one[0][positive], one[1][positive]), (other[0][positive], other[1][positive]),
            both_positive=True,
        )  # fmt: skip
        row["difference"], row["difference_ci95"] = found.value, found.ci95
    return row


def _truth(scans: pd.DataFrame, method: str) -> dict[str, Any]:
    """How a method's mass follows the true mass: simulated scans with calcium only.

    A method's mass is scaled to mg by one factor over the study, so that the bias told is what is
    left after calibration: of the slope, not of the unit.
    """
    known = scans[scans[f"{method}_mass"].notna() & (scans["mass_mg"] > 0)]
    mass, truth = known[f"{method}_mass"].to_numpy(float), known["mass_mg"].to_numpy(float)
    row: dict[str, Any] = {"method": method, "n_scans": len(known), "simulated": True}
    if len(known) < LEAST_PAIRS or mass.sum() == 0:
        return {
            **row,
            "mass_r": None,
            "mg_per_hu_mm3": None,
            "mass_mae_mg": None,
            "mass_bias_percent": None,
        }
    factor = truth.sum() / mass.sum()
    return {
        **row,
        "mass_r": float(np.corrcoef(mass, truth)[0, 1]),
        "mg_per_hu_mm3": float(factor),
        "mass_mae_mg": float(np.abs(mass * factor - truth).mean()),
        "mass_bias_percent": float(100 * (_physical_mg(mass, known) - truth).sum() / truth.sum()),
    }


def _physical_mg(mass_hu_mm3: np.ndarray[Any, Any], scans: pd.DataFrame) -> np.ndarray[Any, Any]:
    """Mass in mg by the simulated scanner's own calibration, without fitting anything."""
    per_mg = np.array([hu_mm3_per_mg(float(kvp)) for kvp in scans["kvp"]])
    return np.asarray(mass_hu_mm3 / per_mg)
