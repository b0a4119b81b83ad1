"""Whether scores repeat in a study's pairs: its tables and figures beside the paper's numbers.

Every statistic is the evaluation's own; intervals are bootstrapped over patients.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd

from cacnb.change.comparison import Comparison, compare
from cacnb.errors import InputError
from cacnb.evaluation.references import METHODS
from cacnb.evaluation.scores import pair_table, score_table
from cacnb.evaluation.tables import (
    LEAST_PAIRS,
    reproducibility,
    risk_categories,
    scaled_agatston,
)
from cacnb.export.chart_pairs import ScorePairs, bland_altman_chart
from cacnb.export.chart_words import LOOKS, label_of
from cacnb.export.paper_numbers import PAPER
from cacnb.lessons.figure import Figure
from cacnb.lessons.missing import Missing
from cacnb.studies import Study
from cacnb.study.bland_altman import bland_altman
from cacnb.study.relative_difference import pair_differences

NO_PAIRS = Missing(
    "this study has no pair of two scored scans: give two scans of one patient one name in the "
    "column `pair` of cohort.csv (`cacnb study pair DIR` proposes them), then score_study(study)"
)

#: Relative difference of scan pairs that are positive in both scans (section 5.3, RTP_test1).
PAPER_DIFFERENCES = {
    "proposed": 0.47,
    "clinical_manual": PAPER["repeat", "clinical_manual", "", "relative_difference_both_positive"]
    .value,
    "clinical_automatic": 1.14,
}  # fmt: skip


def pair_scores(study: Study) -> pd.DataFrame | Missing:
    """Both scans' pseudo-mass (HU·mm³) of each pair by each method, and how far they are apart.

    Returns
    -------
    DataFrame
        By pair: `<method> 1`, `<method> 2`, `<method> Δ`: |m₁ − m₂| over their mean, missing where
        both are 0. The second scan is the one in breath-hold, where the cohort says which is.
    """
    pairs = _pairs(study)
    if isinstance(pairs, Missing):
        return pairs
    table = {}
    for method in _methods(pairs):
        first, second = (pairs[f"{method}_mass_{n}"].to_numpy(float) for n in (1, 2))
        name = label_of(method)
        table[f"{name} 1"], table[f"{name} 2"] = first.round(), second.round()
        table[f"{name} Δ"] = np.round(pair_differences(first, second), 2)
    return pd.DataFrame(table, index=pairs.index)


def differences_beside_paper(study: Study) -> pd.DataFrame | Missing:
    """Mean relative difference of the pseudo-mass by method, with intervals, beside the paper's."""
    pairs = _pairs(study)
    if isinstance(pairs, Missing):
        return pairs
    rows = {}
    for row in reproducibility(pairs, _methods(pairs)):
        method = row["method"]
        rows[label_of(method)] = {
            "pairs": row["n_pairs"],
            "Δ, any positive": _number(row["relative_difference_any_positive"]),
            "95 % of it": _interval(row["relative_difference_any_positive_ci95"]),
            "positive in both": row["n_both_positive"],
            "Δ, both positive": _number(row["relative_difference_both_positive"]),
            "95 %": _interval(row["relative_difference_both_positive_ci95"]),
            "paper, both positive": PAPER_DIFFERENCES[method],
        }
    return _named(rows, study)


def icc_beside_paper(study: Study) -> pd.DataFrame | Missing:
    """ICC(A,1) of each score with both of its intervals, and of log(1 + score).

    The F interval asks for normal scores; where most are 0 it is far too narrow.
    """
    pairs = _pairs(study)
    if isinstance(pairs, Missing):
        return pairs
    rows = {}
    for row in reproducibility(pairs, _methods(pairs)):
        method = row["method"]
        for score, name in (("mass", "pseudo-mass"), ("agatston", "Agatston")):
            paper = PAPER.get(("repeat", method, "", f"icc_{score}"))
            rows[f"{label_of(method)}, {name}"] = {
                "ICC": _number(row[f"icc_{score}"]),
                "95 % by F": _interval(row[f"icc_{score}_ci95_f"]),
                "95 % by bootstrap": _interval(row[f"icc_{score}_ci95"]),
                "ICC of log(1 + score)": _number(row[f"icc_{score}_log1p"]),
                "paper, Table 4": "–" if paper is None else f"{paper.value:.2f}",
            }
    return _named(rows, study)


