"""Figures of the shipped weights on 100 simulated pairs, to stand beside a small study's own.

The tables are read from a copy of docs/evidence.md in the package: nothing here is computed.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import pandas as pd

from cacnb.errors import UsageError

#: Where the page stands that the tables are from.
EVIDENCE_PAGE = "docs/evidence.md"


def evidence(table: str) -> pd.DataFrame:
    """A table of docs/evidence.md as printed there: numbers where all of a column are, else words.

    Parameters
    ----------
    table
        How its heading begins, such as "Table 4" or "Accuracy".

    Raises
    ------
    UsageError
        Where no heading begins so.

    Example
    -------
    >>> found = evidence("Table 4")
    >>> found.loc[found["method"] == "proposed", "n pairs"].item()
    100
    """
    tables = _tables()
    for heading, found in tables.items():
        if heading.startswith(table):
            return found.copy()
    raise UsageError(f"no table of {EVIDENCE_PAGE} is called {table!r}: {', '.join(tables)}")


@cache
def _tables() -> dict[str, pd.DataFrame]:
    """Every table by its heading."""
    page = files("cacnb.lessons").joinpath("evidence.md").read_text(encoding="utf-8")
    found = {}
    for section in page.split("\n## ")[1:]:
        heading, *lines = section.splitlines()
        rows = [
            [cell.strip() for cell in line.strip("|").split("|")]
            for line in lines
            if line.startswith("|")
        ]
        if len(rows) > 2:  # names, a line of dashes, and at least one row
            table = pd.DataFrame(rows[2:], columns=rows[0])
            found[heading] = table.apply(_numbers)
    return found


def _numbers(column: pd.Series) -> pd.Series:
    """A column as numbers, NaN for a dash, where nothing else stands in it."""
    known = column[column != "–"]
    numbers = pd.to_numeric(known, errors="coerce")
    if known.empty or numbers.isna().any():
        return column
    return numbers if len(known) == len(column) else numbers.reindex(column.index)
