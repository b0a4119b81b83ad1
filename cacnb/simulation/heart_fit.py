"""The simulator's heart moved, turned and sized to a real heart's mask; it sees no image."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from cacnb.ct.volume import Volume
from cacnb.simulation.anatomy import PosedHeart
from cacnb.simulation.chest import paint_heart_mask
from cacnb.simulation.coronaries import HeartFrame, heart_frame
from cacnb.simulation.shapes import Canvas

Vector = NDArray[np.float64]

#: Half lengths in mm of the heart that the fit starts from: the simulator's mean.
MEAN_RADII_MM = (69.0, 51.0, 49.0)

#: Volume of such a heart's sac.
MEAN_VOLUME_MM3 = 760e3

#: Where the sac's centre of mass lies from the frame's centre in such a heart, (z, y, x) in mm.
SAC_OFF_CENTRE_MM = (0.7, 0.9, -2.1)

#: How far real hearts are let to differ from it: centre in mm, turn in radians, log of the radii.
#: Turn and size are the simulator's own spread, doubled.
MOVE_MM, TURN, GROW = 10.0, 0.26, 0.14

#: Grid of the fit in mm: a heart mask tells no more.
FIT_GRID_MM = 7.0


def fit_frame(heart: Volume) -> HeartFrame:
    """The heart's frame whose sac covers a heart mask best: centre, turn and three radii.

    The overlap is the Dice coefficient of the soft-edged sac (ventricles and atria) and the mask,
    less a cost of unlikely turns and sizes, so that half a mask still gets a whole heart.
    """
    where = np.argwhere(heart.array)
    points = np.asarray(heart.origin_mm) + where * np.asarray(heart.spacing_mm)
    middle = points.mean(axis=0)
    low, high = points.min(axis=0) - 25.0, points.max(axis=0) + 25.0
    axes = [np.arange(a, b, FIT_GRID_MM) for a, b in zip(low, high, strict=True)]
    edges = [np.append(axis, axis[-1] + FIT_GRID_MM) - FIT_GRID_MM / 2 for axis in axes]
    counted, _ = np.histogramdd(points, edges)
    mask = np.clip(counted * heart.voxel_volume_mm3 / FIT_GRID_MM**3, 0, 1)
    size = float(
        np.clip((len(points) * heart.voxel_volume_mm3 / MEAN_VOLUME_MM3) ** (1 / 3), 0.75, 1.35)
    )

    def frame_of(step: Vector) -> HeartFrame:
        radii = size * np.asarray(MEAN_RADII_MM) * np.exp(GROW * step[6:])
        start = middle - size * np.asarray(SAC_OFF_CENTRE_MM)
        return heart_frame(start + MOVE_MM * step[:3], TURN * step[3:6], tuple(radii.tolist()))

    def misfit(step: Vector) -> float:
        frame = frame_of(step)
        canvas = Canvas(*axes, edge_mm=FIT_GRID_MM, background=0.0)
        paint_heart_mask(canvas, PosedHeart(frame, {}, frame.centre, frame.centre))
        dice = 2 * float((canvas.values * mask).sum()) / float(canvas.values.sum() + mask.sum())
        return 0.01 * float((step[3:] ** 2).sum()) - dice

    found = minimize(misfit, np.zeros(9), method="Powell", options={"maxiter": 8, "ftol": 1e-4})
    return frame_of(found.x)
