"""A patient's change drawn on what scanning twice shows; it judges nothing."""

from __future__ import annotations

from typing import Any, Literal

import altair as alt
import numpy as np
import pandas as pd
from altair.typing import ChartType
from numpy.typing import NDArray
from scipy import stats

from cacnb.export.chart_style import INK, SOFT, titled
from cacnb.study.bland_altman import Z_95
from cacnb.study.change import Change
from cacnb.study.mesa import MesaLimit, mesa_limit

Floats = NDArray[np.float64]

#: Shares of repeat pairs that lie inside each band, outermost first, and the band's colour.
BANDS = ((0.99, "#e4edf4"), (0.95, "#c8dcea"), (0.80, "#a3c4dc"), (0.50, "#7aaaca"))

#: The patient: a colour that stands out from blue for every kind of colour vision, and a shape.
PATIENT = "#b4510b"

CURVE_POINTS = 121
WIDTH_PX, HEIGHT_PX = 560, 300


def change_chart(change: Change, mesa: MesaLimit | None = None) -> ChartType | None:
    """The change against what scanning twice shows; None where nothing was judged.

    With calcium in both scans: difference against mean, bands that hold 50, 80, 95 and 99 of 100
    repeat pairs, the pairs where they are known, and the patient. Beside a zero: the scores that
    other scans scored 0 had when scanned again.

    Parameters
    ----------
    mesa
        Drawn too, where it was asked for this score.
    """
    if change.kind == "both_zero" or change.probability is None:
        return None
    if change.kind == "both_positive":
        return _against_bands(change, mesa)
    return _beside_zero(change)


def _against_bands(change: Change, mesa: MesaLimit | None) -> ChartType:
    repeat = change.repeat
    right = 1.75 * change.mean
    at = np.linspace(0.0, right, CURVE_POINTS)
    limits = repeat.limit_at(at)
    top = 1.08 * max(abs(change.change), float(limits.max()) * _reach(BANDS[0][0]))
    x = _score_axis("mean", f"Mean of both scans: {_lower(change.score)}", right)
    y = alt.Y("change:Q", title="Follow-up − baseline", scale=alt.Scale(domain=[-top, top]))
    layers: list[Any] = [
        alt.Chart(_band(at, limits * _reach(share)))
        .mark_area(color=colour, clip=True)
        .encode(x=x, y=y, y2="lower:Q")
        for share, colour in BANDS
    ]
    layers.append(
        alt.Chart(_edges(at, limits))
        .mark_line(color=INK, strokeWidth=1.2, strokeDash=[6, 3], clip=True)
        .encode(x=x, y=y, detail="side:N")
    )
    if repeat.pairs.size:
        layers.append(_pairs(repeat.pairs, right, top, x, y))
    if mesa is not None:
        layers.extend(_mesa(mesa, right, top, x, y))
    layers.extend(_band_names(right, float(limits[-1]), x, y))
    layers.extend(_patient(change, right, x, y))
    chart = alt.layer(*layers).properties(width=WIDTH_PX, height=HEIGHT_PX)
    return titled(
        chart,
        "The change on what scanning twice shows",
        simulated=False,
        subtitle=_source(change),
    )


def _score_axis(column: str, title: str, right: float) -> alt.X:
    return alt.X(
        f"{column}:Q",
        title=title,
        axis=alt.Axis(tickCount=7),
        scale=alt.Scale(domain=[0, right], nice=False),
    )


def _reach(share: float) -> float:
    """How far a band of this share of the pairs goes, in repeat limits (95 of 100)."""
    return float(stats.norm.ppf((1 + share) / 2)) / Z_95


def _band(at: Floats, limit: Floats) -> pd.DataFrame:
    return pd.DataFrame({"mean": at, "change": limit, "lower": -limit})


def _edges(at: Floats, limit: Floats) -> pd.DataFrame:
    return pd.concat(
        [
            pd.DataFrame({"mean": at, "change": sign * limit, "side": name})
            for sign, name in ((1, "upper"), (-1, "lower"))
        ]
    )


def _pairs(pairs: Floats, right: float, top: float, x: alt.X, y: alt.Y) -> Any:
    mean, difference = pairs.mean(axis=1), pairs[:, 1] - pairs[:, 0]
    shown = (mean <= right) & (np.abs(difference) <= top)
    frame = pd.DataFrame({"mean": mean[shown], "change": difference[shown]})
    return (
        alt.Chart(frame)
        .mark_point(size=20, color=SOFT, filled=False, strokeWidth=0.9, opacity=0.7)
        .encode(x=x, y=y)
    )


