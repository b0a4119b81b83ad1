"""Candidates that a reader gave to arteries, scored by a convention; it does not know the screen.

A candidate is picked whole, or only what of it lies within a sphere around the click, where it has
grown together with bone at the threshold or runs from the left main into two arteries. Where picks
overlap, a voxel is the limited one's before the whole one's, the smaller sphere's before the
larger's, and the nearer centre's among equal ones: the same picks in any order make the same mask,
so an undo leaves nothing behind.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cacnb.ct.pixels import AIR_HU
from cacnb.ct.volume import Volume
from cacnb.errors import InputError, UsageError
from cacnb.scoring.candidates import CandidateKey, Candidates
from cacnb.scoring.clinical import score_clinically
from cacnb.scoring.conventions import Convention
from cacnb.scoring.risk import RiskCategory, risk_category

#: Where a lesion may lie; only the coronary places are scored.
CORONARY_PLACES = ("LAD", "LCX", "RCA", "LM")
PLACES = (*CORONARY_PLACES, "aorta", "valve", "bone", "metal", "not_coronary")


@dataclass(frozen=True)
class PlaceScore:
    """Conventional scores of what was picked in one place.

    `agatston` is None where the convention has no density weights, `mass_mg` without a calibration
    factor; `lesions` is how many the convention counts.
    """

    agatston: float | None
    volume_mm3: float
    pseudo_mass_hu_mm3: float
    mass_mg: float | None
    lesions: int


@dataclass(frozen=True)
class PickedScores:
    """A clinical reader's scores: in all and by artery, with the convention's name.

    Parameters
    ----------
    total
        Of all coronary picks at once, as `score_clinically` scores that region.
    by_artery
        Of the picks in each of `CORONARY_PLACES` alone. They sum up to the total, but for a lesion
        that was divided between arteries: its parts may each fall below the smallest size, or take
        another density weight.
    """

    convention: str
    threshold_hu: float
    total: PlaceScore
    by_artery: Mapping[str, PlaceScore]

    @property
    def risk_category(self) -> RiskCategory | None:
        """The category of the total Agatston score, or None where there is no such score."""
        return None if self.total.agatston is None else risk_category(self.total.agatston)

    def as_json(self) -> dict[str, Any]:
        """Plain numbers for a screen or a file."""
        return {
            "convention": self.convention,
            "threshold_hu": self.threshold_hu,
            "risk_category": self.risk_category,
            **vars(self.total),
            "arteries": {artery: dict(vars(score)) for artery, score in self.by_artery.items()},
        }


def picks_of(labels: pd.DataFrame) -> dict[str, str]:
    """Key → place of the picked lesions among one reader's current labels of a scan.

    Rows of other subjects, withdrawn ones (value None) and lesions of a CAC map are passed over.

    Example
    -------
    >>> rows = [("lesion", ">=130:1,2,3", "LAD"), ("lesion", ">=130:4,5,6", None)]
    >>> picks_of(pd.DataFrame(rows, columns=["subject", "item", "value"]))
    {'>=130:1,2,3': 'LAD'}
    """
    rows = labels[(labels["subject"] == "lesion") & labels["value"].notna()]
    return {
        str(item): str(value)
        for item, value in zip(rows["item"], rows["value"], strict=True)
        if str(item).startswith(">")
    }


def threshold_of(picks: Iterable[str]) -> tuple[float, bool] | None:
    """The threshold in HU at which picks were made and whether strictly above; None without any.

    Raises
    ------
    InputError
        `bad_key`; `several_thresholds` where the picks are of more than one: they overlap unseen.

    Example
    -------
    >>> threshold_of([">147:1,2,3"])
    (147.0, True)
    """
    keys = [CandidateKey.of_text(pick) for pick in picks]
    found = sorted({(key.threshold_hu, key.strictly_above) for key in keys})
    if len(found) > 1:
        raise InputError(
            "several_thresholds",
            f"lesions were picked at {' and '.join(f'{hu:g}' for hu, _ in found)} HU, one "
            "threshold was wanted: withdraw the picks of the other",
        )
    return found[0] if found else None


def pick_of_voxel(candidates: Candidates, keys: Sequence[str]) -> NDArray[np.int32]:
    """(n,) which pick each candidate voxel belongs to, from 1 in the order of `keys`; 0 none.

    Raises
    ------
    InputError
        `bad_key`, `other_candidates`.
    """
    whole = np.zeros(len(candidates.first) + 1, dtype=np.int32)
    limited: list[tuple[float, str, CandidateKey, int]] = []
    for number, text in enumerate(keys, start=1):
        key = CandidateKey.of_text(text)
        if key.radius_mm is None:
            whole[candidates.number_of(key)] = number
        else:
            limited.append((key.radius_mm, text, key, number))
    owner = whole[candidates.number]
    if limited:
        held_by = np.full(len(owner), np.inf)
        away = np.full(len(owner), np.inf)
        for radius_mm, _, key, number in sorted(limited, key=lambda one: (-one[0], one[1])):
            found, distance = candidates.reached(key)
            nearer = (radius_mm < held_by[found]) | (distance < away[found])
            found, distance = found[nearer], distance[nearer]
            owner[found], held_by[found], away[found] = number, radius_mm, distance
    return owner


def picked_places(candidates: Candidates, picks: Mapping[str, str]) -> NDArray[np.uint8]:
    """(n,) the place of each candidate voxel: 0 none, else from 1 in the order of `PLACES`.

    Raises
    ------
    InputError
        `bad_place`, and as `pick_of_voxel`.
    """
    for place in picks.values():
        if place not in PLACES:
            raise InputError(
                "bad_place",
                f"a lesion was given to {place!r}, one of {', '.join(PLACES)} was wanted: "
                "pick it again",
            )
    numbers = [0, *(PLACES.index(place) + 1 for place in picks.values())]
    return np.array(numbers, dtype=np.uint8)[pick_of_voxel(candidates, list(picks))]


def place_image(candidates: Candidates, picks: Mapping[str, str]) -> Volume:
    """`picked_places` as a uint8 image on the scan's grid, to be shown over it."""
    image = np.zeros(candidates.grid.shape, dtype=np.uint8)
    image.ravel()[candidates.voxels] = picked_places(candidates, picks)
    return candidates.grid.with_array(image)


