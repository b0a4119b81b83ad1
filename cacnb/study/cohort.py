"""The table of a study's scans; it does not know what is in the scans."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from cacnb.errors import InputError


def read_cohort(study: Path) -> pd.DataFrame:
    """A study's `cohort.csv`; raises InputError `no_study` where there is none."""
    table = study / "cohort.csv"
    if not table.is_file():
        raise InputError("no_study", f"{study} has no cohort.csv: give a study folder")
    return pd.read_csv(table, dtype={"scan": str, "patient": str, "pair": str, "path": str})
