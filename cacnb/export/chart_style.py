"""How every figure looks: type, axes, colours and shapes by method; it knows no number."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import altair as alt
from altair.typing import ChartType

from cacnb.export.chart_words import LOOKS

INK, SOFT, GRID = "#1d2228", "#58616b", "#e3e6e9"
FONT = "Helvetica Neue, Helvetica, Arial, Liberation Sans, sans-serif"


def method_encodings(labels: Iterable[str], field: str = "method") -> dict[str, Any]:
    """Colour and shape by a column of method labels, in the order of `LOOKS`, one legend."""
    present = set(labels)
    looks = [look for look in LOOKS.values() if look.label in present]
    names = [look.label for look in looks]
    legend = alt.Legend(title=None, orient="top", direction="horizontal", symbolSize=70)
    return {
        "color": alt.Color(
            f"{field}:N",
            scale=alt.Scale(domain=names, range=[look.colour for look in looks]),
            legend=legend,
        ),
        "shape": alt.Shape(
            f"{field}:N",
            scale=alt.Scale(domain=names, range=[look.shape for look in looks]),
            legend=legend,
        ),
    }


def titled(chart: ChartType, title: str, *, simulated: bool, subtitle: str = "") -> ChartType:
    """The chart in the house's type, with a title that says where nothing is of a patient."""
    whole = f"{title} (simulated)" if simulated else title
    heading = alt.Title(text=whole, subtitle=subtitle) if subtitle else alt.Title(text=whole)
    done: ChartType = (
        chart.properties(title=heading)
        .configure(font=FONT, background="#ffffff", aria=False, padding=8)
        .configure_title(
            anchor="start", fontSize=13, fontWeight=600, color=INK, offset=12,
            subtitleFontSize=11, subtitleColor=SOFT, subtitlePadding=4,
        )
        .configure_view(stroke=None)
        .configure_axis(
            labelFontSize=11, titleFontSize=11, titleFontWeight="normal", titlePadding=8,
            labelColor=INK, titleColor=INK, gridColor=GRID, domainColor=SOFT, tickColor=SOFT,
            tickSize=4, labelLimit=260, titleLimit=420,
        )
        .configure_header(
            labelFontSize=11, labelFontWeight=600, labelColor=INK, labelLimit=360,
            labelLineHeight=14, labelPadding=8,
        )
        .configure_legend(labelFontSize=11, labelColor=INK, labelLimit=320, columnPadding=18)
    )  # fmt: skip
    return done
