"""A person drawn from a seed and how they lie; no voxels, no scanner and no lesion."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cacnb.simulation.coronaries import (
    CourseVariation,
    HeartFrame,
    courses,
    heart_frame,
)

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Tissues:
    """Attenuation of the tissues in HU at 120 kVp, without contrast medium."""

    air: float = -1000.0
    lung: float = -850.0
    fat: float = -100.0
    muscle: float = 55.0
    blood: float = 42.0
    myocardium: float = 48.0
    liver: float = 58.0
    organ: float = 45.0
    gland: float = 20.0
    marrow: float = 160.0
    cortex: float = 480.0
    cartilage: float = 110.0
    contrast: float = 0.0

    @classmethod
    def draw(cls, rng: np.random.Generator, spread: float) -> Tissues:
        """One person's tissues; `spread` 1 is a clinic's variation, more domain randomisation."""
        base = cls()
        sd = {
            "lung": 35, "fat": 8, "muscle": 6, "blood": 4, "myocardium": 4, "liver": 9,
            "organ": 6, "gland": 18, "marrow": 45, "cortex": 90, "cartilage": 25,
        }  # fmt: skip
        drawn = {n: getattr(base, n) + spread * s * rng.normal() for n, s in sd.items()}
        drawn["lung"] = float(np.clip(drawn["lung"], -950, -650))
        return replace(base, **drawn)


@dataclass(frozen=True)
class Anatomy:
    """One person, lying still: everything that a scan and its rescan share. Lengths in mm.

    The origin is the heart's centre at rest; x to the left, y to the back, z to the head.
    """

    seed: int
    tissues: Tissues
    half_width: float
    half_depth: float
    fat_mm: float
    wall_mm: float
    midline_x: float
    spine_y: float
    lung_top: float
    dome_right: float
    dome_left: float
    heart_radii: tuple[float, float, float]
    heart_tilt: Vector
    epicardial_fat_mm: float
    course: CourseVariation
    breasts_mm: float
    arms_down: bool
    pacemaker: bool
    port: bool
    clips: bool

    @classmethod
    def draw(cls, seed: int, *, spread: float = 1.0) -> Anatomy:
        """Draw a person from a seed; `spread` > 1 widens shapes and tissues beyond the clinic's."""
        rng = np.random.default_rng([seed, 1])
        habitus = float(np.clip(rng.normal(), -2, 2.2)) * min(spread, 1.4)
        size = float(np.clip(rng.normal(1, 0.07 * spread), 0.78, 1.28))
        return cls(
            seed=seed,
            tissues=Tissues.draw(rng, spread),
            half_width=172 + 18 * habitus + 8 * rng.normal(),
            half_depth=112 + 15 * habitus + 6 * rng.normal(),
            fat_mm=float(np.clip(15 + 9 * habitus + 3 * rng.normal(), 4, 48)),
            wall_mm=float(rng.uniform(11, 21)),
            midline_x=float(rng.normal(-24, 5)),
            spine_y=float(rng.normal(82, 6)),
            lung_top=float(rng.normal(165, 15)),
            dome_right=float(rng.normal(-38, 9 * spread)),
            dome_left=float(rng.normal(-55, 9 * spread)),
            heart_radii=(
                size * float(rng.normal(69, 4)),
                size * float(rng.normal(51, 3)),
                size * float(rng.normal(49, 3)),
            ),
            heart_tilt=rng.normal(0, 0.13 * spread, 3),
            epicardial_fat_mm=float(np.clip(rng.normal(5 + 1.5 * habitus, 2), 1.5, 12)),
            course=CourseVariation.draw(rng),
            breasts_mm=float(rng.uniform(0, 45)) if rng.random() < 0.7 else 0.0,
            arms_down=bool(rng.random() < 0.15),
            pacemaker=bool(rng.random() < 0.03),
            port=bool(rng.random() < 0.06),
            clips=bool(rng.random() < 0.05),
        )


@dataclass(frozen=True)
class Pose:
    """How a person lies in one scan: breathing moves and turns the heart, the table moves all.

    `heart_shift_mm` (z, y, x), `heart_turn` a rotation vector in radians, `stretch` the heart's
    scale along its axes, `dome_mm` how much lower the diaphragm stands, `chest_scale` how much the
    chest widens, `table_mm` (z, y, x) where the person lies on the table.
    """

    heart_shift_mm: Vector
    heart_turn: Vector
    stretch: tuple[float, float, float]
    dome_mm: float
    chest_scale: float
    table_mm: Vector

    @classmethod
    def draw(cls, rng: np.random.Generator, *, breath_hold: bool) -> Pose:
        """Draw a pose: deep inspiration lowers and steepens the heart, free breathing does not."""
        table = np.array([rng.normal(0, 3), rng.normal(0, 3), rng.normal(0, 4)])
        if not breath_hold:
            shift = np.array([rng.normal(0, 2), rng.normal(0, 1), rng.normal(0, 1.5)])
            return cls(shift, rng.normal(0, 0.02, 3), (1.0, 1.0, 1.0), float(rng.normal(0, 4)),
                       1.0, table)  # fmt: skip
        depth = float(np.clip(rng.normal(1, 0.3), 0.3, 1.8))
        shift = depth * np.array([-13.0, -2.0, -4.0]) + rng.normal(0, 2, 3)
        turn = depth * np.array([0.0, 0.0, -0.12]) + rng.normal(0, 0.02, 3)
        return cls(shift, turn, (1 + 0.03 * depth, 1 - 0.04 * depth, 1 - 0.03 * depth),
                   30 * depth, 1 + 0.04 * depth, table)  # fmt: skip


#: A person lying where they were drawn.
REST = Pose(np.zeros(3), np.zeros(3), (1.0, 1.0, 1.0), 0.0, 1.0, np.zeros(3))


@dataclass(frozen=True)
class PosedHeart:
    """The heart of one scan: its frame and the arteries' centre lines (n, 3) in mm."""

    frame: HeartFrame
    arteries: dict[str, Vector]
    aortic_root: Vector
    mitral_centre: Vector


def pose_heart(anatomy: Anatomy, pose: Pose) -> PosedHeart:
    """Place a person's heart for one pose, in the person's own coordinates (before the table)."""
    radii = tuple(r * s for r, s in zip(anatomy.heart_radii, pose.stretch, strict=True))
    tilt = anatomy.heart_tilt + pose.heart_turn
    frame = heart_frame(pose.heart_shift_mm, tilt, radii)  # type: ignore[arg-type]
    g = anatomy.course.groove
    return PosedHeart(
        frame=frame,
        arteries=courses(frame, anatomy.course),
        aortic_root=frame.at(g - 0.12, -0.1, 0.22),
        mitral_centre=frame.at(g, 2.1, 0.42),
    )
