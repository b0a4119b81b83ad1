"""A CAC map as charts: slice by slice, step by step, and against the truth; it makes no map."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import altair as alt
import numpy as np
import pandas as pd

from cacnb.evaluation.truth import physical_mg
from cacnb.export.chart_pairs import truth_chart
from cacnb.export.chart_style import INK, SOFT, titled
from cacnb.export.chart_words import LOOKS
from cacnb.lessons.figure import Figure
from cacnb.lessons.missing import Missing
from cacnb.lessons.scored import LessonScan
from cacnb.studies import Study

if TYPE_CHECKING:
    from cacnb.evaluation.map_steps import MapSteps

#: Colours of sets of rules beside each other: the first is the method's.
COLOURS = (LOOKS["proposed"].colour, LOOKS["clinical_manual"].colour, SOFT)

#: Scores of a scan without calcium, by the names that a table gives them.
FALSE = {
    "proposed_pseudo_mass_hu_mm3": "map (HU·mm³)",
    "proposed_agatston_adjusted": "map, adjusted Agatston",
    "clinical_pseudo_mass_hu_mm3": "clinical (HU·mm³)",
    "clinical_agatston": "clinical, Agatston",
}

#: The tube voltage of a scan whose cohort tells none.
USUAL_KVP = 120.0

#: Fewer scans with calcium than this have no correlation worth printing.
LEAST_SCANS = 3


def map_by_slice(scan: LessonScan) -> Figure:
    """Pseudo-mass of the map in each slice, under the classifier's probability of CAC there."""
    mass = scan.cac_map.array.sum(axis=(1, 2), dtype=np.float64) * scan.cac_map.voxel_volume_mm3
    z_mm = scan.cac_map.axis_mm(0)
    seen = np.isfinite(scan.probability_of_cac)
    parts = {"probability of CAC": scan.probability_of_cac, "pseudo-mass (HU·mm³)": mass}
    frame = pd.concat(
        [
            pd.DataFrame({"z_mm": z_mm[seen], "what": what, "value": value[seen]})
            for what, value in parts.items()
        ],
        ignore_index=True,
    )
    chart: Any = (
        alt.Chart(frame)
        .mark_bar(width=4, color=COLOURS[0])
        .encode(
            x=alt.X("z_mm:Q", title="Slice, mm towards the head", scale=alt.Scale(zero=False)),
            y=alt.Y("value:Q", title=None, axis=alt.Axis(tickCount=4)),
            tooltip=[alt.Tooltip("z_mm:Q", format=".1f"), alt.Tooltip("value:Q", format=",.3g")],
        )
        .properties(width=520, height=110)
        .facet(row=alt.Row("what:N", title=None, sort=list(parts),
                           header=alt.Header(labelAngle=0, labelAlign="left", labelAnchor="start",
                                             labelOrient="top")))
        .resolve_scale(y="independent")
    )  # fmt: skip
    kind = ", simulated" if scan.simulated else ""
    return Figure(
        titled(chart, "Where the map sums", simulated=scan.simulated),
        f"Probability of CAC and pseudo-mass of the map in each heart slice of one scan{kind}: "
        f"{int((mass > 0).sum())} of {int(seen.sum())} slices hold a pseudo-mass of "
        f"{mass.sum():,.0f} HU·mm³.",
    )


def steps_chart(rules: Mapping[str, MapSteps], *, simulated: bool) -> Figure:
    """What each step leaves of a map's sum, by one or more sets of rules."""
    frame = pd.concat(
        [steps.table.assign(rules=name) for name, steps in rules.items()], ignore_index=True
    )
    order = list(dict.fromkeys(frame["step"]))
    base = alt.Chart(frame).encode(
        y=alt.Y("step:N", sort=order, title=None),
        yOffset=alt.YOffset("rules:N", sort=list(rules)),
        x=alt.X("left_hu_mm3:Q", title="Left of the map (HU·mm³)"),
    )
    legend = alt.Legend(title=None, orient="top", direction="horizontal")
    bars = base.mark_bar().encode(
        color=alt.Color(
            "rules:N", legend=legend if len(rules) > 1 else None,
            scale=alt.Scale(domain=list(rules), range=list(COLOURS[: len(rules)])),
        )
    )  # fmt: skip
    words = base.mark_text(align="left", dx=4, fontSize=10.5, color=INK).encode(
        text=alt.Text("left_hu_mm3:Q", format=",.0f")
    )
    chart = alt.layer(bars, words, data=frame).properties(width=380, height=alt.Step(18))
    ends = "; ".join(
        f"{name}: {table['left_hu_mm3'].iloc[0]:,.0f} by the network, "
        f"{table['left_hu_mm3'].iloc[-1]:,.0f} scored"
        for name, table in frame.groupby("rules", sort=False)
    )
    kind = ", simulated" if simulated else ""
    return Figure(
        titled(chart, "What each step leaves of the map", simulated=simulated),
        f"Bars of the sum of one scan's CAC map after each step in HU·mm³{kind}. {ends}.",
    )


