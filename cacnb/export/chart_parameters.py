"""What validation said of each parameter that was tried (Figure 5); it chooses none."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import pandas as pd
from altair.typing import ChartType

from cacnb.errors import UsageError
from cacnb.export.chart_style import INK, SOFT, titled
from cacnb.export.chart_words import LOOKS

F1, DIFFERENCE = "f1", "relative_difference_both_positive"

#: The paper's letters of the parameters that it tried (section 5).
LETTERS = {"identity_weight": "α", "sparsity_weight": "β", "cycle_weight": "λ"}


def parameter_chart(
    tried: Sequence[Mapping[str, Any]], *, chosen: int, simulated: bool
) -> ChartType:
    """Figure 5: F1 score and relative difference on the validation set against the parameters.

    Parameters
    ----------
    tried
        One row a setting: its parameters, `f1` and `relative_difference_both_positive`; either
        may be None.
    chosen
        Place of the chosen row in `tried`.

    Raises
    ------
    UsageError
        Where `chosen` is no row of `tried`.
    """
    if not 0 <= chosen < len(tried):
        raise UsageError(f"row {chosen} was chosen of {len(tried)} that were tried: name one")
    frame = pd.DataFrame(
        [
            {
                **{key: row[key] for key in row if key not in (F1, DIFFERENCE)},
                "setting": _setting(row),
                "chosen": place == chosen,
                F1: row.get(F1),
                DIFFERENCE: row.get(DIFFERENCE),
            }
            for place, row in enumerate(tried)
        ]
    )
    order = list(dict.fromkeys(frame["setting"]))
    look = LOOKS["proposed"]
    panels = []
    for place, (key, name) in enumerate(
        {F1: "F1 score per scan", DIFFERENCE: "Relative difference, positive pairs"}.items()
    ):
        axis = alt.Axis(labels=place == 0, domain=False, ticks=False, labelPadding=10, grid=True)
        base = alt.Chart().encode(
            y=alt.Y("setting:N", sort=order, title=None, axis=axis),
            x=alt.X(f"{key}:Q", title=name, scale=alt.Scale(zero=False, nice=True, padding=12),
                    axis=alt.Axis(tickCount=5, grid=False)),
        )  # fmt: skip
        dots = base.mark_point(filled=True, opacity=1).encode(
            color=alt.condition("datum.chosen", alt.value(look.colour), alt.value(SOFT)),
            shape=alt.condition("datum.chosen", alt.value("diamond"), alt.value("circle")),
            size=alt.condition("datum.chosen", alt.value(130), alt.value(55)),
        )
        words = (
            base.transform_filter("datum.chosen")
            .mark_text(align="left", dx=10, fontSize=10.5, color=INK)
            .encode(text=alt.value("chosen"))
        )
        panels.append(alt.layer(dots, words).properties(width=270, height=alt.Step(24)))
    return titled(
        alt.hconcat(*panels, data=frame, spacing=26),
        "Parameters tried on the validation set",
        simulated=simulated,
    )


def _setting(row: Mapping[str, Any]) -> str:
    said = [
        f"{LETTERS.get(key, key.replace('_', ' '))} {value:g}"
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        else f"{LETTERS.get(key, key.replace('_', ' '))} {value}"
        for key, value in row.items()
        if key not in (F1, DIFFERENCE, "chosen")
    ]
    return ", ".join(said)
