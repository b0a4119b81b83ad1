"""A study's scored scans as a lesson shows them: images, lesions, scores; read from its files."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cacnb.ct.volume import Volume
from cacnb.errors import InputError
from cacnb.export.slice_pictures import healthy_hu
from cacnb.results import RESULT_ENDINGS, read_images
from cacnb.scoring.clinical import CLINICAL_COLUMNS
from cacnb.scoring.proposed import PROPOSED_COLUMNS

if TYPE_CHECKING:
    from cacnb.studies import Study

#: A result file's scores, as a table of both methods shows them.
SCORES = {
    "Agatston score": ("agatston_adjusted", "agatston"),
    "pseudo-mass (HU·mm³)": ("pseudo_mass_hu_mm3", "pseudo_mass_hu_mm3"),
    "volume (mm³)": ("volume_mm3", "volume_mm3"),
    "risk category": ("risk_category", "risk_category"),
}


@dataclass(frozen=True, eq=False)
class LessonScan:
    """A scored scan.

    `image`, `heart` (bool), `cac_map`, `healthy` (the scan less the map) and `counted` (bool, what
    the clinical score counts) stand on one grid: the scan's in-plane, slices 1.5 mm apart, in HU.
    `probability_of_cac` is one number a slice of it, NaN off the heart. `lesions` are the map's,
    `clinical_lesions` the clinical score's. `scores` has a row a method.
    """

    name: str
    simulated: bool
    image: Volume
    heart: Volume
    cac_map: Volume
    healthy: Volume
    counted: Volume
    probability_of_cac: NDArray[np.float32]
    lesions: pd.DataFrame
    clinical_lesions: pd.DataFrame
    scores: pd.DataFrame

    @property
    def title(self) -> str:
        """Its name, and that it is simulated where it is."""
        return f"{self.name} (simulated)" if self.simulated else self.name


def score_study(study: Study) -> pd.DataFrame:
    """Score what of a study is not scored yet, one scan after the other, and give its scores.

    It takes seconds a scan and can be stopped: what is scored stays. Where every scan has its
    result nothing is done, whatever weights made them.

    Returns
    -------
    DataFrame
        `Study.scores`.

    Raises
    ------
    InputError
        `other_weights` where some scans are scored already, and not by the packaged weights; and
        as `plan_run` and `run_study`.
    """
    if any(not _has_ended(study.folder, scan) for scan in study.cohort["scan"].astype(str)):
        _score_the_rest(study)
    return study.scores


def _score_the_rest(study: Study) -> None:
    from cacnb.running.engines import Here  # here alone torch is needed
    from cacnb.running.study_run import plan_run, run_study

    plan = plan_run(study.folder)
    if plan.other_weights:
        raise InputError(
            "other_weights",
            f"{len(plan.other_weights)} scans of this study are scored by other weights than the "
            "packaged ones: score the others by the same, "
            "`cacnb run --study DIR --weights NAME`",
        )
    for _ in run_study(plan, Here()):
        pass


def _has_ended(folder: Path, scan: str) -> bool:
    return any((folder / "scores" / part / f"{scan}.json").is_file() for part in ("", "failed"))


def has_map(study: Study, name: str) -> bool:
    """Whether a scan is scored and all its images are there."""
    return all((study.folder / "scores" / f"{name}{end}").is_file() for end in RESULT_ENDINGS)


def scored_scan(study: Study, name: str) -> LessonScan:
    """A scored scan with its images and tables, read from the study's `scores` folder.

    Raises
    ------
    InputError
        `missing` for a scan that the study does not have, `not_scored` where there is no result
        of it, and as `read_images`.
    """
    rows = study.cohort.set_index("scan")
    if name not in rows.index:
        raise InputError("missing", f"the study has no scan {name!r}: see its table `cohort`")
    found = read_images(study.folder, name, study.folder / str(rows.loc[name, "path"]))
    if found is None:
        raise InputError("not_scored", _why_not_scored(study.folder, name))
    told = _result(study.folder, name)
    return LessonScan(
        name=name,
        simulated=study.simulated,
        image=found.image,
        heart=found.heart,
        cac_map=found.cac_map,
        healthy=found.image.with_array(healthy_hu(found.image, found.cac_map)),
        counted=found.clinical_labels.with_array(found.clinical_labels.array > 0),
        probability_of_cac=np.array(told["probability_of_cac"], dtype=np.float32),
        lesions=_table(told["lesions"], PROPOSED_COLUMNS),
        clinical_lesions=_table(told["clinical"]["lesions"], (*CLINICAL_COLUMNS, "artery")),
        scores=pd.DataFrame(
            {
                "proposed": [told["proposed"][of] for of, _ in SCORES.values()],
                "clinical": [told["clinical"][of] for _, of in SCORES.values()],
            },
            index=list(SCORES),
        ).T.infer_objects(),
    )


def clearest_scan(study: Study) -> str:
    """The scored scan to look at first: both methods count calcium, and two lesions stand out.

    That is the scan whose second largest lesion has most pseudo-mass, among those where the
    clinical score finds calcium too; where none is such, among all.

    Raises
    ------
    InputError
        `not_scored` where no scan of the study has a map.
    """
    shown = []
    for at, name in enumerate(study.cohort["scan"].astype(str)):
        if has_map(study, name):
            told = _result(study.folder, name)
            masses = sorted((lesion["pseudo_mass_hu_mm3"] for lesion in told["lesions"]), key=float)
            both = bool(masses) and told["clinical"]["pseudo_mass_hu_mm3"] > 0
            shown.append((both, [0.0, 0.0, *masses][-2], sum(masses), -at, name))
    if not shown:
        raise InputError(
            "not_scored",
            "no scan of this study has a CAC map: run `score_study(study)`, or "
            "`cacnb run --study DIR` in a shell; refused scans have no map",
        )
    return str(max(shown)[-1])


def _result(folder: Path, name: str) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(
        (folder / "scores" / f"{name}.json").read_text(encoding="utf-8")
    )
    return told


def _why_not_scored(folder: Path, name: str) -> str:
    told = _result(folder, name) if (folder / "scores" / f"{name}.json").is_file() else {}
    if told.get("verdict") == "refused":
        return f"scan {name!r} was refused: {told['reasons'][-1]['message']}"
    return (
        f"scan {name!r} is not scored: run `score_study(study)`, or `cacnb run --study DIR` in a "
        "shell"
    )


def _table(rows: list[dict[str, Any]], columns: tuple[str, ...]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(columns))
