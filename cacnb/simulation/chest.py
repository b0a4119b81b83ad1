"""A person painted onto a grid in HU, without calcium; it knows no scanner and no lesion."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cacnb.simulation.anatomy import Anatomy, Pose, PosedHeart, pose_heart
from cacnb.simulation.coronaries import HeartFrame, unit
from cacnb.simulation.shapes import Canvas, Capsule, Column, Ellipsoid

Vector = NDArray[np.float64]


def paint_chest(canvas: Canvas, anatomy: Anatomy, pose: Pose) -> PosedHeart:
    """Paint a person without coronary calcium onto a canvas in HU; returns the heart as it lies.

    The canvas is in the person's coordinates: where the table stands belongs to the scanner.
    """
    rng = np.random.default_rng([anatomy.seed, 2])
    heart = pose_heart(anatomy, pose)
    _paint_trunk(canvas, anatomy, pose)
    _paint_lung_vessels(canvas, anatomy, rng)
    _paint_mediastinum(canvas, anatomy, heart)
    _paint_abdomen(canvas, anatomy, pose, _bottom(heart.frame), rng)
    _paint_heart(canvas, anatomy, heart)
    _paint_bones(canvas, anatomy, pose, rng)
    _paint_metal(canvas, anatomy, rng)
    return heart


def paint_heart_mask(canvas: Canvas, heart: PosedHeart) -> None:
    """Paint the pericardial sac, the heart mask of radiotherapy practice, as 1 onto a canvas."""
    for solid in _sac(heart.frame, 0.0):
        canvas.paint(solid, 1.0)


def _sac(frame: HeartFrame, inset_mm: float) -> list[Ellipsoid]:
    """The sac: ventricles towards the apex, atria towards the base."""
    length, width, depth = frame.radii
    ventricles = Ellipsoid(
        frame.centre + 0.06 * length * frame.long_axis,
        (0.94 * length - inset_mm, width - inset_mm, depth - inset_mm),
        frame.axes,
    )
    atria_axes = np.eye(3)
    atria = Ellipsoid(
        frame.centre - 0.42 * length * frame.long_axis + np.array([2.0, 4.0, -2.0]),
        (0.80 * depth - inset_mm, 0.74 * depth - inset_mm, 1.02 * width - inset_mm),
        atria_axes,
    )
    return [ventricles, atria]


def _paint_trunk(canvas: Canvas, a: Anatomy, pose: Pose) -> None:
    """The table, skin fat, muscle wall, and lungs down to the domes of the diaphragm."""
    t = a.tissues
    centre = (a.spine_y - 52.0, a.midline_x)
    below = centre[0] + a.half_depth * pose.chest_scale + 14
    for x, y in zip(np.linspace(-210, 190, 12), 28 * np.linspace(-1, 1, 12) ** 2, strict=True):
        canvas.paint(Capsule((-450, below - y, x), (350, below - y, x), 3), 150.0)
    levels = (-420.0, -150.0, 0.0, 90.0, 170.0, 230.0, 300.0)
    scales = (0.98, 0.97, 1.0, 1.0, 0.95, 0.80, 0.42)
    grow = pose.chest_scale
    width, depth = a.half_width * (0.5 + 0.5 * grow), a.half_depth * grow
    canvas.paint(Column(centre, (depth, width), levels, scales), t.fat)
    inner = (depth - a.fat_mm, width - a.fat_mm)
    canvas.paint(Column(centre, inner, levels, scales), t.muscle)
    if a.breasts_mm:
        for side in (-1, 1):
            at = (15.0, centre[0] - depth + 4, a.midline_x + side * 0.47 * width)
            canvas.paint(Ellipsoid(at, (58, a.breasts_mm + 12, 58)), t.fat)
            canvas.paint(Ellipsoid(at, (34, 0.5 * a.breasts_mm + 4, 34)), t.gland)
    if a.arms_down:
        for side in (-1, 1):
            x = a.midline_x + side * (width + 34)
            canvas.paint(Capsule((-350, centre[0] + 20, x), (150, centre[0] + 15, x), 42), t.fat)
            canvas.paint(Capsule((-350, centre[0] + 20, x), (150, centre[0] + 15, x), 32), t.muscle)
            canvas.paint(Capsule((-350, centre[0] + 20, x), (150, centre[0] + 15, x), 11), t.cortex)
    cavity = (inner[0] - a.wall_mm, inner[1] - a.wall_mm)
    tops = np.array([0.0, 0.5, 0.8, 0.93, 1.0]) * a.lung_top
    narrow = (1.0, 0.94, 0.74, 0.48, 0.08)
    lungs = Column(
        (centre[0] - 4, a.midline_x), cavity, (-260.0, -60.0, *tops), (0.88, 0.97, *narrow), 2.2
    )
    gradient = np.float32(0.35) * canvas.axes[1][None, :, None]
    field = np.broadcast_to(np.float32(t.lung) + gradient, canvas.values.shape)
    canvas.paint(lungs, field.astype(np.float32))


def _paint_lung_vessels(canvas: Canvas, a: Anatomy, rng: np.random.Generator) -> None:
    """Branching vessels from both hila; stray branches outside the lungs are painted over later."""
    for side in (-1, 1):
        hilum = np.array([32.0, 22.0, a.midline_x + side * 42.0])
        for _ in range(26):
            way = unit(
                np.array([rng.normal(0, 0.8), rng.normal(0.1, 0.6), side * rng.uniform(0.2, 1)])
            )
            radius, point = rng.uniform(2.5, 5.0), hilum
            for _ in range(6):
                way = unit(way + rng.normal(0, 0.28, 3))
                end = point + way * rng.uniform(10, 20)
                canvas.paint(Capsule(point, end, float(radius)), a.tissues.blood)
                point, radius = end, radius * 0.72


def _paint_mediastinum(canvas: Canvas, a: Anatomy, heart: PosedHeart) -> None:
    """Mediastinal fat, great vessels, windpipe and gullet."""
    t, x, back = a.tissues, a.midline_x, a.spine_y - 18
    blood = t.blood + t.contrast
    front = a.spine_y - 52 - a.half_depth + a.fat_mm + a.wall_mm
    middle = ((front + back) / 2, x)
    canvas.paint(
        Column(middle, ((back - front) / 2 + 8, 30), (-70.0, 40.0, 110.0, a.lung_top + 60),
               (1.15, 1.1, 1.0, 0.9), 3.0), t.fat)  # fmt: skip
    root = heart.aortic_root
    arch = 78.0
    behind = [arch - 18, back - 10, x + 26]
    ascending = np.array([
        root, [root[0] + 35, root[1] - 4, root[2] - 9], [arch - 8, -12, x + 2],
        [arch + 4, 8, x + 14], [arch, 34, x + 24], behind,
    ])  # fmt: skip
    canvas.paint_path(_smooth(ascending), 16.0 + 0.04 * a.half_depth, blood)
    descending = np.array(
        [behind, [20, back, x + 26], [-60, back + 2, x + 18], [-300, back, x + 8]]
    )
    canvas.paint_path(_smooth(descending), 12.5, blood)
    trunk = heart.frame.at(-0.25, 0.1, 0.62)
    canvas.paint_path(
        _smooth(np.array([trunk, [trunk[0] + 28, 6, x + 16], [48, 22, x + 20]])), 14, t.blood
    )
    canvas.paint(Capsule((46, 24, x + 18), (42, 30, x + 52), 10), blood)
    canvas.paint(Capsule((44, 20, x + 10), (40, 26, x - 48), 10), blood)
    cava = heart.frame.at(-0.72, -1.4, 0.75)
    canvas.paint_path(
        _smooth(np.array([cava, [cava[0] + 45, 0, x - 22], [125, -8, x - 20]])), 10, t.blood
    )
    canvas.paint(Capsule((-25, 40, x - 16), (-110, 45, x - 18), 12), blood)
    canvas.paint(Capsule((65, back - 28, x), (a.lung_top + 120, back - 25, x), 11), t.muscle)
    canvas.paint(Capsule((65, back - 28, x), (a.lung_top + 120, back - 25, x), 8.5), t.air)
    for side in (-1, 1):
        end = (38, back - 26, x + side * 42)
        canvas.paint(Capsule((66, back - 28, x), end, 8.0), t.muscle)
        canvas.paint(Capsule((66, back - 28, x), end, 6.0), t.air)
    canvas.paint(Capsule((-90, back - 14, x + 8), (a.lung_top + 60, back - 11, x + 4), 8), t.muscle)


def _smooth(points: Vector) -> Vector:
    """A smooth line through points, by rounding its corners three times (Chaikin)."""
    for _ in range(3):
        near, far = 0.75 * points[:-1] + 0.25 * points[1:], 0.25 * points[:-1] + 0.75 * points[1:]
        points = np.concatenate([points[:1], np.stack([near, far], 1).reshape(-1, 3), points[-1:]])
    return points


def _bottom(frame: HeartFrame) -> float:
    """The lowest z in mm of the sac."""
    return float(min(solid.bounds()[0][0] for solid in _sac(frame, 0.0)))


def _paint_abdomen(
    canvas: Canvas, a: Anatomy, pose: Pose, heart_bottom: float, rng: np.random.Generator
) -> None:
    """Fat below the domes, liver, stomach (gas, contrast or neither), spleen, kidneys, bowel."""
    t, x = a.tissues, a.midline_x
    width = a.half_width - a.fat_mm - a.wall_mm
    depth = a.half_depth - a.fat_mm - a.wall_mm
    middle = a.spine_y - 56
    right, left = a.dome_right - pose.dome_mm, a.dome_left - pose.dome_mm
    fat = t.fat + 8
    canvas.paint(
        Ellipsoid((left - 95, middle, x + 0.42 * width), (95, 0.98 * depth, 0.60 * width)), fat
    )
    canvas.paint(
        Ellipsoid((right - 110, middle, x - 0.40 * width), (110, depth, 0.62 * width)), t.liver
    )
    canvas.paint(
        Column((middle, x), (depth, width), (-420.0, min(left, right) - 75), (0.97, 0.97)), fat
    )
    canvas.paint(
        Ellipsoid((right - 105, middle, x - 0.36 * width), (104, 0.97 * depth, 0.62 * width)),
        t.liver,
    )
    left_lobe = (heart_bottom - 36, middle - 0.3 * depth, x + 0.05 * width)
    canvas.paint(Ellipsoid(left_lobe, (42, 0.55 * depth, 0.5 * width)), t.liver)
    stomach = (left - 50, middle - 0.05 * depth, x + 0.50 * width)
    content = rng.choice([t.organ, t.organ - 20, 260.0], p=[0.5, 0.35, 0.15])
    canvas.paint(Ellipsoid(stomach, (46, 48, 40)), t.organ)
    canvas.paint(Ellipsoid(stomach, (41, 43, 35)), float(content))
    if rng.random() < 0.8:
        canvas.paint(Ellipsoid((stomach[0], stomach[1] - 20, stomach[2]), (30, 17, 25)), t.air)
    canvas.paint(
        Ellipsoid((left - 52, middle + 0.55 * depth, x + 0.70 * width), (48, 26, 32)), t.organ + 6
    )
    for side in (-1, 1):
        canvas.paint(
            Ellipsoid((-190, middle + 0.5 * depth, x + side * 58), (55, 26, 28)), t.organ - 10
        )
    for _ in range(24):
        at = (
            rng.uniform(-400, left - 95),
            middle + rng.uniform(-0.8, 0.3) * depth,
            x + rng.uniform(-0.8, 0.8) * width,
        )
        value = float(rng.choice([t.organ - 10, t.organ - 30, t.air]))
        canvas.paint(Ellipsoid(at, tuple(rng.uniform(12, 30, 3))), value)


def _paint_heart(canvas: Canvas, a: Anatomy, heart: PosedHeart) -> None:
    """The sac with its fat, four chambers, the fat of the grooves and the arteries in it."""
    t, frame = a.tissues, heart.frame
    length, width, depth = frame.radii
    inset = 0.45 * a.epicardial_fat_mm
    for solid in _sac(frame, 0.0):
        canvas.paint(solid, t.fat + 10)
    for solid in _sac(frame, inset):
        canvas.paint(solid, t.myocardium)
    left_ventricle = frame.at(0.22, 1.5, 0.30)
    right_ventricle = frame.at(0.18, -0.9, 0.42)
    blood = t.blood + t.contrast
    canvas.paint(
        Ellipsoid(left_ventricle, (0.50 * length, 0.42 * width, 0.42 * depth), frame.axes), blood
    )
    canvas.paint(
        Ellipsoid(right_ventricle, (0.50 * length, 0.40 * width, 0.34 * depth), frame.axes), blood
    )
    canvas.paint(
        Ellipsoid(frame.at(-0.55, 2.4, 0.35), (0.5 * depth, 0.42 * depth, 0.6 * depth)), blood
    )
    canvas.paint(
        Ellipsoid(frame.at(-0.55, -1.6, 0.55), (0.5 * depth, 0.42 * depth, 0.4 * depth)), blood
    )
    canvas.paint(Ellipsoid(heart.aortic_root, (17, 16, 16)), blood)
    fat_mm = 1.5 + 0.75 * a.epicardial_fat_mm
    for name in ("LAD", "LCX", "RCA"):
        line = heart.arteries[name]
        taper = np.linspace(1.0, 0.55 if name == "LAD" else 0.85, len(line))
        canvas.paint_path(line, fat_mm * taper, t.fat + 10)
    canvas.paint_path(heart.arteries["LM"], 4.5, t.fat + 10)
    for name, points in heart.arteries.items():
        calibre = 1.3 if name == "D1" else 2.0
        canvas.paint_path(points, np.linspace(calibre, 0.55 * calibre, len(points)), blood)


def _paint_bones(canvas: Canvas, a: Anatomy, pose: Pose, rng: np.random.Generator) -> None:
    """Spine, ribs, sternum and shoulder blades."""
    t, x = a.tissues, a.midline_x
    for level in np.arange(-420, 260, 27.0):
        at = (level, a.spine_y, x)
        body = Column((a.spine_y, x), (16, 20), (level - 11, level, level + 11), (1.06, 0.95, 1.06))
        canvas.paint(body, t.cortex * 0.75)
        canvas.paint(
            Column((a.spine_y, x), (13.5, 17), (level - 9.5, level + 9.5), (1.0, 0.97)), t.marrow
        )
        canvas.paint(
            Column((a.spine_y, x), (15, 18), (level + 11, level + 16), (1.0, 1.0)), t.cartilage
        )
        canvas.paint(
            Capsule((level - 4, a.spine_y + 30, x), (level - 16, a.spine_y + 56, x), 3.5), t.cortex
        )
        for side in (-1, 1):
            canvas.paint(
                Capsule(
                    (at[0], a.spine_y + 22, x + side * 12),
                    (at[0], a.spine_y + 28, x + side * 36),
                    4.5,
                ),
                t.cortex * 0.8,
            )
    canvas.paint(Column((a.spine_y + 24, x), (8, 9), (-420.0, 260.0), (1.0, 1.0)), t.organ - 15)
    depth = a.half_depth * pose.chest_scale - a.fat_mm - 0.5 * a.wall_mm
    width = a.half_width * (0.5 + 0.5 * pose.chest_scale) - a.fat_mm - 0.5 * a.wall_mm
    centre_y = a.spine_y - 52
    slope = float(rng.uniform(0.75, 1.1))
    for i, start in enumerate(np.arange(-150, 190, 25.0)):
        narrow = float(np.interp(start, [0, 120, 190], [1.0, 0.92, 0.6]))
        for side in (-1, 1):
            angles = np.linspace(0.12, 0.90 if i > 2 else 0.70, 16) * np.pi
            points = np.stack([
                start - slope * 60 * (angles / np.pi) ** 1.2 + rng.normal(0, 1),
                centre_y + depth * narrow * np.cos(angles) * 0.985,
                x + side * width * narrow * np.sin(angles) ** 0.85,
            ], axis=1)  # fmt: skip
            cut = 12
            canvas.paint_path(points[:cut], 5.5, t.cortex * 0.85)
            canvas.paint_path(points[:cut], 3.2, t.marrow)
            canvas.paint_path(points[cut - 1 :], 5.5, t.cartilage)
    breastbone = centre_y - depth + 2
    canvas.paint(Ellipsoid((35, breastbone, x), (75, 6.5, 19)), t.cortex * 0.6)
    canvas.paint(Ellipsoid((35, breastbone, x), (73, 4.0, 16.5)), t.marrow * 0.8)
    for side in (-1, 1):
        canvas.paint(
            Capsule((60, a.spine_y + 28, x + side * 88), (170, a.spine_y + 10, x + side * 120), 5),
            t.cortex * 0.8,
        )
        canvas.paint(
            Capsule((170, a.spine_y - 10, x + side * 95), (160, -70, x + side * 35), 6),
            t.cortex * 0.8,
        )
        canvas.paint(Ellipsoid((178, a.spine_y - 15, x + side * 150), (22, 24, 24)), t.cortex * 0.7)


def _paint_metal(canvas: Canvas, a: Anatomy, rng: np.random.Generator) -> None:
    """What surgery left now and then: a pacemaker lead, a port with its catheter, clips."""
    x = a.midline_x
    front = a.spine_y - 52 - a.half_depth + a.fat_mm
    if a.pacemaker:
        lead = np.array([[150, -40, x - 30], [90, -5, x - 20], [20, 5, x - 22], [-20, -10, x + 18]])
        canvas.paint_path(_smooth(lead), 1.2, 2500.0)
    if a.port:
        catheter = np.array(
            [[95, front, x - 70], [150, -45, x - 45], [100, -8, x - 21], [48, 0, x - 22]]
        )
        canvas.paint(Ellipsoid(catheter[0], (11, 6, 11)), 1200.0)
        canvas.paint_path(_smooth(catheter), 1.0, 700.0)
    if a.clips:
        side = float(rng.choice([-1, 1]))
        for _ in range(int(rng.integers(2, 7))):
            at = np.array([rng.uniform(-20, 60), front, x + side * rng.uniform(40, 95)])
            canvas.paint(Capsule(at, at + rng.normal(0, 2.5, 3), 0.7), 2800.0)
