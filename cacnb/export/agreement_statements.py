"""Each number of an agreement with what it means, for someone who meets it for the first time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cacnb.export.number_words import fixed, interval, percent, percent_interval, score
from cacnb.study.bland_altman import SD_PER_MEAN_ABSOLUTE, Z_95

#: What the limits' regression is on, by the name of its model.
_GROWS_WITH = {"linear": "mean", "sqrt": "√mean", "sqrt_origin": "√mean"}


@dataclass(frozen=True)
class Statement:
    """A number as people read it, its 95 % interval ("" without one), and a sentence on it."""

    name: str
    value: str
    interval: str
    meaning: str


def agreement_statements(found: Mapping[str, Any]) -> dict[str, list[Statement]]:
    """What `cacnb agree` found, in groups with a heading each.

    Parameters
    ----------
    found
        The object that `cacnb.agree.agree` returns; a number that is None reads –.

    Example
    -------
    >>> groups = agreement_statements(
    ...     {"first": "scan", "second": "rescan", "n_pairs": 4, "n_missing": 0,
    ...      "n_both_positive": 2, "n_discordant": 1,
    ...      "relative_difference": {"any_positive": 0.9, "both_positive": 0.4},
    ...      "icc": {"value": 0.9, "ci95": [0.4, 1.0]},
    ...      "bland_altman": {"bias": 1.0, "sd": 2.0, "limits": [-2.9, 4.9],
    ...                       "regression": {"intercept": 1.0, "slope": 0.1}},
    ...      "risk_category": {"kappa_linear": None, "ci95": None, "accuracy": 1.0}}
    ... )
    >>> groups["Relative difference"][0].value
    '40 %'
    """
    return {
        "Pairs": _pairs(found),
        "Relative difference": _relative(found["relative_difference"]),
        "Correlation within patients": _correlation(found["icc"], found.get("ccc") or {}),
        "Limits of agreement": _limits(found["bland_altman"]),
        "Risk categories": _risk(found["risk_category"]),
    }


def _pairs(found: Mapping[str, Any]) -> list[Statement]:
    n, both, apart = (found[key] for key in ("n_pairs", "n_both_positive", "n_discordant"))
    missing = found.get("n_missing", 0)
    left_out = (
        f"Rows with both scores; {missing} without one of them "
        f"{'was' if missing == 1 else 'were'} left out."
        if missing
        else "Rows with both scores; none was left out."
    )
    said = "One score is 0, the other is not."
    if calls := found.get("calls"):
        said += (
            f" The first alone found calcium in {calls['first_only']}, "
            f"the second alone in {calls['second_only']}."
        )
    return [
        Statement("Pairs", f"{n:,}", "", left_out),
        Statement("Both above 0", f"{both:,}", "", "Calcium by both scores."),
        Statement("Discordant", f"{apart:,}", "", said),
        Statement("Both 0", f"{n - both - apart:,}", "", "No calcium by either score."),
    ]


def _relative(found: Mapping[str, Any]) -> list[Statement]:
    def share(key: str, meaning: str, name: str) -> Statement:
        ends = percent_interval(found.get(f"{key}_ci95"))
        return Statement(name, percent(found[key]), ends, meaning)

    return [
        share(
            "both_positive",
            "How far two scores of a patient lie apart, as a share of their mean, on average over "
            "pairs with both above 0. 0 % is perfect; 67 % is one score twice the other.",
            "Both above 0",
        ),
        share(
            "any_positive",
            "The same over all pairs with any calcium. A discordant pair counts 200 %, whatever "
            "its size, and so a few of them weigh much.",
            "Any above 0",
        ),
    ]


def _correlation(icc: Mapping[str, Any], ccc: Mapping[str, Any]) -> list[Statement]:
    out = [
        Statement(
            "ICC", fixed(icc["value"]), interval(icc.get("ci95")),
            "The share of all variation that is between patients and not between the two scores of "
            "one: 1 is perfect, 0 none. ICC(A,1), two-way random, absolute agreement; interval "
            "bootstrapped over patients. A few very high scores can carry it.",
        )
    ]  # fmt: skip
    logs = icc.get("log1p")
    if logs:
        out.append(
            Statement(
                "ICC of log(1 + score)", fixed(logs["value"]),
                interval(logs.get("ci95")),
                "The same when a step from 10 to 20 counts like one from 100 to 200. Where it is "
                "much below the ICC, low scores agree worse than high ones.",
            )
        )  # fmt: skip
    if ccc:
        out.append(
            Statement(
                "Concordance (Lin)", fixed(ccc["value"]), interval(ccc.get("ci95")),
                "How closely the points lie on the line of equal scores, 1 at most; near the ICC "
                "where the pairs are many.",
            )
        )  # fmt: skip
    return out


def _limits(found: Mapping[str, Any]) -> list[Statement]:
    low, high = found["limits"]
    regression = found["regression"]
    return [
        Statement(
            "Bias", score(found["bias"]), interval(found.get("bias_ci95"), score),
            "First − second on average, in the scores' unit: above 0 where the first is higher.",
        ),
        Statement(
            "Constant limits", f"{score(low)} to {score(high)}", "",
            "Holds 95 of 100 differences if they are as large for small scores as for large ones. "
            "Calcium scores seldom are like that: look at the plot.",
        ),
        Statement(
            "Limits that widen", _widening(regression, found.get("model", "linear")), "",
            "Holds 95 of 100 differences at each mean: two scores of a patient that differ by more "
            "have changed by more than repeating the scan explains. From a regression of "
            "|first − second| on the mean (Sevrukov 2005); never below 0.",
        ),
    ]  # fmt: skip


def _widening(regression: Mapping[str, Any], model: str) -> str:
    intercept, slope = (
        Z_95 * SD_PER_MEAN_ABSOLUTE * regression[key] for key in ("intercept", "slope")
    )
    grows = _GROWS_WITH[model]
    if model == "sqrt_origin":
        return f"± {score(slope)} × {grows}"
    sign = "−" if slope < 0 else "+"
    return f"± ({score(intercept)} {sign} {score(abs(slope))} × {grows})"


def _risk(found: Mapping[str, Any]) -> list[Statement]:
    out = [
        Statement(
            "Weighted κ", fixed(found["kappa_linear"]), interval(found.get("ci95")),
            "Agreement of the categories 0–10, 11–100, 101–400 and above 400 beyond chance, nearer "
            "misses weighing less (linear): 1 is perfect, 0 is chance. Only for Agatston scores.",
        )
    ]  # fmt: skip
    if found.get("kappa_quadratic") is not None:
        out.append(
            Statement(
                "κ, quadratic weights", fixed(found["kappa_quadratic"]),
                interval(found.get("kappa_quadratic_ci95")),
                "The same, a miss by two categories weighing four times one by one.",
            )
        )  # fmt: skip
    accuracy = found["accuracy"]
    out.append(
        Statement(
            "Same category", percent(accuracy), percent_interval(found.get("accuracy_ci95")),
            "Patients whose two scores fall into one category.",
        )
    )  # fmt: skip
    return out
