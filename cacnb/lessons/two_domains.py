"""The two domains that a CycleGAN translates between, from the same places in the heart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cacnb.ct.grids import NETWORK_WINDOW_HU
from cacnb.ct.heart import centre_of_mass_mm
from cacnb.ct.volume import Volume
from cacnb.errors import InputError
from cacnb.lessons.missing import Missing
from cacnb.lessons.slice_balance import NO_LABELS, labelled_slices
from cacnb.lessons.tiles import Tile, Tiles, tiled

if TYPE_CHECKING:
    import pandas as pd

    from cacnb.studies import Study

#: Slices that are shown of each domain.
SHOWN = 5

#: Side of the crop in mm; black as in the networks' window, and white for calcium, in HU.
CROP_MM, BLACK_HU, WHITE_HU = 128.0, float(NETWORK_WINDOW_HU[0]), 400.0


def two_domains(study: Study) -> Tiles | Missing:
    """Slices labelled as containing CAC, and below each one without, from as high in the heart.

    Parameters
    ----------
    study
        With heart masks and slice labels.
    """
    slices = labelled_slices(study)
    cac = slices[slices["contains_cac"] == 1]
    no_cac = slices[slices["contains_cac"] == 0]
    if cac.empty or no_cac.empty:
        return Missing(NO_LABELS)
    # the middle one of each scan's, so that hearts differ; then from low to high
    by_scan = cac.groupby("scan", sort=False)["slice"]
    middle: pd.DataFrame = cac[by_scan.cumcount() == by_scan.transform("size") // 2]
    chosen = middle if len(middle) >= SHOWN else cac
    at = np.linspace(0, len(chosen) - 1, min(SHOWN, len(chosen))).round().astype(int)
    chosen = chosen.iloc[list(at)].sort_values("position")
    clean: pd.DataFrame = no_cac[~no_cac["scan"].isin(set(cac["scan"]))]
    clean = no_cac if clean.empty else clean
    rows, used = [], set()
    for position in chosen["position"]:
        apart = (clean["position"] - position).abs().sort_values(kind="stable")
        # another scan each time, as long as there is one
        order = [i for i in apart.index if clean.loc[i, "scan"] not in used] or list(apart.index)
        used.add(clean.loc[order[0], "scan"])
        rows.append(order[0])
    found = [
        (title, _tiles(study, table))
        for title, table in (
            ("containing CAC: what the remover starts from", chosen),
            ("not containing CAC: what the synthesiser starts from", clean.loc[rows]),
        )
    ]
    if not all(tiles for _, tiles in found):
        return Missing("no scan of this study could be read: see notebook 01")
    return tiled(
        found,
        f"Above {len(chosen)} {'simulated ' if study.simulated else ''}heart slices that contain "
        "CAC, seen as bright spots; below slices from the same places of other hearts that contain "
        "none.",
    )


def _tiles(study: Study, slices: pd.DataFrame) -> list[Tile]:
    """The slices in the networks' window, cut around the middle of the heart."""
    tiles = []
    for name, at, position in slices[["scan", "slice", "position"]].itertuples(index=False):
        try:
            image, heart = study.scan(name), study.heart(name)
        except InputError:
            continue
        if heart is None or not heart.array.any():
            continue
        grey = _cut(image, int(at), centre_of_mass_mm(heart))
        tiles.append(Tile((grey - BLACK_HU) / (WHITE_HU - BLACK_HU), f"{name}, {position:.0%} up"))
    return tiles


def _cut(image: Volume, at: int, centre_mm: tuple[float, float, float]) -> NDArray[np.float32]:
    """A slice's pixels within `CROP_MM` around a point, air where the scan ends."""
    found: NDArray[np.float32] = image.array[at].astype(np.float32)
    for axis in (1, 2):
        middle = (centre_mm[axis] - image.origin_mm[axis]) / image.spacing_mm[axis]
        size = round(CROP_MM / image.spacing_mm[axis])
        index = np.arange(size) + round(middle - size / 2)
        inside = (index >= 0) & (index < image.shape[axis])
        taken = np.take(found, np.clip(index, 0, image.shape[axis] - 1), axis=axis - 1)
        here = inside[:, np.newaxis] if axis == 1 else inside
        found = np.where(here, taken, np.float32(BLACK_HU)).astype(np.float32)
    return found
