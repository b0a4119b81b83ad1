"""What a scanner makes of a chest: blur, slice profile, motion, noise; it knows no patient."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.special import ndtr

from cacnb.ct.volume import Volume
from cacnb.simulation.anatomy import PosedHeart
from cacnb.simulation.lesions import Deposit, hu_mm3_per_mg
from cacnb.simulation.motion import HELD, Breath, HeartBeat

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Protocol:
    """A scan protocol: ranges from which one scan's settings are drawn; lengths in mm."""

    name: str
    kvp: tuple[float, ...]
    pixel_mm: tuple[float, float]
    slices_mm: tuple[tuple[float, float], ...]
    blur_fwhm_mm: tuple[float, float]
    noise_hu: tuple[float, float]
    rotation_s: float
    table_mm_s: float


#: Chance that a `locator` scan shows contrast medium, and that it shows no heart at all.
CONTRAST_CHANCE, NO_HEART_CHANCE = 0.2, 0.12

#: Section 2 of the paper: Philips Brilliance Big Bore, and NLST from 29 hospitals. The noise,
#: blur and table speed are typical of such scans, not from the paper.
PROTOCOLS = {
    "rtp": Protocol(
        "rtp", (120.0,), (0.92, 1.37), ((3.0, 3.0),), (1.5, 3.3), (12.0, 22.0), 0.50, 40.0
    ),
    "nlst": Protocol(
        "nlst", (120.0, 120.0, 140.0), (0.49, 0.98),
        ((1.0, 0.6), (1.25, 1.25), (2.0, 1.5), (2.0, 2.0), (2.5, 2.5)),
        (1.1, 1.9), (18.0, 45.0), 0.50, 35.0,
    ),
    # Coarse scans of widely varied people, cut anywhere: what the heart network learns place from.
    "locator": Protocol(
        "locator", (120.0,), (2.0, 3.4), ((3.0, 3.0), (4.0, 4.0), (5.0, 4.0)),
        (2.0, 4.0), (4.0, 40.0), 0.50, 40.0,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """The settings of one scan: tube voltage, grid, blur (sigma, mm), noise (HU), beat, breath."""

    kvp: float
    pixel_mm: float
    thickness_mm: float
    spacing_mm: float
    blur_mm: float
    noise_hu: float
    beat: HeartBeat
    breath: Breath = HELD

    @classmethod
    def draw(
        cls, protocol: Protocol, rng: np.random.Generator, *, breath_hold: bool = True
    ) -> Settings:
        """Draw one scan's settings from a protocol."""
        thickness, spacing = protocol.slices_mm[int(rng.integers(len(protocol.slices_mm)))]
        beat = HeartBeat.draw(rng, rotation_s=protocol.rotation_s, table_mm_s=protocol.table_mm_s)
        return cls(
            kvp=float(rng.choice(protocol.kvp)),
            pixel_mm=float(rng.uniform(*protocol.pixel_mm)),
            thickness_mm=thickness,
            spacing_mm=spacing,
            blur_mm=float(rng.uniform(*protocol.blur_fwhm_mm)) / 2.355,
            noise_hu=float(rng.uniform(*protocol.noise_hu)),
            beat=beat,
            breath=HELD if breath_hold else Breath.draw(rng, table_mm_s=protocol.table_mm_s),
        )


def render_calcium(
    deposits: list[Deposit],
    heart: PosedHeart,
    settings: Settings,
    grid: Volume,
    *,
    samples: int = 8,
) -> NDArray[np.float32]:
    """The excess HU of calcium on a grid in the person's coordinates, blurred and moved.

    Each piece is a Gaussian, integrated exactly over every pixel and over the slice's thickness,
    averaged over the heart's displacement while the slice is taken. Without motion, and with slices
    as thick as they are apart, Σ HU × voxel volume equals mass × `hu_mm3_per_mg` whatever the
    sub-voxel position.
    """
    out = np.zeros(grid.shape, np.float32)
    scale = hu_mm3_per_mg(settings.kvp)
    z_mm, y_mm, x_mm = (grid.axis_mm(i) for i in range(3))
    seen_mm = settings.breath.seen_mm(z_mm)
    _, dy, dx = grid.spacing_mm
    half = settings.thickness_mm / 2
    for piece in deposits:
        inward = heart.frame.centre - piece.centre
        inward = inward - (inward @ heart.frame.long_axis) * heart.frame.long_axis
        inward = inward / max(float(np.linalg.norm(inward)), 1.0)
        sigma = float(np.hypot(piece.sigma_mm, settings.blur_mm))
        reach = 4 * sigma + 26.0
        ys = slice(*np.searchsorted(y_mm, (piece.centre[1] - reach, piece.centre[1] + reach)))
        xs = slice(*np.searchsorted(x_mm, (piece.centre[2] - reach, piece.centre[2] + reach)))
        near = np.flatnonzero(np.abs(seen_mm - piece.centre[0]) <= 4 * sigma + half + 22.0)
        for k in near:
            moved = piece.centre + settings.beat.shifts(
                piece.place, float(z_mm[k]), heart.frame.long_axis, inward, samples
            )
            wz = _share(seen_mm[k : k + 1], moved[:, :1], piece.sigma_mm + 1e-3, half)[:, 0]
            if wz.max() < 1e-6:
                continue
            wy = _share(y_mm[ys], moved[:, 1:2], sigma, dy / 2)
            wx = _share(x_mm[xs], moved[:, 2:3], sigma, dx / 2)
            mass = piece.mass_mg * scale / (samples * settings.thickness_mm * dy * dx)
            rows = (mass * wz[:, None] * wy).T.astype(np.float32)
            out[k, ys, xs] += rows @ wx.astype(np.float32)
    return out


def _share(centres: Vector, at: Vector, sigma: float, half: float) -> Vector:
    """Share of a Gaussian at each position that falls within ± half around each centre."""
    return np.asarray(ndtr((centres + half - at) / sigma) - ndtr((centres - half - at) / sigma))


def blur(image: NDArray[np.float32], settings: Settings, edge_mm: float) -> NDArray[np.float32]:
    """Blur an image in-plane to the scanner's point spread, less the blur that soft edges have."""
    sigma_mm = max(settings.blur_mm**2 - edge_mm**2 / 12, 0.0) ** 0.5
    if sigma_mm == 0:
        return image
    for axis in (1, 2):
        image = gaussian_filter1d(image, sigma_mm / settings.pixel_mm, axis=axis, truncate=3)
    return image


#: Where the shoulders begin above the heart's centre in mm, over how many mm they are reached, and
#: how much louder the noise is there: twice the path through the body at the same mAs.
SHOULDERS_MM, SHOULDERS_OVER_MM, SHOULDERS_LOUDER = 95.0, 45.0, 1.8


def noise(
    shape: tuple[int, int, int],
    settings: Settings,
    rng: np.random.Generator,
    *,
    z_mm: Vector | None = None,
) -> NDArray[np.float32]:
    """CT noise in HU, (z, y, x): filtered back-projection's texture, stronger in the body's middle
    and, where `z_mm` (the slices' heights above the heart) is given, through the shoulders.

    The noise power spectrum rises with frequency as the ramp filter does and falls with the
    kernel's point spread (Riederer 1978); overlapping slices share noise.
    """
    z, y, x = shape
    fy = np.fft.fftfreq(y, settings.pixel_mm)[:, None]
    fx = np.fft.rfftfreq(x, settings.pixel_mm)[None, :]
    f = np.hypot(fy, fx)
    shaping = np.sqrt(f + 0.012) * np.exp(-2 * (np.pi * settings.blur_mm * f) ** 2 * 0.5)
    white = rng.standard_normal((z, y, x), dtype=np.float32)
    field = np.fft.irfft2(np.fft.rfft2(white) * shaping, s=(y, x)).astype(np.float32)
    if settings.thickness_mm > settings.spacing_mm:
        field = gaussian_filter1d(
            field, 0.35 * settings.thickness_mm / settings.spacing_mm, axis=0, mode="wrap"
        )
    field /= field.std()
    r2 = (np.arange(y)[:, None] - y / 2) ** 2 + (np.arange(x)[None, :] - x / 2) ** 2
    middle = np.exp(-r2 * settings.pixel_mm**2 / (2 * 110.0**2)).astype(np.float32)
    field *= np.float32(settings.noise_hu) * (np.float32(0.45) + np.float32(0.55) * middle)
    if z_mm is not None:
        reached = np.clip((z_mm - SHOULDERS_MM) / SHOULDERS_OVER_MM, 0, 1)
        field *= (1 + (SHOULDERS_LOUDER - 1) * reached).astype(np.float32)[:, None, None]
    return field
