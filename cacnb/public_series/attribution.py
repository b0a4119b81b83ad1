"""Whose data was fetched, under which licence and DOI, as a file beside it; it fetches nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cacnb.files import write_atomically
from cacnb.public_series.manifest import PublicSeries

FILE = "ATTRIBUTION.md"

#: Where the text of each licence stands.
LICENCES = {
    f"CC {kind.upper()} {version}": f"https://creativecommons.org/licenses/{kind}/{version}/"
    for kind in ("by", "by-nc") for version in ("3.0", "4.0")
}  # fmt: skip


@dataclass(frozen=True)
class Terms:
    """One collection and licence of a manifest: how many series and megabytes, and its DOI."""

    collection: str
    licence: str
    doi: str
    series: int
    size_mb: float

    def __str__(self) -> str:
        """For example `lctsc: CC BY 3.0, 120 series, 5.2 GB, https://doi.org/…`."""
        doi = f", https://doi.org/{self.doi}" if self.doi else ""
        size = f"{self.size_mb / 1000:.1f} GB"
        return f"{self.collection}: {self.licence}, {self.series} series, {size}{doi}"


def terms(series: Iterable[PublicSeries]) -> list[Terms]:
    """What the series' owners ask, one row a collection, licence and DOI."""
    groups: dict[tuple[str, str, str], list[PublicSeries]] = {}
    for one in series:
        groups.setdefault((one.collection, one.licence, one.doi), []).append(one)
    return [
        Terms(*key, len(rows), sum(row.size_mb for row in rows))
        for key, rows in sorted(groups.items())
    ]


def write_attribution(series: list[PublicSeries], folder: Path) -> Path:
    """Write `ATTRIBUTION.md`: what to cite and which licence holds for which files.

    Raises
    ------
    InputError
        `cannot_write`.
    """
    lines = [
        "# Attribution", "",
        "The series in this folder come from the NCI Imaging Data Commons. Whoever uses them owes",
        "their owners the credit named here; the licences ask for it.", "",
    ]  # fmt: skip
    for one in terms(series):
        text = LICENCES.get(one.licence, "")
        lines += [
            f"## {one.collection}", "",
            f"- {one.series} series, {one.size_mb / 1000:.1f} GB",
            f"- licence: {one.licence}" + (f", {text}" if text else ""),
            f"- cite: https://doi.org/{one.doi}" if one.doi else "- cite: no DOI is told",
            "",
        ]  # fmt: skip
    lines += [
        "Imaging Data Commons: Fedorov et al., RadioGraphics 2023;43(12),",
        "https://doi.org/10.1148/rg.230180", "",
    ]  # fmt: skip
    write_atomically("\n".join(lines), folder / FILE)
    return folder / FILE
