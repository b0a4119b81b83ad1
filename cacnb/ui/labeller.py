"""Label slices (Figure 3A): whether each shows coronary calcium, by eye, without a threshold."""

from __future__ import annotations

from typing import Any

from cacnb.ct.grids import resample_onto
from cacnb.ct.reading import read_image
from cacnb.errors import UsageError
from cacnb.labels.agreement import differing
from cacnb.labels.queue import Task, queue_of
from cacnb.labels.session import ReadingSession
from cacnb.reader_agreement import reader_agreement
from cacnb.ui.javascript import module
from cacnb.ui.picture import Layer, Pane, Picture, Stack
from cacnb.ui.reading_room import ReadingRoom
from cacnb.ui.reading_study import OpenScan


class Labeller(ReadingRoom):
    """One key a slice: CAC, no CAC, unsure. Arguments as `ReadingRoom`.

    An adjudicator sees only scans and slices on which two readers differ, and what the two said
    without their names. The CAC map of a scored scan shows on a slice that has its label, never
    before; labels that are given after it was seen are marked.
    """

    _esm = module("labeller")
    app = "label"

    def __init__(self, *args: Any, **traits: Any) -> None:
        traits.setdefault("title", "Label slices")
        self._between: dict[str, dict[int, list[str]]] = {}
        self._agreement: list[str] = []
        super().__init__(*args, **traits)

    def queue_for(self, reader: str) -> tuple[Task, ...]:
        """All scans, or those with slices to adjudicate."""
        if self.plan.role != "adjudication":
            return super().queue_for(reader)
        current = self.store.current(study=self.study.key, subject="slice")
        self._between = differing(current)
        if not self._between:
            raise UsageError(
                "no two readers differ on a slice of this study, two readings were wanted: "
                "there is nothing to adjudicate yet"
            )
        self._agreement = [str(one) for one in reader_agreement(current)]
        return queue_of(sorted(self._between), reader, self.plan.queue)

    def slices_to_read(self, task: Task, scan: OpenScan) -> list[int]:
        """The heart's slices, or those on which two readers differ."""
        if self.plan.role == "adjudication":
            return sorted(self._between[task.scan], reverse=True)
        return super().slices_to_read(task, scan)

    def told(self, session: ReadingSession, task: Task) -> dict[str, Any]:
        """An adjudicator is told what was said of each slice and how readers agree, no names."""
        del session
        if self.plan.role != "adjudication":
            return {}
        return {
            "between": {str(z): said for z, said in self._between[task.scan].items()},
            "agreement": self._agreement,
        }

    def picture_of(self, task: Task, scan: OpenScan) -> Picture:
        """The scan, with the CAC map where it is scored, hidden."""
        layers = {}
        file = self.study.folder / "scores" / f"{task.scan}.cac_map.nii.gz"
        if file.is_file():
            on_scan = resample_onto(read_image(file), scan.volume, fill=0.0)
            layers["map"] = Layer(on_scan, "map", on=False)
        stack = Stack({"scan": scan.volume}, layers)
        return Picture((stack,), (Pane(layers=tuple(layers)),), (self.box_of(scan),))
