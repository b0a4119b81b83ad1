"""Painted artery regions to a DICOM Segmentation for the archive; it does not know who painted.

A Segmentation belongs to its patient's study in the archive, so the standard has it carry what the
source images say of patient and study: name, number, dates (PS3.3, A.51). They are copied into the
file and go nowhere else: not into a message, and the file's name is the caller's scan key.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import highdicom
import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.sr.codedict import codes

import cacnb
from cacnb.ct.dicom_headers import quiet_pydicom, read_header
from cacnb.ct.geometry import Affine, patient_axes, to_patient_axes
from cacnb.ct.image_headers import is_image
from cacnb.ct.series import Series
from cacnb.ct.slice_stack import stack
from cacnb.ct.volume import Volume
from cacnb.errors import InputError
from cacnb.files import write_atomically

#: Artery of each label of a region image and its code (SNOMED CT, PS3.16 CID 3015).
ARTERY_CODES = {
    1: ("LAD", codes.CID3015.LeftAnteriorDescendingCoronaryArtery),
    2: ("LCX", codes.CID3015.CircumflexCoronaryArtery),
    3: ("RCA", codes.CID3015.RightCoronaryArtery),
}

#: What is segmented: no artery but a lesion in one (PS3.16 CID 7150 and 7159).
CATEGORY, KIND = codes.CID7150.MorphologicallyAbnormalStructure, codes.CID7159.Lesion

#: DICOM numbers a series within its study; results of software begin high, behind the scanner's.
SERIES_NUMBER = 9001

#: The Clinical Trial Subject module (PS3.3, C.7.1.3).
TRIAL_SUBJECT_KEYWORDS = (
    "ClinicalTrialSponsorName", "ClinicalTrialProtocolID", "IssuerOfClinicalTrialProtocolID",
    "ClinicalTrialProtocolName", "ClinicalTrialSiteID", "IssuerOfClinicalTrialSiteID",
    "ClinicalTrialSiteName", "ClinicalTrialSubjectID", "IssuerOfClinicalTrialSubjectID",
    "ClinicalTrialSubjectReadingID", "IssuerOfClinicalTrialSubjectReadingID",
    "ClinicalTrialProtocolEthicsCommitteeName",
    "ClinicalTrialProtocolEthicsCommitteeApprovalNumber",
)  # fmt: skip


def write_segmentation(regions: Volume, series: Series, path: Path) -> None:
    """Write artery regions as a DICOM Segmentation of the series that they were painted on.

    One segment an artery that has a voxel, one frame for each slice that shows it, on the slices'
    own pixels whatever their order and orientation. The algorithm type is MANUAL. Every file has
    UIDs of its own: an archive takes each export as a new result.

    Parameters
    ----------
    regions
        Labels 1 LAD, 2 LCX, 3 RCA, 0 elsewhere, (z, y, x) on the grid of `read_scan`.
    series
        The scan, as `read_scan` gives it.
    path
        The `.dcm` file; an existing one is replaced only by a whole one.

    Raises
    ------
    InputError
        `not_dicom` where the scan is an image file, `no_regions` where nothing is painted,
        `different_grid`, `unknown_label`, `cannot_write`, and `undecodable` where the series'
        headers do not make a Segmentation.
    """
    if is_image(series.files[0]):
        raise InputError(
            "not_dicom",
            f"{series.path} is an image file, a DICOM series was wanted for a Segmentation to "
            "refer to: export the regions as NIfTI instead",
        )
    found = [int(label) for label in np.unique(regions.array) if label]
    if not found:
        raise InputError(
            "no_regions", "no region is painted, a Segmentation needs one: paint a lesion first"
        )
    if set(found) - set(ARTERY_CODES):
        raise InputError(
            "unknown_label",
            f"the regions hold label {max(found)}, 1 LAD, 2 LCX and 3 RCA were wanted",
        )
    with quiet_pydicom():
        headers = [header for file in series.files if (header := read_header(file)) is not None]
        ordered, affine, _ = stack(headers)
        if affine is None or len(ordered) != len(series.files):
            raise _undecodable(series)
        pixels = (len(ordered), ordered[0].rows, ordered[0].columns)
        if not to_patient_axes(np.broadcast_to(np.False_, pixels), affine).same_grid(regions):
            raise InputError(
                "different_grid",
                f"the regions stand on {regions.shape} voxels (z, y, x) from {regions.origin_mm} "
                f"mm, the scan has {pixels[0]} slices of {pixels[1]} × {pixels[2]} elsewhere: "
                "paint on this scan",
            )
        labels = _on_source_pixels(regions, affine)
        try:
            images = [pydicom.dcmread(h.path, stop_before_pixels=True) for h in ordered]
            content = _segmentation(images, labels, found)
        except (AttributeError, ValueError, TypeError, KeyError) as error:
            raise _undecodable(series) from error
    write_atomically(content, path)


def _on_source_pixels(regions: Volume, affine: Affine) -> NDArray[np.uint8]:
    """The labels (slice, row, column) on the series' own pixels: `to_patient_axes` backwards."""
    x, y, z = patient_axes(affine)
    array = np.rint(regions.array).astype(np.uint8)
    for row, axis in ((2, z), (1, y), (0, x)):
        if affine[row, axis] < 0:
            array = np.flip(array, 2 - row)
    return np.ascontiguousarray(np.transpose(array, np.argsort((2 - z, 2 - y, 2 - x))))


