"""Slices put in order by their positions, and the gaps among them; it does not know pixels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cacnb.ct.dicom_headers import SliceHeader
from cacnb.ct.geometry import (
    AXIAL_NORMAL,
    TILT_TOLERANCE_DEG,
    Affine,
    grid_reasons,
    stack_reasons,
    tilt_reason,
)
from cacnb.ct.verdict import Reason

#: Slice steps are one step within this many mm, or this fraction of the step (with these, 19 bad
#: phantom series were caught and 7 good ones passed).
STEP_TOLERANCE_MM, STEP_TOLERANCE_FRACTION = 0.02, 0.01
#: Direction cosines and pixel spacings of one stack agree within these.
ORIENTATION_TOLERANCE, SPACING_TOLERANCE_MM = 1e-3, 1e-4


def stack(
    headers: Sequence[SliceHeader],
) -> tuple[tuple[SliceHeader, ...], Affine | None, tuple[Reason, ...]]:
    """Slices in order from feet to head, the grid they make, and what is wrong with it.

    Order and step come from positions projected on the slice normal, never from numbers in the
    header. The grid is None where positions do not make one; its columns are the steps along
    (column, row, slice) in LPS mm, its last column the first slice's first voxel.
    """
    if any(h.position is None or not h.orientation or not h.pixel_spacing for h in headers):
        return (
            tuple(headers),
            None,
            (
                Reason(
                    "no_position",
                    "slices state no position, orientation or pixel spacing, and without them the "
                    "scan has no size: export the series again from the archive",
                ),
            ),
        )
    positions = np.array([h.position for h in headers])  # (n, 3) x, y, z
    orientations = np.array([h.orientation for h in headers])  # (n, 6)
    rows, columns = orientations[0, :3], orientations[0, 3:]
    normal = slice_normal(orientations[0])
    if not np.allclose([rows @ rows, columns @ columns, rows @ columns], [1, 1, 0], atol=2e-3):
        return (
            tuple(headers),
            None,
            (
                Reason(
                    "no_position",
                    "the slices' row and column directions are not perpendicular unit vectors, so "
                    "the scan has no shape: export the series again from the archive",
                ),
            ),
        )
    heights = positions @ normal
    order = np.argsort(heights, kind="stable")
    ordered = tuple(headers[i] for i in order)
    positions, heights = positions[order], heights[order]

    reasons = list(_mixture_reasons(headers, orientations))
    if abs(normal[2]) < AXIAL_NORMAL:
        reasons.append(
            Reason(
                "not_axial",
                "the slices are coronal, sagittal or oblique, axial ones were wanted: "
                "choose the axial series",
            )
        )
    reasons.extend(_step_reasons(heights))
    sideways = _sideways_reason(positions, heights)
    if sideways:
        reasons.append(sideways)

    first = ordered[0]
    spacing = first.pixel_spacing or (1.0, 1.0)
    thickness = first.thickness_mm
    step = (heights[-1] - heights[0]) / max(len(ordered) - 1, 1) or (thickness or 1.0)
    affine = np.column_stack(
        [rows * spacing[1], columns * spacing[0], normal * step, positions[0]]
    ).astype(np.float64)
    if not any(reason.code in ("not_axial", "gantry_tilt") for reason in reasons):
        reasons.extend(grid_reasons(affine, check_shear=False))
    if not any(reason.severity == "refuse" for reason in reasons):
        reasons.extend(stack_reasons(len(ordered), step, thickness))
    return ordered, affine, tuple(reasons)


def slice_normal(orientation: NDArray[np.float64]) -> NDArray[np.float64]:
    """The unit normal of row and column cosines (6,), towards head, back or left."""
    normal = np.cross(orientation[:3], orientation[3:])
    length = float(np.linalg.norm(normal))
    if not np.isfinite(length) or length == 0:
        return np.array([0.0, 0.0, 1.0])
    return np.asarray(normal / length * (np.sign(normal[np.argmax(np.abs(normal))]) or 1.0))


def step_reasons_of(headers: Sequence[SliceHeader]) -> list[Reason]:
    """What is wrong with the steps of slices of one orientation; nothing where they state none."""
    positions = [h.position for h in headers if h.position is not None]
    orientation = headers[0].orientation
    if orientation is None or len(positions) < len(headers):
        return []
    normal = slice_normal(np.array(orientation))
    return _step_reasons(np.sort(np.array(positions) @ normal))


def _mixture_reasons(
    headers: Sequence[SliceHeader], orientations: NDArray[np.float64]
) -> tuple[Reason, ...]:
    spacings = np.array([h.pixel_spacing for h in headers])
    mixed = []
    if np.abs(orientations - orientations[0]).max() > ORIENTATION_TOLERANCE:
        mixed.append("orientation")
    if np.abs(spacings - spacings[0]).max() > SPACING_TOLERANCE_MM:
        mixed.append("pixel spacing")
    if len({(h.rows, h.columns) for h in headers}) > 1:
        mixed.append("matrix")
    if len({h.frame_of_reference for h in headers}) > 1:
        mixed.append("frame of reference")
    if not mixed:
        return ()
    return (
        Reason(
            "mixed_orientation",
            f"the slices differ in {' and '.join(mixed)}, one stack was wanted: "
            "split the series and take its axial part",
        ),
    )


def _step_reasons(heights: NDArray[np.float64]) -> list[Reason]:
    """`duplicate_slices`, `missing_slice` and `uneven_spacing` of sorted heights in mm."""
    reasons = []
    steps = np.diff(heights)
    duplicates = int((steps < STEP_TOLERANCE_MM).sum())
    if duplicates:
        reasons.append(
            Reason(
                "duplicate_slices",
                f"{duplicates} of {len(heights)} slices stand where another one stands, one slice "
                "a position was wanted: the series holds copies or two scans; keep one of them",
            )
        )
    steps = steps[steps >= STEP_TOLERANCE_MM]
    if not len(steps):
        return reasons
    common = _commonest(steps)
    tolerance = step_tolerance(common)
    multiples = np.round(steps / common)
    whole = np.abs(steps - multiples * common) <= tolerance * np.maximum(multiples, 1)
    missing = int((multiples[whole & (multiples >= 2)] - 1).sum())
    uneven = ~whole | (multiples < 1)
    if missing:
        reasons.append(
            Reason(
                "missing_slice",
                f"{missing} slice{'s are' if missing > 1 else ' is'} missing (steps of "
                f"{steps.max():g} mm among steps of {common:g} mm), every slice was wanted: "
                "send the whole series again",
            )
        )
    if uneven.any():
        reasons.append(
            Reason(
                "uneven_spacing",
                f"the slices stand {steps.min():.3g} to {steps.max():.3g} mm apart, one step was "
                "wanted: choose a reconstruction with even slices",
            )
        )
    return reasons


def step_tolerance(step_mm: float) -> float:
    """How far in mm a slice step may depart from the common one."""
    return max(STEP_TOLERANCE_MM, STEP_TOLERANCE_FRACTION * step_mm)


def _commonest(steps: NDArray[np.float64]) -> float:
    """The step in mm that most steps agree with; the smaller one of two equally common."""
    candidates = np.unique([*steps.round(4), steps.mean()])
    votes = [int((np.abs(steps - c) <= step_tolerance(c)).sum()) for c in candidates]
    near = candidates[int(np.argmax(votes))]
    return float(steps[np.abs(steps - near) <= step_tolerance(near)].mean())


def _sideways_reason(positions: NDArray[np.float64], heights: NDArray[np.float64]) -> Reason | None:
    """`gantry_tilt` where slices shift steadily along the stack, `mixed_orientation` elsewise."""
    rise = heights - heights[0]
    if rise[-1] < STEP_TOLERANCE_MM:
        return None
    moved = positions - positions[0]
    lateral = np.sqrt(np.maximum((moved**2).sum(axis=1) - rise**2, 0.0))
    allowed = max(STEP_TOLERANCE_MM, np.tan(np.radians(TILT_TOLERANCE_DEG)) * rise[-1])
    if lateral.max() <= allowed:
        return None
    straight = np.outer(rise / rise[-1], moved[-1])
    if np.linalg.norm(moved - straight, axis=1).max() <= max(allowed, 0.1 * lateral.max()):
        return tilt_reason(float(np.degrees(np.arctan2(lateral[-1], rise[-1]))))
    return Reason(
        "mixed_orientation",
        f"slices are shifted sideways by up to {lateral.max():.1f} mm against one another, one "
        "straight stack was wanted: split the series by its field of view",
    )
