"""What a moving lesion scores at each speed, as a chart; it simulates and scores nothing."""

from __future__ import annotations

from collections.abc import Mapping

import altair as alt
import numpy as np
import pandas as pd
from altair.typing import ChartType

from cacnb.errors import UsageError
from cacnb.export.chart_style import INK, SOFT, titled
from cacnb.export.chart_words import LOOKS
from cacnb.lessons.figure import Figure

#: Rows of the chart and which scores each shows, as column: words.
PANELS = {
    "Agatston score": {"agatston": "from 130 HU (clinical)"},
    "Mass (mg)": {
        "whole_mass_mg": "whole, no threshold",
        "clinical_mass_mg": "from 130 HU (clinical)",
    },
}

#: Size of a row in pixels.
WIDTH_PX, HEIGHT_PX = 560, 130


def speed_chart(
    scores: pd.DataFrame,
    usual_mm_s: Mapping[str, float],
    *,
    thickness_mm: float = 3.0,
    noise_hu: float = 15.0,
) -> Figure:
    """Clinical score and whole mass of one lesion over its speed, with each artery's usual speed.

    Parameters
    ----------
    scores
        As `MovingLesion.scores`.
    usual_mm_s
        Of the arteries, such as `usual_speeds_mm_s()`.
    thickness_mm, noise_hu
        Which of the scans.

    Raises
    ------
    UsageError
        Where there is no scan of that thickness and noise.
    """
    chosen = scores[(scores["thickness_mm"] == thickness_mm) & (scores["noise_hu"] == noise_hu)]
    if chosen.empty:
        raise UsageError(f"no scan has {thickness_mm:g} mm slices and {noise_hu:g} HU of noise")
    frame = _frame(chosen, usual_mm_s)
    rows = [_row(name) for name in PANELS]
    chart = alt.vconcat(*rows, data=frame, spacing=14)
    title = f"One lesion of {chosen['true_mass_mg'].iloc[0]:.0f} mg at {len(chosen)} speeds"
    subtitle = f"{thickness_mm:g} mm slices, noise {noise_hu:g} HU; usual speeds by artery"
    return Figure(titled(chart, title, simulated=True, subtitle=subtitle), _alt(chosen, usual_mm_s))


def _frame(chosen: pd.DataFrame, usual_mm_s: Mapping[str, float]) -> pd.DataFrame:
    """One row a mark: a score at a speed, or an artery's usual speed."""
    speeds = chosen["speed_mm_s"]
    parts = [
        pd.DataFrame({
            "panel": panel, "speed_mm_s": speeds, "score": words, "value": chosen[column],
            "artery": "",
        })
        for panel, columns in PANELS.items()
        for column, words in columns.items()
    ]  # fmt: skip
    highest = float(chosen["agatston"].max())
    parts.append(pd.DataFrame({
        "panel": "Agatston score", "speed_mm_s": list(usual_mm_s.values()), "score": "",
        "value": highest * (1 - 0.14 * np.arange(len(usual_mm_s))), "artery": list(usual_mm_s),
    }))  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def _row(panel: str) -> ChartType:
    colours = {
        "whole, no threshold": LOOKS["proposed"].colour,
        "from 130 HU (clinical)": LOOKS["clinical_manual"].colour,
    }
    is_last = panel == list(PANELS)[-1]
    x = alt.X(
        "speed_mm_s:Q",
        title="Speed of the lesion in the plane of the slice (mm/s)" if is_last else None,
        scale=alt.Scale(nice=False),
    )
    y = alt.Y("value:Q", title=panel, axis=alt.Axis(tickCount=4), scale=alt.Scale(zero=True))
    colour = alt.Color(
        "score:N",
        scale=alt.Scale(domain=list(colours), range=list(colours.values())),
        legend=alt.Legend(title=None, orient="top"),
    )
    curves = (
        alt.Chart(width=WIDTH_PX, height=HEIGHT_PX)
        .transform_filter((alt.datum.panel == panel) & (alt.datum.artery == ""))
        .mark_line(point=True, strokeWidth=2)
        .encode(x=x, y=y, color=colour, tooltip=["score:N", "speed_mm_s:Q", "value:Q"])
    )
    usual = alt.Chart().transform_filter(alt.datum.artery != "")
    rules = usual.mark_rule(color=SOFT, strokeDash=[4, 4]).encode(x="speed_mm_s:Q")
    if panel != "Agatston score":
        return alt.layer(rules, curves)
    names = usual.mark_text(align="left", dx=4, color=INK).encode(
        x="speed_mm_s:Q", y="value:Q", text="artery:N"
    )
    return alt.layer(rules, curves, names)


def _alt(chosen: pd.DataFrame, usual_mm_s: Mapping[str, float]) -> str:
    rest = chosen.iloc[0]
    speeds = chosen["speed_mm_s"].to_numpy()
    at = {name: chosen.iloc[int(np.argmin(np.abs(speeds - v)))] for name, v in usual_mm_s.items()}
    said = ", ".join(
        f"{row['agatston']:.0f} at the speed of the {name}" for name, row in at.items()
    )
    whole = chosen["whole_mass_mg"]
    return (
        f"Simulated scores of one lesion over its speed. Agatston score: {rest['agatston']:.0f} at "
        f"rest, {said}. Whole mass: {whole.min():.1f} to {whole.max():.1f} mg at every speed."
    )
