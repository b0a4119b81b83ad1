"""Which figures a study has, drawn from its tables and pairs; what it lacks has no figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from altair.typing import ChartType

from cacnb.errors import InputError
from cacnb.export.chart_ablation import ablation_detection_chart, ablation_reproducibility_chart
from cacnb.export.chart_intervals import (
    artery_chart,
    difference_chart,
    scan_detection_chart,
    truth_group_chart,
)
from cacnb.export.chart_pairs import (
    ScorePairs,
    bland_altman_chart,
    scan_rescan_chart,
    truth_chart,
)
from cacnb.export.chart_parameters import parameter_chart
from cacnb.export.chart_words import LOOKS, label_of
from cacnb.scoring.risk import scale_to_clinical
from cacnb.study.bland_altman import LEAST_PAIRS, bland_altman

Rows = Sequence[Mapping[str, Any]]
Tables = Mapping[str, Rows]

#: Methods whose range the proposed scores are scaled to, the first that the study has.
SCALED_TO = ("clinical_automatic", "clinical_manual")


@dataclass(frozen=True, eq=False)
class Figure:
    """A chart with the name of its files, its caption, and where in the report it stands."""

    name: str
    section: str
    caption: str
    chart: ChartType


def table_figures(tables: Tables, *, simulated: bool) -> list[Figure]:
    """Figures of a study's tables: detection, arteries, ablation, differences, truth."""
    scans, repeat = tables.get("detection_per_scan", ()), tables.get("reproducibility", ())
    ablation, comparison = tables.get("ablation", ()), tables.get("comparison", ())
    single, again = (
        tables.get(f"{name}_per_artery", ()) for name in ("detection", "reproducibility")
    )
    figures = []
    if scans and not ablation:
        figures.append(
            Figure("detection_per_scan", "detection",
                   "Detection of visible calcium per scan, with 95 % intervals.",
                   scan_detection_chart(scans, simulated=simulated))
        )  # fmt: skip
    if single or again:
        figures.append(
            Figure("table_3", "detection",
                   "Table 3 as a picture: detection and relative difference of calcium mass per "
                   "artery, with 95 % intervals.",
                   artery_chart(single, again, simulated=simulated))
        )  # fmt: skip
    if ablation and any(row.get("sensitivity") is not None for row in ablation):
        figures.append(
            Figure("figure_6a", "ablation",
                   "Figure 6A. Detection without and with heart segmentation (HS) and slice "
                   "classification (CL). FPR: false positive rate. Lines: clinical methods.",
                   ablation_detection_chart(ablation, scans, simulated=simulated))
        )  # fmt: skip
    if any(row.get("relative_difference_any_positive") is not None for row in ablation):
        figures.append(
            Figure("figure_6b", "ablation",
                   "Figure 6B. Relative interscan difference without and with both steps, in all "
                   "pairs with any calcium and in positive pairs. Lines: clinical methods.",
                   ablation_reproducibility_chart(ablation, repeat, simulated=simulated))
        )  # fmt: skip
    if any(row.get("difference") is not None for row in comparison):
        figures.append(
            Figure("differences", "comparison",
                   "Differences between methods on the same scans, with paired 95 % intervals. An "
                   "interval that leaves the dashed line out shows a difference.",
                   difference_chart(comparison, simulated=simulated))
        )  # fmt: skip
    if tables.get("truth"):
        figures.append(
            Figure("truth_groups", "truth",
                   "Bias of calcium mass, and sensitivity, by group of simulated scans or lesions.",
                   truth_group_chart(tables["truth"]))
        )  # fmt: skip
    return figures


