"""A scored scan laid out to be reviewed, and what a reader said of its map; it knows no page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cacnb.ct.heart import centre_of_mass_mm
from cacnb.ct.volume import Volume
from cacnb.errors import InputError
from cacnb.labels.runs import decode_runs
from cacnb.results import read_images
from cacnb.scoring.cac_map import healthy_image
from cacnb.scoring.conventions import convention
from cacnb.scoring.lesions import Indices
from cacnb.scoring.proposed import ProposedScores
from cacnb.scoring.reviewed import MapReview as Review
from cacnb.scoring.reviewed import ReviewedMap, begin_review, reviewed_map
from cacnb.study.relative_difference import pair_differences
from cacnb.ui.picture import BLUE, Layer, Stack

#: A lesion of the results' table is the map's where their centres lie this close.
SAME_LESION_MM = 1.0

#: What of the parts of a lesion is added up, and of what the largest is told.
SUMMED = ("agatston_adjusted", "pseudo_mass_hu_mm3", "volume_mm3")
PEAKS = ("peak_hu", "peak_map_hu")

State = Mapping[tuple[str, int | None, str], str]


@dataclass(frozen=True, eq=False)
class Board:
    """A scored scan to review: images on the map's grid, the map's lesions, its results as told."""

    image: Volume
    heart: Volume
    clinical: Volume
    review: Review
    result: dict[str, Any]


@dataclass(frozen=True)
class Said:
    """What a reader said of one map; `elsewhere` counts what they said of an earlier map of it."""

    verdicts: dict[str, str]
    places: dict[str, str]
    noise: dict[int, str]
    elsewhere: int


def open_board(folder: Path, scan: str, path: Path) -> Board:
    """Read a scored scan of a study folder from its results; `path` is the scan's.

    Raises
    ------
    InputError
        `not_scored` where results or images are missing, and as `read_images`.
    """
    found = read_images(folder, scan, path)
    if found is None:
        raise InputError(
            "not_scored",
            "this scan is not scored: run `cacnb run --study DIR`; go on with the next scan",
        )
    file = folder / "scores" / f"{scan}.json"
    result = json.loads(file.read_text(encoding="utf-8"))
    review = begin_review(
        found.cac_map, found.image, artery_of=_arteries_of(found.cac_map, result["lesions"])
    )
    return Board(found.image, found.heart, found.clinical_labels, review, result)


def stack_of(board: Board) -> Stack:
    """Scan and healthy image, under the map, its lesions' numbers and the clinical voxels."""
    cac_map = board.review.cac_map
    layers = {
        "map": Layer(cac_map, "map"),
        "lesions": Layer(board.review.scores.lesion_labels, "map", on=False),
        "clinical": Layer(
            board.clinical.with_array(board.clinical.array.astype(np.uint8)),
            "labels", {1: BLUE}, on=False,
        ),
    }  # fmt: skip
    # The method clips to the network's window; where the map is 0 the scan's own value stays, so
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


def said_of(state: State, review: Review) -> Said:
    """What a reader said of this very map, from all that holds of its scan."""
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
    return Said(verdicts, places, noise, elsewhere)


def after_review(board: Board, said: Said) -> ReviewedMap:
    """The map as a reader's review leaves it, scored; raises as `reviewed_map`."""
    _, height, width = board.review.cac_map.shape
    noise: dict[int, NDArray[np.bool_]] = {
        z: decode_runs(runs, (height, width)) for z, runs in said.noise.items()
    }
    return reviewed_map(board.review, said.verdicts, said.places, noise)


def lesion_rows(review: Review, said: Said, after: ReviewedMap) -> list[dict[str, Any]]:
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


def score_row(scores: ProposedScores) -> dict[str, Any]:
    """Scores of a map as one row of the page's table."""
    return {
        "agatston": scores.agatston_adjusted,
        "pseudo_mass_hu_mm3": scores.pseudo_mass_hu_mm3,
        "volume_mm3": scores.volume_mm3,
        "risk_category": scores.risk_category,
    }


def clinical_row(told: Mapping[str, Any]) -> dict[str, Any]:
    """Clinical scores of the results as such a row, with the rule that they follow."""
    named = convention(str(told["convention"]))
    sign = ">" if named.strictly_above else "≥"
    wanted = ("agatston", "pseudo_mass_hu_mm3", "volume_mm3", "risk_category")
    rule = f"convention {named.name}, voxels {sign} {told['threshold_hu']:g} HU"
    return {**{name: told[name] for name in wanted}, "rule": rule}


def apart(one: float | None, two: float | None) -> float | None:
    """|a − b| / mean; None for two zeros, or without a score."""
    if one is None or two is None or one == two == 0:
        return None
    return float(pair_differences([one], [two])[0])


def heart_centre(heart: Volume) -> list[float]:
    """Voxel (z, y, x) at the heart's centre."""
    centre = np.subtract(centre_of_mass_mm(heart), heart.origin_mm) / heart.spacing_mm
    return [float(value) for value in centre]
