"""A series of CT slices written anew without its patient; it does not know where they go.

Two layers. First only what stands in the tables here is taken over, numbers within their bounds
and words of known lists: names, dates, private elements, sequences, overlays and everything that
nobody thought of stay behind. Then the standard's Basic Application Level Confidentiality Profile
(PS3.15, annex E, table E.1-1 of 2026c, by dicom-anonymizer) is laid over what is left.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from pydicom.valuerep import DSfloat

from cacnb.ct.dicom_headers import quiet_pydicom
from cacnb.ct.image_headers import quiet_itk
from cacnb.ct.known_words import known_kernel, known_manufacturer, known_model
from cacnb.errors import InputError
from cacnb.files import or_cannot_write

#: Elements of numbers that are taken over, and between which bounds a number means what it says.
NUMBERS: dict[str, tuple[int, float, float]] = {
    "KVP": (1, 40, 200),
    "SliceThickness": (1, 0.05, 50),
    "SpacingBetweenSlices": (1, -50, 50),
    "GantryDetectorTilt": (1, -45, 45),
    "DataCollectionDiameter": (1, 50, 1000),
    "ReconstructionDiameter": (1, 50, 1000),
    "XRayTubeCurrent": (1, 1, 2000),
    "PixelSpacing": (2, 0.05, 10),
    "ImagePositionPatient": (3, -5000, 5000),
    "ImageOrientationPatient": (6, -1, 1),
    "RescaleSlope": (1, 1e-3, 1e3),
    "RescaleIntercept": (1, -33000, 33000),
}
#: Elements of words that are taken over, and the words.
WORDS: dict[str, set[str]] = {
    "ImageType": {"ORIGINAL", "DERIVED", "PRIMARY", "SECONDARY", "AXIAL", "LOCALIZER"},
    "PatientPosition": {"HFS", "HFP", "HFDL", "HFDR", "FFS", "FFP", "FFDL", "FFDR"},
    "RescaleType": {"HU", "US"},
}
#: Elements of UIDs that are replaced by the study's own.
UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID")
#: Elements that a CT image must have, and which stay empty (PS3.3, type 2).
EMPTY = (
    "StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName", "PatientBirthDate",
    "PatientSex", "StudyID", "PositionReferenceIndicator",
)  # fmt: skip
#: Which profile was laid over (PS3.16, CID 7050).
PROFILE = ("113100", "DCM", "Basic Application Confidentiality Profile")


def plausible(keyword: str, number: float | None) -> float | None:
    """A number of an element of `NUMBERS` within its bounds; None for all others.

    Example
    -------
    >>> plausible("KVP", 120.0), plausible("KVP", 7734190255.0)
    (120.0, None)
    """
    _, low, high = NUMBERS[keyword]
    return number if number is not None and low <= number <= high else None


def write_clean_series(
    files: Sequence[Path], folder: Path, *, patient: str, scan: str, new_uid: Callable[[str], str]
) -> None:
    """Write slices into a folder as `slice_0001.dcm` …, cleaned, whole or not at all.

    Pixels are written uncompressed with the rescale of the original, so that nothing can hide in
    them or behind them.

    Parameters
    ----------
    files
        The slices of one series, one file each, in order from feet to head.
    patient
        Stands in the place of the patient's name and number.
    scan
        Stands in the place of UIDs that the files do not have.
    new_uid
        The UID that stands for another one, always the same.

    Raises
    ------
    InputError
        `undecodable` where a slice cannot be read; `cannot_write`. Then nothing is left behind.
    """
    part = folder.with_name(f".{folder.name}.part")
    with or_cannot_write(folder):
        shutil.rmtree(part, ignore_errors=True)  # of a call that was stopped
        part.mkdir(parents=True)
        try:
            for number, file in enumerate(files, start=1):
                slice_file = part / f"slice_{number:04d}.dcm"
                _cleaned(file, number, patient, scan, new_uid).save_as(
                    slice_file, enforce_file_format=True
                )
            shutil.rmtree(folder, ignore_errors=True)
            part.replace(folder)
        finally:
            shutil.rmtree(part, ignore_errors=True)


def _cleaned(
    file: Path, number: int, patient: str, scan: str, new_uid: Callable[[str], str]
) -> FileDataset:
    try:
        with quiet_pydicom():
            source = pydicom.dcmread(file, force=True, stop_before_pixels=True)
            clean = _taken_over(source)
            pixels = _stored_pixels(file, clean)
            for keyword in UIDS:
                own = f"{keyword} {scan} {number if keyword == 'SOPInstanceUID' else ''}"
                setattr(clean, keyword, _text(source, keyword) or own)
            lay_profile_over(clean, new_uid)
    except Exception as error:  # a damaged file breaks parsers anywhere: struct, zlib, …
        raise InputError(
            "undecodable", "a slice cannot be read to be cleaned, whole ones were wanted"
        ) from error
    clean.SOPClassUID = CTImageStorage
    clean.Modality = "CT"
    clean.PatientName = clean.PatientID = patient
    clean.InstanceNumber, clean.SeriesNumber, clean.AcquisitionNumber = number, 1, 1
    for keyword in EMPTY:
        setattr(clean, keyword, "")
    clean.PatientIdentityRemoved = "YES"
    clean.DeidentificationMethod = "cacnb: allow-list, then PS3.15 basic profile"
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = PROFILE
    clean.DeidentificationMethodCodeSequence = [code]
    _set_pixels(clean, pixels)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = clean.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return FileDataset("", clean, file_meta=meta, preamble=b"\0" * 128)


def lay_profile_over(dataset: Dataset, new_uid: Callable[[str], str]) -> None:
    """Lay PS3.15's basic profile over a data set in place; UIDs become those of `new_uid`."""
    from dicomanonymizer.simpledicomanonymizer import (
        anonymize_dataset,
        initialize_actions,
        replace_UID,
    )

    def renamed(within: Dataset, tag: tuple[int, int]) -> None:
        if tag in within:
            within[tag].value = new_uid(str(within[tag].value))

    def rules() -> dict[tuple[int, ...], object]:
        actions = initialize_actions("dicomfields_2026c")
        return {tag: renamed if act is replace_UID else act for tag, act in actions.items()}

    anonymize_dataset(dataset, delete_private_tags=True, base_rules_gen=rules)


