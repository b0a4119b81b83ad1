"""One structure of an RTSTRUCT as contours on axial planes; it does not know the scan's grid."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from cacnb.ct.contours import Plane
from cacnb.ct.dicom_headers import quiet_pydicom
from cacnb.ct.heart_names import HEART_CODES, choose_heart
from cacnb.errors import InputError

#: Contours that enclose an area (PS3.3, C.8.8.6.3); the second says that holes are holes.
CLOSED = {"CLOSED_PLANAR", "CLOSEDPLANAR_XOR"}
#: A contour is axial where it rises by at most this share of its width, or this many mm: 0.5° of
#: tilt, as for slices.
AXIAL_RISE_SHARE, AXIAL_RISE_MM = 0.01, 0.1
#: Contours less than this apart in mm are on one plane.
SAME_PLANE_MM = 0.05


@dataclass(frozen=True, eq=False)
class Structure:
    """The contours of one structure, by height, and the frame of reference that they stand in."""

    planes: tuple[Plane, ...]
    frame_of_reference: str


def read_structure(path: Path, structure: str | None = None) -> Structure:
    """The heart of an RTSTRUCT, or the structure that is named or numbered.

    Raises
    ------
    InputError
        `undecodable`; `no_structure`, `several_structures`; `no_contours` where the structure is
        empty, `not_axial` where its contours do not lie on axial planes.
    """
    try:
        with quiet_pydicom():
            dataset = pydicom.dcmread(path, force=True)
            names, coded = _structures(dataset)
            contours = {
                int(item.ReferencedROINumber): item
                for item in dataset.get("ROIContourSequence", [])
            }
            drawn = {number: name for number, name in names.items() if _contours(contours, number)}
            choices = names if structure is not None or not drawn else drawn
            number = choose_heart(choices, structure, coded & choices.keys())
            polygons = [_points(contour) for contour in _contours(contours, number)]
            frame = next(
                str(roi.get("ReferencedFrameOfReferenceUID", ""))
                for roi in dataset.StructureSetROISequence
                if int(roi.ROINumber) == number
            )
    except InputError:
        raise
    except Exception as error:  # a damaged file breaks parsers anywhere: struct, zlib, …
        raise InputError(
            "undecodable",
            "the RTSTRUCT cannot be read, whole structures were wanted: export it again",
        ) from error
    return Structure(_planes([points for points in polygons if points is not None]), frame)


def _structures(dataset: Dataset) -> tuple[dict[int, str], set[int]]:
    """Names of the structures by number, and the numbers that bear the heart's code."""
    names = {
        int(roi.ROINumber): str(roi.get("ROIName", "")) for roi in dataset.StructureSetROISequence
    }
    coded = {
        int(seen.ReferencedROINumber)
        for seen in dataset.get("RTROIObservationsSequence", [])
        for code in seen.get("RTROIIdentificationCodeSequence", [])
        if (str(code.get("CodingSchemeDesignator", "")), str(code.get("CodeValue", "")))
        in HEART_CODES
    }
    return names, coded & names.keys()


def _contours(items: dict[int, Dataset], number: int) -> list[Dataset]:
    return list(items[number].get("ContourSequence", [])) if number in items else []


def _points(contour: Dataset) -> NDArray[np.float64] | None:
    """The points (n, 3) of a closed contour, x y z in mm; None for lines and single points."""
    if str(contour.get("ContourGeometricType", "")) not in CLOSED:
        return None
    # pydicom's conversion of each decimal string would take seconds.
    element = contour.get_item("ContourData")
    value: object = getattr(element, "value", None)
    if isinstance(value, bytes):
        texts = re.split(r"\\", value.decode("ascii").strip(" \0"))
    else:
        texts = [str(number) for number in contour.ContourData]
    points = np.array([float(text) for text in texts]).reshape(-1, 3)
    if not np.isfinite(points).all():
        raise ValueError("a contour has points that are no numbers")
    return points if len(points) >= 3 else None


def _planes(polygons: list[NDArray[np.float64]]) -> tuple[Plane, ...]:
    """Contours by their height; those that are told twice count once."""
    if not polygons:
        raise InputError(
            "no_contours",
            "the structure has no closed contour, a drawn heart was wanted: choose another one "
            "with --structure, or draw it",
        )
    for points in polygons:
        width, depth, rise = np.ptp(points, axis=0)
        if rise > max(AXIAL_RISE_MM, AXIAL_RISE_SHARE * float(np.hypot(width, depth))):
            raise InputError(
                "not_axial",
                f"a contour of the structure rises by {rise:.1f} mm, contours on axial planes were "
                "wanted: draw the heart on the axial slices",
            )
    ordered = sorted(polygons, key=lambda points: float(points[:, 2].mean()))
    heights = np.array([points[:, 2].mean() for points in ordered])
    starts = np.flatnonzero(np.diff(heights, prepend=-np.inf) > SAME_PLANE_MM)
    planes = []
    for first, end in zip(starts, [*starts[1:], len(ordered)], strict=True):
        once = {points.tobytes(): points[:, :2] for points in ordered[first:end]}
        planes.append(Plane(float(heights[first:end].mean()), tuple(once.values())))
    return tuple(planes)
