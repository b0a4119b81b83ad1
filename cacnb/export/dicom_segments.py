"""Named masks on a series' own pixels as one DICOM Segmentation; it does not know who made them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import highdicom
import numpy as np
from numpy.typing import NDArray

from cacnb.export.dicom_source import EQUIPMENT, DicomSource, or_undecodable


def segmentation_of(
    source: DicomSource,
    planes: Sequence[NDArray[np.bool_]],
    descriptions: Sequence[highdicom.seg.SegmentDescription],
    *,
    series_number: int,
    label: str,
    description: str,
    series_description: str,
) -> Any:
    """A binary Segmentation (PS3.3, A.51) with one frame for each slice that shows a segment.

    Every call makes UIDs of its own: an archive takes each export as a new result.

    Parameters
    ----------
    planes
        For each segment its mask (slice, row, column) on the source's pixels; not all are empty.
    descriptions
        For each segment what it is, numbered from 1.
    label
        A word in capitals (CS) that a viewer names the whole by.

    Raises
    ------
    InputError
        `undecodable` where the series' headers do not make a Segmentation.
    """
    shown = np.flatnonzero(np.any([plane.any(axis=(1, 2)) for plane in planes], axis=0))
    first, last = int(shown[0]), int(shown[-1])
    if source.frames is None:
        images = source.images[first : last + 1]
        # One bool plane a segment: they may overlap, and their numbers need not be labels.
        pixels = np.stack([plane[first : last + 1] for plane in planes], axis=-1)
    else:
        images = source.images
        stacked = np.stack(planes, axis=-1)
        pixels = np.zeros_like(stacked)
        pixels[list(source.frames)] = stacked
    with or_undecodable(source.series):
        made = highdicom.seg.Segmentation(
            source_images=images,
            pixel_array=pixels,
            segmentation_type=highdicom.seg.SegmentationTypeValues.BINARY,
            segment_descriptions=descriptions,
            series_instance_uid=highdicom.UID(),
            series_number=series_number,
            sop_instance_uid=highdicom.UID(),
            instance_number=1,
            content_label=label,
            content_description=description,
            **EQUIPMENT,
        )
        made.SeriesDescription = series_description
        return made
