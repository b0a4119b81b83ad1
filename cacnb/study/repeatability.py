"""How far two scores of one unchanged patient lie apart, as one number for all of them."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

from numpy.typing import ArrayLike
from scipy import stats

from cacnb.errors import InputError
from cacnb.study.bland_altman import LEAST_PAIRS, Z_95
from cacnb.study.pairs import paired_scores
from cacnb.study.resampling import TAILS_95, Interval


@dataclass(frozen=True)
class Repeatability:
    """How far two scores of one unchanged patient lie apart, where that is the same for all.

    Parameters
    ----------
    within_sd
        Within-subject standard deviation √(Σ d² / 2n), in the scores' unit.
    coefficient, coefficient_ci95
        1.96 √2 `within_sd`: 95 of 100 repeat differences are smaller (Bland & Altman 1986); its
        interval by χ² with n degrees of freedom. Where the spread grows with the score, read
        `BlandAltman.limit_at` instead: it is this coefficient at a mean.
    within_cv
        Within-subject coefficient of variation √(mean of d² / 2m²) over pairs with a mean above 0;
        a discordant pair counts √2. None where all scores are 0.
    n
        Number of pairs.
    """

    within_sd: float
    coefficient: float
    coefficient_ci95: Interval
    within_cv: float | None
    n: int


def repeatability(first: ArrayLike, second: ArrayLike) -> Repeatability:
    """Repeatability of a score from scans made twice of the same patients, without bias.

    Parameters
    ----------
    first, second
        (n,) scores of 0 or more, in one unit. Two zeros count as a pair without a difference in
        `within_sd`, and not at all in `within_cv`.

    Raises
    ------
    InputError
        `unequal_length`, `not_a_score`, `too_few` below three pairs.

    Example
    -------
    >>> found = repeatability([10, 20, 30], [12, 16, 36])
    >>> round(found.within_sd, 3), round(found.coefficient, 2), round(found.within_cv, 3)
    (3.055, 8.47, 0.139)
    """
    a, b = paired_scores(first, second)
    if a.size < LEAST_PAIRS:
        raise InputError(
            "too_few", f"{a.size} pairs came, repeatability needs {LEAST_PAIRS} or more"
        )
    mean, square, n = (a + b) / 2, (a - b) ** 2, a.size
    within = sqrt(float(square.mean()) / 2)
    coefficient = Z_95 * sqrt(2) * within
    # χ² of n, not n − 1: no mean is taken from the differences
    high, low = (sqrt(n / float(stats.chi2.ppf(tail, n))) for tail in TAILS_95)
    positive = mean > 0
    ratio = square[positive] / (2 * mean[positive] ** 2)
    within_cv = sqrt(float(ratio.mean())) if positive.any() else None
    return Repeatability(within, coefficient, (low * coefficient, high * coefficient), within_cv, n)
