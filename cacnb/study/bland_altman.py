"""Limits of agreement between two scores of one patient, constant and growing with the score."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi, sqrt
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from cacnb.errors import InputError, UsageError
from cacnb.study.pairs import paired_numbers
from cacnb.study.resampling import RESAMPLES, TAILS_95, Interval, resampled_sums

Floats = NDArray[np.float64]

#: What |difference| is regressed on: the pair's mean; its square root; its square root through the
#: origin, the form of Sevrukov et al., AJR 2005;185:1546, who print ± 4.930 √Agatston.
Model = Literal["linear", "sqrt", "sqrt_origin"]
MODELS: tuple[Model, ...] = get_args(Model)

#: The fewest pairs that limits are told from.
LEAST_PAIRS = 3

#: Standard deviations to either side of the mean that hold 95 % of a normal distribution.
Z_95 = 1.96

#: Mean |x| of a normal distribution with standard deviation 1 is √(2/π): its inverse (Bland &
#: Altman 1999).
SD_PER_MEAN_ABSOLUTE = sqrt(pi / 2)

#: Predictors that vary by less than this share of the largest one do not vary.
_ROUNDING = 1e-10


@dataclass(frozen=True)
class BlandAltman:
    """Bias and limits of agreement of paired scores, in the scores' unit.

    Parameters
    ----------
    bias, sd
        Mean and standard deviation (n − 1) of first − second.
    limits
        bias ± 1.96 sd: right where the spread is the same for all scores.
    intercept, slope
        Of the regression of |first − second| on the pair's mean, or its root: the limits at a
        mean m are ± `limit_at(m)`.
    n
        Number of pairs.
    model
        What the regression is on, one of `MODELS`.
    """

    bias: float
    sd: float
    limits: Interval
    intercept: float
    slope: float
    n: int
    model: Model = "linear"

    def limit_at(self, mean: ArrayLike) -> Floats:
        """1.96 √(π/2) × the regression's value at means of any shape, never below 0."""
        return regression_limit(mean, self.intercept, self.slope, self.model)

    @property
    def bias_se(self) -> float:
        """Standard error of the bias."""
        return self.sd / sqrt(self.n)

    @property
    def limit_se(self) -> float:
        """Standard error of either limit: s √(1/n + 1.96² / 2(n − 1)), Bland & Altman 1999."""
        return self.sd * sqrt(1 / self.n + Z_95**2 / (2 * (self.n - 1)))

    @property
    def bias_ci95(self) -> Interval:
        """95 % interval of the bias, by t with n − 1 degrees of freedom."""
        return self._around(self.bias, self.bias_se)

    @property
    def limits_ci95(self) -> tuple[Interval, Interval]:
        """Exact 95 % intervals of the lower and the upper constant limit, by the noncentral t.

        Exact where the differences are normal (Carkeet, Optom Vis Sci 2015, each limit for itself);
        not symmetric about the limit: few pairs leave the outer side uncertain.
        """
        noncentral = stats.nct(self.n - 1, Z_95 * sqrt(self.n))
        near, far = (float(noncentral.ppf(tail)) / sqrt(self.n) * self.sd for tail in TAILS_95)
        return (self.bias - far, self.bias - near), (self.bias + near, self.bias + far)

    @property
    def limits_ci95_approximate(self) -> tuple[Interval, Interval]:
        """The same by limit ± t × `limit_se`, as Bland & Altman print it: misses for few pairs."""
        lower, upper = (self._around(limit, self.limit_se) for limit in self.limits)
        return lower, upper

    def _around(self, value: float, error: float) -> Interval:
        reach = float(stats.t.ppf(TAILS_95[1], self.n - 1)) * error
        return value - reach, value + reach


def bland_altman(first: ArrayLike, second: ArrayLike, model: Model = "linear") -> BlandAltman:
    """Bland–Altman limits of paired scores, constant and by regression (Figure 8).

    A pair of two zeros is a point of the regression like any other, with no difference at all: many
    of them pull the line to the origin and the constant limits inward. Leave them out before, and
    say so, where the limits are to hold for patients with calcium.

    Parameters
    ----------
    first, second
        (n,) scores of the same patients, in one unit; for a root model 0 or more.
    model
        `linear`: |d| = a + b m, the paper's; `sqrt`: |d| = a + b √m; `sqrt_origin`: |d| = b √m.
        Scores that are k times as large have k times the bias, sd, limits and intercept, the same
        linear slope, and √k times the slope on a root.

    Raises
    ------
    UsageError
        For a model that is not there.
    InputError
        `unequal_length`, `not_a_score` for a value that is no finite number, or negative under a
        root, `too_few` below three pairs.

    Example
    -------
    >>> found = bland_altman([10, 20, 30, 40], [12, 16, 36, 32])
    >>> found.bias, round(found.sd, 3), round(found.slope, 3)
    (1.0, 6.218, 0.21)
    """
    a, b = _enough(*paired_numbers(first, second))
    difference = a - b
    bias, sd = float(difference.mean()), float(difference.std(ddof=1))
    line = _Line.of((a + b) / 2, np.abs(difference), model)
    intercept, slope = line.fit(line.moments.sum(axis=0))
    limits = (bias - Z_95 * sd, bias + Z_95 * sd)
    return BlandAltman(bias, sd, limits, float(intercept), float(slope), a.size, model)


