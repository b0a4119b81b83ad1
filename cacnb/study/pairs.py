"""Two numbers of each patient as two equal columns, checked; it does not know what they measure."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cacnb.errors import InputError

Floats = NDArray[np.float64]


def paired_numbers(first: ArrayLike, second: ArrayLike) -> tuple[Floats, Floats]:
    """Both columns as (n,) floats, every one finite.

    Raises
    ------
    InputError
        `unequal_length`, or `not_a_score` for a missing or infinite one.

    Example
    -------
    >>> paired_numbers([1, -2], [3, 4])
    (array([ 1., -2.]), array([3., 4.]))
    """
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if a.ndim != 1 or a.shape != b.shape:
        raise InputError(
            "unequal_length",
            f"{a.shape} first and {b.shape} second scores: give one of each a patient",
        )
    for name, scores in (("first", a), ("second", b)):
        _refuse(name, scores, ~np.isfinite(scores), "a finite number")
    return a, b


def paired_scores(first: ArrayLike, second: ArrayLike) -> tuple[Floats, Floats]:
    """Both columns as (n,) floats, every one finite and 0 or more, as an amount of calcium is.

    Raises
    ------
    InputError
        `unequal_length`, or `not_a_score` for a missing, infinite or negative one.

    Example
    -------
    >>> paired_scores([1, 0], [3, 4])
    (array([1., 0.]), array([3., 4.]))
    """
    a, b = paired_numbers(first, second)
    for name, scores in (("first", a), ("second", b)):
        _refuse(name, scores, scores < 0, "a finite number of 0 or more")
    return a, b


def _refuse(name: str, scores: Floats, wrong: NDArray[np.bool_], wanted: str) -> None:
    positions = np.flatnonzero(wrong)
    if positions.size:
        raise InputError(
            "not_a_score",
            f"{name} score {scores[positions[0]]} at position {positions[0]} ({positions.size} "
            f"such): a score is {wanted}; leave out patients without one",
        )
