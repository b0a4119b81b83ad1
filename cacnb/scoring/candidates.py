"""All that may be calcium in a scan, each by a key that can be stored; it does not know a reader.

A candidate is a set of voxels at or above a threshold that touch one another in 3-D (26
neighbours), whatever the convention later counts as a component: a reader points at a thing in
the patient, not at its cut in one slice.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cacnb.ct.volume import Volume
from cacnb.errors import InputError, UsageError
from cacnb.scoring.lesions import Floats, Indices, label_components

Voxel = tuple[int, int, int]

_KEY = re.compile(
    r"(>=?)(\d+(?:\.\d+)?):(\d+),(\d+),(\d+)(?:@(\d+),(\d+),(\d+),(\d+(?:\.\d+)?))?", re.ASCII
)


@dataclass(frozen=True)
class CandidateKey:
    """What a pick is stored by: a candidate, or the part of it within a sphere.

    As text `>=130:z,y,x` or `>=130:z,y,x@z,y,x,r`: the threshold in HU (`>` where the threshold
    itself is no calcium), the candidate's first voxel, and the sphere's centre voxel and radius in
    mm. The threshold is part of the key because another one makes other candidates.

    Example
    -------
    >>> key = CandidateKey.of_text(">=130:4,200,187@5,202,190,7.5")
    >>> key.first, key.centre, key.radius_mm, str(key)
    ((4, 200, 187), (5, 202, 190), 7.5, '>=130:4,200,187@5,202,190,7.5')
    """

    threshold_hu: float
    strictly_above: bool
    first: Voxel
    centre: Voxel | None = None
    radius_mm: float | None = None

    def __str__(self) -> str:
        z, y, x = self.first
        above = ">" if self.strictly_above else ">="
        text = f"{above}{self.threshold_hu:.10g}:{z},{y},{x}"
        if self.centre is None or self.radius_mm is None:
            return text
        z, y, x = self.centre
        return f"{text}@{z},{y},{x},{self.radius_mm:.10g}"

    @classmethod
    def of_text(cls, text: str) -> CandidateKey:
        """The key that a text says; raises InputError `bad_key` where it says none."""
        found = _KEY.fullmatch(text)
        if found is None:
            raise InputError(
                "bad_key",
                "a picked lesion has a malformed key, `>=130:z,y,x` was wanted: take it from the "
                "label store again",
            )
        above, threshold, *numbers = found.groups()
        z, y, x = (int(number) for number in numbers[:3])
        key = cls(float(threshold), above == ">", (z, y, x))
        if numbers[6] is None:
            return key
        z, y, x = (int(number) for number in numbers[3:6])
        return replace(key, centre=(z, y, x), radius_mm=float(numbers[6]))


@dataclass(frozen=True, eq=False)
class Candidates:
    """The candidates of one scan, as the list of their voxels.

    Parameters
    ----------
    grid
        The scan's grid; its values are none and take no memory.
    threshold_hu, strictly_above
        What a voxel had to reach, or to exceed.
    voxels
        (n,) their places in the raveled (z, y, x) array, rising.
    number
        (n,) int32, the candidate of each, numbered from 1 by their first voxels.
    hu
        (n,) the scan there.
    first
        (count,) the first voxel of each candidate, as in `voxels`.
    """

    grid: Volume
    threshold_hu: float
    strictly_above: bool
    voxels: Indices
    number: NDArray[np.int32]
    hu: NDArray[Any]
    first: Indices

    def key(self, number: int) -> str:
        """The key of a candidate by its number from 1."""
        z, y, x = (int(i) for i in np.unravel_index(self.first[number - 1], self.grid.shape))
        return str(CandidateKey(self.threshold_hu, self.strictly_above, (z, y, x)))

    def number_of(self, key: CandidateKey) -> int:
        """The number of a key's candidate.

        Raises
        ------
        InputError
            `other_candidates` where the key is of another threshold or another scan.
        """
        place = -1
        if all(i < n for i, n in zip(key.first, self.grid.shape, strict=True)):
            place = int(np.ravel_multi_index(key.first, self.grid.shape))
        number = int(np.searchsorted(self.first, place))
        same = (key.threshold_hu, key.strictly_above) == (self.threshold_hu, self.strictly_above)
        if not same or number == len(self.first) or self.first[number] != place:
            ours = CandidateKey(self.threshold_hu, self.strictly_above, (0, 0, 0))
            raise InputError(
                "other_candidates",
                f"lesion {key} is none of those at {str(ours).split(':')[0]} HU in this scan: "
                "find the candidates with the threshold that the lesion was picked at",
            )
        return number + 1

    def index(self, which: NDArray[Any] | slice = slice(None)) -> Indices:
        """(n, 3) voxels (z, y, x), all of them or those chosen by a mask or by positions."""
        return np.stack(np.unravel_index(self.voxels[which], self.grid.shape), axis=1)

    def labels(self) -> Volume:
        """The candidates' numbers as an int32 image on the scan's grid."""
        labels = np.zeros(self.grid.shape, dtype=np.int32)
        labels.ravel()[self.voxels] = self.number
        return self.grid.with_array(labels)

    def near(self, at_zyx: tuple[float, float, float], within_mm: float) -> tuple[Indices, Floats]:
        """Which voxels (positions in `voxels`, rising) lie within a sphere, and how far in mm."""
        step = np.asarray(self.grid.spacing_mm)
        at = np.asarray(at_zyx, dtype=np.float64)
        low = np.maximum(np.floor(at - within_mm / step), 0).astype(np.intp)
        high = np.minimum(np.ceil(at + within_mm / step) + 1, self.grid.shape).astype(np.intp)
        if (low >= high).any():
            return np.empty(0, np.intp), np.empty(0)
        index = np.stack(np.meshgrid(*map(np.arange, low, high), indexing="ij"), axis=-1).reshape(
            -1, 3
        )
        away = np.sqrt((((index - at) * step) ** 2).sum(axis=1))
        inside = away <= within_mm
        place = np.ravel_multi_index(tuple(index[inside].T), self.grid.shape)
        found = np.searchsorted(self.voxels, place)
        there = found < len(self.voxels)
        there[there] = self.voxels[found[there]] == place[there]
        return found[there], away[inside][there]

    def reached(self, key: CandidateKey) -> tuple[Indices, Floats]:
        """A limited key's voxels (positions in `voxels`), and how far each is from its centre.

        As region growing on a workstation: what touches the candidate's voxel nearest to the
        centre, without leaving candidate or sphere. Raises InputError as `number_of`.
        """
        number = self.number_of(key)
        if key.centre is None or key.radius_mm is None:
            raise UsageError(f"{key} is a whole candidate, one within a sphere was wanted")
        found, away = self.near(key.centre, key.radius_mm)
        own = self.number[found] == number
        found, away = found[own], away[own]
        if not len(found):
            return found, away
        index = self.index(found)
        index -= index.min(axis=0)
        box = np.zeros(index.max(axis=0) + 1, dtype=bool)
        box[tuple(index.T)] = True
        part = label_components(box, "3d-26")[0][tuple(index.T)]
        grown = part == part[np.argmin(away)]
        return found[grown], away[grown]


def candidate_lesions(
    volume: Volume, threshold_hu: float, *, strictly_above: bool = False
) -> Candidates:
    """Everything in a scan that reaches a threshold, bone and noise with it.

    Parameters
    ----------
    volume
        The scan in HU, (z, y, x), as `read_scan` gives it.
    threshold_hu, strictly_above
        The convention's, or `threshold_for_kvp(kvp)` in place of the first.

    Raises
    ------
    UsageError
        Where the threshold is no positive number: air would be calcium.

    Example
    -------
    >>> hu = np.array([[[130, 129, 250], [140, 0, 0]]], dtype=np.float32)
    >>> found = candidate_lesions(Volume(hu, (3.0, 0.5, 0.5)), 130)
    >>> [found.key(number) for number in (1, 2)]
    ['>=130:0,0,0', '>=130:0,0,2']
    """
    if not (np.isfinite(threshold_hu) and threshold_hu > 0):
        raise UsageError(f"a calcium threshold is a positive number of HU, got {threshold_hu}")
    above = volume.array > threshold_hu if strictly_above else volume.array >= threshold_hu
    labels, count = label_components(above, "3d-26")
    voxels = np.flatnonzero(above)
    number = labels.ravel()[voxels]
    first = np.empty(count + 1, dtype=np.intp)
    first[number[::-1]] = voxels[::-1]  # the last one written stays: the first of each
    return Candidates(
        grid=volume.with_array(np.broadcast_to(np.False_, volume.shape)),
        threshold_hu=float(threshold_hu),
        strictly_above=strictly_above,
        voxels=voxels,
        number=number,
        hu=volume.array.ravel()[voxels],
        first=first[1:],
    )


def lesion_at(
    candidates: Candidates, at_zyx: tuple[float, float, float], within_mm: float
) -> str | None:
    """The key of the candidate nearest to a click (z, y, x in voxels), or None where none is near.

    Example
    -------
    >>> hu = np.zeros((1, 4, 8), dtype=np.float32)
    >>> hu[0, 1, 5] = 300
    >>> found = candidate_lesions(Volume(hu, (3.0, 0.5, 0.5)), 130)
    >>> lesion_at(found, (0, 1, 2), within_mm=2), lesion_at(found, (0, 1, 2), within_mm=1)
    ('>=130:0,1,5', None)
    """
    found, away = candidates.near(at_zyx, within_mm)
    return candidates.key(int(candidates.number[found[np.argmin(away)]])) if len(found) else None


def limited_key(candidates: Candidates, key: str, at_zyx: Voxel, radius_mm: float) -> str:
    """The key of what of a candidate lies around a click: to cut a lesion off bone, or an artery.

    Parameters
    ----------
    at_zyx
        The voxel that was clicked; the candidate's voxel nearest to it is where growing begins.
    radius_mm
        The sphere's; a few mm, as the depth of picking on a workstation.

    Raises
    ------
    InputError
        `bad_key`, `other_candidates`, or `nothing_near` where the sphere holds none of it.
    UsageError
        Where the radius is no positive number or the click lies outside the scan.
    """
    if not (np.isfinite(radius_mm) and radius_mm > 0):
        raise UsageError(f"a radius is a positive number of mm, got {radius_mm}")
    if not all(0 <= i < n for i, n in zip(at_zyx, candidates.grid.shape, strict=True)):
        raise UsageError(f"voxel {at_zyx} (z, y, x) is outside {candidates.grid.shape} voxels")
    z, y, x = (int(i) for i in at_zyx)
    limited = replace(
        CandidateKey.of_text(key), centre=(z, y, x), radius_mm=round(float(radius_mm), 3)
    )
    if not len(candidates.reached(limited)[0]):
        raise InputError(
            "nothing_near",
            f"no voxel of the lesion lies within {radius_mm:g} mm of the click: click on it",
        )
    return str(limited)
