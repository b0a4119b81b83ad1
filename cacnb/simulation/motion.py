"""How the beating heart and the breath carry calcium under the gantry; no voxels, no anatomy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

#: Excursion in mm over a heart beat, along the long axis and towards it. The right coronary moves
#: most, the LAD least (Husmann 2007: peak velocities RCA > LCX > LAD; Lu 2001).
EXCURSION_MM = {
    "LAD": (8.0, 6.0), "LCX": (9.0, 7.0), "RCA": (18.0, 24.0),
    "aorta": (2.0, 1.0), "valve": (9.0, 2.0), "mitral": (10.0, 3.0),
}  # fmt: skip


#: Share of the excursion that the contraction of the atria makes before the beat: it pulls on the
#: atrioventricular groove, in which RCA and LCX run.
ATRIAL = {"LAD": 0.1, "LCX": 0.4, "RCA": 0.5, "aorta": 0.0, "valve": 0.2, "mitral": 0.5}

#: Share of a rotation that the data of one slice span: helical interpolation over 180° plus fan
#: (Kalender 1990), as a chest protocol without ECG reconstructs.
ROTATION_SHARE = 0.8

#: Beats a minute, and how much of the usual excursion a person's heart makes (mean, spread).
BEATS_PER_MINUTE = (55.0, 90.0)
STRENGTH = (1.4, 0.6)

#: How far quiet breathing carries the heart from head to foot, peak to peak in mm (mean, spread):
#: about 0.6 of what it carries the diaphragm (McLeish 2002); and seconds a breath takes.
BREATH_MM = (6.0, 2.5)
BREATH_S = (3.0, 5.0)


def contraction(phase: Vector, atrial: float = 0.0) -> Vector:
    """Share of the excursion at a phase of the beat (0–1, periodic): 0 at rest, 1 at end systole.

    Contraction to 0.35, relaxation to 0.60, rest until 0.80; then the atria pull by the share
    `atrial` and let go until the next beat.
    """
    p = np.mod(phase, 1.0)
    rising = 0.5 - 0.5 * np.cos(np.pi * p / 0.35)
    falling = 0.5 + 0.5 * np.cos(np.pi * (p - 0.35) / 0.25)
    pulled = atrial * (0.5 - 0.5 * np.cos(2 * np.pi * (p - 0.80) / 0.20))
    return np.select([p < 0.35, p < 0.60, p < 0.80], [rising, falling, 0.0 * p], pulled)


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
        """Draw a beat and a random phase."""
        beat_s = 60.0 / float(rng.uniform(*BEATS_PER_MINUTE))
        return cls(
            float(rng.random()), 1.0 / (table_mm_s * beat_s), ROTATION_SHARE * rotation_s / beat_s,
            float(np.clip(rng.normal(*STRENGTH), 0.2, 2.0)),
        )  # fmt: skip

    def shifts(
        self, place: str, z_mm: float, along: Vector, inward: Vector, samples: int
    ) -> Vector:
        """Displacements (samples, 3) in mm, (z, y, x), of calcium while the slice at z is taken."""
        axial, radial = EXCURSION_MM[place]
        times = (np.arange(samples) + 0.5) / samples
        phase = self.phase_at_origin + self.phase_per_mm * z_mm + self.window * times
        share = self.strength * contraction(phase, ATRIAL[place])
        return np.asarray(share[:, None] * (axial * along + radial * inward))


@dataclass(frozen=True)
class Glide(HeartBeat):
    """Calcium that moves straight and evenly while a slice is taken, in every slice alike.

    No heart moves so; it shows what speed alone does. `travel_mm` (z, y, x) from the beginning of
    the slice to its end, with the place of rest halfway.
    """

    travel_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def shifts(
        self, place: str, z_mm: float, along: Vector, inward: Vector, samples: int
    ) -> Vector:
        """Displacements (samples, 3) in mm, (z, y, x), whatever the place."""
        del place, z_mm, along, inward
        share = (np.arange(samples) + 0.5) / samples - 0.5
        return np.asarray(share[:, None] * np.asarray(self.travel_mm))


def usual_travel_mm(place: str, slice_s: float) -> float:
    """How far towards the heart's axis calcium moves while a slice of so many seconds is taken.

    For the usual heart and heart rate, the median over the phases that the slice may begin at.

    Example
    -------
    >>> usual_travel_mm("LAD", 0.4) < usual_travel_mm("LCX", 0.4) < usual_travel_mm("RCA", 0.4)
    True
    """
    window = slice_s * float(np.mean(BEATS_PER_MINUTE)) / 60.0
    inward, still = np.array([1.0, 0.0, 0.0]), np.zeros(3)
    reached = [
        np.ptp(
            HeartBeat(phase, 0.0, window, STRENGTH[0]).shifts(place, 0.0, still, inward, 64)[:, 0]
        )
        for phase in np.linspace(0, 1, 64, endpoint=False)
    ]
    return float(np.median(reached))


@dataclass(frozen=True)
class Breath:
    """One scan's breathing: it carries the chest from head to foot while the table moves.

    `reach_mm` peak to peak, `per_mm` breaths for each mm of table, `phase` at z = 0 (0–1). The
    whole chest is carried, spine and ribs too: a simplification that the heart does not show.
    """

    reach_mm: float
    per_mm: float
    phase: float

    @classmethod
    def draw(cls, rng: np.random.Generator, *, table_mm_s: float) -> Breath:
        """Draw a quiet breath."""
        reach = float(np.clip(rng.normal(*BREATH_MM), 0.0, 15.0))
        return cls(reach, 1.0 / (table_mm_s * float(rng.uniform(*BREATH_S))), float(rng.random()))

    def seen_mm(self, z_mm: Vector) -> Vector:
        """Where in the resting chest a slice at z lies, in mm; z itself without breathing."""
        turn = 2 * np.pi * (self.per_mm * np.asarray(z_mm) + self.phase)
        return np.asarray(z_mm - 0.5 * self.reach_mm * np.cos(turn))


#: A heart that stands still, and a breath that is held.
STILL = HeartBeat(0.9, 0.0, 0.0, 0.0)
HELD = Breath(0.0, 0.0, 0.0)
