"""The columns of `cohort.csv` and what their cells may be; it does not know where the file is."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from cacnb.errors import InputError

#: A scan's name is part of file names on every system.
_NAME = re.compile(r'[^\s./\\:*?"<>|\x00-\x1f-][^/\\:*?"<>|\x00-\x1f]{0,99}')

#: Wrong cells that a refusal tells one by one.
SHOWN = 4


@dataclass(frozen=True)
class Column:
    """One column of `cohort.csv`.

    Parameters
    ----------
    name
        As the header has it.
    kind
        One of `KINDS`: what a cell may hold.
    needed
        Whether the column must be there, and no cell of it empty.
    says
        What it holds, in words.
    """

    name: str
    kind: str
    needed: bool
    says: str


#: The columns that cacnb knows, in the order that it writes them; others are kept as they are.
COLUMNS = (
    Column("scan", "name", True, "the scan's name in this study"),
    Column("patient", "text", True, "the patient's pseudonym"),
    Column("pair", "text", False, "one name for the scans that repeat each other"),
    Column("breath_hold", "yes_no", False, "True in deep inspiration, False in free breathing"),
    Column("set", "text", False, "the set of section 2, or train, val, test"),
    Column("path", "text", True, "the scan, from the study's folder on"),
    Column("kvp", "positive", False, "tube voltage, kV"),
    Column("slices", "whole", False, "number of slices"),
    Column("spacing_z_mm", "positive", False, "distance of slices"),
    Column("spacing_xy_mm", "positive", False, "size of a pixel"),
    Column("slice_thickness_mm", "positive", False, "nominal thickness"),
    Column("protocol", "text", False, "how it was acquired: rtp, nlst, or words of your own"),
    Column("kernel", "text", False, "reconstruction kernel"),
    Column("manufacturer", "text", False, "of the scanner"),
    Column("model", "text", False, "of the scanner"),
    Column("study_order", "whole", False, "1, 2, … in the order of the patient's study days"),
    Column("minutes", "number", False, "since the patient's first series of that day"),
    Column("frame", "text", False, "pseudonym of the frame of reference"),
    Column("verdict", "text", False, "usable or warned, as `cacnb inspect` says"),
)

#: Kinds whose cells are read as text, whatever they look like.
_TEXT = ("name", "text")


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return np.nan


def _is_whole(cell: str) -> bool:
    return _number(cell) >= 1 and _number(cell) % 1 == 0


#: What a filled cell of each kind must be: the check, and its words.
KINDS: dict[str, tuple[Callable[[str], bool], str]] = {
    "name": (
        lambda cell: _NAME.fullmatch(cell) is not None,
        "a name of up to 100 characters that a file can have",
    ),
    "text": (lambda cell: bool(cell.strip()), "a text"),
    "yes_no": (lambda cell: cell.lower() in ("true", "false"), "True or False"),
    "positive": (lambda cell: 0 < _number(cell) < np.inf, "a number above 0"),
    "number": (lambda cell: bool(np.isfinite(_number(cell))), "a number"),
    "whole": (_is_whole, "a whole number from 1 on"),
}


def parsed_cohort(text: str, file: str) -> pd.DataFrame:
    """The checked table of a cohort's CSV text; `file` names it in an error."""
    told = _texts(text, file)
    _refuse(file, *_wrong_cells(told))
    cohort = told.mask(told == "")
    known = {column.name: column.kind for column in COLUMNS if column.name in told}
    for name, kind in known.items():
        cells = cohort[name]
        if kind == "yes_no":
            flags = cells.str.lower().map({"true": True, "false": False})
            cohort[name] = flags.astype("boolean" if cells.isna().any() else "bool")
        elif kind not in _TEXT:
            cohort[name] = pd.to_numeric(cells)
    for other in told.columns.difference([*known]):
        # a column of the user's own is what pandas makes of it
        cohort[other] = pd.read_csv(io.StringIO(told[[other]].to_csv(index=False)))[other]
    return cohort


def _texts(text: str, file: str) -> pd.DataFrame:
    """All cells of a CSV as text; row k of the table is row k + 2 of a spreadsheet."""
    header, *rows = list(csv.reader(io.StringIO(text))) or [[]]
    while rows and not any(rows[-1]):
        rows.pop()
    doubled = [name for name in header if header.count(name) > 1]
    if doubled:
        raise InputError("bad_cohort", f"{file} has two columns {doubled[0]!r}: leave one out")
    for number, row in enumerate(rows, start=2):
        if len(row) not in (0, len(header)):
            raise InputError(
                "bad_cohort",
                f"{file}: row {number} has {len(row)} cells and the header {len(header)}: put a "
                "text with a comma into double quotes",
            )
    return pd.DataFrame([row or [""] * len(header) for row in rows], columns=header, dtype=str)


def _wrong_cells(told: pd.DataFrame) -> tuple[str, list[str]]:
    """A code, and what is wrong with a table of texts, a phrase each in the order of its rows."""
    missing = [column.name for column in COLUMNS if column.needed and column.name not in told]
    if missing:
        return "bad_cohort", [f"there is no column {name!r}" for name in missing]
    wrong: list[tuple[int, str]] = []
    for column in (column for column in COLUMNS if column.name in told):
        right, wanted = KINDS[column.kind]
        for at, cell in enumerate(told[column.name].tolist()):
            if (column.needed or cell) and not right(cell):
                came = repr(cell) if cell else "nothing"
                wrong.append((at, f"column {column.name}: {came} came, wanted {wanted}"))
    doubled = [
        (int(at), f"column scan: {scan!r} is also in row {rows[0] + 2}")
        for scan, rows in told.groupby("scan").indices.items()
        for at in rows[1:]
    ]
    code = "doubled_scan" if doubled and not wrong else "bad_cohort"
    all_wrong = sorted([*wrong, *doubled, *_mixed_pairs(told)])
    return code, [f"row {at + 2}, {what}" for at, what in all_wrong]


def _mixed_pairs(told: pd.DataFrame) -> list[tuple[int, str]]:
    """Rows of a pair that belong to another patient than the pair's first row."""
    if "pair" not in told:
        return []
    paired = told[told["pair"] != ""].reset_index(names="at")
    first = paired.groupby("pair")[["patient", "at"]].transform("first")
    mixed = paired[paired["patient"] != first["patient"]]
    return [
        (int(at), f"column pair: {pair!r} is of another patient in row {int(row) + 2}")
        for at, pair, row in zip(mixed["at"], mixed["pair"], first["at"][mixed.index], strict=True)
    ]


def _refuse(file: str, code: str, wrong: list[str]) -> None:
    if wrong:
        more = [f"and {len(wrong) - SHOWN} more"] if len(wrong) > SHOWN else []
        told = "\n".join([*wrong[:SHOWN], *more])
        raise InputError(code, f"{file} cannot be used as it is:\n{told}")
