"""Charts as files and as a piece of a page, drawn offline; it does not know what they show."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pandas as pd
from altair.typing import ChartType

from cacnb.errors import UsageError
from cacnb.files import write_atomically

#: Dots an inch of a PNG, where 72 show it at its size on a page.
PNG_PPI = 220

_IDENTIFIER = re.compile(r'(\bid="|url\(#|href="#)')


def numbers_behind(chart: ChartType) -> pd.DataFrame:
    """The table that a chart is drawn from, one row a mark.

    Raises
    ------
    UsageError
        Where the chart's data is no table of its own.
    """
    if not isinstance(chart.data, pd.DataFrame):
        raise UsageError("this chart was drawn from no table: give it one with data=…")
    return chart.data


def save_chart(chart: ChartType, path: Path) -> tuple[Path, Path, Path]:
    """Write a chart as SVG and PNG and the numbers behind it as CSV, beside each other.

    Parameters
    ----------
    path
        Folder and stem: .svg, .png and .csv are put behind it. Each file is written whole or not at
        all; no network is needed.

    Raises
    ------
    InputError
        `cannot_write`.
    """
    from vl_convert import svg_to_png

    svg, png, csv = (path.with_name(path.name + end) for end in (".svg", ".png", ".csv"))
    drawn = chart_svg(chart)
    write_atomically(numbers_behind(chart).to_csv(index=False), csv)
    write_atomically(drawn, svg)
    write_atomically(svg_to_png(drawn, ppi=PNG_PPI), png)
    return svg, png, csv


def chart_svg(chart: ChartType) -> str:
    """A chart as one SVG element."""
    text = io.StringIO()
    chart.save(text, format="svg")
    return text.getvalue()


def inline_svg(svg: str, anchor: str, said: str) -> str:
    """An SVG to stand in a page: named for those who hear it, its identifiers its own.

    Parameters
    ----------
    anchor
        A word that no other picture of the page has: two pictures share no clip path.
    said
        What it shows, in a sentence.
    """
    from markupsafe import escape

    own = _IDENTIFIER.sub(rf"\g<1>{anchor}-", svg)
    return own.replace("<svg ", f'<svg role="img" aria-label="{escape(said)}" ', 1)
