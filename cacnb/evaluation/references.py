"""One scored scan beside what a study knows of it: reader, painted regions, truth; no statistic."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from cacnb.ct.reading import read_image, read_mask, read_scan
from cacnb.ct.volume import Volume
from cacnb.errors import InputError
from cacnb.evaluation.surfaces import compare_masks
from cacnb.files import write_atomically
from cacnb.labels.agreed import labels_sha256, slice_labels
from cacnb.scoring.clinical import score_clinically
from cacnb.scoring.conventions import CONVENTIONS, convention
from cacnb.study.cohort import REGION_ARTERIES, lesion_centres_mm, rows_by_scan

#: The three methods of the paper's tables; in a simulated study the manual one is the simulated
#: reader, who picks every true component at ≥ 130 HU.
METHODS = ("proposed", "clinical_manual", "clinical_automatic")

#: The arteries in the order of Table 3.
ARTERIES = ("LAD", "RCA", "LCX")

#: Excess HU from which a voxel of the known calcium belongs to a lesion.
LESION_EXCESS_HU = 5

#: What a method finds within this of a true lesion is that lesion's, in mm: motion moves it.
LESION_REACH_MM = 5.0

#: Changes when what is kept beside the scores changes.
VERSION = 1


@dataclass(frozen=True, eq=False)
class Found:
    """Where a method finds calcium: (n, 3) points in patient (LPS) mm, (z, y, x), each with a mass.

    `mass_hu_mm3` (n,) is the pseudo-mass of each point's voxel.
    """

    points_mm: NDArray[np.float64]
    mass_hu_mm3: NDArray[np.float64]

    @classmethod
    def of(cls, where: Volume, hu: Volume) -> Found:
        """The voxels of a mask with the HU there; both on one grid."""
        index = np.argwhere(where.array)
        points = np.asarray(where.origin_mm) + index * np.asarray(where.spacing_mm)
        mass = hu.array[tuple(index.T)].astype(np.float64) * where.voxel_volume_mm3
        return cls(points, mass)

    def labels_in(self, labels: Volume) -> NDArray[np.int64]:
        """(n,) the label at each point of an image on another grid; 0 outside it."""
        index = np.rint(
            (self.points_mm - np.asarray(labels.origin_mm)) / np.asarray(labels.spacing_mm)
        ).astype(np.int64)
        inside = ((index >= 0) & (index < labels.shape)).all(axis=1)
        found = np.zeros(len(index), np.int64)
        found[inside] = np.rint(labels.array[tuple(index[inside].T)]).astype(np.int64)
        return found


def compare_with_references(
    study: Path, cohort: pd.DataFrame, tell: Callable[[int, int, str], None] | None = None
) -> dict[str, dict[str, Any]]:
    """What each scored scan shows beside its references, by scan name; kept in `scores/`.

    A scan that was scored, or labelled, again is compared again. For the keys see `compare_scan`.
    """
    scored = [
        (str(row.scan), study / str(row.path))
        for row in cohort.itertuples()
        if (study / "scores" / f"{row.scan}.json").is_file()
    ]
    labels = {str(scan): rows for scan, rows in slice_labels(study).groupby("scan")}
    lesions = rows_by_scan(study / "truth_lesions.csv")

    def one(job: tuple[str, Path]) -> dict[str, Any]:
        return _kept(study, *job, labels.get(job[0]), lesions.get(job[0]))

    found = {}
    with ThreadPoolExecutor(max_workers=2) as pool:
        for i, (job, value) in enumerate(zip(scored, pool.map(one, scored), strict=True), start=1):
            found[job[0]] = value
            if tell is not None:
                tell(i, len(scored), f"compared {job[0]}")
    return found


def _kept(
    study: Path,
    scan: str,
    path: Path,
    labels: pd.DataFrame | None,
    lesions: pd.DataFrame | None,
) -> dict[str, Any]:
    """The comparison kept beside a scan's scores, or a new one where they or its labels changed."""
    result, kept = (study / "scores" / f"{scan}{end}" for end in (".json", ".compared.json"))
    if kept.is_file() and kept.stat().st_mtime_ns > result.stat().st_mtime_ns:
        found = json.loads(kept.read_text(encoding="utf-8"))
        if found.get("version") == VERSION and found.get("labels") == labels_sha256(labels):
            return dict(found)
    found = {"version": VERSION, "labels": labels_sha256(labels)}
    found |= compare_scan(study, scan, path, labels, lesions)
    write_atomically(json.dumps(found, allow_nan=False), kept)
    return found


