"""A patient's other scan, and what scanning twice alone does in a study; it judges no patient."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from cacnb.errors import InputError
from cacnb.study.repeat import RepeatStudy, learn_repeat


def rescan_of(cohort: pd.DataFrame, scan: str, scored: Collection[str]) -> str | None:
    """The scored scan that stands beside a scan: of its pair, else of its patient, else None.

    Parameters
    ----------
    cohort
        A study's `cohort.csv`, indexed by scan.
    scored
        Names of the scans that are scored.

    Example
    -------
    >>> cohort = pd.DataFrame({"pair": ["p", "p"], "patient": ["p", "p"]}, index=["a", "b"])
    >>> rescan_of(cohort, "a", ["a", "b"])
    'b'
    """
    for column in ("pair", "patient"):
        if column not in cohort or cohort[column].isna()[scan]:
            continue
        together = cohort.index[cohort[column] == cohort.loc[scan, column]]
        others = [str(name) for name in together if name != scan and name in scored]
        if others:
            return others[0]
    return None


def repeat_without(
    folder: Path,
    cohort: pd.DataFrame,
    scored: Collection[str],
    scan: str,
    *,
    name: str,
    simulated: bool,
) -> RepeatStudy | None:
    """What adjusted Agatston scores do in the study's other pairs, this scan's pair left out.

    Only pairs that were scored with the same weights as the scan count.

    Parameters
    ----------
    folder, cohort, scored
        The study, its `cohort.csv` indexed by scan, its scored scans.
    scan
        Whose pair is left out.
    name, simulated
        What the study is called, and whether its scans are simulated.

    Returns
    -------
    RepeatStudy or None
        None where the study has too few such pairs to tell a limit.
    """
    if "pair" not in cohort:
        return None
    own = _result(folder, scan)
    first, second = [], []
    for pair, rows in cohort[cohort.index.isin(list(scored))].groupby("pair"):
        if pair == cohort.loc[scan, "pair"] or len(rows) != 2:
            continue
        one, two = (_result(folder, str(other)) for other in rows.index)
        if one.get("weights") == two.get("weights") == own.get("weights"):
            first.append(one["proposed"]["agatston_adjusted"])
            second.append(two["proposed"]["agatston_adjusted"])
    try:
        return learn_repeat(first, second, name=name, simulated=simulated)
    except InputError:  # too few pairs with calcium in both scans
        return None


def _result(folder: Path, scan: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(
        (folder / "scores" / f"{scan}.json").read_text(encoding="utf-8")
    )
    return found