def _mesa(mesa: MesaLimit, right: float, top: float, x: alt.X, y: alt.Y) -> list[Any]:
    """MESA's limit is of the baseline b: a change L(b) lies at the mean b ± L(b) / 2."""
    baseline = np.linspace(0.0, 2 * right, 4 * CURVE_POINTS)
    limit = mesa_limit(baseline, mesa.bmi_kg_m2)
    parts = [
        pd.DataFrame(
            {"mean": baseline + sign * limit / 2, "change": sign * limit, "side": str(sign)}
        )
        for sign in (1, -1)
    ]
    frame = pd.concat(parts)
    frame = frame[(frame["mean"].between(0, right)) & (frame["change"].abs() <= top)]
    last = frame[frame["change"] > 0].tail(1)
    return [
        alt.Chart(frame)
        .mark_line(color="#4b2e83", strokeWidth=1.6, strokeDash=[1, 3], strokeCap="round")
        .encode(x=x, y=y, detail="side:N"),
        alt.Chart(last.assign(text="MESA"))
        .mark_text(color="#4b2e83", align="right", dx=-4, dy=-8, fontSize=11)
        .encode(x=x, y=y, text="text:N"),
    ]  # fmt: skip


def _band_names(right: float, limit: float, x: alt.X, y: alt.Y) -> list[Any]:
    names = [f"{100 * share:.0f} %" for share, _ in BANDS]
    names[0] += " of repeat pairs"
    frame = pd.DataFrame(
        {"mean": right, "change": [limit * _reach(share) for share, _ in BANDS], "text": names}
    )
    return [
        alt.Chart(frame)
        .mark_text(align="left", dx=6, color=INK, fontSize=11)
        .encode(x=x, y=y, text="text:N")
    ]


def _patient(change: Change, right: float, x: alt.X, y: alt.Y) -> list[Any]:
    zero = pd.DataFrame({"mean": [0.0, right], "change": [0.0, 0.0]})
    at = pd.DataFrame({"mean": [change.mean], "change": [change.change]})
    return [
        alt.Chart(zero).mark_line(color=SOFT, strokeWidth=0.8).encode(x=x, y=y),
        *_diamond(alt.Chart(at).encode(x=x, y=y), "left"),
    ]


def _diamond(base: alt.Chart, align: Literal["left", "right"]) -> list[Any]:
    """The patient's mark and its name, on a white rim where it crosses lines."""
    beside = 12 if align == "left" else -12
    named = base.transform_calculate(text="'this patient'").encode(text="text:N")
    return [
        named.mark_text(
            align=align, dx=beside, fontSize=12, fontWeight=600,
            color="white", stroke="white", strokeWidth=4, strokeJoin="round", opacity=0.85,
        ),
        named.mark_text(align=align, dx=beside, fontSize=12, fontWeight=600, color=PATIENT),
        base.mark_point(
            shape="diamond", size=190, filled=True, color=PATIENT, stroke="white", strokeWidth=1.5,
            opacity=1,
        ),
    ]  # fmt: skip


def _beside_zero(change: Change) -> ChartType:
    """One dot a scan of the repeat study that was 0 once and not the other time."""
    repeat = change.repeat
    found = max(change.baseline, change.followup)
    right = 1.15 * max(found, float(repeat.beside_zero.max(initial=0.0)))
    x = _score_axis("score", f"{change.score} in the other scan", right)
    y = alt.Y("level:Q", axis=None, scale=alt.Scale(domain=[0, 1]))
    dots = pd.DataFrame({"score": repeat.beside_zero, "level": _levels(repeat.beside_zero.size)})
    layers: list[Any] = [
        alt.Chart(dots)
        .mark_point(size=26, color=SOFT, filled=False, strokeWidth=1, opacity=0.8)
        .encode(x=x, y=y)
    ]
    if change.limit is not None:
        rule = pd.DataFrame({"score": [change.limit], "level": [0.97], "text": ["repeat limit"]})
        layers += [
            alt.Chart(rule).mark_rule(color=INK, strokeDash=[6, 3]).encode(x=x),
            alt.Chart(rule)
            .mark_text(align="left", dx=5, color=INK, fontSize=11)
            .encode(x=x, y=y, text="text:N"),
        ]
    at = pd.DataFrame({"score": [found], "level": [0.78]})
    layers += _diamond(alt.Chart(at).encode(x=x, y=y), "right" if found > right / 2 else "left")
    chart = alt.layer(*layers).properties(width=WIDTH_PX, height=HEIGHT_PX // 2)
    same = repeat.n_zero_scans - repeat.beside_zero.size
    return titled(
        chart,
        "The other scan of scans scored 0",
        simulated=False,
        subtitle=f"{repeat.name}{' (simulated)' * repeat.simulated}: {same} of "
        f"{repeat.n_zero_scans} scans scored 0 were 0 again",
    )


def _levels(n: int) -> Floats:
    """Heights that keep dots of near scores apart; the same every time."""
    golden = (np.sqrt(5) - 1) / 2
    return np.asarray(0.08 + 0.5 * ((np.arange(n) * golden) % 1))


def _source(change: Change) -> str:
    repeat = change.repeat
    return f"Limits: {repeat.name}, {repeat.n_pairs} {'simulated ' * repeat.simulated}repeat pairs"


def _lower(score: str) -> str:
    return score[:1].lower() + score[1:]