def _taken_over(source: Dataset) -> Dataset:
    clean = Dataset()
    clean.SpecificCharacterSet = "ISO_IR 192"
    for keyword, (count, low, high) in NUMBERS.items():
        numbers = _numbers(source, keyword)
        if len(numbers) == count and all(low <= number <= high for number in numbers):
            values = [DSfloat(number, auto_format=True) for number in numbers]
            setattr(clean, keyword, values if count > 1 else values[0])
    for keyword, words in WORDS.items():
        known = [word for word in _text(source, keyword).upper().split("\\") if word in words]
        if known:
            setattr(clean, keyword, known if len(known) > 1 else known[0])
    clean.Manufacturer = known_manufacturer(_text(source, "Manufacturer"))
    clean.ManufacturerModelName = known_model(_text(source, "ManufacturerModelName"))
    clean.ConvolutionKernel = known_kernel(_text(source, "ConvolutionKernel")).split("\\")
    return clean


def _numbers(source: Dataset, keyword: str) -> list[float]:
    try:
        numbers = [float(text) for text in _text(source, keyword).split("\\")]
    except ValueError:
        return []
    return numbers if np.isfinite(numbers).all() else []


def _text(source: Dataset, keyword: str) -> str:
    value = source.get(keyword)
    if value is None:
        return ""
    if not isinstance(value, str) and isinstance(value, Sequence):
        return "\\".join(str(part) for part in value)
    return str(value)


def _stored_pixels(file: Path, clean: Dataset) -> NDArray[np.generic]:
    """The stored values (row, column) of a slice: HU less its rescale, as 16-bit integers."""
    with quiet_itk():
        hu = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(file), SimpleITK.sitkFloat64))
    if hu.shape[0] != 1 or hu.ndim != 3:
        raise ValueError("the file is not one slice")
    slope, intercept = float(clean.RescaleSlope), float(clean.RescaleIntercept)
    stored = np.rint((hu[0] - intercept) / slope)
    kind = np.dtype("<i2") if stored.min() < 0 else np.dtype("<u2")
    limits = np.iinfo(kind)
    if stored.min() < limits.min or stored.max() > limits.max:
        raise ValueError("the pixels do not fit 16 bits")
    pixels: NDArray[np.generic] = stored.astype(kind)
    return pixels


def _set_pixels(clean: Dataset, pixels: NDArray[np.generic]) -> None:
    clean.SamplesPerPixel = 1
    clean.PhotometricInterpretation = "MONOCHROME2"
    clean.Rows, clean.Columns = pixels.shape
    clean.BitsAllocated = clean.BitsStored = 16
    clean.HighBit = 15
    clean.PixelRepresentation = int(pixels.dtype.kind == "i")
    clean.PixelData = pixels.tobytes()
    clean["PixelData"].VR = "OW"
