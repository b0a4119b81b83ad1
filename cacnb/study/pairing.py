"""Which scans of one day repeat each other, by their headers in a cohort; it reads no file."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pandas as pd

from cacnb.errors import InputError
from cacnb.files import write_atomically
from cacnb.study.cohort_table import SHOWN

#: Kinds of two scans of one patient's day, the best pair first.
KINDS = {
    "breath_hold": "one in deep inspiration, one in free breathing",
    "repeat": "two acquisitions",
    "unclear": "headers do not say whether there were two acquisitions",
    "reconstruction": "one acquisition, reconstructed twice: no repeat",
}

#: Series of one frame of reference that start closer than this are one acquisition, minutes.
SAME_ACQUISITION_MINUTES = 0.5

#: Columns of `pairs.csv`, the table that a person may edit before it is confirmed.
COLUMNS = ("pair", "first", "second", "kind", "minutes_apart", "same_kernel", "use")
FILE = "pairs.csv"

#: What the table is called once its pairs are in the cohort.
CONFIRMED = "pairs_confirmed.csv"


def proposed_pairs(cohort: pd.DataFrame) -> pd.DataFrame:
    """Every two scans of one patient's day that have no pair yet, and which of them to pair.

    Two series of one frame of reference that start within half a minute are one acquisition,
    reconstructed twice. Of the others, a breath-hold and a free-breathing scan are paired first,
    equal kernels before different ones, the nearer in time before the farther; no scan twice.

    Returns
    -------
    DataFrame
        `pair` (its name if used), `first`, `second` (scans, in the order of time), `kind` (of
        `KINDS`), `minutes_apart`, `same_kernel`, `use` (yes or no).
    """
    rows = [row for day in _days(cohort) for row in _used(day)]
    return pd.DataFrame(rows, columns=[*COLUMNS])


def _days(cohort: pd.DataFrame) -> Iterator[list[dict[str, Any]]]:
    """The scans without a pair of each patient's day, where there are two or more."""
    if "pair" in cohort:
        cohort = cohort[cohort["pair"].isna()]
    if "study_order" not in cohort:
        return
    for _, day in cohort.dropna(subset=["study_order"]).groupby(["patient", "study_order"]):
        if len(day) > 1:
            day = day.sort_values([c for c in ("minutes", "scan") if c in day])
            yield day.astype(object).where(day.notna(), None).to_dict("records")  # type: ignore[misc]


def _used(day: list[dict[str, Any]]) -> list[dict[str, Any]]:
    kinds = list(KINDS)
    rows = [_two(first, second) for first, second in combinations(day, 2)]
    rows.sort(
        key=lambda row: (
            kinds.index(row["kind"]), row["same_kernel"] == "no", row["minutes_apart"] or 0.0
        )
    )  # fmt: skip
    taken: set[str] = set()
    patient, order = day[0]["patient"], int(day[0]["study_order"])
    number = 0
    for row in rows:
        scans = {row["first"], row["second"]}
        if row["kind"] in ("breath_hold", "repeat") and not scans & taken:
            # a second reconstruction of a paired scan is no scan for another pair
            taken |= scans | {
                other for one in rows if one["kind"] == "reconstruction"
                for other in (one["first"], one["second"])
                if scans & {one["first"], one["second"]}
            }  # fmt: skip
            number += 1
            row["use"] = "yes"
            row["pair"] = f"{patient}_{order}" if number == 1 else f"{patient}_{order}_{number}"
    return rows


def _two(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    times = [one["minutes"] for one in (first, second) if one.get("minutes") is not None]
    apart = round(abs(times[1] - times[0]), 2) if len(times) == 2 else None
    kernels = {one.get("kernel") for one in (first, second)}
    return {
        "pair": None, "first": first["scan"], "second": second["scan"],
        "kind": _kind(first, second, apart), "minutes_apart": apart,
        "same_kernel": None if None in kernels else ("yes" if len(kernels) == 1 else "no"),
        "use": "no",
    }  # fmt: skip


def _kind(first: dict[str, Any], second: dict[str, Any], apart: float | None) -> str:
    frames = {one.get("frame") for one in (first, second)}
    holds = {one.get("breath_hold") for one in (first, second)}
    told = None not in frames
    if told and len(frames) == 1 and apart is None:
        return "unclear"
    at_once = apart is not None and apart < SAME_ACQUISITION_MINUTES
    if at_once and (not told or len(frames) == 1):
        return "reconstruction" if told else "unclear"
    if holds == {True, False}:
        return "breath_hold"
    return "repeat" if told or apart is not None else "unclear"


def write_pairs(study: Path, pairs: pd.DataFrame) -> Path:
    """Write the table to `pairs.csv` of a study, to be looked at and edited."""
    write_atomically(pairs.to_csv(index=False, lineterminator="\n"), study / FILE)
    return study / FILE


def read_pairs(study: Path) -> pd.DataFrame | None:
    """The table as somebody may have edited it; None where there is none.

    Raises
    ------
    InputError
        `bad_pairs` where a column is missing or `use` is neither yes nor no.
    """
    file = study / FILE
    if not file.is_file():
        return None
    try:
        table = pd.read_csv(file, dtype=str)
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise InputError("bad_pairs", f"{file} is no table: delete it, and it is made") from error
    missing = {"pair", "first", "second", "use"} - {*table}
    if missing:
        raise InputError("bad_pairs", f"{file} has no column {sorted(missing)[0]!r}: restore it")
    use = table["use"].fillna("no").str.strip().str.lower()
    wrong = use.index[~use.isin(["yes", "no"])]
    if len(wrong):
        raise InputError(
            "bad_pairs",
            f"{file}: row {wrong[0] + 2}, column use: {table['use'][wrong[0]]!r} came, wanted yes "
            "or no",
        )
    return table.assign(use=use)


def with_pairs(cohort: pd.DataFrame, pairs: pd.DataFrame) -> pd.DataFrame:
    """The cohort with the pairs that are marked for use written into its column `pair`.

    Raises
    ------
    InputError
        `bad_pairs` where a scan is not in the cohort, stands in two pairs or has one already, where
        two patients would be paired, or a name is missing or taken.
    """
    used = pairs[pairs["use"] == "yes"]
    patient = cohort.set_index("scan")["patient"]
    pair = cohort.get("pair", pd.Series(None, cohort.index)).astype(object)
    pair = pair.where(pair.notna(), None).set_axis(cohort["scan"])
    taken = {str(name) for name in pair if name is not None}
    wrong: list[str] = []
    for at, row in used.iterrows():
        scans = [str(row["first"]), str(row["second"])]
        name = row["pair"] if isinstance(row["pair"], str) else patient.get(scans[0])
        unknown = [scan for scan in scans if scan not in patient.index]
        why = ""
        if unknown:
            why = f"no scan {unknown[0]!r} in the cohort"
        elif scans[0] == scans[1]:
            why = "a scan cannot repeat itself"
        elif patient[scans[0]] != patient[scans[1]]:
            why = "two patients"
        elif any(pair[scan] is not None for scan in scans):
            why = "a scan that has a pair already"
        elif str(name) in taken:
            why = f"the name {name!r} is taken"
        if why:
            wrong.append(f"row {int(str(at)) + 2}: {why}")
            continue
        taken.add(str(name))
        pair[scans] = str(name)
    if wrong:
        more = [f"and {len(wrong) - SHOWN} more"] if len(wrong) > SHOWN else []
        told = "\n".join([*wrong[:SHOWN], *more])
        raise InputError("bad_pairs", f"{FILE} cannot be used as it is:\n{told}")
    return cohort.assign(pair=pair.to_numpy())
