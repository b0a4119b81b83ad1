"""Agatston's steps on a study's lesions and on one that is made for the purpose; no new score."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import altair as alt
import numpy as np
import pandas as pd

from cacnb.ct.reading import read_mask, read_scan
from cacnb.ct.volume import Volume
from cacnb.errors import InputError
from cacnb.export.chart_style import titled
from cacnb.export.chart_words import LOOKS
from cacnb.lessons.figure import Figure
from cacnb.lessons.missing import Missing
from cacnb.lessons.scored import LessonScan, has_map
from cacnb.lessons.slice_view import LessonCanvas, slice_view
from cacnb.scoring.agatston_steps import AgatstonSteps, clinical_steps
from cacnb.scoring.clinical import score_clinically
from cacnb.scoring.conventions import convention
from cacnb.scoring.every_convention import score_by_every_convention
from cacnb.scoring.proposed import ADJUSTED_DENSITY_EDGES_HU, score_map
from cacnb.scoring.risk import risk_category

if TYPE_CHECKING:
    from cacnb.studies import Study

#: A lesion made for the purpose: pixels of a side, HU of all but the brightest, blood around it.
SIDE_PX, REST_HU, BLOOD_HU = 4, 150.0, 40.0

#: Its voxels, (z, y, x) in mm.
SPACING_MM = (3.0, 0.7, 0.7)

#: Maxima in HU over which weights are drawn.
DRAWN_HU = (0.0, 480.0)

CLINICAL, ADJUSTED = "clinical, from 130 HU", "adjusted"


def clinical_steps_of(study: Study, name: str) -> AgatstonSteps:
    """The steps of a scored scan's clinical score, by the convention that it was scored with.

    Raises
    ------
    InputError
        `missing`, `not_scored`.
    UsageError
        Where that convention has no density weights.
    """
    volume, counted, thickness_mm = _counted(study, name)
    told = json.loads((study.folder / "scores" / f"{name}.json").read_text(encoding="utf-8"))
    clinical = told["clinical"]
    return clinical_steps(
        volume, counted, convention(clinical["convention"]),
        slice_thickness_mm=thickness_mm, threshold_hu=clinical["threshold_hu"],
    )  # fmt: skip


def lesion_view(scan: LessonScan) -> LessonCanvas:
    """The lesions of the map and of the clinical score, each map lesion in a colour of its own."""
    found = score_map(scan.cac_map, scan.image).lesion_labels
    counted = scan.counted.array.sum(axis=(1, 2))
    start_mm = scan.counted.axis_mm(0)[int(counted.argmax())] if counted.any() else None
    captions = ("Scan", "Lesions of the map", "Counted from 130 HU")
    return slice_view(
        dict.fromkeys(captions, scan.image),
        heart=scan.heart,
        labels={captions[1]: found, captions[2]: scan.counted},
        start_mm=start_mm,
        title=scan.title,
        alt=(
            f"One heart slice of {scan.title} three times: as it is, with the lesions of the CAC "
            "map, and with the voxels that the clinical score counts. In all the map has "
            f"{len(scan.lesions)} lesions and the clinical score {len(scan.clinical_lesions)}."
        ),
    )


def weights_chart(clinical: AgatstonSteps, adjusted: AgatstonSteps, *, simulated: bool) -> Figure:
    """Density weight against a lesion's maximum in a slice by both rules, with a scan's lesions."""
    at = np.arange(DRAWN_HU[0], DRAWN_HU[1] + 1)
    lines = {
        CLINICAL: convention().weight(at),
        ADJUSTED: 1 + np.searchsorted(ADJUSTED_DENSITY_EDGES_HU, at, side="right"),
    }
    parts = {CLINICAL: clinical.steps, ADJUSTED: adjusted.steps}
    frame = pd.concat(
        [
            pd.DataFrame({"rule": rule, "what": "rule", "peak_hu": at, "weight": weight})
            for rule, weight in lines.items()
        ]
        + [
            pd.DataFrame({"rule": rule, "what": "lesion", "peak_hu": steps["peak_hu"],
                          "weight": steps["weight"]})
            for rule, steps in parts.items()
        ],
        ignore_index=True,
    )  # fmt: skip
    frame = frame[frame["peak_hu"].between(*DRAWN_HU)]
    looks = [LOOKS["clinical_manual"].colour, LOOKS["proposed"].colour]
    base = alt.Chart(frame).encode(
        x=alt.X("peak_hu:Q", title="Maximum in the slice (HU)", scale=alt.Scale(domain=DRAWN_HU)),
        y=alt.Y("weight:Q", title="Weight", axis=alt.Axis(values=[0, 1, 2, 3, 4], format="d")),
        color=alt.Color("rule:N", scale=alt.Scale(domain=list(lines), range=looks),
                        legend=alt.Legend(title=None, orient="top")),
    )  # fmt: skip
    # The two rules are one from 130 HU on: the lower line is drawn broad, so that both are seen.
    width = alt.condition(alt.datum.rule == CLINICAL, alt.value(5), alt.value(2))
    drawn = base.transform_filter(alt.datum.what == "rule").mark_line(interpolate="step-after")
    points = base.transform_filter(alt.datum.what == "lesion").mark_point(size=60, strokeWidth=1.5)
    chart = alt.layer(drawn.encode(strokeWidth=width), points, data=frame)
    kind = "simulated " if simulated else ""
    return Figure(
        titled(chart.properties(width=480, height=200), "Density weights and a scan's lesions",
               simulated=simulated),
        "Density weight against maximum: steps up at 130 (clinical) and at 200, 300 and 400 HU; the"
        f" adjusted weight is 1 below 200 HU too. Points are the {kind}scan's lesions in each "
        f"slice, {len(clinical.steps)} clinical and {len(adjusted.steps)} of the map.",
    )  # fmt: skip


def lesions_by_peak(peaks_hu: Sequence[float]) -> pd.DataFrame:
    """The same made lesion with other brightest voxels: by each score in turn.

    It is a square of 4 × 4 pixels of 0.7 mm in one slice of 3 mm, 150 HU but for one voxel, or all
    of it as bright as that one where that is less; around it is blood of 40 HU. Its map is its
    excess over blood.

    Returns
    -------
    DataFrame
        By brightest voxel in HU: the clinical (`literature`) Agatston score, the adjusted one, and
        the pseudo-mass of the map in HU·mm³.
    """
    rows = {}
    for peak_hu in peaks_hu:
        hu = np.full((1, 3 * SIDE_PX, 3 * SIDE_PX), BLOOD_HU, dtype=np.float32)
        inside = (0, slice(SIDE_PX, 2 * SIDE_PX), slice(SIDE_PX, 2 * SIDE_PX))
        hu[inside] = min(REST_HU, peak_hu)
        hu[0, SIDE_PX, SIDE_PX] = peak_hu
        scan = Volume(hu, SPACING_MM)
        everywhere = scan.with_array(np.ones(scan.shape, dtype=bool))
        proposed = score_map(scan.with_array(hu - BLOOD_HU), scan)
        rows[peak_hu] = {
            "Agatston score": score_clinically(scan, everywhere, convention()).agatston,
            "adjusted Agatston score": proposed.agatston_adjusted,
            "pseudo-mass (HU·mm³)": proposed.pseudo_mass_hu_mm3,
        }
    table = pd.DataFrame.from_dict(rows, orient="index")
    return table.rename_axis("brightest voxel (HU)").round(1)


def conventions_beside(study: Study) -> pd.DataFrame | Missing:
    """The scan with most clinical calcium, scored by every named convention.

    Its lesions are those that a reader picked, where the study has such picks; else those that the
    automatic clinical score counts.
    """
    found = _most_counted(study)
    if found is None:
        return Missing(
            "no scan of this study has a clinical lesion: run `score_study(study)`, or pick "
            "lesions, `cacnb serve clinical --study DIR`"
        )
    volume, region, thickness_mm = found
    table = score_by_every_convention(volume, region, slice_thickness_mm=thickness_mm)
    first = ["agatston", "risk_category", "volume_mm3", "pseudo_mass_hu_mm3", "lesions"]
    table = table[[*first, *(column for column in table if column not in first)]]
    return table.round({"agatston": 1, "volume_mm3": 1, "pseudo_mass_hu_mm3": 0})


def risk_table(scores: Sequence[float]) -> pd.DataFrame:
    """The risk category of each Agatston score."""
    return pd.DataFrame(
        {"Agatston score": scores, "risk category": [risk_category(score) for score in scores]}
    )


def _counted(study: Study, name: str) -> tuple[Volume, Volume, float | None]:
    """A scan, what its clinical score counts on its own grid, and its slice thickness in mm."""
    if not has_map(study, name):
        raise InputError("not_scored", f"scan {name!r} is not scored: run `score_study(study)`")
    return _with_mask(study, name, study.folder / "scores" / f"{name}.clinical.nii.gz")


def _with_mask(study: Study, name: str, mask: Path) -> tuple[Volume, Volume, float | None]:
    path = study.folder / str(study.cohort.set_index("scan").loc[name, "path"])
    series, volume = read_scan(path)
    region = read_mask(mask, volume, may_be_empty=True)
    return volume, region, series.slice_thickness_mm


def _most_counted(study: Study) -> tuple[Volume, Volume, float | None] | None:
    """Scan, lesions, slice thickness of the scan in which most is picked, else counted."""
    picked = study.folder / "clinical_lesions"
    scores = study.scores
    if "clinical_agatston" not in scores or not (scores["clinical_agatston"] > 0).any():
        return None
    order = scores.sort_values("clinical_agatston", ascending=False)["scan"].astype(str)
    for name in order:
        mask = picked / f"{name}.nii.gz"
        if mask.is_file():
            found = _with_mask(study, name, mask)
            if found[1].array.any():
                return found
    name = str(order.iloc[0])
    return _counted(study, name) if has_map(study, name) else None
