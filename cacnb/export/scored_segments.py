"""What each method counts in a scored scan, as a DICOM Segmentation; it does not score.

All segments stand on the source's own slices and pixels, and each frame refers to its image. What
the clinical score counts is there voxel for voxel. Heart and CAC map come from slices 1.5 mm apart
and are brought onto the source's with their volume kept (`onto_slices`, which says why): viewers
such as OHIF show a segment only in the planes of its images, and 3D Slicer and researchers'
libraries read that as well. The map's own values on its own slices are in the Parametric Map.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import highdicom
import numpy as np
from numpy.typing import NDArray
from pydicom.sr.codedict import codes

import cacnb
from cacnb.ct.volume import Volume
from cacnb.errors import InputError
from cacnb.export.calcium_codes import ARTERIES, CALCIFICATION, CATEGORY, CORONARY, UNNAMED
from cacnb.export.dicom_segments import segmentation_of
from cacnb.export.dicom_source import DicomSource, or_undecodable
from cacnb.export.onto_slices import onto_slices
from cacnb.export.scored_result import ScoredResult
from cacnb.scoring.lesions import label_components

SERIES_NUMBER = 9002

#: Keys of segments beside those of the map, which are the arteries' names and `unnamed`.
HEART, CLINICAL = "heart", "clinical"

#: How viewers draw each segment, (red, green, blue).
COLOURS = {
    HEART: (191, 129, 116), "LAD": (230, 60, 50), "LCX": (250, 170, 30), "RCA": (60, 120, 220),
    UNNAMED: (200, 80, 200), CLINICAL: (90, 200, 90),
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Segments:
    """A Segmentation, and by key the number of each segment and its tracking UID."""

    dataset: Any
    numbers: Mapping[str, int]
    tracking_uids: Mapping[str, str]


def scored_segments(
    result: ScoredResult, cac_map: Volume, heart: Volume, source: DicomSource
) -> Segments:
    """The heart, the map's calcium by artery, and what the clinical score counts.

    A segment without a voxel is left out. The algorithm type is AUTOMATIC; the algorithm is told
    with the version and the weights' name and SHA-256 (PS3.3, C.8.20.4 and 10.16).

    Raises
    ------
    InputError
        `different_grid` where the images are not of this scan, `missing_image`, `undecodable`.
    """
    calcium = calcium_by_artery(result, cac_map)
    masks = {
        HEART: onto_slices(heart.with_array(heart.array > 0), source.grid),
        **{name: onto_slices(cac_map.with_array(m), source.grid) for name, m in calcium.items()},
        CLINICAL: np.asarray(result.clinical_mask(source.grid).array),
    }
    masks = {key: mask for key, mask in masks.items() if mask.any()}
    if not masks:
        raise InputError(
            "empty_heart", f"the heart mask of {result.scan} is empty: score the scan again"
        )
    uids = {key: str(highdicom.UID()) for key in masks}
    with or_undecodable(source.series):
        descriptions = [
            _description(number, key, result, uids[key]) for number, key in enumerate(masks, 1)
        ]
    made = segmentation_of(
        source,
        [source.on_pixels(mask) for mask in masks.values()],
        descriptions,
        series_number=SERIES_NUMBER,
        label="CORONARY_CALCIUM",
        description="Coronary calcium by CAC map and by threshold; research only",
        series_description="Coronary calcium (cacnb, research only)",
    )
    return Segments(made, {key: n for n, key in enumerate(masks, 1)}, uids)


def calcium_by_artery(result: ScoredResult, cac_map: Volume) -> dict[str, NDArray[np.bool_]]:
    """By artery the voxels (z, y, x) of the map's lesions; arteries without one are left out.

    Raises
    ------
    InputError
        `different_grid` where the map does not hold the result's lesions.
    """
    labels, count = label_components(cac_map.array > 0, "3d-26")
    voxels = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    told = [
        lesion.get("voxels", size) for lesion, size in zip(result.lesions, voxels, strict=False)
    ]
    if count != len(result.lesions) or list(voxels) != told:
        raise InputError(
            "different_grid",
            f"the CAC map of {result.scan} holds {count} lesions and its result "
            f"{len(result.lesions)}, or others: score the scan again",
        )
    of = np.array(["", *(artery_of(lesion) for lesion in result.lesions)])
    present = [name for name in (*ARTERIES, UNNAMED) if name in of]
    return {name: (of == name)[labels] for name in present}


def artery_of(lesion: Mapping[str, Any]) -> str:
    """The artery that a lesion is named by, or `unnamed`."""
    name = lesion.get("artery")
    return name if name in ARTERIES else UNNAMED


def algorithm_parameters(result: ScoredResult) -> dict[str, str]:
    """What the algorithm is known by beside its name and version."""
    return {
        "weights": _plain(result.weights["name"]),
        "weights_sha256": _plain(result.weights["sha256"]),
    }


def label_of(key: str, result: ScoredResult) -> str:
    """What people call a segment; ASCII, whatever the character set of the source's names."""
    if key == HEART:
        return "Heart"
    if key == CLINICAL:
        clinical = result.clinical
        return f"Calcium >= {clinical['threshold_hu']:g} HU ({_plain(clinical['convention'])})"[:64]
    return f"CAC map, {key}"


def _description(
    number: int, key: str, result: ScoredResult, uid: str
) -> highdicom.seg.SegmentDescription:
    parameters = algorithm_parameters(result)
    if key == CLINICAL:
        parameters["convention"] = _plain(result.clinical["convention"])
        parameters["threshold_hu"] = f"{result.clinical['threshold_hu']:g}"
    heart = key == HEART
    return highdicom.seg.SegmentDescription(
        segment_number=number,
        segment_label=label_of(key, result),
        segmented_property_category=codes.CID7150.AnatomicalStructure if heart else CATEGORY,
        segmented_property_type=codes.SCT.Heart if heart else CALCIFICATION,
        algorithm_type=highdicom.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=highdicom.AlgorithmIdentificationSequence(
            name="cacnb",
            family=codes.CID7162.ArtificialIntelligence,
            version=cacnb.__version__,
            source="cacnb",
            parameters=parameters,
        ),
        tracking_uid=uid,
        tracking_id=label_of(key, result),
        anatomic_regions=None if heart else [ARTERIES.get(key, CORONARY)],
        display_color=highdicom.color.CIELabColor.from_rgb(*COLOURS[key]),
    )


def _plain(text: object) -> str:
    """Text that every DICOM character set and value representation has."""
    ascii_only = str(text).encode("ascii", "replace").decode("ascii")
    return ascii_only.replace("\\", "/").replace(",", " ").strip()
