"""One segment of a DICOM Segmentation as a mask on its own grid; it does not know the scan's."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cacnb.ct.dicom_headers import quiet_pydicom
from cacnb.ct.heart_names import HEART_CODES, choose_heart
from cacnb.ct.mask_placing import PlacedMask
from cacnb.errors import InputError

#: What a fractional segment must reach to be in the mask.
FRACTION_THRESHOLD = 0.5


def read_segment(path: Path, structure: str | None = None) -> PlacedMask:
    """The heart of a DICOM SEG, or the segment that is named or numbered.

    The heart is found by the code of the segment's type (SNOMED CT and its like), else by its
    label. Frames that the file leaves out are empty.

    Raises
    ------
    InputError
        `undecodable` where the file is damaged or its frames make no volume; `no_structure`,
        `several_structures`.
    """
    import highdicom  # a second to import: only where a Segmentation is read

    try:
        with quiet_pydicom():
            segmentation = highdicom.seg.segread(path)
            names, coded = {}, set()
            for number in segmentation.segment_numbers:
                segment = segmentation.get_segment_description(number)
                kind = segment.segmented_property_type
                names[int(number)] = str(segment.segment_label)
                if (str(kind.scheme_designator), str(kind.value)) in HEART_CODES:
                    coded.add(int(number))
            number = choose_heart(names, structure, coded)
            volume = segmentation.get_volume(segment_numbers=[number])
    except InputError:
        raise
    except Exception as error:  # a damaged file breaks parsers anywhere: struct, zlib, …
        raise InputError(
            "undecodable",
            "the DICOM Segmentation cannot be read as a volume, evenly spaced whole frames were "
            "wanted: export it again",
        ) from error
    array = np.asarray(volume.array)[..., 0] >= FRACTION_THRESHOLD  # (slice, row, column)
    affine = np.asarray(volume.affine, dtype=np.float64)[:3, [2, 1, 0, 3]]
    return PlacedMask(array, affine)
