"""From validation scans to the clinical baseline's threshold; test scans choose nothing here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from cacnb.clinical_training import clinical_truth
from cacnb.ct.reading import read_mask, read_scan
from cacnb.labels.agreed import visible_scans
from cacnb.learning.clinical_baseline import label_candidates
from cacnb.learning.clinical_candidates import find_candidates
from cacnb.learning.recipes import ClinicalRecipe
from cacnb.study.cohort import rows_by_scan
from cacnb.study.detection import count_detections
from cacnb.training_scans import training_scans

#: Thresholds tried on the probability that a component is coronary.
PROBABILITIES = tuple(round(0.02 * i, 2) for i in range(1, 50))


@dataclass(frozen=True, eq=False)
class ClinicalLook:
    """What the baseline and the reader say of one scan.

    `probability` (components,) is that of being coronary, `artery` (components,) the likeliest of
    1 LAD, 2 LCX, 3 RCA; `truth` is the artery that the reader's voxels in a component have, 0 where
    there are none; `volume_mm3` the components' volumes. `visible` says whether the scan shows CAC.
    """

    name: str
    visible: bool
    probability: NDArray[np.float64]
    artery: NDArray[np.int64]
    truth: NDArray[np.int64]
    volume_mm3: NDArray[np.float64]


def clinical_looks(
    study: Path, network: nn.Module, recipe: ClinicalRecipe, device: torch.device
) -> Iterator[ClinicalLook]:
    """The candidates of every labelled scan of a study, with its own heart masks, judged.

    Raises
    ------
    InputError
        `no_study`, `no_masks`, `no_labels`, `no_clinical_lesions`.
    """
    lesions = rows_by_scan(study / "truth_lesions.csv")
    visible = visible_scans(study)
    for scan in training_scans(study):
        if scan.name not in visible.index:
            continue
        _, volume = read_scan(scan.path)
        heart = read_mask(scan.heart, volume, may_be_empty=True)
        picked = clinical_truth(study, scan.name, volume, lesions.get(scan.name))
        found = find_candidates(
            volume, heart, spacing_mm=recipe.spacing_mm, reach_mm=recipe.reach_mm,
            field_px=recipe.field_px,
        )  # fmt: skip
        probability = label_candidates(network, found, recipe, device).astype(np.float64)
        votes = np.zeros((found.count, probability.shape[1]), np.int64)
        np.add.at(votes, (found.component, picked[tuple(found.voxels.T)]), 1)
        is_true = votes[:, 1:].any(axis=1)
        size = np.bincount(found.component, minlength=found.count)
        yield ClinicalLook(
            scan.name,
            bool(visible[scan.name]),
            probability[:, 1:].sum(axis=1),
            1 + probability[:, 1:].argmax(axis=1),
            np.where(is_true, 1 + votes[:, 1:].argmax(axis=1), 0),
            np.asarray(size * volume.voxel_volume_mm3, np.float64),
        )


def choose_clinical_probability(looks: Iterable[ClinicalLook]) -> tuple[float, dict[str, Any]]:
    """The threshold of the best scan detection F1, and the baseline's figures there (simulated).

    Where several thresholds are as good, the middle one. A scan is found positive where any of its
    components is.

    Raises
    ------
    ValueError
        Where there is no scan.

    Example
    -------
    >>> def look(visible: bool, probability: float, truth: int) -> ClinicalLook:
    ...     return ClinicalLook(
    ...         "scan", visible, np.array([probability]), np.array([1]), np.array([truth]),
    ...         np.array([3.0]),
    ...     )
    >>> least, figures = choose_clinical_probability([look(True, 0.8, 1), look(False, 0.4, 0)])
    >>> least, figures["f1"], figures["artery_accuracy"]
    (0.62, 1.0, 1.0)
    """
    looks = list(looks)
    if not looks:
        raise ValueError("no validation scan to choose a threshold on")
    visible = [look.visible for look in looks]
    best = [max(look.probability, default=0.0) for look in looks]
    f1 = [
        count_detections(visible, [p >= least for p in best]).f1 or 0.0 for least in PROBABILITIES
    ]
    as_good = np.flatnonzero(np.isclose(f1, max(f1)))
    least = PROBABILITIES[int(as_good[len(as_good) // 2])]
    return least, clinical_figures(looks, least)


def clinical_figures(looks: list[ClinicalLook], least: float) -> dict[str, Any]:
    """How the baseline does at a threshold: scans, lesions, arteries and false positive volume."""
    detection = count_detections(
        [look.visible for look in looks],
        [bool((look.probability >= least).any()) for look in looks],
    )
    truth, artery, probability, volume = (
        np.concatenate([getattr(look, name) for look in looks])
        for name in ("truth", "artery", "probability", "volume_mm3")
    )
    found, true = probability >= least, truth > 0
    return {
        "scans": len(looks),
        "sensitivity": detection.sensitivity, "false_positive_rate": detection.false_positive_rate,
        "f1": detection.f1,
        "lesions": int(true.sum()),
        "lesion_sensitivity": _mean(found[true]),
        "artery_accuracy": _mean((artery == truth)[true & found]),
        "false_positive_volume_mm3_per_scan": float(volume[found & ~true].sum() / len(looks)),
    }  # fmt: skip


def _mean(values: NDArray[np.bool_]) -> float | None:
    return float(values.mean()) if len(values) else None
