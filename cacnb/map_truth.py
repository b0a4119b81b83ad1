"""What a remover finds of calcium that is known, slice by slice and scan by scan; no threshold.

It looks at every second heart slice without heart mask and slice classifier: at the map alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import nn

from cacnb.ct.grids import SLICE_GRID_MM
from cacnb.errors import InputError
from cacnb.learning.batches import HU_PER_GREY, SliceStore
from cacnb.learning.decomposer import cac_map_hu
from cacnb.learning.recipes import DecompositionRecipe
from cacnb.prepared_slices import slice_store
from cacnb.study.detection import count_detections
from cacnb.study.relative_difference import relative_difference
from cacnb.training_failures import MAP_HU
from cacnb.training_scans import scan_pairs

#: Calcium, and a map, that is seen: above the noise of a map's first lesions.
SHOWN_HU = 20.0

#: A slice shows a lesion from so many pixels on.
LESION_PX = 3

#: Known calcium below this is the simulator's rounding.
NO_CALCIUM_HU = 2.0

#: How far from known calcium, in pixels (mm), a map is still that calcium's.
NEAR_PX = 3

#: Slices lie 1.5 mm apart, scans' own mostly 3: every second one is looked at.
EVERY = 2


@dataclass(frozen=True)
class MapTruth:
    """A map held against the truth of a study, and one row a scan to choose a threshold on.

    `dice` is that of pixels above 20 HU; `false_mass` the map's mass away from any known calcium,
    by all true mass; `false_slices` the share of slices without calcium on which the map shows a
    lesion. `scans` has `pair`, `visible`, `mass_hu_mm3` and `true_mass_hu_mm3`. Without known
    calcium all but the scans' map masses are NaN.
    """

    dice: float
    false_mass: float
    false_slices: float
    scans: pd.DataFrame

    @property
    def mass_r(self) -> float:
        """Pearson's correlation of map mass and true mass over the scans."""
        return float(self.scans["mass_hu_mm3"].corr(self.scans["true_mass_hu_mm3"]))

    def figures(self, least_mass_hu_mm3: float) -> dict[str, Any]:
        """Detection and repeatability of scans, where a scan's mass counts from a least one on."""
        mass = self.scans["mass_hu_mm3"].where(self.scans["mass_hu_mm3"] >= least_mass_hu_mm3, 0.0)
        detection = count_detections(self.scans["visible"].tolist(), (mass > 0).tolist())
        twice = self.scans.assign(mass=mass).groupby("pair").filter(lambda pair: len(pair) == 2)
        first, second = (
            twice.groupby("pair").nth(i)["mass"].to_numpy(float) for i in (0, 1)
        )  # fmt: skip
        difference = relative_difference(first, second)
        return {
            "sensitivity": detection.sensitivity,
            "false_positive_rate": detection.false_positive_rate,
            "f1": detection.f1,
            "relative_difference_both_positive": difference.both_positive,
            "relative_difference_any_positive": difference.any_positive,
            "pairs_both_positive": difference.n_both_positive,
        }


def hold_against_truth(
    network: nn.Module,
    recipe: DecompositionRecipe,
    study: Path,
    device: torch.device,
) -> MapTruth:
    """Run a remover over a study's heart slices; all scans of the study are looked at.

    Raises
    ------
    InputError
        `no_study`, `no_masks`, `no_labels`; `no_heart` where no scan has a heart slice.
    """
    store, _ = slice_store([study], recipe.store_px)
    pairs = scan_pairs([study])
    rows = [
        _scan(network, recipe, store, scan, device) | {"pair": int(pairs[scan])}
        for scan in np.unique(store.scans)
    ]
    if not rows:
        raise InputError("no_heart", f"no scan of {study} has a heart slice: add heart masks")
    scans = pd.DataFrame(rows)
    summed = scans[[*HELD]].sum(min_count=1)
    return MapTruth(
        dice=float(2 * summed["both_px"] / (summed["map_px"] + summed["true_px"])),
        false_mass=float(summed["false_mass_hu_mm3"] / summed["true_mass_hu_mm3"]),
        false_slices=float(summed["false_lesions"] / summed["empty"]),
        scans=scans[["scan", "pair", "visible", "mass_hu_mm3", "true_mass_hu_mm3"]],
    )


def _scan(
    network: nn.Module,
    recipe: DecompositionRecipe,
    store: SliceStore,
    scan: int,
    device: torch.device,
) -> dict[str, Any]:
    """One scan's name, whether it shows CAC, its map's mass, and what `held` tells."""
    rows = np.flatnonzero(store.scans == scan)
    seen = rows[::EVERY]
    begin = (store.slices.shape[1] - recipe.crop_px) // 2
    there = slice(begin, begin + recipe.crop_px)
    hu = store.middle(seen, recipe.context, recipe.crop_px)
    found = cac_map_hu(network, hu, device, batch=16)
    found[found < MAP_HU] = 0
    told = {
        "scan": store.names[scan],
        "visible": bool(store.labels[rows].any()),
        "mass_hu_mm3": _mass(found),
    }
    if store.calcium is None:
        return told | dict.fromkeys(HELD, np.nan)
    true = store.calcium_of(seen).numpy()[:, there, there] * np.float32(HU_PER_GREY)
    return told | held(found, true)


#: What `held` tells.
HELD = (
    "true_mass_hu_mm3", "both_px", "map_px", "true_px", "false_mass_hu_mm3", "false_lesions",
    "empty",
)  # fmt: skip


def held(found: NDArray[np.float32], true: NDArray[np.float32]) -> dict[str, float]:
    """Slices of a map (n, y, x) in HU held against known calcium in HU.

    Masses are in HU·mm³ and stand for all slices where every second one is given; `…_px` are counts
    of pixels that are seen; `empty` counts slices without calcium and `false_lesions` those of them
    that show one.

    Example
    -------
    >>> true = np.zeros((1, 16, 16), np.float32); true[0, 4:6, 4:6] = 100
    >>> found = np.zeros_like(true); found[0, 4, 4:6], found[0, 12, 12] = 100, 50
    >>> told = held(found, true)
    >>> told["true_mass_hu_mm3"], told["false_mass_hu_mm3"], told["both_px"], told["true_px"]
    (1200.0, 150.0, 2, 4)
    """
    true = np.where(true < NO_CALCIUM_HU, 0, true)
    near = ndimage.maximum_filter(true > 0, size=(1, 2 * NEAR_PX + 1, 2 * NEAR_PX + 1))
    shown, truly = found >= SHOWN_HU, true >= SHOWN_HU
    empty = ~(true > 0).any(axis=(1, 2))
    return {
        "true_mass_hu_mm3": _mass(true),
        "both_px": int((shown & truly).sum()),
        "map_px": int(shown.sum()),
        "true_px": int(truly.sum()),
        "false_mass_hu_mm3": _mass(np.where(near, 0, found)),
        "false_lesions": int((shown[empty].sum(axis=(1, 2)) >= LESION_PX).sum()),
        "empty": int(empty.sum()),
    }


def _mass(hu: NDArray[np.generic]) -> float:
    """Pseudo-mass in HU·mm³ of what every second slice shows, for all of them."""
    return float(hu.sum(dtype=np.float64)) * float(np.prod(SLICE_GRID_MM)) * EVERY
