"""One DICOM file's header as plain numbers; it does not know the other files of its series."""

from __future__ import annotations

import math
import os
import re
import struct
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

import pydicom
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

#: The elements that are read; the rest of the header, names included, is passed over.
_KEYWORDS = (
    "SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "Modality",
    "ImageType", "PhotometricInterpretation", "SamplesPerPixel", "Rows", "Columns",
    "BitsAllocated", "NumberOfFrames", "ImagePositionPatient", "ImageOrientationPatient",
    "PixelSpacing", "SliceThickness", "GantryDetectorTilt", "FrameOfReferenceUID",
    "RescaleSlope", "RescaleIntercept", "KVP", "ConvolutionKernel", "ContrastBolusAgent",
)  # fmt: skip
_TAG_OF = {keyword: Tag(keyword) for keyword in _KEYWORDS}

#: Elements stored as two bytes (VR US).
_BINARY = {"SamplesPerPixel", "Rows", "Columns", "BitsAllocated"}

_DEFLATED = "1.2.840.10008.1.2.1.99"
_IMPLICIT = "1.2.840.10008.1.2"
_BIG_ENDIAN = "1.2.840.10008.1.2.2"
_NATIVE = {_IMPLICIT, "1.2.840.10008.1.2.1", _BIG_ENDIAN}
_JPEG_2000 = {"1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91"}
_PIXEL_DATA = 0x7FE00010
_FLOAT_PIXEL_DATA = (0x7FE00008, 0x7FE00009)
_ITEM, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE0DD
_UNDEFINED = 0xFFFFFFFF


@dataclass(frozen=True)
class SliceHeader:
    """What one file says of its slice; `None` where it does not say it, or says it malformed.

    `truncated` is True where the file holds fewer bytes of pixels than its header promises.
    """

    path: Path
    series_uid: str | None
    sop_class: str
    modality: str
    image_type: tuple[str, ...]
    photometric: str
    samples: int
    rows: int
    columns: int
    frames: int
    position: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    pixel_spacing: tuple[float, ...] | None
    thickness_mm: float | None
    gantry_tilt_deg: float | None
    frame_of_reference: str
    slope: float | None
    intercept: float | None
    kvp: float | None
    kernel: str
    contrast_agent: bool
    transfer_syntax: str
    has_pixels: bool
    truncated: bool


@contextmanager
def quiet_pydicom() -> Iterator[None]:
    """Within this block pydicom neither judges values nor warns: the checks here do both."""
    with warnings.catch_warnings(), pydicom.config.disable_value_validation():
        warnings.simplefilter("ignore")
        yield


def read_header(path: Path) -> SliceHeader | None:
    """The header of a DICOM file, or None where the file is not DICOM.

    Pixels are never read, their length is compared with the file's size. Call it within
    `quiet_pydicom()`.

    Raises
    ------
    OSError
        Where the file cannot be opened.
    ValueError
        Where the file begins as DICOM and cannot be parsed.
    """
    with path.open("rb") as file:
        start = file.read(132)
        file.seek(0)
        force = start[128:132] != b"DICM"
        if force and not _begins_like_a_dataset(start):
            return None
        try:
            dataset = pydicom.dcmread(
                file, stop_before_pixels=True, specific_tags=list(_TAG_OF.values()), force=force
            )
            return _header_of(dataset, path, file)
        except OSError:
            raise
        except Exception as error:  # a damaged header breaks parsers anywhere: struct, zlib, …
            raise ValueError(f"the header breaks off or is damaged ({error})") from error


def _begins_like_a_dataset(start: bytes) -> bool:
    """Whether a file without preamble begins with an element of group 2 or 8, low numbered."""
    if len(start) < 8:
        return False
    group, element = struct.unpack("<HH", start[:4])
    return group in (0x0002, 0x0008) and element <= 0x0020


