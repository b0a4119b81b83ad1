"""From a study folder to candidate voxels with labels; it does not know how they are learned."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cacnb.ct.reading import read_image, read_mask, read_scan
from cacnb.ct.volume import Volume
from cacnb.errors import InputError
from cacnb.files import save_array
from cacnb.learning.clinical_baseline import CandidateSampler
from cacnb.learning.clinical_candidates import Candidates, find_candidates
from cacnb.learning.clinical_networks import CLASSES
from cacnb.learning.recipes import ClinicalRecipe
from cacnb.study.cohort import lesion_centres_mm, rows_by_scan


class Scan(Protocol):
    """What is asked of a scan of a study: its name, its image and its heart mask."""

    @property
    def name(self) -> str:
        """As `cohort.csv` says."""

    @property
    def path(self) -> Path:
        """Its image."""

    @property
    def heart(self) -> Path:
        """Its heart mask."""


def clinical_sampler(
    recipe: ClinicalRecipe, scans: Sequence[tuple[Path, Sequence[Scan]]]
) -> CandidateSampler:
    """Batches of candidates of the training scans (study, its scans), prepared under each study.

    Raises
    ------
    InputError
        `no_clinical_lesions` where a study or a scan lacks what a clinical reader picked;
        `no_arteries` where a picked lesion is of no artery; `no_calcium` where no scan has any.
    """
    stems = []
    size = views_px(recipe)
    for study, of_study in scans:
        if not (study / "clinical_lesions").is_dir():
            raise InputError(
                "no_clinical_lesions",
                f"{study} has no clinical_lesions/ for the baseline to learn from: "
                "score it clinically first, or simulate a study",
            )
        grid = f"clinical_{recipe.spacing_mm:g}_{recipe.reach_mm:g}_{size}"
        folder = study / "prepared" / grid
        lesions = rows_by_scan(study / "truth_lesions.csv")
        for scan in of_study:
            _prepare(scan, study, recipe, lesions.get(scan.name), folder)
            stems.append(folder / scan.name)
    try:
        return CandidateSampler(
            stems, batch=recipe.batch, size=size, labelled=recipe.labelled_px, seed=recipe.seed
        )
    except ValueError as error:
        raise InputError(
            "no_calcium", f"the baseline cannot learn here, {error}: add scans with calcium"
        ) from error


def views_px(recipe: ClinicalRecipe) -> int:
    """Side of the views that the first network trains on, in voxels."""
    return recipe.field_px + recipe.labelled_px - 1


def candidates_of(volume: Volume, heart: Volume, recipe: ClinicalRecipe) -> Candidates:
    """The candidates of a scan on a recipe's grid."""
    return find_candidates(
        volume, heart, spacing_mm=recipe.spacing_mm, reach_mm=recipe.reach_mm,
        field_px=views_px(recipe),
    )  # fmt: skip


def clinical_truth(
    study: Path, name: str, volume: Volume, lesions: pd.DataFrame | None = None
) -> NDArray[np.uint8]:
    """The artery (1 LAD, 2 LCX, 3 RCA) of each voxel that a clinical reader picked, 0 elsewhere.

    It is the painted lesion region's there, else that of the nearest true lesion of a simulated
    scan: regions are painted on slices with visible calcium only.

    Raises
    ------
    InputError
        `no_clinical_lesions`, `no_arteries`.
    """
    file = study / "clinical_lesions" / f"{name}.nii.gz"
    if not file.is_file():
        raise InputError(
            "no_clinical_lesions",
            f"scan {name} has no image in clinical_lesions/: score it clinically first",
        )
    picked = read_mask(file, volume, may_be_empty=True).array
    labels = np.zeros(volume.shape, np.uint8)
    voxels = np.argwhere(picked)
    if not len(voxels):
        return labels
    regions = study / "lesion_regions" / f"{name}.nii.gz"
    artery = np.zeros(len(voxels), np.int64)
    if regions.is_file():
        artery = read_image(regions).array[tuple(voxels.T)].astype(np.int64)
    unpainted = artery == 0
    if unpainted.any():
        if lesions is None or not len(lesions):
            raise InputError(
                "no_arteries",
                f"scan {name} has picked lesions of no artery: paint their regions first",
            )
        centres = lesion_centres_mm(lesions)
        at_mm = np.asarray(volume.origin_mm) + voxels[unpainted] * np.asarray(volume.spacing_mm)
        nearest = np.linalg.norm(at_mm[:, None] - centres[None], axis=2).argmin(axis=1)
        number = lesions["artery"].map({a: i for i, a in enumerate(CLASSES)}).to_numpy(np.int64)
        artery[unpainted] = number[nearest]
    labels[tuple(voxels.T)] = artery
    return labels


def _prepare(
    scan: Scan, study: Path, recipe: ClinicalRecipe, lesions: pd.DataFrame | None, folder: Path
) -> None:
    stem = folder / scan.name
    if Path(f"{stem}.labels.npy").exists():  # the last of the three to be written
        return
    _, volume = read_scan(scan.path)
    heart = read_mask(scan.heart, volume, may_be_empty=True)
    truth = clinical_truth(study, scan.name, volume, lesions)
    found = candidates_of(volume, heart, recipe)
    table = np.column_stack([found.points, truth[tuple(found.voxels.T)], found.component])
    save_array(np.rint(found.image.array).astype(np.int16), Path(f"{stem}.image.npy"))
    save_array(table.astype(np.int32), Path(f"{stem}.candidates.npy"))
    save_array(_on_grid(truth, volume, found.image).astype(np.int32), Path(f"{stem}.labels.npy"))


def _on_grid(truth: NDArray[np.uint8], volume: Volume, image: Volume) -> NDArray[np.int64]:
    """Every voxel of the networks' grid whose nearest of the scan is calcium: z, y, x, artery."""
    nearest = [
        np.clip(
            np.rint((image.axis_mm(i) - volume.origin_mm[i]) / volume.spacing_mm[i]).astype(int),
            0, volume.shape[i] - 1,
        )
        for i in range(3)
    ]  # fmt: skip
    there = truth[np.ix_(*nearest)]
    at = np.argwhere(there)
    return np.column_stack([at, there[tuple(at.T)]])
