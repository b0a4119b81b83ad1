"""The heart's own frame and the courses of the coronary arteries on it; no voxels, no calcium."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

#: Arteries that calcium is reported for; LM counts as LAD, as is usual in this field.
ARTERIES = ("LAD", "LCX", "RCA")


def unit(vector: Vector | list[float]) -> Vector:
    """A vector of length one."""
    v = np.asarray(vector, float)
    return np.asarray(v / np.linalg.norm(v))


@dataclass(frozen=True)
class HeartFrame:
    """Where a heart lies: centre (z, y, x) mm, long axis, and half lengths in mm.

    `long_axis` points from the base to the apex: to the left, the front and down. `front` is the
    side along which the LAD runs, `left` the side of the LCX. `length_mm` is the half length of the
    sac along the long axis, `width_mm` and `depth_mm` its half widths along `left` and `front`.
    """

    centre: Vector
    long_axis: Vector
    front: Vector
    left: Vector
    length_mm: float
    width_mm: float
    depth_mm: float

    @property
    def axes(self) -> Vector:
        """Rows: long axis, left, front, (3, 3)."""
        return np.stack([self.long_axis, self.left, self.front])

    @property
    def radii(self) -> tuple[float, float, float]:
        """Half lengths in mm along `axes`."""
        return self.length_mm, self.width_mm, self.depth_mm

    def at(self, along: float, angle: float, depth: float = 1.0) -> Vector:
        """The point (z, y, x) mm at `along` (−1 base … 1 apex), an angle from the front towards
        the left (radians), and a depth (1 = on the sac, 0 = on the long axis).
        """
        ring = np.sqrt(max(1e-6, 1 - along**2)) * depth
        across = (
            np.cos(angle) * self.depth_mm * self.front + np.sin(angle) * self.width_mm * self.left
        )
        return np.asarray(
            self.centre + along * self.length_mm * self.long_axis + ring * across, float
        )


def heart_frame(centre: Vector, tilt: Vector, radii: tuple[float, float, float]) -> HeartFrame:
    """A heart frame from a centre, a small rotation vector (radians) and half lengths in mm.

    The unrotated long axis points left, forward and down, about 45° from each plane, as in a
    supine adult.
    """
    rotation = rotation_matrix(tilt)
    long_axis = rotation @ unit([-0.50, -0.52, 0.69])
    above = rotation @ unit([0.80, -0.60, 0.0])
    front = unit(above - (above @ long_axis) * long_axis)
    left = np.cross(front, long_axis)
    if left[2] < 0:
        left = -left
    return HeartFrame(np.asarray(centre, float), long_axis, front, left, *radii)


def rotation_matrix(vector: Vector) -> Vector:
    """Rodrigues' rotation by |vector| radians about it, (3, 3)."""
    angle = float(np.linalg.norm(vector))
    if angle < 1e-9:
        return np.eye(3)
    k = np.asarray(vector, float) / angle
    cross = np.array([[0, -k[2], k[1]], [k[2], 0, -k[0]], [-k[1], k[0], 0]])
    return np.asarray(np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross)


#: Where the atrioventricular groove crosses the long axis (−1 base … 1 apex).
GROOVE = -0.22

#: How deep the arteries lie under the sac (1 = on it).
VESSEL_DEPTH = 0.90


@dataclass(frozen=True)
class CourseVariation:
    """What differs between the coronary trees of two people; drawn once a patient."""

    wiggle_mm: Vector
    lad_turn: float
    lcx_reach: float
    rca_reach: float
    groove: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> CourseVariation:
        """Draw a variation: tortuosity of about 1.5 mm, reach of LCX and RCA round the groove."""
        return cls(
            wiggle_mm=rng.normal(0, 1.5, (4, 6, 3)),
            lad_turn=float(rng.uniform(-0.30, 0.15)),
            lcx_reach=float(rng.uniform(1.7, 2.6)),
            rca_reach=float(rng.uniform(2.2, 3.0)),
            groove=float(GROOVE + rng.uniform(-0.06, 0.06)),
        )


def courses(frame: HeartFrame, variation: CourseVariation) -> dict[str, Vector]:
    """Centre lines of LM, LAD, LCX, RCA and one diagonal, (n, 3) in mm, from the ostium on.

    The left main leaves the aortic root on the left, the LAD follows the anterior interventricular
    groove to the apex, LCX and RCA run round the atrioventricular groove to either side.
    """
    g = variation.groove
    fork = frame.at(g + 0.02, 0.35, VESSEL_DEPTH * 0.86)
    ostium_left = frame.at(g - 0.10, 0.10, 0.42)
    ostium_right = frame.at(g - 0.06, -0.45, 0.45)
    t = np.linspace(0, 1, 40)
    lad = [
        frame.at(g + 0.02 + s * (0.92 - g), 0.35 + variation.lad_turn * s, VESSEL_DEPTH) for s in t
    ]
    lcx = [
        frame.at(g + 0.03 * np.sin(6 * s), 0.35 + variation.lcx_reach * s, VESSEL_DEPTH) for s in t
    ]
    rca = [
        frame.at(
            g + 0.06 - 0.04 * np.sin(5 * s), -0.55 - variation.rca_reach * s, VESSEL_DEPTH + 0.02
        )
        for s in t
    ]
    diagonal_start = lad[8]
    diagonal = [
        frame.at(g + 0.02 + (0.2 + 0.45 * s) * (0.92 - g), 0.35 + 0.75 * s, VESSEL_DEPTH)
        for s in np.linspace(0.05, 1, 20)
    ]
    lines = {
        "LM": [ostium_left, (ostium_left + fork) / 2, fork],
        "LAD": [fork, *lad[1:]],
        "LCX": [fork, *lcx[1:]],
        "RCA": [ostium_right, (ostium_right + rca[0]) / 2, *rca],
        "D1": [diagonal_start, *diagonal],
    }
    return {
        name: _wiggled(np.asarray(points), variation.wiggle_mm[i % 4] if i else None)
        for i, (name, points) in enumerate(lines.items())
    }


def _wiggled(points: Vector, wiggle_mm: Vector | None) -> Vector:
    """Add smooth tortuosity that vanishes at the start of the vessel."""
    if wiggle_mm is None:
        return points
    t = np.linspace(0, 1, len(points))
    waves = np.stack([np.sin((k + 1) * np.pi * t) / (k + 1) for k in range(len(wiggle_mm))])
    return points + waves.T @ wiggle_mm


def along(points: Vector, share: float) -> tuple[Vector, Vector]:
    """Point (z, y, x) mm and unit direction at a share (0–1) of a centre line's arc length."""
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    reached = np.concatenate([[0.0], np.cumsum(steps)])
    s = float(np.clip(share, 0, 1)) * reached[-1]
    i = int(np.clip(np.searchsorted(reached, s) - 1, 0, len(steps) - 1))
    direction = unit(points[i + 1] - points[i])
    return points[i] + (s - reached[i]) * direction, direction
