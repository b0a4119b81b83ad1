"""One scan from files to scores: heart, slices, CAC map, lesions; it writes nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cacnb.ct.grids import SLICE_GRID_MM, crop_heart, resample, resample_onto
from cacnb.ct.heart import (
    centre_of_mass_mm,
    clean_heart,
    great_vessels_contrast,
    judge_heart,
    without_chest_wall,
)
from cacnb.ct.heart_masks import read_heart
from cacnb.ct.reading import read_scan
from cacnb.ct.verdict import Reason, verdict_of
from cacnb.ct.volume import Volume
from cacnb.errors import InputError
from cacnb.learning.batches import with_context
from cacnb.learning.clinical_baseline import artery_labels, label_candidates
from cacnb.learning.clinical_candidates import find_candidates
from cacnb.learning.clinical_networks import CLASSES
from cacnb.learning.decomposer import cac_map_hu
from cacnb.learning.heart_segmenter import find_heart
from cacnb.learning.slice_classifier import probability_of_cac
from cacnb.learning.weights import Weights
from cacnb.scoring.artery_atlas import ArteryAtlas, HeartExtent
from cacnb.scoring.clinical import ClinicalScores, score_clinically
from cacnb.scoring.conventions import convention, threshold_by
from cacnb.scoring.map_rules import MapRules, score_on_scan
from cacnb.scoring.proposed import ProposedScores
from cacnb.scoring.scored_scan import STAGES, ScoredScan

#: Grid on which a heart's probability is made a mask, (z, y, x): fine enough, and small.
HEART_CLEANING_MM = (3.0, 3.0, 3.0)


@dataclass(frozen=True)
class Options:
    """What may be changed between the networks and the scores; the defaults are the method's.

    Thresholds that are None take what the validation set chose, as the weights' card says. A lesion
    is certain where one of its slices reaches `slice_threshold` and its pseudo-mass
    `smallest_lesion_mass_hu_mm3`; in a scan with a certain lesion all count that the slices show
    which reach `slice_threshold_beside`. The same number for both and no least mass are the paper's
    rule.
    `use_slices` False analyses every slice of the heart, and `use_heart` False the whole field of
    view (the ablation of Figure 6). `near_arteries` keeps
    lesions that lie where the atlas says that arteries run, and not valves, aorta and leads; False
    keeps the whole heart, as the paper does.
    `convention` names the clinical score's rules, `threshold_rule` where its threshold comes from
    (`fixed`: the convention; `kvp`: the tube voltage).
    """

    slice_threshold: float | None = None
    slice_threshold_beside: float | None = None
    smallest_map_hu: float | None = None
    smallest_lesion_mass_hu_mm3: float | None = None
    soft_tissue_floor_hu: float | None = None
    use_slices: bool = True
    use_heart: bool = True
    near_arteries: bool = True
    convention: str = "literature"
    threshold_rule: str = "fixed"


#: A threshold of a weights' card, and the option that may stand in for it.
THRESHOLD_OPTIONS = {
    "slice_probability": "slice_threshold",
    "slice_probability_beside": "slice_threshold_beside",
    "soft_tissue_floor_hu": "soft_tissue_floor_hu",
    "smallest_map_hu": "smallest_map_hu",
    "smallest_lesion_mass_hu_mm3": "smallest_lesion_mass_hu_mm3",
}


def rules_of(options: Options, threshold: Callable[[str], float]) -> MapRules:
    """The rules that options leave of a weights' thresholds, which `threshold` gives by name.

    Where the whole field of view is analysed there is no heart that says where arteries run.
    """
    asked = {name: getattr(options, option) for name, option in THRESHOLD_OPTIONS.items()}
    numbers = {name: threshold(name) if it is None else it for name, it in asked.items()}
    by_place = options.use_heart and options.near_arteries
    return MapRules(**numbers, use_slices=options.use_slices, near_arteries=by_place)


@dataclass
class Clock:
    """Adds up the seconds of each stage of one scan."""

    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(STAGES, 0.0))

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count what runs inside the block for a stage."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] += time.perf_counter() - start

    def told(self) -> dict[str, float]:
        """The seconds of each stage, and their total."""
        return {**self.seconds, "total": sum(self.seconds.values())}


def score_scan(
    path: Path,
    weights: Weights,
    *,
    heart_path: Path | None = None,
    heart_structure: str | None = None,
    options: Options = Options(),
    name: str = "",
) -> ScoredScan:
    """Read one scan from files and score it; a scan that is refused comes back with its reasons.

    `heart_path` and `heart_structure` are what `read_heart` takes; None for the network's heart.

    Raises
    ------
    InputError
        Where the heart mask given cannot be used: the scan itself is not at fault then.
    """
    clock = Clock()
    about = {
        "name": weights.name,
        "sha256": weights.sha256,
        "trained_on": weights.card["trained_on"],
    }
    try:
        with clock.stage("read"):
            series, volume = read_scan(path)
        threshold_hu = threshold_by(
            options.threshold_rule, convention(options.convention), series.kvp
        )
    except InputError as error:
        reason = Reason(error.code, error.message)
        return ScoredScan(path, None, (reason,), clock.told(), about, name=name)
    given = None
    if heart_path is not None:
        given = read_heart(heart_path, volume, series=series, structure=heart_structure)
    with clock.stage("heart"):
        heart, against = heart_of(volume, weights, given)
    reasons = (*series.reasons, *against)
    if verdict_of(reasons) == "refused":
        return ScoredScan(path, series.series_uid, reasons, clock.told(), about, name=name)
    scored = score_volume(
        volume, heart, weights, options, clock,
        slice_thickness_mm=series.slice_thickness_mm, clinical_threshold_hu=threshold_hu,
    )  # fmt: skip
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


@dataclass(frozen=True, eq=False)
class Calcium:
    """What the proposed method finds in a scan, on the scan's in-plane grid, slices 1.5 mm apart.

    `heart` bool, `probability_of_cac` (z,) NaN off the heart, `cac_map` in HU with the lesions that
    count and nothing else.
    """

    image: Volume
    heart: Volume
    probability_of_cac: NDArray[np.float32]
    cac_map: Volume
    proposed: ProposedScores


def score_volume(
    volume: Volume,
    heart: Volume,
    weights: Weights,
    options: Options,
    clock: Clock,
    *,
    slice_thickness_mm: float | None,
    clinical_threshold_hu: float | None = None,
) -> dict[str, Any]:
    """Score a volume whose heart is known; returns the fields of a `ScoredScan`."""
    found = find_calcium(volume, heart, weights, options, clock)
    with clock.stage("scores"):
        arteries = clinical_arteries(volume, heart, weights)
        clinical = score_clinically(
            volume,
            atlas_of(weights).region(heart)
            if arteries is None
            else volume.with_array(arteries.array > 0),
            convention(options.convention),
            slice_thickness_mm=slice_thickness_mm,
            threshold_hu=clinical_threshold_hu,
        )
        if arteries is not None:
            clinical = _with_arteries(clinical, arteries)
        counted = volume.with_array(clinical.lesion_labels.array > 0)
        clinical_labels = resample_onto(counted, found.image)
    return {**vars(found), "clinical": clinical, "clinical_labels": clinical_labels}


def find_calcium(
    volume: Volume, heart: Volume, weights: Weights, options: Options, clock: Clock
) -> Calcium:
    """The proposed method on a volume whose heart is known: slices, map, lesions, scores."""
    region = heart if options.use_heart else volume.with_array(np.ones(volume.shape, bool))
    rules = rules_of(options, weights.threshold)
    with clock.stage("slices"):
        image = resample(volume, (SLICE_GRID_MM[0], *volume.spacing_mm[1:]))
        inside = resample_onto(region, image)
        cut, in_cut, where = network_slices(volume, region, weights.slice_recipe.store_px)
        probability = np.full(image.shape[0], np.nan, np.float32)
        if rules.use_slices:
            probability[where] = slice_probabilities(cut, where, weights)
        positive = rules.positive(probability, in_cut)
    with clock.stage("map"):
        cleaned = rules.cleaned(raw_map(cut, positive, where, weights), cut, in_cut, positive)
        atlas = atlas_of(weights)
        near = resample_onto(atlas.region(heart), cut) if rules.near_arteries else in_cut
        counted = rules.counted(cleaned, near, probability)
    with clock.stage("scores"):
        extent = HeartExtent.of(heart)
        origin, step = np.asarray(image.origin_mm), np.asarray(image.spacing_mm)
        cac_map, proposed = score_on_scan(
            counted, image, lambda voxels: atlas.artery_of(extent, origin + voxels * step)
        )
    return Calcium(image, inside, probability, cac_map, proposed)


def network_slices(
    volume: Volume, heart: Volume, size_px: int
) -> tuple[Volume, Volume, NDArray[np.int64]]:
    """The scan as the 2-D networks see it, 1.5 × 1.0 × 1.0 mm, the heart there, and its slices."""
    cut = crop_heart(resample(volume, SLICE_GRID_MM), centre_of_mass_mm(heart)[1:], size_px)
    inside = resample_onto(heart, cut)
    return cut, inside, np.flatnonzero(inside.array.any(axis=(1, 2)))


def slice_probabilities(
    cut: Volume, where: NDArray[np.int64], weights: Weights
) -> NDArray[np.float32]:
    """P(contains CAC) of the heart's slices `where`, (n,)."""
    seen = with_context(cut.array, where, where, weights.slice_recipe.context)
    return probability_of_cac(weights.classifier, seen, weights.device)


