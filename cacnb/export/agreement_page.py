"""The agreement of two scores as one HTML page with its plots; it computes no agreement."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cacnb.export.agreement_statements import agreement_statements
from cacnb.export.page import rendered
from cacnb.files import write_atomically
from cacnb.study.bland_altman import bland_altman


def write_agreement_page(
    found: Mapping[str, Any],
    first: ArrayLike,
    second: ArrayLike,
    path: Path,
    *,
    title: str,
    simulated: bool = False,
) -> None:
    """Write what `cacnb agree` found as one HTML file that opens anywhere and runs no script.

    Parameters
    ----------
    found
        The object that `cacnb.agree.agree` returns.
    first, second
        (n,) the scores that it was found in: they are drawn.
    title
        Heads the page; a patient's name or number must not stand in it.

    Raises
    ------
    InputError
        `cannot_write`.
    """
    # Altair takes a second to import: only who wants a page waits for it.
    from cacnb.export.chart_files import chart_svg, inline_svg
    from cacnb.export.chart_pairs import ScorePairs, bland_altman_chart, scan_rescan_chart

    one, two = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    names = (str(found.get("first", "first")), str(found.get("second", "second")))
    pairs = ScorePairs(f"{names[0]} − {names[1]}", one, two)
    limits = bland_altman(one, two, found["bland_altman"].get("model", "linear"))
    drawn = {
        "linear": bland_altman_chart(
            [(pairs, limits)], unit="score", simulated=simulated, title="Bland–Altman"
        ),
        "symlog": bland_altman_chart(
            [(pairs, limits)],
            unit="score",
            simulated=simulated,
            axis="symlog",
            title="Bland–Altman, logarithmic",
        ),
        "points": scan_rescan_chart(
            [ScorePairs("Each point a patient", one, two)],
            unit="score",
            simulated=simulated,
            names=names,
            title="Second against first",
        ),
    }
    said = {
        "linear": f"Differences of {names[0]} and {names[1]} against their mean.",
        "symlog": "The same differences on logarithmic axes.",
        "points": f"{names[1]} against {names[0]}, each point a patient.",
    }
    html = rendered(
        "agreement_page.html.j2",
        title,
        simulated,
        {
            "found": found,
            "names": names,
            "groups": agreement_statements(found),
            "risk": found["risk_category"],
            "figures": {
                key: inline_svg(chart_svg(chart), key, said[key]) for key, chart in drawn.items()
            },
        },
    )
    write_atomically(html, path)
