"""Numbers in the words of a page: digits, signs, intervals; it does not know what they count."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from cacnb.export.page import NOTHING


def fixed(value: float | None, digits: int = 2) -> str:
    """A number with so many decimals, a minus sign that is one, and – for none.

    Example
    -------
    >>> fixed(-0.126), fixed(1234.5, 0), fixed(None)
    ('−0.13', '1,234', '–')
    """
    if value is None or not math.isfinite(value):
        return NOTHING
    return f"{value:,.{digits}f}".replace("-", "−")


def score(value: float | None) -> str:
    """A score to about three digits.

    Example
    -------
    >>> score(3.14159), score(31.4159), score(3141.59)
    ('3.14', '31.4', '3,142')
    """
    if value is None or not math.isfinite(value):
        return NOTHING
    size = abs(value)
    return fixed(value, 0 if size >= 100 else 1 if size >= 10 else 2)


def signed(value: float | None) -> str:
    """A difference with its sign and two decimals."""
    if value is None or not math.isfinite(value):
        return NOTHING
    return f"{value:+.2f}".replace("-", "−")


def percent(value: float | None) -> str:
    """A share in whole per cent."""
    return NOTHING if value is None or not math.isfinite(value) else f"{100 * value:.0f} %"


def whole(value: float | None) -> str:
    """A count."""
    return NOTHING if value is None else f"{int(value):,}"


def p_value(value: float | None) -> str:
    """A p-value with three decimals, or that it is smaller."""
    if value is None or not math.isfinite(value):
        return NOTHING
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def interval(ends: Sequence[float] | None, write: Callable[[float], str] = fixed) -> str:
    """The two ends of an interval, or nothing without one.

    Example
    -------
    >>> interval([0.6, 0.81]), interval(None)
    ('0.60 to 0.81', '')
    """
    return "" if ends is None else f"{write(ends[0])} to {write(ends[1])}"


def percent_interval(ends: Sequence[float] | None) -> str:
    """An interval of shares in whole per cent."""
    return "" if ends is None else f"{100 * ends[0]:.0f} to {100 * ends[1]:.0f} %"
