"""Two scans of one person and what each method makes of both; it scores nothing itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from cacnb.lessons.missing import Missing
from cacnb.lessons.scored import LessonScan, clearest_scan, has_map, scored_scan
from cacnb.lessons.slice_view import LessonCanvas, slice_view
from cacnb.simulation.lesions import hu_mm3_per_mg
from cacnb.studies import Study
from cacnb.study.relative_difference import pair_differences, relative_difference

#: Scores of a scan, as words: column of `Study.scores`.
SCORES = {
    "Agatston score, from 130 HU": "clinical_agatston",
    "Agatston score of the map, adjusted": "proposed_agatston_adjusted",
    "mass from 130 HU (HU·mm³)": "clinical_pseudo_mass_hu_mm3",
    "mass of the map (HU·mm³)": "proposed_pseudo_mass_hu_mm3",
}

#: Mean relative differences of mass in the paper's pairs that are positive in both scans.
PAPER_PLACE = "paper, section 5.3"
PAPER_DIFFERENCES = {"clinical": "0.89 by a reader, 1.14 automatic", "proposed": "0.47"}


@dataclass(frozen=True, eq=False)
class ScanAndRescan:
    """A pair of scored scans of one person; `second` is None where the study has no pair.

    `scores` has a row a score and a column a scan, and their relative difference.
    """

    first: LessonScan
    second: LessonScan | None
    simulated: bool
    scores: pd.DataFrame

    def __repr__(self) -> str:
        kind = "simulated " if self.simulated else ""
        if self.second is None:
            return f"{self.first.name}, one {kind}scan: no scored pair of scans is in this study"
        return f"{self.first.name} and {self.second.name}, two {kind}scans of one person"

    def show_first(self) -> LessonCanvas:
        """The first scan, what the threshold counts in it, and its CAC map."""
        return _shown(self.first, simulated=self.simulated)

    def show_second(self) -> LessonCanvas | Missing:
        """The second scan in the same way, or what is missing."""
        if self.second is None:
            return Missing(
                "this study has no scored pair of scans: pairs are proposed by "
                "`cacnb study pair DIR`"
            )
        return _shown(self.second, simulated=self.simulated)


def scan_and_rescan(study: Study) -> ScanAndRescan:
    """The pair whose clinical Agatston scores differ most, of those positive in both maps.

    An extreme and no usual pair. Without such a pair the one whose maps show most, and without
    scored pairs the clearest scan alone.

    Raises
    ------
    InputError
        `not_scored` where no scan of the study is scored.
    """
    table = _paired_scores(study)
    if table.empty:
        names = [clearest_scan(study)]
    else:
        proposed = [f"{SCORES['Agatston score of the map, adjusted']}_{n}" for n in (1, 2)]
        clinical = [f"{SCORES['Agatston score, from 130 HU']}_{n}" for n in (1, 2)]
        apart = np.nan_to_num(pair_differences(table[clinical[0]], table[clinical[1]]))
        both = (table[proposed] > 0).all(axis=1)
        shown = table[proposed].sum(axis=1)
        order = table.assign(both=both, apart=np.where(both, apart, 0.0), shown=shown)
        best = order.sort_values(["both", "apart", "shown"], ascending=False, kind="stable").iloc[0]
        names = [str(best["first"]), str(best["second"])]
    scans = [scored_scan(study, name) for name in names]
    return ScanAndRescan(
        scans[0], scans[1] if len(scans) > 1 else None, study.simulated, _scores(study, names)
    )


def repeat_beside_paper(study: Study) -> pd.DataFrame | Missing:
    """The mean relative difference of mass between scan and rescan, beside the paper's.

    Returns
    -------
    DataFrame
        A row a method: in how many pairs both scans are positive, of how many scored ones, the mean
        relative difference over those, and the paper's (section 5.3).
    """
    table = _paired_scores(study)
    if table.empty:
        return Missing("this study has no scored pair: pair its scans by `cacnb study pair DIR`")
    kind = ", simulated" if study.simulated else ""
    rows = {}
    for method, paper in PAPER_DIFFERENCES.items():
        column = f"{method}_pseudo_mass_hu_mm3"
        found = relative_difference(table[f"{column}_1"], table[f"{column}_2"])
        rows[method] = {
            "pairs": found.n_pairs, "positive in both": found.n_both_positive,
            f"relative difference{kind}": found.both_positive, PAPER_PLACE: paper,
        }  # fmt: skip
    return pd.DataFrame.from_dict(rows, orient="index").round(2)


def _paired_scores(study: Study) -> pd.DataFrame:
    """One row a pair with both scans scored: `pair`, `first`, `second`, each score _1 and _2."""
    pairs, scores = study.pairs, study.scores
    if pairs.empty or not set(SCORES.values()) <= set(scores):
        return pd.DataFrame()
    scored = scores[[has_map(study, str(name)) for name in scores["scan"]]]
    scored = scored[["scan", *SCORES.values()]]
    first = pairs.merge(scored, left_on="first", right_on="scan")
    return first.merge(scored, left_on="second", right_on="scan", suffixes=("_1", "_2"))


def _scores(study: Study, names: list[str]) -> pd.DataFrame:
    rows = study.scores.set_index("scan").loc[names]
    table = rows[list(SCORES.values())].T.set_axis(list(SCORES), axis=0)
    truth = study.truth
    if set(names) <= set(truth["scan"]):
        kvp = study.cohort.set_index("scan").loc[names].get("kvp", pd.Series(120.0, names))
        per_mg = [hu_mm3_per_mg(float(one)) for one in kvp.fillna(120.0)]
        true_mg = truth.set_index("scan").loc[names, "mass_mg"].to_numpy()
        table.loc["true mass, simulated (HU·mm³)"] = true_mg * per_mg
    table = table.astype(float)
    if len(names) > 1:
        table["relative difference"] = pair_differences(table[names[0]], table[names[1]])
    table.columns.name = None
    return table.round(2)


def _shown(scan: LessonScan, *, simulated: bool) -> LessonCanvas:
    kind = "simulated scan" if simulated else "scan"
    counted, over = "Counted from 130 HU", "CAC map"
    scores = scan.scores["Agatston score"]
    return slice_view(
        {"Scan": scan.image, counted: scan.image, over: scan.image},
        heart=scan.heart,
        cac_map={over: scan.cac_map},
        labels={counted: scan.counted},
        title=f"{scan.name}, {kind}",
        alt=(
            f"One slice of the {kind} {scan.name}, alone, with the voxels that the clinical score "
            f"counts, and with its CAC map. Agatston score {scores['clinical']:.0f} from 130 HU, "
            f"{scores['proposed']:.0f} of the map."
        ),
    )
