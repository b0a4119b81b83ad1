"""From finished runs to a weights folder; test scans choose nothing here."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from cacnb.clinical_validation import choose_clinical_probability, clinical_looks
from cacnb.errors import InputError, UsageError
from cacnb.files import or_cannot_write, write_atomically
from cacnb.labels.agreed import visible_scans
from cacnb.learning.checkpoint import CHECKPOINT, load_network, read_metadata
from cacnb.learning.clinical_baseline import ClinicalLearner
from cacnb.learning.decompositions import decomposer
from cacnb.learning.heart_segmenter import HeartLearner
from cacnb.learning.kept import chosen_file
from cacnb.learning.learner import Learner
from cacnb.learning.loop import LEARNED_FROM
from cacnb.learning.recipes import (
    ClinicalRecipe,
    DecompositionRecipe,
    HeartRecipe,
    Recipe,
    SliceRecipe,
)
from cacnb.learning.slice_classifier import SliceLearner
from cacnb.learning.weights import STAGES, Weights, load_weights, save_weights
from cacnb.learning.weights_card import card_lines
from cacnb.learning.weights_check import network_answers
from cacnb.scoring.cac_map import SOFT_TISSUE_FLOOR_HU
from cacnb.training_scans import is_simulated, told_of
from cacnb.validation import choose_thresholds, validation_scans

#: Where no validation scan chose: the paper's floor, and round numbers for the rest.
UNCHOSEN = {
    "slice_probability": 0.5, "slice_probability_beside": 0.5,
    "soft_tissue_floor_hu": SOFT_TISSUE_FLOOR_HU,
    "smallest_map_hu": 10.0, "smallest_lesion_mass_hu_mm3": 0.0,
    "clinical_probability": 0.5,
}  # fmt: skip


@dataclass(frozen=True)
class FinishedRun:
    """One run's network as the pipeline uses it, and how far its training went.

    `chosen_at` is the iteration that the network is of where validation chose it, else None;
    `learned_from` are its studies in words, empty for a run of an older version.
    """

    stage: str
    network: nn.Module
    recipe: Recipe
    iteration: int
    chosen_at: int | None = None
    learned_from: tuple[str, ...] = ()


def make_weights(
    runs: dict[str, Path],
    name: str,
    out: Path,
    *,
    studies: list[Path] | None = None,
    validation: list[Path] | None = None,
    unfinished: bool = False,
    chosen: bool = False,
) -> dict[str, Any]:
    """Write a weights folder from one run a stage; returns its card.

    `runs` names the folders of heart, slices, decomposition and, where there is one, clinical.
    Runs know what they learned from; `studies` say it for those of older versions, and are refused
    as `validation`. The thresholds are chosen on the labelled scans of `validation`, which must be
    other studies; without any they are `UNCHOSEN`, and the card says so. The artery atlas is that
    of the packaged weights. With `chosen`, the decomposition is the network that its run's own
    validation chose.

    Raises
    ------
    InputError
        `not_empty` where `out` holds something; `no_run`, `other_stage`, `unfinished_run`,
        `bad_checkpoint`, `no_choice` of a run; `no_study`, `no_masks`, `no_labels` of a study.
    UsageError
        Where a validation study is one that was trained on.
    """
    validation, studies = validation or [], studies or []
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError("not_empty", f"{out} is there and not empty: choose another --out")
    both = {study.resolve() for study in studies} & {study.resolve() for study in validation}
    if both:
        raise UsageError(
            f"{both.pop().name} is both --study and --validation: thresholds are chosen on scans "
            "that no network learned from"
        )
    given, chosen_on = [str(told_of(s)) for s in studies], [str(told_of(s)) for s in validation]
    for study in validation:
        visible_scans(study)
    found = [
        finished_run(folder, stage, unfinished, chosen and stage == "decomposition")
        for stage, folder in runs.items()
    ]
    kept = dict.fromkeys(study for run in found for study in run.learned_from)
    learned_from = given or list(kept)
    if not learned_from:
        raise UsageError("these runs do not say which studies they learned from: give --study")
    card = _card(name, found, learned_from, chosen_on)
    networks = {run.stage: run.network for run in found}
    recipes = {run.stage: run.recipe.as_dict() for run in found}
    atlas = load_weights().atlas
    with or_cannot_write(out):
        out.parent.mkdir(parents=True, exist_ok=True)
    # Whole or not at all: a folder with thresholds that nothing chose yet is never found.
    with TemporaryDirectory(prefix=".weights.", dir=out.parent) as beside:
        part = Path(beside) / out.name
        save_weights(part, networks, recipes, atlas, card)
        weights = load_weights(str(part))
        if validation:
            _choose(card, weights, validation, part)
        answers = network_answers(weights)
        card["check"] = {stage: values.tolist() for stage, values in answers.items()}
        save_weights(part, networks, recipes, atlas, card)
        made = load_weights(str(part))
        write_atomically("\n".join(card_lines(made.card, made.sha256)) + "\n", part / "README.md")
        with or_cannot_write(out):
            part.rename(out)
    return made.card


def finished_run(
    folder: Path, stage: str, unfinished: bool = False, chosen: bool = False
) -> FinishedRun:
    """The network that a run trained, at its end or as `chosen`; nothing is unpickled.

    Raises
    ------
    InputError
        `no_run`, `other_stage`, `bad_checkpoint`; `unfinished_run` where iterations are left and
        `unfinished` was not asked for; `no_choice` where `chosen` was and validation chose none.
    """
    plan_file, checkpoint = folder / "recipe.json", folder / CHECKPOINT
    if not (plan_file.is_file() and checkpoint.is_file()):
        raise InputError(
            "no_run", f"{folder} holds no run with a checkpoint: train one with `cacnb train`"
        )
    try:
        plan = json.loads(plan_file.read_text(encoding="utf-8"))
        trained = plan.pop("stage")
        if trained != stage:
            raise InputError("other_stage", f"{folder} is a run of {trained}, not of {stage}")
        studies = tuple(plan.pop(LEARNED_FROM, ()))
        learner = _learner(stage, plan)
        tensors, metadata = load_file(checkpoint), read_metadata(checkpoint)
        for key, network in learner.networks.items():
            load_network(network, tensors, f"network.{key}.")
        iteration, chosen_at = int(metadata["iteration"]), None
        if chosen:
            path = chosen_file(folder)
            load_network(learner.trained(), load_file(path))
            chosen_at = int(read_metadata(path)["iteration"])
    except (
        OSError, KeyError, TypeError, ValueError, AttributeError, RuntimeError, SafetensorError,
    ) as error:  # fmt: skip
        raise InputError(
            "bad_checkpoint", f"{folder} cannot be opened as a run of {stage}: train it anew"
        ) from error
    if iteration < learner.recipe.iterations and not unfinished:
        raise InputError(
            "unfinished_run",
            f"{folder} stands at {iteration} of {learner.recipe.iterations} iterations: finish it "
            "with --resume, or take it as it is with --unfinished",
        )
    return FinishedRun(
        stage, learner.trained().eval(), learner.recipe, iteration, chosen_at, studies
    )


def _learner(stage: str, plan: dict[str, Any]) -> Learner:
    """An untrained learner of a stage; KeyError for another word."""
    if stage == "heart":
        return HeartLearner(HeartRecipe.from_dict(plan))
    if stage == "slices":
        return SliceLearner(SliceRecipe.from_dict(plan))
    if stage == "decomposition":
        return decomposer(DecompositionRecipe.from_dict(plan))
    if stage == "clinical":
        return ClinicalLearner(ClinicalRecipe.from_dict(plan))
    raise KeyError(stage)


def _choose(card: dict[str, Any], weights: Weights, validation: list[Path], out: Path) -> None:
    """Let the validation scans choose, and put thresholds and figures into the card."""
    scans = [scan for study in validation for scan in validation_scans(study, weights)]
    if not scans:
        raise InputError(
            "no_heart", "no heart was found on any validation scan: nothing can be chosen on them"
        )
    chosen, card["validation"], tried = choose_thresholds(scans)
    card["thresholds"] = {**card["thresholds"], **chosen}
    write_atomically(tried.round(4).to_csv(index=False), out / "validation.csv")
    if weights.clinical is not None and weights.clinical_recipe is not None:
        looks = [
            look
            for study in validation
            for look in clinical_looks(
                study, weights.clinical, weights.clinical_recipe, weights.device
            )
        ]
        least, card["clinical_validation"] = choose_clinical_probability(looks)
        card["thresholds"]["clinical_probability"] = least


def _card(
    name: str, runs: list[FinishedRun], studies: list[str], chosen_on: list[str]
) -> dict[str, Any]:
    missing = [stage for stage in STAGES if stage not in {run.stage for run in runs}]
    if missing:
        raise UsageError(f"no run of {missing[0]}: weights need {', '.join(STAGES)}")
    limits = ["Research software: not a medical device, not for diagnosis or treatment."]
    if all(is_simulated(study) for study in studies):
        limits.append(
            "All calcium in training is simulated: what it says of a patient's is untested."
        )
    if not chosen_on:
        limits.append("No validation scan chose the thresholds: they are untested defaults.")
    limits += [
        f"{run.stage}: training was stopped at {run.iteration} of {run.recipe.iterations}."
        for run in runs
        if run.iteration < run.recipe.iterations
    ]
    limits.append("The artery atlas is that of the packaged weights, from simulated hearts.")
    return {
        "name": name,
        "trained_on": ", ".join(studies),
        "runs": {
            run.stage: {
                "recipe": run.recipe.name, "iterations": run.iteration, "of": run.recipe.iterations,
                LEARNED_FROM: list(run.learned_from),
                **({} if run.chosen_at is None else {"chosen_at": run.chosen_at}),
            }
            for run in runs
        },
        "thresholds": dict(UNCHOSEN),
        "thresholds_chosen_on": ", ".join(chosen_on) or None,
        "validation": None,
        "limits": limits,
        "torch": torch.__version__,
    }  # fmt: skip
