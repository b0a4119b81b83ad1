"""Intraclass correlation of repeated scores; it does not know whose reading or scan they are.

On scores as skewed as calcium, with many zeros, the F-based interval is far too narrow and the
bootstrap over patients is the default; docs/agreement.md has the coverage of each.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from cacnb.errors import InputError
from cacnb.study.resampling import (
    RESAMPLES,
    TAILS_95,
    Floats,
    Interval,
    Kind,
    sums_interval,
)


@dataclass(frozen=True)
class IntraclassCorrelation:
    """Two-way random ICCs of absolute agreement of n patients scored k times each.

    Parameters
    ----------
    single, average
        ICC(A,1) of one score and ICC(A,k) of the mean of all k; None where averaging k scores has
        no reliability to speak of (ICC(A,1) at or below −1 / (k − 1)).
    ci95_f, ci95_f_average
        Their F-based 95 % intervals, right for normal scores only; None where it is undefined.
    n, k
        Patients, and scores of each.
    """

    single: float
    average: float | None
    ci95_f: Interval | None
    ci95_f_average: Interval | None
    n: int
    k: int


def icc(ratings: ArrayLike) -> IntraclassCorrelation:
    """ICC(A,1) and ICC(A,k): two-way random, absolute agreement (McGraw & Wong 1996).

    Parameters
    ----------
    ratings
        (n, k): n patients, each scored k times; for scan pairs k is 2. Scores may be negative.

    Raises
    ------
    InputError
        `too_few` below two patients or two scores each, `not_a_score` for a missing or infinite
        one, `no_spread` where nothing differs between patients or between scores.

    Example
    -------
    >>> found = icc([[1, 2], [3, 3], [8, 9], [5, 4]])
    >>> round(found.single, 3), round(found.average, 3)
    (0.959, 0.979)
    """
    single = _value_or_refuse(ratings)
    table = _scaled(np.asarray(ratings, dtype=np.float64))
    n, k = table.shape
    interval = _f_interval(*_mean_squares(table), n, k, single)
    low, high = (None, None) if interval is None else (averaged(bound, k) for bound in interval)
    return IntraclassCorrelation(
        single=single,
        average=averaged(single, k),
        ci95_f=interval,
        ci95_f_average=None if low is None or high is None else (low, high),
        n=n,
        k=k,
    )


def icc_value(ratings: ArrayLike) -> float | None:
    """The ICC(A,1) of (n, k) ratings alone; None where nothing differs between patients or scores.

    Raises
    ------
    InputError
        `too_few`, `not_a_score`.

    Example
    -------
    >>> icc_value([[0, 0], [0, 0], [0, 0]]) is None
    True
    """
    table = _scaled(_checked(ratings))
    value = float(_single(*_mean_squares(table), *table.shape))
    return value if np.isfinite(value) else None


def icc_log1p(ratings: ArrayLike) -> float | None:
    """The ICC(A,1) of log(1 + score), in which the largest scores do not decide alone.

    Parameters
    ----------
    ratings
        (n, k) scores ≥ 0.

    Raises
    ------
    InputError
        `too_few`, `not_a_score`, also for a negative one.

    Example
    -------
    >>> round(icc_log1p([[0, 1], [10, 12], [900, 400]]), 3)
    0.98
    """
    return icc_value(log1p(ratings))


def log1p(ratings: ArrayLike) -> Floats:
    """Log(1 + score) of (n, k) scores ≥ 0.

    Raises
    ------
    InputError
        `too_few`, `not_a_score`.
    """
    table = _checked(ratings)
    if (table < 0).any():
        raise InputError(
            "not_a_score",
            f"{int((table < 0).sum())} scores are negative: log(1 + score) wants 0 or more",
        )
    return np.log1p(table)


def icc_interval(
    ratings: ArrayLike, *, kind: Kind = "calibrated", resamples: int = RESAMPLES, seed: int = 0
) -> Interval:
    """Bootstrap 95 % interval of the ICC(A,1) over patients, calibrated where nothing else is said.

    Parameters
    ----------
    ratings
        (n, k) scores.
    kind, resamples, seed
        As in `cacnb.study.resampling.bootstrap_interval`.

    Raises
    ------
    InputError
        As `icc`; `too_few` below three patients.

    Example
    -------
    >>> low, high = icc_interval([[1, 2], [3, 3], [8, 9], [5, 4], [0, 1]])
    >>> 0 < low < 0.97 < high < 1
    True
    """
    _value_or_refuse(ratings)
    moments = icc_moments(ratings)
    return sums_interval(single_of_sums, moments, resamples=resamples, seed=seed, kind=kind)


def icc_moments(ratings: ArrayLike) -> Floats:
    """(n, k + 3): what each patient adds to the sums that an ICC follows from.

    Columns: 1, (Σ x)², Σ x², and the k scores x themselves, centred and scaled.

    Raises
    ------
    InputError
        `too_few`, `not_a_score`.
    """
    table = _scaled(_checked(ratings))
    squares = [np.ones(len(table)), table.sum(axis=1) ** 2, (table**2).sum(axis=1)]
    return np.column_stack([*squares, table])


def single_of_sums(sums: Floats) -> Floats:
    """ICC(A,1) of (..., k + 3) sums of `icc_moments`; NaN where nothing differs."""
    n, k = sums[..., 0], sums.shape[-1] - 3
    of_columns = (sums[..., 3:] ** 2).sum(axis=-1) / n
    of_all = sums[..., 3:].sum(axis=-1) ** 2 / (n * k)
    rows = np.maximum(sums[..., 1] / k - of_all, 0.0)
    columns = np.maximum(of_columns - of_all, 0.0)
    error = np.maximum(sums[..., 2] - of_all - rows - columns, 0.0)
    scale = 1 / (n - 1), 1 / (k - 1), 1 / ((n - 1) * (k - 1))
    return _single(rows * scale[0], columns * scale[1], error * scale[2], n, k)


def averaged(single: float, k: int) -> float | None:
    """ICC(A,k) of an ICC(A,1) by Spearman and Brown; None at or below −1 / (k − 1)."""
    whole = 1 + (k - 1) * single
    return k * single / whole if whole > 0 else None


def _single(rows: ArrayLike, columns: ArrayLike, error: ArrayLike, n: ArrayLike, k: int) -> Floats:
    """McGraw & Wong 1996, Table 4, case 2A; NaN where it is 0 / 0."""
    rows, columns, error = (np.asarray(squares) for squares in (rows, columns, error))
    total = rows + (k - 1) * error + k * (columns - error) / n
    # what rounding leaves of scores of which nothing differs
    spread = total > 1e-13 * (rows + columns + error)
    value = np.full(total.shape, np.nan)
    np.divide(rows - error, total, out=value, where=spread)
    return value


def _mean_squares(table: Floats) -> tuple[float, float, float]:
    """Mean squares between patients, between their scores, and of the residual."""
    n, k = table.shape
    of_row, of_column = table.mean(axis=1), table.mean(axis=0)
    rows = k * float(((of_row - table.mean()) ** 2).sum())
    columns = n * float(((of_column - table.mean()) ** 2).sum())
    residual = float(((table - of_row[:, None] - of_column + table.mean()) ** 2).sum())
    return rows / (n - 1), columns / (k - 1), residual / ((n - 1) * (k - 1))


def _f_interval(
    rows: float, columns: float, error: float, n: int, k: int, single: float
) -> Interval | None:
    """McGraw & Wong 1996, Table 7, case 2A: F-based, with Satterthwaite's degrees of freedom."""
    if columns == 0 and error == 0:
        return single, single
    # their a and b, multiplied by n (1 − ICC) so that perfect agreement does not divide by 0
    a = k * single * columns
    b = (n * (1 - single) + k * single * (n - 1)) * error
    if a + b == 0:
        return None
    freedom = (a + b) ** 2 / (a**2 / (k - 1) + b**2 / ((n - 1) * (k - 1)))
    lower_f = float(stats.f.ppf(TAILS_95[1], n - 1, freedom))
    upper_f = float(stats.f.ppf(TAILS_95[1], freedom, n - 1))
    if not (np.isfinite(lower_f) and np.isfinite(upper_f)):
        return None
    noise = k * columns + (k * n - k - n) * error
    low = n * (rows - lower_f * error) / (lower_f * noise + n * rows)
    high = n * (upper_f * rows - error) / (noise + n * upper_f * rows)
    return low, high


def _value_or_refuse(ratings: ArrayLike) -> float:
    value = icc_value(ratings)
    if value is None:
        raise InputError(
            "no_spread", "nothing differs between patients or between scores: an ICC needs spread"
        )
    return value


def _checked(ratings: ArrayLike) -> Floats:
    table = np.asarray(ratings, dtype=np.float64)
    if table.ndim != 2 or min(table.shape) < 2:
        raise InputError(
            "too_few",
            f"scores of shape {table.shape} came, wanted (patients, scores) with two or more of "
            "each",
        )
    if not np.isfinite(table).all():
        raise InputError("not_a_score", "a score is not a finite number: leave its patient out")
    return table


def _scaled(table: Floats) -> Floats:
    """Scores centred, the farthest at most 2 away: the ICC stays, and no square overflows."""
    for _ in range(2):  # once for size, once for spread: equal scores come out as exact zeros
        table = table / (np.abs(table).max() or 1.0)
        table = table - table[0, 0]
    return np.asarray(table - table.mean())