def widening_limits(study: Study) -> Figure | Missing:
    """Bland–Altman of the Agatston scores of both scans, limits regressed on the mean (Figure 8).

    The proposed scores are scaled to the clinical range, as the paper's are.
    """
    pairs = _pairs(study)
    if isinstance(pairs, Missing):
        return pairs
    if len(pairs) < LEAST_PAIRS:
        return Missing(f"{len(pairs)} pairs came, limits of agreement need {LEAST_PAIRS} or more")
    panels, said = [], []
    for method in _methods(pairs):
        first, second = scaled_agatston(pairs, method)
        label = LOOKS[method].label + (", scaled" if method == "proposed" else "")
        found = bland_altman(first, second)
        panels.append((ScorePairs(label, first, second, method), found))
        limits = found.limit_at([0.0, 100.0])
        said.append(f"{label}: ± {limits[0]:.0f} at a mean of 0, ± {limits[1]:.0f} at 100")
    kind = ", simulated" if study.simulated else ""
    return Figure(
        bland_altman_chart(panels, unit="Agatston score", simulated=study.simulated),
        f"Difference against mean Agatston score of {len(pairs)} scan pairs{kind}, with 95 % "
        f"limits that follow the mean. {'; '.join(said)}.",
    )


def categories_beside_paper(study: Study) -> pd.DataFrame | Missing:
    """Agreement of the two scans' risk categories: linearly weighted κ and accuracy (Table 5)."""
    pairs = _pairs(study)
    if isinstance(pairs, Missing):
        return pairs
    rows = {}
    for row in risk_categories(pairs, _methods(pairs)):
        if row["pairs"] == "all":
            paper = {
                key: PAPER["risk", row["method"], "all", key]
                for key in ("kappa_linear", "accuracy")
            }
            rows[label_of(row["method"])] = {
                "pairs": row["n_pairs"],
                "κ": _number(row["kappa_linear"]),
                "95 %": _interval(row["kappa_linear_ci95"]),
                "same category": _number(row["accuracy"]),
                "paper, κ": f"{paper['kappa_linear'].value} "
                f"({_interval(paper['kappa_linear'].ci95)})",
                "paper, same": paper["accuracy"].value,
            }
    return _named(rows, study)


def judged_change(study: Study) -> pd.DataFrame | Missing:
    """The pair whose scores differ most, judged as if it were baseline and follow-up.

    The limits are those of the study's other 10 or more pairs with calcium twice, where it has so
    many, else those in the packaged weights' card: 100 simulated people scanned twice.
    """
    pairs = _pairs(study)
    if isinstance(pairs, Missing):
        return pairs
    apart = (pairs["proposed_mass_1"] - pairs["proposed_mass_2"]).abs()
    pair = pairs.iloc[int(apart.argmax())]
    scans = [str(pair[f"scan_{n}"]) for n in (1, 2)]
    files = [str(study.folder / "scores" / f"{scan}.json") for scan in scans]
    try:
        found = _compared(files, study)
    except InputError as error:
        return Missing(f"this pair cannot be judged: {error.message}")
    rows = {
        change.score: {
            "first scan": round(change.baseline, 1), "second scan": round(change.followup, 1),
            "limit": None if change.limit is None else round(change.limit, 1),
            "outside": change.outside,
            "probability": None if change.probability is None else round(change.probability, 3),
        }
        for change in found.by_method.values()
    }  # fmt: skip
    return _named(rows, study)


def _compared(files: list[str], study: Study) -> Comparison:
    try:
        return compare(files[0], files[1], repeat=study.folder)
    except InputError as error:
        if error.code not in ("too_few", "no_scores", "no_pairs"):
            raise
    return compare(files[0], files[1])


def _pairs(study: Study) -> pd.DataFrame | Missing:
    """`pair_table` of the study's scores with the reader's where they are kept."""
    if "pair" not in study.cohort:
        return NO_PAIRS
    try:
        scans = score_table(study.folder, _kept_comparisons(study))
    except InputError:  # no scan is scored
        return NO_PAIRS
    if not (scans["proposed_mass"].notna() & scans["pair"].notna()).any():
        return NO_PAIRS
    pairs = pair_table(scans)
    return pairs if len(pairs) else NO_PAIRS


def _kept_comparisons(study: Study) -> dict[str, dict[str, Any]]:
    """What an evaluation of the study kept beside its scores; nothing is compared anew."""
    return {
        file.name.split(".")[0]: json.loads(file.read_text(encoding="utf-8"))
        for file in sorted((study.folder / "scores").glob("*.compared.json"))
    }


def _methods(pairs: pd.DataFrame) -> list[str]:
    """The methods that scored any pair, the proposed one first."""
    return [m for m in METHODS if pairs[f"{m}_mass_1"].notna().any()]


def _named(rows: dict[str, dict[str, Any]], study: Study) -> pd.DataFrame:
    kind = "simulated scans" if study.simulated else "scans"
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(kind)


def _number(value: float | None) -> str:
    return "–" if value is None or not np.isfinite(value) else f"{value:z.2f}"


def _interval(interval: tuple[float, float] | None) -> str:
    return "–" if interval is None else f"{interval[0]:z.2f} … {interval[1]:z.2f}"
