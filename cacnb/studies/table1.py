"""Table 1 of the paper for any study: scans, annotations, purpose; not how it is shown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from cacnb.labels.place import study_key, study_toml
from cacnb.studies.annotations import with_annotations
from cacnb.study.cohort import read_cohort
from cacnb.study.sets import NETWORKS, SETS, Network
from cacnb.study.splits import sides

#: How a scan without a set is called, and the heading of sets that section 2 does not have.
NO_SET, UNSPLIT = "(no set)", "Not split"

#: Annotations of Table 1 B, and the clinical lesions of section 2.
ANNOTATED = ("heart", "labelled", "regions", "clinical")

#: Purposes of Table 1 C and which sides of the split each is taken from.
PURPOSES: dict[str, Network] = {"heart": "heart", "slices": "cac", "decomposition": "cac"}


@dataclass(frozen=True)
class SetRow:
    """One set of a study, a row of Table 1 A, B and C.

    Parameters
    ----------
    name, part
        The set, and the part of the table that it stands in.
    patients, scans
        How many; those of its subsets are counted, as in the paper.
    breath_hold, free_breathing, breathing_not_told
        Scans of each kind.
    heart, labelled, regions, clinical
        How many scans have heart mask, slice labels, painted regions, clinical lesions.
    purposes
        Per network, how many patients train, validate and test.
    acquisition
        What section 2 tells of the scanner: tube voltages and ranges in mm.
    """

    name: str
    part: str
    patients: int
    scans: int
    breath_hold: int
    free_breathing: int
    breathing_not_told: int
    heart: int
    labelled: int
    regions: int
    clinical: int
    purposes: dict[str, dict[str, int]]
    acquisition: dict[str, Any]


@dataclass(frozen=True)
class Table1:
    """Table 1 of a study; `simulated` must be said wherever it is shown."""

    study: str
    simulated: bool
    patients: int
    scans: int
    rows: tuple[SetRow, ...]

    def as_json(self) -> dict[str, Any]:
        """The table as plain values, for scripts."""
        return {**asdict(self), "rows": [asdict(row) for row in self.rows]}


def table1(study: Path) -> Table1:
    """Table 1 A, B and C of a study (section 2).

    Raises
    ------
    InputError
        As `read_cohort`, `sides` and `with_annotations`.
    """
    cohort = read_cohort(study)
    table = with_annotations(study, cohort)
    for network in NETWORKS:
        table[f"side_{network}"] = sides(cohort, network)
    names = cohort["set"] if "set" in cohort else pd.Series(None, cohort.index, dtype=object)
    table["set"] = names.astype(object).where(names.notna(), NO_SET)
    return Table1(
        study_key(study), bool(study_toml(study).get("simulated", False)),
        int(cohort["patient"].nunique()), len(cohort), tuple(_rows(table)),
    )  # fmt: skip


def _rows(table: pd.DataFrame) -> Iterator[SetRow]:
    there = set(table["set"])
    for name, one in SETS.items():
        inside = {name} | {other.name for other in SETS.values() if other.within == name}
        if there & inside:
            rows = table[table["set"].isin(list(inside))]
            yield _row(name, "Development" if one.development else "Evaluation", rows, whole=True)
    for name in sorted(there - set(SETS)):
        yield _row(name, UNSPLIT, table[table["set"] == name], whole=False)


def _row(name: str, part: str, rows: pd.DataFrame, *, whole: bool) -> SetRow:
    hold = rows["breath_hold"] if "breath_hold" in rows else pd.Series(pd.NA, rows.index)
    held, free = (int(hold.map({answer: 1}).sum()) for answer in (True, False))
    purposes = {}
    for network, sided in PURPOSES.items():
        meant = SETS[name].purposes(sided) if whole else ("train", "val", "test")
        side = rows[f"side_{sided}"].where(rows[f"side_{sided}"].isin(meant))
        counted = rows.groupby(side)["patient"].nunique()
        purposes[network] = {one: int(counted.get(one, 0)) for one in ("train", "val", "test")}
    return SetRow(
        name=name, part=part, patients=int(rows["patient"].nunique()), scans=len(rows),
        breath_hold=held, free_breathing=free, breathing_not_told=len(rows) - held - free,
        **{kind: int(rows[kind].sum()) for kind in ANNOTATED},
        purposes=purposes, acquisition=_acquisition(rows),
    )  # fmt: skip


def _acquisition(rows: pd.DataFrame) -> dict[str, Any]:
    """Tube voltages, and the range of spacing and thickness, where the cohort tells them."""
    found: dict[str, Any] = {}
    if "kvp" in rows and rows["kvp"].notna().any():
        found["kvp"] = sorted({float(kvp) for kvp in rows["kvp"].dropna()})
    for name in ("spacing_xy_mm", "spacing_z_mm", "slice_thickness_mm"):
        if name in rows and rows[name].notna().any():
            found[name] = [float(rows[name].min()), float(rows[name].max())]
    return found
