"""Where readers agree and differ, and what they said twice; it computes no statistic."""

from __future__ import annotations

from typing import cast

import pandas as pd


def labels_by_reader(current: pd.DataFrame) -> pd.DataFrame:
    """One row a (scan, slice), one column a reader: first readings, none by adjudicators.

    Parameters
    ----------
    current
        Rows of `LabelStore.current` of subject "slice".
    """
    rows = current[
        (current["role"] != "adjudication") & (current["reading"] == 1) & current["value"].notna()
    ]
    return rows.set_index(["scan", "slice", "reader"])["value"].unstack("reader")  # noqa: PD010


def differing(current: pd.DataFrame) -> dict[str, dict[int, list[str]]]:
    """Scan → slice → what was said, for the slices on which readers differ, names left out.

    Values are sorted, so that their order tells nothing of who said which.
    """
    found: dict[str, dict[int, list[str]]] = {}
    for place, row in labels_by_reader(current).iterrows():
        scan, z = cast("tuple[str, int]", place)
        said = sorted(row.dropna())
        if len(set(said)) > 1:
            found.setdefault(str(scan), {})[int(z)] = said
    return found


def between_readers(current: pd.DataFrame, one: str, other: str) -> pd.DataFrame:
    """Scan, slice and both labels (`first`, `second`) where both readers decided.

    *Unsure* is no decision: such slices are left out.
    """
    table = labels_by_reader(current)
    if one not in table or other not in table:
        return pd.DataFrame(columns=["scan", "slice", "first", "second"])
    pairs = table[[one, other]].dropna().reset_index()
    return _decided(pairs.set_axis(["scan", "slice", "first", "second"], axis=1))


def within_reader(current: pd.DataFrame, reader: str) -> pd.DataFrame:
    """Scan, slice, and what one reader said of it first and in the hidden repeat."""
    rows = current[(current["reader"] == reader) & (current["role"] != "adjudication")]
    table = rows.set_index(["scan", "slice", "reading"])["value"].unstack("reading")  # noqa: PD010
    if 1 not in table or 2 not in table:
        return pd.DataFrame(columns=["scan", "slice", "first", "second"])
    pairs = table[[1, 2]].dropna().reset_index()
    return _decided(pairs.set_axis(["scan", "slice", "first", "second"], axis=1))


def _decided(pairs: pd.DataFrame) -> pd.DataFrame:
    decided = pairs["first"].isin(["cac", "no_cac"]) & pairs["second"].isin(["cac", "no_cac"])
    return pairs[decided].reset_index(drop=True)
