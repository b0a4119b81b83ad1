"""What is to be added to a study, found by headers; it reads no voxel and writes no scan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cacnb.ct.header_reading import Progress
from cacnb.ct.heart_sources import HeartSources, heart_sources, is_mask_series
from cacnb.ct.series import Inspection, Series, find_series
from cacnb.errors import InputError
from cacnb.files import one_at_a_time
from cacnb.labels.place import study_toml
from cacnb.study.cohort import read_cohort
from cacnb.study.pseudonyms import Pseudonyms, open_pseudonyms

#: File of a study that a call holds while it makes the key or adds scans.
LOCK = ".adding.lock"


@dataclass(frozen=True)
class Adding:
    """What is to be added to a study, found and not yet read.

    `number` of a series is its place, from 1, in `cacnb inspect` of the same paths.
    """

    study: Path
    paths: tuple[Path, ...]
    found: Inspection
    hearts: HeartSources
    pseudonyms: Pseudonyms
    structure: str | None = None
    set_name: str | None = None
    keep_dicom: bool = False

    def scans(self) -> list[tuple[int, Series]]:
        """The series that may be scans, with their numbers: all but masks and plans."""
        return [(n, s) for n, s in enumerate(self.found.series, start=1) if not is_mask_series(s)]

    def given(self, path: Path) -> str:
        """The part of a path that the user typed."""
        typed = [one for one in self.paths if one == path or one in path.parents]
        return str(max(typed, key=lambda one: len(one.parts), default="elsewhere"))


def plan_adding(
    study: Path,
    paths: Sequence[Path],
    *,
    heart: Path | None = None,
    structure: str | None = None,
    set_name: str | None = None,
    keep_dicom: bool = False,
    key_file: Path | None = None,
    on_progress: Progress | None = None,
) -> Adding:
    """Find what is below the paths, and open the study's key.

    `on_progress` is called as `find_series` calls it.

    Raises
    ------
    InputError
        `no_study`, `simulated_study`, `missing`, and as `open_pseudonyms`, `heart_sources`,
        `read_cohort`.
    """
    if not (study / "study.toml").is_file():
        raise InputError(
            "no_study", f"{study} is no study: make one with `cacnb study new {study} --name NAME`"
        )
    if study_toml(study).get("simulated"):
        raise InputError(
            "simulated_study",
            f"{study} is a simulated study, one of scans was wanted: its numbers are called "
            "simulated; make a study of its own for these scans",
        )
    for path in paths:
        if not path.exists():
            raise InputError("missing", f"{path} does not exist: check the path")
    if (study / "cohort.csv").is_file():
        read_cohort(study)  # a broken one is told before anything is done
    found = find_series(paths, on_progress)
    hearts = heart_sources(found, heart)
    with one_at_a_time(study / LOCK):  # of two first calls one makes the key
        pseudonyms = open_pseudonyms(study, key_file)
    return Adding(study, tuple(paths), found, hearts, pseudonyms, structure, set_name, keep_dicom)
