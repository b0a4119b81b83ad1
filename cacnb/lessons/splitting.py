"""A split by patient, tried on a copy of a study's tables, and the leak that is refused."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from cacnb.errors import InputError
from cacnb.files import or_cannot_write
from cacnb.lessons.missing import Missing
from cacnb.lessons.trainings import lesson_folder
from cacnb.studies import Study
from cacnb.studies.splitting import split_study
from cacnb.study.cohort import read_cohort, write_cohort
from cacnb.study.sets import SETS

#: Tables of a study that a split reads.
TABLES = ("study.toml", "cohort.csv", "slice_labels.csv")


@dataclass(frozen=True, eq=False)
class TriedSplit:
    """A split of a copy of the tables; the study itself is as it was.

    `drawn` counts patients by set and kind; `folder` holds the copy.
    """

    folder: Path
    drawn: pd.DataFrame

    @property
    def scans(self) -> pd.DataFrame:
        """Patients and scans of each set."""
        cohort = read_cohort(self.folder)
        by_set = cohort.groupby("set")
        found = pd.DataFrame({"patients": by_set["patient"].nunique(), "scans": by_set.size()})
        found["share of patients"] = (found["patients"] / found["patients"].sum()).round(2)
        return found.reindex([name for name in SETS if name in found.index])

    def with_a_leak(self) -> Missing:
        """What is said when one scan of a patient is moved to another set than the other scan."""
        cohort = read_cohort(self.folder)
        several = cohort[cohort["patient"].duplicated()]
        if several.empty:
            return Missing("no patient of this study has two scans: none can leak")
        at = several.index[0]
        moved = "train" if cohort.loc[at, "set"] == "test" else "test"
        sets = cohort["set"].where(cohort.index != at, moved)
        try:
            write_cohort(self.folder, cohort.assign(set=sets))
        except InputError as error:
            return Missing(str(error))
        return Missing("the moved scan leaks nothing")


def tried_split(study: Study, seed: int = 1) -> TriedSplit:
    """Draw a study's patients into train, val and test on a copy of its tables.

    Raises
    ------
    InputError
        As `split_study`; `cannot_write`.
    """
    folder = lesson_folder(study) / "split"
    with or_cannot_write(folder):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name in TABLES:
            if (study.folder / name).is_file():
                shutil.copy(study.folder / name, folder / name)
    drawn = split_study(folder, seed=seed, replace=True)
    return TriedSplit(folder, drawn)
