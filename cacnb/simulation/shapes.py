"""Soft-edged solids painted on a grid in millimetres; it does not know what organ a solid is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Vector = NDArray[np.float64]
Point = Sequence[float] | Vector


class Shape(Protocol):
    """A solid with a bounding box and an (approximate) signed distance in mm, negative inside."""

    def bounds(self) -> tuple[Vector, Vector]:
        """Lower and upper corner in mm, (z, y, x)."""
        ...

    def distance(self, z: Array, y: Array, x: Array) -> Array:
        """Signed distance in mm at broadcast coordinates."""
        ...


@dataclass(frozen=True)
class Ellipsoid:
    """An ellipsoid: centre (z, y, x) in mm, radii in mm along the rows of `axes`."""

    centre: Point
    radii: Sequence[float]
    axes: Vector | None = None

    def bounds(self) -> tuple[Vector, Vector]:
        """The axis-aligned box around the ellipsoid."""
        centre, radii = np.asarray(self.centre, float), np.asarray(self.radii, float)
        axes = np.eye(3) if self.axes is None else self.axes
        half = np.sqrt(((axes * radii[:, None]) ** 2).sum(axis=0))
        return centre - half, centre + half

    def distance(self, z: Array, y: Array, x: Array) -> Array:
        """First-order signed distance: k (k − 1) / |∇k²/2|, exact on the surface."""
        z, y, x = ((c - np.float32(o)) for c, o in zip((z, y, x), self.centre, strict=True))
        if self.axes is None:
            local = (z, y, x)
        else:
            a = self.axes.astype(np.float32)
            local = tuple(a[i, 0] * z + a[i, 1] * y + a[i, 2] * x for i in range(3))
        inverse = [np.float32(1 / r) for r in self.radii]
        k2 = sum((p * i) ** 2 for p, i in zip(local, inverse, strict=True))
        g2 = sum((p * i * i) ** 2 for p, i in zip(local, inverse, strict=True))
        k = np.sqrt(k2)
        return np.asarray(k * (k - 1) / np.sqrt(g2 + np.float32(1e-12)), np.float32)


@dataclass(frozen=True)
class Capsule:
    """A rounded tube piece between two points (z, y, x) in mm, with one radius in mm."""

    start: Point
    end: Point
    radius: float

    def bounds(self) -> tuple[Vector, Vector]:
        """The axis-aligned box around the capsule."""
        ends = np.asarray([self.start, self.end], float)
        return ends.min(axis=0) - self.radius, ends.max(axis=0) + self.radius

    def distance(self, z: Array, y: Array, x: Array) -> Array:
        """Exact signed distance to the capsule."""
        start = np.asarray(self.start, np.float32)
        along = np.asarray(self.end, np.float32) - start
        length2 = np.float32(max(float(along @ along), 1e-6))
        dz, dy, dx = z - start[0], y - start[1], x - start[2]
        t = np.clip((dz * along[0] + dy * along[1] + dx * along[2]) / length2, 0, 1)
        d2 = (dz - t * along[0]) ** 2 + (dy - t * along[1]) ** 2 + (dx - t * along[2]) ** 2
        return np.asarray(np.sqrt(d2) - np.float32(self.radius), np.float32)


@dataclass(frozen=True)
class Column:
    """A superelliptic column along z whose cross-section scales with z.

    `centre_yx` and `radii_yx` in mm; `levels_mm` and `scales` give the scale of the cross-section
    by linear interpolation along z; nothing is painted outside the levels.
    """

    centre_yx: tuple[float, float]
    radii_yx: tuple[float, float]
    levels_mm: Sequence[float]
    scales: Sequence[float]
    power: float = 2.5

    def bounds(self) -> tuple[Vector, Vector]:
        """The axis-aligned box around the column."""
        half = np.asarray(self.radii_yx, float) * max(self.scales)
        low = [min(self.levels_mm), *(np.asarray(self.centre_yx) - half)]
        high = [max(self.levels_mm), *(np.asarray(self.centre_yx) + half)]
        return np.asarray(low, float), np.asarray(high, float)

    def distance(self, z: Array, y: Array, x: Array) -> Array:
        """Approximate distance to the wall of the column; its ends are cut flat."""
        ky = np.abs((y - np.float32(self.centre_yx[0])) / np.float32(self.radii_yx[0]))
        kx = np.abs((x - np.float32(self.centre_yx[1])) / np.float32(self.radii_yx[1]))
        k = (ky**self.power + kx**self.power) ** np.float32(1 / self.power)
        scale = np.interp(z, self.levels_mm, self.scales).astype(np.float32)
        outside = np.maximum(min(self.levels_mm) - z, z - max(self.levels_mm))
        wall = (k / np.maximum(scale, 1e-3) - 1) * np.float32(min(self.radii_yx))
        return np.asarray(np.maximum(wall, outside), np.float32)


class Canvas:
    """A grid in mm on which solids are painted one over the other with partial-volume edges.

    Parameters
    ----------
    z_mm, y_mm, x_mm
        Coordinates of the voxel centres along each axis.
    edge_mm
        Width of the soft edge: a voxel whose centre lies on a surface takes half of the solid.
    background
        Value everywhere before the first solid.
    """

    def __init__(
        self, z_mm: Vector, y_mm: Vector, x_mm: Vector, *, edge_mm: float, background: float
    ) -> None:
        self.axes = tuple(np.asarray(a, np.float32) for a in (z_mm, y_mm, x_mm))
        self.edge_mm = np.float32(edge_mm)
        self.values: Array = np.full(tuple(len(a) for a in self.axes), background, dtype=np.float32)

    def window(self, shape: Shape) -> tuple[slice, slice, slice] | None:
        """The voxels that a solid may touch; None where it lies off the grid."""
        low, high = shape.bounds()
        found = []
        for axis, lo, hi in zip(self.axes, low, high, strict=True):
            first = int(np.searchsorted(axis, lo - self.edge_mm))
            last = int(np.searchsorted(axis, hi + self.edge_mm))
            if first >= last:
                return None
            found.append(slice(first, last))
        return found[0], found[1], found[2]

    def cover(self, shape: Shape, window: tuple[slice, slice, slice]) -> Array:
        """Share of each voxel in the window that the solid covers, 0–1."""
        z, y, x = (axis[w] for axis, w in zip(self.axes, window, strict=True))
        d = shape.distance(z[:, None, None], y[None, :, None], x[None, None, :])
        return np.asarray(np.clip(np.float32(0.5) - d / self.edge_mm, 0, 1))

    def paint(self, shape: Shape, value: float | Array) -> None:
        """Blend a solid of one value (or a field on the whole grid) over what stands there."""
        window = self.window(shape)
        if window is None:
            return
        share = self.cover(shape, window)
        here = self.values[window]
        new = value[window] if isinstance(value, np.ndarray) else np.float32(value)
        here += share * (new - here)

    def paint_path(self, points: Vector, radii: Vector | float, value: float) -> None:
        """Blend a tube along points (n, 3) in mm, in capsules from point to point."""
        radii = np.broadcast_to(np.asarray(radii, float), len(points))
        for start, end, radius in zip(points[:-1], points[1:], radii, strict=False):
            self.paint(Capsule(start, end, float(radius)), value)
