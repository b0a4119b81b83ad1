"""What a field of view that ends inside the heart costs: heart, calcium, and the verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING

import altair as alt
import numpy as np
import pandas as pd
from altair.typing import ChartType

from cacnb.ct.heart import judge_heart
from cacnb.ct.reading import read_image
from cacnb.ct.verdict import verdict_of
from cacnb.ct.volume import Volume
from cacnb.export.chart_style import titled
from cacnb.lessons.figure import Figure
from cacnb.lessons.hearts import BLUE, GREEN, VERMILION, heart_for
from cacnb.lessons.missing import Missing

if TYPE_CHECKING:
    from cacnb.learning.weights import Weights
    from cacnb.studies import Study

#: So much of the heart's upper end is cut off, in mm.
CUTS_MM = (0.0, 12.0, 24.0, 36.0, 48.0, 60.0)


def cut_field_of_view(study: Study, name: str, weights: Weights) -> Figure | Missing:
    """How much of heart and calcium is left where a scan begins too low, and its verdict.

    The scan's upper slices are taken away, and what is left is segmented anew.

    Parameters
    ----------
    study, name
        A scan. Its calcium is the known one, else the map's of its scores, else none is shown.
    weights
        Whose network segments.

    Raises
    ------
    InputError
        As `Study.scan` and `Study.heart`.
    """
    from cacnb.pipeline import segment_heart

    image = study.scan(name)
    whole = heart_for(study, name, weights)
    inside = np.flatnonzero(whole.array.any(axis=(1, 2)))
    if not len(inside):
        return Missing(f"no heart was found in {name}: take another scan")
    top_mm = float(image.axis_mm(0)[inside[-1]])
    calcium = _calcium(study, name)
    rows = []
    for cut_mm in CUTS_MM:
        keep = int(np.count_nonzero(image.axis_mm(0) <= top_mm - cut_mm)) if cut_mm else None
        left = Volume(image.array[:keep], image.spacing_mm, image.origin_mm)
        if left.shape[0] < 2:
            break
        found = segment_heart(left, weights)
        reasons = judge_heart(left, found)
        row = {
            "cut_mm": cut_mm, "verdict": verdict_of(reasons),
            "reasons": ", ".join(reason.code for reason in reasons) or "none",
        }  # fmt: skip
        end_mm = float(left.axis_mm(0)[-1])
        shares = {"heart in the field": _share_below(whole, end_mm)}
        shares["heart found"] = float(found.array.sum() / whole.array.sum())
        if calcium is not None and calcium.array.any():
            shares["calcium in the field"] = _share_below(calcium, end_mm)
        rows += [row | {"what": what, "share": share} for what, share in shares.items()]
    table = pd.DataFrame(rows)
    first = table[table["verdict"] == "refused"]["cut_mm"].min()
    told = f"refused from {first:.0f} mm on" if pd.notna(first) else "never refused"
    return Figure(
        titled(
            _cuts(table), f"A field of view that ends inside the heart of {name}",
            simulated=study.simulated, subtitle="share of the whole heart's volume, of its calcium",
        ),
        f"Share of heart and calcium left{' (simulated)' if study.simulated else ''} when 0 to "
        f"{CUTS_MM[-1]:.0f} mm of the heart's upper end lie outside the scan; the scan is {told}.",
    )  # fmt: skip


def _cuts(table: pd.DataFrame) -> ChartType:
    base = alt.Chart(table).encode(
        x=alt.X("cut_mm:Q", title="cut off the heart's upper end (mm)"),
        y=alt.Y("share:Q", title="share of the whole", scale=alt.Scale(domainMin=0)),
        color=alt.Color(
            "what:N", title=None, scale=alt.Scale(range=[VERMILION, BLUE, GREEN]),
        ),
    )  # fmt: skip
    points = base.mark_point(size=110, filled=True).encode(
        shape=alt.Shape(
            "verdict:N", title="verdict",
            scale=alt.Scale(
                domain=["usable", "warned", "refused"], range=["circle", "triangle-up", "cross"]
            ),
        ),
        tooltip=["what", alt.Tooltip("share:Q", format=".2f"), "cut_mm", "verdict", "reasons"],
    )  # fmt: skip
    lines = alt.layer(base.mark_line(), points, data=table)
    chart: ChartType = lines.properties(width=480, height=240)
    return chart


def _share_below(volume: Volume, end_mm: float) -> float:
    """The share of a volume's sum that lies not above a height."""
    amount = volume.array.sum(axis=(1, 2), dtype=np.float64)
    return float(amount[volume.axis_mm(0) <= end_mm + 1e-6].sum() / amount.sum())


def _calcium(study: Study, name: str) -> Volume | None:
    for folder, end in (("calcium", ""), ("scores", ".cac_map")):
        file = study.folder / folder / f"{name}{end}.nii.gz"
        if file.is_file():
            return read_image(file)
    return None