def compare_scan(
    study: Path,
    scan: str,
    path: Path,
    labels: pd.DataFrame | None = None,
    lesions: pd.DataFrame | None = None,
) -> dict[str, Any]:
    """One scored scan beside whatever the study knows of it.

    Returns
    -------
    dict
        Of these, what the study allows: `manual` (`mass`, `agatston` of the reader's lesions),
        `conventions` (Agatston of the reader's lesions by each), `arteries` (by artery `visible`
        and each method's mass inside the painted region), `lesions` (by true lesion its truth and
        each method's mass), `elsewhere` (each method's mass off the true lesions), `heart` (Dice,
        Hausdorff and mean surface distance), `slices` (probability and label of each heart slice
        whose label is settled).
    """
    folder = study / "scores"
    result = json.loads((folder / f"{scan}.json").read_text(encoding="utf-8"))
    out: dict[str, Any] = {}
    if "proposed" not in result or not (folder / f"{scan}.cac_map.nii.gz").is_file():
        return out
    cac_map = read_image(folder / f"{scan}.cac_map.nii.gz")
    found = {"proposed": Found.of(cac_map.with_array(cac_map.array > 0), cac_map)}
    picked = study / "clinical_lesions" / f"{scan}.nii.gz"
    counted = folder / f"{scan}.clinical.nii.gz"
    labelled = labels is not None and "probability_of_cac" in result
    if picked.is_file() or counted.is_file() or labelled:
        series, volume = read_scan(path)
        if counted.is_file():
            mask = read_mask(counted, volume, may_be_empty=True)
            found["clinical_automatic"] = Found.of(mask, volume)
        if picked.is_file():
            region = read_mask(picked, volume, may_be_empty=True)
            by_name = {
                name: score_clinically(
                    volume, region, rules, slice_thickness_mm=series.slice_thickness_mm
                )
                for name, rules in CONVENTIONS.items()
            }
            reader = by_name[convention().name]
            out["manual"] = {
                "mass": reader.pseudo_mass_hu_mm3, "agatston": reader.agatston or 0.0,
            }  # fmt: skip
            out["conventions"] = {name: scores.agatston for name, scores in by_name.items()}
            mask = volume.with_array(reader.lesion_labels.array > 0)
            found["clinical_manual"] = Found.of(mask, volume)
    regions = study / "lesion_regions" / f"{scan}.nii.gz"
    if regions.is_file():
        out["arteries"] = _arteries(read_image(regions), found)
    known = study / "calcium" / f"{scan}.nii.gz"
    if known.is_file() and lesions is not None:
        out["lesions"], out["elsewhere"] = _lesions(read_image(known), lesions, found)
    masks = study / "masks" / f"{scan}.nii.gz"
    if masks.is_file() and (folder / f"{scan}.heart.nii.gz").is_file():
        out["heart"] = compare_masks(read_image(folder / f"{scan}.heart.nii.gz"), read_image(masks))
    if labels is not None and labelled:
        seen = np.full(volume.shape[0], -1)
        seen[labels["slice"].to_numpy(int)] = labels["contains_cac"].to_numpy(int)
        out["slices"] = _slices(result["probability_of_cac"], cac_map, path, seen)
    return out


def _arteries(regions: Volume, found: dict[str, Found]) -> dict[str, dict[str, Any]]:
    """By artery: whether a reader painted it, and each method's mass inside what was painted."""
    out: dict[str, dict[str, Any]] = {}
    labels = {method: each.labels_in(regions) for method, each in found.items()}
    present = set(np.unique(np.rint(regions.array)).astype(int).tolist())
    for artery in ARTERIES:
        label = REGION_ARTERIES[artery]
        out[artery] = {"visible": label in present}
        for method, each in found.items():
            out[artery][method] = float(each.mass_hu_mm3[labels[method] == label].sum())
    return out


def _lesions(
    calcium: Volume, lesions: pd.DataFrame, found: dict[str, Found]
) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """Each true lesion with the mass that each method gives it, and the mass of each off them.

    A voxel of the known calcium belongs to the nearest lesion's centre, a method's voxel to the
    nearest voxel of the known calcium.
    """
    rows: list[dict[str, Any]] = [
        {
            "artery": str(artery), "mass_mg": float(mass),
            "peak_hu": float(peak) if np.isfinite(peak) else None, **dict.fromkeys(found, 0.0),
        }
        for artery, mass, peak in zip(
            lesions["artery"], lesions["mass_mg"], lesions["peak_hu"].astype(float), strict=True
        )
    ]  # fmt: skip
    elsewhere = {method: float(each.mass_hu_mm3.sum()) for method, each in found.items()}
    index = np.argwhere(calcium.array >= LESION_EXCESS_HU)
    if not rows or not len(index):
        return rows, elsewhere
    points = np.asarray(calcium.origin_mm) + index * np.asarray(calcium.spacing_mm)
    _, lesion_of = cKDTree(lesion_centres_mm(lesions)).query(points)
    tree = cKDTree(points)
    for method, each in found.items():
        if not len(each.points_mm):
            continue
        away, nearest = tree.query(each.points_mm, distance_upper_bound=LESION_REACH_MM)
        near = np.isfinite(away)
        lesion = np.asarray(lesion_of)[nearest[near]]
        masses = np.bincount(lesion, each.mass_hu_mm3[near], minlength=len(rows))
        for row, mass in zip(rows, masses, strict=True):
            row[method] = float(mass)
        elsewhere[method] -= float(masses.sum())
    return rows, elsewhere


def _slices(
    probability: list[float | None], cac_map: Volume, path: Path, seen: NDArray[np.int64]
) -> list[tuple[float, int]]:
    """Probability and label of the scan's slice nearest to each heart slice of the map's grid.

    `seen` (slices of the scan,) is 1 with CAC, 0 without, −1 where that is not settled.
    """
    if len(probability) != cac_map.shape[0]:
        raise InputError(
            "other_slices",
            f"{len(probability)} probabilities and a map of {cac_map.shape[0]} slices for {path}: "
            "score the scan again",
        )
    step = cac_map.spacing_mm[0] * (cac_map.shape[0] - 1) / max(len(seen) - 1, 1)
    nearest = np.rint(np.arange(len(probability)) * cac_map.spacing_mm[0] / step)
    nearest = np.clip(nearest, 0, len(seen) - 1).astype(int)
    return [
        (p, int(seen[k]))
        for p, k in zip(probability, nearest, strict=True)
        if p is not None and seen[k] >= 0
    ]
