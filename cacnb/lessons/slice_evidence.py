"""What the slice classifier says of heart slices, beside their labels; it draws nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cacnb.ct.volume import Volume
from cacnb.errors import InputError
from cacnb.export.paper_numbers import PAPER
from cacnb.lessons.hearts import heart_for
from cacnb.lessons.missing import Missing
from cacnb.lessons.slice_balance import NO_LABELS, SHOWS, SHOWS_NOT

if TYPE_CHECKING:
    from cacnb.learning.weights import Weights
    from cacnb.studies import Study

#: A slice that nobody settled.
OPEN = "not labelled"

#: Where a study is not scored by the weights, the classifier looks at so many scans.
SCANS = 4

#: Scores of at most so many scans are read.
SCORED_SCANS = 100

#: What is told of the classifier per slice, and the paper's.
PAPER_POINT = {
    key: PAPER["network", "slices", "", key].value
    for key in ("accuracy", "sensitivity", "false_positive_rate")
}

#: Columns of the evidence.
COLUMNS = ("scan", "height_mm", "position", "probability", "label")


def slice_evidence(study: Study, weights: Weights, scans: list[str] | None = None) -> pd.DataFrame:
    """Each heart slice of some scans with the classifier's probability and its label.

    A scan that was scored by the weights has its probabilities in the study's `scores` already.

    Parameters
    ----------
    study
        Its heart masks are used, the network's where a scan has none.
    weights
        Whose classifier looks.
    scans
        Their names. If None those that were scored by the weights, else four, as `scans_by_label`
        chooses. Scans that cannot be read, or where no heart is found, are left out.

    Returns
    -------
    DataFrame
        `scan`, `height_mm` above the lowest heart slice, `position` (0 … 1), `probability`,
        `label`; one row a slice of 1.5 mm.
    """
    if scans is None:
        names = study.cohort["scan"].astype(str)
        scored = [name for name in names if _kept(study, weights, name) is not None]
        scans = scored[:SCORED_SCANS] or scans_by_label(study, SCANS)
    settled = {str(name): rows for name, rows in study.labels.groupby("scan")}
    found = []
    for name in scans:
        try:
            found.append(_of_scan(study, weights, name, settled.get(name)))
        except InputError:  # a refused scan has no slices to look at
            continue
    columns = list(COLUMNS)
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=columns)


def scans_by_label(study: Study, count: int) -> list[str]:
    """Names of scans to look at, half of them with CAC on any slice; where unlabelled, the first.

    Those with most slices with CAC come first, then with and without in turn.
    """
    labels, names = study.labels, study.cohort["scan"].astype(str).tolist()
    slices = labels.groupby(labels["scan"].astype(str))["contains_cac"].sum()
    slices = slices[slices.index.isin(names)].sort_values(ascending=False, kind="stable")
    shows, shows_not = slices.index[slices > 0].tolist(), slices.index[slices == 0].tolist()
    turns = [name for pair in zip(shows, shows_not, strict=False) for name in pair]
    left = [name for name in [*shows, *shows_not, *names] if name not in turns]
    return [*turns, *dict.fromkeys(left)][:count]


def telling_scans(slices: pd.DataFrame) -> list[str]:
    """A scan with CAC on most slices, and of those without the one with the highest probability.

    Parameters
    ----------
    slices
        As `slice_evidence` gives them; without labels its first scan alone is named.
    """
    if slices.empty:
        return []
    by_scan = slices.groupby("scan", sort=False)
    shows = by_scan["label"].agg(lambda labels: int((labels == SHOWS).sum()))
    told = by_scan["label"].agg(lambda labels: bool((labels != OPEN).any()))
    highest = by_scan["probability"].max()
    first = str(shows.idxmax())
    clean = highest[(shows == 0) & told]
    return [first, str(clean.idxmax())] if len(clean) else [first]


def _of_scan(
    study: Study, weights: Weights, name: str, settled: pd.DataFrame | None
) -> pd.DataFrame:
    image = study.scan(name)
    kept = _kept(study, weights, name)
    height, probability, nearest = (
        _looked_at(study, weights, name, image) if kept is None else _read(kept, image)
    )
    said = np.full(image.shape[0], -1)
    if settled is not None:
        said[settled["slice"].to_numpy(int)] = settled["contains_cac"].to_numpy(int)
    label = said[nearest]
    return pd.DataFrame(
        {
            "scan": name, "height_mm": height - height[0],
            "position": np.linspace(0, 1, len(height)), "probability": probability,
            "label": np.select([label < 0, label > 0], [OPEN, SHOWS], SHOWS_NOT),
        }
    )  # fmt: skip


Slices = tuple[NDArray[np.float64], NDArray[np.float32], NDArray[np.int64]]


def _looked_at(study: Study, weights: Weights, name: str, image: Volume) -> Slices:
    """Heights, probabilities and the scan's nearest slices, by the classifier."""
    from cacnb.pipeline import slice_probabilities
    from cacnb.prepared_slices import heart_slices

    heart = heart_for(study, name, weights)
    if not heart.array.any():
        raise InputError("no_heart", f"no heart was found in {name}: take another scan")
    cut, where, _, nearest = heart_slices(image, heart, weights.slice_recipe.store_px)
    return cut.axis_mm(0)[where], slice_probabilities(cut, where, weights), nearest


