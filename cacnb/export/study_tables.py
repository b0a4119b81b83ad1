"""A study's tables beyond the paper's three: comparisons, ablation, truth, limits, networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cacnb.export.chart_words import LOOKS, label_of, measure_of
from cacnb.export.number_words import interval, p_value, score, signed, whole
from cacnb.export.page import NOTHING
from cacnb.export.table_cells import Cell, Line, Table, estimate, in_order, plain_cell

Rows = Sequence[Mapping[str, Any]]

#: How the limits of agreement grow with the mean, by the name of the model.
_MODELS = {
    "linear": "with the mean",
    "sqrt": "with its root",
    "sqrt_origin": "with its root, from 0",
}


def comparison_table(rows: Rows) -> Table:
    """Paired differences between methods, each with its interval and test."""
    lines, pair = [], ("", "")
    for row in rows:
        if (row["one"], row["other"]) != pair:
            pair = (row["one"], row["other"])
            lines.append(Line(f"{label_of(pair[0])} − {label_of(pair[1])}"))
        measure = measure_of(str(row["statistic"]))
        better = "lower is better" if measure.lower_is_better else "higher is better"
        lines.append(
            Line(
                f"{measure.name} ({better})",
                (
                    Cell(signed(row.get("difference")),
                         interval(row.get("difference_ci95"), signed)),
                    Cell(p_value(row.get("p_value"))),
                    Cell(whole(row.get("n"))),
                    Cell(str(row.get("test") or NOTHING)),
                ),
            )
        )  # fmt: skip
    return Table(
        "comparison",
        "Differences on the same scans",
        "Each number is one method minus another on the same scans or pairs, with its paired 95 % "
        "interval.",
        ("Difference", "p", "n", "Test"),
        tuple(lines),
    )


def ablation_table(rows: Rows) -> Table:
    """Figure 6 in numbers: the method with and without its two steps before the map."""
    keys = (
        "sensitivity",
        "false_positive_rate",
        "f1",
        "relative_difference_any_positive",
        "relative_difference_both_positive",
    )
    lines = [
        Line(
            f"HS {'+' if row['heart'] else '−'}  CL {'+' if row['slices'] else '−'}",
            tuple(estimate(row, key, ("", "", ""), paper=False) for key in keys),
        )
        for row in sorted(rows, key=lambda row: (bool(row["heart"]), bool(row["slices"])))
    ]
    return Table(
        "ablation",
        "The method with and without its steps",
        "HS: heart segmentation, CL: slice classification; + with, − without.",
        ("Sensitivity", "False positive rate", "F1", "Δ_R, all", "Δ_R, positive"),
        tuple(lines),
    )


def truth_table(rows: Rows) -> Table:
    """Accuracy against the calcium that was put into simulated scans."""
    lines = []
    for method in LOOKS:
        own = [row for row in rows if row["method"] == method]
        if own:
            lines.append(Line(label_of(method)))
        for row in own:
            cells = (
                Cell(whole(row.get("n"))),
                estimate(row, "mass_bias_percent", ("", "", ""), paper=False, digits=1),
                estimate(row, "mass_slope", ("", "", ""), paper=False),
                estimate(row, "mass_r", ("", "", ""), paper=False),
                estimate(row, "mass_mae_mg", ("", "", ""), paper=False, digits=1),
                estimate(row, "sensitivity", ("", "", ""), paper=False),
            )
            lines.append(Line(str(row.get("group") or "all"), cells))
    return Table(
        "truth",
        "Accuracy of calcium mass",
        "Against the true mass of each simulated scan or lesion: bias in per cent, slope and "
        "correlation r of measured on true mass, mean absolute error, and how many were found.",
        ("n", "Bias, %", "Slope", "r", "Error, mg", "Sensitivity"),
        tuple(lines),
    )


def limits_table(rows: Rows) -> Table:
    """Figure 8 in numbers: limits of agreement by each model of how they grow."""
    scores = sorted(
        {float(key.removeprefix("limit_at_")) for row in rows for key in row if "limit_at_" in key}
    )
    lines, method = [], None
    for row in in_order(rows):
        if row["method"] != method:
            method = row["method"]
            lines.append(Line(f"{label_of(method)}, bias {score(row.get('bias'))}"))
        cells = [Cell(score(row.get(f"limit_at_{at:g}"))) for at in scores]
        lines.append(
            Line(
                _MODELS.get(str(row["model"]), str(row["model"])),
                (Cell(whole(row.get("n"))), *cells),
            )
        )
    return Table(
        "limits",
        "Limits of agreement of Agatston scores",
        "Half the width of the 95 % limits at a mean score: two scans that differ by more show a "
        "change. By three models of how the difference grows; the first is the paper's.",
        ("n", *(f"± at {at:g}" for at in scores)),
        tuple(lines),
    )


def network_table(heart: Rows, slices: Rows, *, paper: bool) -> Table:
    """Heart masks and slice labels beside their references."""
    lines = []
    for row in heart:
        lines.append(Line(f"Heart masks, n = {row.get('n_scans', NOTHING)}; median and quartiles"))
        lines += [
            Line(
                name,
                (
                    estimate(
                        {key: row.get(f"{key}_median"), f"{key}_ci95": row.get(f"{key}_iqr")},
                        key, ("network", "heart", ""), paper, digits,
                    ),
                ),
            )
            for key, name, digits in (
                ("dice", "Dice", 2),
                ("hausdorff_mm", "Hausdorff distance, mm", 1),
                ("surface_mm", "Average surface distance, mm", 1),
            )
        ]  # fmt: skip
    for row in slices:
        lines.append(Line(f"Slices, n = {whole(row.get('n_slices'))}; 95 % intervals"))
        lines += [
            Line(name, (estimate(row, key, ("network", "slices", ""), paper),))
            for key, name in (
                ("accuracy", "Accuracy"),
                ("sensitivity", "Sensitivity"),
                ("false_positive_rate", "False positive rate"),
                ("roc_area", "ROC area"),
            )
        ]
    return Table(
        "networks",
        "Heart segmentation and slice classification",
        "Against the reference heart of each scan and the label of each slice.",
        ("Value",),
        tuple(lines),
    )


def plain_table(name: str, title: str, caption: str, rows: Rows) -> Table:
    """Rows as they come: the first column names a row, the others are its numbers."""
    keys = [key for key in dict.fromkeys(k for row in rows for k in row) if "_ci95" not in key]
    lines = [
        Line(str(row.get(keys[0], NOTHING)), tuple(plain_cell(row, key) for key in keys[1:]))
        for row in rows
    ]
    return Table(name, title, caption, tuple(_words(key) for key in keys[1:]), tuple(lines))


def _words(key: str) -> str:
    words = key.replace("_", " ").replace("agatston", "Agatston")
    return words[:1].upper() + words[1:]
