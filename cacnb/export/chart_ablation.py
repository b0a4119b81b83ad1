"""What heart segmentation and slice classification are worth, as bars (Figure 6)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import pandas as pd
from altair.typing import ChartType

from cacnb.export.chart_style import INK, SOFT, titled
from cacnb.export.chart_words import LOOKS, label_of

Rows = Sequence[Mapping[str, Any]]

#: Bars from without both to with both, each darker than the last, so that grey print keeps them.
SETTINGS = {
    (False, False): ("HS− CL−", "#FBE3D3"),
    (False, True): ("HS− CL+", "#F4B78E"),
    (True, False): ("HS+ CL−", "#E68A4B"),
    (True, True): ("HS+ CL+", "#B34F00"),
}

DETECTION = {"sensitivity": "Sensitivity", "false_positive_rate": "FPR", "f1": "F1 score"}
REPRODUCIBILITY = {
    "relative_difference_any_positive": "All pairs",
    "relative_difference_both_positive": "Positive pairs",
}


def ablation_detection_chart(
    ablation: Rows, detection_per_scan: Rows, *, simulated: bool
) -> ChartType:
    """Figure 6A: detection with and without heart segmentation (HS) and slice classifier (CL).

    Parameters
    ----------
    ablation
        Rows with `heart`, `slices` and the measures.
    detection_per_scan
        Where the clinical methods' horizontal lines come from.
    """
    return titled(
        _bars(ablation, detection_per_scan, DETECTION, "Share", (0.0, 1.0)),
        "Detection with and without each step",
        simulated=simulated,
    )


def ablation_reproducibility_chart(
    ablation: Rows, reproducibility: Rows, *, simulated: bool
) -> ChartType:
    """Figure 6B: relative interscan difference with and without each step."""
    return titled(
        _bars(
            ablation, reproducibility, REPRODUCIBILITY, "Relative difference in calcium mass", None
        ),
        "Interscan difference with and without each step",
        simulated=simulated,
    )


def _bars(
    ablation: Rows,
    methods: Rows,
    measures: Mapping[str, str],
    title: str,
    domain: tuple[float, float] | None,
) -> ChartType:
    frame = pd.DataFrame(
        [
            {"measure": name, "kind": "setting", "what": SETTINGS[place][0], "value": row[key]}
            for key, name in measures.items()
            for place in SETTINGS
            for row in ablation
            if (bool(row["heart"]), bool(row["slices"])) == place and _known(row.get(key))
        ]
        + [
            {"measure": name, "kind": "clinical", "what": label_of(row["method"]),
             "value": row[key]}
            for key, name in measures.items()
            for row in methods
            if row["method"] != "proposed" and _known(row.get(key))
        ]
    )  # fmt: skip
    settings = [name for name, _ in SETTINGS.values()]
    shades = [shade for _, shade in SETTINGS.values()]
    clinical = [LOOKS[key] for key in ("clinical_manual", "clinical_automatic")]
    clinical = [look for look in clinical if (frame["what"] == look.label).any()]
    y = alt.Y(
        "value:Q", title=title, axis=alt.Axis(tickCount=5),
        scale=alt.Scale(domain=domain) if domain else alt.Scale(zero=True),
    )  # fmt: skip
    base = alt.Chart()
    bars = (
        base.transform_filter(alt.datum.kind == "setting")
        .mark_bar(stroke=INK, strokeWidth=0.6, width=26)
        .encode(
            x=alt.X(
                "what:N", sort=settings, title=None, axis=alt.Axis(labelAngle=-90, ticks=False)
            ),
            y=y,
            fill=alt.Fill("what:N", scale=alt.Scale(domain=settings, range=shades), legend=None),
        )
    )
    words = alt.Text("value:Q", format=".2f")
    # A line of a clinical method may pass behind a number: it is cut out around it.
    halo = bars.mark_text(dy=-7, fontSize=10.5, stroke="white", strokeWidth=4).encode(text=words)
    figures = bars.mark_text(dy=-7, fontSize=10.5).encode(text=words, fill=alt.value(INK))
    names = [look.label for look in clinical]
    legend = alt.Legend(title=None, orient="top", direction="horizontal", symbolType="stroke",
                        symbolSize=500, symbolStrokeWidth=2)  # fmt: skip
    lines = (
        base.transform_filter(alt.datum.kind == "clinical")
        .mark_rule(strokeWidth=2)
        .encode(
            y=y,
            color=alt.Color(
                "what:N",
                scale=alt.Scale(domain=names, range=[look.colour for look in clinical]),
                legend=legend,
            ),
            strokeDash=alt.StrokeDash(
                "what:N",
                scale=alt.Scale(domain=names, range=[list(look.dash) for look in clinical]),
                legend=legend,
            ),
        )
    )
    layers = [bars, lines, halo, figures] if names else [bars, figures]
    width = 34 * len(SETTINGS)
    chart: ChartType = (
        alt.layer(*layers, data=frame)
        .properties(width=width, height=190)
        .facet(
            column=alt.Column(
                "measure:N", sort=list(measures.values()), title=None,
                header=alt.Header(labelColor=SOFT, labelFontWeight="bold"),
            ),
            spacing=22,
        )
        .resolve_scale(fill="shared")
    )  # fmt: skip
    return chart


def _known(value: Any) -> bool:
    return value is not None and math.isfinite(value)
