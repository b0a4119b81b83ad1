"""Two simulated readers of the same slices, and how plain the calcium was; charts of both.

Only where the truth of each slice is known, so of simulated calcium alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import altair as alt
import numpy as np
import pandas as pd

from cacnb.ct.reading import read_image, read_mask
from cacnb.export.chart_style import INK, SOFT, titled
from cacnb.lessons.figure import Figure
from cacnb.lessons.missing import Missing
from cacnb.reader_agreement import ReaderAgreement, agreement_of
from cacnb.simulation.reader import contrast_to_noise, label_slices, local_noise_hu
from cacnb.studies import Study

#: What two readers say of a slice, as the chart tells it: words, colour, shape.
BOTH, ONE, NONE = "both say CAC", "they differ", "both say no CAC"
LOOKS = {BOTH: ("#D55E00", "circle"), ONE: ("#0072B2", "diamond"), NONE: ("#7a828b", "cross")}

#: The threshold of the clinical definition, in HU.
THRESHOLD_HU = 130.0

#: Calcium of less than so many HU is no voxel of a lesion for its brightest one.
PART_HU = 15.0


@dataclass(frozen=True, eq=False)
class SliceReadings:
    """What two readers said of every heart slice, all simulated.

    `slices` has a row a heart slice: `scan`, `slice`, `first` and `second` (cac or no_cac), and of
    the slice's true calcium `contrast_to_noise` (0 without calcium) and `peak_hu` (the brightest
    voxel of the scan in it; missing without).
    """

    slices: pd.DataFrame

    @property
    def agreement(self) -> ReaderAgreement:
        """Cohen's κ of the two, with its interval over scans."""
        pairs = self.slices[["scan", "slice", "first", "second"]]
        return agreement_of(pairs, "first", "second")

    def __repr__(self) -> str:
        scans = self.slices["scan"].nunique()
        return f"{len(self.slices)} heart slices of {scans} simulated scans, read twice"


def slice_readings(study: Study, seed: int = 1) -> SliceReadings | Missing:
    """The study's labels as a first reader, and a second simulated reader of another throw.

    Both see the same contrast and noise; near the limit of vision each decides by chance.

    Parameters
    ----------
    study
        With simulated calcium under `calcium/`, heart masks and slice labels.
    seed
        Of the second reader.
    """
    labels = study.labels
    rows = []
    for at, name in enumerate(study.cohort["scan"].astype(str)):
        truth, mask = (study.folder / part / f"{name}.nii.gz" for part in ("calcium", "masks"))
        said = labels[labels["scan"] == name]
        if not truth.is_file() or not mask.is_file() or said.empty:
            continue
        image, calcium = study.scan(name), read_image(truth)
        heart = read_mask(mask, image, may_be_empty=True)
        second = label_slices(image, calcium, heart, np.random.default_rng([seed, at]))
        plain = contrast_to_noise(calcium, local_noise_hu(image, heart))
        first = said.set_index("slice")["contains_cac"]
        for z in np.flatnonzero(heart.array.any(axis=(1, 2))):
            if z not in first.index:
                continue
            part = calcium.array[z] >= PART_HU
            rows.append({
                "scan": name, "slice": int(z), "first": "cac" if first[z] else "no_cac",
                "second": "cac" if second[z] else "no_cac",
                "contrast_to_noise": float(plain[z]),
                "peak_hu": float(image.array[z][part].max()) if part.any() else np.nan,
            })  # fmt: skip
    if not rows:
        return Missing(
            "only simulated calcium is known slice by slice, and this study has none with labels "
            "and heart masks; of real readers `cacnb study labels agreement` tells how they agree"
        )
    return SliceReadings(pd.DataFrame(rows))


def two_readers(readings: SliceReadings | Missing) -> pd.DataFrame | Missing:
    """How far the two readers of some slices agree, as `agreement_table`."""
    if isinstance(readings, Missing):
        return readings
    return agreement_table(readings.agreement, "two simulated readers")


