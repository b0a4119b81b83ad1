"""Intervals and p-values from bootstrap draws; it does not know how a sample is drawn again."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from math import sqrt
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import special

from cacnb.errors import InputError, UsageError

Floats = NDArray[np.float64]
Interval = tuple[float, float]
Kind = Literal["percentile", "bca", "calibrated"]

#: Tails of a two-sided 95 % interval.
TAILS_95 = (0.025, 0.975)

#: Resamples, and resamples of each of those, from which an interval's level is calibrated.
CALIBRATIONS = (200, 200)


def percentile_interval(draws: Floats, level: float = 0.95) -> Interval:
    """The middle 95 % of the (resamples,) draws that have a value.

    Raises
    ------
    InputError
        `too_few` where none has.
    """
    low, high = np.quantile(_known(draws), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def expanded_level(n: int) -> float:
    """Level at which the percentile interval of a mean of n is as wide as Student's t.

    The bootstrap's own spread is √((n − 1) / n) of the standard error, and its tails are the normal
    distribution's: both make the interval of few patients too narrow (Hesterberg, Am Stat 2015).

    Example
    -------
    >>> round(expanded_level(40), 3), round(expanded_level(4000), 3)
    (0.959, 0.95)
    """
    reach = special.stdtrit(n - 1, TAILS_95[1]) * sqrt(n / (n - 1))
    return float(2 * special.ndtr(reach) - 1)


def bca_interval(draws: Floats, value: float, without_one: Floats) -> Interval:
    """Bias-corrected and accelerated interval of (resamples,) draws (Efron, JASA 1987).

    Parameters
    ----------
    draws
        The statistic in each resample.
    value
        The statistic in the sample.
    without_one
        (n,) the statistic in the sample without each patient: its skewness is the acceleration.

    Raises
    ------
    InputError
        `too_few` where no draw, or no jackknife value, is known.
    """
    known, left = _known(draws), _known(without_one)
    below = _share_below(known, value)
    # a sample beyond all its resamples would be corrected by infinity
    bias = special.ndtri(np.clip(below, 0.5 / known.size, 1 - 0.5 / known.size))
    off = left.mean() - left
    scale = float((off**2).sum()) ** 1.5
    acceleration = float((off**3).sum()) / (6 * scale) if scale > 0 else 0.0
    shifted = bias + special.ndtri(TAILS_95)
    # a skewness beyond what the formula can bend leads to the farthest draw
    bent = np.maximum(1 - acceleration * shifted, 1e-9)
    tails = special.ndtr(bias + shifted / bent)
    low, high = np.quantile(known, tails)
    return float(low), float(high)


class Bootstrap:
    """One sample's draws, and what is told from them.

    Parameters
    ----------
    drawn
        The statistic in so many resamples of a table.
    without_one
        The statistic in a table without each of its rows.
    rows, value
        (n, …) one row a patient, and the statistic there.
    resamples, seed
        How many resamples, and where the random numbers start.

    Raises
    ------
    InputError
        `too_few` where the statistic has no value in the sample itself.
    """

    def __init__(
        self,
        drawn: Callable[[Floats, int, np.random.Generator], Floats],
        without_one: Callable[[Floats], Floats],
        rows: Floats,
        value: float,
        resamples: int,
        seed: int,
    ) -> None:
        self._drawn, self._without_one = drawn, without_one
        self._rows, self._value = rows, value
        if not np.isfinite(value):
            raise InputError(
                "too_few", f"the statistic has no value in these {len(rows)} rows themselves"
            )
        self._generator = np.random.default_rng(seed)
        self._draws = drawn(rows, resamples, self._generator)

    def interval(self, kind: Kind) -> Interval:
        """The 95 % interval of this kind."""
        if kind == "percentile":
            return percentile_interval(self._draws)
        if kind == "bca":
            return bca_interval(self._draws, self._value, self._without_one(self._rows))
        if kind == "calibrated":
            return percentile_interval(self._draws, float(np.quantile(self._levels, 0.95)))
        raise UsageError(f"no bootstrap interval {kind!r}: percentile, bca or calibrated")

    def p_value(self, kind: Kind) -> float:
        """Two-sided, of 0; it agrees with the interval on what 5 % is."""
        level = _level_at(self._draws, 0.0)
        if kind == "percentile":
            # neither 0 nor more than the draws can tell
            return max(1 - level, 1 / len(self._draws))
        # the fewer draws of a resample reach 1 sooner: a 0 beyond all draws is beyond those, too
        farther = float((self._levels >= level).sum()) if level < 1 else 0.0
        return (1 + farther) / (1 + len(self._levels))

    @cached_property
    def _levels(self) -> Floats:
        """Level of each resample's own percentile interval that just reaches the sample's value."""
        outer, inner = CALIBRATIONS
        n = len(self._rows)
        tables = (self._rows[self._generator.integers(0, n, n)] for _ in range(outer))
        draws = (self._drawn(table, inner, self._generator) for table in tables)
        reached = [_level_at(d, self._value) for d in draws if np.isfinite(d).any()]
        return _known(np.array(reached))


def _level_at(draws: Floats, value: float) -> float:
    """Level of the percentile interval that just reaches a value: 0 at the median, 1 beyond all."""
    return 2 * abs(_share_below(_known(draws), value) - 0.5)


def _share_below(draws: Floats, value: float) -> float:
    return float((draws < value).mean() + (draws == value).mean() / 2)


def _known(draws: Floats) -> Floats:
    known = draws[np.isfinite(draws)]
    if known.size == 0:
        raise InputError(
            "too_few",
            f"none of {draws.size} resamples has a value: an interval needs patients that differ",
        )
    return known
