"""Which series an RTSTRUCT or a DICOM SEG was drawn on; it does not know what was drawn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pydicom
from pydicom.dataset import Dataset

from cacnb.ct.dicom_headers import quiet_pydicom

_KINDS: dict[str, Literal["rtstruct", "seg"]] = {
    "1.2.840.10008.5.1.4.1.1.481.3": "rtstruct",
    "1.2.840.10008.5.1.4.1.1.66.4": "seg",
    "1.2.840.10008.5.1.4.1.1.66.7": "seg",  # a label map, since 2024
}
#: Where the two say what they refer to; contours and frames are passed over.
_KEYWORDS = [
    "SOPClassUID", "FrameOfReferenceUID", "ReferencedFrameOfReferenceSequence",
    "ReferencedSeriesSequence",
]  # fmt: skip


@dataclass(frozen=True)
class MaskObject:
    """A file of structures: its kind, and the series and frames of reference that it refers to."""

    path: Path
    kind: Literal["rtstruct", "seg"]
    series_uids: frozenset[str]
    frames: frozenset[str]

    def may_belong_to(self, series_uid: str | None, frame_of_reference: str) -> bool:
        """Whether it refers to a series, or where it names none, to its frame of reference."""
        if self.series_uids and series_uid:
            return series_uid in self.series_uids
        return bool(frame_of_reference) and frame_of_reference in self.frames


def mask_object(path: Path) -> MaskObject | None:
    """What an RTSTRUCT or DICOM SEG refers to; None for a file that is neither."""
    try:
        with quiet_pydicom():
            dataset = pydicom.dcmread(
                path, force=True, stop_before_pixels=True, specific_tags=_KEYWORDS
            )
            kind = _KINDS.get(str(dataset.get("SOPClassUID", "")))
            if kind is None:
                return None
            frames = dataset.get("ReferencedFrameOfReferenceSequence", [])
            return MaskObject(
                path=path,
                kind=kind,
                series_uids=frozenset(_series_of(dataset)),
                frames=frozenset(
                    str(item.get("FrameOfReferenceUID", "")) for item in (dataset, *frames)
                )
                - {"", "None"},
            )
    except Exception:  # a damaged file breaks parsers anywhere, and is no mask
        return None


def _series_of(dataset: Dataset) -> Iterator[str]:
    for item in dataset.get("ReferencedSeriesSequence", []):
        yield str(item.SeriesInstanceUID)
    for frame in dataset.get("ReferencedFrameOfReferenceSequence", []):
        for study in frame.get("RTReferencedStudySequence", []):
            for series in study.get("RTReferencedSeriesSequence", []):
                yield str(series.SeriesInstanceUID)
