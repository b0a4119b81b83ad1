"""How well calcium is found, counted in scans or arteries; it does not know how it was found."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import ArrayLike

from cacnb.errors import InputError

#: The standard normal's 97.5 % point, of two-sided 95 % intervals.
Z_95 = 1.959963984540054


@dataclass(frozen=True)
class Detection:
    """Counts of a detection and the rates that follow from them; None where a rate has no cases.

    Example
    -------
    >>> paper = Detection(true_positive=73, false_positive=21, false_negative=15, true_negative=129)
    >>> round(paper.f1, 3), round(paper.sensitivity, 2), round(paper.false_positive_rate, 2)
    (0.802, 0.83, 0.14)
    """

    true_positive: int
    false_positive: int
    false_negative: int
    true_negative: int

    @property
    def n(self) -> int:
        """How many cases there are."""
        return self.n_positive + self.n_negative

    @property
    def n_positive(self) -> int:
        """How many cases have calcium by the reference."""
        return self.true_positive + self.false_negative

    @property
    def n_negative(self) -> int:
        """How many cases have no calcium by the reference."""
        return self.false_positive + self.true_negative

    @property
    def accuracy(self) -> float | None:
        """Share of cases called right."""
        return _share(self.true_positive + self.true_negative, self.n)

    @property
    def sensitivity(self) -> float | None:
        """Share of the cases with calcium in which some was found."""
        return _share(self.true_positive, self.n_positive)

    @property
    def false_positive_rate(self) -> float | None:
        """Share of the cases without calcium in which some was found."""
        return _share(self.false_positive, self.n_negative)

    @property
    def f1(self) -> float | None:
        """Harmonic mean of sensitivity and positive predictive value."""
        wrong = self.false_positive + self.false_negative
        return _share(2 * self.true_positive, 2 * self.true_positive + wrong)

    @property
    def accuracy_ci95(self) -> tuple[float, float] | None:
        """Wilson 95 % interval of the accuracy."""
        return wilson_interval(self.true_positive + self.true_negative, self.n)

    @property
    def sensitivity_ci95(self) -> tuple[float, float] | None:
        """Wilson 95 % interval of the sensitivity."""
        return wilson_interval(self.true_positive, self.n_positive)

    @property
    def f1_ci95(self) -> tuple[float, float] | None:
        """95 % interval of F1, from Wilson's of the Jaccard index J: F1 = 2 J / (1 + J).

        J is the share of true positives among all cases with calcium by the reference or by the
        method, so given their number it is a plain proportion; F1 rises with it. The interval stays
        within 0 … 1 and keeps a width where everything was found, as delta and bootstrap do not.
        """
        wrong = self.false_positive + self.false_negative
        jaccard = wilson_interval(self.true_positive, self.true_positive + wrong)
        return jaccard and (2 * jaccard[0] / (1 + jaccard[0]), 2 * jaccard[1] / (1 + jaccard[1]))

    @property
    def false_positive_rate_ci95(self) -> tuple[float, float] | None:
        """Wilson 95 % interval of the false positive rate."""
        return wilson_interval(self.false_positive, self.n_negative)


def count_detections(reference: ArrayLike, found: ArrayLike) -> Detection:
    """Compare what was found with a reference, case by case.

    Parameters
    ----------
    reference, found
        (n,) bool: whether a case has calcium by the reference, and by the method.

    Raises
    ------
    InputError
        `unequal_length`, or `not_a_call` for anything but bool.

    Example
    -------
    >>> count_detections([True, True, False], [True, False, False]).sensitivity
    0.5
    """
    truth, call = np.asarray(reference), np.asarray(found)
    if truth.ndim != 1 or truth.shape != call.shape:
        raise InputError(
            "unequal_length",
            f"{truth.shape} reference calls and {call.shape} found ones: give one of each a case",
        )
    if truth.size and (truth.dtype != np.bool_ or call.dtype != np.bool_):
        raise InputError(
            "not_a_call",
            f"calls are true or false, got {truth.dtype} and {call.dtype}: compare scores first, "
            "as in `score > 0`",
        )
    truth, call = truth.astype(bool), call.astype(bool)
    return Detection(
        true_positive=int((truth & call).sum()),
        false_positive=int((~truth & call).sum()),
        false_negative=int((truth & ~call).sum()),
        true_negative=int((~truth & ~call).sum()),
    )


def wilson_interval(successes: int, n: int) -> tuple[float, float] | None:
    """Wilson's 95 % score interval of a proportion (JASA 1927); None where n is 0.

    Raises
    ------
    InputError
        `not_a_count` where successes are not among 0 … n.

    Example
    -------
    >>> [round(bound, 4) for bound in wilson_interval(73, 88)]
    [0.7376, 0.8939]
    """
    if not 0 <= successes <= n:
        raise InputError("not_a_count", f"{successes} of {n} is no proportion: wanted 0 to {n}")
    if n == 0:
        return None
    share = successes / n
    centre = (share + Z_95**2 / (2 * n)) / (1 + Z_95**2 / n)
    half = Z_95 * sqrt(share * (1 - share) / n + Z_95**2 / (4 * n**2)) / (1 + Z_95**2 / n)
    low = 0.0 if successes == 0 else centre - half
    high = 1.0 if successes == n else centre + half
    return low, high


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