def picked_mask(candidates: Candidates, picks: Mapping[str, str]) -> Volume:
    """What was picked in coronary arteries, a bool mask on the scan's grid."""
    image = place_image(candidates, picks)
    return image.with_array((image.array > 0) & (image.array <= len(CORONARY_PLACES)))


def pick_at(
    candidates: Candidates,
    picks: Iterable[str],
    at_zyx: tuple[float, float, float],
    within_mm: float,
) -> str | None:
    """The pick that has the picked voxel nearest to a click (z, y, x in voxels); None without one.

    A click on a limited pick gives that part another artery, not the whole lesion.
    """
    keys = list(picks)
    found, away = candidates.near(at_zyx, within_mm)
    owner = pick_of_voxel(candidates, keys)[found]
    owner, away = owner[owner > 0], away[owner > 0]
    return keys[owner[np.argmin(away)] - 1] if len(owner) else None


def score_picks(
    candidates: Candidates,
    picks: Mapping[str, str],
    convention: Convention,
    *,
    slice_thickness_mm: float | None = None,
    calibration_mg_per_hu_mm3: float | None = None,
) -> PickedScores:
    """Score what a reader picked, at the candidates' threshold.

    Parameters
    ----------
    picks
        Key → place, from `lesion_at`, `limited_key` or `picks_of`.
    slice_thickness_mm, calibration_mg_per_hu_mm3
        As in `score_clinically`.

    Raises
    ------
    InputError
        As `picked_places`.
    UsageError
        Where the convention takes voxels at the threshold and the candidates do not, or the other
        way; as `score_clinically`.

    Example
    -------
    >>> from cacnb.scoring.candidates import candidate_lesions
    >>> from cacnb.scoring.conventions import convention
    >>> hu = np.array([[[250, 250, 250, 0, 410, 410]] * 2], dtype=np.float32)
    >>> found = candidate_lesions(Volume(hu, (3.0, 0.5, 0.5)), 130)
    >>> picks = {found.key(1): "LAD", found.key(2): "bone"}
    >>> scores = score_picks(found, picks, convention())
    >>> scores.total.agatston, scores.by_artery["LAD"].agatston, scores.risk_category
    (3.0, 3.0, 'I')
    """
    if convention.strictly_above != candidates.strictly_above:
        wanted = "above the threshold only" if convention.strictly_above else "at the threshold too"
        raise UsageError(
            f"convention {convention.name} counts voxels {wanted}, the candidates were found "
            "otherwise: find them again for this convention"
        )
    places = picked_places(candidates, picks)

    def score(chosen: NDArray[np.bool_]) -> PlaceScore:
        packed = _Packed.of(candidates, chosen)
        scores = score_clinically(
            packed.volume, packed.region, convention, threshold_hu=candidates.threshold_hu,
            slice_thickness_mm=slice_thickness_mm,
            calibration_mg_per_hu_mm3=calibration_mg_per_hu_mm3,
        )  # fmt: skip
        agatston = None
        if scores.agatston is not None:
            by_lesion = scores.lesions["agatston"].to_numpy(np.float64)
            agatston = float(by_lesion[packed.scan_order(scores.lesion_labels)].sum())
        return PlaceScore(
            agatston, scores.volume_mm3, scores.pseudo_mass_hu_mm3, scores.mass_mg,
            len(scores.lesions),
        )  # fmt: skip

    return PickedScores(
        convention=convention.name,
        threshold_hu=candidates.threshold_hu,
        total=score((places > 0) & (places <= len(CORONARY_PLACES))),
        by_artery={
            artery: score(places == number)
            for number, artery in enumerate(CORONARY_PLACES, start=1)
        },
    )


