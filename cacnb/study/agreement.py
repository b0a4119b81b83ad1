"""How far two scores of one patient agree; it does not know which method or scan they are from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from cacnb.errors import InputError
from cacnb.study.detection import Z_95

Floats = NDArray[np.float64]
Interval = tuple[float, float]

#: Percentiles of a 95 % bootstrap interval.
PERCENTILES_95 = (2.5, 97.5)

#: Bootstrap resamples where none are named.
RESAMPLES = 2000


@dataclass(frozen=True)
class RelativeDifference:
    """Mean relative interscan differences Δ_R (section 4); None where no pair qualifies.

    Parameters
    ----------
    any_positive
        Mean over pairs in which at least one score is above 0; a discordant pair counts 2.
    both_positive
        Mean over pairs in which both are.
    n_pairs, n_both_positive, n_discordant
        All pairs (double zeros too), those with two positive scores, those with just one.
    """

    any_positive: float | None
    both_positive: float | None
    n_pairs: int
    n_both_positive: int
    n_discordant: int


@dataclass(frozen=True)
class IntraclassCorrelation:
    """ICC(A,1) of n subjects scored k times each, with its F-based 95 % interval.

    On skewed scores with many zeros that interval is far too narrow; `bootstrap_interval` with
    `icc_value` covers better.
    """

    value: float
    ci95: Interval
    n: int
    k: int


@dataclass(frozen=True)
class PairedDifference:
    """One method's mean relative difference minus another's on the same pairs, bootstrapped."""

    value: float
    ci95: Interval


@dataclass(frozen=True)
class Kappa:
    """Linearly weighted κ with its analytic 95 % interval, and the share of equal categories."""

    value: float
    ci95: Interval
    accuracy: float
    n: int


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
    a, b = _paired_scores(first, second)
    mean = (a + b) / 2
    each = np.full(a.size, np.nan)
    np.divide(np.abs(a - b), mean, out=each, where=mean > 0)
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
    >>> relative_difference([10, 0, 0], [30, 5, 0])
    RelativeDifference(any_positive=1.5, both_positive=1.0, n_pairs=3, n_both_positive=1, \
n_discordant=1)
    """
    a, b = _paired_scores(first, second)
    each = pair_differences(a, b)
    both = (a > 0) & (b > 0)
    return RelativeDifference(
        any_positive=_optional(_mean_of_known(each)),
        both_positive=_optional(_mean_of_known(each[both])),
        n_pairs=a.size,
        n_both_positive=int(both.sum()),
        n_discordant=int(((a > 0) ^ (b > 0)).sum()),
    )


def icc(ratings: ArrayLike) -> IntraclassCorrelation:
    """ICC(A,1): two-way random, absolute agreement, single measurement (McGraw & Wong 1996).

    Parameters
    ----------
    ratings
        (n, k): n subjects, each scored k times; for scan pairs k is 2.

    Raises
    ------
    InputError
        `too_few` below two subjects or two ratings, `not_a_score` for a value that is no finite
        number, `no_spread` where all ratings are equal.

    Example
    -------
    >>> round(icc([[1, 2], [3, 3], [8, 9], [5, 4]]).value, 3)
    0.959
    """
    table = np.asarray(ratings, dtype=np.float64)
    if table.ndim != 2 or min(table.shape) < 2:
        raise InputError(
            "too_few",
            f"ratings of shape {table.shape} came, wanted (subjects, ratings) with two or more of "
            "each",
        )
    if not np.isfinite(table).all():
        raise InputError("not_a_score", "a rating is not a finite number: leave its subject out")
    n, k = table.shape
    rows, columns, error = _mean_squares(table)
    value = icc_value(table)
    if not np.isfinite(value):
        raise InputError("no_spread", f"all {n * k} ratings are equal: an ICC needs some spread")
    return IntraclassCorrelation(value, _icc_interval(rows, columns, error, n, k, value), n, k)


def icc_value(ratings: Floats) -> float:
    """The ICC(A,1) of (n, k) ratings alone, for resampling; NaN where all ratings are equal."""
    if np.ptp(ratings) == 0:
        return float("nan")
    n, k = ratings.shape
    rows, columns, error = _mean_squares(ratings)
    total = rows + (k - 1) * error + k * (columns - error) / n
    return float((rows - error) / total)