def _read(kept: list[float | None], image: Volume) -> Slices:
    """The same from a score's file: slices of 1.5 mm over the whole scan, none off the heart."""
    from cacnb.ct.grids import SLICE_GRID_MM

    probability = np.array([np.nan if one is None else one for one in kept], np.float32)
    where = np.flatnonzero(np.isfinite(probability))
    if not len(where):
        raise InputError("no_heart", "no slice was looked at: take another scan")
    height = where.astype(np.float64) * SLICE_GRID_MM[0]
    nearest = np.rint(height / image.spacing_mm[0]).astype(np.int64)
    return height, probability[where], np.clip(nearest, 0, image.shape[0] - 1)


def _kept(study: Study, weights: Weights, name: str) -> list[float | None] | None:
    """A scan's probabilities as these weights scored it; None where they did not."""
    file = study.folder / "scores" / f"{name}.json"
    if not file.is_file():
        return None
    told = json.loads(file.read_text(encoding="utf-8"))
    if told.get("weights", {}).get("sha256") != weights.sha256:
        return None
    found: list[float | None] | None = told.get("probability_of_cac")
    return found


def classifier_table(slices: pd.DataFrame, *, simulated: bool) -> pd.DataFrame | Missing:
    """Accuracy, sensitivity and false positive rate per slice with intervals, beside the paper's.

    Parameters
    ----------
    slices
        As `slice_evidence` gives them; those without a label are left out.
    simulated
        Whether they are simulated, so that the table says so.
    """
    from cacnb.evaluation.networks import slice_rows

    told = slices[slices["label"] != OPEN]
    pairs = list(zip(told["probability"], told["label"] == SHOWS, strict=True))
    rows = slice_rows({"all": {"slices": pairs}})
    if not rows:
        return Missing(NO_LABELS)
    row, column = rows[0], "these slices" + (" (simulated)" if simulated else "")
    of = f"{row['n_slices']} slices, {row['n_positive']} with CAC"
    return pd.DataFrame(
        {
            column: [row[key] for key in PAPER_POINT],
            "95 % interval": [
                "{:.2f} to {:.2f}".format(*row[f"{key}_ci95"]) if row[f"{key}_ci95"] else ""
                for key in PAPER_POINT
            ],
            "paper": list(PAPER_POINT.values()),
        },
        index=pd.Index([key.replace("_", " ") for key in PAPER_POINT], name=of),
    ).round(2)
