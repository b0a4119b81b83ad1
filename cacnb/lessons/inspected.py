"""What `cacnb inspect` finds, as a table of a lesson; it judges nothing itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from cacnb.ct.series import Inspection, find_series
from cacnb.studies import Study

#: Columns of the table.
COLUMNS = ("where", "files", "slices", "spacing mm (z, y, x)", "verdict", "code", "why")

#: More scans of a study than this are not inspected in a lesson; evenly spread ones are.
MOST = 60


def inspected(paths: Sequence[Path] | Path) -> pd.DataFrame:
    """Every series and every other file below some paths, each with its verdict.

    Returns
    -------
    DataFrame
        Columns `COLUMNS`: a row a series, `verdict` usable, warned or refused; then a row a file
        that is no scan, `verdict` "no scan". Places are told from the paths on.
    """
    wanted = [paths] if isinstance(paths, Path) else list(paths)
    return _table(find_series(wanted), wanted)


def inspected_study(study: Study) -> pd.DataFrame:
    """The scans of a study, as `inspected` tells them; evenly spread ones of a large study."""
    files = [study.folder / str(path) for path in study.cohort["path"]]
    return inspected(files[:: max(1, -(-len(files) // MOST))])


def _table(found: Inspection, wanted: Sequence[Path]) -> pd.DataFrame:
    rows = [
        {
            "where": _place(series.path, wanted), "files": len(series.files),
            "slices": series.slices,
            "spacing mm (z, y, x)": " × ".join(f"{mm:.3g}" for mm in series.spacing_mm or ()),
            "verdict": series.verdict,
            "code": ", ".join(reason.code for reason in series.reasons),
            "why": "; ".join(reason.message for reason in series.reasons),
        }
        for series in found.series
    ]  # fmt: skip
    rows += [
        {
            "where": _place(file.path, wanted), "files": 1, "slices": 0,
            "spacing mm (z, y, x)": "", "verdict": "no scan", "code": file.code,
            "why": file.message,
        }
        for file in found.unread
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _place(path: Path, wanted: Sequence[Path]) -> str:
    """A path from the folder that was asked for on; its own name where it was asked for."""
    for folder in wanted:
        if path != folder and folder in path.parents:
            return str(path.relative_to(folder))
    return path.name
