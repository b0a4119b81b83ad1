"""Review maps: is each lesion of a CAC map calcium, and whose? The scores follow at once."""

from __future__ import annotations

from collections import OrderedDict
from functools import cached_property
from typing import Any

import numpy as np

from cacnb.errors import InputError
from cacnb.labels.queue import Task, queue_of
from cacnb.labels.session import ReadingSession
from cacnb.results import RESULT_ENDINGS
from cacnb.scoring.reviewed import ReviewedMap
from cacnb.study.change import judge_change
from cacnb.ui.javascript import module
from cacnb.ui.picture import Box, Pane, Picture, heart_box
from cacnb.ui.reading_room import HEART_MARGIN_MM, ReadingRoom
from cacnb.ui.reading_study import OpenScan
from cacnb.ui.rescan import repeat_without, rescan_of
from cacnb.ui.review_board import (
    Board,
    Said,
    after_review,
    apart,
    clinical_row,
    heart_centre,
    lesion_rows,
    open_board,
    said_of,
    score_row,
    stack_of,
)
from cacnb.ui.view_3d import Scene, scene, show_scene

#: Boards kept: the scan that is reviewed, its rescan, the next scan and its rescan.
KEPT_BOARDS = 4


class MapReview(ReadingRoom):
    """Accept, reject, re-assign or clean the lesions of each CAC map. Arguments as `ReadingRoom`.

    The queue holds the scans that are scored. All is shown on the map's grid, and a slice in an
    event of this app is one of that grid: of the scan's own in-plane, 1.5 mm apart.

    Raises
    ------
    InputError
        `not_scored` when a reader begins and no scan of the study is.
    """

    _esm = module("map_review")
    app = "review"

    def __init__(self, *args: Any, **traits: Any) -> None:
        traits.setdefault("title", "Review maps")
        self._boards: OrderedDict[str, Board] = OrderedDict()
        self._reviews: dict[str, tuple[Said, ReviewedMap]] = {}
        self._statements: dict[str, str] = {}
        self._task: Task | None = None
        self._told_of: tuple[Task, bool, Said] | None = None
        self._viewer: Any = None
        self.comparing = False
        super().__init__(*args, **traits)

    # ---- what is reviewed

    @cached_property
    def scored(self) -> list[str]:
        """Names of the scans with scores and all their images."""
        folder = self.study.folder / "scores"
        return [
            scan
            for scan in self.study.scans
            if all((folder / f"{scan}{ending}").is_file() for ending in RESULT_ENDINGS)
        ]

    def queue_for(self, reader: str) -> tuple[Task, ...]:
        """The scored scans."""
        plan = self.plan.queue
        scored = self.scored
        if not scored:
            raise InputError(
                "not_scored",
                "no scan of this study is scored: run `cacnb run --study DIR` first",
            )
        return queue_of(
            scored, reader, plan, self.study.uncertainty() if plan.least_sure_first else None
        )

    def slices_to_read(self, task: Task, scan: OpenScan) -> list[int]:
        """The heart's slices of the map's grid."""
        del scan
        heart = self._board(task.scan).heart.array
        return [int(z) for z in np.flatnonzero(heart.any(axis=(1, 2)))][::-1] or [0]

    def picture_of(self, task: Task, scan: OpenScan) -> Picture:
        """Scan, map over scan, healthy image; or scan and map of this scan and of the rescan."""
        del scan
        board = self._board(task.scan)
        rescan = self._rescan(task)
        if rescan is None or not self.comparing:
            panes = (
                Pane(0, "scan", ("clinical",), "Scan"),
                Pane(0, "scan", ("map",), "CAC map over scan"),
                Pane(0, "healthy", (), "Healthy image: scan less map"),
            )
            return Picture((stack_of(board),), panes, (self._box(board),))
        other = self._board(rescan)
        self._statement(task.scan, rescan)  # takes a second: here it keeps nobody waiting
        rows = tuple(
            Pane(i, "scan", layers, title)
            for i, of in enumerate(("scan", "rescan"))
            for layers, title in (
                (("clinical",), of.capitalize()),
                (("map",), f"CAC map over {of}"),
            )
        )
        stacks = (stack_of(board), stack_of(other))
        return Picture(stacks, rows, (self._box(board), self._box(other)))

    def on_scan(self, session: ReadingSession, task: Task, scan: OpenScan) -> None:
        """Review this scan from now on."""
        del session, scan
        self._task = task

    # ---- messages

    def hear_reader(self, session: ReadingSession, kind: str, content: dict[str, Any]) -> None:
        """Answer "view_3d" and "close_3d"; "open" may say whether the rescan stands beside."""
        if kind == "view_3d" and self._task is not None:
            self._show_3d(session, self._task, int(content.get("height_px", 560)))
        elif kind == "close_3d":
            self._close_3d()
        else:
            if kind == "open":
                self.comparing = bool(content.get("compare", self.comparing))
            super().hear_reader(session, kind, content)

    def after_events(self, session: ReadingSession) -> None:
        """Score again where the review changed."""
        if self._task is not None and self._asked(session, self._task) != self._told_of:
            self.send({"type": "told", "told": self.told(session, self._task)})

    def told(self, session: ReadingSession, task: Task) -> dict[str, Any]:
        """Lesions and scores as found, after the review, clinical, and beside the rescan."""
        self._told_of = self._asked(session, task)
        said = self._told_of[2]
        board = self._board(task.scan)
        after = self._after(task.scan, said)
        rescan = self._rescan(task)
        notes = []
        if said.elsewhere:
            notes.append(f"Answers to an earlier map of this scan, left out: {said.elsewhere}.")
        missing = len(self.study.scans) - len(self.scored)
        if missing:
            notes.append(
                f"{missing} of {len(self.study.scans)} scans are not scored and not in this queue: "
                "run `cacnb run --study DIR`."
            )
        return {
            "map": board.review.map_key,
            "lesions": lesion_rows(board.review, said, after),
            "found": score_row(board.review.scores),
            "reviewed": score_row(after.scores),
            "clinical": clinical_row(board.result["clinical"]),
            "has_rescan": rescan is not None,
            "rescan": None
            if rescan is None or not self.comparing
            else self._beside(session, task, board, after, rescan),
            "notes": notes,
        }

    # ---- the rescan

    def _rescan(self, task: Task) -> str | None:
        return rescan_of(self.study.cohort, task.scan, self.scored)

    def _beside(
        self, session: ReadingSession, task: Task, board: Board, after: ReviewedMap, rescan: str
    ) -> dict[str, Any]:
        """Scores of both scans as found, reviewed and clinical, and what scanning twice does."""
        other = self._board(rescan)
        said_there = self._said(session, Task(rescan, task.reading))
        rows = {
            "Found": (
                board.review.scores.agatston_adjusted,
                other.review.scores.agatston_adjusted,
            ),
            "Reviewed": (
                after.scores.agatston_adjusted,
                self._after(rescan, said_there).scores.agatston_adjusted,
            ),
            "Clinical": (
                board.result["clinical"]["agatston"],
                other.result["clinical"]["agatston"],
            ),
        }
        return {
            "scores": [
                {
                    "says": says,
                    "this_scan": one,
                    "rescan": two,
                    "relative_difference": apart(one, two),
                }
                for says, (one, two) in rows.items()
            ],
            "statement": self._statement(task.scan, rescan),
            "hearts": [heart_centre(board.heart), heart_centre(other.heart)],
        }

    def _statement(self, scan: str, rescan: str) -> str:
        """What the study's other pairs say of the difference as found; empty where they cannot."""
        if scan not in self._statements:
            study = self.study
            repeat = repeat_without(
                study.folder, study.cohort, self.scored, scan,
                name=study.key, simulated=study.simulated,
            )  # fmt: skip
            one, two = (
                self._board(name).review.scores.agatston_adjusted for name in (scan, rescan)
            )
            told = "" if repeat is None else judge_change(one, two, repeat).statement
            self._statements[scan] = told and f"As found: {told}"
        return self._statements[scan]

    # ---- three dimensions

    def _show_3d(self, session: ReadingSession, task: Task, height_px: int) -> None:
        board = self._board(task.scan)
        after = self._after(task.scan, self._said(session, task))

        def work() -> Scene:
            return scene(board.image, board.heart, after.cac_map)

        def show(made: Scene) -> None:
            self._close_3d()
            self._viewer = show_scene(made, height_px)
            self.send({"type": "view_3d", "model": self._viewer.model_id})

        self._soon(work, show)

    def _close_3d(self) -> None:
        if self._viewer is not None:
            for volume in self._viewer.volumes:
                volume.close()
            self._viewer.close()
            self._viewer = None

    # ---- boards

    def _asked(self, session: ReadingSession, task: Task) -> tuple[Task, bool, Said]:
        """All that the numbers on the page depend on."""
        return task, self.comparing, self._said(session, task)

    def _said(self, session: ReadingSession, task: Task) -> Said:
        return said_of(session.history(task).state, self._board(task.scan).review)

    def _after(self, scan: str, said: Said) -> ReviewedMap:
        """The map after a review, scored once for as long as the review stays the same."""
        known = self._reviews.get(scan)
        if known is None or known[0] != said:
            board = self._board(scan)
            self._reviews = {
                name: kept for name, kept in self._reviews.items() if name in self._boards
            }
            self._reviews[scan] = said, after_review(board, said)
        return self._reviews[scan][1]

    def _board(self, scan: str) -> Board:
        if scan not in self._boards:
            path = self.study.folder / str(self.study.cohort.loc[scan, "path"])
            self._boards[scan] = open_board(self.study.folder, scan, path)
        self._boards.move_to_end(scan)
        while len(self._boards) > KEPT_BOARDS:
            self._boards.popitem(last=False)
        return self._boards[scan]

    def _box(self, board: Board) -> Box | None:
        if self.whole:
            return None
        return heart_box(board.heart.array, board.heart.spacing_mm, HEART_MARGIN_MM)

    def _picture_key(self, task: Task) -> str:
        return super()._picture_key(task) + ("/compared" if self.comparing else "")
