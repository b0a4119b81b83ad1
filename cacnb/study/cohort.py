"""The tables and labels of a study folder; it does not know what is in the scans."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cacnb.errors import InputError

#: Labels of the painted regions in `lesion_regions/`; the left main counts as LAD (section 2).
REGION_ARTERIES = {"LAD": 1, "LCX": 2, "RCA": 3}


def read_cohort(study: Path) -> pd.DataFrame:
    """A study's `cohort.csv`; raises InputError `no_study` where there is none."""
    table = study / "cohort.csv"
    if not table.is_file():
        raise InputError("no_study", f"{study} has no cohort.csv: give a study folder")
    return pd.read_csv(table, dtype={"scan": str, "patient": str, "pair": str, "path": str})


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
