"""The paper's tables 3, 4 and 5, and detection per scan, of a study; the paper's numbers beside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cacnb.export.chart_words import ARTERIES, LOOKS, label_of
from cacnb.export.number_words import whole
from cacnb.export.table_cells import Cell, Line, Table, counted_share, estimate, in_order

Rows = Sequence[Mapping[str, Any]]

#: Pairs that Table 5 is about, in its order.
PAIRS_OF_TABLE_5 = {
    "all": "All pairs",
    "both_positive_by_automatic": "Pairs positive in both scans by clinical, automatic",
}


def scan_table(rows: Rows, *, paper: bool) -> Table:
    """Detection per scan by each method."""
    keys = ("sensitivity", "false_positive_rate", "f1", "accuracy")
    counts = ("true_positive", "false_negative", "false_positive", "true_negative")
    lines = [
        Line(
            label_of(row["method"]),
            (
                *(estimate(row, key, ("scan", row["method"], ""), paper) for key in keys),
                *(Cell(whole(row.get(key))) for key in counts),
            ),
        )
        for row in in_order(rows)
    ]
    return Table(
        "detection_per_scan",
        "Detection per scan",
        "Scans in which visible calcium was found or missed. False positive rate: of the scans "
        "without visible calcium, those in which some was found. Scans by outcome on the right.",
        ("Sensitivity", "False positive rate", "F1", "Accuracy",
         "Found", "Missed", "False", "Rightly none"),
        tuple(lines),
    )  # fmt: skip


def artery_table(detection: Rows, repeat: Rows, *, paper: bool) -> Table:
    """Table 3: detection (A) and interscan reproducibility (B) per artery."""
    found = {(row["method"], row["artery"]): row for row in detection}
    again = {(row["method"], row["artery"]): row for row in repeat}
    lines = []
    for method in LOOKS:
        arteries = [a for a in ARTERIES if (method, a) in found or (method, a) in again]
        if not arteries:
            continue
        lines.append(Line(label_of(method)))
        for artery in arteries:
            one, two = found.get((method, artery), {}), again.get((method, artery), {})
            where = ("artery", method, artery)
            cells = (
                counted_share(one, "sensitivity", "detected_single", "n_single", where, paper),
                counted_share(one, "pair_sensitivity", "detected_pairs", "n_pairs", where, paper),
                estimate(two, "relative_difference_any_positive", where, paper),
                estimate(two, "relative_difference_both_positive", where, paper),
            )
            lines.append(Line(ARTERIES[artery], cells))
    return Table(
        "table_3",
        "Table 3. Detection and interscan reproducibility per artery",
        "Lesions found of those there, in single scans and in both scans of a pair; relative "
        "difference Δ_R of calcium mass over all artery pairs with any calcium, and over those in "
        "which the method found it in both scans.",
        ("Single, n (%)", "Pairs, n (%)", "Δ_R, all", "Δ_R, positive"),
        tuple(lines),
        (("", 1), ("A  Detection", 2), ("B  Interscan reproducibility", 2)),
    )


def repeat_table(rows: Rows, *, paper: bool) -> Table:
    """Table 4: reproducibility of calcium mass and Agatston score in scan pairs."""
    lines = []
    for row in in_order(rows):
        where = ("repeat", row["method"], "")
        n, both = row.get("n_pairs"), row.get("n_both_positive")
        positive = f"{both} ({100 * both / n:.0f} %)" if n and both is not None else whole(both)
        cells = [
            estimate(row, key, where, paper)
            for key in ("relative_difference_any_positive", "icc_mass", "icc_agatston")
        ]
        cells.append(Cell(positive))
        cells += [
            estimate(row, key, where, paper)
            for key in (
                "relative_difference_both_positive",
                "icc_mass_both_positive",
                "icc_agatston_both_positive",
            )
        ]
        lines.append(Line(label_of(row["method"]), tuple(cells)))
    pairs = sorted({row["n_pairs"] for row in rows if row.get("n_pairs") is not None})
    many = " to ".join(f"{n:,}" for n in dict.fromkeys((pairs[0], pairs[-1]))) if pairs else "–"
    return Table(
        "table_4",
        "Table 4. Reproducibility of calcium mass and Agatston score",
        f"{many} scan pairs. Δ_R: mean relative difference of calcium mass, in all pairs with any "
        "calcium; on the right in pairs in which the method found calcium in both scans. ICC: "
        "two-way random, absolute agreement, single measurement. The proposed Agatston score is "
        "the adjusted one.",
        ("Δ_R, mass", "ICC, mass", "ICC, Agatston", "n (%)", "Δ_R, mass", "ICC, mass",
         "ICC, Agatston"),
        tuple(lines),
        (("", 1), ("All pairs", 3), ("Concordant positive pairs", 4)),
    )  # fmt: skip


def risk_table(rows: Rows, *, paper: bool) -> Table:
    """Table 5: agreement of the risk categories of both scans."""
    methods = [m for m in LOOKS if any(row["method"] == m for row in rows)]
    lines = []
    for pairs, words in PAIRS_OF_TABLE_5.items():
        by_method = {row["method"]: row for row in rows if row["pairs"] == pairs}
        if not by_method:
            continue
        n = {row["n_pairs"] for row in by_method.values() if row.get("n_pairs") is not None}
        lines.append(Line(f"{words}, n = {max(n):,}" if n else words))
        for key, name in (
            ("kappa_linear", "κ, linear weights"),
            ("kappa_quadratic", "κ, quadratic weights"),
            ("accuracy", "Accuracy"),
        ):
            if any(key in row for row in by_method.values()):
                cells = (
                    estimate(by_method.get(m, {}), key, ("risk", m, pairs), paper) for m in methods
                )
                lines.append(Line(name, tuple(cells)))
    return Table(
        "table_5",
        "Table 5. Interscan agreement of risk categories",
        "Categories I: 0–10, II: 11–100, III: 101–400, IV: above 400. The proposed method's "
        "adjusted scores are scaled to the range of a clinical method by the ratio of the means.",
        tuple(label_of(m) for m in methods),
        tuple(lines),
    )
