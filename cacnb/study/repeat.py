"""What one score does in patients scanned twice with nothing changed; it judges no patient."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cacnb.errors import InputError, UsageError
from cacnb.study.bland_altman import Floats, Model, bland_altman, limit_interval, regression_limit
from cacnb.study.pairs import paired_scores
from cacnb.study.resampling import Interval

#: The fewest pairs with calcium in both scans that a repeat study's limits are told from here.
LEAST_REPEAT_PAIRS = 10

#: A change rarer than this with nothing changed lies outside.
RARE = 0.05

_NO_SCORES = np.zeros(0)
_NO_PAIRS = np.zeros((0, 2))


@dataclass(frozen=True, eq=False)
class RepeatStudy:
    """What one score does in patients who are scanned twice with nothing changed between.

    Parameters
    ----------
    name, simulated
        What the study is called, and whether its scans are simulated.
    model, intercept, slope
        Regression of |difference| on the mean over pairs with calcium in both scans.
    n_pairs
        How many such pairs.
    mean_range
        Smallest and largest mean of such a pair: beyond them a limit is extrapolated.
    n_double_zero
        Pairs without calcium in either scan.
    beside_zero
        (discordant,) scores above 0 of pairs whose other scan is 0, ascending.
    pairs
        (n_pairs, 2) scores; (0, 2) where only the limits are known.
    """

    name: str
    simulated: bool
    model: Model
    intercept: float
    slope: float
    n_pairs: int
    mean_range: Interval | None = None
    n_double_zero: int = 0
    beside_zero: Floats = field(default_factory=_NO_SCORES.copy)
    pairs: Floats = field(default_factory=_NO_PAIRS.copy)

    @property
    def n_zero_scans(self) -> int:
        """Scans without calcium: two of each double zero, one of each discordant pair."""
        return 2 * self.n_double_zero + self.beside_zero.size

    @property
    def limit_beside_zero(self) -> float | None:
        """The score that a scan beside a 0 must pass to lie outside; None with too few zeros."""
        # The most scans that may reach a score for (k + 1) / (n + 1) to stay below RARE.
        allowed = int(np.ceil(RARE * (self.n_zero_scans + 1))) - 2
        if allowed < 0:
            return None
        descending = self.beside_zero[::-1]
        return float(descending[allowed]) if descending.size > allowed else 0.0

    def limit_at(self, mean: ArrayLike) -> Floats:
        """Repeat limits at means of any shape: 95 of 100 changes of nothing are smaller."""
        return regression_limit(mean, self.intercept, self.slope, self.model)

    def limit_ci95_at(self, mean: float) -> Interval:
        """Bootstrap interval of the limit at a mean; needs the study's pairs."""
        low, high = limit_interval(self.pairs[:, 0], self.pairs[:, 1], mean, self.model)
        return float(low), float(high)

    def count_as_far(self, share_of_limit: float) -> int:
        """How many of the study's pairs differ by this share of their own limit or more."""
        limits = self.limit_at(self.pairs.mean(axis=1))
        differences = np.abs(self.pairs[:, 0] - self.pairs[:, 1])
        return int((differences >= share_of_limit * limits).sum())

    def as_card(self) -> dict[str, Any]:
        """What `from_card` reads: the limits without the pairs, for a weights' card."""
        return {
            "study": self.name,
            "simulated": self.simulated,
            "model": self.model,
            "intercept": self.intercept,
            "slope": self.slope,
            "n_pairs": self.n_pairs,
            "mean_range": None if self.mean_range is None else list(self.mean_range),
            "n_double_zero": self.n_double_zero,
            "beside_zero": self.beside_zero.tolist(),
        }

    @classmethod
    def from_card(cls, card: Mapping[str, Any], name: str) -> RepeatStudy:
        """The limits as a card tells them; what it says of zeros may be missing.

        Raises
        ------
        InputError
            `bad_limits` where model, intercept, slope, n_pairs or simulated is not there, or no
            such model is.
        """
        try:
            between = card.get("mean_range")
            found = cls(
                name=str(card.get("study", name)),
                simulated=bool(card["simulated"]),
                model=card["model"],
                intercept=float(card["intercept"]),
                slope=float(card["slope"]),
                n_pairs=int(card["n_pairs"]),
                mean_range=None if between is None else (float(between[0]), float(between[1])),
                n_double_zero=int(card.get("n_double_zero", 0)),
                beside_zero=np.sort(np.asarray(card.get("beside_zero", []), dtype=np.float64)),
            )
            found.limit_at(0.0)
        except (KeyError, TypeError, ValueError, AttributeError, UsageError) as error:
            raise InputError(
                "bad_limits",
                f"{name} has no usable repeat limits ({error}): model, intercept, slope, n_pairs "
                "and simulated are wanted; give a repeat study instead",
            ) from error
        return found


def learn_repeat(
    first: ArrayLike,
    second: ArrayLike,
    *,
    name: str,
    simulated: bool = False,
    model: Model = "linear",
) -> RepeatStudy:
    """What a repeat study says of one score, from both scores of each patient.

    Limits are of pairs with calcium in both scans: those with a zero answer another question, and
    are kept for it. The mean difference is taken as 0, as it is where the order of the two scans
    means nothing.

    Parameters
    ----------
    first, second
        (n,) scores ≥ 0 of the same patients, in one unit.
    name, simulated
        Of the study.
    model
        Of the limits, as in `bland_altman`.

    Raises
    ------
    UsageError
        For a model that is not there.
    InputError
        `unequal_length`, `not_a_score`, or `too_few` below ten pairs with calcium in both scans.

    Example
    -------
    >>> scan = np.arange(10.0, 120.0, 10.0)
    >>> study = learn_repeat(scan, 1.1 * scan, name="a phantom, twice")
    >>> study.n_pairs, float(study.limit_at(105.0).round(1))
    (11, 24.6)
    """
    a, b = paired_scores(first, second)
    both = (a > 0) & (b > 0)
    if both.sum() < LEAST_REPEAT_PAIRS:
        raise InputError(
            "too_few",
            f"{int(both.sum())} pairs with calcium in both scans came, repeat limits need "
            f"{LEAST_REPEAT_PAIRS} or more: give a larger repeat study",
        )
    found = bland_altman(a[both], b[both], model)
    means = (a[both] + b[both]) / 2
    return RepeatStudy(
        name=name,
        simulated=simulated,
        model=model,
        intercept=found.intercept,
        slope=found.slope,
        n_pairs=found.n,
        mean_range=(float(means.min()), float(means.max())),
        n_double_zero=int(((a == 0) & (b == 0)).sum()),
        beside_zero=np.sort(np.maximum(a, b)[(a > 0) ^ (b > 0)]),
        pairs=np.stack([a[both], b[both]], axis=1),
    )
