"""Panels of points, or heat maps where they are too many, with lines; not what they stand for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import altair as alt
import numpy as np
import pandas as pd
from altair.typing import ChartType
from numpy.typing import NDArray

from cacnb.export.chart_style import INK, SOFT
from cacnb.export.chart_words import Look

Floats = NDArray[np.float64]
Axis = Literal["linear", "symlog"]

#: More points than this in one figure are counted on a grid: a browser draws 5,000 rows at most.
MOST_POINTS = 3000

#: Points of a curve, and places of the grid along each axis.
CURVE_POINTS, GRID_PLACES = 61, 34

#: Decades that a logarithmic axis shows below its largest value.
DECADES = 4

PANEL_PX = 215

#: Lines by name: how they are drawn. A bias is whole, limits are dashed, equality is dotted.
LINES = {
    "bias": (INK, [1, 0]),
    "95 % limits of agreement": (INK, [6, 3]),
    "equal scores": (SOFT, [2, 3]),
}


@dataclass(frozen=True, eq=False)
class Panel:
    """Points (n,) at x and y under a title of lines; by name, lines as pairs of x and y."""

    title: str
    look: Look
    x: Floats
    y: Floats
    lines: Mapping[str, list[tuple[Floats, Floats]]] = field(default_factory=dict)


def drawn_panels(
    panels: Sequence[Panel], x: tuple[str, str], y: tuple[str, str], axis: Axis
) -> ChartType:
    """Panels side by side on shared axes; `x` and `y` are a column of the numbers and a title."""
    constant = _constant(panels) if axis == "symlog" else 1.0
    frame = _numbers(panels, x[0], y[0], axis, constant)
    titles = [panel.title for panel in panels]
    named = list(dict.fromkeys(frame.loc[frame["what"] == "line", "line"]))
    x_of = alt.X(f"{x[0]}:Q", title=x[1], **_axis_of(frame, (x[0], f"{x[0]}_to"), axis, constant))
    y_of = alt.Y(f"{y[0]}:Q", title=y[1], **_axis_of(frame, (y[0], f"{y[0]}_to"), axis, constant))
    base = alt.Chart().encode(x=x_of, y=y_of)
    looks = {panel.title: panel.look for panel in panels}
    colours = alt.Scale(domain=titles, range=[looks[title].colour for title in titles])
    shapes = alt.Scale(domain=titles, range=[looks[title].shape for title in titles])
    layers: list[Any] = []
    if (frame["what"] == "count").any():
        layers.append(
            base.transform_filter(alt.datum.what == "count")
            .mark_rect()
            .encode(
                x2=f"{x[0]}_to:Q",
                y2=f"{y[0]}_to:Q",
                color=alt.Color(
                    "n:Q",
                    scale=alt.Scale(type="log", range=["#D6E6F4", "#08306B"]),
                    legend=alt.Legend(title="pairs", orient="right", gradientLength=120),
                ),
            )
        )
    else:
        layers.append(
            base.transform_filter(alt.datum.what == "pair")
            .mark_point(filled=False, size=26, strokeWidth=1.1, opacity=0.75)
            .encode(
                stroke=alt.Stroke("panel:N", scale=colours, legend=None),
                shape=alt.Shape("panel:N", scale=shapes, legend=None),
            )
        )
    layers.append(
        base.transform_filter(alt.datum.what == "line")
        .mark_line(strokeWidth=1.3, color=INK)
        .encode(
            detail="part:N",
            order="place:Q",
            strokeDash=alt.StrokeDash(
                "line:N",
                scale=alt.Scale(domain=named, range=[LINES[name][1] for name in named]),
                legend=alt.Legend(title=None, orient="top", direction="horizontal",
                                  symbolSize=600, symbolStrokeColor=INK),
            ),
        )
    )  # fmt: skip
    chart: ChartType = (
        alt.layer(*layers, data=frame)
        .properties(width=PANEL_PX, height=PANEL_PX)
        .facet(
            column=alt.Column(
                "panel:N", sort=titles, title=None,
                header=alt.Header(labelExpr=r"split(datum.label, '\n')", labelAnchor="start"),
            ),
            spacing=20,
        )
    )  # fmt: skip
    return chart


def _numbers(panels: Sequence[Panel], x: str, y: str, axis: Axis, constant: float) -> pd.DataFrame:
    """One row a pair (or a place of the grid with its count) and one a point of a line."""
    crowded = sum(panel.x.size for panel in panels) > MOST_POINTS
    parts = []
    for panel in panels:
        if crowded:
            parts.append(_counted(panels, panel, x, y, axis, constant))
        else:
            parts.append(
                pd.DataFrame({"panel": panel.title, "what": "pair", x: panel.x, y: panel.y})
            )
        for name, curves in panel.lines.items():
            for part, (at, value) in enumerate(curves):
                parts.append(
                    pd.DataFrame(
                        {"panel": panel.title, "what": "line", x: at, y: value, "line": name,
                         "part": f"{name} {part}", "place": np.arange(at.size)}
                    )
                )  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def _counted(
    panels: Sequence[Panel], panel: Panel, x: str, y: str, axis: Axis, constant: float
) -> pd.DataFrame:
    places = max(8, int(GRID_PLACES / math.sqrt(max(1.0, len(panels) / 3))))
    edges = [
        _edges(np.concatenate([getattr(p, side) for p in panels]), places, axis, constant)
        for side in ("x", "y")
    ]
    count, *_ = np.histogram2d(panel.x, panel.y, bins=edges)
    i, j = np.nonzero(count)
    return pd.DataFrame(
        {
            "panel": panel.title, "what": "count",
            x: edges[0][i], f"{x}_to": edges[0][i + 1],
            y: edges[1][j], f"{y}_to": edges[1][j + 1],
            "n": count[i, j].astype(int),
        }
    )  # fmt: skip


def _edges(values: Floats, places: int, axis: Axis, constant: float) -> Floats:
    low, high = float(values.min()), float(values.max())
    high = high if high > low else low + 1.0
    if axis == "linear":
        return np.linspace(low, high, places + 1)
    ends = _bent(np.array([low, high]), constant)
    edges = _straightened(np.linspace(ends[0], ends[1], places + 1), constant)
    # The way there and back must not leave the outermost pair off the grid.
    edges[0], edges[-1] = low, high
    return edges


def _bent(values: Floats, constant: float) -> Floats:
    return np.asarray(np.sign(values) * np.log1p(np.abs(values) / constant))


def _straightened(values: Floats, constant: float) -> Floats:
    return np.asarray(np.sign(values) * constant * np.expm1(np.abs(values)))


def spread(low: float, high: float, axis: Axis) -> Floats:
    """Places of a curve, as dense as the axis shows them."""
    if axis == "linear":
        return np.linspace(low, high, CURVE_POINTS)
    constant = high / 10**DECADES
    ends = _bent(np.array([low, high]), constant)
    return np.minimum(_straightened(np.linspace(ends[0], ends[1], CURVE_POINTS), constant), high)


def _constant(panels: Sequence[Panel]) -> float:
    """Where a symlog axis turns from linear to logarithmic: a power of ten."""
    sizes = np.abs(np.concatenate([p.x for p in panels] + [p.y for p in panels]))
    if not sizes.any():
        return 1.0
    smallest = float(np.quantile(sizes[sizes > 0], 0.05))
    lowest = float(sizes.max()) / 10**DECADES
    return float(10 ** math.floor(math.log10(max(smallest, lowest))))


def _axis_of(
    frame: pd.DataFrame, columns: tuple[str, str], axis: Axis, constant: float
) -> dict[str, Any]:
    if axis == "linear":
        return {"axis": alt.Axis(tickCount=5), "scale": alt.Scale(nice=True)}
    shown = frame[[c for c in columns if c in frame]].to_numpy(dtype=float)
    low, high = float(np.nanmin(shown)), float(np.nanmax(shown))
    steps = constant * 10.0 ** np.arange(0, DECADES + 3)
    ticks = [-float(s) for s in steps[::-1] if s <= -low] + [0.0]
    ticks += [float(s) for s in steps if s <= high]
    return {
        "axis": alt.Axis(values=ticks, format=",~r", labelOverlap="greedy"),
        "scale": alt.Scale(type="symlog", constant=constant, domain=[low, high], nice=False),
    }


def top_of(sides: Sequence[Floats]) -> float:
    """The largest score, or 1 where there is none above 0: an axis needs a length."""
    return max((float(side.max(initial=0.0)) for side in sides), default=0.0) or 1.0
