"""What a study has and what each stage of the work still needs; it does none of it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from shlex import quote
from typing import Any

import pandas as pd

from cacnb.labels.place import study_key, study_toml
from cacnb.studies.annotations import NETWORKS, annotated_scans
from cacnb.study.cohort import read_cohort
from cacnb.study.splits import is_split

#: Scans that a stage names when they are missing.
NAMED = 5


@dataclass(frozen=True)
class Stage:
    """One stage of the work on a study.

    Parameters
    ----------
    name
        The stage, in words.
    done, of
        How many scans (or networks) have it, of how many that need it.
    missing
        The first of those without.
    command
        What fills it; empty where nothing is missing.
    """

    name: str
    done: int
    of: int
    missing: tuple[str, ...] = ()
    command: str = ""

    @property
    def is_done(self) -> bool:
        """Whether nothing is missing."""
        return self.done == self.of and self.of > 0


@dataclass(frozen=True)
class StudyStatus:
    """All stages of a study, in the order of the work."""

    study: str
    simulated: bool
    scans: int
    patients: int
    stages: tuple[Stage, ...]

    @property
    def next_command(self) -> str:
        """The command of the first stage that misses something; empty where none does."""
        return next((one.command for one in self.stages if not one.is_done), "")

    def as_json(self) -> dict[str, Any]:
        """The status as plain values, for scripts."""
        stages = [{**asdict(one), "is_done": one.is_done} for one in self.stages]
        return {**asdict(self), "stages": stages, "next_command": self.next_command}


def study_status(study: Path) -> StudyStatus:
    """What is there and what is missing, stage by stage.

    Raises
    ------
    InputError
        As `read_cohort` and `annotated_scans`.
    """
    cohort = read_cohort(study)
    has = annotated_scans(study, cohort)
    at = quote(str(study))
    needs_regions = has[has["visible"].fillna(False).astype(bool)]
    stages = [
        _stage("scans", has["on_disk"], f"cacnb study add {at} PATH"),
        _pairs(cohort, at),
        _stage("set of each scan", _in_a_set(cohort), f"cacnb study split {at}"),
        _stage("heart masks", has["heart"], f"cacnb study add {at} PATH --heart MASKS"),
        _stage("slice labels", has["labelled"], f"cacnb serve label --study {at}"),
        _stage("lesion regions", needs_regions["regions"], f"cacnb serve paint --study {at}"),
        _stage("clinical lesions", has["clinical"], f"cacnb serve clinical --study {at}"),
        _networks(study, at),
        _stage("scores", has["scored"], f"cacnb run --study {at}"),
    ]
    simulated = bool(study_toml(study).get("simulated", False))
    patients = int(cohort["patient"].nunique())
    return StudyStatus(study_key(study), simulated, len(cohort), patients, tuple(stages))


def _stage(name: str, done: pd.Series, command: str) -> Stage:
    """A stage of scans: `done` by scan."""
    missing = [str(scan) for scan in done.index[~done.to_numpy(bool)]]
    # a study without a scan has nothing to label yet: only the scans themselves are missing
    idle = not missing and (len(done) > 0 or name != "scans")
    return Stage(
        name, len(done) - len(missing), len(done), tuple(missing[:NAMED]), "" if idle else command
    )


def _pairs(cohort: pd.DataFrame, at: str) -> Stage:
    """Patients with two or more scans on a day, and those of them with a pair."""
    day = ["patient", "study_order"] if "study_order" in cohort else ["patient"]
    days = cohort.groupby(day, dropna=False)
    repeated = cohort[days["scan"].transform("size") > 1]
    paired = repeated["pair"].notna() if "pair" in repeated else repeated["scan"].isna()
    has = paired.groupby(repeated["patient"].astype(str)).any()
    return _stage("pairs, by patient", has, f"cacnb study pair {at}")


def _in_a_set(cohort: pd.DataFrame) -> pd.Series:
    by_scan = cohort.set_index(cohort["scan"].astype(str))
    if not is_split(cohort):
        return pd.Series(False, by_scan.index)
    return by_scan["set"].notna()


def _networks(study: Path, at: str) -> Stage:
    """Stages with a run under `runs/`, by the recipes that the runs were begun with."""
    begun = {_stage_of(file) for file in sorted((study / "runs").glob("*/recipe.json"))}
    missing = [name for name in NETWORKS if name not in begun]
    command = f"cacnb train {missing[0]} --study {at} --out {at}/runs/{missing[0]}"
    done = len(NETWORKS) - len(missing)
    return Stage("trained networks", done, len(NETWORKS), tuple(missing), command)


def _stage_of(recipe: Path) -> str:
    try:
        return str(json.loads(recipe.read_text(encoding="utf-8")).get("stage", ""))
    except (ValueError, AttributeError):
        return ""  # a file that is no recipe is no run