@dataclass(frozen=True, eq=False)
class _Packed:
    """Chosen voxels, candidate on candidate in a small stack, an empty slice between two of them.

    What is scored is quick to label, and each lesion's score is the same to the last bit: what
    touched touches, and what lay in one slice of a candidate still does. `place` is where in the
    scan each voxel comes from.
    """

    volume: Volume
    region: Volume
    place: NDArray[np.intp]

    @classmethod
    def of(cls, candidates: Candidates, chosen: NDArray[np.bool_]) -> _Packed:
        which = np.flatnonzero(chosen)
        which = which[np.argsort(candidates.number[which], kind="stable")]
        index, number = candidates.index(which), candidates.number[which]
        shape = np.ones(3, dtype=np.intp)
        if len(which):
            starts = np.flatnonzero(np.diff(number, prepend=0))
            group = np.cumsum(np.diff(number, prepend=number[0]) > 0)
            low = np.minimum.reduceat(index, starts)
            size = np.maximum.reduceat(index, starts) - low + 1
            index -= low[group]
            index[:, 0] += (np.cumsum(size[:, 0] + 1) - size[:, 0] - 1)[group]
            shape = index.max(axis=0) + 1
        at = tuple(index.T)
        hu = np.full(shape, AIR_HU, dtype=candidates.hu.dtype)
        region = np.zeros(shape, dtype=bool)
        place = np.zeros(shape, dtype=np.intp)
        hu[at], region[at], place[at] = candidates.hu[which], True, candidates.voxels[which]
        spacing = candidates.grid.spacing_mm
        return cls(Volume(hu, spacing), Volume(region, spacing), place)

    def scan_order(self, lesions: Volume) -> NDArray[np.intp]:
        """The order of lesions by their first voxels in the scan, in which a score adds them up."""
        numbers, first = np.unique(lesions.array, return_index=True)
        return np.argsort(self.place.ravel()[first[numbers > 0]])
