"""Risk categories of Agatston scores and the scale that makes two methods comparable."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cacnb.errors import InputError

RiskCategory = Literal["I", "II", "III", "IV"]

#: The categories from low to high (section 4; its "IV: <400" is a slip for > 400).
RISK_CATEGORIES: tuple[RiskCategory, ...] = ("I", "II", "III", "IV")

#: Upper bounds of categories I, II and III: I 0-10, II 11-100, III 101-400, IV > 400 (section 4).
RISK_UPPER_BOUNDS = (10.0, 100.0, 400.0)


def risk_category(agatston: float) -> RiskCategory:
    """The cardiovascular risk category of an Agatston score (section 4).

    A score between two printed bounds belongs to the category whose lower neighbour's bound it
    has passed: 10 < s ≤ 100 is II.

    Raises
    ------
    InputError
        `not_a_score` for a score that is negative or not a number.

    Example
    -------
    >>> [risk_category(score) for score in (0, 10, 10.4, 100, 400, 400.5)]
    ['I', 'I', 'II', 'II', 'III', 'IV']
    """
    if not agatston >= 0:
        raise InputError("not_a_score", f"an Agatston score is 0 or more, got {agatston}")
    return RISK_CATEGORIES[int(np.searchsorted(RISK_UPPER_BOUNDS, agatston, side="left"))]


def scale_to_clinical(adjusted: ArrayLike, clinical: ArrayLike) -> NDArray[np.float64]:
    """Adjusted scores on the clinical range, by the ratio of the two mean scores (under Table 5).

    Parameters
    ----------
    adjusted, clinical
        Agatston scores of the same scans by the two methods, of any one shape.

    Returns
    -------
    array
        `adjusted` × mean(clinical) / mean(adjusted), same shape; zeros stay zeros.

    Raises
    ------
    InputError
        `unequal_length`, `not_a_score`, or `no_scale` where either method found no calcium at all.

    Example
    -------
    >>> scale_to_clinical([0, 20, 40], [0, 5, 25])
    array([ 0., 10., 20.])
    """
    ours = np.asarray(adjusted, dtype=np.float64)
    theirs = np.asarray(clinical, dtype=np.float64)
    if ours.shape != theirs.shape:
        raise InputError(
            "unequal_length",
            f"{ours.shape} adjusted and {theirs.shape} clinical scores: give one of each a scan",
        )
    if not (np.all(ours >= 0) and np.all(theirs >= 0)):
        raise InputError("not_a_score", "scores are 0 or more: a negative one or a NaN came")
    if not ours.any() or not theirs.any():
        raise InputError(
            "no_scale",
            "one of the methods found no calcium in any scan, so the means have no ratio: "
            "scale on a set in which both find some",
        )
    return ours * float(theirs.mean() / ours.mean())
