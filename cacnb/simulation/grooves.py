"""Arteries moved to where a real scan shows epicardial fat beside muscle; it fits no heart."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cacnb.ct.grids import resample
from cacnb.ct.volume import Volume

Vector = NDArray[np.float64]

#: How far an artery may be moved, and the step of the search, in mm.
SEARCH_MM, STEP_MM = 15.0, 3.0

#: Grid in mm on which fat is looked for.
FAT_GRID_MM = 2.0

#: HU from which a voxel holds some fat, and where it is all fat: the fat of a groove is thin, and
#: most of its voxels hold muscle too. HU of muscle and blood.
SOME_FAT_HU, ALL_FAT_HU, MUSCLE_HU = 15.0, -45.0, (10.0, 120.0)

#: HU of lung, and how far in mm its rim reaches, where muscle and air in one voxel look like fat.
LUNG_HU, LUNG_RIM_MM = -250.0, 3.5

#: HU and least volume of bone and cartilage, and how near them in mm is chest wall.
BONE_HU, BONE_CM3, WALL_MM = 100.0, 1.0, 10.0

#: Radius in mm within which fat and muscle have to meet.
MEETING_MM = 2.5

#: What moving costs beside what fat gains: to the limit of the search; per mm² of bend
#: and mm of way.
MOVE_COST, BEND_COST = 0.35, 0.03

#: An artery ends where the map is lower from there on: the mask is wrong there, or the scan does
#: not show it. A third of it always stays.
LEAST_GROOVE = 0.15


def groove_map(volume: Volume, heart: Volume) -> Volume:
    """How much each place looks like a coronary groove, 0–1: fat by muscle, no lung or bone near.

    `volume` (HU) and `heart` (bool) stand on one grid; the answer covers the heart on a 2 mm grid
    and is 0 outside the mask.
    """
    box = _box(heart, margin_mm=30.0)
    fine = resample(_cut(volume, box), (FAT_GRID_MM,) * 3)
    inside = resample(
        _cut(heart.with_array(heart.array.astype(np.float32)), box), (FAT_GRID_MM,) * 3
    )
    hu = fine.array
    away_mm = ndimage.distance_transform_edt(hu > LUNG_HU, sampling=FAT_GRID_MM)
    off_rim = (away_mm > LUNG_RIM_MM) & ~_chest_wall(hu, inside.array > 0.5)
    fat = np.clip((SOME_FAT_HU - hu) / (SOME_FAT_HU - ALL_FAT_HU), 0, 1) * off_rim
    muscle = (hu >= MUSCLE_HU[0]) & (hu <= MUSCLE_HU[1])
    near = [
        ndimage.gaussian_filter(what.astype(np.float32), MEETING_MM / FAT_GRID_MM)
        for what in (fat, muscle)
    ]
    meet = 2 * np.sqrt(near[0] * near[1]) * off_rim * (inside.array > 0.5)
    return fine.with_array(np.clip(meet, 0, 1).astype(np.float32))


def into_grooves(line: Vector, grooves: Volume) -> Vector:
    """An artery's centre line (n, 3) in mm, bent to run where the groove map is high.

    The best of all paths whose points are each moved by at most `SEARCH_MM`, found by dynamic
    programming. The artery ends after the last groove in reach, and keeps its course where there
    is none.
    """
    reach = np.arange(-SEARCH_MM, SEARCH_MM + 0.1, STEP_MM)
    moves = np.stack(np.meshgrid(reach, reach, reach, indexing="ij"), -1).reshape(-1, 3)
    moves = moves[np.linalg.norm(moves, axis=1) <= SEARCH_MM]
    steps_mm = np.maximum(np.linalg.norm(np.diff(line, axis=0), axis=1), 1.0)
    own = MOVE_COST * (moves**2).sum(axis=1) / SEARCH_MM**2
    places = line[:, None] + moves[None]
    index = (places - np.asarray(grooves.origin_mm)) / np.asarray(grooves.spacing_mm)
    found = ndimage.map_coordinates(
        grooves.array, index.reshape(-1, 3).T, order=1, mode="constant", cval=0.0
    ).reshape(len(line), len(moves))
    cost = own - found
    apart = ((moves[:, None] - moves[None]) ** 2).sum(axis=-1)
    best, came = cost[0], np.zeros((len(line), len(moves)), np.intp)
    for i in range(1, len(line)):
        ways = best[:, None] + BEND_COST * apart / steps_mm[i - 1]
        came[i] = ways.argmin(axis=0)
        best = ways.min(axis=0) + cost[i]
    chosen = [int(best.argmin())]
    for i in range(len(line) - 1, 0, -1):
        chosen.append(int(came[i][chosen[-1]]))
    path = np.array(chosen[::-1])
    moved = ndimage.gaussian_filter1d(line + moves[path], 1.0, axis=0, mode="nearest")
    shown = np.flatnonzero(found[np.arange(len(line)), path] >= LEAST_GROOVE)
    end = max(int(shown[-1]) + 1, len(line) // 3) if len(shown) else len(line)
    return np.asarray(moved[:end])


def _chest_wall(hu: NDArray[np.float32], inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """What is near bone and cartilage or lies before the ribs, on the fat's grid."""
    labels, _ = ndimage.label(ndimage.gaussian_filter(hu, 0.7) > BONE_HU)
    large = np.bincount(labels.ravel()) * FAT_GRID_MM**3 >= 1000 * BONE_CM3
    large[0] = False
    bone = large[labels]
    if not bone.any():
        return np.zeros(hu.shape, bool)
    wall = ndimage.distance_transform_edt(~bone, sampling=FAT_GRID_MM) < WALL_MM
    ribs = wall.copy()
    ribs[:, round(float(np.nonzero(inside)[1].mean())) :] = False
    before = np.logical_or.accumulate(ribs[:, ::-1], axis=1)[:, ::-1]
    return np.asarray(wall | before)


def _box(heart: Volume, margin_mm: float) -> tuple[slice, slice, slice]:
    where = np.argwhere(heart.array)
    margin = np.ceil(margin_mm / np.asarray(heart.spacing_mm)).astype(int)
    low = np.maximum(where.min(axis=0) - margin, 0)
    high = np.minimum(where.max(axis=0) + margin + 1, heart.shape)
    z, y, x = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return z, y, x


def _cut(volume: Volume, box: tuple[slice, slice, slice]) -> Volume:
    z, y, x = box
    corner = volume.to_mm((z.start, y.start, x.start))
    return Volume(volume.array[box].astype(np.float32), volume.spacing_mm, corner)
