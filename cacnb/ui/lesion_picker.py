"""Score clinically: a reader gives bright lesions to arteries, and sees what that scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from cacnb.labels.queue import Task
from cacnb.labels.session import ReadingSession
from cacnb.scoring.candidates import Candidates, candidate_lesions, lesion_at, limited_key
from cacnb.scoring.conventions import THRESHOLD_HU_BY_KVP, Convention, convention
from cacnb.scoring.picks import (
    PLACES,
    pick_at,
    place_image,
    score_picks,
    threshold_of,
)
from cacnb.ui.javascript import module
from cacnb.ui.picture import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SKY,
    YELLOW,
    Layer,
    Pane,
    Picture,
    Stack,
)
from cacnb.ui.reading_room import ReadingRoom
from cacnb.ui.reading_study import OPEN_SCANS, OpenScan

#: A click this far from a bright voxel still means it.
CLICK_MM = 3.0
#: Colours of `PLACES`: arteries each their own, what is outside them by kind.
PLACE_COLOURS = dict(
    zip(
        range(1, len(PLACES) + 1),
        (ORANGE, SKY, GREEN, YELLOW, PURPLE, PURPLE, GREY, GREY, GREY),
        strict=True,
    )
)
#: Spots smaller than this are noise to the space bar; a click still picks them.
LEAST_STOP_VOXELS = 3


@dataclass(frozen=True, eq=False)
class _Board:
    """What is picked on: a scan's candidates, the part that is shown, where the space bar goes."""

    scan: OpenScan
    candidates: Candidates
    stops: list[list[int]]


class LesionPicker(ReadingRoom):
    """Click a lesion to give it LAD, LCX, RCA, LM, or a place that is not coronary.

    Parameters
    ----------
    convention_name
        Of the scores that are shown; its threshold says what is bright.
    threshold_by_kvp
        The usual threshold at the scan's tube voltage instead, where study and field know one.

    Other arguments as `ReadingRoom`.
    """

    _esm = module("lesion_picker")
    app = "clinical"

    def __init__(
        self,
        *args: Any,
        convention_name: str = "literature",
        threshold_by_kvp: bool = False,
        **traits: Any,
    ) -> None:
        traits.setdefault("title", "Score clinically")
        self.convention: Convention = convention(convention_name)
        self.threshold_by_kvp = threshold_by_kvp
        self._boards: dict[Task, _Board] = {}
        self._task: Task | None = None
        super().__init__(*args, **traits)

    def picture_of(self, task: Task, scan: OpenScan) -> Picture:
        """The scan, what is bright enough in it, and what is picked of that."""
        board = self._board(task, scan)
        bright = np.zeros(scan.volume.shape, np.uint8)
        bright.ravel()[board.candidates.voxels] = 1
        layers = {
            "bright": Layer(scan.volume.with_array(bright), "labels", {1: BLUE}),
            "picked": Layer(scan.volume.with_array(np.zeros_like(bright)), "labels", PLACE_COLOURS),
        }
        stack = Stack({"scan": scan.volume}, layers)
        return Picture((stack,), (Pane(layers=tuple(layers)),), (self.box_of(scan),))

    def on_scan(self, session: ReadingSession, task: Task, scan: OpenScan) -> None:
        """Pick on this scan from now on."""
        del session
        self._board(task, scan)
        self._task = task

    def hear_reader(self, session: ReadingSession, kind: str, content: dict[str, Any]) -> None:
        """Answer "pick": which lesion, or part of one, lies at a voxel."""
        if kind != "pick":
            super().hear_reader(session, kind, content)
            return
        z, y, x = (int(i) for i in content["at"])
        place = content.get("place")
        key = self.key_at(session, (z, y, x), content.get("radius_mm"), withdraw=place is None)
        self.send({"type": "picked", "key": key, "place": place})

    def key_at(
        self,
        session: ReadingSession,
        at_zyx: tuple[int, int, int],
        radius_mm: float | None = None,
        *,
        withdraw: bool = False,
    ) -> str | None:
        """The key of the lesion near a voxel (z, y, x): one picked before, else a new one."""
        if self._task is None:
            return None
        board = self._boards[self._task]
        before = pick_at(board.candidates, self.picks(session), at_zyx, CLICK_MM)
        if withdraw or (before is not None and radius_mm is None):
            return before
        key = lesion_at(board.candidates, at_zyx, CLICK_MM)
        if key is None or radius_mm is None:
            return key
        return limited_key(board.candidates, key, at_zyx, float(radius_mm))

    def picks(self, session: ReadingSession) -> dict[str, str]:
        """Key → place of what this reader has picked on the scan that is shown."""
        if self._task is None:
            return {}
        state = session.history(self._task).state
        return {item: value for (subject, _, item), value in state.items() if subject == "lesion"}

    def after_events(self, session: ReadingSession) -> None:
        """Score again, and show what is picked."""
        if self._task is None:
            return
        board = self._boards[self._task]
        picks = self.picks(session)
        candidates = board.candidates
        scores = score_picks(
            candidates, picks, self.convention,
            slice_thickness_mm=board.scan.series.slice_thickness_mm,
        )  # fmt: skip
        places = place_image(candidates, picks).array
        box = self.box_of(board.scan)
        shown = places if box is None else places[box]
        where = np.flatnonzero(shown).astype("<i4")
        sign = ">" if candidates.strictly_above else "≥"
        told = {
            "scores": scores.as_json(),
            "stops": board.stops,
            "threshold": f"voxels {sign} {candidates.threshold_hu:g} HU",
        }
        values = np.ascontiguousarray(shown).ravel()[where]
        self.send(
            {"type": "told", "told": told, "layer": "picked"}, [where.tobytes(), values.tobytes()]
        )

    def _board(self, task: Task, scan: OpenScan) -> _Board:
        if task not in self._boards:
            self._boards[task] = self._new_board(task, scan)
            while len(self._boards) > OPEN_SCANS:
                oldest = next(one for one in self._boards if one not in (task, self._task))
                del self._boards[oldest]
        return self._boards[task]

    def _new_board(self, task: Task, scan: OpenScan) -> _Board:
        """Candidates at the threshold of what was picked before, else the scan's own."""
        threshold = self.convention.threshold_hu
        if self.threshold_by_kvp and scan.kvp is not None:
            threshold = THRESHOLD_HU_BY_KVP.get(round(scan.kvp), threshold)
        above = self.convention.strictly_above
        if self.session is not None:
            state = self.session.history(task).state
            found = threshold_of(item for (subject, _, item) in state if subject == "lesion")
            threshold, above = found or (threshold, above)
        candidates = candidate_lesions(scan.volume, threshold, strictly_above=above)
        return _Board(scan, candidates, _stops(scan, candidates))


def _stops(scan: OpenScan, candidates: Candidates) -> list[list[int]]:
    """Where the space bar goes: the brightest voxel of each spot in the heart, head first."""
    inside = (
        np.ones(len(candidates.voxels), bool)
        if scan.heart is None
        else scan.heart.array.ravel()[candidates.voxels]
    )
    count = len(candidates.first) + 1
    large = np.bincount(candidates.number, minlength=count) >= LEAST_STOP_VOXELS
    which = np.flatnonzero(inside & large[candidates.number])
    order = which[np.lexsort((-candidates.hu[which], candidates.number[which]))]
    first = order[np.diff(candidates.number[order], prepend=0) > 0]
    return sorted(candidates.index(first).tolist(), reverse=True)
