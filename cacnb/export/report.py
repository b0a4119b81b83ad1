"""Scored scans as one HTML file that needs no network; it shows numbers and computes none."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cacnb.errors import UsageError
from cacnb.export.lesion_table import heaviest_lesions
from cacnb.export.page import rendered
from cacnb.export.pairs import compare_pairs, mean_difference
from cacnb.export.slice_pictures import SLICES_SHOWN, SlicePictures, slice_pictures
from cacnb.export.strip import CLINICAL_RGB, HEART_RGB, MAP_TOP_HU, SCALE_BAR_MM, map_colour
from cacnb.files import write_atomically
from cacnb.scoring.scored_scan import STAGES, ScoredScan

#: A lesion table shows at most so many lesions, the heaviest.
LESIONS_SHOWN = 12


@dataclass(frozen=True, eq=False)
class _ScanPage:
    """What the page says of one scan; `anchor` is its place on the page."""

    scan: ScoredScan
    anchor: str
    name: str
    file: str
    pictures: list[SlicePictures]
    lesions: list[dict[str, Any]]
    stages: dict[str, float]
    proposed_mg: float | None
    clinical_mg: float | None
    truth_mg: float | None


def write_report(
    scans: Sequence[ScoredScan],
    path: Path,
    *,
    title: str,
    truth: Mapping[str, float] | None = None,
    pairs: Sequence[tuple[str, str]] = (),
    simulated: bool = False,
    mg_per_hu_mm3: float | None = None,
) -> None:
    """Write scores, pictures, lesions and timing of scans as one HTML file, whole or not at all.

    Parameters
    ----------
    scans
        Refused ones too: they are shown with their reasons.
    truth
        True mass in mg by `ScoredScan.name`; only a simulated scan has one.
    pairs
        Names of scan and rescan of each patient.
    simulated
        Says on the page, in its title and in every table that nothing is of a patient.
    mg_per_hu_mm3
        mg of calcium for each HU·mm³; without it a mass is shown where the scores have one.

    Raises
    ------
    UsageError
        Without a scan, where a truth comes for scans that are not simulated, where a pair names
        no scan or several, or where the factor is not a positive number.
    InputError
        `cannot_write`.
    """
    if not scans:
        raise UsageError("a report needs at least one scan: none came")
    if truth and not simulated:
        raise UsageError("a true mass came for scans that are not simulated: only those have one")
    if mg_per_hu_mm3 is not None and not (math.isfinite(mg_per_hu_mm3) and mg_per_hu_mm3 > 0):
        raise UsageError(
            f"the calibration factor must be a positive number (mg for each HU·mm³), "
            f"got {mg_per_hu_mm3}"
        )
    compared = compare_pairs(scans, pairs, truth or {})
    html = rendered(
        "report.html.j2",
        title,
        simulated,
        {
            "truth_known": bool(truth),
            "pairs": compared,
            "means": {
                "proposed": mean_difference([pair.proposed for pair in compared]),
                "clinical": mean_difference([pair.clinical for pair in compared]),
            },
            "pages": [
                _scan_page(number, scan, truth or {}, mg_per_hu_mm3)
                for number, scan in enumerate(scans, start=1)
            ],
            "slices_shown": SLICES_SHOWN,
            "map_top_hu": MAP_TOP_HU,
            "scale_bar_mm": SCALE_BAR_MM,
            "clinical_colour": _css(CLINICAL_RGB),
            "heart_colour": _css(HEART_RGB),
            "map_colours": [_css(map_colour(step / 4)) for step in range(5)],
        },
    )
    write_atomically(html, path)


def _scan_page(
    number: int, scan: ScoredScan, truth: Mapping[str, float], factor: float | None
) -> _ScanPage:
    file = "/".join(part for part in scan.path.parts[-2:] if part != scan.path.anchor)
    return _ScanPage(
        scan=scan,
        anchor=f"scan-{number}",
        name=scan.name or scan.path.name,
        file=file,
        pictures=slice_pictures(scan),
        lesions=heaviest_lesions(scan, LESIONS_SHOWN),
        stages={s: scan.seconds[s] for s in (*STAGES, "total") if s in scan.seconds},
        proposed_mg=_mass_mg(scan.proposed, factor),
        clinical_mg=_mass_mg(scan.clinical, factor),
        truth_mg=truth.get(scan.name),
    )


def _mass_mg(scores: Any, factor: float | None) -> float | None:
    """The mass by the report's factor, else by the one that the scores were made with."""
    if scores is None:
        return None
    mass: float | None = scores.mass_mg
    return mass if factor is None else scores.pseudo_mass_hu_mm3 * factor


def _css(rgb: tuple[int, int, int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*rgb)
