"""The committed recipe of the demo weights: simulate, train, choose thresholds, write the card.

`make demo-weights` runs it; every part is resumable, and nothing but simulated scans goes in.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console

from cacnb.clinical_validation import choose_clinical_probability, clinical_looks
from cacnb.ct.volume import Volume
from cacnb.evaluation import evaluate_study
from cacnb.files import write_atomically
from cacnb.learning.batches import SliceSampler
from cacnb.learning.checkpoint import CHECKPOINT, load_checkpoint
from cacnb.learning.clinical_baseline import ClinicalLearner
from cacnb.learning.decompositions import decomposer
from cacnb.learning.heart_segmenter import HeartLearner
from cacnb.learning.learner import Learner
from cacnb.learning.loop import Run
from cacnb.learning.recipes import (
    RECIPES,
    ClinicalRecipe,
    DecompositionRecipe,
    HeartRecipe,
    SliceRecipe,
)
from cacnb.learning.slice_classifier import SliceLearner
from cacnb.learning.weights import Weights, load_weights, save_weights
from cacnb.running.engines import Local
from cacnb.running.study_run import plan_run, run_study
from cacnb.scoring.artery_atlas import ArteryAtlas, HeartExtent
from cacnb.scoring.cac_map import SOFT_TISSUE_FLOOR_HU
from cacnb.simulation.anatomy import Pose, pose_heart
from cacnb.simulation.chest import paint_heart_mask
from cacnb.simulation.cohort import StudyPlan, simulate_study
from cacnb.simulation.scan import Person
from cacnb.simulation.shapes import Canvas
from cacnb.study.repeat import learn_repeat
from cacnb.training import train_stage
from cacnb.validation import choose_thresholds, validation_scans

#: The cohorts that the demo weights learn from, and the people that thresholds are chosen on: all
#: seeds below 500.
COHORTS = {
    "locator": StudyPlan(pairs=250, seed=0, protocol="locator"),
    "rtp": StudyPlan(pairs=250, seed=0, protocol="rtp", field_of_view="heart", burden="varied"),
    "nlst": StudyPlan(
        pairs=50, seed=0, protocol="nlst", field_of_view="heart", scans_per_person=1,
        burden="varied",
    ),
    "validation": StudyPlan(pairs=100, seed=300, protocol="rtp", field_of_view="heart"),
    "validation_chest": StudyPlan(pairs=50, seed=400, protocol="rtp"),
}  # fmt: skip

#: Which cohorts each stage learns from.
STAGE_COHORTS = {
    "heart": ("locator",), "slices": ("rtp", "nlst"), "decomposition": ("rtp", "nlst"),
    "clinical": ("rtp", "nlst"),
}  # fmt: skip

#: Which cohorts thresholds are chosen on.
VALIDATION_COHORTS = ("validation", "validation_chest")

#: People for the card's last figures: no training and no threshold saw them.
HELD_OUT = StudyPlan(pairs=100, seed=3000, protocol="rtp")

#: Scores whose repeat limits the card tells, for `cacnb change`, and their columns of a pair table.
REPEATED = {
    "mass": "proposed_mass", "agatston_adjusted": "proposed_agatston",
    "clinical_agatston": "clinical_automatic_agatston",
}  # fmt: skip

#: The tables of the held-out people that the card tells for people to read.
CARD_TABLES = (
    "detection_per_scan", "detection_per_artery", "reproducibility", "risk_categories",
    "comparison", "truth", "heart", "slices",
)  # fmt: skip

console = Console(stderr=True, highlight=False)


def build(work: Path, target: Path) -> dict[str, Any]:
    """Simulate, train, validate and write the weights folder; returns the card."""
    for name, plan in COHORTS.items():
        for done, scan in enumerate(simulate_study(plan, work / name), start=1):
            if done % 50 == 0:
                console.print(f"{name}: {scan} ({done} of {len(plan.scans())})")
    for stage, cohorts in STAGE_COHORTS.items():
        run = Run(work / "runs" / stage, resume=True)
        studies = [work / cohort for cohort in cohorts]
        for step in train_stage(stage, RECIPES[stage]["packaged"], studies, run):
            if step.iteration % 100 == 0:
                console.print(f"{stage}: {step.iteration} of {step.of} {step.losses}")
    assemble(work, target)
    return hold_out(work / "held_out", target)


def hold_out(study: Path, target: Path) -> dict[str, Any]:
    """Score people that no training and no threshold saw; their figures complete the card."""
    for _ in simulate_study(HELD_OUT, study):
        pass
    for step in run_study(plan_run(study, weights=str(target)), Local()):
        console.print(f"scored {step.outcome.scan}")
    evidence = evaluate_study(study)
    card = json.loads((target / "card.json").read_text(encoding="utf-8"))
    card["held_out"] = {"study": vars(HELD_OUT), **evidence.tables}
    card["repeat"] = {
        name: learn_repeat(
            *(evidence.pairs[f"{column}_{i}"] for i in (1, 2)),
            name=f"{len(evidence.pairs)} simulated people scanned twice", simulated=True,
        ).as_card()
        for name, column in REPEATED.items()
    }  # fmt: skip
    write_atomically(json.dumps(card, indent=2, default=float) + "\n", target / "card.json")
    write_atomically(card_text(card), target / "README.md")
    return dict(card)


def card_text(card: dict[str, Any]) -> str:
    """The model card for people, from the card for programs."""
    held_out, files = card["held_out"], card["files"]
    lines = [
        f"# Weights `{card['name']}`",
        "",
        f"Trained on {card['trained_on']}. Made by `make demo-weights`; torch {card['torch']}.",
        "",
        *(f"- {limit}" for limit in card["limits"]),
        "",
        "| file | bytes | SHA-256 |",
        "|---|---|---|",
        *(f"| {name}.safetensors | {f['bytes']} | `{f['sha256']}` |" for name, f in files.items()),
        "",
        "## Training (simulated)",
        "",
        *(f"- {name}: {plan}" for name, plan in card["cohorts"].items()),
        *(f"- recipe of {name}: {f['recipe']}" for name, f in files.items() if "recipe" in f),
        "",
        f"Thresholds, chosen on validation people: {card['thresholds']}. "
        f"Figures there: {card['validation']}.",
        "",
        f"## People that no training saw (simulated): {held_out['study']}",
        "",
    ]
    for name in CARD_TABLES:
        lines += [f"### {name.replace('_', ' ')}", "", *_markdown(held_out[name]), ""]
    return "\n".join(lines)


def _markdown(rows: list[dict[str, Any]]) -> list[str]:
    """Rows as a Markdown table."""
    if not rows:
        return ["(none)"]
    keys = list(rows[0])
    body = ["| " + " | ".join(_told(row[key]) for key in keys) + " |" for row in rows]
    return ["| " + " | ".join(keys) + " |", "|" + "---|" * len(keys), *body]


def _told(value: Any) -> str:
    if isinstance(value, list | tuple):
        return " … ".join(_told(v) for v in value)
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def assemble(work: Path, target: Path) -> dict[str, Any]:
    """Write the weights of finished runs, choose thresholds on validation scans, fill the card."""
    networks, recipes = {}, {}
    for stage in STAGE_COHORTS:
        learner = _finished(stage, work / "runs" / stage / CHECKPOINT)
        networks[stage] = learner.trained().eval()
        recipes[stage] = learner.recipe.as_dict()
    atlas = learn_atlas()
    arrays = {"density": atlas.density, "least": np.array([atlas.least], np.float32)}
    card = _card()
    save_weights(target, networks, recipes, arrays, card)
    weights = load_weights(str(target))
    scans = [scan for name in VALIDATION_COHORTS for scan in validation_scans(work / name, weights)]
    chosen, figures, tried = choose_thresholds(scans)
    card["thresholds"] = {**chosen, **_clinical_threshold(work / "validation", weights, card)}
    card["validation"] = figures
    save_weights(target, networks, recipes, arrays, card)
    write_atomically(tried.round(4).to_csv(index=False), target / "validation.csv")
    return card


def _clinical_threshold(study: Path, weights: Weights, card: dict[str, Any]) -> dict[str, float]:
    """The clinical baseline's threshold; its figures on the validation scans go into the card."""
    if weights.clinical is None or weights.clinical_recipe is None:
        return {}
    looks = clinical_looks(study, weights.clinical, weights.clinical_recipe, weights.device)
    least, card["clinical_validation"] = choose_clinical_probability(looks)
    return {"clinical_probability": least}


