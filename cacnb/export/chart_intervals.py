"""Estimates as dots on their intervals: per scan, per artery, by group, between methods."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import pandas as pd
from altair.typing import ChartType

from cacnb.export.chart_style import INK, SOFT, method_encodings, titled
from cacnb.export.chart_words import ARTERIES, LOOKS, MEASURES, Measure, label_of, measure_of
from cacnb.export.number_words import interval, p_value, signed

Rows = Sequence[Mapping[str, Any]]

#: Height of one line of dots, and room between the rows of an axis, in pixels.
LINE_PX, ROW_GAP_PX = 14, 16

#: Keeps the rows of an axis apart, so that dots read as groups.
_BANDS = alt.Scale(paddingInner=0.34, paddingOuter=0.17)


def scan_detection_chart(detection_per_scan: Rows, *, simulated: bool) -> ChartType:
    """Sensitivity, false positive rate and F1 of each method per scan (Figure 6A's baselines)."""
    measures = [MEASURES[key] for key in ("sensitivity", "false_positive_rate", "f1")]
    frame = _estimates(detection_per_scan, measures, group=None)
    return titled(
        _dots(frame, measures), "Detection of visible calcium per scan", simulated=simulated
    )


def artery_chart(
    detection_per_artery: Rows, reproducibility_per_artery: Rows, *, simulated: bool
) -> ChartType:
    """Detection and reproducibility per artery with 95 % intervals (Table 3 as a picture)."""
    detection = [
        Measure("sensitivity", "Detected, single scans", (0, 1)),
        Measure("pair_sensitivity", "Detected, both scans of a pair", (0, 1)),
    ]
    repeat = [
        Measure("relative_difference_both_positive", "Relative difference, positive pairs", (0, 2))
    ]
    frame = pd.concat(
        [
            _estimates(detection_per_artery, detection, group="artery"),
            _estimates(reproducibility_per_artery, repeat, group="artery"),
        ],
        ignore_index=True,
    )
    frame["group"] = frame["group"].map(lambda artery: ARTERIES.get(artery, artery))
    measures = [m for m in (*detection, *repeat) if m.name in set(frame["measure"])]
    return titled(
        _dots(frame, measures, list(ARTERIES.values())),
        "Detection and reproducibility per artery",
        simulated=simulated,
    )


def truth_group_chart(truth: Rows) -> ChartType:
    """Bias of calcium mass and sensitivity by artery, mass and visibility; truth is simulated."""
    measures = [MEASURES["mass_bias_percent"], MEASURES["sensitivity"]]
    frame = _estimates(truth, measures, group="group")
    present = [m for m in measures if m.name in set(frame["measure"])]
    return titled(_dots(frame, present), "Accuracy against the true calcium", simulated=True)


def difference_chart(comparison: Rows, *, simulated: bool) -> ChartType:
    """Paired differences between methods on the same scans, with intervals: a forest plot.

    Parameters
    ----------
    comparison
        Rows of `comparison`: `one` minus `other` of a `statistic`. A row without a difference is
        left out.
    """
    frame = pd.DataFrame([_difference(row) for row in comparison if _known(row["difference"])])
    looks = [LOOKS[key] for key in LOOKS if key in {row["other"] for row in comparison}]
    names = list(dict.fromkeys(frame["methods"]))
    colours = [
        next((look.colour for look in looks if name.endswith(look.label)), INK) for name in names
    ]
    shapes = [
        next((look.shape for look in looks if name.endswith(look.label)), "circle")
        for name in names
    ]
    order = list(dict.fromkeys(frame["statistic"]))
    step = {"for": "position", "step": len(names) * (LINE_PX + 3) + ROW_GAP_PX}
    legend = alt.Legend(title=None, orient="top", direction="horizontal", symbolSize=70)
    axis = alt.Axis(domain=False, ticks=False, labelLimit=360, labelPadding=10)
    base = alt.Chart(frame).encode(
        y=alt.Y("statistic:N", sort=order, title=None, axis=axis, scale=_BANDS),
        yOffset=alt.YOffset("methods:N", sort=names),
        color=alt.Color("methods:N", scale=alt.Scale(domain=names, range=colours), legend=legend),
    )
    rule = base.mark_rule(strokeWidth=1.6).encode(x=alt.X("low:Q"), x2="high:Q")
    dots = base.mark_point(filled=True, size=58, opacity=1).encode(
        x=alt.X(
            "difference:Q",
            title="Difference, first method − second, with 95 % interval",
            axis=alt.Axis(tickCount=7),
        ),
        shape=alt.Shape("methods:N", scale=alt.Scale(domain=names, range=shapes), legend=legend),
    )
    zero = alt.Chart().mark_rule(color=SOFT, strokeDash=[3, 3]).encode(x=alt.datum(0))
    words = base.mark_text(align="left", fontSize=10.5).encode(
        x=alt.value(372), text="words:N", color=alt.value(INK)
    )
    chart = alt.layer(zero, rule, dots, words, data=frame).properties(width=360, height=step)
    return titled(chart, "Differences between methods on the same scans", simulated=simulated)


def _difference(row: Mapping[str, Any]) -> dict[str, Any]:
    measure = measure_of(str(row["statistic"]))
    better = "lower" if measure.lower_is_better else "higher"
    low, high = row.get("difference_ci95") or (math.nan, math.nan)
    words = signed(row["difference"])
    if _known(low):
        words += f" ({interval((low, high), signed)})"
    p = row.get("p_value")
    if p is not None:
        words += f", p {p_value(p)}" if p < 0.001 else f", p = {p_value(p)}"
    return {
        "statistic": f"{measure.name} ({better} is better)",
        "methods": f"{label_of(row['one'])} − {label_of(row['other'])}",
        "difference": row["difference"],
        "low": low,
        "high": high,
        "p_value": p,
        "n": row.get("n"),
        "words": words,
    }


def _estimates(rows: Rows, measures: Sequence[Measure], group: str | None) -> pd.DataFrame:
    """One row a dot: `measure`, `group`, `method`, `value`, `low`, `high`; no dot without value."""
    dots = []
    for measure in measures:
        for row in rows:
            if not _known(row.get(measure.key)):
                continue
            low, high = row.get(f"{measure.key}_ci95") or (math.nan, math.nan)
            dots.append(
                {
                    "measure": measure.name,
                    "group": str(row[group]) if group else measure.name,
                    "method": label_of(row["method"]),
                    "value": float(row[measure.key]),
                    "low": low,
                    "high": high,
                }
            )
    return pd.DataFrame(dots, columns=["measure", "group", "method", "value", "low", "high"])


def _dots(frame: pd.DataFrame, measures: Sequence[Measure], order: Sequence[str] = ()) -> ChartType:
    """A panel a measure side by side, an axis row a group, a line of dots a method."""
    present = set(frame["group"])
    groups = [g for g in order if g in present] or list(dict.fromkeys(frame["group"]))
    methods = [look.label for look in LOOKS.values() if look.label in set(frame["method"])]
    step = {"for": "position", "step": len(methods) * LINE_PX + ROW_GAP_PX}
    encodings = method_encodings(methods)
    alone = all((frame["group"] == frame["measure"]).tolist())
    panels = []
    for place, measure in enumerate(measures):
        scale = alt.Scale(domain=measure.domain, zero=False) if measure.domain else alt.Scale()
        axis = alt.Axis(labels=place == 0 and not alone, domain=False, ticks=False, labelPadding=10)
        base = (
            alt.Chart()
            .transform_filter(alt.datum.measure == measure.name)
            .encode(
                y=alt.Y(
                    "group:N", sort=None if alone else groups, title=None, axis=axis, scale=_BANDS
                ),
                yOffset=alt.YOffset("method:N", sort=methods),
            )
        )
        dots = base.mark_point(filled=True, size=62, opacity=1).encode(
            x=alt.X("value:Q", title=measure.name, scale=scale, axis=alt.Axis(tickCount=5)),
            **encodings,
        )
        rules = base.mark_rule(strokeWidth=1.6).encode(
            x=alt.X("low:Q", scale=scale), x2="high:Q", color=encodings["color"]
        )
        panels.append(alt.layer(rules, dots).properties(width=205, height=step))
    return alt.hconcat(*panels, data=frame, spacing=26)


def _known(value: Any) -> bool:
    return value is not None and math.isfinite(value)
