"""What is settled of each slice, for training and evaluation to read; it settles nothing itself."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pandas as pd

from cacnb.errors import InputError
from cacnb.labels.place import labels_place, study_key
from cacnb.labels.store import LabelStore

#: What a slice may be once it is settled.
_DECISIONS = {"cac": 1, "no_cac": 0}

COLUMNS = ("scan", "slice", "contains_cac", "reader")


def slice_labels(study: Path) -> pd.DataFrame:
    """Settled labels of a study's slices: those of its label store, else of `slice_labels.csv`.

    A label of the store goes before the file's. An adjudicator's goes before the readers'; without
    one a slice on which readers differ, or which all call unsure, is left out, whatever the file
    says. Hidden repeats are not counted.

    Returns
    -------
    DataFrame
        `scan`, `slice` (z index on the scan's own grid), `contains_cac` (0 or 1), `reader` (who
        said so; several names are joined by " + "), sorted; empty where nothing is settled.

    Raises
    ------
    InputError
        As `LabelStore.open`.
    """
    said = _said(study)
    settled = _settled(said)
    file = study / "slice_labels.csv"
    if not file.is_file():
        return settled
    told = pd.read_csv(file, dtype={"scan": str})
    if "reader" not in told:
        told["reader"] = ""
    if said.empty:
        return told[[*COLUMNS]]
    touched = pd.MultiIndex.from_frame(said[["scan", "slice"]])
    untouched = told[~pd.MultiIndex.from_frame(told[["scan", "slice"]]).isin(touched)]
    both = pd.concat([untouched[[*COLUMNS]], settled])
    return both.sort_values(["scan", "slice"]).reset_index(drop=True)


def visible_scans(study: Path) -> pd.Series[bool]:
    """Whether each labelled scan shows CAC on any slice that is settled, by its name.

    Raises
    ------
    InputError
        `no_labels` where no slice of the study is settled; as `LabelStore.open`.
    """
    labels = slice_labels(study)
    if labels.empty:
        raise InputError(
            "no_labels",
            f"no slice of {study} has a settled label: label it first, "
            f"`cacnb serve label --study {study}`",
        )
    return labels.groupby("scan")["contains_cac"].max().astype(bool)


def labels_sha256(labels: pd.DataFrame | None) -> str:
    """One number of some slices' labels: what was made from them is old where it differs.

    Example
    -------
    >>> row = pd.DataFrame({"scan": ["a"], "slice": [3], "contains_cac": [1], "reader": ["A"]})
    >>> labels_sha256(row) == labels_sha256(row.assign(reader="B"))
    True
    """
    if labels is None:
        return ""
    rows = labels[["scan", "slice", "contains_cac"]].sort_values(["scan", "slice"])
    return hashlib.sha256(rows.to_csv(index=False, lineterminator="\n").encode()).hexdigest()


def _said(study: Path) -> pd.DataFrame:
    """What readers say of slices now, first readings; a store is not made for the asking."""
    place = labels_place(study)
    if "://" not in place and not Path(place).is_file():
        return pd.DataFrame(columns=["scan", "slice", "reader", "role", "value"])
    with LabelStore.open(place) as store:
        current = store.current(study=study_key(study), subject="slice", reading=1)
    said = current[current["value"].notna()]
    return said[["scan", "slice", "reader", "role", "value"]].astype({"slice": "int64"})


def _settled(said: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for (scan, z), of_slice in said.groupby(["scan", "slice"]):
        adjudicated = of_slice[of_slice["role"] == "adjudication"]
        counted = adjudicated if len(adjudicated) else of_slice
        values = set(counted["value"])
        if len(values) == 1 and (value := values.pop()) in _DECISIONS:
            readers = " + ".join(sorted(set(counted["reader"])))
            rows.append((scan, z, _DECISIONS[value], readers))
    return pd.DataFrame(rows, columns=[*COLUMNS])
