"""The main job on the embedded demo study: simulate, score, compare, report; all simulated."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cacnb.evaluation import evaluate_study
from cacnb.export.report import write_report
from cacnb.learning.weights import load_weights
from cacnb.pipeline import score_scan
from cacnb.results import named_scans, write_results
from cacnb.simulation.cohort import DEMO_PLAN, simulate_study
from cacnb.simulation.lesions import hu_mm3_per_mg
from cacnb.study.cohort import read_cohort


@dataclass
class DemoResult:
    """What the demo shows: a row a scan, some sentences, and where the report is."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    summary: list[str] = field(default_factory=list)
    report: Path = Path()


def demo_steps(out: Path, device: str) -> Iterator[tuple[int, int, str, DemoResult | None]]:
    """Run the demo, yielding (done, of, what, result); the result comes with the last step."""
    study = out / "study"
    weights = load_weights("demo", device)
    count = len(DEMO_PLAN.scans())
    for i, name in enumerate(simulate_study(DEMO_PLAN, study), start=1):
        yield i, 2 * count, f"simulated {name}", None
    cohort = read_cohort(study)
    scored = []
    for i, (name, path) in enumerate(named_scans([], study), start=1):
        found = score_scan(path, weights, name=name)
        write_results(found, study / "scores")
        scored.append(found)
        yield count + i, 2 * count, f"scored {name}", None
    evidence = evaluate_study(study)
    table = evidence.scans
    result = DemoResult(report=out / "report.html")
    factor = 1 / hu_mm3_per_mg(120.0)
    for row in table.to_dict("records"):
        result.rows.append(
            {
                "scan": row["scan"],
                "true mass mg": row["mass_mg"],
                "CAC visible": row["visible"],
                "proposed mg": row["proposed_mass"] * factor,
                "clinical mg": row["clinical_automatic_mass"] * factor,
                "proposed Agatston": row["proposed_agatston"],
                "clinical Agatston": row["clinical_automatic_agatston"],
            }
        )
    for line in evidence.tables["reproducibility"]:
        both, n = line["relative_difference_both_positive"], line["n_both_positive"]
        told = "no pair positive in both" if both is None else f"{100 * both:.0f} % in {n} pairs"
        result.summary.append(f"{line['method']}: mean scan-rescan difference {told} (simulated)")
    groups = [group["scan"].tolist() for _, group in cohort.groupby("pair")]
    pairs = [(str(first), str(second)) for first, second in groups]
    write_report(
        scored,
        result.report,
        title="Demo study",
        truth=dict(zip(table["scan"], table["mass_mg"], strict=True)),
        pairs=pairs,
        simulated=True,
        mg_per_hu_mm3=factor,
    )
    yield 2 * count, 2 * count, "report written", result
