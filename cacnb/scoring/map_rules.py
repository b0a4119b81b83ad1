"""Every rule between the remover's map and the scores, in the order of use; it asks no network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cacnb.ct.grids import to_scan_grid
from cacnb.ct.volume import Volume
from cacnb.scoring.cac_map import clean_map, map_lesions
from cacnb.scoring.lesions import Indices
from cacnb.scoring.proposed import ProposedScores, score_map


@dataclass(frozen=True)
class MapRules:
    """The thresholds of a weights' card, or what stands in for them, and two switches.

    `use_slices` False looks at every slice of the region; `near_arteries` False lets a lesion count
    wherever it lies in the region.
    """

    slice_probability: float
    slice_probability_beside: float
    soft_tissue_floor_hu: float
    smallest_map_hu: float
    smallest_lesion_mass_hu_mm3: float
    use_slices: bool = True
    near_arteries: bool = True

    def positive(self, probability: NDArray[np.float32], region: Volume) -> NDArray[np.bool_]:
        """(z,) the slices of a region (bool) that are analysed, by their probability of CAC."""
        enough = (probability >= self.slice_probability_beside) | (not self.use_slices)
        return np.asarray(region.array.any(axis=(1, 2)) & enough)

    def cleaned(
        self, raw: Volume, cut: Volume, region: Volume, positive: NDArray[np.bool_]
    ) -> Volume:
        """The network's map in HU without its noise, within the region's positive slices."""
        return clean_map(
            raw, cut, region, positive,
            soft_tissue_floor_hu=self.soft_tissue_floor_hu, smallest_hu=self.smallest_map_hu,
        )  # fmt: skip

    def counted(self, cleaned: Volume, near: Volume, probability: NDArray[np.float32]) -> Volume:
        """A clean map with the lesions that count; `near` (bool) is where arteries may run."""
        certain = np.nan_to_num(probability) if self.use_slices else np.zeros(len(probability))
        lesions = map_lesions(cleaned, near, certain)
        counted = lesions.counted(
            self.slice_probability if self.use_slices else 0.0,
            self.smallest_lesion_mass_hu_mm3,
            near_arteries=self.near_arteries,
        )
        return lesions.kept(cleaned, counted)


def score_on_scan(
    counted: Volume, image: Volume, artery_of: Callable[[Indices], str | None] | None = None
) -> tuple[Volume, ProposedScores]:
    """The map on the scan's own grid, no lesion in it but those that are scored, and its scores.

    `counted` is what `MapRules.counted` gave, `image` the scan in HU, slices 1.5 mm apart.
    """
    on_scan = to_scan_grid(counted, image)
    proposed = score_map(on_scan, image, artery_of=artery_of)
    kept = proposed.lesion_labels.array > 0
    return on_scan.with_array(np.where(kept, on_scan.array, np.float32(0))), proposed
