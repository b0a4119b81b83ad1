"""Pairs of scores as pictures: Bland–Altman (Figure 8), scan and rescan, measured and true."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from altair.typing import ChartType
from numpy.typing import ArrayLike

from cacnb.errors import UsageError
from cacnb.export.chart_points import Axis, Floats, Panel, drawn_panels, spread, top_of
from cacnb.export.chart_style import titled
from cacnb.export.chart_words import look_of
from cacnb.export.number_words import score
from cacnb.study.bland_altman import BlandAltman


@dataclass(frozen=True, eq=False)
class ScorePairs:
    """Two scores (n,) of the same patients by one method, for one panel.

    `method` gives colour and shape where it is one of the three; `notes` stand under the label.
    """

    label: str
    first: Floats
    second: Floats
    method: str | None = None
    notes: Sequence[str] = ()


def bland_altman_chart(
    methods: Sequence[tuple[ScorePairs, BlandAltman]],
    *,
    unit: str,
    simulated: bool,
    axis: Axis = "linear",
    title: str = "Bland–Altman: difference against mean",
) -> ChartType:
    """Figure 8: difference against mean with the bias and limits that widen with the mean.

    The limits are ± `BlandAltman.limit_at(mean)`, which is never below 0. All panels share both
    axes, so that the narrower limits look it.

    Parameters
    ----------
    methods
        Each method's pairs and what was found in them. Say in the label where scores are scaled.
    unit
        What the scores are: "Agatston score", "mass (mg)".
    axis
        `symlog` is linear around 0 and logarithmic beyond, for scores of several decades.
    """
    panels = []
    far = top_of([(scores.first + scores.second) / 2 for scores, _ in methods])
    for scores, found in methods:
        mean, difference = (scores.first + scores.second) / 2, scores.first - scores.second
        at = spread(0.0, far, axis)
        limit = found.limit_at(at)
        panels.append(
            Panel(
                _header(scores, f"bias {score(found.bias)}, n = {found.n:,}"),
                look_of(scores.method),
                mean,
                difference,
                {
                    "bias": [(at[[0, -1]], np.full(2, found.bias))],
                    "95 % limits of agreement": [(at, limit), (at, -limit)],
                },
            )
        )
    chart = drawn_panels(panels, ("mean", f"Mean of both, {unit}"),
                  ("difference", f"First − second, {unit}"), axis)  # fmt: skip
    return titled(chart, title, simulated=simulated)


def scan_rescan_chart(
    methods: Sequence[ScorePairs],
    *,
    unit: str,
    simulated: bool,
    axis: Axis = "symlog",
    names: tuple[str, str] = ("First scan", "Second scan"),
    title: str = "Scan and rescan",
) -> ChartType:
    """Second score against first, a panel a method, with the line on which both are equal."""
    sides = [side for scores in methods for side in (scores.first, scores.second)]
    at = spread(0.0, top_of(sides), axis)
    panels = [
        Panel(_header(scores), look_of(scores.method), scores.first, scores.second,
               {"equal scores": [(at, at)]})
        for scores in methods
    ]  # fmt: skip
    chart = drawn_panels(
        panels, ("first", f"{names[0]}, {unit}"), ("second", f"{names[1]}, {unit}"), axis
    )
    return titled(chart, title, simulated=simulated)


def truth_chart(
    truth_mg: ArrayLike,
    measured_mg: Mapping[str, ArrayLike],
    *,
    notes: Mapping[str, Sequence[str]] | None = None,
    axis: Axis = "symlog",
) -> ChartType:
    """Measured against true calcium mass of simulated scans, a panel a method.

    Parameters
    ----------
    truth_mg
        (n,) true mass in mg of each scan.
    measured_mg
        By method (n,) mass in mg of the same scans; NaN where a method has no score.

    Raises
    ------
    UsageError
        Where a method has another number of scans.
    """
    truth = np.asarray(truth_mg, dtype=np.float64)
    panels = []
    for method, values in measured_mg.items():
        measured = np.asarray(values, dtype=np.float64)
        if measured.shape != truth.shape:
            raise UsageError(
                f"{measured.size} masses by {method} and {truth.size} true ones: give one a scan"
            )
        known = np.isfinite(truth) & np.isfinite(measured)
        look = look_of(method)
        scores = ScorePairs(
            look.label, truth[known], measured[known], method, (notes or {}).get(method, ())
        )
        at = spread(0.0, top_of([truth[np.isfinite(truth)]]), axis)
        panels.append(
            Panel(_header(scores), look, scores.first, scores.second,
                   {"equal scores": [(at, at)]})
        )  # fmt: skip
    x, y = ("truth_mg", "True mass (mg)"), ("measured_mg", "Measured mass (mg)")
    chart = drawn_panels(panels, x, y, axis)
    return titled(chart, "Calcium mass against the truth", simulated=True)


def _header(scores: ScorePairs, *more: str) -> str:
    return "\n".join((scores.label, *more, *scores.notes))
