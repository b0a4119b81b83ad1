"""Two methods compared on the same patients; it does not know which methods they are."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from cacnb.errors import InputError
from cacnb.study.bootstrap import expanded_level, percentile_interval
from cacnb.study.detection import count_detections, wilson_interval
from cacnb.study.intraclass import icc_moments, icc_value, single_of_sums
from cacnb.study.kappa import (
    Weights,
    category_cells,
    kappa_of_counts,
    weight_table,
    weighted_kappa,
)
from cacnb.study.relative_difference import difference_moments, mean_of_sums
from cacnb.study.resampling import (
    LEAST_PATIENTS,
    RESAMPLES,
    Floats,
    Interval,
    resampled_sums,
    sums_test,
)

Scores = tuple[ArrayLike, ArrayLike]
Categories = tuple[Sequence[Hashable], Sequence[Hashable]]


@dataclass(frozen=True)
class PairedDifference:
    """One method's statistic minus another's on the same patients.

    Parameters
    ----------
    value, ci95
        The difference and its 95 % interval.
    n
        Patients that both were seen on.
    p_value, test
        Two-sided, of no difference, 1 where nothing differs; and the test's name.
    """

    value: float
    ci95: Interval
    n: int
    p_value: float
    test: str


def compare_relative_differences(
    one: Scores,
    other: Scores,
    *,
    both_positive: bool = False,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> PairedDifference:
    """One method's mean relative difference minus another's, on the same scan pairs.

    Both means are over the pairs that qualify by both methods: those are `n`. The interval is
    bootstrapped over patients, the p-value is Wilcoxon's of the signed ranks.

    Parameters
    ----------
    one, other
        Each method's (first, second) scores, (n,) each, patients in one order.
    both_positive
        Pairs with two positive scores qualify, instead of those with at least one.

    Raises
    ------
    InputError
        `unequal_length`, `not_a_score`, `too_few` below three pairs that qualify by both.

    Example
    -------
    >>> found = compare_relative_differences(([9, 9, 9], [9, 9, 9]), ([9, 9, 9], [27, 27, 27]))
    >>> found.value, found.ci95, found.n
    (-1.0, (-1.0, -1.0), 3)
    """
    by_one, by_other = (
        difference_moments(*scores, both_positive=both_positive) for scores in (one, other)
    )
    _same_patients(len(by_one), len(by_other))
    qualifies = by_one[:, 1] * by_other[:, 1]
    n = int(qualifies.sum())
    if n < LEAST_PATIENTS:
        raise InputError(
            "too_few",
            f"{n} of {len(by_one)} pairs have calcium to compare by both methods: "
            f"{LEAST_PATIENTS} or more are needed",
        )
    less = (by_one[:, 0] - by_other[:, 0]) * qualifies
    moments = np.stack([less, qualifies], axis=1)
    draws = mean_of_sums(resampled_sums(moments, resamples=resamples, seed=seed))
    interval = percentile_interval(draws, expanded_level(n))
    value = float(mean_of_sums(moments.sum(axis=0)))
    return PairedDifference(value, interval, n, _signed_rank_p(less[qualifies > 0]), "Wilcoxon")


def compare_icc(
    one: ArrayLike,
    other: ArrayLike,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
    kind: Literal["percentile", "calibrated"] = "calibrated",
) -> PairedDifference:
    """One method's ICC(A,1) minus another's, bootstrapped over the same patients.

    Parameters
    ----------
    one, other
        Each method's (n, k) scores, patients in one order.
    resamples, seed, kind
        As in `cacnb.study.resampling.bootstrap_interval`.

    Raises
    ------
    InputError
        `unequal_length`, `not_a_score`, `too_few` below three patients, `no_spread` where nothing
        differs by one of the methods.

    Example
    -------
    >>> scores = np.arange(1, 9.0)
    >>> quiet, noisy = np.stack([scores, scores], 1), np.stack([scores, scores[::-1]], 1)
    >>> compare_icc(quiet, noisy).value > 1
    True
    """
    moments = [icc_moments(ratings) for ratings in (one, other)]
    _same_patients(len(moments[0]), len(moments[1]))
    values = [icc_value(ratings) for ratings in (one, other)]
    if values[0] is None or values[1] is None:
        raise InputError("no_spread", "nothing differs between one method's scores: no ICC")
    border = moments[0].shape[1]

    def less(sums: Floats) -> Floats:
        return single_of_sums(sums[..., :border]) - single_of_sums(sums[..., border:])

    interval, p_value = sums_test(
        less, np.hstack(moments), resamples=resamples, seed=seed, kind=kind
    )
    return PairedDifference(
        values[0] - values[1], interval, len(moments[0]), p_value, "paired bootstrap"
    )


def compare_kappa(
    one: Categories,
    other: Categories,
    categories: Sequence[Hashable],
    *,
    weights: Weights | ArrayLike = "linear",
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> PairedDifference:
    """One method's weighted κ minus another's, bootstrapped over the same patients.

    Parameters
    ----------
    one, other
        Each method's (first, second) categories, (n,) each, patients in one order.
    categories, weights
        As in `cacnb.study.kappa.weighted_kappa`.

    Raises
    ------
    InputError
        `unequal_length`, `unknown_category`, `too_few` below three patients, `no_spread`.

    Example
    -------
    >>> first, second = ["I", "II", "III", "I"], ["I", "II", "II", "I"]
    >>> round(compare_kappa((first, first), (first, second), ["I", "II", "III"]).value, 3)
    0.333
    """
    size, weight = len(categories), weight_table(len(categories), weights)
    cells = [category_cells(*pair, categories) for pair in (one, other)]
    _same_patients(len(cells[0]), len(cells[1]))
    values = [weighted_kappa(*pair, categories, weights).value for pair in (one, other)]
    moments = np.hstack([np.eye(size**2)[each] for each in cells])

    def less(sums: Floats) -> Floats:
        tables = sums.reshape(*sums.shape[:-1], 2, size, size)
        by_each = kappa_of_counts(tables, weight)
        return np.asarray(by_each[..., 0] - by_each[..., 1])

    interval, p_value = sums_test(less, moments, resamples=resamples, seed=seed)
    return PairedDifference(
        values[0] - values[1], interval, len(cells[0]), p_value, "paired bootstrap"
    )


def mcnemar(reference: ArrayLike, one: ArrayLike, other: ArrayLike) -> PairedDifference:
    """One method's share of right calls minus another's on the same cases: exact McNemar.

    Give the cases with calcium alone to compare sensitivities, those without to compare false
    positive rates. The interval is Newcombe's of paired shares (Stat Med 1998, method 10).

    Parameters
    ----------
    reference, one, other
        (n,) bool: whether a case has calcium by the reference, and by each method.

    Raises
    ------
    InputError
        `unequal_length`, `not_a_call` for anything but bool, `too_few` without a case.

    Example
    -------
    >>> found = mcnemar([True] * 6, [True] * 6, [False] * 5 + [True])
    >>> round(found.value, 3), found.p_value
    (0.833, 0.0625)
    """
    counted = [count_detections(reference, calls) for calls in (one, other)]
    n = counted[0].n
    if n == 0:
        raise InputError("too_few", "no case came: McNemar's test needs one or more")
    truth = np.asarray(reference)
    right, also = truth == np.asarray(one), truth == np.asarray(other)
    only_one, only_other = int((right & ~also).sum()), int((~right & also).sum())
    both = int((right & also).sum())
    changed = only_one + only_other
    p_value = float(stats.binomtest(only_one, changed).pvalue) if changed else 1.0
    interval = _newcombe(both, only_one, only_other, n - both - changed)
    return PairedDifference((only_one - only_other) / n, interval, n, p_value, "exact McNemar")


def _newcombe(both: int, only_one: int, only_other: int, neither: int) -> Interval:
    """Square-and-add interval of a difference of paired shares, from Wilson's of each."""
    n = both + only_one + only_other + neither
    one, other = both + only_one, both + only_other
    difference = (one - other) / n
    agree = float(both * neither - only_one * only_other)
    if agree > 0:  # Newcombe's continuity correction of φ
        agree = max(agree - n / 2, 0.0)
    margins = one * (n - one) * other * (n - other)
    phi = agree / sqrt(margins) if margins else 0.0
    sides = []
    for i, j in ((0, 1), (1, 0)):
        near = abs(one / n - _wilson(one, n)[i])
        far = abs(other / n - _wilson(other, n)[j])
        sides.append(sqrt(max(near**2 - 2 * phi * near * far + far**2, 0.0)))
    return difference - sides[0], difference + sides[1]


def _wilson(successes: int, n: int) -> Interval:
    return wilson_interval(successes, n) or (0.0, 1.0)


def _signed_rank_p(differences: Floats) -> float:
    """Wilcoxon's p-value, zeros left out; 1 where nothing differs."""
    unequal = differences[differences != 0]
    return float(stats.wilcoxon(unequal).pvalue) if unequal.size else 1.0


def _same_patients(one: int, other: int) -> None:
    if one != other:
        raise InputError(
            "unequal_length",
            f"{one} pairs by one method and {other} by the other: compare them on the same "
            "patients",
        )
