"""A heart network beside the study's heart masks: over the scan, as a solid, in numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import altair as alt
import numpy as np
import pandas as pd
from altair.typing import ChartType

from cacnb.ct.volume import Volume
from cacnb.errors import InputError
from cacnb.evaluation.surfaces import compare_masks
from cacnb.export.chart_style import SOFT, titled
from cacnb.export.paper_numbers import PAPER
from cacnb.lessons.figure import Figure
from cacnb.lessons.missing import Missing
from cacnb.lessons.slice_view import LessonCanvas, slice_view
from cacnb.lessons.solid_view import SolidView, solid_view

if TYPE_CHECKING:
    from cacnb.learning.weights import Weights
    from cacnb.studies import Study

#: What masks are compared by: its name for people, as the paper has it.
MEASURES = {
    "dice": "Dice score", "hausdorff_mm": "Hausdorff distance (mm)",
    "surface_mm": "mean surface distance (mm)",
}  # fmt: skip

#: Colours of quantities (Okabe and Ito's).
BLUE, VERMILION, GREEN = "#0072B2", "#D55E00", "#009E73"


def heart_for(study: Study, name: str, weights: Weights) -> Volume:
    """A scan's heart as a bool mask: the study's, or where it has none the network's.

    Raises
    ------
    InputError
        As `Study.scan` and `Study.heart`.
    """
    from cacnb.pipeline import segment_heart

    heart = study.heart(name)
    return segment_heart(study.scan(name), weights) if heart is None else heart


def heart_view(study: Study, name: str, found: Volume) -> LessonCanvas:
    """A scan with the study's heart mask and beside it with a mask that was found.

    Parameters
    ----------
    study, name
        A scan; without a mask only what was found is shown.
    found
        A bool mask on the scan's grid, as `segment_heart` gives it.

    Raises
    ------
    InputError
        As `Study.scan` and `Study.heart`.
    """
    image, heart = study.scan(name), study.heart(name)
    simulated = " (simulated)" if study.simulated else ""
    masks = {"Network": found.with_array(2 * (found.array > 0).astype(np.uint8))}
    if heart is not None:
        masks = {"Reference": heart.with_array((heart.array > 0).astype(np.uint8)), **masks}
    shown = heart if heart is not None else found
    where = "the study's mask left, the network's right" if heart is not None else "the network"
    # the picture shows the middle of the heart, not the slice with most of it
    inside = np.flatnonzero((shown.array > 0).any(axis=(1, 2)))
    start_mm = float(image.axis_mm(0)[int(np.median(inside))]) if len(inside) else None
    return slice_view(
        dict.fromkeys(masks, image), labels=masks, start_mm=start_mm,
        title=f"Heart masks of {name}{simulated}",
        alt=f"A slice through the heart{simulated}, covered in colour by {where}.",
    )  # fmt: skip


def heart_solid(study: Study, name: str, found: Volume) -> SolidView | Missing:
    """The heart that was found as a solid; a sentence where none was.

    Parameters
    ----------
    study, name
        A scan.
    found
        A bool mask on the scan's grid, as `segment_heart` gives it.

    Raises
    ------
    InputError
        As `Study.scan`.
    """
    if not found.array.any():
        return Missing(f"the network found no heart in {name}: look at the scan in notebook 01")
    simulated = "simulated " if study.simulated else ""
    return solid_view(
        study.scan(name), found,
        alt=f"The heart of a {simulated}scan as the network found it, from the front and the left.",
    )  # fmt: skip


def heart_agreement(study: Study, weights: Weights, scans: int = 4) -> Figure | Missing:
    """Dice, Hausdorff and mean surface distance of network and study, with the paper's numbers.

    Parameters
    ----------
    study
        Scans with heart masks are compared, evenly spread ones of them.
    weights
        Whose network segments.
    scans
        At most so many: a scan takes a second or more.
    """
    from cacnb.pipeline import segment_heart

    masked = [
        name for name in study.cohort["scan"].astype(str)
        if (study.folder / "masks" / f"{name}.nii.gz").is_file()
    ]  # fmt: skip
    rows = []
    for name in _spread(masked, scans):
        try:
            image, heart = study.scan(name), study.heart(name)
        except InputError:  # a scan that cannot be read is no scan of the network's
            continue
        compared = None if heart is None else compare_masks(segment_heart(image, weights), heart)
        for key, said in MEASURES.items():
            if compared is not None:
                rows.append({"scan": name, "key": key, "measure": said, "value": compared[key]})
    if not rows:
        return Missing(
            "no scan of this study has a heart mask to compare with: the network's own is used, "
            "and how good it is on these scans stays unknown"
        )
    table = pd.DataFrame(rows)
    for key in MEASURES:
        paper = PAPER["network", "heart", "", key]
        low, high = paper.ci95 or (paper.value, paper.value)
        table.loc[table["key"] == key, ["paper", "paper_low", "paper_high"]] = (
            paper.value, low, high,
        )  # fmt: skip
    medians = table.groupby("key")["value"].median()
    of, kind = table["scan"].nunique(), "simulated " if study.simulated else ""
    return Figure(
        titled(
            _measures(table), f"Heart network beside the study's masks, {of} scans",
            simulated=study.simulated,
            subtitle="a point a scan, a line their median; grey: the paper's median and quartiles",
        ),
        f"Agreement of the network with the masks of {of} {kind}scans: median Dice "
        f"{medians['dice']:.2f}, Hausdorff distance {medians['hausdorff_mm']:.0f} mm, mean surface "
        f"distance {medians['surface_mm']:.1f} mm. The paper: 0.95, 15 mm, 1.6 mm.",
    )  # fmt: skip


def _measures(table: pd.DataFrame) -> ChartType:
    base = alt.Chart()
    y = alt.Y("value:Q", title=None, scale=alt.Scale(zero=False))
    band = base.mark_rect(color=SOFT, opacity=0.22).encode(
        y=alt.Y("min(paper_low):Q", title=None), y2="max(paper_high):Q"
    )
    line = base.mark_rule(color=SOFT, strokeDash=[6, 3]).encode(y=alt.Y("min(paper):Q", title=None))
    points = base.mark_circle(size=70, color=VERMILION, opacity=0.85).encode(
        y=y, x=alt.X("scan:N", title=None, axis=alt.Axis(labelAngle=-40)),
        tooltip=["scan", "measure", alt.Tooltip("value:Q", format=".3g")],
    )  # fmt: skip
    middle = base.mark_rule(color=VERMILION).encode(y=alt.Y("median(value):Q", title=None))
    layers = alt.layer(band, line, middle, points, data=table).properties(width=190, height=190)
    facet = alt.Facet("measure:N", title=None, sort=list(MEASURES.values()))
    chart: ChartType = layers.facet(facet, columns=3).resolve_scale(y="independent")
    return chart


def _spread(names: list[str], count: int) -> list[str]:
    """Evenly spread names, all where there are not as many."""
    at = np.linspace(0, len(names) - 1, min(count, len(names))).round().astype(int)
    return [names[i] for i in at]