def _finished(stage: str, checkpoint: Path) -> Learner:
    recipe = RECIPES[stage]["packaged"]
    learner: Learner
    if isinstance(recipe, HeartRecipe):
        learner = HeartLearner(recipe)
    elif isinstance(recipe, SliceRecipe):
        learner = SliceLearner(recipe)
    elif isinstance(recipe, DecompositionRecipe):
        learner = decomposer(recipe)
    elif isinstance(recipe, ClinicalRecipe):
        learner = ClinicalLearner(recipe)
    else:
        raise TypeError(f"no learner for {stage}")
    sampler = SliceSampler.__new__(SliceSampler)
    sampler.rng = np.random.default_rng(0)
    load_checkpoint(learner, sampler, checkpoint)
    return learner


def learn_atlas(people: int = 250) -> ArteryAtlas:
    """Where the arteries run in simulated hearts of the rtp population, both poses."""
    courses = []
    axes = (np.arange(-100, 101, 5.0), np.arange(-100, 101, 5.0), np.arange(-100, 101, 5.0))
    for seed in range(people):
        anatomy = Person.draw(seed, "rtp").anatomy
        pose = Pose.draw(np.random.default_rng([seed, 5]), breath_hold=seed % 2 == 0)
        heart = pose_heart(anatomy, pose)
        sac = Canvas(*axes, edge_mm=2.0, background=0.0)
        paint_heart_mask(sac, heart)
        mask = Volume(np.greater(sac.values, 0.5), (5.0, 5.0, 5.0), (-100.0, -100.0, -100.0))
        courses.append((HeartExtent.of(mask), heart.arteries))
    return ArteryAtlas.learn(courses)


def _card() -> dict[str, Any]:
    return {
        "name": "demo",
        "trained_on": "simulated scans only (cacnb simulate, seeds below 500); no patient's scan",
        "cohorts": {name: vars(plan) for name, plan in COHORTS.items()},
        "thresholds": {
            "slice_probability": 0.5, "slice_probability_beside": 0.5,
            "soft_tissue_floor_hu": SOFT_TISSUE_FLOOR_HU,
            "smallest_map_hu": 10.0, "smallest_lesion_mass_hu_mm3": 0.0,
            "clinical_probability": 0.5,
        },
        "limits": [
            "Research software: not a medical device, not for diagnosis or treatment.",
            "Small networks for teaching and tests: not the paper's sizes nor its training.",
            "No patient's scan was seen in training: what it says of a real one is untested.",
            "The artery of a lesion is told from its place in the heart mask, not from the vessel.",
        ],
        "torch": torch.__version__,
    }  # fmt: skip


if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("build/demo-weights")
    packaged = Path(__file__).parent / "weights" / "demo"
    console.print(json.dumps(build(folder, packaged)["validation"], indent=2))
