"""Series judged by their pixels too: contrast, heart, values; it scores nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from cacnb.ct.reading import read_volume, with_value_warning
from cacnb.ct.series import Inspection, Series
from cacnb.ct.verdict import Reason
from cacnb.errors import InputError
from cacnb.learning.weights import Weights
from cacnb.pipeline import heart_of


def with_pixels_judged(
    found: Inspection,
    weights: Weights,
    on_progress: Callable[[int, int, str], None] = lambda *_: None,
) -> Inspection:
    """The same inspection, with every series that is not refused yet read and its heart looked for.

    Adds `contrast`, `no_heart`, `heart_truncated`, `not_hu`, `not_finite` and `undecodable`. One
    volume at a time is held.
    """
    judged: list[Series] = []
    for number, series in enumerate(found.series):
        on_progress(number, len(found.series), "pixels")
        judged.append(series if series.verdict == "refused" else _judged(series, weights))
    return replace(found, series=tuple(judged))


def _judged(series: Series, weights: Weights) -> Series:
    try:
        volume = read_volume(series)
    except InputError as error:
        return replace(series, reasons=(*series.reasons, Reason(error.code, error.message)))
    series = with_value_warning(series, volume)
    _, against = heart_of(volume, weights)
    return replace(series, reasons=(*series.reasons, *against))
