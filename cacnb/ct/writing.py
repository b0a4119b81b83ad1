"""Volumes to image files and DICOM series, whole or not at all; it does not know any patient."""

from __future__ import annotations

import gzip
import os
import shutil
from pathlib import Path

import numpy as np
import SimpleITK
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid
from pydicom.valuerep import DSfloat

from cacnb.ct.image_headers import quiet_itk
from cacnb.ct.nifti import write_nifti
from cacnb.ct.volume import Volume
from cacnb.errors import InputError, UsageError
from cacnb.files import or_cannot_write

WRITABLE_ENDINGS = (".nii.gz", ".nii", ".nrrd", ".mha")
#: Stored value = HU − intercept: the offset that nearly every scanner writes.
RESCALE_INTERCEPT = -1024


def write_image(volume: Volume, path: Path) -> None:
    """Write a scan, map or mask as `.nii.gz`, `.nii`, `.nrrd` or `.mha`, whole or not at all.

    A mask becomes uint8, whole numbers that fit become int16, all else float32. Nothing but grid
    and values is written: no names, no dates. An existing file is replaced only by a whole one.

    Raises
    ------
    InputError
        `cannot_write` where the disk is full or the folder cannot be written.
    UsageError
        Where the path's ending is none of the four.
    """
    ending = next((e for e in WRITABLE_ENDINGS if path.name.lower().endswith(e)), None)
    if ending is None:
        raise UsageError(f"{path.name} was to be written, one of {', '.join(WRITABLE_ENDINGS)} "
                         "was wanted: change the ending")  # fmt: skip
    array = _stored(volume.array)
    with or_cannot_write(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.{os.getpid()}.part{ending}")
        try:
            if ending.startswith(".nii"):
                _write_nifti(part, array, volume)
            else:
                _write_itk(part, array, volume)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


def write_dicom_series(
    volume: Volume,
    folder: Path,
    *,
    kvp: float = 120.0,
    slice_thickness_mm: float | None = None,
    series_uid: str | None = None,
    study_uid: str | None = None,
    frame_of_reference_uid: str | None = None,
    patient_pseudonym: str = "anonymous",
    description: str = "",
    seed: str = "",
    manufacturer: str = "cacnb",
) -> tuple[Path, ...]:
    """Write a scan in HU as a series of CT Image Storage, one file a slice from feet to head.

    The same volume geometry, pseudonym, description and seed give the same UIDs; UIDs that are
    given are kept. HU are rounded and stored as int16 with slope 1 and intercept −1024. Returns
    the files, `slice_0001.dcm` the lowest.

    Raises
    ------
    InputError
        `not_finite` where a voxel is no number or does not fit; `not_empty` where the folder holds
        files; `cannot_write` where the disk refuses: then nothing is left behind.
    """
    hu = volume.array
    stored = np.round(hu.astype(np.float64)) - RESCALE_INTERCEPT
    if not np.isfinite(stored).all() or stored.min() < -32768 or stored.max() > 32767:
        raise InputError(
            "not_finite",
            "the volume holds values that int16 does not, HU were wanted: clip it first",
        )
    entropy = [patient_pseudonym, description, seed, repr(volume.spacing_mm), repr(volume.shape)]
    study = study_uid or generate_uid(entropy_srcs=["study", *entropy])
    series = series_uid or generate_uid(entropy_srcs=["series", *entropy])
    frame = frame_of_reference_uid or generate_uid(entropy_srcs=["frame", study, *entropy])
    common = _series_attributes(volume, patient_pseudonym, description, manufacturer)
    common.StudyInstanceUID, common.SeriesInstanceUID = study, series
    common.FrameOfReferenceUID = frame
    common.KVP = _ds(kvp)
    common.SliceThickness = _ds(slice_thickness_mm or volume.spacing_mm[0])

    with or_cannot_write(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        if folder.exists() and any(folder.iterdir()):
            raise InputError(
                "not_empty",
                f"{folder} holds files already, an empty folder was wanted: choose another one",
            )
        part = folder.with_name(f".{folder.name}.{os.getpid()}.part")
        try:
            part.mkdir()
            for index in range(volume.shape[0]):
                pixels = stored[index].astype("<i2")
                _save_slice(common, volume, index, pixels, part / f"slice_{index + 1:04d}.dcm")
            if folder.exists():
                folder.rmdir()
            part.replace(folder)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    return tuple(sorted(folder.iterdir()))


def _series_attributes(
    volume: Volume, patient_pseudonym: str, description: str, manufacturer: str
) -> Dataset:
    """The attributes of type 1 and 2 of the CT Image IOD (PS3.3, A.3) that slices share."""
    _, y_mm, x_mm = volume.spacing_mm
    common = Dataset()
    common.SpecificCharacterSet = "ISO_IR 192"
    common.ImageType = ["DERIVED", "PRIMARY", "AXIAL"]
    common.SOPClassUID = CTImageStorage
    common.StudyDate = common.StudyTime = common.AccessionNumber = ""
    common.Modality = "CT"
    common.Manufacturer = manufacturer
    common.ReferringPhysicianName = ""
    if description:
        common.SeriesDescription = description
    common.PatientName = common.PatientID = patient_pseudonym
    common.PatientBirthDate = common.PatientSex = ""
    common.StudyID = ""
    common.SeriesNumber = 1
    common.AcquisitionNumber = 1
    common.PatientPosition = "HFS"
    common.PositionReferenceIndicator = ""
    common.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    common.PixelSpacing = [_ds(y_mm), _ds(x_mm)]
    common.SamplesPerPixel = 1
    common.PhotometricInterpretation = "MONOCHROME2"
    common.Rows, common.Columns = volume.shape[1:]
    common.BitsAllocated = common.BitsStored = 16
    common.HighBit = 15
    common.PixelRepresentation = 1
    common.RescaleIntercept = RESCALE_INTERCEPT
    common.RescaleSlope = 1
    common.RescaleType = "HU"
    return common


def _save_slice(
    common: Dataset, volume: Volume, index: int, pixels: NDArray[np.generic], path: Path
) -> None:
    sop_uid = generate_uid(entropy_srcs=[str(common.SeriesInstanceUID), str(index)])
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = sop_uid
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image = FileDataset(path, common, file_meta=meta, preamble=b"\0" * 128)
    image.SOPInstanceUID = sop_uid
    image.InstanceNumber = index + 1
    z, y, x = volume.to_mm((index, 0, 0))
    image.ImagePositionPatient = [_ds(x), _ds(y), _ds(z)]
    image.PixelData = pixels.tobytes()
    image["PixelData"].VR = "OW"
    image.save_as(path, enforce_file_format=True)


def _ds(value: float) -> DSfloat:
    """A decimal string of at most 16 characters (PS3.5, 6.2)."""
    return DSfloat(float(value), auto_format=True)


def _stored(array: NDArray[np.generic]) -> NDArray[np.generic]:
    if array.dtype == np.bool_:
        return array.astype(np.uint8)
    values = array.astype(np.float32, copy=False)
    rounded = np.rint(values)
    fits = bool((np.abs(rounded) <= 32767).all())  # NaN and infinity do not
    return rounded.astype(np.int16) if fits and np.array_equal(values, rounded) else values


def _write_nifti(path: Path, array: NDArray[np.generic], volume: Volume) -> None:
    z, y, x = volume.spacing_mm
    affine = np.column_stack([np.diag([x, y, z]), volume.origin_mm[::-1]])
    with path.open("wb") as file:
        if path.name.endswith(".gz"):
            # No name, no time: the same volume gives the same bytes.
            with gzip.GzipFile("", "wb", compresslevel=1, fileobj=file, mtime=0) as packed:
                write_nifti(packed, array, affine)
        else:
            write_nifti(file, array, affine)
        file.flush()
        os.fsync(file.fileno())


def _write_itk(path: Path, array: NDArray[np.generic], volume: Volume) -> None:
    image = SimpleITK.GetImageFromArray(array)
    image.SetSpacing(volume.spacing_mm[::-1])
    image.SetOrigin(volume.origin_mm[::-1])
    with quiet_itk():
        SimpleITK.WriteImage(image, str(path), useCompression=True)