def pair_figures(pairs: pd.DataFrame, *, simulated: bool) -> list[Figure]:
    """Figure 8 on both kinds of axes, and scan against rescan, of Agatston scores.

    Parameters
    ----------
    pairs
        One row a pair, columns `<method>_agatston_1` and `_2`, NaN where a scan has no score.
    """
    scored = [
        _scores(pairs, method)
        for method in LOOKS
        if {f"{method}_agatston_1", f"{method}_agatston_2"} <= set(pairs.columns)
    ]
    scored = [scores for scores in scored if scores.first.size >= LEAST_PAIRS]
    if not scored:
        return []
    shown = [_scaled(pairs, scores) for scores in scored]
    fitted = [(scores, bland_altman(scores.first, scores.second)) for scores in shown]
    caption = (
        "Bland–Altman plots of Agatston scores: first − second scan against their mean, bias, and "
        "95 % limits of agreement from a regression of the absolute difference on the mean "
        "(Sevrukov 2005). The proposed scores are adjusted ones; where they are scaled to a "
        "clinical range, one factor for all leaves their agreement as it is."
    )
    return [
        Figure("figure_8", "reproducibility", f"Figure 8. {caption}",
               bland_altman_chart(fitted, unit="Agatston score", simulated=simulated)),
        Figure("figure_8_log", "reproducibility",
               "Figure 8 on axes that are linear around 0 and logarithmic beyond, so that low "
               "scores are seen.",
               bland_altman_chart(fitted, unit="Agatston score", simulated=simulated,
                                  axis="symlog")),
        Figure("scan_rescan", "reproducibility",
               "Agatston scores of scan and rescan; on the dotted line they are equal.",
               scan_rescan_chart(scored, unit="Agatston score", simulated=simulated)),
    ]  # fmt: skip


def mass_figure(masses: pd.DataFrame, truth: Rows) -> Figure | None:
    """Measured against true mass of simulated scans: columns `truth_mg` and `<method>_mg`."""
    methods = [method for method in LOOKS if f"{method}_mg" in masses]
    if masses.empty or not methods:
        return None
    whole = {row["method"]: row for row in truth if row.get("group") in (None, "all")}
    notes = {method: _accuracy(whole[method]) for method in methods if method in whole}
    chart = truth_chart(
        masses["truth_mg"].to_numpy(float),
        {method: masses[f"{method}_mg"].to_numpy(float) for method in methods},
        notes=notes,
    )
    caption = "Measured against true calcium mass of each simulated scan; dotted: equal."
    return Figure("truth", "truth", caption, chart)


def tried_figure(tried: Rows, chosen: int, *, simulated: bool) -> Figure:
    """Figure 5: what validation said of the parameters that were tried."""
    return Figure(
        "figure_5",
        "parameters",
        "Figure 5. F1 score per scan and relative difference in concordant positive pairs of the "
        "validation set for each setting that was tried.",
        parameter_chart(tried, chosen=chosen, simulated=simulated),
    )


def _scored(pairs: pd.DataFrame, method: str) -> bool:
    column = f"{method}_agatston_1"
    return column in pairs and bool(pairs[column].notna().any())


def _scores(pairs: pd.DataFrame, method: str) -> ScorePairs:
    both = pairs[[f"{method}_agatston_1", f"{method}_agatston_2"]].to_numpy(float)
    both = both[np.isfinite(both).all(axis=1)]
    return ScorePairs(label_of(method), both[:, 0], both[:, 1], method)


def _scaled(pairs: pd.DataFrame, scores: ScorePairs) -> ScorePairs:
    """The proposed scores on a clinical range, said so; others, or without a range, as they are."""
    to = next((method for method in SCALED_TO if _scored(pairs, method)), None)
    if scores.method != "proposed" or to is None:
        return scores
    columns = [f"{method}_agatston_{n}" for method in ("proposed", to) for n in (1, 2)]
    known = pairs[columns].dropna().to_numpy(float)
    try:
        factor = _factor(known[:, :2], known[:, 2:])
    except InputError:
        # One of the methods found no calcium at all: there is no range to scale to.
        return scores
    return ScorePairs(
        f"{scores.label}, scaled",
        scores.first * factor,
        scores.second * factor,
        scores.method,
        (f"× {factor:.2f}, the range of {label_of(to).lower()}",),
    )


def _factor(ours: np.ndarray[Any, Any], theirs: np.ndarray[Any, Any]) -> float:
    return float(scale_to_clinical(ours, theirs).mean() / ours.mean())


def _accuracy(row: Mapping[str, Any]) -> list[str]:
    said = []
    if row.get("mass_bias_percent") is not None:
        said.append(f"bias {row['mass_bias_percent']:+.0f} %".replace("-", "−"))
    if row.get("mass_r") is not None:
        said.append(f"r {row['mass_r']:.2f}")
    return [", ".join(said)] if said else []
