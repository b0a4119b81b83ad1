"""A CAC map step by step, from what the network answers to what is scored; it writes nothing.

`find_calcium` does the same at once and asks the network for positive slices alone; here every
slice is asked, so that each rule and switch can be tried without asking again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cacnb.ct.grids import SLICE_GRID_MM, resample, resample_onto, to_scan_grid
from cacnb.ct.volume import Volume
from cacnb.learning.weights import Weights
from cacnb.pipeline import Options, atlas_of, network_slices, raw_map, slice_probabilities
from cacnb.scoring.cac_map import clean_map, map_lesions
from cacnb.scoring.proposed import ProposedScores, score_map

#: What is left of a map after each step, in the order in which they are told here.
STEPS = (
    "network, every slice",
    "slices called negative: 0",
    "outside the heart: 0",
    "noise rule: 0 where too little would be left",
    "smallest map value: 0 below it",
    "no lesion that counts: 0",
    "scored, on the scan's own grid",
)

#: The thresholds of a weights' card that the steps use.
THRESHOLDS = (
    "slice_probability", "slice_probability_beside", "soft_tissue_floor_hu", "smallest_map_hu",
    "smallest_lesion_mass_hu_mm3",
)  # fmt: skip

#: A floor that takes nothing away, in HU: no map is so large.
NO_FLOOR_HU = -1e6


@dataclass(frozen=True, eq=False)
class NetworkAnswers:
    """What the networks say of every slice of a region of a scan; all else follows in numpy.

    `image` is the scan, slices 1.5 mm apart; all others stand on the networks' grid `cut` (HU):
    `region` and `near_arteries` (bool), `raw` the remover's map in HU, `probability` (z,) of CAC,
    NaN off the region. `by_heart` says whether the region is the heart, and not all of the field.
    `thresholds` are the weights'.
    """

    image: Volume
    cut: Volume
    region: Volume
    near_arteries: Volume
    probability: NDArray[np.float32]
    raw: Volume
    by_heart: bool
    thresholds: Mapping[str, float]


def ask_networks(
    volume: Volume, heart: Volume, weights: Weights, *, use_heart: bool = True
) -> NetworkAnswers:
    """Ask classifier and remover about every slice of the heart, or of the whole field of view.

    Parameters
    ----------
    volume
        The scan in HU.
    heart
        Its heart as a bool mask on the same grid.
    use_heart
        False for the whole field of view, as in the ablation of Figure 6.
    """
    region = heart if use_heart else volume.with_array(np.ones(volume.shape, bool))
    cut, inside, where = network_slices(volume, region, weights.slice_recipe.store_px)
    probability = np.full(cut.shape[0], np.nan, np.float32)
    probability[where] = slice_probabilities(cut, where, weights)
    asked = np.zeros(cut.shape[0], bool)
    asked[where] = True
    return NetworkAnswers(
        image=resample(volume, (SLICE_GRID_MM[0], *volume.spacing_mm[1:])),
        cut=cut,
        region=inside,
        near_arteries=resample_onto(atlas_of(weights).region(heart), cut),
        probability=probability,
        raw=raw_map(cut, asked, where, weights),
        by_heart=use_heart,
        thresholds={name: weights.threshold(name) for name in THRESHOLDS},
    )


@dataclass(frozen=True, eq=False)
class MapSteps:
    """The map after each of `STEPS` in HU, on the networks' grid but for the last, and its scores.

    `proposed` names no arteries.
    """

    maps: Mapping[str, Volume]
    proposed: ProposedScores

    @property
    def cac_map(self) -> Volume:
        """The map that is scored, on the scan's in-plane grid, slices 1.5 mm apart."""
        return self.maps[STEPS[-1]]

    @property
    def table(self) -> pd.DataFrame:
        """By step what is left (`left_hu_mm3`) and what the step took away (`taken_hu_mm3`)."""
        left = [
            float(stage.array.sum(dtype=np.float64)) * stage.voxel_volume_mm3
            for stage in self.maps.values()
        ]
        return pd.DataFrame(
            {
                "step": list(self.maps),
                "left_hu_mm3": left,
                # what rounding moves on the way to the scan's grid was not taken away
                "taken_hu_mm3": np.maximum(-np.diff(left, prepend=left[0]).round(3), 0.0),
            }
        )


def map_steps(answers: NetworkAnswers, options: Options | None = None) -> MapSteps:
    """What each rule leaves of a map; the last is the map that `find_calcium` scores.

    Parameters
    ----------
    options
        As `find_calcium` takes them, the method's where None came; but for `use_heart`, which the
        answers have settled.
    """
    options = options or Options()
    told = {name: _or(getattr(options, of), answers.thresholds[name]) for name, of in _OPTIONS}
    known = np.isfinite(answers.probability)
    probability = np.nan_to_num(answers.probability) if options.use_slices else np.zeros(len(known))
    positive = known & (
        (probability >= told["slice_probability_beside"]) | (not options.use_slices)
    )
    everywhere = answers.region.with_array(np.ones(answers.cut.shape, bool))
    floor, smallest = told["soft_tissue_floor_hu"], told["smallest_map_hu"]
    stages = [answers.raw] + [
        clean_map(
            answers.raw, answers.cut, where, positive,
            soft_tissue_floor_hu=floor_hu, smallest_hu=smallest_hu,
        )
        for where, floor_hu, smallest_hu in (
            (everywhere, NO_FLOOR_HU, 0.0),
            (answers.region, NO_FLOOR_HU, 0.0),
            (answers.region, floor, 0.0),
            (answers.region, floor, smallest),
        )
    ]  # fmt: skip
    by_place = answers.by_heart and options.near_arteries
    lesions = map_lesions(
        stages[-1], answers.near_arteries if by_place else answers.region, probability
    )
    counted = lesions.counted(
        told["slice_probability"] if options.use_slices else 0.0,
        told["smallest_lesion_mass_hu_mm3"],
        near_arteries=by_place,
    )
    stages.append(lesions.kept(stages[-1], counted))
    on_scan = to_scan_grid(stages[-1], answers.image)
    proposed = score_map(on_scan, answers.image)
    kept = proposed.lesion_labels.array > 0
    stages.append(on_scan.with_array(np.where(kept, on_scan.array, np.float32(0))))
    return MapSteps(dict(zip(STEPS, stages, strict=True)), proposed)


#: A threshold of the weights' card, and the option that stands in for it.
_OPTIONS = (
    ("slice_probability", "slice_threshold"),
    ("slice_probability_beside", "slice_threshold_beside"),
    ("soft_tissue_floor_hu", "soft_tissue_floor_hu"),
    ("smallest_map_hu", "smallest_map_hu"),
    ("smallest_lesion_mass_hu_mm3", "smallest_lesion_mass_hu_mm3"),
)


def _or(value: float | None, default: float) -> float:
    return default if value is None else value
