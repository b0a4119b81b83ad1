"""Lin's concordance correlation of paired scores; it does not know which method they are from."""

from __future__ import annotations

from dataclasses import dataclass
from math import atanh, sqrt, tanh

import numpy as np
from numpy.typing import ArrayLike

from cacnb.errors import InputError
from cacnb.study.detection import Z_95
from cacnb.study.pairs import paired_numbers
from cacnb.study.resampling import (
    LEAST_PATIENTS,
    RESAMPLES,
    Floats,
    Interval,
    Kind,
    sums_interval,
)


@dataclass(frozen=True)
class Concordance:
    """Lin's concordance correlation of n pairs: precision × accuracy.

    Parameters
    ----------
    value
        1 where every pair is equal, 0 where the two go their own ways.
    ci95
        Lin's interval on the scale of Fisher's z, right for normal scores only; None where either
        score is the same in all patients. On skewed scores take `concordance_interval`.
    precision
        Pearson's correlation: how near the pairs lie to a line; None where a score is constant.
    accuracy
        Bias correction C_b: how near that line is to equality; None likewise.
    n
        Number of pairs.
    """

    value: float
    ci95: Interval | None
    precision: float | None
    accuracy: float | None
    n: int


def concordance(first: ArrayLike, second: ArrayLike) -> Concordance:
    """Concordance correlation coefficient (Lin, Biometrics 1989; variance as corrected in 2000).

    Parameters
    ----------
    first, second
        (n,) scores of the same patients, in one unit.

    Raises
    ------
    InputError
        `unequal_length`, `not_a_score`, `too_few` below three pairs, `no_spread` where all scores
        are equal.

    Example
    -------
    >>> round(concordance([1, 2, 3, 4], [2, 3, 4, 5]).value, 3)
    0.714
    """
    moments = concordance_moments(first, second)
    n = len(moments)
    if n < LEAST_PATIENTS:
        raise InputError("too_few", f"{n} pairs came, concordance needs {LEAST_PATIENTS} or more")
    a, b = moments[:, 1], moments[:, 2]
    shift, product = float(a.mean() - b.mean()), float(np.sqrt(a.var() * b.var()))
    whole = float(a.var() + b.var()) + shift**2
    if whole == 0:
        raise InputError("no_spread", f"all {2 * n} scores are equal: concordance needs spread")
    if product == 0:
        return Concordance(0.0, None, None, None, n)
    precision = float(np.clip(((a - a.mean()) * (b - b.mean())).mean() / product, -1.0, 1.0))
    accuracy = min(2 * product / whole, 1.0)
    return Concordance(
        value=precision * accuracy,
        ci95=_z_interval(precision, accuracy, shift**2 / product, n),
        precision=precision,
        accuracy=accuracy,
        n=n,
    )


def concordance_interval(
    first: ArrayLike,
    second: ArrayLike,
    *,
    kind: Kind = "calibrated",
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Bootstrap 95 % interval of the concordance correlation over patients.

    Parameters
    ----------
    first, second
        (n,) scores of the same patients, in one unit.
    kind, resamples, seed
        As in `cacnb.study.resampling.bootstrap_interval`.

    Raises
    ------
    InputError
        As `concordance`.

    Example
    -------
    >>> low, high = concordance_interval([1, 2, 3, 4, 9, 7], [2, 1, 3, 5, 8, 7])
    >>> low < concordance([1, 2, 3, 4, 9, 7], [2, 1, 3, 5, 8, 7]).value < high <= 1
    True
    """
    concordance(first, second)
    moments = concordance_moments(first, second)
    return sums_interval(concordance_of_sums, moments, resamples=resamples, seed=seed, kind=kind)


def concordance_moments(first: ArrayLike, second: ArrayLike) -> Floats:
    """(n, 5): 1, a, b, a² + b² and ab of each pair, centred and scaled so that none overflows.

    Raises
    ------
    InputError
        `unequal_length`, `not_a_score`.
    """
    a, b = paired_numbers(first, second)
    if a.size:
        for _ in range(2):  # once for size, once for spread
            scale = max(np.abs(a).max(), np.abs(b).max()) or 1.0
            a, b = a / scale, b / scale
            a, b = a - a[0], b - a[0]
    return np.stack([np.ones(a.size), a, b, a**2 + b**2, a * b], axis=1)


def concordance_of_sums(sums: Floats) -> Floats:
    """Concordance of (..., 5) sums of `concordance_moments`; NaN where all scores are equal."""
    n, a, b, squares, products = np.moveaxis(sums, -1, 0)
    covariance = products / n - (a / n) * (b / n)
    whole = squares / n - 2 * (a / n) * (b / n)
    spread = whole > 1e-13 * squares / n
    value = np.full(whole.shape, np.nan)
    np.divide(2 * covariance, whole, out=value, where=spread)
    return value


def _z_interval(precision: float, accuracy: float, shift: float, n: int) -> Interval:
    """Lin 2000's variance of z, written without a division by the correlation."""
    value = precision * accuracy
    left = 1 - value**2
    if left <= 0:
        return value, value
    variance = (
        (1 - precision**2) * accuracy**2 / left
        + 2 * value**2 * accuracy * (1 - value) * shift / left**2
        - (value * accuracy * shift / left) ** 2 / 2
    ) / (n - 2)
    half = Z_95 * sqrt(max(variance, 0.0))
    return tanh(atanh(value) - half), tanh(atanh(value) + half)
