"""Weighted κ of paired categories; it does not know what the categories are."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from cacnb.errors import InputError, UsageError
from cacnb.study.detection import Z_95, wilson_interval
from cacnb.study.resampling import Floats, Interval

Weights = Literal["unweighted", "linear", "quadratic"]


@dataclass(frozen=True)
class Kappa:
    """Weighted κ of n pairs, and the share of them in one category.

    Parameters
    ----------
    value, ci95
        κ and its analytic interval (Fleiss, Cohen & Everitt 1969). It has no width where all agree,
        or where all are in one category by one of the two: read n and `accuracy_ci95` there.
    accuracy, accuracy_ci95
        Share of equal categories, with Wilson's interval.
    n
        Number of pairs.
    """

    value: float
    ci95: Interval
    accuracy: float
    accuracy_ci95: Interval
    n: int


def weighted_kappa(
    first: Sequence[Hashable],
    second: Sequence[Hashable],
    categories: Sequence[Hashable],
    weights: Weights | ArrayLike = "linear",
) -> Kappa:
    """Weighted κ of paired categories (Cohen 1968), interval after Fleiss, Cohen & Everitt 1969.

    Parameters
    ----------
    first, second
        (n,) categories of the same patients.
    categories
        All categories in order, also those that nobody is in: the weights depend on them.
    weights
        `linear`, `quadratic`, `unweighted`, or a (categories, categories) table of how far two
        categories agree, 1 for fully.

    Raises
    ------
    UsageError
        For weights that are none of these.
    InputError
        `unequal_length`, `unknown_category` (a missing one too), or `no_spread` where everybody is
        in one category both times, so that chance alone agrees fully.

    Example
    -------
    >>> kappa = weighted_kappa(["I", "II", "IV"], ["I", "III", "IV"], ["I", "II", "III", "IV"])
    >>> round(kappa.value, 2), round(kappa.accuracy, 2)
    (0.77, 0.67)
    """
    cells = category_cells(first, second, categories)
    size, n = len(categories), len(cells)
    weight = weight_table(size, weights)
    share = np.bincount(cells, minlength=size**2).reshape(size, size) / n
    value = float(kappa_of_counts(share, weight))
    if not np.isfinite(value):
        raise InputError(
            "no_spread", f"chance alone agrees fully in all {n} pairs: κ needs two categories"
        )
    same = int((cells // size == cells % size).sum())
    half = Z_95 * _standard_error(share, weight, n)
    return Kappa(
        value=value,
        ci95=(max(value - half, -1.0), min(value + half, 1.0)),
        accuracy=same / n,
        accuracy_ci95=wilson_interval(same, n) or (0.0, 1.0),
        n=n,
    )


def category_cells(
    first: Sequence[Hashable], second: Sequence[Hashable], categories: Sequence[Hashable]
) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """(n,) cell of each pair in the cross table of c categories: c × first's position + second's.

    Raises
    ------
    InputError
        `unequal_length`, `unknown_category`.

    Example
    -------
    >>> category_cells(["I", "II"], ["II", "II"], ["I", "II"])
    array([1, 3])
    """
    if len(first) != len(second) or len(first) == 0:
        raise InputError(
            "unequal_length",
            f"{len(first)} first and {len(second)} second categories: give one of each a patient",
        )
    position = {category: i for i, category in enumerate(categories)}
    unknown = sorted({str(c) for c in (*first, *second) if c not in position})
    if unknown:
        raise InputError(
            "unknown_category",
            f"categories {unknown} came, wanted only {list(categories)}: leave out pairs with "
            "another one",
        )
    rows, columns = (np.array([position[c] for c in each], np.int64) for each in (first, second))
    return np.asarray(rows * len(categories) + columns)


def weight_table(size: int, weights: Weights | ArrayLike) -> Floats:
    """(size, size) how far two of `size` ordered categories agree: 1 fully, 0 not at all.

    Raises
    ------
    UsageError
        For a name that is not there, or a table of another size.

    Example
    -------
    >>> weight_table(3, "linear")[0]
    array([1. , 0.5, 0. ])
    """
    if isinstance(weights, str):
        powers = {"unweighted": 0, "linear": 1, "quadratic": 2}
        if weights not in powers:
            raise UsageError(f"no weights {weights!r}: there are {', '.join(powers)} or a table")
        steps = np.abs(np.subtract.outer(np.arange(size), np.arange(size)))
        apart = (steps > 0) if weights == "unweighted" else steps / max(size - 1, 1)
        return np.asarray(1.0 - np.power(apart, max(powers[weights], 1)))
    table = np.asarray(weights, dtype=np.float64)
    if table.shape != (size, size) or not np.isfinite(table).all():
        raise UsageError(
            f"weights of shape {table.shape} came, wanted finite ones, {size} × {size}"
        )
    return table


def kappa_of_counts(counts: Floats, weight: Floats) -> Floats:
    """κ of (..., c, c) cross tables; NaN where chance alone agrees fully."""
    total = counts.sum(axis=(-2, -1))
    row, column = counts.sum(axis=-1), counts.sum(axis=-2)
    observed = (weight * counts).sum(axis=(-2, -1)) / total
    expected = np.einsum("...i,ij,...j->...", row, weight, column) / total**2
    spread = 1 - expected > 1e-12  # what rounding leaves of 0
    value = np.full(np.shape(expected), np.nan)
    np.divide(observed - expected, 1 - expected, out=value, where=spread)
    return value


def _standard_error(share: Floats, weight: Floats, n: int) -> float:
    """Fleiss, Cohen & Everitt 1969, equation of the variance where κ is not 0."""
    row, column = share.sum(axis=1), share.sum(axis=0)
    observed = float((weight * share).sum())
    expected = float(row @ weight @ column)
    of_row, of_column = weight @ column, row @ weight
    term = weight * (1 - expected) - (of_row[:, None] + of_column) * (1 - observed)
    spread = float((share * term**2).sum()) - (observed * expected - 2 * expected + observed) ** 2
    return sqrt(max(spread, 0.0) / n) / (1 - expected) ** 2
