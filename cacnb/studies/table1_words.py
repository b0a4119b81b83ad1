"""Table 1 as lines of words, for a terminal and for a page; it counts nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cacnb.studies.table1 import SetRow, Table1

#: A mark of Table 1: all scans of the set have it, or the set is for it.
ALL = "✓"

#: What the columns of Table 1 C are for.
SIDES = {"train": "Tr", "val": "Val", "test": "Test"}

#: The networks of Table 1 C.
NETWORKS = {"heart": "Heart segm.", "slices": "CAC classif.", "decomposition": "CycleGAN"}


@dataclass(frozen=True)
class Section:
    """One lettered part of the table: its columns' headings, and lines of a set's cells by part.

    `spans` are headings over so many columns each.
    """

    letter: str
    title: str
    columns: tuple[str, ...]
    parts: dict[str, list[tuple[str, tuple[str, ...]]]]
    note: str = ""
    spans: tuple[tuple[str, int], ...] = ()

    @property
    def headings(self) -> list[str]:
        """Each column's heading with the one that spans it, on lines of their own."""
        over = [words for words, count in self.spans for _ in range(count)]
        return [f"{a}\n{b}" for a, b in zip(over, self.columns, strict=bool(over))] or [
            *self.columns
        ]


def sections(table: Table1) -> list[Section]:
    """A, B and C as the paper prints them, and the scanner's settings that section 2 tells.

    Example
    -------
    >>> [one.letter for one in sections(Table1("study", False, 0, 0, ()))]
    ['A', 'B', 'C', 'D']
    """
    purposes = [(network, side) for network in NETWORKS for side in SIDES]
    return [
        Section(
            "A", "Scans", ("Patients", "Scans", "BH", "nonBH", "Not told"),
            _parts(table, lambda row: tuple(map(_count, (
                row.patients, row.scans, row.breath_hold, row.free_breathing,
                row.breathing_not_told,
            )))),
            "BH: in deep inspiration breath-hold. nonBH: without.",
        ),
        Section(
            "B", "Reference annotations",
            ("Heart segm.", "Per-slice CAC", "Lesion regions", "Clinical lesions"),
            _parts(table, lambda row: tuple(
                _share(count, row.scans)
                for count in (row.heart, row.labelled, row.regions, row.clinical)
            )),
            f"{ALL}: every scan of the set.",
        ),
        Section(
            "C", "Purpose, in patients",
            tuple(SIDES[side] for _, side in purposes),
            _parts(table, lambda row: tuple(
                _count(row.purposes[network][side]) for network, side in purposes
            )),
            "Tr: training. Val: validation. Test: never seen in training.",
            tuple((words, len(SIDES)) for words in NETWORKS.values()),
        ),
        Section(
            "D", "Acquisition (section 2)",
            ("kVp", "In-plane mm", "Increment mm", "Thickness mm"),
            _parts(table, _acquired),
        ),
    ]  # fmt: skip


def _parts(
    table: Table1, cells: Callable[[SetRow], tuple[str, ...]]
) -> dict[str, list[tuple[str, tuple[str, ...]]]]:
    parts: dict[str, list[tuple[str, tuple[str, ...]]]] = {}
    for row in table.rows:
        parts.setdefault(row.part, []).append((row.name, cells(row)))
    return parts


def _count(number: int) -> str:
    return f"{number:,}" if number else ""


def _share(count: int, of: int) -> str:
    if count == of and of:
        return ALL
    return f"{count:,} of {of:,}" if count else ""


def _acquired(row: SetRow) -> tuple[str, ...]:
    told = row.acquisition
    voltages = ", ".join(f"{kvp:g}" for kvp in told.get("kvp", []))
    return voltages, *(
        _range(told.get(name)) for name in ("spacing_xy_mm", "spacing_z_mm", "slice_thickness_mm")
    )


def _range(ends: list[float] | None) -> str:
    if ends is None:
        return ""
    low, high = (f"{end:.2f}" for end in ends)
    return low if low == high else f"{low}–{high}"
