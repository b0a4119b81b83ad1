"""Bootstrap over patients, fast for functions of sums; it does not know what they measure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from cacnb.errors import InputError, UsageError
from cacnb.study.bootstrap import TAILS_95, Bootstrap, Floats, Interval, Kind

__all__ = [
    "LEAST_PATIENTS",
    "RESAMPLES",
    "TAILS_95",
    "Floats",
    "Interval",
    "Kind",
    "bootstrap_interval",
    "resampled_sums",
    "sums_interval",
    "sums_test",
]

#: Bootstrap resamples where none are named.
RESAMPLES = 2000

#: The fewest patients that an interval is told from: resamples of one or two repeat what they know.
LEAST_PATIENTS = 3

#: Random numbers drawn at once: what a processor's cache holds.
_DRAWN_AT_ONCE = 500_000


def bootstrap_interval(
    statistic: Callable[[Floats], float | None],
    table: ArrayLike,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
    kind: Kind = "percentile",
) -> Interval:
    """95 % bootstrap interval of any statistic, resampling whole rows (patients).

    Parameters
    ----------
    statistic
        Takes a resampled table and returns one number; None or NaN where it is undefined there:
        such resamples are left out.
    table
        (n,) or (n, columns): one row a patient.
    resamples, seed
        How many, and where the random numbers start: the same seed gives the same interval.
    kind
        `percentile`; `bca`, bias-corrected and accelerated (Efron, JASA 1987); or `calibrated`, the
        percentile interval at the level that covers 95 % in resamples of resamples (Loh, JASA
        1987), which takes twenty times as long.

    Raises
    ------
    UsageError
        For a `kind` that is not there, or less than one resample.
    InputError
        `too_few` below three rows, or where the statistic is undefined in every resample.

    Example
    -------
    >>> low, high = bootstrap_interval(lambda scores: float(scores.mean()), np.arange(50.0))
    >>> low < 24.5 < high
    True
    """

    def drawn(rows: Floats, many: int, generator: np.random.Generator) -> Floats:
        n = len(rows)
        return _numbers(statistic(rows[generator.integers(0, n, n)]) for _ in range(many))

    def without_one(rows: Floats) -> Floats:
        return _numbers(statistic(np.delete(rows, i, axis=0)) for i in range(len(rows)))

    rows = np.asarray(table, dtype=np.float64)
    _check(len(rows), resamples)
    value = float(_numbers([statistic(rows)])[0])
    bootstrap = Bootstrap(drawn, without_one, rows, value, resamples, seed)
    return bootstrap.interval(kind)


def sums_interval(
    of_sums: Callable[[Floats], Floats],
    moments: Floats,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
    kind: Kind = "percentile",
) -> Interval:
    """`bootstrap_interval` of a statistic that is a function of sums over patients, much faster.

    Parameters
    ----------
    of_sums
        (..., m) sums to (...) values, NaN where undefined.
    moments
        (n, m): what each patient adds to the sums.
    resamples, seed, kind
        As in `bootstrap_interval`.

    Raises
    ------
    UsageError, InputError
        As in `bootstrap_interval`.

    Example
    -------
    >>> moments = np.stack([np.ones(50), np.arange(50.0)], axis=1)
    >>> low, high = sums_interval(lambda sums: sums[..., 1] / sums[..., 0], moments)
    >>> low < 24.5 < high
    True
    """
    return _of_sums(of_sums, moments, resamples, seed).interval(kind)


def sums_test(
    of_sums: Callable[[Floats], Floats],
    moments: Floats,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
    kind: Literal["percentile", "calibrated"] = "percentile",
) -> tuple[Interval, float]:
    """Interval of a difference, as `sums_interval`, and its two-sided p-value of being 0.

    Parameters
    ----------
    of_sums, moments, resamples, seed, kind
        As in `sums_interval`; a calibrated p-value is told in steps of 1 / 200.

    Raises
    ------
    UsageError, InputError
        As in `bootstrap_interval`.

    Example
    -------
    >>> moments = np.stack([np.ones(50), np.arange(50.0)], axis=1)
    >>> interval, p_value = sums_test(lambda sums: sums[..., 1] / sums[..., 0], moments)
    >>> p_value < 0.01
    True
    """
    bootstrap = _of_sums(of_sums, moments, resamples, seed)
    return bootstrap.interval(kind), bootstrap.p_value(kind)


def resampled_sums(moments: Floats, *, resamples: int = RESAMPLES, seed: int = 0) -> Floats:
    """(resamples, m) sums of the (n, m) moments of patients drawn with replacement.

    How often each patient is drawn is counted first, so that all sums of a resample are one product
    of matrices and no resampled table is ever made. Patients alike in all moments, as those without
    calcium are, only count as many: a binomial number of them is drawn, which is exact.

    Raises
    ------
    UsageError
        For less than one resample.
    InputError
        `too_few` below three patients.
    """
    _check(len(moments), resamples)
    return _draw_sums(moments, resamples, np.random.default_rng(seed))


def _of_sums(
    of_sums: Callable[[Floats], Floats], moments: Floats, resamples: int, seed: int
) -> Bootstrap:
    def drawn(rows: Floats, many: int, generator: np.random.Generator) -> Floats:
        return of_sums(_draw_sums(rows, many, generator))

    def without_one(rows: Floats) -> Floats:
        return of_sums(rows.sum(axis=0) - rows)

    _check(len(moments), resamples)
    value = float(of_sums(moments.sum(axis=0)))
    return Bootstrap(drawn, without_one, moments, value, resamples, seed)


def _draw_sums(moments: Floats, many: int, generator: np.random.Generator) -> Floats:
    n, m = moments.shape
    commonest = _commonest_row(moments)
    others = moments[(moments != commonest).any(axis=1)] - commonest
    unlike = generator.binomial(n, len(others) / n, many)
    sums = np.zeros((many, m))
    at_once = max(1, _DRAWN_AT_ONCE // n)
    for start in range(0, many if len(others) else 0, at_once):
        sizes = unlike[start : start + at_once]
        drawn = generator.integers(0, len(others), sizes.sum())
        drawn += np.repeat(len(others) * np.arange(sizes.size), sizes)
        counts = np.bincount(drawn, minlength=sizes.size * len(others))
        counts = counts.reshape(sizes.size, len(others)).astype(np.float64)
        sums[start : start + at_once] = counts @ others
    return np.asarray(sums + n * commonest)


def _commonest_row(moments: Floats) -> Floats:
    """The (m,) row that most patients have, where rows with the same sum count as the same."""
    _, at, times = np.unique(moments.sum(axis=1), return_index=True, return_counts=True)
    return np.asarray(moments[at[times.argmax()]])


def _numbers(values: Iterable[float | None]) -> Floats:
    return np.array([np.nan if v is None else v for v in values], dtype=np.float64)


def _check(n: int, resamples: int) -> None:
    if resamples < 1:
        raise UsageError(f"{resamples} bootstrap resamples came: 2000 are usual")
    if n < LEAST_PATIENTS:
        raise InputError(
            "too_few", f"{n} patients came, an interval needs {LEAST_PATIENTS} or more"
        )
