"""One simulated lesion scanned at many speeds, slice thicknesses and noise levels, and its scores.

The lesion moves straight in the plane of the slices, so that nothing of it leaves them; a real
heart also carries it through the slices, which the scan–rescan studies show.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cacnb.ct.volume import Volume
from cacnb.scoring.clinical import score_clinically
from cacnb.scoring.conventions import convention
from cacnb.scoring.proposed import score_map
from cacnb.simulation.anatomy import REST, Anatomy, PosedHeart, pose_heart
from cacnb.simulation.chest import paint_chest
from cacnb.simulation.coronaries import along
from cacnb.simulation.lesions import Deposit, hu_mm3_per_mg
from cacnb.simulation.motion import ROTATION_SHARE, STILL, Glide
from cacnb.simulation.scanner import PROTOCOLS, Settings, blur, noise, render_calcium
from cacnb.simulation.shapes import Canvas

Images = NDArray[np.int16]

#: The lesion: artery, place along it (0 to 1), mg of calcium hydroxyapatite, mg/cm³, pieces in a
#: row from foot to head, and how many mm above the middle of a slice: few lie in the middle.
ARTERY, SHARE, MASS_MG, MG_CM3, PIECES, ABOVE_MM = "RCA", 0.40, 20.0, 400.0, 2, 1.5

#: Whose heart it lies in, and the seed of the noise.
PERSON, NOISE_SEED = 21, 7

#: A radiotherapy planning scan's pixels, point spread (FWHM) and tube voltage; seconds a slice.
PIXEL_MM, BLUR_FWHM_MM, KVP = 0.95, 2.2, 120.0
SLICE_S = ROTATION_SHARE * PROTOCOLS["rtp"].rotation_s

#: What is scanned around the lesion: half the extent along (z, y, x) in mm; and what a reader
#: would look at, so far from the lesion's path.
HALF_MM, LOOKED_AT_MM = (16.0, 15.5, 34.0), 9.0

#: Steps of the movement that are averaged over a slice: under a pixel apart at any speed.
SAMPLES = 40

#: The three choices; speeds in mm/s.
SPEEDS_MM_S = tuple(float(speed) for speed in range(0, 85, 5))
THICKNESSES_MM, NOISES_HU = (1.5, 3.0, 5.0), (0.0, 15.0, 30.0)


@dataclass(frozen=True, eq=False)
class SliceStack:
    """The part of a person around the lesion in slices of one thickness, without its calcium."""

    settings: Settings
    healthy: Volume
    heart: PosedHeart
    pieces: list[Deposit]

    @classmethod
    def of(cls, thickness_mm: float) -> SliceStack:
        """Paint it: slices as far apart as they are thick, one near the lesion's middle."""
        settings = Settings(
            KVP, PIXEL_MM, thickness_mm, thickness_mm, BLUR_FWHM_MM / 2.355, 0.0, STILL
        )
        anatomy = Anatomy.draw(PERSON)
        heart = pose_heart(anatomy, REST)
        centre = along(heart.arteries[ARTERY], SHARE)[0]
        step = np.array([thickness_mm, PIXEL_MM, PIXEL_MM])
        reach = np.floor(np.asarray(HALF_MM) / step).astype(int)
        grid = Volume(
            np.empty(tuple(2 * reach + 1), np.int16),
            tuple(step.tolist()),
            tuple((centre - reach * step).tolist()),
        )
        z_mm, y_mm, x_mm = (grid.axis_mm(axis) for axis in range(3))
        edge_mm = max(1.0, PIXEL_MM)
        canvas = Canvas(z_mm, y_mm, x_mm, edge_mm=edge_mm, background=-1000.0)
        paint_chest(canvas, anatomy, REST)
        healthy = np.rint(blur(canvas.values, settings, edge_mm)).astype(np.int16)
        radius = (3 * MASS_MG / MG_CM3 * 1000.0 / PIECES / (4 * np.pi)) ** (1 / 3)
        up = ABOVE_MM + (np.arange(PIECES) - (PIECES - 1) / 2) * 1.3 * radius
        pieces = [
            Deposit(0, ARTERY, centre + np.array([z, 0.0, 0.0]), MASS_MG / PIECES, radius / 5**0.5)
            for z in up
        ]
        return cls(settings, grid.with_array(healthy), heart, pieces)

    def calcium(self, speed_mm_s: float) -> Images:
        """HU that the moving lesion adds, (z, y, x), rounded as a scanner stores them."""
        moving = Glide(0.0, 0.0, 0.0, 0.0, (0.0, 0.0, speed_mm_s * SLICE_S))
        added = render_calcium(
            self.pieces,
            self.heart,
            replace(self.settings, beat=moving),
            self.healthy,
            samples=SAMPLES,
        )
        return np.rint(added).astype(np.int16)

    def noise(self, noise_hu: float) -> Images:
        """Noise of a level in HU, (z, y, x): one pattern, fainter or stronger."""
        louder = replace(self.settings, noise_hu=noise_hu)
        field = noise(self.healthy.shape, louder, np.random.default_rng(NOISE_SEED))
        return np.rint(field).astype(np.int16)

    @cached_property
    def looked_at(self) -> Volume:
        """Bool: where a reader looks for the lesion, around all places that it may reach."""
        z, y, x = (self.healthy.axis_mm(axis) for axis in range(3))
        middle = np.mean([piece.centre for piece in self.pieces], axis=0)
        reach = LOOKED_AT_MM + np.array([0.0, 0.0, max(SPEEDS_MM_S) * SLICE_S / 2])
        near = [
            np.abs(axis - at) <= far for axis, at, far in zip((z, y, x), middle, reach, strict=True)
        ]
        inside = near[0][:, None, None] & near[1][None, :, None] & near[2][None, None, :]
        return self.healthy.with_array(inside)


