"""Painted artery regions to a DICOM Segmentation for the archive; it does not know who painted."""

from __future__ import annotations

from pathlib import Path

import highdicom
import numpy as np
from pydicom.sr.codedict import codes

from cacnb.ct.series import Series
from cacnb.ct.volume import Volume
from cacnb.errors import InputError
from cacnb.export.dicom_segments import segmentation_of
from cacnb.export.dicom_source import encoded, or_undecodable, read_source
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


def write_segmentation(regions: Volume, series: Series, path: Path) -> None:
    """Write artery regions as a DICOM Segmentation of the series that they were painted on.

    One segment an artery that has a voxel, one frame for each slice that shows it, on the slices'
    own pixels whatever their order and orientation. The algorithm type is MANUAL.

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
    source = read_source(series)
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
    if not source.grid.same_grid(regions):
        slices, rows, columns = source.slices, *source.grid.shape[1:]
        raise InputError(
            "different_grid",
            f"the regions stand on {regions.shape} voxels (z, y, x) from {regions.origin_mm} "
            f"mm, the scan has {slices} slices of {rows} × {columns} elsewhere: "
            "paint on this scan",
        )
    labels = source.on_pixels(np.rint(regions.array).astype(np.uint8))
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
    made = segmentation_of(
        source,
        [labels == label for label in found],
        descriptions,
        series_number=SERIES_NUMBER,
        label="CAC_REGIONS",
        description="Coronary lesion regions",
        series_description="Coronary lesion regions (painted)",
    )
    with or_undecodable(series):
        content = encoded(made)
    write_atomically(content, path)
