"""Which grids in the patient make an axial scan; it does not know which file a grid came from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cacnb.ct.verdict import Reason
from cacnb.ct.volume import Volume

#: A column of voxel steps per array axis (i, j, k) and the centre of voxel 0, in LPS mm: (3, 4).
Affine = NDArray[np.float64]

#: An image axis may depart this far from a patient axis: 0.5° moves a point at 200 mm by 1.7 mm.
AXIAL_TOLERANCE_DEG = 0.5
#: Slices stacked this far off their own normal are sheared (measured: see the gantry tilt cases).
TILT_TOLERANCE_DEG = 0.1
#: Below this |normal · z| a stack is coronal, sagittal or oblique.
AXIAL_NORMAL = 0.9
#: Spacings of a scan of a human chest in mm; metres and microns fall outside.
PLAUSIBLE_SPACING_MM = (0.1, 20.0)
#: Above this thickness a plaque of a few millimetres fades into its slice.
THICKEST_MM = 5.0
#: Slices further apart than this many thicknesses leave gaps (rounding and 1.25 mm aside).
GAP_FACTOR = 1.1
#: Fewer slices have no reliable step.
FEWEST_SLICES = 3
#: An adult heart is about 80 to 140 mm tall.
SHORTEST_STACK_MM = 60.0


def patient_axes(affine: Affine) -> tuple[int, int, int]:
    """For each patient axis (x, y, z) the array axis (0 i, 1 j, 2 k) that runs nearest to it."""
    directions = np.abs(_directions(affine))
    orders = ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))
    return max(
        orders, key=lambda order: sum(directions[row, axis] for row, axis in enumerate(order))
    )


def spacing_zyx(affine: Affine) -> tuple[float, float, float]:
    """Distance between voxel centres in mm along the patient's (z, y, x)."""
    lengths = np.linalg.norm(affine[:, :3], axis=0)
    x, y, z = patient_axes(affine)
    return float(lengths[z]), float(lengths[y]), float(lengths[x])


def off_axis_deg(affine: Affine) -> float:
    """The largest angle in degrees between an image axis and its patient axis."""
    directions = np.abs(_directions(affine))
    cosines = [directions[row, axis] for row, axis in enumerate(patient_axes(affine))]
    return float(np.degrees(np.arccos(np.clip(min(cosines), 0.0, 1.0))))


def shear_deg(affine: Affine) -> float:
    """How far the third array axis departs from the normal of the first two, in degrees."""
    directions = _directions(affine)
    normal = np.cross(directions[:, 0], directions[:, 1])
    length = np.linalg.norm(normal)
    if not length > 0:  # the first two run along each other
        return 90.0
    normal /= length
    sine = np.linalg.norm(np.cross(normal, directions[:, 2]))
    return float(np.degrees(np.arcsin(np.clip(sine, 0.0, 1.0))))


def grid_reasons(affine: Affine, *, check_shear: bool = True) -> tuple[Reason, ...]:
    """Why a grid is not an axial scan of a chest: `no_geometry`, `gantry_tilt` or `not_axial`."""
    low, high = PLAUSIBLE_SPACING_MM
    lengths = np.linalg.norm(affine[:, :3], axis=0)
    if not np.isfinite(affine).all() or lengths.min() < low or lengths.max() > high:
        return (
            Reason(
                "no_geometry",
                f"the voxels measure {' × '.join(f'{v:g}' for v in lengths)}, "
                f"steps of {low:g} to {high:g} mm were wanted: "
                "write the image again with its spacing in millimetres",
            ),
        )
    if check_shear and (tilt := shear_deg(affine)) > TILT_TOLERANCE_DEG:
        return (tilt_reason(tilt),)
    if (angle := off_axis_deg(affine)) > AXIAL_TOLERANCE_DEG:
        return (
            Reason(
                "not_axial",
                f"the image axes stand {angle:.1f}° off the patient's axes, axial slices were "
                "wanted: choose the axial series or resample this one onto axial slices",
            ),
        )
    return ()


def tilt_reason(angle_deg: float) -> Reason:
    """The refusal of slices that are stacked `angle_deg` off their own normal."""
    return Reason(
        "gantry_tilt",
        f"the slices are stacked {angle_deg:.1f}° off their normal (a tilted gantry), a straight "
        "stack was wanted: resample the series onto straight axial slices",
    )


def stack_reasons(slices: int, step_mm: float, thickness_mm: float | None) -> tuple[Reason, ...]:
    """Why a stack is too short or its slices too thick: `too_few_slices` and others."""
    reasons: list[Reason] = []
    if slices < FEWEST_SLICES:
        reasons.append(
            Reason(
                "too_few_slices",
                f"the series has {slices} slice{'s' * (slices != 1)}, at least {FEWEST_SLICES} "
                "were wanted: send the whole series",
            )
        )
    elif slices * step_mm < SHORTEST_STACK_MM:
        reasons.append(
            Reason(
                "too_few_slices",
                f"the stack is {slices * step_mm:.0f} mm long, less than a heart "
                f"({SHORTEST_STACK_MM:.0f} mm and more): check that the whole series was sent",
                "warn",
            )
        )
    thick = max(step_mm, thickness_mm or 0.0)
    if thick > THICKEST_MM:
        reasons.append(
            Reason(
                "too_thick",
                f"the slices are {thick:g} mm thick or apart, at most {THICKEST_MM:g} mm were "
                "wanted: small calcifications fade; use a thinner reconstruction if there is one",
                "warn",
            )
        )
    if slices >= FEWEST_SLICES and thickness_mm and step_mm > GAP_FACTOR * thickness_mm:
        reasons.append(
            Reason(
                "gaps",
                f"slices of {thickness_mm:g} mm stand {step_mm:g} mm apart, slices that touch were "
                "wanted: calcium between them is not seen",
                "warn",
            )
        )
    return tuple(reasons)


def to_patient_axes(array: NDArray[np.generic], affine: Affine) -> Volume:
    """The volume in LPS axes of an array (k, j, i) whose voxels stand where `affine` says.

    Axes are permuted and flipped, never interpolated; a residual rotation within
    `AXIAL_TOLERANCE_DEG` is left out.
    """
    x, y, z = patient_axes(affine)
    array = np.transpose(array, (2 - z, 2 - y, 2 - x))
    origin = affine[:, 3].copy()
    for row, axis in ((2, z), (1, y), (0, x)):
        if affine[row, axis] < 0:
            array = np.flip(array, 2 - row)
            origin += affine[:, axis] * (array.shape[2 - row] - 1)
    return Volume(
        np.ascontiguousarray(array),
        spacing_zyx(affine),
        (float(origin[2]), float(origin[1]), float(origin[0])),
    )


def _directions(affine: Affine) -> NDArray[np.float64]:
    steps = affine[:, :3]
    lengths = np.linalg.norm(steps, axis=0)
    return np.asarray(steps / np.where(lengths > 0, lengths, 1.0), dtype=np.float64)
