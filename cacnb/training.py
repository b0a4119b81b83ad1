"""From study folders to a training that runs: its learner, what it draws, who watches it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from cacnb.clinical_training import clinical_sampler
from cacnb.ct.grids import resample, resample_onto
from cacnb.ct.reading import read_mask, read_scan
from cacnb.decomposition_view import DecompositionView
from cacnb.errors import InputError, UsageError
from cacnb.files import one_at_a_time, save_array
from cacnb.learning.batches import PatchSampler, SliceSampler, SliceStore
from cacnb.learning.clinical_baseline import ClinicalLearner
from cacnb.learning.decompositions import decomposer
from cacnb.learning.device import open_device, room_for_slices
from cacnb.learning.heart_segmenter import HeartLearner
from cacnb.learning.learner import Learner, Sampler, share_work
from cacnb.learning.loop import Run, Step, train
from cacnb.learning.processes import Processes
from cacnb.learning.recipes import (
    ClinicalRecipe,
    DecompositionRecipe,
    HeartRecipe,
    Recipe,
    SliceRecipe,
)
from cacnb.learning.slice_classifier import SliceLearner
from cacnb.prepared_slices import slice_store
from cacnb.training_scans import (
    TrainingScan,
    learned_from,
    scan_pairs,
    simulated_scans,
    told_of,
)
from cacnb.training_watch import TrainingWatch, View, WatchPlan


def train_stage(
    stage: str,
    recipe: Recipe,
    studies: list[Path],
    run: Run,
    watched: WatchPlan | None = None,
    device: str = "cpu",
    processes: Processes | None = None,
) -> Iterator[Step]:
    """Prepare the studies once, then train one network, yielding every step.

    `watched` says how often the run is looked at from outside; None for never. What it validates is
    kept (`Run.keep`). All train on any `device` but the clinical baseline, which trains on a CPU.
    With `processes` this process is one of several, on the device that it was given there.

    Raises
    ------
    UsageError, InputError
        For an unknown stage or another device for a stage that trains on a CPU only; for a batch
        that the processes cannot share; `no_device`.
    """
    processes = processes or Processes(device=open_device(device))
    made = processes.after_first(lambda: _prepared(stage, recipe, studies, processes.device))
    learner, sampler, view = made
    share_work(learner, sampler, processes)
    run = replace(run, learned_from=tuple(str(told_of(study)) for study in studies))
    if watched is None:
        return train(learner, sampler, run)
    if view is not None:
        run = replace(run, keep_every=watched.validate_every)
    return train(learner, sampler, run, TrainingWatch(view, watched))


def _prepared(
    stage: str, recipe: Recipe, studies: list[Path], target: torch.device
) -> tuple[Learner, Sampler, View | None]:
    """A learner, what it draws from, and what can be seen of it."""
    if target.type != "cpu" and isinstance(recipe, ClinicalRecipe):
        raise UsageError(f"{stage} trains on a CPU, --device {target} came: leave --device out")
    learner: Learner
    sampler: Sampler
    view: View | None = None
    if isinstance(recipe, HeartRecipe):
        learner, sampler = HeartLearner(recipe, target), heart_sampler(recipe, studies)
    elif isinstance(recipe, SliceRecipe):
        learner = SliceLearner(recipe, target)
        store, sides = slice_store(studies, recipe.store_px)
        sampler = slice_sampler(store, sides.train, recipe, target)
    elif isinstance(recipe, DecompositionRecipe):
        learner = decomposer(recipe, target)
        store, sides = slice_store(studies, recipe.store_px)
        sampler = slice_sampler(store, sides.train, recipe, target)
        view = DecompositionView(
            learner, store, sides.val, scan_pairs(studies), simulated_scans(studies)
        )
    elif isinstance(recipe, ClinicalRecipe):
        learner = ClinicalLearner(recipe)
        sampler = clinical_sampler(recipe, [(study, learned_from(study)) for study in studies])
    else:
        raise UsageError(f"no stage {stage!r} to train")
    return learner, sampler, view


def heart_sampler(recipe: HeartRecipe, studies: list[Path]) -> PatchSampler:
    """Patches of the training scans on the recipe's grid, prepared under each study's folder."""
    folders: list[tuple[Path, str]] = []
    for study in studies:
        folder = study / "prepared" / ("heart_" + "x".join(f"{s:g}" for s in recipe.spacing_mm))
        for scan in learned_from(study, "heart"):
            _prepare_heart(scan, recipe, folder)
            folders.append((folder, scan.name))
    return PatchSampler(
        [(folder / name) for folder, name in folders],
        batch=recipe.batch,
        patch=recipe.patch,
        window_hu=recipe.window_hu,
        vary=recipe.vary,
        seed=recipe.seed,
    )


def _prepare_heart(scan: TrainingScan, recipe: HeartRecipe, folder: Path) -> None:
    image_file, heart_file = folder / f"{scan.name}.image.npy", folder / f"{scan.name}.heart.npy"
    if image_file.exists() and heart_file.exists():
        return
    with one_at_a_time(folder / ".lock"):
        if not (image_file.exists() and heart_file.exists()):
            _cut_heart(scan, recipe, image_file, heart_file)


def _cut_heart(scan: TrainingScan, recipe: HeartRecipe, image_file: Path, heart_file: Path) -> None:
    """Write a scan and its heart on the recipe's grid."""
    _, volume = read_scan(scan.path)
    heart = read_mask(scan.heart, volume, may_be_empty=True)
    image = resample(volume, recipe.spacing_mm)
    save_array(np.rint(image.array).astype(np.int16), image_file)
    save_array(resample_onto(heart, image).array.astype(np.bool_), heart_file)


def slice_sampler(
    store: SliceStore,
    scans: NDArray[np.bool_],
    recipe: SliceRecipe | DecompositionRecipe,
    device: torch.device,
) -> SliceSampler:
    """Balanced batches of some scans' heart slices: half of them with CAC.

    For the decomposition, both domains are drawn from the same places in the heart as well.

    Raises
    ------
    InputError
        `one_label` where the scans do not show both labels.
    """
    by_position = isinstance(recipe, DecompositionRecipe)
    try:
        return SliceSampler(
            store, store.subset(scans), recipe.batch if by_position else recipe.batch // 2,
            recipe.seed, by_position=by_position, context=recipe.context, device=device,
            room_bytes=room_for_slices(device) if recipe.on_device else 0,
        )  # fmt: skip
    except ValueError as error:
        raise InputError(
            "one_label",
            f"nothing can be drawn from {int(scans.sum())} scans for training, {error}: "
            "label more scans, or split the study again",
        ) from error
