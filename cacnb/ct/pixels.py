"""One slice's pixels as HU; it does not know the other slices.

Uncompressed pixels are read here as the header describes them, every slice by its own (a series may
mix signed and unsigned ones); compressed ones are decoded by GDCM through SimpleITK.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK
from numpy.typing import NDArray
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import UID, CTImageStorage

from cacnb.ct.dicom_elements import BIG_ENDIAN, DEFLATED, is_from_system, quiet_pydicom
from cacnb.ct.dicom_headers import NATIVE, SliceHeader
from cacnb.ct.image_headers import quiet_itk
from cacnb.errors import InputError

#: HU of nothing; scanners pad the square image around the round field with less.
AIR_HU = -1024.0
#: No CT number is above: 15 bits less the usual intercept.
HIGHEST_HU = 31_743.0
#: A stated padding value is taken out only where it is no value of a body: not in this range.
BODY_HU = (-900.0, 3071.0)
#: Padding that was written as unsigned (63536 for −2000, 62512 for −3024): HU of what was meant.
PADDING_HU = (-6000.0, AIR_HU)

Floats = NDArray[np.float32]


def slices_hu(slices: tuple[SliceHeader, ...]) -> Floats:
    """Slices (or frames of one file) in the order given, (k, j, i) in HU, padding as air.

    Raises
    ------
    InputError
        `not_hu` where values are beyond any CT number and are not padding either.
    ValueError, OSError, RuntimeError
        Where a file cannot be decoded, or not to the size that its header states.
    """
    first = slices[0]
    array = np.empty((len(slices), first.rows, first.columns), np.float32)
    with quiet_pydicom(), quiet_itk():
        for index, plane in enumerate(_planes(slices)):
            if plane.shape != array.shape[1:]:
                raise ValueError("the decoder gave another size than the header states")
            array[index] = without_padding(plane, slices[index])
    return array


def without_padding(hu: Floats, header: SliceHeader) -> Floats:
    """HU in which padding is air: what the header states, and what was written as unsigned.

    Raises
    ------
    InputError
        `not_hu` where values beyond `HIGHEST_HU` are no padding.
    """
    slope, intercept = header.slope or 1.0, header.intercept or 0.0
    if header.padding is not None:
        bounds = [_as_stored(value, header) * slope + intercept for value in header.padding]
        low, high = min(bounds) - 1e-3, max(bounds) + 1e-3
        if high < BODY_HU[0] or low > BODY_HU[1]:
            hu[(hu >= low) & (hu <= high)] = AIR_HU
    beyond = hu > HIGHEST_HU
    if beyond.any():
        meant = hu[beyond] - np.float32(abs(slope) * 2**header.bits_stored)
        if header.signed or meant.min() < PADDING_HU[0] or meant.max() > PADDING_HU[1]:
            raise InputError(
                "not_hu",
                f"a slice holds values up to {hu.max():.0f} HU, at most {HIGHEST_HU:.0f} were "
                "wanted: its signs or its rescale tags are wrong; export the series again",
            )
        hu[beyond] = AIR_HU
    return hu


def _as_stored(value: int, header: SliceHeader) -> int:
    """A padding value, which is kept as two unsigned bytes, as the pixels' kind of number."""
    return value - (1 << 16) if header.signed and value >= 1 << 15 else value


def _planes(slices: tuple[SliceHeader, ...]) -> Iterator[Floats]:
    first = slices[0]
    if first.frames > 1 and first.transfer_syntax not in NATIVE | {DEFLATED}:
        with _frame_files(first) as files:
            for header in slices:
                yield _decoded(files[header.frame]) * np.float32(header.slope) + np.float32(
                    header.intercept
                )
        return
    for header in slices:
        if header.transfer_syntax in NATIVE | {DEFLATED}:
            stored = _native(header).astype(np.float64)
            yield (stored * (header.slope or 1.0) + (header.intercept or 0.0)).astype(np.float32)
        else:
            yield _decoded(header.path)


def _native(header: SliceHeader) -> NDArray[np.generic]:
    """Stored numbers (j, i) of an uncompressed slice or frame."""
    order = ">" if header.transfer_syntax == BIG_ENDIAN else "<"
    kind = np.dtype(f"{order}{'i' if header.signed else 'u'}{header.bits_allocated // 8}")
    pixels = header.rows * header.columns
    skip = header.frame * pixels * kind.itemsize
    if header.pixels_at is None:
        raw = bytes(_dataset(header).PixelData)[skip:]
    else:
        with header.path.open("rb") as file:
            file.seek(header.pixels_at + skip)
            raw = file.read(pixels * kind.itemsize)
    if len(raw) < pixels * kind.itemsize:
        raise ValueError("the file ends before its pixels do")
    stored = np.frombuffer(raw, kind, pixels).reshape(header.rows, header.columns)
    spare = header.bits_allocated - header.bits_stored
    # The bits above those stored may hold anything (overlays once did): shifted out, sign kept.
    return stored << spare >> spare if spare else stored


def _decoded(path: Path) -> Floats:
    """Rescaled values (j, i) of one compressed slice."""
    array = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path), SimpleITK.sitkFloat32))
    return np.asarray(array[0] if array.ndim == 3 and len(array) == 1 else array, np.float32)


def _dataset(header: SliceHeader) -> FileDataset:
    """A whole file, parsed; raises ValueError where that fails or it has no pixels."""
    try:
        dataset = pydicom.dcmread(header.path, force=True)
    except Exception as error:  # a damaged file breaks parsers anywhere: struct, zlib, …
        if is_from_system(error):
            raise
        raise ValueError("the file is damaged") from error
    if "PixelData" not in dataset:
        raise ValueError("the file holds no pixels")
    return dataset


@contextmanager
def _frame_files(header: SliceHeader) -> Iterator[list[Path]]:
    """Every frame of a compressed file as a classic slice without rescale, for GDCM."""
    dataset = _dataset(header)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = UID("1.2.3")
    meta.TransferSyntaxUID = UID(header.transfer_syntax)
    with tempfile.TemporaryDirectory(prefix="cacnb-") as folder:
        files = []
        frames = generate_frames(
            dataset.PixelData,
            number_of_frames=header.frames,
            extended_offsets=_extended_offsets(dataset),
        )
        for index, frame in enumerate(frames):
            file = Path(folder, f"{index}.dcm")
            image = FileDataset(str(file), {}, file_meta=meta, preamble=b"\0" * 128)
            image.SOPClassUID, image.SOPInstanceUID = CTImageStorage, "1.2.3"
            image.Modality, image.SamplesPerPixel = "CT", 1
            image.PhotometricInterpretation = header.photometric
            image.Rows, image.Columns = header.rows, header.columns
            image.BitsAllocated, image.BitsStored = header.bits_allocated, header.bits_stored
            image.HighBit, image.PixelRepresentation = header.high_bit, int(bool(header.signed))
            image.PixelData = encapsulate([frame])
            image["PixelData"].is_undefined_length = True
            image.save_as(file, enforce_file_format=True)
            files.append(file)
        if len(files) != header.frames:
            raise ValueError("the file holds another number of frames than its header states")
        yield files


def _extended_offsets(dataset: FileDataset) -> tuple[bytes, bytes] | None:
    offsets, lengths = (
        dataset.get("ExtendedOffsetTable"),
        dataset.get("ExtendedOffsetTableLengths"),
    )
    return (offsets, lengths) if offsets and lengths else None
