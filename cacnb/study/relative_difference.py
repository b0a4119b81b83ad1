"""Relative differences of paired scores (section 4); it does not know what was scored."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from cacnb.errors import InputError
from cacnb.study.bootstrap import expanded_level, percentile_interval
from cacnb.study.pairs import paired_scores
from cacnb.study.resampling import (
    LEAST_PATIENTS,
    RESAMPLES,
    Floats,
    Interval,
    Kind,
    resampled_sums,
    sums_interval,
)


@dataclass(frozen=True)
class RelativeDifference:
    """Mean relative interscan differences Δ_R (section 4); None where no pair qualifies.

    Parameters
    ----------
    all_pairs
        Mean over all pairs, a double zero counted as 0: full agreement.
    any_positive
        Mean over pairs in which at least one score is above 0; a discordant pair counts 2.
    both_positive
        Mean over pairs in which both are.
    n_pairs, n_any_positive, n_both_positive, n_discordant
        All pairs (double zeros too), those with a positive score, with two, with just one.
    """

    all_pairs: float | None
    any_positive: float | None
    both_positive: float | None
    n_pairs: int
    n_any_positive: int
    n_both_positive: int
    n_discordant: int


def pair_differences(first: ArrayLike, second: ArrayLike) -> Floats:
    """(n,) relative differences |a − b| / mean(a, b) of paired scores; NaN for a double zero.

    Raises
    ------
    InputError
        `unequal_length`, or `not_a_score` for a score that is negative or not a finite number.

    Example
    -------
    >>> pair_differences([10, 0, 0], [30, 5, 0])
    array([ 1.,  2., nan])
    """
    a, b = paired_scores(first, second)
    # to the pair's power of two first: no sum overflows, and no tiny score is halved away
    _, exponent = np.frexp(np.maximum(a, b))
    a, b = np.ldexp(a, -exponent), np.ldexp(b, -exponent)
    each = np.full(a.size, np.nan)
    np.divide(np.abs(a - b), (a + b) / 2, out=each, where=a + b > 0)
    return each


def relative_difference(first: ArrayLike, second: ArrayLike) -> RelativeDifference:
    """Mean relative differences of paired scores, as in the paper's Tables 3B and 4.

    Parameters
    ----------
    first, second
        (n,) scores ≥ 0 of the same patients, in any unit.

    Raises
    ------
    InputError
        `unequal_length`, `not_a_score`.

    Example
    -------
    >>> found = relative_difference([10, 0, 0], [30, 5, 0])
    >>> found.all_pairs, found.any_positive, found.both_positive, found.n_discordant
    (1.0, 1.5, 1.0, 1)
    """
    a, b = paired_scores(first, second)
    each = pair_differences(a, b)
    either, both = (a > 0) | (b > 0), (a > 0) & (b > 0)
    return RelativeDifference(
        all_pairs=_mean(np.where(either, each, 0.0)),
        any_positive=_mean(each[either]),
        both_positive=_mean(each[both]),
        n_pairs=a.size,
        n_any_positive=int(either.sum()),
        n_both_positive=int(both.sum()),
        n_discordant=int((either & ~both).sum()),
    )


def relative_difference_interval(
    first: ArrayLike,
    second: ArrayLike,
    *,
    both_positive: bool = False,
    resamples: int = RESAMPLES,
    seed: int = 0,
    kind: Kind = "percentile",
) -> Interval:
    """Bootstrap 95 % interval, over patients, of the mean relative difference.

    Parameters
    ----------
    first, second
        (n,) scores ≥ 0 of the same patients.
    both_positive
        Over pairs with two positive scores only, instead of those with at least one.
    resamples, seed, kind
        As in `cacnb.study.resampling.bootstrap_interval`; the percentile interval is widened to
        Student's t for the number of qualifying pairs.

    Raises
    ------
    InputError
        `unequal_length`, `not_a_score`, or `too_few` below three qualifying pairs.

    Example
    -------
    >>> relative_difference_interval([10, 10, 10], [30, 30, 30])
    (1.0, 1.0)
    """
    moments = difference_moments(first, second, both_positive=both_positive)
    qualify = int(moments[:, 1].sum())
    if qualify < LEAST_PATIENTS:
        raise InputError(
            "too_few",
            f"{qualify} of {len(moments)} pairs have calcium to compare: an interval needs "
            f"{LEAST_PATIENTS} or more",
        )
    if kind == "percentile":
        draws = mean_of_sums(resampled_sums(moments, resamples=resamples, seed=seed))
        return percentile_interval(draws, expanded_level(qualify))
    return sums_interval(mean_of_sums, moments, resamples=resamples, seed=seed, kind=kind)


def difference_moments(first: ArrayLike, second: ArrayLike, *, both_positive: bool) -> Floats:
    """(n, 2): a pair's relative difference and 1 where it qualifies, 0 and 0 where it does not.

    Raises
    ------
    InputError
        `unequal_length`, `not_a_score`.
    """
    a, b = paired_scores(first, second)
    qualifies = (a > 0) & (b > 0) if both_positive else (a > 0) | (b > 0)
    each = np.where(qualifies, pair_differences(a, b), 0.0)
    return np.stack([each, qualifies.astype(np.float64)], axis=1)


def mean_of_sums(sums: Floats) -> Floats:
    """Mean relative differences of (..., 2) sums of `difference_moments`; NaN where none counts."""
    mean = np.full(sums.shape[:-1], np.nan)
    np.divide(sums[..., 0], sums[..., 1], out=mean, where=sums[..., 1] > 0.5)
    return mean


def _mean(values: Floats) -> float | None:
    return float(values.mean()) if values.size else None