def mass_against_truth(study: Study) -> Figure | Missing:
    """Pseudo-mass of every scored simulated scan in mg, against what it truly holds.

    A mass is told in mg by the simulated scanner's own calibration; nothing is fitted.
    """
    table = _with_truth(study)
    if table is None:
        return Missing(
            "this study has no truth: only a simulated scan knows how much calcium it holds"
        )
    masses = {method: table[f"{method}_mg"] for method in ("proposed", "clinical_automatic")}
    notes = {method: [f"r = {_r(table, method)}"] for method in masses}
    chart = truth_chart(
        table["mass_mg"].to_numpy(),
        {method: mass.to_numpy() for method, mass in masses.items()},
        notes=notes,
    )
    said = " and ".join(
        f"{LOOKS[method].label.lower()} {note[0]}" for method, note in notes.items()
    )
    return Figure(
        chart,
        f"Measured against true calcium mass in mg of {len(table)} simulated scans, "
        f"{int((table['mass_mg'] > 0).sum())} of them with calcium: {said} over those with.",
    )


def without_calcium(study: Study, most: int | None = None) -> pd.DataFrame | Missing:
    """Scored scans that show no CAC to the reader, those with most in the map first.

    Parameters
    ----------
    most
        At most so many; all where None came.

    Returns
    -------
    DataFrame
        `scan`, and the columns of `FALSE`: all of it is false. Who shows no CAC is the simulated
        truth's word, else the settled slice labels'.
    """
    negative = negative_scans(study)
    scores = study.scores
    found = scores[scores["scan"].isin(negative)]
    if found.empty or not set(FALSE) <= set(found):
        return Missing(
            "no scored scan of this study is known to show no calcium: label its slices, "
            "`cacnb serve label --study DIR`"
        )
    found = found[["scan", *FALSE]].dropna().rename(columns=FALSE)
    found = found.sort_values([*FALSE.values()], ascending=False, kind="stable")
    return found.round(1).reset_index(drop=True).head(len(found) if most is None else most)


def negative_scans(study: Study) -> list[str]:
    """Names of the scans that show no CAC by the truth, else by settled slice labels."""
    truth = study.truth
    if len(truth):
        return truth.loc[~truth["visible"].astype(bool), "scan"].astype(str).tolist()
    labels = study.labels
    seen = labels.groupby(labels["scan"].astype(str))["contains_cac"].max()
    return [str(name) for name in seen.index[seen == 0]]


def _with_truth(study: Study) -> pd.DataFrame | None:
    """Scored scans with their true mass and both methods' in mg."""
    scores, truth = study.scores, study.truth
    if not len(truth) or "proposed_pseudo_mass_hu_mm3" not in scores:
        return None
    kvp = study.cohort.set_index("scan").get("kvp", pd.Series(dtype=float))
    table = scores.merge(truth, on="scan")
    table = table[table["proposed_pseudo_mass_hu_mm3"].notna()]
    table = table.assign(kvp=kvp.reindex(table["scan"]).fillna(USUAL_KVP).to_numpy())
    for method, key in (("proposed", "proposed"), ("clinical_automatic", "clinical")):
        mass = table[f"{key}_pseudo_mass_hu_mm3"].to_numpy(float)
        table[f"{method}_mg"] = physical_mg(mass, table)
    return table if len(table) else None


def _r(table: pd.DataFrame, method: str) -> str:
    """Pearson's r over the scans with calcium, as words."""
    known = table[table["mass_mg"] > 0]
    mg, truth = known[f"{method}_mg"].to_numpy(float), known["mass_mg"].to_numpy(float)
    if len(known) < LEAST_SCANS or not (np.ptp(mg) > 0 and np.ptp(truth) > 0):
        return "– (too few scans)"
    return f"{np.corrcoef(mg, truth)[0, 1]:.2f}"
