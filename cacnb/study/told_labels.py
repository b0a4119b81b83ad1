"""Slice labels that came with scans, under the study's own names; it does not know who labelled."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from cacnb.errors import InputError
from cacnb.files import write_atomically

#: A row says of one slice of one series whether it contains CAC.
COLUMNS = ("slice", "contains_cac")


def read_told_labels(file: Path) -> pd.DataFrame:
    """Labels as a user has them: a CSV with `series_uid` or `path`, `slice`, `contains_cac`.

    `slice` is the index on the scan's own grid, 0 the lowest; `path` the scan's file or folder,
    from the CSV's folder on. Other columns, a reader's name among them, are left
    out.

    Raises
    ------
    InputError
        `bad_labels_file` with the row that is wrong.
    """
    try:
        table = pd.read_csv(file, dtype={"series_uid": str, "path": str})
    except (OSError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise InputError(
            "bad_labels_file", f"{file} cannot be read as CSV: check the path of --labels"
        ) from error
    names = [name for name in ("series_uid", "path") if name in table]
    missing = [name for name in COLUMNS if name not in table]
    if missing or not names:
        raise InputError(
            "bad_labels_file",
            f"{file} has no column {(missing or ['series_uid'])[0]!r}: series_uid or path, slice "
            "and contains_cac were wanted",
        )
    numbers = table[[*COLUMNS]].apply(pd.to_numeric, errors="coerce")
    right = (
        (numbers["slice"] >= 0) & (numbers["slice"] % 1 == 0) & numbers["contains_cac"].isin([0, 1])
    )
    if not right.all():
        raise InputError(
            "bad_labels_file",
            f"{file}, row {int(right.idxmin()) + 2}: slice must be a whole number from 0 on, "
            "contains_cac 0 or 1",
        )
    labels: pd.DataFrame = pd.concat([table[names], numbers.astype(int)], axis=1)
    return labels


def add_told_labels(
    study: Path, file: Path, scan_of: Mapping[str, str], slices_of: Mapping[str, int]
) -> tuple[int, int]:
    """Write a user's labels into `slice_labels.csv`: how many were new, how many fit no scan.

    A slice that has a label keeps it, so that adding twice adds nothing.

    Parameters
    ----------
    scan_of
        The study's name of a scan by its series UID and by its resolved path.
    slices_of
        Number of slices of each scan: a label beyond them fits none.

    Raises
    ------
    InputError
        As `read_told_labels`; `cannot_write`.
    """
    told = read_told_labels(file)
    scans = pd.Series(pd.NA, index=told.index, dtype=object)
    if "series_uid" in told:
        scans = told["series_uid"].map(scan_of)
    if "path" in told:
        absolute = told["path"].map(lambda name: str((file.parent / str(name)).resolve()))
        scans = scans.where(scans.notna(), absolute.map(scan_of))
    known = scans.notna() & (told["slice"] < scans.map(slices_of).fillna(0))
    new = told.assign(scan=scans)[known][["scan", *COLUMNS]].drop_duplicates(["scan", "slice"])
    place = study / "slice_labels.csv"
    old = pd.read_csv(place, dtype={"scan": str}) if place.is_file() else new.iloc[:0]
    both = pd.concat([old, new]).drop_duplicates(["scan", "slice"]).sort_values(["scan", "slice"])
    if len(both) > len(old):
        write_atomically(both.to_csv(index=False, lineterminator="\n"), place)
    return len(both) - len(old), int((~known).sum())
