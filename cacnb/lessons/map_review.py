"""The app that reviews maps, on a copy of a scan and its rescan: no label of a study is touched."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd

from cacnb.files import or_cannot_write, write_atomically
from cacnb.labels.place import DEFAULT_FILE
from cacnb.labels.store import LabelStore
from cacnb.lessons.map_views import map_view
from cacnb.lessons.scored import LessonScan, has_map, scored_scan
from cacnb.lessons.still import Still
from cacnb.lessons.trainings import lesson_folder
from cacnb.results import RESULT_ENDINGS
from cacnb.studies import Study
from cacnb.ui.map_review import MapReview
from cacnb.ui.rescan import rescan_of

#: As whom a lesson reads.
READER = "lesson"


class LessonReview(Still, MapReview):  # type: ignore[misc]  # their bundles differ in arguments
    """The review of maps as the app serves it, with a picture for pages without a kernel.

    Parameters
    ----------
    shown
        The scan that the picture is of.
    study, reader, store
        As `MapReview`.
    """

    def __init__(
        self, shown: LessonScan, study: Path, reader: str, store: LabelStore, **traits: Any
    ) -> None:
        super().__init__(study, reader, store=store, **traits)
        self.shown = shown

    def still(self) -> tuple[bytes, str]:
        """The three images that the review opens with."""
        png, alt = map_view(self.shown).still()
        return png, f"The app that reviews maps. {alt}"


def review_lesson(study: Study, name: str) -> LessonReview:
    """Review a scan's map in the notebook, on a copy below `out/lessons` of the current folder.

    What is accepted, rejected or drawn out is kept in the copy and there alone: the study and its
    label store are not written to.

    Raises
    ------
    InputError
        As `scored_scan`; `cannot_write`.
    """
    shown = scored_scan(study, name)
    cohort = study.cohort.set_index("scan", drop=False)
    scored = [scan for scan in cohort.index if has_map(study, scan)]
    names = [name, rescan_of(cohort, name, scored)]
    copy = _copied(study, cohort.loc[[scan for scan in names if scan is not None]])
    store = LabelStore.open(str(copy / DEFAULT_FILE))
    return LessonReview(shown, copy, READER, store)


def _copied(study: Study, rows: pd.DataFrame) -> Path:
    """A small study of these scans with their results; what is there already stays."""
    copy = lesson_folder(study) / f"review_{rows['scan'].iloc[0]}"
    paths = []
    for row in rows.itertuples():
        source = study.folder / str(row.path)
        ending = "" if source.is_dir() else "".join(source.suffixes)
        paths.append(Path("scans") / f"{row.scan}{ending}")
        _put(source, copy / paths[-1])
        _put(study.folder / "masks" / f"{row.scan}.nii.gz", copy / "masks" / f"{row.scan}.nii.gz")
        for end in RESULT_ENDINGS:
            _put(study.folder / "scores" / f"{row.scan}{end}", copy / "scores" / f"{row.scan}{end}")
    told = f"name = {json.dumps(study.name)}\nsimulated = {str(study.simulated).lower()}\n"
    write_atomically(told, copy / "study.toml")
    table = rows.assign(path=[path.as_posix() for path in paths])
    write_atomically(table.to_csv(index=False), copy / "cohort.csv")
    return copy


def _put(source: Path, target: Path) -> None:
    if not source.exists() or target.exists():
        return
    with or_cannot_write(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            shutil.copy2(source, target)
