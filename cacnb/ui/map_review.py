"""Review maps: is each lesion of a CAC map calcium, and whose? The scores follow at once."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cacnb.ct.heart import centre_of_mass_mm
from cacnb.ct.volume import Volume
from cacnb.errors import InputError
from cacnb.labels.queue import Task, queue_of
from cacnb.labels.runs import decode_runs
from cacnb.labels.session import ReadingSession
from cacnb.results import RESULT_ENDINGS, read_scored
from cacnb.scoring.cac_map import healthy_image
from cacnb.scoring.conventions import convention
from cacnb.scoring.lesions import Indices
from cacnb.scoring.proposed import ProposedScores
from cacnb.scoring.reviewed import MapReview as Review
from cacnb.scoring.reviewed import ReviewedMap, begin_review, reviewed_map
from cacnb.study.change import judge_change
from cacnb.study.relative_difference import pair_differences
from cacnb.ui.javascript import module
from cacnb.ui.picture import BLUE, Box, Layer, Pane, Picture, Stack, heart_box
from cacnb.ui.reading_room import HEART_MARGIN_MM, ReadingRoom
from cacnb.ui.reading_study import OpenScan
from cacnb.ui.rescan import repeat_without, rescan_of
from cacnb.ui.view_3d import Scene, scene, show_scene

#: Boards kept: the scan that is reviewed, its rescan, the next scan and its rescan.
KEPT_BOARDS = 4
#: A lesion of the results' table is the map's where their centres lie this close.
SAME_LESION_MM = 1.0

#: What of the parts of a lesion is added up, and of what the largest is told.
SUMMED = ("agatston_adjusted", "pseudo_mass_hu_mm3", "volume_mm3")
PEAKS = ("peak_hu", "peak_map_hu")

State = Mapping[tuple[str, int | None, str], str]


@dataclass(frozen=True, eq=False)
class _Board:
    """A scored scan to review: images on the map's grid, the map's lesions, its results as told."""

    image: Volume
    heart: Volume
    clinical: Volume
    review: Review
    result: dict[str, Any]


@dataclass(frozen=True)
class _Said:
    """What a reader said of one map; `elsewhere` counts what they said of an earlier map of it."""

    verdicts: dict[str, str]
    places: dict[str, str]
    noise: dict[int, str]
    elsewhere: int


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
        self._boards: OrderedDict[str, _Board] = OrderedDict()
        self._reviews: dict[str, tuple[_Said, ReviewedMap]] = {}
        self._statements: dict[str, str] = {}
        self._task: Task | None = None
        self._told_of: tuple[Task, bool, _Said] | None = None
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
            return Picture((_stack(board),), panes, (self._box(board),))
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
        stacks = (_stack(board), _stack(other))
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
            "lesions": _lesions(board.review, said, after),
            "found": _scores(board.review.scores),
            "reviewed": _scores(after.scores),
            "clinical": _clinical(board.result["clinical"]),
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
        self, session: ReadingSession, task: Task, board: _Board, after: ReviewedMap, rescan: str
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
                    "relative_difference": _apart(one, two),
                }
                for says, (one, two) in rows.items()
            ],
            "statement": self._statement(task.scan, rescan),
            "hearts": [_heart_centre(board.heart), _heart_centre(other.heart)],
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

    def _asked(self, session: ReadingSession, task: Task) -> tuple[Task, bool, _Said]:
        """All that the numbers on the page depend on."""
        return task, self.comparing, self._said(session, task)

    def _said(self, session: ReadingSession, task: Task) -> _Said:
        return _said(session.history(task).state, self._board(task.scan).review)

    def _after(self, scan: str, said: _Said) -> ReviewedMap:
        """The map after a review, scored once for as long as the review stays the same."""
        known = self._reviews.get(scan)
        if known is None or known[0] != said:
            board = self._board(scan)
            self._reviews = {
                name: kept for name, kept in self._reviews.items() if name in self._boards
            }
            self._reviews[scan] = said, _reviewed(board, said)
        return self._reviews[scan][1]

    def _board(self, scan: str) -> _Board:
        if scan not in self._boards:
            self._boards[scan] = self._new_board(scan)
        self._boards.move_to_end(scan)
        while len(self._boards) > KEPT_BOARDS:
            self._boards.popitem(last=False)
        return self._boards[scan]

    def _new_board(self, scan: str) -> _Board:
        path = self.study.folder / str(self.study.cohort.loc[scan, "path"])
        found = read_scored(self.study.folder, scan, path)
        if (
            found is None
            or found.image is None
            or found.cac_map is None
            or found.heart is None
            or found.clinical_labels is None
        ):
            raise InputError(
                "not_scored",
                "this scan is not scored: run `cacnb run --study DIR`; go on with the next scan",
            )
        file = self.study.folder / "scores" / f"{scan}.json"
        result = json.loads(file.read_text(encoding="utf-8"))
        review = begin_review(
            found.cac_map, found.image, artery_of=_arteries_of(found.cac_map, result["lesions"])
        )
        return _Board(found.image, found.heart, found.clinical_labels, review, result)

    def _box(self, board: _Board) -> Box | None:
        if self.whole:
            return None
        return heart_box(board.heart.array, board.heart.spacing_mm, HEART_MARGIN_MM)

    def _picture_key(self, task: Task) -> str:
        return super()._picture_key(task) + ("/compared" if self.comparing else "")


def _stack(board: _Board) -> Stack:
    cac_map = board.review.cac_map
    layers = {
        "map": Layer(cac_map, "map"),
        "lesions": Layer(board.review.scores.lesion_labels, "map", on=False),
        "clinical": Layer(
            board.clinical.with_array(board.clinical.array.astype(np.uint8)),
            "labels", {1: BLUE}, on=False,
        ),
    }  # fmt: skip
    # Equation 1 clips to the network's window; where the map is 0 the scan's own value stays, so
    # that lungs and fat look as they do beside it.
    healthy = healthy_image(board.image, cac_map).array
    shown = np.where(cac_map.array > 0, healthy, board.image.array)
    return Stack({"scan": board.image, "healthy": board.image.with_array(shown)}, layers)


def _arteries_of(cac_map: Volume, lesions: list[dict[str, Any]]) -> Any:
    """The artery that the results' table names for a lesion given by its voxels (n, 3)."""
    centres = np.array([[row[f"{axis}_mm"] for axis in "zyx"] for row in lesions]).reshape(-1, 3)

    def artery_of(voxels: Indices) -> str | None:
        if not len(centres):
            return None
        centre = np.asarray(cac_map.to_mm(tuple(voxels.mean(axis=0))))
        far = np.linalg.norm(centres - centre, axis=1)
        nearest = int(np.argmin(far))
        return lesions[nearest]["artery"] if far[nearest] <= SAME_LESION_MM else None

    return artery_of


