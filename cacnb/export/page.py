"""A template filled to one HTML page that loads nothing and runs nothing; it knows no content."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from cacnb import RESEARCH_ONLY, __version__
from cacnb.scoring.risk import RISK_CATEGORIES, RISK_UPPER_BOUNDS

#: What stands where there is no number.
NOTHING = "–"


def rendered(template: str, title: str, simulated: bool, content: Mapping[str, Any]) -> str:
    """The HTML of a template beside this file, everything in it escaped.

    The page says that it is for research only and, where its numbers are simulated, that.
    """
    html: str = (
        _environment()
        .get_template(template)
        .render(
            title=title,
            simulated=simulated,
            research_only=RESEARCH_ONLY,
            version=__version__,
            **content,
        )
    )
    return html


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "exact": _exact,
        "png": _data_uri,
        "risk": _risk,
        "rounded": _rounded,
    }
    environment.tests |= {"finite": _finite}
    return environment


def _finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _rounded(value: float, digits: int) -> str:
    return f"{value:.{digits}f}".replace("-", "−")


def _exact(value: float) -> str:
    return repr(float(value))


def _data_uri(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def _risk(category: str | None) -> str:
    """A risk category with the scores that it spans."""
    if category is None:
        return NOTHING
    place = RISK_CATEGORIES.index(category)
    lower = f"> {RISK_UPPER_BOUNDS[place - 1]:.0f}" if place else "0"
    upper = f" to {RISK_UPPER_BOUNDS[place]:.0f}" if place < len(RISK_UPPER_BOUNDS) else ""
    return f"{category} ({lower}{upper})"