def _header_of(dataset: Dataset, path: Path, file: IO[bytes]) -> SliceHeader | None:
    meta = getattr(dataset, "file_meta", Dataset())
    syntax = str(meta.get("TransferSyntaxUID") or _IMPLICIT)
    sop_class = _text(dataset, "SOPClassUID") or str(meta.get("MediaStorageSOPClassUID") or "")
    modality = _text(dataset, "Modality")
    if not sop_class and not modality:
        return None
    rows, columns = _count(dataset, "Rows"), _count(dataset, "Columns")
    samples, frames = _count(dataset, "SamplesPerPixel", 1), _count(dataset, "NumberOfFrames", 1)
    bits = _count(dataset, "BitsAllocated", 16)
    if syntax == _DEFLATED:
        stored = (True, False)  # inflating the header has inflated the pixels: the stream is whole
    else:
        stored = _stored_pixels(file, syntax, (rows * columns * samples * frames * bits + 7) // 8)
    tilt = _numbers(dataset, "GantryDetectorTilt", 1)
    thickness = _numbers(dataset, "SliceThickness", 1)
    slope, intercept = (
        _numbers(dataset, "RescaleSlope", 1),
        _numbers(dataset, "RescaleIntercept", 1),
    )
    kvp = _numbers(dataset, "KVP", 1)
    return SliceHeader(
        path=path,
        series_uid=_text(dataset, "SeriesInstanceUID") or None,
        sop_class=sop_class,
        modality=modality if re.fullmatch(r"[A-Z0-9]{1,16}", modality) else "",
        image_type=tuple(_text(dataset, "ImageType").upper().replace(" ", "").split("\\")),
        photometric=_text(dataset, "PhotometricInterpretation"),
        samples=samples,
        rows=rows,
        columns=columns,
        frames=frames,
        position=_numbers(dataset, "ImagePositionPatient", 3),
        orientation=_numbers(dataset, "ImageOrientationPatient", 6),
        pixel_spacing=_numbers(dataset, "PixelSpacing", 2),
        thickness_mm=thickness[0] if thickness else None,
        gantry_tilt_deg=tilt[0] if tilt else None,
        frame_of_reference=_text(dataset, "FrameOfReferenceUID"),
        slope=slope[0] if slope else None,
        intercept=intercept[0] if intercept else None,
        kvp=kvp[0] if kvp else None,
        kernel=_text(dataset, "ConvolutionKernel"),
        contrast_agent=_text(dataset, "ContrastBolusAgent").upper() not in ("", "NONE", "NO"),
        transfer_syntax=syntax,
        has_pixels=stored[0] and rows > 0 and columns > 0,
        truncated=stored[1],
    )


def _text(dataset: Dataset, keyword: str) -> str:
    """An element's stored text, values parted by backslashes; numbers in binary as text too.

    pydicom's conversion to its value types would take half of an inspection's time.
    """
    if _TAG_OF[keyword] not in dataset:
        return ""
    element: object = dataset.get_item(_TAG_OF[keyword])
    value: object = getattr(element, "value", None)
    if isinstance(element, RawDataElement) and isinstance(value, bytes):
        if keyword in _BINARY:
            order: Literal["little", "big"] = "little" if element.is_little_endian else "big"
            return str(int.from_bytes(value[:2], order)) if len(value) >= 2 else ""
        return value.decode("latin-1").strip(" \0")
    if value is None:
        return ""
    if isinstance(value, Iterable) and not isinstance(value, str):
        return "\\".join(str(item) for item in value).strip()
    return str(value).strip()


def _numbers(dataset: Dataset, keyword: str, count: int) -> tuple[float, ...] | None:
    try:
        numbers = tuple(float(item) for item in _text(dataset, keyword).split("\\"))
    except ValueError:
        return None
    return numbers if len(numbers) == count and all(map(math.isfinite, numbers)) else None


def _count(dataset: Dataset, keyword: str, absent: int = 0) -> int:
    numbers = _numbers(dataset, keyword, 1)
    return int(numbers[0]) if numbers else absent


def _stored_pixels(file: IO[bytes], syntax: str, wanted_bytes: int) -> tuple[bool, bool]:
    """Whether pixels follow at the file's position, and whether they break off too early."""
    order = ">" if syntax == _BIG_ENDIAN else "<"
    size = os.fstat(file.fileno()).st_size
    start = file.read(12)
    if len(start) < 8:
        return False, False
    group, element = struct.unpack(order + "HH", start[:4])
    if (group << 16 | element) not in (_PIXEL_DATA, *_FLOAT_PIXEL_DATA):
        return False, False
    if syntax == _IMPLICIT:
        file.seek(-4, os.SEEK_CUR)
        (length,) = struct.unpack("<I", start[4:8])
    elif len(start) == 12:
        (length,) = struct.unpack(order + "I", start[8:12])
    else:
        return True, True
    if length == _UNDEFINED:
        return True, not _fragments_end(file, size, is_j2k=syntax in _JPEG_2000)
    return True, length < wanted_bytes * (syntax in _NATIVE) or file.tell() + length > size


def _fragments_end(file: IO[bytes], size: int, *, is_j2k: bool) -> bool:
    """Whether encapsulated pixels run to their end: all fragments, and JPEG 2000's first tile."""
    fragments: list[tuple[int, int]] = []  # (start, length); the first is the offset table
    while len(item := file.read(8)) == 8:
        group, element, length = struct.unpack("<HHI", item)
        tag = group << 16 | element
        if tag == _SEQUENCE_END:
            break
        if tag != _ITEM or file.tell() + length > size:
            return False
        fragments.append((file.tell(), length))
        file.seek(length, os.SEEK_CUR)
    pixels = fragments[1:]
    if not any(length for _, length in pixels):
        return False
    if is_j2k:
        file.seek(pixels[0][0])
        start = file.read(min(pixels[0][1], 1 << 14))
        return _first_tile_end(start) <= sum(length for _, length in pixels)
    return True


def _first_tile_end(stream: bytes) -> int:
    """Where a JPEG 2000 codestream says that its first tile ends; 0 where it does not say."""
    at = 2  # behind the start mark FF4F
    while stream[:2] == b"\xff\x4f" and at + 12 <= len(stream):
        marker, length = struct.unpack_from(">HH", stream, at)
        if marker == 0xFF90:  # start of tile: the tile's bytes from here stand in Psot
            (tile_bytes,) = struct.unpack_from(">I", stream, at + 6)
            return at + int(tile_bytes) if tile_bytes else 0
        at += 2 + length
    return 0
