"""Charts of what the slice classifier says: along one heart, and every threshold's trade."""

from __future__ import annotations

from typing import TYPE_CHECKING

import altair as alt
import numpy as np
import pandas as pd

from cacnb.export.chart_style import INK, SOFT, titled
from cacnb.lessons.figure import Figure
from cacnb.lessons.missing import Missing
from cacnb.lessons.slice_balance import COLOURS, NO_LABELS, SHOWS, SHOWS_NOT
from cacnb.lessons.slice_evidence import OPEN, PAPER_POINT

if TYPE_CHECKING:
    from cacnb.learning.weights import Weights
    from cacnb.studies import Study

#: Colours of labels, and of a slice that nobody settled.
LABEL_COLOURS = {**COLOURS, OPEN: SOFT}


def probability_along_heart(
    study: Study, weights: Weights, slices: pd.DataFrame, scans: list[str]
) -> Figure | Missing:
    """P(contains CAC) of each slice from the heart's foot to its head, with labels and thresholds.

    Parameters
    ----------
    study, weights
        The thresholds are those of the weights' card.
    slices, scans
        As `slice_evidence` gives them, and as `telling_scans` does: the first is shown.
    """
    name = scans[0] if scans else ""
    slices = slices[slices["scan"] == name]
    if slices.empty:
        return Missing("no heart slice could be looked at: see notebook 01 for the scans' verdicts")
    sure, beside = (
        weights.threshold(key) for key in ("slice_probability", "slice_probability_beside")
    )
    lines = pd.DataFrame(
        {"at": [sure, beside], "says": [f"{sure:g}: certain", f"{beside:g}: beside a certain one"]}
    )
    base = alt.Chart(slices).encode(
        x=alt.X("height_mm:Q", title="height above the heart's lowest slice (mm)"),
        y=alt.Y("probability:Q", title="probability of CAC", scale=alt.Scale(domain=[0, 1])),
    )
    points = base.mark_circle(size=55, opacity=1).encode(
        color=alt.Color(
            "label:N", title=None, legend=alt.Legend(orient="top"),
            scale=alt.Scale(domain=list(LABEL_COLOURS), range=list(LABEL_COLOURS.values())),
        ),
        tooltip=["label", alt.Tooltip("height_mm:Q", format=".1f"),
                 alt.Tooltip("probability:Q", format=".2f")],
    )  # fmt: skip
    rules = alt.Chart(lines).mark_rule(color=INK, strokeDash=[6, 3]).encode(y="at:Q")
    words = (
        alt.Chart(lines)
        .mark_text(align="left", baseline="bottom", dx=4, dy=-2, color=INK)
        .encode(y="at:Q", x=alt.value(0), text="says:N")
    )
    chart = alt.layer(base.mark_line(color=SOFT), points, rules, words, data=slices).properties(
        width=520, height=230
    )
    called, simulated = int((slices["probability"] >= sure).sum()), study.simulated
    return Figure(
        titled(chart, f"Slices of {name}, from foot to head", simulated=simulated),
        f"Probability of CAC of {len(slices)} slices of a{' simulated' if simulated else ''} heart:"
        f" {called} reach {sure:g}; {int((slices['label'] == SHOWS).sum())} are labelled as "
        "containing CAC.",
    )


def threshold_trade(slices: pd.DataFrame, *, simulated: bool) -> Figure | Missing:
    """Sensitivity and false positive rate per slice at every threshold, with the paper's point.

    Parameters
    ----------
    slices
        As `slice_evidence` gives them.
    simulated
        Whether they are simulated.
    """
    told = slices[slices["label"] != OPEN]
    shows = told["label"].to_numpy(str) == SHOWS
    if not (shows.any() and (~shows).any()):
        return Missing(NO_LABELS)
    probability = told["probability"].to_numpy(float)
    least = np.unique(np.r_[0.0, np.linspace(0.02, 0.98, 49), 1.01])
    table = pd.DataFrame(
        {
            "threshold": least,
            "sensitivity": [(probability[shows] >= at).mean() for at in least],
            "false_positive_rate": [(probability[~shows] >= at).mean() for at in least],
        }
    )
    marks = table[np.isclose(table["threshold"], 0.5) | np.isclose(table["threshold"], 0.2)]
    marks = marks.assign(says=[f"threshold {at:.1f}" for at in marks["threshold"]])
    paper = pd.DataFrame(
        {key: [PAPER_POINT[key]] for key in ("sensitivity", "false_positive_rate")}
        | {"says": ["paper"]}
    )
    x = alt.X("false_positive_rate:Q", title="false positive rate per slice",
              scale=alt.Scale(domain=[0, 1]))  # fmt: skip
    y = alt.Y("sensitivity:Q", title="sensitivity per slice", scale=alt.Scale(domain=[0, 1]))
    line = alt.Chart(table).mark_line(color=COLOURS[SHOWS_NOT]).encode(x=x, y=y, order="threshold")
    layers = [line]
    for points, shape, colour, below in (
        (marks, "circle", COLOURS[SHOWS_NOT], 8), (paper, "diamond", INK, -9)
    ):  # fmt: skip
        base = alt.Chart(points).encode(x=x, y=y)
        layers.append(base.mark_point(shape=shape, size=90, filled=True, color=colour, opacity=1))
        layers.append(base.mark_text(align="left", dx=9, dy=below, color=INK).encode(text="says:N"))
    chart = alt.layer(*layers, data=table).properties(width=320, height=300)
    area = float(-np.trapezoid(table["sensitivity"], table["false_positive_rate"]))
    return Figure(
        titled(
            chart, "Every threshold's trade", simulated=simulated,
            subtitle=f"area under the curve {area:.2f}, {len(told)} slices",
        ),
        f"Sensitivity against false positive rate of {len(told)}"
        f"{' simulated' if simulated else ''} slices, area under the curve {area:.2f}; the paper's "
        "point is 0.78 at 0.06.",
    )  # fmt: skip
