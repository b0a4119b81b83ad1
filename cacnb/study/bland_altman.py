"""Limits of agreement between two scores of one patient, constant and growing with the score."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi, sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cacnb.errors import InputError

#: The fewest pairs that limits are told from.
LEAST_PAIRS = 3

#: Standard deviations to either side of the mean that hold 95 % of a normal distribution.
Z_95 = 1.96

#: Mean |x| of a normal distribution with standard deviation 1 is √(2/π): its inverse (Bland &
#: Altman 1999).
SD_PER_MEAN_ABSOLUTE = sqrt(pi / 2)


@dataclass(frozen=True)
class BlandAltman:
    """Bias and limits of agreement of paired scores, in the scores' unit.

    Parameters
    ----------
    bias, sd
        Mean and standard deviation (n − 1) of first − second.
    limits
        bias ± 1.96 sd: right where the spread is the same for all scores.
    intercept, slope
        Of the regression of |first − second| on the pair's mean (Sevrukov 2005): the limits at a
        mean m are ± `limit_at(m)`.
    n
        Number of pairs.
    """

    bias: float
    sd: float
    limits: tuple[float, float]
    intercept: float
    slope: float
    n: int

    def limit_at(self, mean: ArrayLike) -> NDArray[np.float64]:
        """1.96 √(π/2) (intercept + slope m) at means m of any shape, never below 0."""
        line = self.intercept + self.slope * np.asarray(mean, dtype=np.float64)
        return np.maximum(Z_95 * SD_PER_MEAN_ABSOLUTE * line, 0.0)


def bland_altman(first: ArrayLike, second: ArrayLike) -> BlandAltman:
    """Bland–Altman limits of paired scores, constant and by regression (Figure 8).

    Parameters
    ----------
    first, second
        (n,) scores of the same patients, in one unit.

    Raises
    ------
    InputError
        `unequal_length`, `not_a_score` for a value that is no finite number, `too_few` below three
        pairs.

    Example
    -------
    >>> found = bland_altman([10, 20, 30, 40], [12, 16, 36, 32])
    >>> found.bias, round(found.sd, 3), round(found.slope, 3)
    (1.0, 6.218, 0.21)
    """
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if a.ndim != 1 or a.shape != b.shape:
        raise InputError(
            "unequal_length",
            f"{a.shape} first and {b.shape} second scores: give one of each a patient",
        )
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise InputError("not_a_score", "a score is not a finite number: leave its patient out")
    if a.size < LEAST_PAIRS:
        raise InputError("too_few", f"{a.size} pairs came, limits need {LEAST_PAIRS} or more")
    difference, mean = a - b, (a + b) / 2
    bias, sd = float(difference.mean()), float(difference.std(ddof=1))
    spread = np.abs(difference)
    # Where all scores are alike the limits cannot grow with them.
    varies = mean.var() > 0
    slope = float(np.cov(mean, spread, ddof=0)[0, 1] / mean.var()) if varies else 0.0
    intercept = float(spread.mean() - slope * mean.mean())
    limits = (bias - Z_95 * sd, bias + Z_95 * sd)
    return BlandAltman(bias, sd, limits, intercept, slope, a.size)