@dataclass(frozen=True, eq=False)
class MovedScans:
    """The lesion's scans at every speed, thickness and noise, and what each scores.

    `calcium`, `noise` by thickness hold (speeds, z, y, x) and (noises, z, y, x) in HU; a scan is
    healthy + calcium + noise. `counted` by thickness holds (noises, speeds, z, y, x), bool: the
    voxels of the clinical score. `scores` has a row a scan, in that order.
    """

    stacks: tuple[SliceStack, ...]
    calcium: tuple[Images, ...]
    noise: tuple[Images, ...]
    counted: tuple[NDArray[np.bool_], ...]
    scores: pd.DataFrame


def moved_scans() -> MovedScans:
    """Scan the lesion at `SPEEDS_MM_S`, `THICKNESSES_MM` and `NOISES_HU`, and score each scan."""
    stacks = tuple(SliceStack.of(thickness_mm) for thickness_mm in THICKNESSES_MM)
    calcium = tuple(np.stack([s.calcium(v) for v in SPEEDS_MM_S]) for s in stacks)
    noises = tuple(np.stack([s.noise(level) for level in NOISES_HU]) for s in stacks)
    rows, counted = [], []
    for stack, moved, loud in zip(stacks, calcium, noises, strict=True):
        found = np.zeros((len(NOISES_HU), *moved.shape), bool)
        for n, noise_hu in enumerate(NOISES_HU):
            for v, speed_mm_s in enumerate(SPEEDS_MM_S):
                scores, found[n, v] = _scored(stack, moved[v], loud[n])
                rows.append({
                    "speed_mm_s": speed_mm_s, "thickness_mm": stack.settings.thickness_mm,
                    "noise_hu": noise_hu, **scores,
                })  # fmt: skip
        counted.append(found)
    return MovedScans(stacks, calcium, noises, tuple(counted), pd.DataFrame(rows))


def _scored(
    stack: SliceStack, calcium: Images, loud: Images
) -> tuple[dict[str, float], NDArray[np.bool_]]:
    """A scan's scores: clinical ones, and the whole of what a faultless map would hold."""
    image = stack.healthy.with_array(stack.healthy.array + calcium + loud)
    mg = 1 / hu_mm3_per_mg(KVP)
    clinical = score_clinically(
        image, stack.looked_at, convention(), calibration_mg_per_hu_mm3=mg,
        slice_thickness_mm=stack.settings.thickness_mm,
    )  # fmt: skip
    whole = score_map(stack.healthy.with_array(calcium), image, calibration_mg_per_hu_mm3=mg)
    scores = {
        "peak_hu": float(image.array[stack.looked_at.array].max()),
        "agatston": float(clinical.agatston or 0.0),
        "volume_mm3": clinical.volume_mm3,
        "clinical_mass_mg": float(clinical.mass_mg or 0.0),
        "whole_mass_mg": float(whole.mass_mg or 0.0),
        "true_mass_mg": MASS_MG,
    }
    return scores, clinical.lesion_labels.array > 0
