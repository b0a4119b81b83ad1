"""The labelling app in a lesson, its labels kept apart from the study's; the app is the app."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cacnb.export.slice_pictures import SOFT_TISSUE_WINDOW_HU
from cacnb.files import or_cannot_write
from cacnb.labels.agreement import labels_by_reader
from cacnb.labels.store import LabelStore
from cacnb.lessons.missing import Missing
from cacnb.lessons.slice_readings import agreement_table
from cacnb.lessons.slice_still import picture_png
from cacnb.lessons.still import Still
from cacnb.lessons.trainings import lesson_folder
from cacnb.reader_agreement import agreement_of
from cacnb.studies import Study
from cacnb.ui.javascript import style
from cacnb.ui.labeller import Labeller

#: Who labels in a lesson, and the file of their labels.
READER, STORE = "you", "labels.sqlite"

#: What a settled label is called in a label store.
WORDS = {0: "no_cac", 1: "cac"}


class LessonLabeller(Still, Labeller):  # type: ignore[misc]
    """`cacnb serve label` in a cell, on a store of its own under `out/lessons`.

    Parameters
    ----------
    study
        Its scans are shown; its labels are neither read nor changed.

    Raises
    ------
    InputError
        As `LabelStore.open`, and `cannot_write`.
    """

    _css = style() + "\n.cacnb-lesson { --cacnb-height: 560px; }\n"

    def __init__(self, study: Study, **traits: Any) -> None:
        folder = lesson_folder(study)
        with or_cannot_write(folder):
            folder.mkdir(parents=True, exist_ok=True)
        self.place: Path = folder / STORE
        super().__init__(study.folder, READER, store=LabelStore.open(self.place), **traits)
        self.add_class("cacnb-lesson")

    def send(self, content: Any, buffers: Any = None) -> None:
        """Open every scan in the soft-tissue window, as a lesson's other pictures."""
        if content.get("picture"):
            opened = {**content["picture"], "window": list(SOFT_TISSUE_WINDOW_HU)}
            content = {**content, "picture": opened}
        super().send(content, buffers)

    def still(self) -> tuple[bytes, str]:
        """The slice in the middle of the first scan that is asked about."""
        session = self.session
        if session is None:
            raise ValueError("a lesson's labeller always has a reader")
        task = session.queue[session.resume()]
        scan = self.study.open(task.scan)
        picture = self.picture_of(task, scan)
        asked = self.slices_to_read(task, scan)
        box = picture.box[0]
        middle = int(np.median(asked)) - (box[0].start if box else 0)
        kind = "simulated " if self.study.simulated else ""
        part = "heart slices" if scan.heart is not None else "slices"
        alt = (
            f"The labelling app, shown by one slice of a {kind}scan. It asks of each of "
            f"{len(asked)} {part}: CAC, no CAC or unsure."
        )
        return picture_png(picture, (middle,), SOFT_TISSUE_WINDOW_HU), alt


def your_agreement(labeller: LessonLabeller, study: Study) -> pd.DataFrame | Missing:
    """How far the labels given in a lesson agree with the study's own.

    Returns
    -------
    DataFrame
        As `agreement_table`, over the slices that both decided.
    """
    current = labeller.store.current(study=labeller.study.key, subject="slice")
    given = labels_by_reader(current).reset_index()
    settled = study.labels
    if settled.empty:
        return Missing("this study has no settled slice label: label it, `cacnb serve label`")
    if given.empty:
        return Missing("no slice is labelled yet: label some above, then run this cell again")
    both = given.merge(settled, on=["scan", "slice"])
    decided = both[both[READER].isin(WORDS.values())]
    pairs = decided.assign(first=decided[READER], second=decided["contains_cac"].map(WORDS))
    found = agreement_of(pairs[["scan", "slice", "first", "second"]], READER, "the study")
    return agreement_table(found, f"{READER} and the study")
