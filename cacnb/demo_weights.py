"""The committed recipe of the demo weights: simulate, train, choose thresholds, write the card.

`make demo-weights` runs it; every part is resumable, and nothing but simulated scans goes in.
"""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from rich.console import Console

from cacnb.ct.grids import SLICE_GRID_MM, crop_heart, resample, resample_onto
from cacnb.ct.heart import centre_of_mass_mm, without_chest_wall
from cacnb.ct.reading import read_mask, read_scan
from cacnb.ct.volume import Volume
from cacnb.evaluation import evaluate_study
from cacnb.files import write_atomically
from cacnb.learning.batches import SliceSampler
from cacnb.learning.calcium_cyclegan import CalciumCycleGan, cac_map_hu
from cacnb.learning.heart_segmenter import HeartLearner
from cacnb.learning.loop import CHECKPOINT, Learner, Run, load_checkpoint
from cacnb.learning.recipes import RECIPES, DecompositionRecipe, HeartRecipe, SliceRecipe
from cacnb.learning.slice_classifier import SliceLearner, probability_of_cac
from cacnb.learning.weights import Weights, load_weights, save_weights
from cacnb.pipeline import atlas_of, score_scan, segment_heart
from cacnb.results import named_scans, write_results
from cacnb.scoring.artery_atlas import ArteryAtlas, HeartExtent
from cacnb.scoring.cac_map import (
    NEAR_SHARE,
    SOFT_TISSUE_FLOOR_HU,
    MapLesions,
    clean_map,
    map_lesions,
)
from cacnb.scoring.proposed import SMALLEST_LESION_VOXELS
from cacnb.simulation.anatomy import Pose, pose_heart
from cacnb.simulation.chest import paint_heart_mask
from cacnb.simulation.cohort import StudyPlan, simulate_study
from cacnb.simulation.scan import Person
from cacnb.simulation.shapes import Canvas
from cacnb.study.agreement import relative_difference
from cacnb.study.detection import count_detections
from cacnb.training import TrainingScan, train_stage, training_scans

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
}  # fmt: skip

#: Which cohorts each stage learns from.
STAGE_COHORTS = {"heart": ("locator",), "slices": ("rtp", "nlst"), "decomposition": ("rtp", "nlst")}

#: Thresholds tried on the validation scans: slice probability of a lesion and of the slices beside,
#: healthy value in HU below which the map is noise (the paper's, or none), least map value in HU,
#: least lesion mass in HU·mm³.
SLICE_PROBABILITIES = (0.2, 0.3, 0.5, 0.7)
SLICE_PROBABILITIES_BESIDE = (0.03, 0.1, 0.2)
SOFT_TISSUE_FLOORS_HU = (SOFT_TISSUE_FLOOR_HU, -1000.0)
SMALLEST_MAP_HU = (5.0, 10.0, 20.0)
SMALLEST_MASS_HU_MM3 = (0.0, 1000.0, 2500.0, 4000.0, 6000.0)

#: People for the card's last figures: no training and no threshold saw them.
HELD_OUT = StudyPlan(pairs=20, seed=900, protocol="rtp")

#: What the validation scans choose.
THRESHOLDS = (
    "slice_probability_beside", "soft_tissue_floor_hu", "smallest_map_hu", "slice_probability",
    "smallest_lesion_mass_hu_mm3",
)  # fmt: skip

console = Console(stderr=True, highlight=False)


@dataclass(frozen=True)
class ValidationScan:
    """What the networks say of one validation scan, before any threshold."""

    name: str
    pair: str
    visible: bool
    cut: Volume
    heart: Volume
    near_arteries: Volume
    probability: NDArray[np.float32]
    raw_map: Volume
    dice: float


def build(work: Path, target: Path) -> dict[str, Any]:
    """Simulate, train, validate and write the weights folder; returns the card."""
    for name, plan in COHORTS.items():
        for done, scan in enumerate(simulate_study(plan, work / name), start=1):
            if done % 50 == 0:
                console.print(f"{name}: {scan} ({done} of {len(plan.scans())})")
    for stage, cohorts in STAGE_COHORTS.items():
        run = Run(work / "runs" / stage, resume=True)
        studies = [work / cohort for cohort in cohorts]
        for step in train_stage(stage, RECIPES[stage]["demo"], studies, run):
            if step.iteration % 100 == 0:
                console.print(f"{stage}: {step.iteration} of {step.of} {step.losses}")
    assemble(work, target)
    return hold_out(work / "held_out", target)