def _segmentation(
    images: Sequence[pydicom.Dataset], labels: NDArray[np.uint8], found: list[int]
) -> bytes:
    descriptions = [
        highdicom.seg.SegmentDescription(
            segment_number=number,
            segment_label=f"{ARTERY_CODES[label][0]} lesion region",
            segmented_property_category=CATEGORY,
            segmented_property_type=KIND,
            algorithm_type=highdicom.seg.SegmentAlgorithmTypeValues.MANUAL,
            anatomic_regions=[ARTERY_CODES[label][1]],
        )
        for number, label in enumerate(found, start=1)
    ]
    # One bool plane a segment: without it numbers of segments would have to be those of labels.
    planes = np.stack([labels == label for label in found], axis=-1)
    segmentation = highdicom.seg.Segmentation(
        source_images=images,
        pixel_array=planes,
        segmentation_type=highdicom.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=descriptions,
        series_instance_uid=highdicom.UID(),
        series_number=SERIES_NUMBER,
        sop_instance_uid=highdicom.UID(),
        instance_number=1,
        manufacturer="cacnb",
        manufacturer_model_name="cacnb",
        software_versions=cacnb.__version__,
        device_serial_number=cacnb.__version__,  # type 1, and software has no other number
        content_label="CAC_REGIONS",
        content_description="Coronary lesion regions",
    )
    segmentation.SeriesDescription = "Coronary lesion regions (painted)"
    _drop_incomplete_trial(segmentation)
    file = io.BytesIO()
    segmentation.save_as(file)
    return file.getvalue()


def _drop_incomplete_trial(segmentation: pydicom.Dataset) -> None:
    """Leave out a Clinical Trial Subject module whose subject is empty, as de-identifiers leave it.

    The module is optional, but where it stands one of the two is of type 1C (PS3.3, C.7.1.3).
    """
    if segmentation.get("ClinicalTrialSubjectID") or segmentation.get(
        "ClinicalTrialSubjectReadingID"
    ):
        return
    for keyword in TRIAL_SUBJECT_KEYWORDS:
        if keyword in segmentation:
            delattr(segmentation, keyword)


def _undecodable(series: Series) -> InputError:
    return InputError(
        "undecodable",
        f"the headers of {series.path} make no Segmentation, patient, study and frame of "
        "reference were wanted in each: send the series again from the archive",
    )
