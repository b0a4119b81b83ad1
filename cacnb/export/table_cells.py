"""Numbers as a printed table shows them, the paper's beside them; it does not know which table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cacnb.export.chart_words import LOOKS
from cacnb.export.number_words import fixed, interval, percent_interval
from cacnb.export.page import NOTHING
from cacnb.export.paper_numbers import PAPER, PaperNumber


@dataclass(frozen=True)
class Cell:
    """A number as printed, its interval below it, the paper's beside it and where that stands."""

    text: str
    interval: str = ""
    paper: str = ""
    place: str = ""


@dataclass(frozen=True)
class Line:
    """A row of a table; one without cells is the heading of those below."""

    label: str
    cells: tuple[Cell, ...] = ()


@dataclass(frozen=True)
class Table:
    """A table of the report: `spans` are headings over several columns, as (words, columns)."""

    name: str
    title: str
    caption: str
    columns: tuple[str, ...]
    lines: tuple[Line, ...]
    spans: tuple[tuple[str, int], ...] = ()


def estimate(
    row: Mapping[str, Any], key: str, where: tuple[str, str, str], paper: bool, digits: int = 2
) -> Cell:
    """Column `key` of a row with its interval, and the paper's number for `where` beside it."""
    theirs = PAPER.get((*where, key)) if paper else None
    ends = interval(row.get(f"{key}_ci95"), lambda value: fixed(value, digits))
    return Cell(fixed(row.get(key), digits), ends, *_beside(theirs, digits))


def counted_share(
    row: Mapping[str, Any],
    key: str,
    count: str,
    of: str,
    where: tuple[str, str, str],
    paper: bool,
) -> Cell:
    """A share with what it is of: columns `count` of `of`, as 81/102 (79 %)."""
    theirs = PAPER.get((*where, key)) if paper else None
    ends = percent_interval(row.get(f"{key}_ci95"))
    share = row.get(key)
    if share is None:
        return Cell(NOTHING, "", *_beside(theirs))
    counted = f"{row[count]}/{row[of]}" if count in row and of in row else ""
    text = f"{counted} ({100 * share:.0f} %)" if counted else f"{100 * share:.0f} %"
    return Cell(text, ends, *_beside(theirs))


def _beside(theirs: PaperNumber | None, digits: int = 2) -> tuple[str, str]:
    if theirs is None:
        return "", ""
    place = theirs.place
    if theirs.ci95 is not None:
        place += f", {theirs.ci95[0]:g} to {theirs.ci95[1]:g}"
    if theirs.count is None:
        return fixed(theirs.value, digits), place
    return f"{theirs.count} ({100 * theirs.value:.0f} %)", place


def plain_cell(row: Mapping[str, Any], key: str) -> Cell:
    """Column `key` of a row as it comes, numbers rounded by their size."""
    value = row.get(key)
    ends = row.get(f"{key}_ci95")
    if isinstance(value, bool) or not isinstance(value, int | float):
        return Cell(NOTHING if value is None else str(value))
    if isinstance(value, int):
        return Cell(f"{value:,}")
    digits = 1 if abs(value) >= 10 else 2
    return Cell(fixed(value, digits), interval(ends, lambda end: fixed(end, digits)))


def in_order(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Rows in the methods' order."""
    order = list(LOOKS)
    return sorted(rows, key=lambda row: order.index(row["method"]))
