"""Who a series is of and when it was made, to be hashed and forgotten; it writes nothing.

This is the one module that reads names and dates. Its values go into a keyed hash and into the
user's own key folder; none goes into a study, a message or a log.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset

from cacnb.ct.dicom_headers import quiet_pydicom
from cacnb.ct.known_words import known_kernel, known_manufacturer, known_model

_KEYWORDS = [
    "PatientID", "PatientName", "PatientBirthDate", "StudyInstanceUID", "SeriesInstanceUID",
    "SOPInstanceUID", "FrameOfReferenceUID", "StudyDate", "StudyTime", "SeriesDate", "SeriesTime",
    "AcquisitionDate", "AcquisitionTime", "AcquisitionDateTime", "ContentDate", "ContentTime",
    "Manufacturer", "ManufacturerModelName", "ConvolutionKernel",
]  # fmt: skip
#: When a series was made, by what says it best: (date, time).
_TIMES = (
    ("AcquisitionDateTime", ""), ("AcquisitionDate", "AcquisitionTime"),
    ("SeriesDate", "SeriesTime"), ("StudyDate", "StudyTime"), ("ContentDate", "ContentTime"),
)  # fmt: skip
#: Numbers that stand where a patient's was taken out: they are nobody's.
_NOBODY = re.compile(
    r"\W*(?:anon|anonymous|anonymi[sz]ed|none|null|unknown|removed|patient|x+|0+|n/?a)?\W*", re.I
)


@dataclass(frozen=True, repr=False)
class SeriesIdentity:
    """What identifies a series, as text to be hashed; `made_at` is None where no date is told.

    `patient` is empty where the header names nobody. Maker, model and kernel are of known words.
    """

    patient: str
    study_uid: str
    series_uid: str
    first_sop_uid: str
    frame_uid: str
    made_at: datetime | None
    manufacturer: str
    model: str
    kernel: str


def read_identity(files: Sequence[Path]) -> SeriesIdentity:
    """The identity of a DICOM series by its first and last file; raises ValueError or OSError."""
    try:
        with quiet_pydicom():
            heads = [
                pydicom.dcmread(file, force=True, stop_before_pixels=True, specific_tags=_KEYWORDS)
                for file in dict.fromkeys((files[0], files[-1]))
            ]
            first = heads[0]
            times = [time for head in heads if (time := _made_at(head)) is not None]
            return SeriesIdentity(
                patient=_patient(first),
                study_uid=_text(first, "StudyInstanceUID"),
                series_uid=_text(first, "SeriesInstanceUID"),
                first_sop_uid=_text(first, "SOPInstanceUID"),
                frame_uid=_text(first, "FrameOfReferenceUID"),
                made_at=min(times, default=None),
                manufacturer=known_manufacturer(_text(first, "Manufacturer")),
                model=known_model(_text(first, "ManufacturerModelName")),
                kernel=known_kernel(_text(first, "ConvolutionKernel")),
            )
    except OSError:
        raise
    except Exception as error:  # a damaged header breaks parsers anywhere: struct, zlib, …
        raise ValueError("the header is damaged") from error


def _patient(head: Dataset) -> str:
    """The patient by number, else by name and birth date, else by study; "" for nobody."""
    number = _text(head, "PatientID")
    if not _NOBODY.fullmatch(number):
        return f"number {number.casefold()}"
    name, born = _text(head, "PatientName"), _text(head, "PatientBirthDate")
    if not _NOBODY.fullmatch(name.replace("^", "")):
        return f"name {name.casefold()} {born}"
    study = _text(head, "StudyInstanceUID")
    return f"study {study}" if study else ""


def _made_at(head: Dataset) -> datetime | None:
    for date, time in _TIMES:
        told = _text(head, date)
        digits = re.match(r"\d{14}" if not time else r"\d{8}", told)
        clock = re.match(r"\d{4,6}", _text(head, time)) if time else None
        if digits is None or (time and clock is None):
            continue
        text = digits[0] + (clock[0].ljust(6, "0") if clock else "")
        try:
            return datetime.strptime(text, "%Y%m%d%H%M%S")
        except ValueError:
            continue
    return None


def _text(head: Dataset, keyword: str) -> str:
    value = head.get(keyword)
    if value is None:
        return ""
    if not isinstance(value, str) and isinstance(value, Sequence):
        return "\\".join(str(part) for part in value)
    return str(value).strip()
