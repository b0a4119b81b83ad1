"""How far the beating heart carries calcium while the gantry turns; no voxels, no anatomy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

#: Excursion in mm over a heart beat, along the long axis and towards it. The right coronary moves
#: most, the LAD least (Husmann 2007: peak velocities RCA > LCX > LAD; Lu 2001).
EXCURSION_MM = {
    "LAD": (9.0, 5.0), "LCX": (10.0, 5.0), "RCA": (18.0, 9.0),
    "aorta": (2.0, 1.0), "valve": (9.0, 2.0), "mitral": (10.0, 3.0),
}  # fmt: skip


def contraction(phase: Vector) -> Vector:
    """Share of the excursion at a phase of the beat (0–1, periodic): 0 at rest, 1 at end systole.

    Contraction to 0.35, relaxation to 0.60, rest until the next beat.
    """
    p = np.mod(phase, 1.0)
    rising = 0.5 - 0.5 * np.cos(np.pi * p / 0.35)
    falling = 0.5 + 0.5 * np.cos(np.pi * (p - 0.35) / 0.25)
    return np.where(p < 0.35, rising, np.where(p < 0.60, falling, 0.0))


@dataclass(frozen=True)
class HeartBeat:
    """One scan's heart beat against one scanner's rotation.

    `phase_at_origin` is the phase when the slice at z = 0 begins, `phase_per_mm` how it advances
    along the table, `window` the share of a beat that one slice takes, `strength` scales the
    excursions of this person.
    """

    phase_at_origin: float
    phase_per_mm: float
    window: float
    strength: float

    @classmethod
    def draw(cls, rng: np.random.Generator, *, rotation_s: float, table_mm_s: float) -> HeartBeat:
        """Draw a beat of 55–90 a minute and a random phase."""
        beat_s = 60.0 / float(rng.uniform(55, 90))
        return cls(
            float(rng.random()), 1.0 / (table_mm_s * beat_s), rotation_s / beat_s,
            float(np.clip(rng.normal(1.0, 0.4), 0.2, 2.0)),
        )  # fmt: skip

    def shifts(
        self, place: str, z_mm: float, along: Vector, inward: Vector, samples: int
    ) -> Vector:
        """Displacements (samples, 3) in mm, (z, y, x), of calcium while the slice at z is taken."""
        axial, radial = EXCURSION_MM[place]
        times = (np.arange(samples) + 0.5) / samples
        phase = self.phase_at_origin + self.phase_per_mm * z_mm + self.window * times
        share = self.strength * contraction(phase)
        return np.asarray(share[:, None] * (axial * along + radial * inward))


#: A heart that stands still.
STILL = HeartBeat(0.9, 0.0, 0.0, 0.0)
