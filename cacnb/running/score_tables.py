"""A study's result files as tables of scans, lesions and failures; it computes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd

from cacnb.files import write_atomically
from cacnb.running.scan_files import Outcome, find_result
from cacnb.scoring.clinical import CLINICAL_COLUMNS
from cacnb.scoring.proposed import PROPOSED_COLUMNS
from cacnb.scoring.scored_scan import STAGES

#: Scores of a scan by each method, as they stand in its result file.
SCORES = {
    "proposed": ("pseudo_mass_hu_mm3", "agatston_adjusted", "volume_mm3", "mass_mg",
                 "risk_category"),
    "clinical": ("pseudo_mass_hu_mm3", "agatston", "volume_mm3", "mass_mg", "risk_category",
                 "convention"),
}  # fmt: skip

SCORE_COLUMNS = (
    "scan", "verdict", "reasons",
    *(f"{method}_{score}" for method, scores in SCORES.items() for score in scores),
    *(f"seconds_{stage}" for stage in (*STAGES, "total")),
    "path", "series_uid", "weights_name", "weights_sha256",
)  # fmt: skip

LESION_COLUMNS = ("scan", "method", *dict.fromkeys((*PROPOSED_COLUMNS, *CLINICAL_COLUMNS)))

FAILED_COLUMNS = ("scan", "outcome", "code", "message")

#: Columns that are words or counts; all others are numbers.
WORDS = {
    "scan", "method", "verdict", "reasons", "path", "series_uid", "weights_name", "weights_sha256",
    "artery", "clinical_convention", "proposed_risk_category", "clinical_risk_category",
}  # fmt: skip
COUNTS = {"lesion", "voxels", "first_slice", "last_slice"}


def table_files(folder: Path) -> dict[str, Path]:
    """Where the tables of a folder of scores are."""
    return {
        "scores": folder / "scores.parquet",
        "lesions": folder / "lesions.parquet",
        "failed": folder / "failed.csv",
    }


def write_tables(folder: Path, outcomes: Sequence[Outcome], weights_sha256: str) -> dict[str, Path]:
    """Write the tables of all results that these weights made, in the order of the outcomes.

    The same result files give the same bytes.

    Parameters
    ----------
    folder
        Where the result files are and the tables go.
    outcomes
        How each scan of the study ended, in the order of its `cohort.csv`.
    weights_sha256
        Results of other weights are left out.

    Raises
    ------
    InputError
        `cannot_write`.
    """
    scans, lesions = [], []
    for outcome in outcomes:
        found = find_result(folder, outcome.scan, weights_sha256).result
        if found:
            scans.append(_scan_row(found))
            lesions.extend(_lesion_rows(found))
    failed = [
        {"outcome": outcome.ending, **outcome.as_json()}
        for outcome in outcomes
        if not outcome.is_scored
    ]
    files = table_files(folder)
    write_atomically(_parquet(scans, SCORE_COLUMNS), files["scores"])
    write_atomically(_parquet(lesions, LESION_COLUMNS), files["lesions"])
    table = pd.DataFrame(failed, columns=list(FAILED_COLUMNS))
    write_atomically(table.to_csv(index=False), files["failed"])
    return files


def _scan_row(found: dict[str, Any]) -> dict[str, Any]:
    row = {key: found[key] for key in ("scan", "verdict", "path", "series_uid")}
    row["reasons"] = "; ".join(reason["code"] for reason in found["reasons"])
    row |= {f"seconds_{stage}": seconds for stage, seconds in found["seconds"].items()}
    row |= {f"weights_{key}": found["weights"][key] for key in ("name", "sha256")}
    for method, scores in SCORES.items():
        told = found.get(method, {})
        row |= {f"{method}_{score}": told.get(score) for score in scores}
    return row


def _lesion_rows(found: dict[str, Any]) -> list[dict[str, Any]]:
    """The lesions of both methods; each counts its own from 1."""
    lesions = {
        "proposed": found.get("lesions", []),
        "clinical": found.get("clinical", {}).get("lesions", []),
    }
    return [
        {"scan": found["scan"], "method": method, **lesion}
        for method, rows in lesions.items()
        for lesion in rows
    ]


def _parquet(rows: list[dict[str, Any]], columns: Sequence[str]) -> bytes:
    """A table whose types are the same in every study, also where a column or all is empty."""
    table = pd.DataFrame(rows, columns=list(columns), dtype=object)
    types = {c: "string" if c in WORDS else "Int64" if c in COUNTS else "float64" for c in columns}
    packed = BytesIO()
    table.astype(types).to_parquet(packed, index=False)
    return packed.getvalue()
