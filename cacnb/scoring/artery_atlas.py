"""Where the coronary arteries run in a heart of standard shape; not in the scan at hand.

A first rule, not a segmentation: it says where calcium in a heart mask may be coronary, and of
which artery, from the place alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cacnb.ct.volume import Volume

#: Arteries of the atlas, in the order of its first axis.
ATLAS_ARTERIES = ("LAD", "LCX", "RCA")

#: The atlas spans this many standard deviations of the heart's extent to either side.
REACH_SD = 2.6

#: Voxels of the atlas along each axis.
ATLAS_SIZE = 40

#: Share of the arteries' length that the region near them holds.
REGION_SHARE = 0.95

#: Calcium at less than this share of the region's least density is given to no artery.
NAMED_SHARE = 0.1


@dataclass(frozen=True)
class HeartExtent:
    """Centre and standard deviation of a heart mask along each axis, (z, y, x) in mm."""

    centre_mm: NDArray[np.float64]
    spread_mm: NDArray[np.float64]

    @classmethod
    def of(cls, heart: Volume) -> HeartExtent:
        """The extent of a heart mask; raises ValueError where it is empty."""
        counts = [
            heart.array.sum(axis=tuple(other for other in range(3) if other != axis))
            for axis in range(3)
        ]
        if not counts[0].sum():
            raise ValueError("an empty heart mask has no extent")
        centre = np.array([np.average(heart.axis_mm(i), weights=counts[i]) for i in range(3)])
        variance = [
            np.average((heart.axis_mm(i) - centre[i]) ** 2, weights=counts[i]) for i in range(3)
        ]
        return cls(centre, np.sqrt(variance))

    def standard(self, points_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Points (n, 3) in mm to standard deviations from the centre."""
        return np.asarray((points_mm - self.centre_mm) / self.spread_mm)


@dataclass(frozen=True)
class ArteryAtlas:
    """How often an artery runs through each place of the standard heart.

    `density` (3, n, n, n), axes artery (LAD, LCX, RCA), z, y, x; `least` the density from which a
    place counts as near an artery.
    """

    density: NDArray[np.float32]
    least: float

    @classmethod
    def learn(
        cls, courses: list[tuple[HeartExtent, dict[str, NDArray[np.float64]]]]
    ) -> ArteryAtlas:
        """Learn from hearts and their arteries' centre lines (n, 3) in mm, (z, y, x)."""
        counts = np.zeros((3, ATLAS_SIZE, ATLAS_SIZE, ATLAS_SIZE), np.float32)
        for extent, lines in courses:
            for i, artery in enumerate(ATLAS_ARTERIES):
                index = _index(extent.standard(lines[artery]))
                inside = ((index >= 0) & (index < ATLAS_SIZE)).all(axis=1)
                np.add.at(counts[i], tuple(index[inside].T), 1.0 / len(index))
        density = np.stack([ndimage.gaussian_filter(c, 1.3) for c in counts]) / len(courses)
        anywhere = density.sum(axis=0)
        order = np.sort(anywhere.ravel())[::-1]
        enough = int(np.searchsorted(np.cumsum(order) / order.sum(), REGION_SHARE))
        return cls(density.astype(np.float32), float(order[enough]))

    def region(self, heart: Volume) -> Volume:
        """The part of a heart mask that lies near the arteries (bool), on the mask's grid."""
        extent = HeartExtent.of(heart)
        near = np.zeros(heart.shape, bool)
        where = np.argwhere(heart.array)
        points = np.asarray(heart.origin_mm) + where * np.asarray(heart.spacing_mm)
        near[tuple(where.T)] = self._at(extent, points).sum(axis=0) >= self.least
        return heart.with_array(near)

    def artery_of(self, extent: HeartExtent, points_mm: NDArray[np.float64]) -> str | None:
        """The artery most likely at some points (n, 3) in mm; None where none runs near."""
        mean = self._at(extent, points_mm).mean(axis=1)
        near = mean.sum() >= NAMED_SHARE * self.least
        return ATLAS_ARTERIES[int(np.argmax(mean))] if near else None

    def _at(self, extent: HeartExtent, points_mm: NDArray[np.float64]) -> NDArray[np.float32]:
        """Densities (3, n) at points."""
        index = np.clip(_index(extent.standard(points_mm)), 0, ATLAS_SIZE - 1)
        return np.asarray(self.density[:, index[:, 0], index[:, 1], index[:, 2]])


def _index(standard: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.floor((standard + REACH_SD) / (2 * REACH_SD) * ATLAS_SIZE).astype(np.int64)
