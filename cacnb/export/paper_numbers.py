"""What the paper reports, to stand beside a study's own numbers; it is compared with nothing."""

from __future__ import annotations

from dataclasses import dataclass

#: The paper's data sets: 119 pairs with labels, and 1,543 pairs without (its Table 1).
TEST1, TEST2, LESIONS = "RTP_test1", "RTP_test2", "RTP_testlesions"


@dataclass(frozen=True)
class PaperNumber:
    """A number of the paper as printed, its interval and `count` where it has them, its place."""

    value: float
    place: str
    ci95: tuple[float, float] | None = None
    count: int | None = None


#: Table 3, by method and artery: lesions found of 102, 62, 28 and 12 as count and share, the same
#: in both scans of a pair, Δ_R of all and of concordant positive artery pairs.
_TABLE_3 = {
    "proposed": {
        "CAC": (81, 0.79, 34, 0.67, 0.95, 0.55), "LAD": (57, 0.92, 26, 0.84, 0.84, 0.61),
        "RCA": (16, 0.57, 5, 0.36, 1.25, 0.35), "LCX": (8, 0.67, 3, 0.50, 0.99, 0.33),
    },
    "clinical_manual": {
        "CAC": (70, 0.69, 30, 0.59, 1.05, 0.77), "LAD": (53, 0.85, 23, 0.74, 1.00, 0.75),
        "RCA": (10, 0.36, 4, 0.29, 1.42, 1.14), "LCX": (7, 0.58, 3, 0.50, 0.84, 0.46),
    },
    "clinical_automatic": {
        "CAC": (64, 0.63, 26, 0.51, 1.15, 0.76), "LAD": (48, 0.77, 21, 0.68, 1.07, 0.81),
        "RCA": (9, 0.32, 2, 0.14, 1.63, 0.74), "LCX": (7, 0.58, 3, 0.50, 0.86, 0.48),
    },
}  # fmt: skip


def _table_3() -> dict[tuple[str, str, str, str], PaperNumber]:
    place = f"Table 3, {LESIONS}"
    out = {}
    for method, arteries in _TABLE_3.items():
        for artery, (single, share, pairs, pair_share, all_pairs, positive) in arteries.items():
            where = ("artery", method, artery)
            out[*where, "sensitivity"] = PaperNumber(share, place, count=single)
            out[*where, "pair_sensitivity"] = PaperNumber(pair_share, place, count=pairs)
            out[*where, "relative_difference_any_positive"] = PaperNumber(all_pairs, place)
            out[*where, "relative_difference_both_positive"] = PaperNumber(positive, place)
    return out


_SCAN = f"section 5.1, {TEST1}"
_HEART = "section 5, RTP_testHS, median and quartiles"
_SLICES = f"section 5, {TEST1}"
_REPEAT = f"Table 4, {TEST2}"
_REPEAT_TEXT = f"section 5.3, {TEST1}"
_RISK_1, _RISK_2 = f"Table 5, {TEST1}", f"Table 5, {TEST2}"

#: Every number that a study's tables have a place for, by table, method, row ("" where the table
#: has one a method) and column. The manual method was not run on RTP_test2: its Δ_R of positive
#: pairs is that of RTP_test1.
PAPER: dict[tuple[str, str, str, str], PaperNumber] = {
    ("scan", "proposed", "", "sensitivity"): PaperNumber(0.83, _SCAN),
    ("scan", "proposed", "", "false_positive_rate"): PaperNumber(0.14, _SCAN, count=21),
    ("scan", "proposed", "", "f1"): PaperNumber(0.80, _SCAN),
    ("scan", "clinical_manual", "", "sensitivity"): PaperNumber(0.69, _SCAN),
    ("scan", "clinical_automatic", "", "sensitivity"): PaperNumber(0.67, _SCAN),
    **_table_3(),
    ("repeat", "proposed", "", "relative_difference_any_positive"): PaperNumber(0.88, _REPEAT),
    ("repeat", "proposed", "", "icc_mass"): PaperNumber(0.97, _REPEAT, (0.96, 0.97)),
    ("repeat", "proposed", "", "icc_agatston"): PaperNumber(0.96, _REPEAT, (0.96, 0.96)),
    ("repeat", "proposed", "", "relative_difference_both_positive"): PaperNumber(0.44, _REPEAT),
    ("repeat", "proposed", "", "icc_mass_both_positive"): PaperNumber(0.96, _REPEAT, (0.96, 0.97)),
    ("repeat", "proposed", "", "icc_agatston_both_positive"): PaperNumber(
        0.95, _REPEAT, (0.95, 0.96)
    ),
    ("repeat", "clinical_manual", "", "relative_difference_both_positive"): PaperNumber(
        0.89, _REPEAT_TEXT
    ),
    ("repeat", "clinical_automatic", "", "relative_difference_any_positive"): PaperNumber(
        0.92, _REPEAT
    ),
    ("repeat", "clinical_automatic", "", "icc_mass"): PaperNumber(0.93, _REPEAT, (0.92, 0.94)),
    ("repeat", "clinical_automatic", "", "icc_agatston"): PaperNumber(0.91, _REPEAT, (0.91, 0.92)),
    ("repeat", "clinical_automatic", "", "relative_difference_both_positive"): PaperNumber(
        0.58, _REPEAT
    ),
    ("repeat", "clinical_automatic", "", "icc_mass_both_positive"): PaperNumber(
        0.92, _REPEAT, (0.90, 0.93)
    ),
    ("repeat", "clinical_automatic", "", "icc_agatston_both_positive"): PaperNumber(
        0.90, _REPEAT, (0.88, 0.92)
    ),
    ("network", "heart", "", "dice"): PaperNumber(0.95, _HEART, (0.94, 0.96)),
    ("network", "heart", "", "hausdorff_mm"): PaperNumber(15.0, _HEART, (11.0, 21.0)),
    ("network", "heart", "", "surface_mm"): PaperNumber(1.6, _HEART, (1.2, 2.2)),
    ("network", "slices", "", "accuracy"): PaperNumber(0.93, _SLICES),
    ("network", "slices", "", "sensitivity"): PaperNumber(0.78, _SLICES),
    ("network", "slices", "", "false_positive_rate"): PaperNumber(0.06, _SLICES),
    ("risk", "proposed", "all", "kappa_linear"): PaperNumber(0.82, _RISK_1, (0.71, 0.94)),
    ("risk", "proposed", "all", "accuracy"): PaperNumber(0.92, _RISK_1),
    ("risk", "clinical_manual", "all", "kappa_linear"): PaperNumber(0.63, _RISK_1, (0.42, 0.84)),
    ("risk", "clinical_manual", "all", "accuracy"): PaperNumber(0.92, _RISK_1),
    ("risk", "clinical_automatic", "all", "kappa_linear"): PaperNumber(0.64, _RISK_1, (0.41, 0.87)),
    ("risk", "clinical_automatic", "all", "accuracy"): PaperNumber(0.95, _RISK_1),
    ("risk", "proposed", "both_positive_by_automatic", "kappa_linear"): PaperNumber(
        0.77, _RISK_2, (0.72, 0.82)
    ),
    ("risk", "proposed", "both_positive_by_automatic", "accuracy"): PaperNumber(0.79, _RISK_2),
    ("risk", "clinical_automatic", "both_positive_by_automatic", "kappa_linear"): PaperNumber(
        0.67, _RISK_2, (0.61, 0.72)
    ),
    ("risk", "clinical_automatic", "both_positive_by_automatic", "accuracy"): PaperNumber(
        0.68, _RISK_2
    ),
}
