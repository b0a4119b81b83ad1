"""Whether a patient's score changed or was only measured twice; it does not know who scored it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isfinite
from typing import Any, Literal

from scipy import stats

from cacnb.errors import UsageError
from cacnb.study.bland_altman import Z_95
from cacnb.study.pairs import paired_scores
from cacnb.study.repeat import RepeatStudy
from cacnb.study.resampling import Interval

Kind = Literal["both_positive", "from_zero", "to_zero", "both_zero"]

#: By whether baseline and follow-up have calcium.
KINDS: dict[tuple[bool, bool], Kind] = {
    (True, True): "both_positive",
    (False, True): "from_zero",
    (True, False): "to_zero",
    (False, False): "both_zero",
}


@dataclass(frozen=True)
class Change:
    """A patient's change between two scans, beside what scanning twice alone would show.

    Parameters
    ----------
    score
        What was scored, and in which unit.
    baseline, followup
        The two scores.
    repeat
        Where the limits are from.
    years
        Between the scans, where given.
    limit, limit_ci95
        The repeat limit at the pair's mean, and its bootstrap interval where the study's pairs are
        known. Beside a zero the limit is one on the other score, `RepeatStudy.limit_beside_zero`.
        None where the study tells none for such scores.
    outside
        Whether the change lies beyond the limit; None without one.
    probability
        Of a change at least this large, either way, with nothing changed; None without a limit.
        With calcium in both scans 2 (1 − Φ(|d| / σ)), the differences at a mean being normal with
        σ = limit / 1.96. Beside a zero (k + 1) / (n + 1): of the study's n scans of 0, k have this
        score or more in the other scan; so it is never 0, and never small from few zeros.
    n_as_far
        Pairs of the repeat study at least as far out, for their own limit (beside a zero: the k
        above); None where its pairs are not known.
    """

    score: str
    baseline: float
    followup: float
    repeat: RepeatStudy
    years: float | None = None
    limit: float | None = None
    limit_ci95: Interval | None = None
    outside: bool | None = None
    probability: float | None = None
    n_as_far: int | None = None

    @property
    def kind(self) -> Kind:
        """Which of the two scans have calcium."""
        return KINDS[self.baseline > 0, self.followup > 0]

    @property
    def extrapolated(self) -> bool:
        """Whether both scans have calcium, and no pair of the repeat study has such a mean."""
        between = self.repeat.mean_range
        if between is None or self.kind != "both_positive":
            return False
        return not between[0] <= self.mean <= between[1]

    @property
    def change(self) -> float:
        """Follow-up − baseline."""
        return self.followup - self.baseline

    @property
    def mean(self) -> float:
        """Mean of the two scores."""
        return (self.baseline + self.followup) / 2

    @property
    def percent_change(self) -> float | None:
        """Of the baseline; None from 0."""
        return 100 * self.change / self.baseline if self.baseline > 0 else None

    @property
    def percent_change_per_year(self) -> float | None:
        """Percent of the baseline each year, in a straight line; None from 0 or without years."""
        percent = self.percent_change
        return None if percent is None or self.years is None else percent / self.years

    @property
    def change_per_year(self) -> float | None:
        """In the score's unit; None without years."""
        return None if self.years is None else self.change / self.years

    @property
    def statement(self) -> str:
        """What the probability says, in words and in counts."""
        said = "simulated " if self.repeat.simulated else ""
        if self.kind == "both_zero":
            return "No calcium was found in either scan: there is no change to judge."
        if self.probability is None:
            return f"The {said}repeat study tells no limit for such scores."
        if self.kind == "both_positive":
            counted = ""
            if self.n_as_far is not None:
                counted = f" Counted in the study: {self.n_as_far} of {self.repeat.n_pairs} pairs."
            return (
                f"A change this large is seen in {in_words(self.probability)} {said}repeat pairs "
                f"with this much calcium, in which nothing changed.{counted}"
            )
        found = max(self.baseline, self.followup)
        return (
            f"Of {self.repeat.n_zero_scans} scans scored 0 in the {said}repeat study, "
            f"{self.n_as_far} had {found:,.{0 if found >= 100 else 1}f} or more in the other scan, "
            "with nothing changed."
        )

    def as_json(self) -> dict[str, Any]:
        """One method's entry of `by_method` of `cacnb change --json`."""
        return {
            "score": self.score,
            "baseline": self.baseline,
            "followup": self.followup,
            "kind": self.kind,
            "change": self.change,
            "mean": self.mean,
            "percent_change": self.percent_change,
            "change_per_year": self.change_per_year,
            "percent_change_per_year": self.percent_change_per_year,
            "limit": self.limit,
            "limit_ci95": None if self.limit_ci95 is None else list(self.limit_ci95),
            "outside": self.outside,
            "probability": self.probability,
            "n_as_far": self.n_as_far,
            "extrapolated": self.extrapolated,
            "statement": self.statement,
            "reference": {
                "study": self.repeat.name,
                "n_pairs": self.repeat.n_pairs,
                "n_zero_scans": self.repeat.n_zero_scans,
                "model": self.repeat.model,
                "intercept": self.repeat.intercept,
                "slope": self.repeat.slope,
                "simulated": self.repeat.simulated,
            },
        }


