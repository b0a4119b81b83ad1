"""From a study folder to trained networks: what is prepared, drawn and checked; no command line."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from cacnb.clinical_training import clinical_sampler
from cacnb.ct.grids import SLICE_GRID_MM, crop_heart, resample, resample_onto
from cacnb.ct.heart import centre_of_mass_mm
from cacnb.ct.reading import read_image, read_mask, read_scan
from cacnb.ct.volume import Volume
from cacnb.decomposition_view import DecompositionView
from cacnb.errors import InputError, UsageError
from cacnb.files import save_array, write_atomically
from cacnb.labels.agreed import labels_sha256, slice_labels
from cacnb.labels.place import study_toml
from cacnb.learning.batches import PatchSampler, SliceSampler, SliceStore
from cacnb.learning.calcium_cyclegan import CalciumCycleGan
from cacnb.learning.clinical_baseline import ClinicalLearner
from cacnb.learning.device import open_device, room_for_slices
from cacnb.learning.heart_segmenter import HeartLearner
from cacnb.learning.loop import Learner, Run, Sampler, Step, train
from cacnb.learning.recipes import (
    ClinicalRecipe,
    DecompositionRecipe,
    HeartRecipe,
    Recipe,
    SliceRecipe,
)
from cacnb.learning.slice_classifier import SliceLearner
from cacnb.study.cohort import read_cohort
from cacnb.training_watch import TrainingWatch, View, WatchPlan

#: HU that slices are kept with: a 12-bit scanner's. The network's window is applied when they are
#: drawn, after known calcium has been taken out and put back.
STORED_HU = (-1024, 3071)

#: Calcium below this in HU everywhere on a slice is not kept: noise is ten times as large.
LEAST_CALCIUM_HU = 2

#: Every fifth patient is kept for validation: decided by the patient's place in the sorted list.
VALIDATION_EVERY = 5


@dataclass(frozen=True)
class TrainingScan:
    """One row of a study that a network may learn from; paths are absolute."""

    name: str
    patient: str
    path: Path
    heart: Path


def training_scans(study: Path) -> list[TrainingScan]:
    """The scans of a study folder that have a heart mask, in the order of `cohort.csv`.

    Raises
    ------
    InputError
        `no_study` where the folder has no cohort, `no_masks` where no scan has a mask.
    """
    cohort = read_cohort(study)
    scans = [
        TrainingScan(name, patient, study / path, study / "masks" / f"{name}.nii.gz")
        for name, patient, path in cohort[["scan", "patient", "path"]].to_numpy(str).tolist()
    ]
    found = [scan for scan in scans if scan.heart.exists()]
    if not found:
        raise InputError("no_masks", f"no scan of {study} has a mask in masks/: add heart masks")
    return found


def is_validation(scans: list[TrainingScan]) -> NDArray[np.bool_]:
    """Which scans are kept for validation, (n,); all scans of a patient stand on one side."""
    patients = sorted({scan.patient for scan in scans})
    kept = {patient for i, patient in enumerate(patients) if i % VALIDATION_EVERY == 4}
    return np.array([scan.patient in kept for scan in scans])


def train_stage(
    stage: str,
    recipe: Recipe,
    studies: list[Path],
    run: Run,
    watched: WatchPlan | None = None,
    device: str = "cpu",
) -> Iterator[Step]:
    """Prepare the studies once, then train one network, yielding every step.

    `watched` says how often the run is looked at from outside; None for never. Slices and
    decomposition train on any `device`, heart and clinical on a CPU.

    Raises
    ------
    UsageError, InputError
        For an unknown stage or another device for a stage that trains on a CPU only; `no_device`.
    """
    target = open_device(device)
    if target.type != "cpu" and not isinstance(recipe, SliceRecipe | DecompositionRecipe):
        raise UsageError(f"{stage} trains on a CPU, --device {device} came: leave --device out")
    learner: Learner
    sampler: Sampler
    view: View | None = None
    if isinstance(recipe, HeartRecipe):
        learner, sampler = HeartLearner(recipe), heart_sampler(recipe, studies)
    elif isinstance(recipe, SliceRecipe):
        learner = SliceLearner(recipe, target)
        store, kept = slice_store(studies, recipe.store_px)
        sampler = slice_sampler(store, ~kept, recipe, target)
    elif isinstance(recipe, DecompositionRecipe):
        learner = CalciumCycleGan(recipe, target)
        store, kept = slice_store(studies, recipe.store_px)
        sampler = slice_sampler(store, ~kept, recipe, target)
        if watched is not None:
            view = DecompositionView(
                learner, store, kept, scan_pairs(studies), simulated_scans(studies)
            )
    elif isinstance(recipe, ClinicalRecipe):
        learner = ClinicalLearner(recipe)
        sampler = clinical_sampler(recipe, [(study, _learned_from(study)) for study in studies])
    else:
        raise UsageError(f"no stage {stage!r} to train")
    watch = TrainingWatch(view, watched) if watched is not None else None
    return train(learner, sampler, run, watch)


def scan_pairs(studies: list[Path]) -> NDArray[np.int64]:
    """(scans,) a number for each pair of scan and rescan, in the order of `slice_store`'s scans."""
    pairs: list[tuple[int, str]] = []
    for i, study in enumerate(studies):
        cohort = read_cohort(study).set_index("scan")
        pair_of = cohort["pair" if "pair" in cohort else "patient"]
        pairs += [(i, str(pair_of[scan.name])) for scan in training_scans(study)]
    number = {pair: at for at, pair in enumerate(dict.fromkeys(pairs))}
    return np.array([number[pair] for pair in pairs])


