"""From a scored study to the paper's tables, each with intervals; it scores nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from cacnb.evaluation.ablation import ablation_rows
from cacnb.evaluation.networks import heart_rows, slice_rows
from cacnb.evaluation.references import METHODS, compare_with_references
from cacnb.evaluation.scores import artery_table, pair_table, score_table
from cacnb.evaluation.tables import (
    comparison,
    conventions,
    detection,
    detection_per_artery,
    limits,
    reproducibility,
    reproducibility_per_artery,
    risk_categories,
)
from cacnb.evaluation.truth import truth_table
from cacnb.study.cohort import read_cohort

Rows = list[dict[str, Any]]
Tell = Callable[[int, int, str], None]


@dataclass(frozen=True, eq=False)
class Evidence:
    """A study's tables, and the scores of its scans and pairs that they were made from."""

    tables: dict[str, Rows]
    scans: pd.DataFrame
    pairs: pd.DataFrame


def evaluate_study(study: Path, tell: Tell | None = None) -> Evidence:
    """Every table of the paper's evaluation that a scored study allows; the rest are empty.

    A reader's lesions in `clinical_lesions/`, painted regions in `lesion_regions/`, settled slice
    labels of the label store or `slice_labels.csv`, heart masks in `masks/` and, where it is
    simulated, its truth are used where they are. `truth` is empty where a study is not simulated,
    `ablation` where it was not asked for.

    Raises
    ------
    InputError
        `no_study`, or `no_scores` where no scan of the study is scored.
    """
    cohort = read_cohort(study)
    compared = compare_with_references(study, cohort, tell)
    scans = score_table(study, compared)
    pairs = pair_table(scans)
    arteries = artery_table(scans, compared)
    methods = [m for m in METHODS if scans[f"{m}_mass"].notna().any()]
    tables = {
        "detection_per_scan": detection(scans, methods),
        "detection_per_artery": detection_per_artery(arteries, methods),
        "reproducibility_per_artery": reproducibility_per_artery(arteries, methods),
        "reproducibility": reproducibility(pairs, methods),
        "limits": limits(pairs, methods),
        "risk_categories": risk_categories(pairs, methods),
        "comparison": comparison(scans, pairs, methods),
        "ablation": ablation_rows(study),
        "heart": heart_rows(compared),
        "slices": slice_rows(compared),
        "truth": truth_table(scans, compared, methods),
        "conventions": conventions(compared),
        "refused": [
            {"scan": scan, "why": why}
            for scan, verdict, why in scans[["scan", "verdict", "why"]].itertuples(index=False)
            if verdict == "refused"
        ],
    }
    return Evidence(tables, scans, pairs)