def regression_limit(
    mean: ArrayLike, intercept: float, slope: float, model: Model = "linear"
) -> Floats:
    """1.96 √(π/2) × a regression of |difference| at means of any shape, never below 0.

    Raises
    ------
    UsageError
        For a model that is not there.
    InputError
        `not_a_score` for a negative mean under a root.

    Example
    -------
    >>> float(regression_limit(100.0, 0.0, 2.0, "sqrt_origin").round(2))
    49.13
    """
    line = intercept + slope * _predictor(np.asarray(mean, dtype=np.float64), model)
    return np.maximum(Z_95 * SD_PER_MEAN_ABSOLUTE * line, 0.0)


def limit_interval(
    first: ArrayLike,
    second: ArrayLike,
    at: ArrayLike,
    model: Model = "linear",
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[Floats, Floats]:
    """Bootstrap 95 % interval, over patients, of the regression's limit at asked means.

    By percentiles. Where differences are Gaussian it holds the true limit in 92 of 100 studies of
    40 pairs, in 93 of 100 studies of 120 and 94 of 100 of 500.

    Parameters
    ----------
    first, second, model
        As in `bland_altman`.
    at
        Means of any shape.

    Returns
    -------
    low, high
        Of the shape of `at`, never below 0.

    Raises
    ------
    UsageError, InputError
        As in `bland_altman`.

    Example
    -------
    >>> low, high = limit_interval([10, 20, 30, 40], [12, 16, 36, 32], [15.0, 35.0])
    >>> bool((low <= high).all())
    True
    """
    a, b = _enough(*paired_numbers(first, second))
    line = _Line.of((a + b) / 2, np.abs(a - b), model)
    sums = resampled_sums(line.moments, resamples=resamples, seed=seed)
    intercept, slope = (part[:, None] for part in line.fit(sums))
    means = np.asarray(at, dtype=np.float64)
    lines = intercept + slope * _predictor(means.ravel(), model)
    limits = np.maximum(Z_95 * SD_PER_MEAN_ABSOLUTE * lines, 0.0)
    low, high = np.quantile(limits, TAILS_95, axis=0)
    return low.reshape(means.shape), high.reshape(means.shape)


@dataclass(frozen=True, eq=False)
class _Line:
    """A regression that is a function of sums over patients, so that resamples are quick.

    The predictor is centred and scaled first: sums of squares of large scores would lose the small
    ones' digits.
    """

    moments: Floats  # (n, 5): 1, x, y, x², xy of each patient
    centre: float
    scale: float
    through_origin: bool

    @classmethod
    def of(cls, mean: Floats, spread: Floats, model: Model) -> _Line:
        raw = _predictor(mean, model)
        through_origin = model == "sqrt_origin"
        centre = 0.0 if through_origin else float(raw.mean())
        scale = float(np.abs(raw).max()) or 1.0
        x = (raw - centre) / scale
        moments = np.stack([np.ones_like(x), x, spread, x * x, x * spread], axis=1)
        return cls(moments, centre, scale, through_origin)

    def fit(self, sums: Floats) -> tuple[Floats, Floats]:
        """Intercepts and slopes of (..., 5) sums; no slope where the means do not differ."""
        n, x, y, xx, xy = np.moveaxis(sums, -1, 0)
        if self.through_origin:
            return np.zeros_like(y), _ratio(xy, xx, 0.0) / self.scale
        slope = _ratio(xy - x * y / n, xx - x * x / n, n * _ROUNDING**2)
        intercept = (y - slope * x) / n - slope * self.centre / self.scale
        return intercept, slope / self.scale


def _ratio(above: Floats, below: Floats, least: Floats | float) -> Floats:
    ratio = np.zeros_like(below)
    return np.divide(above, below, out=ratio, where=below > least)


def _predictor(mean: Floats, model: Model) -> Floats:
    if model not in MODELS:
        raise UsageError(f"no model {model!r} of the limits: there are {', '.join(MODELS)}")
    if model == "linear":
        return mean
    if not np.all(mean >= 0):
        raise InputError(
            "not_a_score",
            f"a mean of {np.min(mean):g} came and {model} takes its root: scores are 0 or more",
        )
    return np.sqrt(mean)


def _enough(a: Floats, b: Floats) -> tuple[Floats, Floats]:
    if a.size < LEAST_PAIRS:
        raise InputError("too_few", f"{a.size} pairs came, limits need {LEAST_PAIRS} or more")
    return a, b