def bootstrap_interval(
    statistic: Callable[[Floats], float],
    table: ArrayLike,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Percentile 95 % bootstrap interval of any statistic, resampling whole rows (patients).

    Parameters
    ----------
    statistic
        Takes a resampled table and returns one number; NaN where it is undefined there.
    table
        (n,) or (n, columns): one row a patient.
    resamples, seed
        How many, and where the random numbers start: the same seed gives the same interval.

    Raises
    ------
    InputError
        `too_few` for an empty table, or where the statistic was undefined in every resample.

    Example
    -------
    >>> low, high = bootstrap_interval(lambda scores: float(scores.mean()), np.arange(50.0))
    >>> low < 24.5 < high
    True
    """
    rows = np.asarray(table, dtype=np.float64)
    generator = np.random.default_rng(seed)
    draws = (
        statistic(rows[generator.integers(0, len(rows), len(rows))])
        for _ in range(resamples if len(rows) else 0)
    )
    values = np.fromiter(draws, dtype=np.float64)
    values = values[np.isfinite(values)]
    if values.size == 0:
        raise InputError(
            "too_few",
            f"no resample of {len(rows)} rows has a value: an interval needs pairs with calcium",
        )
    low, high = np.percentile(values, PERCENTILES_95)
    return float(low), float(high)


def relative_difference_interval(
    first: ArrayLike,
    second: ArrayLike,
    *,
    both_positive: bool = False,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Bootstrap 95 % interval, over pairs, of the mean relative difference.

    Parameters
    ----------
    first, second
        (n,) scores ≥ 0 of the same patients.
    both_positive
        Over pairs with two positive scores only, instead of those with at least one.

    Raises
    ------
    InputError
        `unequal_length`, `not_a_score`, `too_few`.

    Example
    -------
    >>> relative_difference_interval([10, 10], [30, 30])
    (1.0, 1.0)
    """
    each = _qualifying_differences(first, second, both_positive=both_positive)
    return bootstrap_interval(_mean_of_known, each, resamples=resamples, seed=seed)


def compare_relative_differences(
    one: tuple[ArrayLike, ArrayLike],
    other: tuple[ArrayLike, ArrayLike],
    *,
    both_positive: bool = False,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> PairedDifference:
    """One method's mean relative difference minus another's, on the same scan pairs.

    Each method's mean is over its own qualifying pairs; a resample draws patients, so that both
    methods always see the same ones.

    Parameters
    ----------
    one, other
        Each method's (first, second) scores, (n,) each, patients in one order.

    Raises
    ------
    InputError
        `unequal_length`, `not_a_score`, `too_few` where either method has no qualifying pair.

    Example
    -------
    >>> compare_relative_differences(([10, 10], [10, 10]), ([10, 10], [30, 30]))
    PairedDifference(value=-1.0, ci95=(-1.0, -1.0))
    """
    columns = [_qualifying_differences(*pair, both_positive=both_positive) for pair in (one, other)]
    if columns[0].size != columns[1].size:
        raise InputError(
            "unequal_length",
            f"{columns[0].size} pairs by one method and {columns[1].size} by the other: "
            "compare them on the same patients",
        )
    table = np.stack(columns, axis=1)
    interval = bootstrap_interval(_column_difference, table, resamples=resamples, seed=seed)
    return PairedDifference(_column_difference(table), interval)


def weighted_kappa(first: Sequence[str], second: Sequence[str], categories: Sequence[str]) -> Kappa:
    """Linearly weighted κ of paired categories (Cohen 1968), interval after Fleiss et al. 1969.

    Parameters
    ----------
    first, second
        (n,) categories of the same patients.
    categories
        All categories in order, also those that nobody is in: the weights depend on them.

    Raises
    ------
    InputError
        `unequal_length`, `unknown_category`, or `no_spread` where everybody is in one category
        both times, so that chance alone agrees fully.

    Example
    -------
    >>> kappa = weighted_kappa(["I", "II", "IV"], ["I", "III", "IV"], ["I", "II", "III", "IV"])
    >>> round(kappa.value, 2), round(kappa.accuracy, 2)
    (0.77, 0.67)
    """
    share = _cross_table(first, second, categories)
    n = len(first)
    steps = np.arange(len(categories))
    weight = 1 - np.abs(steps[:, None] - steps) / max(len(categories) - 1, 1)
    row, column = share.sum(axis=1), share.sum(axis=0)
    observed = float((weight * share).sum())
    expected = float((weight * np.outer(row, column)).sum())
    if expected >= 1:
        raise InputError("no_spread", f"all {n} pairs are in one category: κ needs two or more")
    # Fleiss, Cohen & Everitt 1969, equation for the non-null variance
    row_weight, column_weight = weight @ column, row @ weight
    term = weight * (1 - expected) - (row_weight[:, None] + column_weight) * (1 - observed)
    spread = float((share * term**2).sum()) - (observed * expected - 2 * expected + observed) ** 2
    error = sqrt(max(spread, 0.0) / n) / (1 - expected) ** 2
    value = (observed - expected) / (1 - expected)
    return Kappa(
        value=value,
        ci95=(max(value - Z_95 * error, -1.0), min(value + Z_95 * error, 1.0)),
        accuracy=float(np.trace(share)),
        n=n,
    )


def _paired_scores(first: ArrayLike, second: ArrayLike) -> tuple[Floats, Floats]:
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if a.ndim != 1 or a.shape != b.shape:
        raise InputError(
            "unequal_length",
            f"{a.shape} first and {b.shape} second scores: give one of each a patient",
        )
    for name, scores in (("first", a), ("second", b)):
        wrong = np.flatnonzero(~(np.isfinite(scores) & (scores >= 0)))
        if wrong.size:
            raise InputError(
                "not_a_score",
                f"{name} score {scores[wrong[0]]} at position {wrong[0]} ({wrong.size} such): "
                "a score is a finite number of 0 or more; leave out patients without one",
            )
    return a, b


def _qualifying_differences(first: ArrayLike, second: ArrayLike, *, both_positive: bool) -> Floats:
    a, b = _paired_scores(first, second)
    each = pair_differences(a, b)
    if both_positive:
        each[(a == 0) | (b == 0)] = np.nan
    return each


def _mean_of_known(values: Floats) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")


def _column_difference(table: Floats) -> float:
    return _mean_of_known(table[:, 0]) - _mean_of_known(table[:, 1])


def _optional(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _mean_squares(table: Floats) -> tuple[float, float, float]:
    """Mean squares between subjects, between ratings, and of the residual."""
    n, k = table.shape
    of_row, of_column = table.mean(axis=1), table.mean(axis=0)
    rows = k * float(((of_row - table.mean()) ** 2).sum())
    columns = n * float(((of_column - table.mean()) ** 2).sum())
    residual = float(((table - of_row[:, None] - of_column + table.mean()) ** 2).sum())
    return rows / (n - 1), columns / (k - 1), residual / ((n - 1) * (k - 1))


def _icc_interval(
    rows: float, columns: float, error: float, n: int, k: int, value: float
) -> Interval:
    """McGraw & Wong 1996, Table 7, case 2A: F-based, with Satterthwaite's degrees of freedom."""
    if columns == 0 and error == 0:
        return value, value
    # their a and b, multiplied by n (1 − ICC) so that perfect agreement does not divide by 0
    a = k * value * columns
    b = (n * (1 - value) + k * value * (n - 1)) * error
    freedom = (a + b) ** 2 / (a**2 / (k - 1) + b**2 / ((n - 1) * (k - 1)))
    lower_f = float(stats.f.ppf(PERCENTILES_95[1] / 100, n - 1, freedom))
    upper_f = float(stats.f.ppf(PERCENTILES_95[1] / 100, freedom, n - 1))
    noise = k * columns + (k * n - k - n) * error
    low = n * (rows - lower_f * error) / (lower_f * noise + n * rows)
    high = n * (upper_f * rows - error) / (noise + n * upper_f * rows)
    return low, high


def _cross_table(first: Sequence[str], second: Sequence[str], categories: Sequence[str]) -> Floats:
    """(categories, categories) shares of the pairs."""
    if len(first) != len(second) or not first:
        raise InputError(
            "unequal_length",
            f"{len(first)} first and {len(second)} second categories: give one of each a patient",
        )
    unknown = sorted({*first, *second} - set(categories))
    if unknown:
        raise InputError(
            "unknown_category",
            f"categories {unknown} came, wanted only {list(categories)}",
        )
    position = {category: i for i, category in enumerate(categories)}
    table = np.zeros((len(categories), len(categories)))
    for a, b in zip(first, second, strict=True):
        table[position[a], position[b]] += 1
    return table / len(first)
