"""The paper's tables of a scored study: detection, repeatability, categories, comparisons."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cacnb.errors import InputError
from cacnb.evaluation.scores import artery_pairs
from cacnb.scoring.risk import RISK_CATEGORIES, risk_category, scale_to_clinical
from cacnb.study.bland_altman import bland_altman
from cacnb.study.comparison import (
    PairedDifference,
    compare_icc,
    compare_kappa,
    compare_relative_differences,
    mcnemar,
)
from cacnb.study.detection import count_detections, wilson_interval
from cacnb.study.intraclass import icc, icc_interval, icc_log1p
from cacnb.study.kappa import weighted_kappa
from cacnb.study.relative_difference import relative_difference, relative_difference_interval
from cacnb.study.repeatability import repeatability

Rows = list[dict[str, Any]]
Floats = NDArray[np.float64]
T = TypeVar("T")

#: Fewer pairs than this give no interval worth printing.
LEAST_PAIRS = 3

#: Scores at which the limits that grow with the score are told.
LIMITS_AT = (10.0, 100.0, 400.0)


def detection(scans: pd.DataFrame, methods: list[str]) -> Rows:
    """Figure 6A: whether a scan that shows CAC to the reader has a score, and one that does not."""
    if "visible" not in scans:
        return []
    rows = []
    for method in methods:
        known = scans[scans[f"{method}_mass"].notna() & scans["visible"].notna()]
        found = count_detections(
            known["visible"].to_numpy(bool), (known[f"{method}_mass"] > 0).to_numpy(bool)
        )
        rows.append(
            {
                "method": method,
                **{
                    key: getattr(found, key)
                    for key in (
                        "sensitivity", "sensitivity_ci95", "false_positive_rate",
                        "false_positive_rate_ci95", "f1", "f1_ci95", "accuracy", "accuracy_ci95",
                        "true_positive", "false_positive", "false_negative", "true_negative",
                    )
                },
            }
        )  # fmt: skip
    return rows


def detection_per_artery(arteries: pd.DataFrame, methods: list[str]) -> Rows:
    """Table 3A: arteries in which the reader painted CAC and the method finds some there too.

    `single` counts scans' arteries, `pairs` those that show CAC in both scans of a patient.
    """
    if arteries.empty:
        return []
    shown, pairs = arteries[arteries["visible"]], artery_pairs(arteries)
    rows = []
    for method in methods:
        for artery in ("CAC", *shown["artery"].unique()):
            one = _of(shown, artery)
            two = _of(pairs, artery)
            found = one[f"{method}_mass"] > 0
            both = (two[f"{method}_mass_1"] > 0) & (two[f"{method}_mass_2"] > 0)
            rows.append(
                {
                    "method": method, "artery": artery,
                    "n_single": len(one), "detected_single": int(found.sum()),
                    "sensitivity": _share(int(found.sum()), len(one)),
                    "sensitivity_ci95": wilson_interval(int(found.sum()), len(one)),
                    "n_pairs": len(two), "detected_pairs": int(both.sum()),
                    "pair_sensitivity": _share(int(both.sum()), len(two)),
                    "pair_sensitivity_ci95": wilson_interval(int(both.sum()), len(two)),
                }
            )  # fmt: skip
    return rows


def reproducibility_per_artery(arteries: pd.DataFrame, methods: list[str]) -> Rows:
    """Table 3B: relative differences of the pseudo-mass of arteries that show CAC twice."""
    if arteries.empty:
        return []
    pairs = artery_pairs(arteries)
    return [
        {"method": method, "artery": artery, **_differences(*_two(_of(pairs, artery), method))}
        for method in methods
        for artery in ("CAC", *arteries["artery"].unique())
    ]


def reproducibility(pairs: pd.DataFrame, methods: list[str]) -> Rows:
    """Table 4 and Figure 6B: relative differences, ICC, limits of agreement of scan pairs."""
    rows = []
    for method in methods:
        known = _known(pairs, method)
        row: dict[str, Any] = {"method": method, **_differences(*_two(known, method))}
        for score in ("mass", "agatston"):
            first, second = _two(known, method, score)
            row |= _icc(f"icc_{score}", first, second)
            both = (first > 0) & (second > 0)
            row |= _icc(f"icc_{score}_both_positive", first[both], second[both])
        rows.append(row)
    return rows


def limits(pairs: pd.DataFrame, methods: list[str]) -> Rows:
    """Figure 8: Bland–Altman limits of the Agatston scores by each model, and repeatability.

    The proposed scores are scaled to the clinical range, as the paper's are.
    """
    rows = []
    for method in methods:
        first, second = scaled_agatston(_known(pairs, method), method)
        if len(first) < LEAST_PAIRS:
            continue
        within = repeatability(first, second)
        for model in ("linear", "sqrt", "sqrt_origin"):
            found = bland_altman(first, second, model)
            rows.append(
                {
                    "method": method, "model": model, "n": found.n, "bias": found.bias,
                    "sd": found.sd, "limits": list(found.limits), "intercept": found.intercept,
                    "slope": found.slope,
                    **{
                        f"limit_at_{at:g}": float(limit)
                        for at, limit in zip(LIMITS_AT, found.limit_at(LIMITS_AT), strict=True)
                    },
                    "repeatability_coefficient": within.coefficient,
                }
            )  # fmt: skip
    return rows


def risk_categories(pairs: pd.DataFrame, methods: list[str]) -> Rows:
    """Table 5: agreement of the risk categories of two scans.

    `both_positive_by_automatic` are the pairs in which automatic clinical scoring finds CAC twice.
    """
    rows = []
    for name in ("all", "both_positive_by_automatic"):
        for method in methods:
            known = _known(pairs, method)
            first, second = categories(known, method)
            if name != "all":
                twice = np.minimum(*_two(known, "clinical_automatic", "agatston")) > 0
                first, second = first[twice], second[twice]
            row: dict[str, Any] = {"method": method, "pairs": name, "n_pairs": len(first)}
            told = partial(weighted_kappa, list(first), list(second), RISK_CATEGORIES)
            linear, quadratic = _or_none(told), _or_none(partial(told, "quadratic"))
            same = int((first == second).sum())
            rows.append(
                {
                    **row,
                    "kappa_linear": linear and linear.value,
                    "kappa_linear_ci95": linear and linear.ci95,
                    "kappa_quadratic": quadratic and quadratic.value,
                    "accuracy": _share(same, len(first)),
                    "accuracy_ci95": wilson_interval(same, len(first)),
                }
            )
    return rows


def comparison(scans: pd.DataFrame, pairs: pd.DataFrame, methods: list[str]) -> Rows:
    """The proposed method less each clinical one on the same patients, with interval and test."""
    rows = []
    for other in (m for m in methods if m != "proposed"):
        for statistic, test in _tests(scans, pairs, ("proposed", other)).items():
            found = _or_none(test)
            rows.append(
                {
                    "one": "proposed", "other": other, "statistic": statistic,
                    "n": found and found.n, "difference": found and found.value,
                    "difference_ci95": found and found.ci95,
                    "p_value": found and found.p_value, "test": found and found.test,
                }
            )  # fmt: skip
    return rows


def _tests(
    scans: pd.DataFrame, pairs: pd.DataFrame, names: tuple[str, str]
) -> dict[str, Callable[[], PairedDifference]]:
    """The paired comparison of two methods by each statistic, still to be made."""
    pairs = _known(pairs, *names)
    mass = [_two(pairs, name) for name in names]
    ratings = {
        score: [np.stack(_two(pairs, name, score), axis=1) for name in names]
        for score in ("mass", "agatston")
    }
    one, two = ((list(a), list(b)) for a, b in (categories(pairs, name) for name in names))
    tests: dict[str, Callable[[], PairedDifference]] = {
        "relative_difference_both_positive": partial(
            compare_relative_differences, *mass, both_positive=True
        ),
        "relative_difference_any_positive": partial(compare_relative_differences, *mass),
        **{f"icc_{score}": partial(compare_icc, *each) for score, each in ratings.items()},
        "kappa_linear": partial(compare_kappa, one, two, RISK_CATEGORIES),
    }
    if "visible" in scans:
        read = scans[scans[[f"{name}_mass" for name in names]].notna().all(axis=1)]
        for statistic, visible in (("sensitivity", True), ("specificity", False)):
            known = read[read["visible"] == visible]
            calls = [(known[f"{name}_mass"] > 0).to_numpy(bool) for name in names]
            tests[statistic] = partial(mcnemar, np.full(len(known), visible), *calls)
    return tests


def conventions(compared: dict[str, dict[str, Any]]) -> Rows:
    """How the reader's lesions score by each named convention: the same lesions, other numbers.

    Over the scans in which the reader picked lesions; a category changes against `literature`.
    """
    picked = [found["conventions"] for found in compared.values() if "conventions" in found]
    table = pd.DataFrame(picked)
    if table.empty or not (table["literature"] > 0).any():
        return []
    table = table[(table > 0).any(axis=1)]
    base = [risk_category(score) for score in table["literature"]]
    rows = []
    for name in table.columns:
        scores = table[name].astype(float)
        told: dict[str, Any] = {"convention": name, "n_scans": len(table)}
        if scores.isna().all():
            rows.append({**told, "agatston_mean": None})
            continue
        changed = [risk_category(score) != was for score, was in zip(scores, base, strict=True)]
        rows.append(
            {
                **told,
                "agatston_mean": float(scores.mean()), "agatston_median": float(scores.median()),
                "of_literature": float(scores.mean() / table["literature"].mean()),
                "without_a_score": int((scores == 0).sum()),
                "category_changes": int(np.sum(changed)),
            }
        )  # fmt: skip
    return rows


def scaled_agatston(pairs: pd.DataFrame, method: str) -> tuple[Floats, Floats]:
    """A method's Agatston scores of both scans, the proposed ones on the clinical range.

    Scaled by the ratio of the mean scores (under Table 5) to automatic clinical scoring.
    """
    first, second = _two(pairs, method, "agatston")
    if method != "proposed":
        return first, second
    own = np.concatenate([first, second])
    clinical = np.concatenate(_two(pairs, "clinical_automatic", "agatston"))
    scaled = _or_none(lambda: scale_to_clinical(own, clinical))
    if scaled is None:
        return first, second
    return scaled[: len(first)], scaled[len(first) :]


def categories(pairs: pd.DataFrame, method: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """The risk category of each pair's two scans by a method, (n,) each."""
    first, second = (
        np.array([risk_category(score) for score in scores], dtype=object)
        for scores in scaled_agatston(pairs, method)
    )
    return first, second


