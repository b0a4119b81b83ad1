"""One scan from files to scores: heart, slices, CAC map, lesions; it writes nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cacnb.ct.grids import SLICE_GRID_MM, crop_heart, resample, resample_onto, to_scan_grid
from cacnb.ct.heart import (
    centre_of_mass_mm,
    clean_heart,
    great_vessels_contrast,
    judge_heart,
    without_chest_wall,
)
from cacnb.ct.reading import read_mask, read_scan
from cacnb.ct.verdict import Reason, verdict_of
from cacnb.ct.volume import Volume
from cacnb.errors import InputError
from cacnb.learning.calcium_cyclegan import cac_map_hu
from cacnb.learning.heart_segmenter import find_heart
from cacnb.learning.slice_classifier import probability_of_cac
from cacnb.learning.weights import Weights
from cacnb.scoring.artery_atlas import ArteryAtlas, HeartExtent
from cacnb.scoring.cac_map import NEAR_SHARE, clean_map, map_lesions
from cacnb.scoring.clinical import score_clinically
from cacnb.scoring.conventions import convention
from cacnb.scoring.proposed import score_map
from cacnb.scoring.scored_scan import STAGES, ScoredScan

#: Grid on which a heart's probability is made a mask, (z, y, x): fine enough, and small.
HEART_CLEANING_MM = (3.0, 3.0, 3.0)


@dataclass(frozen=True)
class Options:
    """What may be changed between the networks and the scores; the defaults are the method's.

    Thresholds that are None take what the validation set chose, as the weights' card says. A lesion
    counts where one of its slices reaches `slice_threshold`, and with it what the slices
    beside show that reach `slice_threshold_beside`; the same number for both is the paper's rule.
    `use_slices` False analyses every heart slice (the ablation of Figure 6). `near_arteries` keeps
    lesions that lie where the atlas says that arteries run, and not valves, aorta and leads; False
    keeps the whole heart, as the paper does.
    `convention` names the clinical score's rules.
    """

    slice_threshold: float | None = None
    slice_threshold_beside: float | None = None
    smallest_map_hu: float | None = None
    smallest_lesion_mass_hu_mm3: float | None = None
    soft_tissue_floor_hu: float | None = None
    use_slices: bool = True
    near_arteries: bool = True
    convention: str = "literature"


@dataclass
class _Clock:
    """Adds up the seconds of each stage."""

    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(STAGES, 0.0))

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] += time.perf_counter() - start

    def told(self) -> dict[str, float]:
        return {**self.seconds, "total": sum(self.seconds.values())}


def score_scan(
    path: Path,
    weights: Weights,
    *,
    heart_path: Path | None = None,
    options: Options = Options(),
    name: str = "",
) -> ScoredScan:
    """Read one scan from files and score it; a scan that is refused comes back with its reasons.

    Raises
    ------
    InputError
        Where the heart mask given cannot be used: the scan itself is not at fault then.
    """
    clock = _Clock()
    about = {
        "name": weights.name,
        "sha256": weights.sha256,
        "trained_on": weights.card["trained_on"],
    }
    try:
        with clock.stage("read"):
            series, volume = read_scan(path)
    except InputError as error:
        reason = Reason(error.code, error.message)
        return ScoredScan(path, None, (reason,), clock.told(), about, name=name)
    given = read_mask(heart_path, volume) if heart_path is not None else None
    with clock.stage("heart"):
        heart, against = heart_of(volume, weights, given)
    reasons = (*series.reasons, *against)
    if verdict_of(reasons) == "refused":
        return ScoredScan(path, series.series_uid, reasons, clock.told(), about, name=name)
    scored = score_volume(
        volume, heart, weights, options, clock, slice_thickness_mm=series.slice_thickness_mm
    )
    return ScoredScan(path, series.series_uid, reasons, clock.told(), about, name=name, **scored)


def heart_of(
    volume: Volume, weights: Weights, given: Volume | None = None
) -> tuple[Volume, tuple[Reason, ...]]:
    """The heart mask that is scored, and what speaks against scoring it.

    A mask that the network finds loses the chest wall that it may reach into; a given one stays.
    """
    heart = segment_heart(volume, weights) if given is None else given
    against = _judge(volume, heart)
    if given is None and verdict_of(against) != "refused":
        heart = without_chest_wall(heart, volume)
    return heart, against


def _judge(volume: Volume, heart: Volume) -> tuple[Reason, ...]:
    """Whether a heart may be scored; contrast is looked for even where no heart was found."""
    reasons = judge_heart(volume, heart)
    if any(reason.code == "no_heart" for reason in reasons):
        enhanced = great_vessels_contrast(volume)
        if enhanced is not None:
            return (enhanced,)
    return reasons


def segment_heart(volume: Volume, weights: Weights) -> Volume:
    """The heart mask (bool) on the scan's grid; empty where the network sees none."""
    recipe = weights.heart_recipe
    coarse = resample(volume, recipe.spacing_mm)
    found = find_heart(weights.heart, coarse.array, recipe, weights.device)
    middle = resample(coarse.with_array(found), HEART_CLEANING_MM, antialias=False)
    return resample_onto(clean_heart(middle), volume)


