"""Scan and rescan of each patient set side by side; it does not know how they are shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cacnb.errors import UsageError
from cacnb.scoring.scored_scan import ScoredScan
from cacnb.study.relative_difference import (
    RelativeDifference,
    pair_differences,
    relative_difference,
)


@dataclass(frozen=True)
class Repeat:
    """One method's pseudo-masses in HU·mm³ of a scan and its rescan; None where one was refused."""

    first: float | None
    second: float | None

    @property
    def mean(self) -> float | None:
        """Mean of both, or None without both."""
        both = self._both
        return None if both is None else sum(both) / 2

    @property
    def difference(self) -> float | None:
        """|a − b| / mean(a, b); None where a scan was refused or both are 0."""
        both = self._both
        if both is None or not any(both):
            return None
        return float(pair_differences([both[0]], [both[1]])[0])

    @property
    def both_positive(self) -> bool:
        """Whether calcium was found in both scans."""
        return self._both is not None and all(self._both)

    @property
    def _both(self) -> tuple[float, float] | None:
        if self.first is None or self.second is None:
            return None
        return self.first, self.second


@dataclass(frozen=True)
class Pair:
    """A scan and a rescan of one patient, by both methods; `truth_mg` only where simulated."""

    names: tuple[str, str]
    proposed: Repeat
    clinical: Repeat
    truth_mg: float | None


def compare_pairs(
    scans: Sequence[ScoredScan],
    pairs: Sequence[tuple[str, str]],
    truth_mg: Mapping[str, float],
) -> list[Pair]:
    """Both methods' pseudo-masses of each pair, and its true mass where one is known.

    Raises
    ------
    UsageError
        Where a pair names a scan that is not there, or two scans have the name.
    """
    return [
        Pair(
            (one, other),
            Repeat(*(_proposed(_named(scans, name)) for name in (one, other))),
            Repeat(*(_clinical(_named(scans, name)) for name in (one, other))),
            truth_mg.get(one, truth_mg.get(other)),
        )
        for one, other in pairs
    ]


def mean_difference(repeats: Sequence[Repeat]) -> RelativeDifference:
    """One method's mean relative difference (Tables 3B and 4), without refused scans."""
    scored = [(r.first, r.second) for r in repeats if r.first is not None and r.second is not None]
    return relative_difference([a for a, _ in scored], [b for _, b in scored])


def _named(scans: Sequence[ScoredScan], name: str) -> ScoredScan:
    found = [scan for scan in scans if scan.name == name]
    if len(found) != 1:
        raise UsageError(
            f"a pair names the scan {name!r} and {len(found)} scans have that name: "
            "give each scan a name of its own and pair those"
        )
    return found[0]


def _proposed(scan: ScoredScan) -> float | None:
    return None if scan.proposed is None else scan.proposed.pseudo_mass_hu_mm3


def _clinical(scan: ScoredScan) -> float | None:
    return None if scan.clinical is None else scan.clinical.pseudo_mass_hu_mm3
