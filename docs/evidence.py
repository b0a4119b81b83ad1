"""Write docs/evidence.md and its figures from what `make evidence` left in out/evidence.

The lessons read the same page from a copy in the package.

.venv/bin/python docs/evidence.py
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
OUT = HERE.parent / "out" / "evidence"
PACKAGED = HERE.parent / "cacnb" / "lessons" / "evidence.md"

#: Figures shown: file in figures/, what a reader who cannot see it is told.
FIGURES = {
    "detection_per_scan": "Sensitivity and false positive rate of each method with intervals",
    "table_3": "Detection and relative difference per artery by each method with intervals",
    "figure_8": "Bland-Altman plots of each method with limits that widen with the score",
    "differences": "Differences between methods on the same patients with intervals",
    "truth": "Measured against true mass of each simulated scan by each method",
    "figure_7": "Examples of lesions: scan, clinical segmentation, healthy image, CAC map",
}

#: Tables shown: name, heading, columns.
TABLES = {
    "detection_per_scan": (
        "Detection per scan (Figure 6A)",
        ("method", "sensitivity", "sensitivity_ci95", "false_positive_rate",
         "false_positive_rate_ci95", "f1", "accuracy"),
    ),
    "detection_per_artery": (
        "Table 3A: detection per artery",
        ("method", "artery", "detected_single", "n_single", "sensitivity", "sensitivity_ci95",
         "detected_pairs", "n_pairs", "pair_sensitivity"),
    ),
    "reproducibility_per_artery": (
        "Table 3B: relative difference of the pseudo-mass per artery",
        ("method", "artery", "n_pairs", "relative_difference_any_positive",
         "relative_difference_any_positive_ci95", "n_both_positive",
         "relative_difference_both_positive", "relative_difference_both_positive_ci95"),
    ),
    "reproducibility": (
        "Table 4 and Figure 6B: repeatability of scan pairs",
        ("method", "n_pairs", "n_both_positive", "n_discordant",
         "relative_difference_any_positive", "relative_difference_both_positive",
         "relative_difference_both_positive_ci95", "icc_mass", "icc_mass_ci95", "icc_agatston",
         "icc_agatston_ci95", "icc_agatston_log1p"),
    ),
    "risk_categories": (
        "Table 5: risk categories",
        ("method", "pairs", "n_pairs", "kappa_linear", "kappa_linear_ci95", "accuracy"),
    ),
    "comparison": (
        "The proposed method less the other, on the same patients",
        ("other", "statistic", "n", "difference", "difference_ci95", "p_value", "test"),
    ),
    "truth": (
        "Accuracy: mass in mg against the truth",
        ("method", "group", "n", "mass_bias_percent", "mass_slope", "mass_r", "mass_mae_mg",
         "sensitivity"),
    ),
    "heart": (
        "Heart segmentation (paper: 0.95, 15 mm, 1.6 mm)",
        ("n_scans", "dice_median", "dice_iqr", "hausdorff_mm_median", "hausdorff_mm_iqr",
         "surface_mm_median", "surface_mm_iqr"),
    ),
    "slices": (
        "Slice classification (paper: accuracy 0.93, sensitivity 0.78, false positive rate 0.06)",
        ("n_slices", "n_positive", "accuracy", "sensitivity", "false_positive_rate", "roc_area"),
    ),
    "conventions": (
        "The reader's lesions by each clinical convention",
        ("convention", "n_scans", "agatston_mean", "agatston_median", "of_literature",
         "without_a_score", "category_changes"),
    ),
}  # fmt: skip

ABLATION = (
    "Figure 6: with and without heart segmentation and slice classification",
    ("heart", "slices", "n_scans", "sensitivity", "false_positive_rate", "f1",
     "relative_difference_any_positive", "relative_difference_both_positive", "n_both_positive"),
)  # fmt: skip

HEAD = """# The evidence, simulated

Every number and picture here is of **simulated** scans: `make evidence`, then
`python docs/evidence.py`, write this page anew. 100 people from seed 3000, each scanned twice, whom
no training, no threshold and no knob of the simulator saw; scored with the shipped weights. The
ablation is of 30 other people (seed 4000) in the heart's field of view, because without a heart
mask every slice of the field goes through every network. The reader is a simulated one, who knows
which bright spots are coronary: no false positive can be held against it. Intervals are 95 %.
"""


def main() -> None:
    """Write the page and copy its figures."""
    tables = json.loads((OUT / "evidence.json").read_text(encoding="utf-8"))
    parts = [HEAD]
    for name, (heading, columns) in TABLES.items():
        parts += section(heading, tables.get(name, []), columns)
    ablated = OUT / "ablation" / "evidence.json"
    if ablated.is_file():
        rows = json.loads(ablated.read_text(encoding="utf-8"))["ablation"]
        parts += section(ABLATION[0], rows, ABLATION[1])
    parts.append("## Figures\n")
    (HERE / "evidence").mkdir(exist_ok=True)
    for name, words in FIGURES.items():
        file = OUT / "figures" / f"{name}.png"
        if file.is_file():
            shutil.copy(file, HERE / "evidence" / file.name)
            parts.append(f"![{words}, simulated](evidence/{file.name})\n")
    for page in (HERE / "evidence.md", PACKAGED):
        page.write_text("\n".join(parts), encoding="utf-8")


def section(heading: str, rows: list[dict[str, Any]], columns: tuple[str, ...]) -> list[str]:
    """A heading and a Markdown table; nothing where there are no rows."""
    if not rows:
        return []
    body = ["| " + " | ".join(cell(row.get(c)) for c in columns) + " |" for row in rows]
    names = [c.replace("_", " ").replace("ci95", "95 %") for c in columns]
    return [
        f"## {heading}\n",
        "| " + " | ".join(names) + " |\n|" + "---|" * len(columns) + "\n" + "\n".join(body) + "\n",
    ]


def cell(value: Any) -> str:
    """A value as a table shows it."""
    if isinstance(value, list):
        return " … ".join(cell(v) for v in value)
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"
    return str(value)


if __name__ == "__main__":
    main()