def hold_out(study: Path, target: Path) -> dict[str, Any]:
    """Score people that no training and no threshold saw; their figures complete the card."""
    for _ in simulate_study(HELD_OUT, study):
        pass
    weights = load_weights(str(target))
    for name, path in named_scans([], study):
        if not (study / "scores" / f"{name}.json").is_file():
            write_results(score_scan(path, weights, name=name), study / "scores")
            console.print(f"scored {name}")
    card = dict(weights.card)
    card["held_out"] = {"study": vars(HELD_OUT), **evaluate_study(study)}
    write_atomically(json.dumps(card, indent=2) + "\n", target / "card.json")
    write_atomically(card_text(card), target / "README.md")
    return card


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
    for name in ("detection_per_scan", "reproducibility", "comparison", "truth"):
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
    scans = validation_scans(work / "validation", load_weights(str(target)))
    chosen, figures, tried = choose_thresholds(scans)
    card["thresholds"] = chosen
    card["validation"] = figures
    save_weights(target, networks, recipes, arrays, card)
    write_atomically(tried.to_csv(index=False), work / "thresholds.csv")
    return card


def _finished(stage: str, checkpoint: Path) -> Learner:
    recipe = RECIPES[stage]["demo"]
    learner: Learner
    if isinstance(recipe, HeartRecipe):
        learner = HeartLearner(recipe)
    elif isinstance(recipe, SliceRecipe):
        learner = SliceLearner(recipe)
    elif isinstance(recipe, DecompositionRecipe):
        learner = CalciumCycleGan(recipe)
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


def validation_scans(study: Path, weights: Weights) -> list[ValidationScan]:
    """Heart, probabilities and raw maps of every heart slice of the scans of a study."""
    scans = training_scans(study)
    cohort = pd.read_csv(study / "cohort.csv", dtype=str).set_index("scan")
    visible = pd.read_csv(study / "truth_scans.csv", dtype={"scan": str}).set_index("scan")[
        "visible"
    ]
    with ThreadPoolExecutor(max_workers=2) as pool:
        looks = pool.map(
            lambda scan: _look(
                scan, weights, str(cohort.loc[scan.name, "pair"]), bool(visible[scan.name])
            ),
            scans,
        )
        return [look for look in looks if look is not None]


def _look(scan: TrainingScan, weights: Weights, pair: str, visible: bool) -> ValidationScan | None:
    _, volume = read_scan(scan.path)
    heart = segment_heart(volume, weights)
    truth = read_mask(scan.heart, volume)
    if not heart.array.any():
        return None
    heart = without_chest_wall(heart, volume)
    dice = 2 * (heart.array & truth.array).sum() / (heart.array.sum() + truth.array.sum())
    centre = centre_of_mass_mm(heart)[1:]
    cut = crop_heart(resample(volume, SLICE_GRID_MM), centre, weights.slice_recipe.store_px)
    inside = resample_onto(heart, cut)
    near = resample_onto(atlas_of(weights).region(heart), cut)
    where = np.flatnonzero(inside.array.any(axis=(1, 2)))
    probability = np.zeros(cut.shape[0], np.float32)
    probability[where] = probability_of_cac(weights.classifier, cut.array[where], weights.device)
    raw = np.zeros(cut.shape, np.float32)
    worth = np.flatnonzero(probability >= min(SLICE_PROBABILITIES_BESIDE))
    raw[worth] = cac_map_hu(weights.remover, cut.array[worth], weights.device)
    # Only the part that any threshold leaves is kept: hundreds of settings are tried on it.
    worth_it = np.argwhere((raw >= min(SMALLEST_MAP_HU)) & inside.array)
    low, high = (
        (worth_it.min(axis=0), worth_it.max(axis=0) + 1) if len(worth_it) else ([0] * 3, [1] * 3)
    )
    z, y, x = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    parts = [
        Volume(array[z, y, x], cut.spacing_mm)
        for array in (cut.array, inside.array, near.array, raw)
    ]
    return ValidationScan(
        scan.name,
        pair,
        visible,
        parts[0],
        parts[1],
        parts[2],
        probability[z],
        parts[3],
        float(dice),
    )


