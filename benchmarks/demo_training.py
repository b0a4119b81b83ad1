"""What two cores learn in minutes: the demo recipes from nothing, held against truth; simulated.

Simulates its cohorts, then for each seed trains heart and slices on one core beside the
decomposition on the other, lets validation people choose the thresholds, and scores people that
no training and no threshold saw. Prints minutes of training and figures against truth, a row a
seed, mean and spread. What is finished is kept under --work: a stopped benchmark goes on.

    .venv/bin/python benchmarks/demo_training.py [--seeds 3] [--work out/demo_training] [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from cacnb.ct.reading import read_image
from cacnb.evaluation import evaluate_study
from cacnb.learning.recipes import RECIPES
from cacnb.map_truth import NO_CALCIUM_HU
from cacnb.prepared_slices import slice_store
from cacnb.running.engines import Local
from cacnb.running.study_run import plan_run, run_study
from cacnb.simulation.cohort import StudyPlan, simulate_study
from cacnb.training import heart_sampler
from cacnb.weights_from_runs import make_weights

#: Who is learned from, who chooses thresholds, who tells: no person is in two of them.
COHORTS = {
    "locator": StudyPlan(pairs=60, seed=0, protocol="locator"),
    "train": StudyPlan(
        pairs=200, seed=0, protocol="rtp", field_of_view="heart", burden="varied"
    ),
    "validation": StudyPlan(pairs=100, seed=300, protocol="rtp", field_of_view="heart"),
    "held_out": StudyPlan(pairs=50, seed=3000, protocol="rtp", field_of_view="heart"),
}  # fmt: skip

#: What each of two cores trains, one after another.
Lane = tuple[tuple[str, str], ...]
LANES: tuple[Lane, ...] = (
    (("heart", "locator"), ("slices", "train")),
    (("decomposition", "train"),),
)

#: What is told of people that nothing saw, by the table of the evidence that it stands in.
FIGURES = {
    "detection_per_scan": ("sensitivity", "false_positive_rate", "f1"),
    "truth": ("mass_r", "mass_bias_percent"),
    "reproducibility": ("relative_difference_both_positive", "n_both_positive"),
}


@dataclass(frozen=True)
class Place:
    """Where things are kept."""

    work: Path

    def study(self, name: str) -> Path:
        """A cohort's study folder."""
        return self.work / name

    def run(self, stage: str, seed: int) -> Path:
        """A training's folder."""
        return self.work / "runs" / f"{stage}_{seed}"


def prepare(place: Place) -> None:
    """Simulate what is not there, and cut slices once: neither is training."""
    for name, plan in COHORTS.items():
        for _ in simulate_study(plan, place.study(name)):
            pass
    heart_sampler(RECIPES["heart"]["demo"], [place.study("locator")])  # type: ignore[arg-type]
    for stage in ("slices", "decomposition"):
        slice_store([place.study("train")], RECIPES[stage]["demo"].store_px)  # type: ignore[attr-defined]


def train_seed(place: Place, seed: int) -> dict[str, float]:
    """Train the three stages, two at a time, each on one core; returns minutes of training.

    They are those of the runs' logs, so that a benchmark that was stopped tells the same.
    """
    with ThreadPoolExecutor(len(LANES)) as lanes:
        list(lanes.map(lambda lane: train_lane(place, lane, seed), LANES))
    taken = [sum(_seconds(place.run(stage, seed)) for stage, _ in lane) / 60 for lane in LANES]
    return {"minutes": max(taken), "core_minutes": sum(taken)}


def train_lane(place: Place, lane: Lane, seed: int) -> None:
    """Train a core's stages one after another."""
    for stage, cohort in lane:
        train_stage_alone(place, stage, cohort, seed)


def train_stage_alone(place: Place, stage: str, cohort: str, seed: int) -> None:
    """Train one stage in a process of its own, on one core."""
    subprocess.run(
        [sys.executable, "-m", "cacnb.cli", "train", stage, "--recipe", "demo",
         "--study", place.study(cohort), "--seed", str(seed), "--resume",
         "--validate-every", "0", "--out", place.run(stage, seed)],
        env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=sys.stderr, check=True,
    )  # fmt: skip


def _seconds(run: Path) -> float:
    last = (run / "steps.jsonl").read_text(encoding="utf-8").splitlines()[-1]
    return float(json.loads(last)["seconds"])


def figures_of(place: Place, seed: int) -> dict[str, Any]:
    """Weights of a seed, and what they are worth on people held out."""
    told = place.work / "weights" / f"figures_{seed}.json"
    if told.exists():
        return dict(json.loads(told.read_text(encoding="utf-8")))
    folder = place.work / "weights" / f"seed_{seed}"
    if not folder.exists():
        runs = {stage: place.run(stage, seed) for lane in LANES for stage, _ in lane}
        make_weights(
            runs, f"demo seed {seed}", folder,
            studies=[place.study("train"), place.study("locator")],
            validation=[place.study("validation")],
        )  # fmt: skip
    study = place.study("held_out")
    for _ in run_study(plan_run(study, weights=str(folder)), Local()):
        pass
    tables = evaluate_study(study).tables
    figures = shown_calcium(study)
    for name, columns in FIGURES.items():
        row = next(row for row in tables[name] if row["method"] == "proposed")
        figures.update({column: row[column] for column in columns})
    told.write_text(json.dumps(figures, default=float), encoding="utf-8")
    return figures


def shown_calcium(study: Path) -> dict[str, float]:
    """How the calcium that scans show, summed without error, goes with true mass and with the map.

    Motion takes mass from a scan or adds it: `best_r` is what no map of these scans can pass by
    more than chance, `shown_r` the map's own correlation with what is there to be seen.
    """
    scans = pd.read_csv(study / "truth_scans.csv", dtype={"scan": str}).set_index("scan")
    scored = pd.read_parquet(study / "scores" / "scores.parquet").set_index("scan")
    calcified = scans[scans["mass_mg"] > 0]
    shown = []
    for scan in calcified.index:
        calcium = read_image(study / "calcium" / f"{scan}.nii.gz")
        there = calcium.array[calcium.array >= NO_CALCIUM_HU]
        shown.append(float(there.sum()) * calcium.voxel_volume_mm3)
    seen = pd.Series(shown, index=calcified.index)
    found = scored["proposed_pseudo_mass_hu_mm3"].reindex(seen.index).astype(float).fillna(0.0)
    return {"best_r": seen.corr(calcified["mass_mg"]), "shown_r": seen.corr(found)}


def main() -> None:
    """Print the table, or with --json one object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--work", type=Path, default=Path("out/demo_training"))
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    place = Place(arguments.work.resolve())
    prepare(place)
    rows = []
    for seed in range(arguments.seeds):
        minutes = train_seed(place, seed)
        rows.append({"seed": seed, **figures_of(place, seed), **minutes})
    table = pd.DataFrame(rows).set_index("seed").astype(float)
    if arguments.json:
        summary = table.agg(["mean", "std"]).to_dict("index")
        print(json.dumps({"simulated": True, "seeds": table.to_dict("index"), **summary}))
        return
    print("demo recipes, simulated people that nothing saw")
    print(pd.concat([table, table.agg(["mean", "std"])]).round(3).to_string())


if __name__ == "__main__":
    main()
