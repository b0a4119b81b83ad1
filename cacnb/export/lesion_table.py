"""A scan's lesions as a table for people and for a file; it does not score them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cacnb.errors import InputError
from cacnb.files import write_atomically
from cacnb.scoring.lesions import lesion_records
from cacnb.scoring.scored_scan import ScoredScan


def heaviest_lesions(scan: ScoredScan, most: int) -> list[dict[str, Any]]:
    """At most `most` lesions of the proposed method, the largest pseudo-mass first."""
    if scan.proposed is None:
        return []
    by_mass = scan.proposed.lesions.sort_values(
        "pseudo_mass_hu_mm3", ascending=False, kind="stable"
    )
    return lesion_records(by_mass.head(most))


def write_lesions_csv(scan: ScoredScan, path: Path) -> None:
    """Write the proposed method's lesions, one a row, columns `PROPOSED_COLUMNS`.

    Raises
    ------
    InputError
        `no_scores` where the scan was refused, `cannot_write`.
    """
    if scan.proposed is None:
        raise InputError(
            "no_scores",
            f"{scan.path.name} was {scan.verdict} and has no lesion table: see its reasons",
        )
    write_atomically(scan.proposed.lesions.to_csv(index=False), path)