def _two(pairs: pd.DataFrame, method: str, score: str = "mass") -> tuple[Floats, Floats]:
    first, second = (pairs[f"{method}_{score}_{i}"].to_numpy(float) for i in (1, 2))
    return first, second


def _known(pairs: pd.DataFrame, *methods: str) -> pd.DataFrame:
    """The pairs that all of some methods scored: a reader may not have read all."""
    columns = [f"{method}_mass_{i}" for method in methods for i in (1, 2)]
    return pairs[pairs[columns].notna().all(axis=1)]


def _of(rows: pd.DataFrame, artery: str) -> pd.DataFrame:
    return rows if artery == "CAC" else rows[rows["artery"] == artery]


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _differences(first: Floats, second: Floats) -> dict[str, Any]:
    found = relative_difference(first, second)
    out: dict[str, Any] = {
        "n_pairs": found.n_pairs, "n_both_positive": found.n_both_positive,
        "n_discordant": found.n_discordant,
        "relative_difference_all_pairs": found.all_pairs,
    }  # fmt: skip
    for name, both, n in (
        ("any_positive", False, found.n_any_positive),
        ("both_positive", True, found.n_both_positive),
    ):
        out[f"relative_difference_{name}"] = getattr(found, name)
        out[f"relative_difference_{name}_ci95"] = (
            relative_difference_interval(first, second, both_positive=both)
            if n >= LEAST_PAIRS
            else None
        )
    return out


def _icc(name: str, first: Floats, second: Floats) -> dict[str, Any]:
    """ICC(A,1) with its interval over patients, the paper's F-based one, and that of log(1 + x)."""
    ratings = np.stack([first, second], axis=1)
    if len(ratings) < LEAST_PAIRS or np.ptp(ratings) == 0:
        return dict.fromkeys((name, f"{name}_ci95", f"{name}_ci95_f", f"{name}_log1p"))
    found = icc(ratings)
    return {
        name: found.single, f"{name}_ci95": icc_interval(ratings),
        f"{name}_ci95_f": found.ci95_f, f"{name}_log1p": icc_log1p(ratings),
    }  # fmt: skip


def _or_none(compute: Callable[[], T]) -> T | None:
    """A statistic, or None where these scores do not have it."""
    try:
        return compute()
    except InputError:
        return None