def raw_map(
    cut: Volume, positive: NDArray[np.bool_], where: NDArray[np.int64], weights: Weights
) -> Volume:
    """The remover's map in HU of the `positive` (z,) ones among the heart's slices `where`."""
    raw = np.zeros(cut.shape, np.float32)
    wanted = np.flatnonzero(positive)
    seen = with_context(cut.array, wanted, where, weights.decomposition_recipe.context)
    raw[wanted] = cac_map_hu(weights.remover, seen, weights.device)
    return cut.with_array(raw)


def clinical_arteries(volume: Volume, heart: Volume, weights: Weights) -> Volume | None:
    """The artery (1 LAD, 2 LCX, 3 RCA) of the voxels that the trained baseline calls coronary.

    The heart mask only leaves out what lies too far from it; the networks decide on the rest. None
    where the weights have no baseline: the atlas's region stands in for it.
    """
    recipe = weights.clinical_recipe
    if weights.clinical is None or recipe is None:
        return None
    found = find_candidates(
        volume, heart, spacing_mm=recipe.spacing_mm, reach_mm=recipe.reach_mm,
        field_px=recipe.field_px,
    )  # fmt: skip
    probability = label_candidates(weights.clinical, found, recipe, weights.device)
    least = weights.threshold("clinical_probability")
    return volume.with_array(artery_labels(found, probability, least, volume.shape))


def _with_arteries(clinical: ClinicalScores, arteries: Volume) -> ClinicalScores:
    """Each clinical lesion with the artery that most of its voxels have."""
    lesion = clinical.lesion_labels.array
    inside = lesion > 0
    votes = np.zeros((len(clinical.lesions) + 1, len(CLASSES)), np.int64)
    np.add.at(votes, (lesion[inside], arteries.array[inside]), 1)
    named = [CLASSES[int(number)] for number in votes[1:].argmax(axis=1)]
    return replace(clinical, lesions=clinical.lesions.assign(artery=named))