def atlas_of(weights: Weights) -> ArteryAtlas:
    """The artery atlas that the weights carry."""
    return ArteryAtlas(weights.atlas["density"], float(weights.atlas["least"][0]))


def score_volume(
    volume: Volume,
    heart: Volume,
    weights: Weights,
    options: Options,
    clock: _Clock,
    *,
    slice_thickness_mm: float | None,
) -> dict[str, Any]:
    """Score a volume whose heart is known; returns the fields of a `ScoredScan`."""
    atlas = atlas_of(weights)
    near = atlas.region(heart)
    with clock.stage("slices"):
        image = resample(volume, (SLICE_GRID_MM[0], *volume.spacing_mm[1:]))
        heart_fine = resample_onto(heart, image)
        centre = centre_of_mass_mm(heart)[1:]
        size = weights.slice_recipe.store_px
        cut = crop_heart(resample(volume, SLICE_GRID_MM), centre, size)
        in_heart = np.flatnonzero(heart_fine.array.any(axis=(1, 2)))
        probability = np.full(image.shape[0], np.nan, np.float32)
        if options.use_slices:
            probability[in_heart] = probability_of_cac(
                weights.classifier, cut.array[in_heart], weights.device
            )
        sure = _or(options.slice_threshold, weights.threshold("slice_probability"))
        beside = _or(options.slice_threshold_beside, weights.threshold("slice_probability_beside"))
        positive = np.zeros(image.shape[0], bool)
        positive[in_heart] = (probability[in_heart] >= beside) | (not options.use_slices)
    with clock.stage("map"):
        raw = np.zeros(cut.shape, np.float32)
        where = np.flatnonzero(positive)
        raw[where] = cac_map_hu(weights.remover, cut.array[where], weights.device)
        cleaned = clean_map(
            cut.with_array(raw),
            cut,
            resample_onto(heart, cut),
            positive,
            soft_tissue_floor_hu=_or(
                options.soft_tissue_floor_hu, weights.threshold("soft_tissue_floor_hu")
            ),
            smallest_hu=_or(options.smallest_map_hu, weights.threshold("smallest_map_hu")),
        )
        lesions = map_lesions(
            cleaned,
            resample_onto(near if options.near_arteries else heart, cut),
            np.nan_to_num(probability),
        )
        keep = (lesions.probability >= sure) | (not options.use_slices)
        keep &= (lesions.near_share >= NEAR_SHARE) | (not options.near_arteries)
        cac_map = to_scan_grid(lesions.kept(cleaned, keep), image)
    with clock.stage("scores"):
        extent = HeartExtent.of(heart)
        origin, step = np.asarray(image.origin_mm), np.asarray(image.spacing_mm)
        proposed = score_map(
            cac_map,
            image,
            smallest_mass_hu_mm3=_or(
                options.smallest_lesion_mass_hu_mm3,
                weights.threshold("smallest_lesion_mass_hu_mm3"),
            ),
            artery_of=lambda voxels: atlas.artery_of(extent, origin + voxels * step),
        )
        clinical = score_clinically(
            volume,
            near,
            convention(options.convention),
            slice_thickness_mm=slice_thickness_mm,
        )
        kept = proposed.lesion_labels.array > 0
        cac_map = cac_map.with_array(np.where(kept, cac_map.array, np.float32(0)))
        counted = volume.with_array(clinical.lesion_labels.array > 0)
    return {
        "image": image, "heart": heart_fine, "probability_of_cac": probability,
        "cac_map": cac_map, "proposed": proposed, "clinical": clinical,
        "clinical_labels": resample_onto(counted, image),
    }  # fmt: skip


def _or(value: float | None, default: float) -> float:
    return default if value is None else value