def choose_thresholds(
    scans: list[ValidationScan],
) -> tuple[dict[str, float], dict[str, Any], pd.DataFrame]:
    """The thresholds by the paper's criterion (section 5): detection F1, then relative difference.

    Among all settings within 0.02 of the best F1 the one with the smallest mean relative difference
    in pairs positive in both scans. Returns the choice, its figures and every setting tried.
    """
    rows = []
    for beside, floor, least in product(
        SLICE_PROBABILITIES_BESIDE, SOFT_TISSUE_FLOORS_HU, SMALLEST_MAP_HU
    ):
        lesions = [_lesions(scan, beside, floor, least) for scan in scans]
        for sure, mass in product(SLICE_PROBABILITIES, SMALLEST_MASS_HU_MM3):
            scores = [_score(found, sure, mass) for found in lesions]
            setting = dict(zip(THRESHOLDS, (beside, floor, least, sure, mass), strict=True))
            rows.append({**setting, **_figures(scans, scores)})
    tried = pd.DataFrame(rows)
    good = tried[tried["f1"] >= tried["f1"].max() - 0.02]
    best = good.sort_values("relative_difference_both_positive").iloc[0]
    figures: dict[str, Any] = {
        key: value.item() if hasattr(value, "item") else value
        for key, value in best.drop(list(THRESHOLDS)).items()
    }
    figures["heart_dice_median"] = float(np.median([s.dice for s in scans]))
    figures["scans"] = len(scans)
    return {name: float(best[name]) for name in THRESHOLDS}, figures, tried


def _lesions(scan: ValidationScan, beside: float, floor: float, least: float) -> MapLesions:
    cleaned = clean_map(
        scan.raw_map, scan.cut, scan.heart, scan.probability >= beside,
        soft_tissue_floor_hu=floor, smallest_hu=least,
    )  # fmt: skip
    return map_lesions(cleaned, scan.near_arteries, scan.probability)


def _score(found: MapLesions, sure: float, mass: float) -> float:
    """Pseudo-mass in HU·mm³ of the lesions that count, as the pipeline counts them."""
    counts = (found.probability >= sure) & (found.near_share >= NEAR_SHARE)
    counts &= (found.voxels >= SMALLEST_LESION_VOXELS) & (found.mass_hu_mm3 >= mass)
    return float(found.mass_hu_mm3[counts].sum())


def _figures(scans: list[ValidationScan], masses: list[float]) -> dict[str, Any]:
    detection = count_detections([s.visible for s in scans], [m > 0 for m in masses])
    table = pd.DataFrame({"pair": [s.pair for s in scans], "mass": masses})
    both = table.groupby("pair").filter(lambda group: len(group) == 2)
    first, second = (both.groupby("pair").nth(i)["mass"].to_numpy(float) for i in (0, 1))
    difference = relative_difference(first, second)
    return {
        "sensitivity": detection.sensitivity, "false_positive_rate": detection.false_positive_rate,
        "f1": detection.f1,
        "relative_difference_both_positive": difference.both_positive,
        "relative_difference_any_positive": difference.any_positive,
        "pairs_both_positive": difference.n_both_positive,
    }  # fmt: skip


def _card() -> dict[str, Any]:
    return {
        "name": "demo",
        "trained_on": "simulated scans only (cacnb simulate, seeds below 500); no patient's scan",
        "cohorts": {name: vars(plan) for name, plan in COHORTS.items()},
        "thresholds": {
            "slice_probability": 0.5, "slice_probability_beside": 0.5,
            "soft_tissue_floor_hu": SOFT_TISSUE_FLOOR_HU,
            "smallest_map_hu": 10.0, "smallest_lesion_mass_hu_mm3": 0.0,
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
