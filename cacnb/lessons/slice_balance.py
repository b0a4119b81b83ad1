"""How many heart slices a study has with and without CAC, and how often batches show each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import altair as alt
import numpy as np
import pandas as pd
from altair.typing import ChartType

from cacnb.ct.reading import read_image
from cacnb.errors import InputError
from cacnb.export.chart_style import titled
from cacnb.lessons.figure import Figure
from cacnb.lessons.missing import Missing

if TYPE_CHECKING:
    from cacnb.studies import Study

#: What a slice's label is called, and its colour (Okabe and Ito's).
SHOWS, SHOWS_NOT = "containing CAC", "not containing CAC"
COLOURS = {SHOWS: "#D55E00", SHOWS_NOT: "#0072B2"}

#: Rows of the figure: the study, a batch of the classifier, a batch of the CycleGAN.
STUDY, CLASSIFIER, CYCLEGAN = "all heart slices", "classifier's batches", "CycleGAN's batches"

NO_LABELS = (
    "no slice with a heart mask has a settled label: label slices (notebook 02) and add heart masks"
)


def labelled_slices(study: Study) -> pd.DataFrame:
    """Each labelled heart slice: `scan`, `slice`, `position`, `contains_cac`.

    `position` goes from 0, the lowest heart slice, to 1. Only slices of scans with a heart mask; an
    empty frame where there is none.
    """
    labels, found = study.labels, []
    for name, rows in labels.groupby(labels["scan"].astype(str)):
        file = study.folder / "masks" / f"{name}.nii.gz"
        if not file.is_file():
            continue
        try:
            inside = np.flatnonzero(read_image(file).array.any(axis=(1, 2)))
        except InputError:  # a mask that cannot be read is said of where it is used
            continue
        place = dict(zip(inside.tolist(), np.linspace(0, 1, len(inside)).tolist(), strict=True))
        position = rows["slice"].astype(int).map(place)
        found.append(rows.assign(scan=name, position=position)[position.notna()])
    columns = ["scan", "slice", "position", "contains_cac"]
    return pd.concat(found)[columns] if found else pd.DataFrame(columns=columns)


def balance(study: Study) -> Figure | Missing:
    """Share of slices by place in the heart and label: in the study, and in two kinds of batches.

    The shares in batches follow from the sampler's pools: each pool is drawn as often as another,
    and each slice in it as often as another.

    Parameters
    ----------
    study
        With heart masks and slice labels.
    """
    from cacnb.learning.batches import POSITION_BINS, SliceSampler, SliceStore

    slices = labelled_slices(study)
    labels = slices["contains_cac"].to_numpy(bool)
    if not (labels.any() and (~labels).any()):
        return Missing(NO_LABELS)
    store = SliceStore(
        slices=np.zeros((len(slices), 1, 1), np.int16), labels=labels,
        positions=slices["position"].to_numpy(np.float32), scans=np.zeros(len(slices), np.int32),
    )  # fmt: skip
    every = np.arange(len(slices))
    weights = {STUDY: np.full(len(slices), 1 / len(slices))}
    for name, by_position in ((CLASSIFIER, False), (CYCLEGAN, True)):
        sampler = SliceSampler(store, every, batch=2, seed=0, by_position=by_position)
        drawn = np.zeros(len(slices))
        for pool in sampler.pools:
            for domain in pool:
                drawn[domain] += 1 / (2 * len(sampler.pools) * len(domain))
        weights[name] = drawn
    bins = np.minimum((store.positions * POSITION_BINS).astype(int), POSITION_BINS - 1)
    where = pd.DataFrame({"part": bins + 1, "label": np.where(labels, SHOWS, SHOWS_NOT)})
    table = pd.concat(
        where.assign(share=drawn).groupby(["part", "label"], as_index=False)["share"].sum()
        .assign(drawn=name)
        for name, drawn in weights.items()
    )  # fmt: skip
    kind = "simulated " if study.simulated else ""
    return Figure(
        titled(
            _bars(table), "What a network is shown, by place in the heart",
            simulated=study.simulated,
            subtitle="share of slices in eight equal parts of the heart, 1 lowest, 8 highest",
        ),
        f"Of {len(slices)} {kind}heart slices {labels.mean():.0%} contain CAC, most of them high "
        "in the heart. The classifier's batches hold half of each; the CycleGAN's half of each in "
        "every part of the heart that has both.",
    )  # fmt: skip


def _bars(table: pd.DataFrame) -> ChartType:
    bars = (
        alt.Chart(table)
        .mark_bar()
        .encode(
            x=alt.X("part:O", title="part of the heart", axis=alt.Axis(labelAngle=0)),
            y=alt.Y("share:Q", title="share of slices", axis=alt.Axis(format="%")),
            color=alt.Color(
                "label:N", title=None, legend=alt.Legend(orient="top"),
                scale=alt.Scale(domain=list(COLOURS), range=list(COLOURS.values())),
            ),
            tooltip=["drawn", "part", "label", alt.Tooltip("share:Q", format=".1%")],
        )
        .properties(width=200, height=170)
    )  # fmt: skip
    order = [STUDY, CLASSIFIER, CYCLEGAN]
    chart: ChartType = bars.facet(alt.Facet("drawn:N", title=None, sort=order), columns=3)
    return chart
