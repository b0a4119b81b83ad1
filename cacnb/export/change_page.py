"""A patient's change as one HTML page with the probability drawn; it judges nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from cacnb.errors import UsageError
from cacnb.export.page import rendered
from cacnb.files import write_atomically
from cacnb.study.change import Change, in_words
from cacnb.study.mesa import MESA_SOURCE, MesaLimit

#: The regression of each model, as people write it; m is the mean of both scans.
FORMULAS = {"linear": "({a} + {b} m)", "sqrt": "({a} + {b} √m)", "sqrt_origin": "{b} √m"}


def write_change_page(
    changes: Mapping[str, Change],
    path: Path,
    *,
    mesa: MesaLimit | None = None,
    notes: Sequence[str] = (),
    title: str = "Is this change real?",
) -> None:
    """Write a patient's changes as one HTML file that opens anywhere and runs no script.

    Parameters
    ----------
    changes
        By method, as `cacnb.change.comparison.compare` names them; `clinical` carries MESA's limit.
    notes
        What else to know, a sentence each.
    title
        Heads the page; a patient's name or number must not stand in it.

    Raises
    ------
    UsageError
        Without a change.
    InputError
        `cannot_write`.
    """
    if not changes:
        raise UsageError("a page of changes needs at least one: none came")
    # Altair takes a second to import: only who wants a page waits for it.
    from cacnb.export.change_chart import change_chart
    from cacnb.export.chart_files import chart_svg, inline_svg

    figures = {}
    for key, change in changes.items():
        chart = change_chart(change, mesa if key == "clinical" else None)
        if chart is not None:
            figures[key] = inline_svg(chart_svg(chart), key, f"{change.score}. {change.statement}")
    # A patient's scans are not simulated because a repeat study is: the page itself says which.
    html = rendered(
        "change_page.html.j2",
        title,
        False,
        {
            "changes": changes,
            "figures": figures,
            "mesa": mesa,
            "mesa_source": MESA_SOURCE,
            "notes": notes,
            "years": next(iter(changes.values())).years,
            "simulated_limits": any(change.repeat.simulated for change in changes.values()),
            "formulas": {key: _formula(change) for key, change in changes.items()},
            "in_words": in_words,
            "verdict": verdict,
            "filled": _filled,
            "counted": _counted,
        },
    )
    write_atomically(html, path)


def verdict(change: Change) -> str:
    """`outside`, `within` or `not judged`, of the repeat limit."""
    return {True: "outside", False: "within", None: "not judged"}[change.outside]


def _filled(change: Change) -> int:
    """Of a hundred marks, how many stand for changes as large as this with nothing changed."""
    return min(round(100 * (change.probability or 0.0)), 100)


def _counted(value: float) -> str:
    """A score or a percentage with the digits that it has: none from 100 on, none for 0."""
    digits = 1 if 0 < abs(value) < 100 else 0
    return f"{value:,.{digits}f}".replace("-", "−")


def _formula(change: Change) -> str:
    repeat = change.repeat
    line = FORMULAS[repeat.model].format(a=f"{repeat.intercept:.4g}", b=f"{repeat.slope:.4g}")
    return line.replace("+ -", "− ").replace("-", "−")
