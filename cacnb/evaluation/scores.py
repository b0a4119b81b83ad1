"""A scored study as tables: one row a scan, one a pair, one an artery; no statistic."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cacnb.errors import InputError
from cacnb.evaluation.references import ARTERIES, METHODS
from cacnb.labels.agreed import slice_labels
from cacnb.study.cohort import read_cohort

#: What is measured of a scan.
SCORES = ("mass", "agatston")


def score_table(study: Path, compared: dict[str, dict[str, Any]] | None = None) -> pd.DataFrame:
    """One row a scored scan: cohort columns, each method's mass and Agatston score, any truth.

    `<method>_mass` is a pseudo-mass in HU·mm³, `<method>_agatston` a score; NaN where a method has
    none, as in a refused scan.
    `compared` is what `compare_with_references` gave: without it there is no manual method.

    Raises
    ------
    InputError
        `no_study`, or `no_scores` where no scan of the study is scored.
    """
    cohort = read_cohort(study)
    rows = [
        _scored(str(scan), study / "scores" / f"{scan}.json", (compared or {}).get(str(scan), {}))
        for scan in cohort["scan"]
        if (study / "scores" / f"{scan}.json").is_file()
    ]
    if not rows:
        raise InputError(
            "no_scores", f"no scan of {study} is scored: run `cacnb run --study {study}` first"
        )
    table = cohort.merge(pd.DataFrame(rows), on="scan")
    truth = study / "truth_scans.csv"
    if truth.is_file():
        return table.merge(pd.read_csv(truth, dtype={"scan": str}), on="scan")
    labels = slice_labels(study)
    if len(labels):
        seen = labels.groupby("scan")["contains_cac"].max()
        table["visible"] = (seen > 0).reindex(table["scan"]).to_numpy()
    return table


def _scored(scan: str, file: Path, compared: dict[str, Any]) -> dict[str, Any]:
    found = json.loads(file.read_text(encoding="utf-8"))
    out: dict[str, Any] = {
        "scan": scan,
        "verdict": found["verdict"],
        "why": "; ".join(r["code"] for r in found["reasons"]),
        "weights": found.get("weights", {}).get("name"),
        "convention": found.get("clinical", {}).get("convention"),
    }
    for method in METHODS:
        out |= {f"{method}_{score}": np.nan for score in SCORES}
    if "proposed" not in found:
        return out
    out["proposed_mass"] = found["proposed"]["pseudo_mass_hu_mm3"]
    out["proposed_agatston"] = found["proposed"]["agatston_adjusted"]
    out["clinical_automatic_mass"] = found["clinical"]["pseudo_mass_hu_mm3"]
    out["clinical_automatic_agatston"] = found["clinical"]["agatston"]
    for score, value in compared.get("manual", {}).items():
        out[f"clinical_manual_{score}"] = value
    return out


def pair_table(scans: pd.DataFrame) -> pd.DataFrame:
    """One row a pair in which both scans were scored: each column as `<column>_1` and `<column>_2`.

    The second scan of a pair is the one in breath-hold, where the cohort says which is.
    """
    scored = scans[scans["proposed_mass"].notna() & scans["pair"].notna()]
    return _paired(scored, ["pair"])


def artery_table(scans: pd.DataFrame, compared: dict[str, dict[str, Any]]) -> pd.DataFrame:
    """One row an artery of a scan that has painted regions: `visible`, and each method's mass.

    Empty where no scan has regions.
    """
    pair = scans.set_index("scan")["pair"] if "pair" in scans else pd.Series(dtype=str)
    hold = scans.set_index("scan").get("breath_hold", pd.Series(False, index=pair.index))
    rows = [
        {
            "scan": scan, "pair": pair.get(scan), "breath_hold": hold.get(scan), "artery": artery,
            "visible": found["arteries"][artery]["visible"],
            **{f"{m}_mass": found["arteries"][artery].get(m, np.nan) for m in METHODS},
        }
        for scan, found in compared.items()
        if "arteries" in found
        for artery in ARTERIES
    ]  # fmt: skip
    return pd.DataFrame(rows)


def artery_pairs(arteries: pd.DataFrame) -> pd.DataFrame:
    """One row an artery that shows calcium in both scans of a pair: columns `_1` and `_2`."""
    shown = arteries[arteries["visible"] & arteries["pair"].notna()]
    return _paired(shown, ["pair", "artery"]).reset_index()


def _paired(rows: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Rows that come twice by their keys, side by side."""
    both = rows.groupby(keys).filter(lambda group: len(group) == 2)
    order = [name for name in ("breath_hold", "scan") if name in both]
    both = both.sort_values([*keys, *order])
    first, second = (both.groupby(keys).nth(i).set_index(keys) for i in (0, 1))
    return first.add_suffix("_1").join(second.add_suffix("_2"))
