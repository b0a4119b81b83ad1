"""What a real scan tells of its scanner: noise level, texture and point spread; no calcium."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cacnb.ct.volume import Volume
from cacnb.simulation.reader import local_noise_hu

Vector = NDArray[np.float64]

#: Side in mm of the squares of even soft tissue in which the noise's texture is measured, how even
#: they are (largest less smallest HU of the smoothed square: so much, and so many times the noise),
#: and how many are enough.
SQUARE_MM, EVEN_HU, EVEN_NOISES, ENOUGH_SQUARES = 36.0, 20.0, 1.5, 6

#: Point spread (FWHM, mm) where none can be measured, and the range of what is believed.
USUAL_BLUR_MM, BLUR_RANGE_MM = 2.0, (0.9, 4.0)

#: HU of the air around a body, how much a gown adds to it, least HU of skin or the fat under it,
#: between which the edge is taken, and how many places of it are enough.
AIR_HU, CLOTHES_HU, SKIN_HU, ENOUGH_EDGES = -1000.0, 90.0, -160.0, 60


@dataclass(frozen=True)
class HostScanner:
    """The noise of a scan in its heart, and how sharp it is.

    `level_hu` the noise's standard deviation in each slice (z,); `power` the noise power at
    the in-plane frequencies `cycles_mm` (1/mm), in any unit; `neighbours` the correlation of the
    noise of one slice and the next; `blur_mm` the point spread's sigma in the slice.
    """

    level_hu: Vector
    cycles_mm: Vector
    power: Vector
    neighbours: float
    blur_mm: float

    @classmethod
    def measure(cls, volume: Volume, heart: Volume) -> HostScanner:
        """Measure a scan (HU) in its heart mask; what cannot be measured is taken as usual."""
        rough = local_noise_hu(volume, heart)
        side = max(8, round(SQUARE_MM / volume.spacing_mm[1]))
        even_hu = EVEN_HU + EVEN_NOISES * float(np.median(rough))
        squares = _even_squares(volume, heart, side, even_hu)
        blur_mm = edge_blur_mm(volume, heart)
        rings = np.arange(1.5, side // 2 + 1) / (side * volume.spacing_mm[1])
        if len(squares) < ENOUGH_SQUARES:  # the ramp filter's and the kernel's (Riederer 1978)
            usual = (rings + 0.012) * np.exp(-2 * (np.pi * blur_mm * rings) ** 2)
            return cls(rough, rings, usual, 0.0, blur_mm)
        spread_hu, power, neighbours = _texture(volume, squares, side, rings)
        # The squares hold no edges, which `local_noise_hu` takes for noise; it tells the slices.
        return cls(spread_hu * rough / np.median(rough), rings, power, neighbours, blur_mm)

    def noise(self, like: Volume, rng: np.random.Generator) -> NDArray[np.float32]:
        """New noise in HU of the scan's own level and texture on its grid (z, y, x).

        The level is the heart's, slice by slice, over the whole slice: lung and air get more than
        they have.
        """
        z, y, x = like.shape
        fy = np.fft.fftfreq(y, like.spacing_mm[1])[:, None]
        fx = np.fft.rfftfreq(x, like.spacing_mm[2])[None, :]
        shaping = np.sqrt(np.interp(np.hypot(fy, fx), self.cycles_mm, self.power))
        white = rng.standard_normal((z, y, x), dtype=np.float32)
        # Neighbours correlate by 2a / (1 + 2a²) after the filter (a, 1, a) along z.
        share = float(np.clip(self.neighbours, 0.0, 0.65))
        side = (1 - np.sqrt(max(1 - 2 * share**2, 0.0))) / (2 * share) if share > 0.01 else 0.0
        white = ndimage.convolve1d(white, [side, 1.0, side], axis=0, mode="nearest")
        field = np.fft.irfft2(np.fft.rfft2(white) * shaping, s=(y, x)).astype(np.float32)
        field /= field.std()
        level = np.where(np.isfinite(self.level_hu), self.level_hu, 0.0).astype(np.float32)
        return np.asarray(field * level[:, None, None])


def _texture(
    volume: Volume, squares: list[tuple[int, int, int]], side: int, rings: Vector
) -> tuple[float, Vector, float]:
    """Noise in HU, its power at the frequencies `rings`, and how neighbouring slices correlate."""
    powers, variances, neighbours = [], [], []
    window = np.outer(np.hanning(side), np.hanning(side))
    for k, top, left in squares:
        box = (slice(top, top + side), slice(left, left + side))
        rough = _flattened(volume.array[k][box])
        variances.append(float((rough**2).mean()))
        powers.append(np.abs(np.fft.fft2(rough * window)) ** 2)
        if k + 1 < volume.shape[0]:
            following = _flattened(volume.array[k + 1][box])
            both = rough.std() * following.std() + 1e-6
            neighbours.append(float((rough * following).mean() / both))
    step = volume.spacing_mm[1]
    frequency = np.abs(np.fft.fftfreq(side, step))
    radius = np.hypot(frequency[:, None], frequency[None, :])
    mean, half = np.mean(powers, axis=0), 0.5 / (side * step)
    power = np.array([mean[np.abs(radius - ring) <= half].mean() for ring in rings])
    return float(np.sqrt(np.median(variances))), power, float(np.median(neighbours or [0.0]))


def _even_squares(
    volume: Volume, heart: Volume, side: int, even_hu: float
) -> list[tuple[int, int, int]]:
    """Slice, top and left of squares inside the heart that show one tissue."""
    found = []
    for k in np.flatnonzero(heart.array.any(axis=(1, 2))):
        smooth = ndimage.uniform_filter(volume.array[k].astype(np.float32), 5)
        rows, columns = np.nonzero(heart.array[k])
        for top in range(rows.min(), rows.max() - side + 2, side // 2):
            for left in range(columns.min(), columns.max() - side + 2, side // 2):
                box = (slice(top, top + side), slice(left, left + side))
                if heart.array[k][box].all() and np.ptp(smooth[box]) < even_hu:
                    found.append((int(k), top, left))
    return found


def _flattened(square: NDArray[np.generic]) -> Vector:
    """A square less its best plane: what is left is noise."""
    side = square.shape[0]
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    basis = np.stack([np.ones_like(x), x, y, x * y, x * x, y * y], -1).reshape(-1, 6)
    values = square.astype(float).ravel()
    return np.asarray((values - basis @ np.linalg.lstsq(basis, values)[0]).reshape(side, side))


def edge_blur_mm(volume: Volume, heart: Volume) -> float:
    """Sigma in mm of the in-plane point spread, from the edge between air and skin.

    At an edge blurred by a Gaussian the steepest slope is its height / (σ √2π); the slope that
    neighbouring pixels tell is that of the edge blurred by a pixel besides. The usual one where
    the scan shows too little of a body's surface.
    """
    step = volume.spacing_mm[1]
    found = []
    for k in np.flatnonzero(heart.array.any(axis=(1, 2)))[::3]:
        plane = volume.array[k].astype(np.float32)
        body = ndimage.binary_opening(plane > -500, iterations=3)
        labels, count = ndimage.label(body)
        if not count:
            continue
        largest = labels == 1 + int(np.argmax(np.bincount(labels.ravel())[1:]))
        filled = ndimage.binary_fill_holes(largest)
        # Along y at the front: the table lies behind.
        columns = np.flatnonzero(filled.any(axis=0))
        for x in columns[:: max(1, len(columns) // 60)]:
            top = int(np.argmax(filled[:, x]))
            if not 8 <= top < plane.shape[0] - 8:
                continue
            air, inside = plane[top - 5 : top - 2, x].mean(), plane[top : top + 4, x].max()
            slope = float(np.diff(plane[top - 4 : top + 5, x]).max())
            beside = plane[top, min(x + 1, plane.shape[1] - 1)] - plane[top, max(x - 1, 0)]
            level = air < AIR_HU + CLOTHES_HU and inside > SKIN_HU
            if level and abs(float(beside)) < 0.25 * slope:
                found.append(float(inside - air) / slope * step)
    if len(found) < ENOUGH_EDGES:
        return USUAL_BLUR_MM / 2.355
    # Height / slope is σ √2π of the edge with the pixel's own width, step / √12 twice.
    total = float(np.median(found)) / np.sqrt(2 * np.pi)
    sigma = np.sqrt(max(total**2 - step**2 / 6, 0.0))
    low, high = (fwhm / 2.355 for fwhm in BLUR_RANGE_MM)
    return float(np.clip(sigma, low, high))
