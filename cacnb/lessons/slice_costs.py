"""What a score becomes with the slices that are analysed: the cost of a false positive slice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import altair as alt
import numpy as np
import pandas as pd

from cacnb.errors import InputError
from cacnb.export.chart_style import titled
from cacnb.lessons.figure import Figure
from cacnb.lessons.hearts import heart_for
from cacnb.lessons.missing import Missing
from cacnb.lessons.slice_balance import SHOWS, SHOWS_NOT
from cacnb.lessons.slice_evidence import OPEN
from cacnb.lessons.slice_figures import LABEL_COLOURS

if TYPE_CHECKING:
    from cacnb.learning.weights import Weights
    from cacnb.studies import Study

#: Thresholds on the probability at which a map is scored; 0 analyses every slice.
THRESHOLDS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 0.97)

NO_SCANS = "no scan of this study could be read: see notebook 01"


def masses_by_threshold(study: Study, weights: Weights, scans: list[str]) -> Figure | Missing:
    """Pseudo-mass that is scored when only slices from a probability on are analysed.

    The paper's rule: one threshold for every slice, no least mass of a lesion. 0 analyses every
    slice of the heart, as the ablation does.

    Parameters
    ----------
    study
        Its heart masks are used, the network's where a scan has none.
    weights
        Whose networks score.
    scans
        Names: at best one scan with CAC and one without.
    """
    labels = study.labels
    visible = labels.groupby(labels["scan"].astype(str))["contains_cac"].max()
    rows = []
    for name in scans:
        try:
            masses = _masses(study, weights, name)
        except InputError:
            continue
        seen = visible.get(name)
        label = OPEN if seen is None else SHOWS if seen else SHOWS_NOT
        rows += [
            {"scan": f"{name}: {label}", "threshold": at, "mass_hu_mm3": mass}
            for at, mass in zip(THRESHOLDS, masses, strict=True)
        ]
    if not rows:
        return Missing(NO_SCANS)
    table = pd.DataFrame(rows)
    chart = (
        alt.Chart(table)
        .mark_line(point=True)
        .encode(
            x=alt.X("threshold:Q", title="least probability of a slice that is analysed"),
            y=alt.Y("mass_hu_mm3:Q", title="pseudo-mass (HU·mm³)"),
            color=alt.Color(
                "scan:N", title=None, legend=alt.Legend(orient="top", columns=1),
                sort=table["scan"].unique().tolist(), scale=_scan_colours(table),
            ),
            tooltip=["scan", "threshold", alt.Tooltip("mass_hu_mm3:Q", format=",.0f")],
        )
        .properties(width=480, height=230)
    )  # fmt: skip
    every = "; ".join(
        f"{name} {rows['mass_hu_mm3'].iloc[0]:,.0f} with every slice and "
        f"{rows.set_index('threshold')['mass_hu_mm3'][0.5]:,.0f} at 0.5"
        for name, rows in table.groupby("scan", sort=False)
    )
    return Figure(
        titled(chart, "The slices that are analysed and the score", simulated=study.simulated),
        f"Pseudo-mass in HU·mm³{' (simulated)' if study.simulated else ''} by the least "
        f"probability of a slice: {every}.",
    )


def _scan_colours(table: pd.DataFrame) -> alt.Scale:
    names = table["scan"].unique().tolist()
    colours = [LABEL_COLOURS[name.split(": ", 1)[1]] for name in names]
    return alt.Scale(domain=names, range=colours)


def _masses(study: Study, weights: Weights, name: str) -> list[float]:
    """Pseudo-mass of a scan's map at each of `THRESHOLDS`, its networks run once."""
    from cacnb.ct.grids import resample_onto
    from cacnb.pipeline import atlas_of, network_slices, raw_map, slice_probabilities
    from cacnb.scoring.cac_map import clean_map, map_lesions

    image, heart = study.scan(name), heart_for(study, name, weights)
    if not heart.array.any():
        raise InputError("no_heart", f"no heart was found in {name}: take another scan")
    cut, inside, where = network_slices(image, heart, weights.slice_recipe.store_px)
    probability = np.zeros(cut.shape[0], np.float32)
    probability[where] = slice_probabilities(cut, where, weights)
    whole = np.zeros(cut.shape[0], bool)
    whole[where] = True
    raw = raw_map(cut, whole, where, weights)
    near = resample_onto(atlas_of(weights).region(heart), cut)
    masses = []
    for least in THRESHOLDS:
        cleaned = clean_map(
            raw, cut, inside, whole & (probability >= least),
            soft_tissue_floor_hu=weights.threshold("soft_tissue_floor_hu"),
            smallest_hu=weights.threshold("smallest_map_hu"),
        )  # fmt: skip
        lesions = map_lesions(cleaned, near, probability)
        masses.append(float(lesions.mass_hu_mm3[lesions.counted(0.0, 0.0)].sum()))
    return masses
