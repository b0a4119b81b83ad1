"""A study's evidence as files: the report, its figures and tables; it computes no statistic."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd

from cacnb.ct.grids import resample_onto
from cacnb.ct.reading import read_image
from cacnb.ct.volume import Volume
from cacnb.errors import InputError
from cacnb.evaluation import Evidence
from cacnb.evaluation.references import METHODS
from cacnb.evaluation.truth import physical_mg
from cacnb.export.lesion_examples import (
    lesion_examples,
    lesion_examples_caption,
    lesion_examples_png,
)
from cacnb.export.study_report import write_study_report
from cacnb.files import write_atomically
from cacnb.labels.place import study_toml
from cacnb.learning.weights import weights_folder
from cacnb.results import read_images
from cacnb.scoring.scored_scan import ScoredScan

#: So many of the settings that validation tried are drawn, the chosen one first.
SETTINGS_SHOWN = 15

#: Examples are looked for among so many scans with calcium: each is read whole.
SCANS_LOOKED_AT = 24

#: Excess HU from which the known calcium of a simulated scan is shown as such.
SHOWN_EXCESS_HU = 15


def write_evidence(study: Path, evidence: Evidence, folder: Path) -> Path:
    """Write report.html, evidence.json, figures/ and tables/; returns the report's path.

    Raises
    ------
    InputError
        `cannot_write`.
    """
    about = study_toml(study)
    simulated = bool(about.get("simulated"))
    tables = json.dumps(evidence.tables, allow_nan=False, default=str, indent=1)
    write_atomically(tables, folder / "evidence.json")
    tried = _tried(evidence.scans)
    examples = lesion_examples(_with_calcium(study, evidence), lambda scan: _known(study, scan))
    return write_study_report(
        evidence.tables,
        evidence.pairs,
        folder,
        title=f"Evidence: {about.get('name', study.name)} study",
        simulated=simulated,
        facts=_facts(about, evidence),
        masses_mg=_masses_mg(evidence.scans) if "mass_mg" in evidence.scans else None,
        tried=tried,
        chosen=0,
        examples_png=lesion_examples_png(examples, simulated=simulated) if examples else None,
        examples_caption=lesion_examples_caption(examples) if examples else "",
    )


def _facts(about: dict[str, Any], evidence: Evidence) -> dict[str, str]:
    scans = evidence.scans
    facts = {
        "Scans": f"{len(scans)} scored, {len(evidence.pairs)} pairs",
        "Weights": ", ".join(sorted(scans["weights"].dropna().unique())) or "unnamed",
        "Clinical convention": ", ".join(sorted(scans["convention"].dropna().unique()))
        or "unnamed",
    }
    if about.get("source"):
        facts["Source"] = str(about["source"])
    if about.get("simulated"):
        facts["Clinical, reader"] = (
            "a simulated reader, who knows which bright spots are coronary: no false positive can "
            "be held against it"
        )
    return facts


def _masses_mg(scans: pd.DataFrame) -> pd.DataFrame:
    """True and measured mass of each simulated scan with calcium, in mg."""
    known = scans[scans["mass_mg"] > 0]
    return pd.DataFrame(
        {
            "truth_mg": known["mass_mg"],
            **{f"{m}_mg": physical_mg(known[f"{m}_mass"].to_numpy(float), known) for m in METHODS},
        }
    )


def _tried(scans: pd.DataFrame) -> list[dict[str, Any]]:
    """The best settings that the weights' validation tried, if they came with them, best first."""
    names = scans["weights"].dropna().unique()
    if len(names) != 1:
        return []
    try:
        file = weights_folder(str(names[0])) / "validation.csv"
    except InputError:
        return []
    if not file.is_file():
        return []
    tried = pd.read_csv(file)
    judged = ["f1", "relative_difference_both_positive"]
    tried = tried.sort_values(["chosen", *judged], ascending=[False, False, True])
    columns = [*tried.columns[: list(tried.columns).index("sensitivity")], *judged]
    return tried[columns].head(SETTINGS_SHOWN).to_dict("records")  # type: ignore[return-value]


def _with_calcium(study: Path, evidence: Evidence) -> Iterator[ScoredScan]:
    """Scans that show calcium or are said to, with their images, as many as are looked at."""
    scans = evidence.scans
    score = scans[[f"{m}_mass" for m in METHODS]].max(axis=1)
    wanted = scans[(score > 0) | (scans.get("visible", False) == True)]  # noqa: E712  (may hold NaN)
    for row in islice(wanted.itertuples(), SCANS_LOOKED_AT):
        path = study / str(row.path)
        images = read_images(study, str(row.scan), path)
        if images is not None:
            yield ScoredScan(path, None, (), {}, {}, name=str(row.scan), **vars(images))


def _known(study: Path, scan: str) -> Volume | None:
    """Where calcium is known to be: the simulation's, or what a reader painted."""
    like = read_image(study / "scores" / f"{scan}.cac_map.nii.gz")
    for folder, least in (("calcium", SHOWN_EXCESS_HU), ("lesion_regions", 1)):
        file = study / folder / f"{scan}.nii.gz"
        if file.is_file():
            image = read_image(file)
            return resample_onto(image.with_array(image.array >= least), like)
    return None
