"""A study's patients drawn into sets, alike in what is known of them; it draws nothing itself."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from cacnb.errors import InputError
from cacnb.studies.annotations import with_annotations
from cacnb.study.cohort import read_cohort, write_cohort
from cacnb.study.splits import is_split, paper_split, plain_split


def split_study(
    study: Path,
    shares: Mapping[str, float] | None = None,
    *,
    paper: bool = False,
    seed: int = 0,
    replace: bool = False,
) -> pd.DataFrame:
    """Draw every patient into a set and write `set` into `cohort.csv`.

    Sets are alike in how many scans and pairs a patient has and, where slices are labelled, in
    whether calcium is visible.

    Parameters
    ----------
    study
        A study folder.
    shares
        Of all patients, by set; train 0.7, val 0.1, test 0.2 if None.
    paper
        Divide as section 2 does, in the paper's proportions; `shares` is not read.
    seed
        The same seed and study give the same split.
    replace
        Draw again although the study is split.

    Returns
    -------
    DataFrame
        One row a set and kind of patient: `set`, `scans`, `paired`, `visible`, `patients`.

    Raises
    ------
    UsageError
        For shares that cannot be drawn.
    InputError
        `no_scans`; `already_split` without `replace`; as `read_cohort`, but not `leakage`.
    """
    cohort = read_cohort(study, leaks=True)
    if cohort.empty:
        raise InputError("no_scans", f"{study} has no scan to draw: `cacnb study add` first")
    if is_split(cohort) and not replace:
        raise InputError(
            "already_split",
            f"{study} is split: a new draw would move test patients into training. Add --replace "
            "to draw again",
        )
    patients = _patients(study, cohort)
    if paper:
        drawn = paper_split(patients, seed)
    else:
        drawn = plain_split(patients[["scans", "paired", "visible"]], shares, seed)
    write_cohort(study, cohort.assign(set=cohort["patient"].astype(str).map(drawn)))
    told = patients.assign(set=pd.Series(drawn))
    kinds = told.groupby(["set", "scans", "paired", "visible"], sort=True)
    return kinds.size().rename("patients").reset_index()


def _patients(study: Path, cohort: pd.DataFrame) -> pd.DataFrame:
    """One row a patient: how many scans, paired, CAC visible, and what the paper's split needs."""
    table = with_annotations(study, cohort)
    pair = cohort["pair"] if "pair" in cohort else pd.Series(None, cohort.index, dtype=object)
    protocol = cohort.get("protocol", pair)
    table = table.assign(
        pair=pair, nlst=protocol.astype(str).str.lower().str.contains("nlst"),
        patient=table["patient"].astype(str),
    )  # fmt: skip
    by_patient = table.groupby("patient")
    found = pd.DataFrame({"scans": by_patient.size(), "paired": by_patient["pair"].count() > 1})
    known, shown = by_patient["visible"].count() > 0, by_patient["visible"].max()
    found["visible"] = [
        ("yes" if seen else "no") if told else "unknown"
        for told, seen in zip(known, shown.fillna(False), strict=True)
    ]
    found["nlst"] = by_patient["nlst"].all()
    found["heart"] = by_patient["heart"].all()
    counted = by_patient["visible"].sum()
    found["visible_in_both"] = found["paired"] & (counted == found["scans"])
    return found
