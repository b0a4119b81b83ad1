"""A scan split by the shipped remover into healthy image and CAC map, and what the losses say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import altair as alt
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cacnb.ct.grids import SLICE_GRID_MM, crop_heart, resample
from cacnb.ct.heart import centre_of_mass_mm
from cacnb.ct.reading import read_image
from cacnb.ct.volume import Volume
from cacnb.errors import InputError
from cacnb.export.chart_style import SOFT, titled
from cacnb.export.slice_pictures import healthy_hu
from cacnb.lessons.figure import Figure
from cacnb.lessons.hearts import VERMILION, heart_for
from cacnb.lessons.missing import Missing
from cacnb.lessons.slice_evidence import scans_by_label
from cacnb.lessons.slice_view import LessonCanvas, slice_view

if TYPE_CHECKING:
    from cacnb.learning.weights import Weights
    from cacnb.studies import Study

NO_SCANS = "no scan of this study could be split: see notebook 01 for their verdicts"

#: Without the −10 HU rule, map values below this are not looked at, in HU.
LEAST_HU = 5.0


@dataclass(frozen=True, eq=False)
class Decomposed:
    """A scan's heart as the networks see it, 1.5 × 1.0 × 1.0 mm, split in two.

    `image` and `healthy` in HU, `cac_map` in HU (≥ 0, the remover's, of every heart slice), `heart`
    bool, `where` the heart's slices, all on one grid. `calcium` is the known one in HU; None where
    a study does not know it.
    """

    name: str
    simulated: bool
    image: Volume
    heart: Volume
    cac_map: Volume
    healthy: Volume
    where: NDArray[np.int64]
    calcium: Volume | None


def decompose(study: Study, weights: Weights, name: str) -> Decomposed:
    """Split every heart slice of a scan, before the classifier or any rule leaves one out.

    Parameters
    ----------
    study, name
        A scan; its heart mask is the study's, or the network's where it has none.
    weights
        Whose remover splits.

    Raises
    ------
    InputError
        `no_heart` where none is found; as `Study.scan` and `Study.heart`.
    """
    from cacnb.pipeline import network_slices, raw_map

    image, heart = study.scan(name), heart_for(study, name, weights)
    if not heart.array.any():
        raise InputError("no_heart", f"no heart was found in {name}: take another scan")
    size = weights.decomposition_recipe.store_px
    cut, inside, where = network_slices(image, heart, size)
    whole = np.zeros(cut.shape[0], bool)
    whole[where] = True
    raw = raw_map(cut, whole, where, weights)
    kept = inside.array & (raw.array >= LEAST_HU)
    cac_map = raw.with_array(np.where(kept, raw.array, np.float32(0)))
    healthy = cut.with_array(healthy_hu(cut, cac_map))
    file, calcium = study.folder / "calcium" / f"{name}.nii.gz", None
    if file.is_file():
        centre = centre_of_mass_mm(heart)[1:]
        calcium = crop_heart(resample(read_image(file), SLICE_GRID_MM), centre, size, fill_hu=0.0)
    return Decomposed(name, study.simulated, cut, inside, cac_map, healthy, where, calcium)


def decompose_some(study: Study, weights: Weights, scans: int = 2) -> list[Decomposed]:
    """Split some scans: one that shows CAC on most slices, one without any, and so on in turn.

    Scans that cannot be read, or where no heart is found, are passed over; nothing comes back where
    that is true of all that were tried, twice as many as were asked for.
    """
    found: list[Decomposed] = []
    for name in scans_by_label(study, 2 * scans):
        if len(found) == scans:
            break
        try:
            found.append(decompose(study, weights, name))
        except InputError:
            continue
    return found


def three_images(splits: list[Decomposed]) -> LessonCanvas | Missing:
    """Image, CAC map over it and healthy image of the first, side by side, scrolling as one."""
    if not splits:
        return Missing(NO_SCANS)
    split = splits[0]
    simulated = " (simulated)" if split.simulated else ""
    return slice_view(
        {"Image": split.image, "CAC map": split.image.with_array(split.image.array.copy()),
         "Healthy image": split.healthy},
        heart=split.heart, cac_map={"CAC map": split.cac_map},
        title=f"{split.name} split in two{simulated}",
        alt=f"One slice three times{simulated}: the image, the CAC map in orange over it, and the "
        "healthy image that is left when the map is taken away.",
    )  # fmt: skip


def map_sums(splits: list[Decomposed]) -> Figure | Missing:
    """The map's pseudo-mass on each heart slice beside that of the known calcium.

    Parameters
    ----------
    splits
        Of scans whose calcium is known: simulated, or inserted.
    """
    rows = [
        {
            "scan": split.name, "slice": int(k),
            "calcium_hu_mm3": float(split.calcium.array[k].sum()) * split.calcium.voxel_volume_mm3,
            "map_hu_mm3": float(split.cac_map.array[k].sum()) * split.cac_map.voxel_volume_mm3,
        }
        for split in splits if split.calcium is not None
        for k in split.where
    ]  # fmt: skip
    if not rows:
        return Missing(
            "the calcium of these scans is not known: `cacnb insert SCAN --out DIR` puts known "
            "calcium into a scan of your own"
        )
    table = pd.DataFrame(rows)
    most = float(table[["calcium_hu_mm3", "map_hu_mm3"]].to_numpy().max())
    equal = pd.DataFrame({"calcium_hu_mm3": [0.0, most], "map_hu_mm3": [0.0, most]})
    x = alt.X("calcium_hu_mm3:Q", title="known calcium on the slice (HU·mm³)")
    y = alt.Y("map_hu_mm3:Q", title="sum of the CAC map (HU·mm³)")
    points = (
        alt.Chart(table)
        .mark_point(filled=True, size=45, opacity=0.65)
        .encode(
            x=x, y=y, tooltip=["scan", "slice", alt.Tooltip("calcium_hu_mm3:Q", format=",.0f"),
                               alt.Tooltip("map_hu_mm3:Q", format=",.0f")],
            shape=alt.Shape("scan:N", title=None, legend=alt.Legend(orient="top")),
            color=alt.value(VERMILION),
        )
    )  # fmt: skip
    line = alt.Chart(equal).mark_line(color=SOFT, strokeDash=[2, 3]).encode(x=x, y=y)
    chart = alt.layer(line, points, data=table).properties(width=360, height=280)
    r, share = map_likeness(table), float(table["map_hu_mm3"].sum() / table["calcium_hu_mm3"].sum())
    return Figure(
        titled(
            chart, "Map and known calcium, slice by slice",
            simulated=any(split.simulated for split in splits),
            subtitle=f"r {r:.2f}; all maps together hold {share:.0%} of the calcium; dotted: equal",
        ),
        f"Sum of the CAC map against the known (simulated) calcium of {len(table)} heart slices: "
        f"r {r:.2f}, all maps together hold {share:.0%} of it.",
    )  # fmt: skip


def map_likeness(table: pd.DataFrame) -> float:
    """Pearson's r of map and known calcium over slices; NaN where either is the same everywhere."""
    a, b = (table[key].to_numpy(float) for key in ("calcium_hu_mm3", "map_hu_mm3"))
    if not (a.std() and b.std()):
        return float("nan")
    return float(np.corrcoef(a, b)[0, 1])
