"""A CAC map that a reader has reviewed, scored again; it does not know the screen or the store.

What nobody reviewed stays as the method found it. Lesions keep the keys that they had before any
voxel was drawn out, so a verdict on one never moves to another.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cacnb.ct.volume import Volume
from cacnb.errors import InputError
from cacnb.scoring.lesions import SMALLEST_LESION_VOXELS, Indices
from cacnb.scoring.picks import CORONARY_PLACES, PLACES
from cacnb.scoring.proposed import ProposedScores, score_map

Verdict = Literal["accept", "reject"]
VERDICTS: tuple[Verdict, ...] = ("accept", "reject")


@dataclass(frozen=True, eq=False)
class MapReview:
    """A CAC map as the method left it, ready to be reviewed.

    Parameters
    ----------
    cac_map, image
        The map that was scored and the scan on its grid, both in HU.
    map_key
        Names this very map (`map-` and 8 digits of its hash): what a reader draws out is stored
        by it, and it begins each lesion's key. Another map of the same scan has another.
    scores
        What the method found, its lesions numbered from 1.
    keys
        The key of each lesion, `map-1a2b3c4d:z,y,x` by its first voxel.
    """

    cac_map: Volume
    image: Volume
    map_key: str
    scores: ProposedScores
    keys: tuple[str, ...]
    smallest_lesion_voxels: int
    smallest_mass_hu_mm3: float
    calibration_mg_per_hu_mm3: float | None


@dataclass(frozen=True, eq=False)
class ReviewedMap:
    """The map as it is after the review, its scores, and for each of their lesions the key.

    A lesion that was drawn apart has its key twice, one that was drawn out or is now too small to
    count has none.
    """

    cac_map: Volume
    scores: ProposedScores
    keys: tuple[str, ...]


def begin_review(
    cac_map: Volume,
    image: Volume,
    *,
    smallest_lesion_voxels: int = SMALLEST_LESION_VOXELS,
    smallest_mass_hu_mm3: float = 0.0,
    calibration_mg_per_hu_mm3: float | None = None,
    artery_of: Callable[[Indices], str | None] | None = None,
) -> MapReview:
    """Score a map as `score_map` does, with the same arguments, and give each lesion its key.

    Raises
    ------
    InputError, UsageError
        As `score_map`.

    Example
    -------
    >>> hu = np.zeros((1, 3, 3), dtype=np.float32)
    >>> hu[0, 1:, 1:] = 90
    >>> scan = Volume(hu, (1.5, 1.0, 1.0))
    >>> begin_review(scan, scan).keys[0].split(":")[1]
    '0,1,1'
    """
    first: list[str] = []

    def note(voxels: Indices) -> str | None:
        first.append(",".join(str(i) for i in voxels[0]))
        return None if artery_of is None else artery_of(voxels)

    scores = score_map(
        cac_map, image, smallest_lesion_voxels=smallest_lesion_voxels,
        smallest_mass_hu_mm3=smallest_mass_hu_mm3,
        calibration_mg_per_hu_mm3=calibration_mg_per_hu_mm3, artery_of=note,
    )  # fmt: skip
    values = np.ascontiguousarray(cac_map.array, dtype="<f4")
    map_key = f"map-{hashlib.sha256(values.data).hexdigest()[:8]}"
    return MapReview(
        cac_map, image, map_key, scores, tuple(f"{map_key}:{voxel}" for voxel in first),
        smallest_lesion_voxels, smallest_mass_hu_mm3, calibration_mg_per_hu_mm3,
    )  # fmt: skip


def reviewed_map(
    review: MapReview,
    verdicts: Mapping[str, str] | None = None,
    places: Mapping[str, str] | None = None,
    noise: Mapping[int, NDArray[np.bool_]] | None = None,
) -> ReviewedMap:
    """The map and its scores after a reader's verdicts, other arteries and drawn-out noise.

    Parameters
    ----------
    verdicts
        Lesion key → `accept` or `reject`; what is accepted or not named stays.
    places
        Lesion key → one of `PLACES`; a lesion given to a place that is not coronary is left out.
    noise
        Slice of the map → its voxels (y, x) that are no calcium.

    Raises
    ------
    InputError
        `other_map` where a key, a slice or a region is not of this map; `bad_verdict`, `bad_place`.

    Example
    -------
    >>> hu = np.zeros((1, 3, 3), dtype=np.float32)
    >>> hu[0, 1:, 1:] = 90
    >>> scan = Volume(hu, (1.5, 1.0, 1.0))
    >>> review = begin_review(scan, scan)
    >>> reviewed_map(review).scores.volume_mm3
    6.0
    >>> reviewed_map(review, verdicts={review.keys[0]: "reject"}).scores.volume_mm3
    0.0
    """
    number = {key: i for i, key in enumerate(review.keys, start=1)}
    _require_known({**(verdicts or {}), **(places or {})}, number)
    _require_one_of("bad_verdict", (verdicts or {}).values(), VERDICTS)
    _require_one_of("bad_place", (places or {}).values(), PLACES)
    artery: list[str | None] = list(review.scores.lesions["artery"])
    left_out = [number[key] for key, verdict in (verdicts or {}).items() if verdict == "reject"]
    for key, place in (places or {}).items():
        if place in CORONARY_PLACES:
            artery[number[key] - 1] = place
        else:
            left_out.append(number[key])

    values = review.cac_map.array.copy()
    labels = review.scores.lesion_labels.array
    spans = review.scores.lesions[["first_slice", "last_slice"]].to_numpy(int)
    for lesion in left_out:
        start, last = spans[lesion - 1]
        values[start : last + 1][labels[start : last + 1] == lesion] = 0
    for z, drawn in (noise or {}).items():
        if not 0 <= z < len(values) or drawn.shape != values.shape[1:]:
            raise InputError(
                "other_map",
                f"noise was drawn on slice {z} of {drawn.shape} pixels, the map has "
                f"{values.shape} voxels: review the map that stands there now",
            )
        values[z][drawn] = 0
    keys: list[str] = []

    def artery_as_reviewed(voxels: Indices) -> str | None:
        lesion = int(labels[tuple(voxels[0])])
        keys.append(review.keys[lesion - 1])
        return artery[lesion - 1]

    reviewed = review.cac_map.with_array(values)
    scores = score_map(
        reviewed, review.image, smallest_lesion_voxels=review.smallest_lesion_voxels,
        smallest_mass_hu_mm3=review.smallest_mass_hu_mm3,
        calibration_mg_per_hu_mm3=review.calibration_mg_per_hu_mm3,
        artery_of=artery_as_reviewed,
    )  # fmt: skip
    return ReviewedMap(reviewed, scores, tuple(keys))


def _require_known(keys: Mapping[str, str], number: Mapping[str, int]) -> None:
    for key in keys:
        if key not in number:
            raise InputError(
                "other_map",
                f"lesion {key} is none of this map's: the scan was scored again since it was "
                "reviewed; review the new map",
            )


def _require_one_of(code: str, values: Iterable[str], allowed: tuple[str, ...]) -> None:
    for value in values:
        if value not in allowed:
            raise InputError(
                code, f"{value!r} came, one of {', '.join(allowed)} was wanted: review it again"
            )