def _said(state: State, review: Review) -> _Said:
    verdicts: dict[str, str] = {}
    places: dict[str, str] = {}
    noise: dict[int, str] = {}
    elsewhere = 0
    for (subject, z, item), value in state.items():
        if subject not in ("verdict", "lesion", "noise"):
            continue
        if subject == "noise" and item == review.map_key and z is not None:
            noise[z] = value
        elif subject != "noise" and item in review.keys:
            (verdicts if subject == "verdict" else places)[item] = value
        else:
            elsewhere += 1
    return _Said(verdicts, places, noise, elsewhere)


def _reviewed(board: _Board, said: _Said) -> ReviewedMap:
    _, height, width = board.review.cac_map.shape
    noise: dict[int, NDArray[np.bool_]] = {
        z: decode_runs(runs, (height, width)) for z, runs in said.noise.items()
    }
    return reviewed_map(board.review, said.verdicts, said.places, noise)


def _lesions(review: Review, said: _Said, after: ReviewedMap) -> list[dict[str, Any]]:
    """Each lesion that was found, with its numbers after the review where it still counts."""
    left: dict[str, list[dict[Any, Any]]] = {}
    for key, row in zip(after.keys, after.scores.lesions.to_dict(orient="records"), strict=True):
        left.setdefault(key, []).append(row)
    rows = []
    for key, row in zip(review.keys, review.scores.lesions.to_dict(orient="records"), strict=True):
        parts = left.get(key, [row])
        rows.append(
            {
                "key": key,
                "artery_found": row["artery"],
                "too_small": key not in left and said.verdicts.get(key) != "reject",
                **{name: float(sum(part[name] for part in parts)) for name in SUMMED},
                **{name: float(max(part[name] for part in parts)) for name in PEAKS},
            }
        )
    return rows


def _scores(scores: ProposedScores) -> dict[str, Any]:
    return {
        "agatston": scores.agatston_adjusted,
        "pseudo_mass_hu_mm3": scores.pseudo_mass_hu_mm3,
        "volume_mm3": scores.volume_mm3,
        "risk_category": scores.risk_category,
    }


def _clinical(told: Mapping[str, Any]) -> dict[str, Any]:
    named = convention(str(told["convention"]))
    sign = ">" if named.strictly_above else "≥"
    wanted = ("agatston", "pseudo_mass_hu_mm3", "volume_mm3", "risk_category")
    rule = f"convention {named.name}, voxels {sign} {told['threshold_hu']:g} HU"
    return {**{name: told[name] for name in wanted}, "rule": rule}


def _apart(one: float | None, two: float | None) -> float | None:
    """|a − b| / mean; None for two zeros, or without a score."""
    if one is None or two is None or one == two == 0:
        return None
    return float(pair_differences([one], [two])[0])


def _heart_centre(heart: Volume) -> list[float]:
    """Voxel (z, y, x) at the heart's centre."""
    centre = np.subtract(centre_of_mass_mm(heart), heart.origin_mm) / heart.spacing_mm
    return [float(value) for value in centre]