def simulated_scans(studies: list[Path]) -> NDArray[np.bool_]:
    """(scans,) which scans a study's `study.toml` calls simulated, in the order of the scans."""
    told: list[bool] = []
    for study in studies:
        told += [bool(study_toml(study).get("simulated"))] * len(training_scans(study))
    return np.array(told)


def _learned_from(study: Path) -> list[TrainingScan]:
    """The scans of a study that are not kept for validation."""
    scans = training_scans(study)
    kept = is_validation(scans)
    return [scan for scan, validation in zip(scans, kept, strict=True) if not validation]


def heart_sampler(recipe: HeartRecipe, studies: list[Path]) -> PatchSampler:
    """Patches of the training scans on the recipe's grid, prepared under each study's folder."""
    folders: list[tuple[Path, str]] = []
    for study in studies:
        scans = training_scans(study)
        kept = is_validation(scans)
        folder = study / "prepared" / ("heart_" + "x".join(f"{s:g}" for s in recipe.spacing_mm))
        for scan, validation in zip(scans, kept, strict=True):
            if not validation:
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
    """
    by_position = isinstance(recipe, DecompositionRecipe)
    return SliceSampler(
        store, store.subset(scans), recipe.batch if by_position else recipe.batch // 2, recipe.seed,
        by_position=by_position, context=recipe.context, device=device,
        room_bytes=room_for_slices(device) if recipe.on_device else 0,
    )  # fmt: skip


def slice_store(studies: list[Path], size: int) -> tuple[SliceStore, NDArray[np.bool_]]:
    """All heart slices of some studies, and which scans are kept for validation (by scan index).

    Slices are prepared under each study's `prepared/`, again when its labels changed, and
    memory-mapped from there.
    """
    arrays: list[NDArray[np.int16]] = []
    tables: list[pd.DataFrame] = []
    names: list[str] = []
    kept: list[NDArray[np.bool_]] = []
    known: list[tuple[NDArray[np.int16], NDArray[np.int64]] | None] = []
    for study in studies:
        scans = training_scans(study)
        folder = study / "prepared" / f"slices_{size}"
        table_file, array_file = folder / "slices.csv", folder / "slices.npy"
        labels = slice_labels(study)
        made_of = folder / "labels.sha256"
        if not made_of.exists() or made_of.read_text("utf-8") != labels_sha256(labels):
            made_of.unlink(missing_ok=True)
            _prepare_slices(study, scans, labels, size, array_file, table_file)
            write_atomically(labels_sha256(labels), made_of)
        table = pd.read_csv(table_file, dtype={"scan": str})
        number = {scan.name: len(names) + i for i, scan in enumerate(scans)}
        tables.append(table.assign(number=table["scan"].map(number)))
        arrays.append(np.load(array_file, mmap_mode="r"))
        known.append(_known_calcium(folder, len(table)))
        names += [scan.name for scan in scans]
        kept.append(is_validation(scans))
    table = pd.concat(tables)
    store = SliceStore(
        slices=arrays[0] if len(arrays) == 1 else np.concatenate(arrays),
        labels=(table["contains_cac"] == 1).to_numpy(bool),
        positions=table["position"].to_numpy(np.float32),
        scans=table["number"].to_numpy(np.int32),
        names=names,
        settled=(table["contains_cac"] >= 0).to_numpy(bool),
    )
    told = [pair for pair in known if pair is not None]
    if len(told) == len(known):
        offsets = np.cumsum([0, *(len(calcium) for calcium, _ in told)])
        store.calcium = np.concatenate([calcium for calcium, _ in told])
        store.calcium_rows = np.concatenate(
            [
                np.where(rows >= 0, rows + at, -1)
                for (_, rows), at in zip(told, offsets, strict=False)
            ]
        )
    return store, np.concatenate(kept)


def _known_calcium(folder: Path, slices: int) -> tuple[NDArray[np.int16], NDArray[np.int64]] | None:
    """The calcium of a study's prepared slices and each slice's row in it; None where unknown."""
    calcium_file, rows_file = folder / "calcium.npy", folder / "calcium_rows.npy"
    if not (calcium_file.exists() and rows_file.exists()):
        return None
    rows = np.load(rows_file)
    return (np.load(calcium_file, mmap_mode="r"), rows) if len(rows) == slices else None


def _prepare_slices(
    study: Path,
    scans: list[TrainingScan],
    labels: pd.DataFrame,
    size: int,
    array_file: Path,
    table_file: Path,
) -> None:
    if labels.empty:
        raise InputError(
            "no_labels",
            f"no slice of {study} has a settled label: label it first, "
            f"`cacnb serve label --study {study}`",
        )
    by_scan = {str(name): group.sort_values("slice") for name, group in labels.groupby("scan")}
    labelled = [scan for scan in scans if scan.name in by_scan]
    with ThreadPoolExecutor(max_workers=2) as pool:
        cuts = pool.map(lambda scan: _cut_scan(study, scan, by_scan[scan.name], size), labelled)
        found = [cut for cut in cuts if cut is not None]
    if not found:
        raise InputError("no_labels", f"no scan of {study} has labels and a heart mask")
    images, calcium, tables = zip(*found, strict=True)
    if (study / "calcium").is_dir():
        known = np.concatenate(calcium)
        shows = (known >= LEAST_CALCIUM_HU).any(axis=(1, 2))
        save_array(known[shows], array_file.with_name("calcium.npy"))
        save_array(
            np.where(shows, np.cumsum(shows) - 1, -1), array_file.with_name("calcium_rows.npy")
        )
    save_array(np.concatenate(images), array_file)
    write_atomically(pd.concat(tables).to_csv(index=False), table_file)


def _cut_scan(
    study: Path, scan: TrainingScan, marks: pd.DataFrame, size: int
) -> tuple[NDArray[np.int16], NDArray[np.int16], pd.DataFrame] | None:
    """One scan's heart slices, the known calcium on them, and their rows of the table.

    `contains_cac` is −1 where nobody settled it.
    """
    _, volume = read_scan(scan.path)
    heart = read_mask(scan.heart, volume, may_be_empty=True)
    if not heart.array.any():
        return None
    seen = np.full(volume.shape[0], -1)
    seen[marks["slice"].to_numpy(int)] = marks["contains_cac"].to_numpy(int)
    cut, where, positions, nearest = heart_slices(volume, heart, size)
    calcium = np.zeros((0, size, size), np.int16)
    known = study / "calcium" / f"{scan.name}.nii.gz"
    if known.is_file():
        fine = resample(read_image(known), SLICE_GRID_MM)
        there = crop_heart(fine, centre_of_mass_mm(heart)[1:], size, fill_hu=0.0)
        calcium = np.rint(there.array[where]).astype(np.int16)
    table = pd.DataFrame({"scan": scan.name, "contains_cac": seen[nearest], "position": positions})
    return np.clip(np.rint(cut.array[where]), *STORED_HU).astype(np.int16), calcium, table


def heart_slices(
    volume: Volume, heart: Volume, size: int
) -> tuple[Volume, NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]]:
    """The heart's slices as the networks see them (section 5).

    Returns the scan at 1.5 × 1.0 × 1.0 mm cropped around the mask's centre of mass, the indices of
    its slices that show the heart, their relative positions (0 … 1), and the scan's own slice that
    lies nearest to each of them.
    """
    fine = resample(volume, SLICE_GRID_MM)
    mask = resample_onto(heart, fine)
    centre = centre_of_mass_mm(heart)
    cut = crop_heart(fine, (centre[1], centre[2]), size)
    where = np.flatnonzero(mask.array.any(axis=(1, 2)))
    positions = np.linspace(0, 1, len(where), dtype=np.float32)
    at_mm = fine.axis_mm(0)[where]
    nearest = np.rint((at_mm - volume.origin_mm[0]) / volume.spacing_mm[0])
    return cut, where, positions, np.clip(nearest, 0, volume.shape[0] - 1).astype(np.int64)