def agreement_table(found: ReaderAgreement, who: str) -> pd.DataFrame:
    """Cohen's κ with its interval over scans, the share of equal answers, and of how many slices.

    What is not defined, such as κ where nobody saw calcium, is missing.
    """
    low, high = found.ci95_scans or (np.nan, np.nan)
    kappa = found.kappa
    told = {
        "slices": found.slices, "scans": found.scans, "slices that differ": found.differing,
        "same answer": np.nan if kappa is None else kappa.accuracy,
        "κ": np.nan if kappa is None else kappa.value, "95 % from": low, "to": high,
    }  # fmt: skip
    return pd.DataFrame([told], index=[who]).round(3)


def label_balance(study: Study) -> pd.DataFrame | Missing:
    """How many slices are labelled in each set, and how many of them show calcium.

    Returns
    -------
    DataFrame
        A row a set: `scans`, `scans with CAC`, `slices`, `slices with CAC`, and their `share`.
    """
    labels = study.labels
    if labels.empty:
        return Missing("this study has no settled slice label: label it, `cacnb serve label`")
    cohort = study.cohort
    sets = cohort["set"] if "set" in cohort else pd.Series(pd.NA, cohort.index)
    told = cohort.assign(set=sets.fillna("(no set)"))[["scan", "set"]]
    both = labels.merge(told, on="scan")
    by_scan = both.groupby(["set", "scan"])["contains_cac"].max().groupby("set")
    by_set = both.groupby("set")["contains_cac"]
    found = pd.DataFrame({
        "scans": by_scan.size(), "scans with CAC": by_scan.sum(),
        "slices": by_set.size(), "slices with CAC": by_set.sum(),
        "share of slices": by_set.mean().round(3),
    })  # fmt: skip
    return found.rename_axis("set (simulated)" if study.simulated else "set")


def hard_slices_chart(readings: SliceReadings | Missing) -> Figure | Missing:
    """Each slice with true calcium by how plain and how bright it is, and what the readers said."""
    if isinstance(readings, Missing):
        return readings
    table = readings.slices
    shown = table[table["contrast_to_noise"] > 0].dropna(subset=["peak_hu"])
    if shown.empty:
        return Missing("no slice of this study shows calcium above the least that can be seen")
    votes = (shown[["first", "second"]] == "cac").sum(axis=1)
    frame = shown.assign(readers=votes.map({2: BOTH, 1: ONE, 0: NONE}))
    points = (
        alt.Chart(frame, width=560, height=300)
        .mark_point(filled=True, size=60, opacity=0.8)
        .encode(
            x=alt.X(
                "contrast_to_noise:Q", title="Contrast-to-noise of the slice's calcium",
                scale=alt.Scale(zero=True),
            ),
            y=alt.Y(
                "peak_hu:Q", title="Brightest voxel of it (HU)", scale=alt.Scale(zero=True)
            ),
            color=alt.Color(
                "readers:N",
                scale=alt.Scale(domain=list(LOOKS), range=[c for c, _ in LOOKS.values()]),
                legend=alt.Legend(title=None, orient="top"),
            ),
            shape=alt.Shape(
                "readers:N",
                scale=alt.Scale(domain=list(LOOKS), range=[s for _, s in LOOKS.values()]),
            ),
            tooltip=["scan:N", "slice:Q", "peak_hu:Q", "contrast_to_noise:Q"],
        )
    )  # fmt: skip
    line = alt.Chart(pd.DataFrame({"hu": [THRESHOLD_HU], "words": ["130 HU"]})).encode(y="hu:Q")
    threshold = line.mark_rule(color=SOFT, strokeDash=[5, 4])
    words = line.mark_text(align="left", dy=-7, color=INK).encode(x=alt.value(4), text="words:N")
    chart = alt.layer(points, threshold, words, data=frame)
    counts = frame["readers"].value_counts()
    below = int(((frame["readers"] == BOTH) & (frame["peak_hu"] < THRESHOLD_HU)).sum())
    said = ", ".join(f"{counts.get(words, 0)} {words}" for words in LOOKS)
    text = (
        f"{len(frame)} simulated slices with calcium by contrast-to-noise and brightest voxel: "
        f"{said}. Of those that both call CAC {below} have no voxel of 130 HU."
    )
    return Figure(titled(chart, "Which slices are hard to label", simulated=True), text)
