"""The tables and labels of a study folder; it does not know what is in the scans."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cacnb.errors import InputError
from cacnb.files import write_atomically
from cacnb.study.cohort_table import COLUMNS, SHOWN, parsed_cohort
from cacnb.study.sets import leaking_rows

#: Labels of the painted regions in `lesion_regions/`; the left main counts as LAD (section 2).
REGION_ARTERIES = {"LAD": 1, "LCX": 2, "RCA": 3}


def read_cohort(study: Path, *, leaks: bool = False) -> pd.DataFrame:
    """A study's `cohort.csv`, every cell of a known column checked.

    Parameters
    ----------
    study
        A study folder.
    leaks
        Read it although a patient stands on two sides of the split: to split it again.

    Returns
    -------
    DataFrame
        One row a scan. Columns that the file leaves out are left out here; an empty cell is
        missing. `breath_hold` is bool, or nullable boolean where a cell is empty.

    Raises
    ------
    InputError
        `no_study` where there is none; `bad_cohort` with row and column of what is wrong (rows as a
        spreadsheet counts them: the header is row 1); `doubled_scan`; `leakage` where a patient
        stands both in training and in validation or test.
    """
    file = study / "cohort.csv"
    if not file.is_file():
        raise InputError("no_study", f"{study} has no cohort.csv: give a study folder")
    try:
        cohort = parsed_cohort(file.read_text(encoding="utf-8-sig"), str(file))
    except UnicodeDecodeError as error:
        raise InputError(
            "bad_cohort", f"{file} is no UTF-8 text: save it as CSV in UTF-8"
        ) from error
    if not leaks:
        refuse_leakage(cohort, str(file))
    return cohort


def refuse_leakage(cohort: pd.DataFrame, file: str) -> None:
    """Refuse a table whose patient stands on two sides of a split (InputError `leakage`)."""
    rows = leaking_rows(cohort)
    if rows:
        told = [f"rows {', '.join(str(at + 2) for at in at_once)}" for at_once in rows[:SHOWN]]
        more = f"; and {len(rows) - SHOWN} more" if len(rows) > SHOWN else ""
        raise InputError(
            "leakage",
            f"{file}: {len(rows)} of the patients on two sides of the split, in training and in "
            f"validation or test: {'; '.join(told)}{more}. Give all scans of a patient one set, "
            "or split again: `cacnb study split --replace`",
        )


def append_rows(study: Path, rows: list[dict[str, object]]) -> None:
    """Add scans to a study's `cohort.csv`, all or none; a study without one gets it.

    Parameters
    ----------
    study
        A study folder.
    rows
        One a scan, with keys of `COLUMNS`; None or a missing key is an empty cell.

    Raises
    ------
    InputError
        `unknown_column`; `bad_cohort` where a value is wrong or a scan's name is there already;
        `leakage`; `cannot_write`.
    """
    known = [column.name for column in COLUMNS]
    unknown = sorted({key for row in rows for key in row if key not in known})
    if unknown:
        raise InputError(
            "unknown_column", f"cohort.csv has no column {unknown[0]!r}: {', '.join(known)}"
        )
    file = study / "cohort.csv"
    there = read_cohort(study) if file.is_file() else pd.DataFrame(columns=["scan"])
    both = pd.concat([there.astype(object), pd.DataFrame(rows, dtype=object)], ignore_index=True)
    write_cohort(study, both)


def write_cohort(study: Path, cohort: pd.DataFrame, *, leaks: bool = False) -> None:
    """Write a checked cohort over the study's, whole or not at all.

    Raises
    ------
    InputError
        `bad_cohort`, `leakage` (unless `leaks`), `cannot_write`.
    """
    order = [column.name for column in COLUMNS if column.needed or column.name in cohort]
    table = cohort.reindex(columns=[*order, *(c for c in cohort if c not in order)])
    text = table.to_csv(index=False, lineterminator="\n")
    checked = parsed_cohort(text, str(study / "cohort.csv"))
    if not leaks:
        refuse_leakage(checked, str(study / "cohort.csv"))
    write_atomically(text, study / "cohort.csv")


def rows_by_scan(file: Path) -> dict[str, pd.DataFrame]:
    """The rows of one of a study's tables by their column `scan`; empty where there is no file."""
    if not file.is_file():
        return {}
    table = pd.read_csv(file, dtype={"scan": str})
    return {str(scan): rows for scan, rows in table.groupby("scan")}


def lesion_centres_mm(lesions: pd.DataFrame) -> NDArray[np.float64]:
    """(n, 3) centres (z, y, x) in patient (LPS) mm of rows of `truth_lesions.csv`.

    Example
    -------
    >>> lesion_centres_mm(pd.DataFrame({"centre_mm": ["1.0 2.0 3.0"]})).tolist()
    [[3.0, 2.0, 1.0]]
    """
    return np.array([str(centre).split() for centre in lesions["centre_mm"]], float)[:, ::-1]
