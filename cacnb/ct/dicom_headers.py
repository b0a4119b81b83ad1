"""One DICOM file's header as plain numbers; it does not know the other files of its series."""

from __future__ import annotations

import math
import os
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from cacnb.ct.dicom_elements import (
    BIG_ENDIAN,
    DEFLATED,
    IMPLICIT,
    PIXEL_DATA,
    Elements,
    quiet_pydicom,
    read_elements,
)

__all__ = ["NATIVE", "SliceHeader", "quiet_pydicom", "read_header"]

#: Transfer syntaxes whose pixels lie in the file as they are.
NATIVE = {IMPLICIT, "1.2.840.10008.1.2.1", BIG_ENDIAN}
_JPEG_2000 = {"1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91"}
_ITEM, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE0DD
_UNDEFINED = 0xFFFFFFFF
_MODALITY = re.compile(r"[A-Z0-9]{1,16}")


@dataclass(frozen=True, slots=True)
class SliceHeader:
    """What one file, or one frame of a file, says of its slice.

    `None` where it does not say it, or says it malformed. `pixels_at` is where the values begin in
    an uncompressed file. `padding` holds the stored values from and to which pixels are none.
    `truncated` is True where the file does not hold the bytes of pixels that its header promises:
    fewer, or more than one byte to fill up. `frame` is the number, from 0, of a frame in its file.
    """

    path: Path
    series_uid: str | None
    sop_class: str
    modality: str
    image_type: tuple[str, ...]
    acquisition: str
    photometric: str
    samples: int
    rows: int
    columns: int
    frames: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool | None
    padding: tuple[int, int] | None
    position: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    pixel_spacing: tuple[float, ...] | None
    thickness_mm: float | None
    gantry_tilt_deg: float | None
    frame_of_reference: str
    slope: float | None
    intercept: float | None
    rescale_type: str
    kvp: float | None
    kernel: str
    contrast_agent: bool
    transfer_syntax: str
    has_pixels: bool
    truncated: bool
    pixels_at: int | None
    frame: int = 0


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
    with path.open("rb", buffering=0) as file:
        elements = read_elements(file)
        return None if elements is None else _header_of(elements, path, file)


def _header_of(elements: Elements, path: Path, file: IO[bytes]) -> SliceHeader | None:
    texts, syntax = elements.texts, elements.transfer_syntax
    sop_class = texts.get("SOPClassUID") or elements.meta_class
    modality = texts.get("Modality", "")
    if not sop_class and not modality:
        return None
    rows, columns = count(texts, "Rows"), count(texts, "Columns")
    samples, frames = count(texts, "SamplesPerPixel", 1), count(texts, "NumberOfFrames", 1)
    bits = count(texts, "BitsAllocated")
    pixels_at: int | None = None
    if syntax == DEFLATED:
        has_pixels, truncated = True, False  # inflating the header has inflated the pixels too
    elif elements.pixels_at is None:
        has_pixels, truncated = False, False
    else:
        file.seek(elements.pixels_at)
        wanted = (rows * columns * samples * frames * bits + 7) // 8
        has_pixels, truncated, pixels_at = _stored_pixels(file, syntax, wanted)
    stored = count(texts, "BitsStored")
    return SliceHeader(
        path=path,
        series_uid=texts.get("SeriesInstanceUID") or None,
        sop_class=sop_class,
        modality=modality if _MODALITY.fullmatch(modality) else "",
        image_type=image_type_of(texts.get("ImageType", "")),
        acquisition=texts.get("AcquisitionNumber", ""),
        photometric=texts.get("PhotometricInterpretation", ""),
        samples=samples,
        rows=rows,
        columns=columns,
        frames=frames,
        bits_allocated=bits,
        bits_stored=stored,
        high_bit=count(texts, "HighBit", stored - 1),
        signed={"0": False, "1": True}.get(texts.get("PixelRepresentation", "")),
        padding=_padding(texts),
        position=numbers(texts, "ImagePositionPatient", 3),
        orientation=numbers(texts, "ImageOrientationPatient", 6),
        pixel_spacing=numbers(texts, "PixelSpacing", 2),
        thickness_mm=number(texts, "SliceThickness"),
        gantry_tilt_deg=number(texts, "GantryDetectorTilt"),
        frame_of_reference=texts.get("FrameOfReferenceUID", ""),
        slope=number(texts, "RescaleSlope"),
        intercept=number(texts, "RescaleIntercept"),
        rescale_type=texts.get("RescaleType", "").upper(),
        kvp=number(texts, "KVP"),
        kernel=texts.get("ConvolutionKernel", ""),
        contrast_agent=texts.get("ContrastBolusAgent", "").upper() not in ("", "NONE", "NO"),
        transfer_syntax=syntax,
        has_pixels=has_pixels and rows > 0 and columns > 0,
        truncated=truncated,
        pixels_at=pixels_at,
    )


def image_type_of(text: str) -> tuple[str, ...]:
    """The values of ImageType or FrameType, in capitals and without blanks."""
    return tuple(text.upper().replace(" ", "").split("\\"))


def numbers(texts: Mapping[str, str], keyword: str, wanted: int) -> tuple[float, ...] | None:
    """So many finite numbers, or None where the text holds anything else."""
    text = texts.get(keyword)
    if not text or "_" in text:  # Python reads 1_0 as ten, DICOM knows no such number
        return None
    try:
        found = tuple(map(float, text.split("\\")))
    except ValueError:
        return None
    return found if len(found) == wanted and all(map(math.isfinite, found)) else None


def number(texts: Mapping[str, str], keyword: str) -> float | None:
    """One finite number, or None."""
    found = numbers(texts, keyword, 1)
    return found[0] if found else None


def count(texts: Mapping[str, str], keyword: str, absent: int = 0) -> int:
    """A whole number, or `absent` where none is stated."""
    found = numbers(texts, keyword, 1)
    return int(found[0]) if found else absent


def _padding(texts: Mapping[str, str]) -> tuple[int, int] | None:
    if not texts.get("PixelPaddingValue"):
        return None
    value = count(texts, "PixelPaddingValue")
    limit = count(texts, "PixelPaddingRangeLimit", value)
    return min(value, limit), max(value, limit)


def _stored_pixels(
    file: IO[bytes], syntax: str, wanted_bytes: int
) -> tuple[bool, bool, int | None]:
    """Whether pixels follow at the file's position, whether they break off, where they begin."""
    order = ">" if syntax == BIG_ENDIAN else "<"
    size = os.fstat(file.fileno()).st_size
    start = file.read(12)
    if len(start) < 8:
        return False, False, None
    group, element = struct.unpack(order + "HH", start[:4])
    if (group << 16 | element) != PIXEL_DATA:  # fractions (float pixels) are no CT image's
        return False, False, None
    if syntax == IMPLICIT:
        file.seek(8 - len(start), os.SEEK_CUR)
        (length,) = struct.unpack("<I", start[4:8])
    elif len(start) == 12:
        (length,) = struct.unpack(order + "I", start[8:12])
    else:
        return True, True, None
    at = file.tell()
    if length == _UNDEFINED:
        return True, not _fragments_end(file, size, is_j2k=syntax in _JPEG_2000), None
    fits = syntax not in NATIVE or wanted_bytes <= length <= wanted_bytes + 1
    return True, not fits or at + length > size, at


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
    else:
        return False  # the mark at the end is missing, and with it who knows what
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
