"""A CAC map step by step, from what the network answers to what is scored; it writes nothing.

`find_calcium` does the same at once and asks the network for positive slices alone; here every
slice is asked, so that each rule and switch can be tried without asking again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cacnb.ct.grids import SLICE_GRID_MM, resample, resample_onto
from cacnb.ct.volume import Volume
from cacnb.learning.weights import Weights
from cacnb.pipeline import (
    THRESHOLD_OPTIONS,
    Options,
    atlas_of,
    network_slices,
    raw_map,
    rules_of,
    slice_probabilities,
)
from cacnb.scoring.map_rules import score_on_scan
from cacnb.scoring.proposed import ProposedScores

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
        thresholds={name: weights.threshold(name) for name in THRESHOLD_OPTIONS},
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
    settled = replace(options or Options(), use_heart=answers.by_heart)
    rules = rules_of(settled, answers.thresholds.__getitem__)
    positive = rules.positive(answers.probability, answers.region)
    everywhere = answers.region.with_array(np.ones(answers.cut.shape, bool))
    no_smallest = replace(rules, smallest_map_hu=0.0)
    no_floor = replace(no_smallest, soft_tissue_floor_hu=NO_FLOOR_HU)
    stages = [answers.raw] + [
        some.cleaned(answers.raw, answers.cut, where, positive)
        for some, where in (
            (no_floor, everywhere),
            (no_floor, answers.region),
            (no_smallest, answers.region),
            (rules, answers.region),
        )
    ]
    near = answers.near_arteries if rules.near_arteries else answers.region
    stages.append(rules.counted(stages[-1], near, answers.probability))
    on_scan, proposed = score_on_scan(stages[-1], answers.image)
    stages.append(on_scan)
    return MapSteps(dict(zip(STEPS, stages, strict=True)), proposed)