def judge_change(
    baseline: float,
    followup: float,
    repeat: RepeatStudy,
    *,
    score: str = "score",
    years: float | None = None,
) -> Change:
    """A patient's change against the repeat limits of the same score by the same method.

    Parameters
    ----------
    baseline, followup
        Scores ≥ 0, in the unit of the repeat study's.
    score
        What they are, and in which unit.
    years
        Between the two scans.

    Raises
    ------
    InputError
        `not_a_score` for a score that is negative or no finite number.
    UsageError
        For years that are not above 0.

    Example
    -------
    >>> study = RepeatStudy("phantom", False, "sqrt_origin", 0.0, 2.0, n_pairs=50)
    >>> found = judge_change(100.0, 160.0, study)
    >>> round(found.limit, 1), found.outside, round(found.probability, 3)
    (56.0, True, 0.036)
    """
    a, b = (float(values[0]) for values in paired_scores([baseline], [followup]))
    if years is not None and not (isfinite(years) and years > 0):
        raise UsageError(f"{years} years between the scans came: a number above 0 was wanted")
    change = Change(score, a, b, repeat, years)
    if change.kind == "both_zero":
        return replace(change, outside=False, probability=1.0)
    return _between_positives(change) if change.kind == "both_positive" else _beside_zero(change)


def _between_positives(change: Change) -> Change:
    repeat, size = change.repeat, abs(change.change)
    limit = float(repeat.limit_at(change.mean))
    # A line that falls below 0 tells nothing there: a limit of 0 would call every change real.
    if limit == 0:
        return change
    known = repeat.pairs.size > 0
    return replace(
        change,
        limit=limit,
        limit_ci95=repeat.limit_ci95_at(change.mean) if known else None,
        outside=size > limit,
        probability=float(2 * stats.norm.sf(Z_95 * size / limit)),
        n_as_far=repeat.count_as_far(size / limit) if known else None,
    )


def _beside_zero(change: Change) -> Change:
    repeat, found = change.repeat, max(change.baseline, change.followup)
    zeros, limit = repeat.n_zero_scans, repeat.limit_beside_zero
    if zeros == 0:
        return change
    as_far = int((repeat.beside_zero >= found).sum())
    return replace(
        change,
        limit=limit,
        outside=None if limit is None else found > limit,
        probability=(as_far + 1) / (zeros + 1),
        n_as_far=as_far,
    )


def in_words(probability: float) -> str:
    """A probability as people count: so many of 100, or of 1,000.

    Example
    -------
    >>> [in_words(p) for p in (0.999, 0.31, 0.0341, 0.0042, 0.00004)]
    ['99 of 100', '31 of 100', '3 of 100', '4 of 1,000', 'fewer than 1 of 1,000']
    """
    if probability >= 0.01:
        return f"{min(round(100 * probability), 99)} of 100"
    if probability >= 0.001:
        return f"{round(1000 * probability)} of 1,000"
    return "fewer than 1 of 1,000"
