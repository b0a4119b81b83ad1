"""Elements of one DICOM file as texts, from as few bytes as hold them; it knows no meaning of them.

Most files are little endian and well formed: those are walked here, element by element, at several
times the speed of a general parser. Whatever is unusual (big endian, deflated, no preamble, a
sequence of unknown kind, a length that leads out of the file) is left to pydicom.
"""

from __future__ import annotations

import struct
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

#: The elements that are read; the rest of the header, names included, is passed over.
_KEYWORD_OF = {
    0x00080008: "ImageType", 0x00080016: "SOPClassUID", 0x00080060: "Modality",
    0x00180010: "ContrastBolusAgent", 0x00180050: "SliceThickness", 0x00180060: "KVP",
    0x00181120: "GantryDetectorTilt", 0x00181210: "ConvolutionKernel",
    0x0020000E: "SeriesInstanceUID", 0x00200012: "AcquisitionNumber",
    0x00200032: "ImagePositionPatient", 0x00200037: "ImageOrientationPatient",
    0x00200052: "FrameOfReferenceUID", 0x00280002: "SamplesPerPixel",
    0x00280004: "PhotometricInterpretation", 0x00280008: "NumberOfFrames", 0x00280010: "Rows",
    0x00280011: "Columns", 0x00280030: "PixelSpacing", 0x00280100: "BitsAllocated",
    0x00280101: "BitsStored", 0x00280102: "HighBit", 0x00280103: "PixelRepresentation",
    0x00280120: "PixelPaddingValue", 0x00280121: "PixelPaddingRangeLimit",
    0x00281052: "RescaleIntercept", 0x00281053: "RescaleSlope", 0x00281054: "RescaleType",
}  # fmt: skip

#: Elements stored as two bytes (VR US, or US or SS).
_BINARY = {
    "SamplesPerPixel", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit",
    "PixelRepresentation", "PixelPaddingValue", "PixelPaddingRangeLimit",
}  # fmt: skip

DEFLATED = "1.2.840.10008.1.2.1.99"
IMPLICIT = "1.2.840.10008.1.2"
BIG_ENDIAN = "1.2.840.10008.1.2.2"

PIXEL_DATA = 0x7FE00010
FLOAT_PIXEL_DATA = (0x7FE00008, 0x7FE00009)
_PIXELS = frozenset((PIXEL_DATA, *FLOAT_PIXEL_DATA))
_TRANSFER_SYNTAX = 0x00020010
_MEDIA_STORAGE_CLASS = 0x00020002
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_UNDEFINED = 0xFFFFFFFF

#: Value representations with a two-byte and with a four-byte length (PS3.5, 7.1.2).
_SHORT = frozenset(
    b"AE AS AT CS DA DS DT FL FD IS LO LT PN SH SL SS ST TM UI UL US".split(),
)
_LONG = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
_SEQUENCE = b"SQ"

#: Bytes read first: a slice's header without large private elements fits in.
_FIRST_BYTES = 8192
#: A header longer than this is left to pydicom, which skips over large values.
_MOST_BYTES = 1 << 20

_explicit = struct.Struct("<HH2sH").unpack_from
_implicit = struct.Struct("<HHI").unpack_from
_length = struct.Struct("<I").unpack_from


@dataclass(frozen=True)
class Elements:
    """What a file says: texts by keyword, values parted by backslashes, numbers as text too.

    `meta_class` is the class that the file's preface states. `pixels_at` is where the element of
    pixels begins in the file, or None where no such element ends the header, or the file is
    deflated.
    """

    texts: dict[str, str]
    meta_class: str
    transfer_syntax: str
    pixels_at: int | None


class _UnusualError(Exception):
    """The file is not one for the short way."""


@contextmanager
def quiet_pydicom() -> Iterator[None]:
    """Within this block pydicom neither judges values nor warns: the checks here do both."""
    import pydicom  # late: a process that reads plain headers alone does without it

    with warnings.catch_warnings(), pydicom.config.disable_value_validation():
        warnings.simplefilter("ignore")
        yield


def read_elements(file: IO[bytes]) -> Elements | None:
    """The elements of an open file, or None where it is not DICOM.

    Raises
    ------
    ValueError
        Where the file begins as DICOM and cannot be parsed.
    """
    start = file.read(_FIRST_BYTES)
    if start[128:132] != b"DICM":
        return _by_pydicom(file, force=True) if _begins_like_a_dataset(start) else None
    wanted = _FIRST_BYTES
    while True:
        try:
            return _walked(start, whole=len(start) < wanted)
        except (_UnusualError, RecursionError):  # sequences may stand in sequences without end
            break
        except (IndexError, struct.error):  # the walk left the bytes that were read
            if len(start) < wanted or wanted >= _MOST_BYTES:
                break
            start += file.read(7 * wanted)
            wanted *= 8
    return _by_pydicom(file, force=False)


def _walked(data: bytes, *, whole: bool) -> Elements:
    """The elements in the first bytes of a file, or in all of them, by the short way."""
    meta: dict[int, bytes] = {}
    at, size = 132, len(data)
    while data[at : at + 2] == b"\2\0":
        _, element, kind, length = _explicit(data, at)
        if kind in _SHORT:
            at += 8
        elif kind in _LONG:
            (length,) = _length(data, at + 8)
            at += 12
        else:
            raise _UnusualError
        meta[0x00020000 | element] = data[at : at + length]
        at += length
    syntax = _decoded(meta.get(_TRANSFER_SYNTAX, b""))
    if not syntax or syntax in (DEFLATED, BIG_ENDIAN) or at + 8 > size:
        raise _UnusualError
    walk = _walk_implicit if syntax == IMPLICIT else _walk_explicit
    texts, pixels_at = walk(data, at, size if whole else -1)
    return Elements(texts, _decoded(meta.get(_MEDIA_STORAGE_CLASS, b"")), syntax, pixels_at)


def _walk_explicit(data: bytes, at: int, end: int) -> tuple[dict[str, str], int | None]:
    found: list[tuple[int, int, int]] = []  # (tag, start, length)
    before = 0
    while at != end:
        group, element, kind, length = _explicit(data, at)
        tag = group << 16 | element
        if kind in _SHORT:
            at += 8
        elif kind not in _LONG:
            raise _UnusualError
        elif tag in _PIXELS:
            return _texts(found, data), at
        else:
            (length,) = _length(data, at + 8)
            at += 12
            if length == _UNDEFINED:
                if kind != _SEQUENCE:
                    raise _UnusualError
                at, length = _past_sequence(data, at, explicit=True), 0
        if tag <= before:
            raise _UnusualError
        before = tag
        if tag in _KEYWORD_OF:
            found.append((tag, at, length))
        at += length
    return _texts(found, data), None


def _walk_implicit(data: bytes, at: int, end: int) -> tuple[dict[str, str], int | None]:
    found: list[tuple[int, int, int]] = []
    before = 0
    while at != end:
        group, element, length = _implicit(data, at)
        tag = group << 16 | element
        if tag in _PIXELS:
            return _texts(found, data), at
        if tag <= before:
            raise _UnusualError
        before, at = tag, at + 8
        if length == _UNDEFINED:
            at, length = _past_sequence(data, at, explicit=False), 0
        if tag in _KEYWORD_OF:
            found.append((tag, at, length))
        at += length
    return _texts(found, data), None


def _texts(found: list[tuple[int, int, int]], data: bytes) -> dict[str, str]:
    texts = {}
    for tag, at, length in found:
        keyword, value = _KEYWORD_OF[tag], data[at : at + length]
        texts[keyword] = _number(value, "little") if keyword in _BINARY else _decoded(value)
    return texts


def _past_sequence(data: bytes, at: int, *, explicit: bool) -> int:
    """Where a sequence of undefined length ends."""
    while True:
        group, element, length = _implicit(data, at)
        tag, at = group << 16 | element, at + 8
        if tag == _SEQUENCE_END:
            return at
        if tag != _ITEM:
            raise _UnusualError
        at = at + length if length != _UNDEFINED else _past_item(data, at, explicit=explicit)


def _past_item(data: bytes, at: int, *, explicit: bool) -> int:
    """Where an item of undefined length ends."""
    while True:
        group, element, length = _implicit(data, at)
        if group << 16 | element == _ITEM_END:
            return at + 8
        kind = _SEQUENCE
        if explicit:
            _, _, kind, length = _explicit(data, at)
            if kind in _LONG:
                (length,) = _length(data, at + 8)
                at += 4
            elif kind not in _SHORT:
                raise _UnusualError
        at += 8
        if length != _UNDEFINED:
            at += length
        elif kind == _SEQUENCE:
            at = _past_sequence(data, at, explicit=explicit)
        else:
            raise _UnusualError


def _by_pydicom(file: IO[bytes], *, force: bool) -> Elements:
    """The elements as pydicom finds them, from the start of the file."""
    import pydicom
    from pydicom.dataset import Dataset

    file.seek(0)
    try:
        with quiet_pydicom():
            dataset = pydicom.dcmread(
                file, stop_before_pixels=True, specific_tags=list(_KEYWORD_OF), force=force
            )
            meta = getattr(dataset, "file_meta", Dataset())
            syntax = str(meta.get("TransferSyntaxUID") or IMPLICIT)
            texts = {
                keyword: _text(dataset, tag, keyword)
                for tag, keyword in _KEYWORD_OF.items()
                if tag in dataset
            }
            meta_class = str(meta.get("MediaStorageSOPClassUID") or "")
        at: int | None = file.tell()
        if syntax == DEFLATED or not file.read(1):
            at = None
        return Elements(texts, meta_class, syntax, at)
    except Exception as error:  # a damaged header breaks parsers anywhere: struct, zlib, …
        if is_from_system(error):
            raise
        raise ValueError("the header breaks off or is damaged") from error


def is_from_system(error: Exception) -> bool:
    """Whether the system did not give the file; pydicom raises OSError for damage as well."""
    return isinstance(error, OSError) and error.errno is not None


def _begins_like_a_dataset(start: bytes) -> bool:
    """Whether a file without preamble begins with an element of group 2 or 8, low numbered."""
    if len(start) < 8:
        return False
    group, element = struct.unpack("<HH", start[:4])
    return group in (0x0002, 0x0008) and element <= 0x0020


def _text(dataset: Dataset, tag: int, keyword: str) -> str:
    element: object = dataset.get_item(tag)
    value: object = getattr(element, "value", None)
    kind = getattr(element, "VR", None)
    if kind is not None and kind.encode("latin-1") not in _SHORT | _LONG:
        raise ValueError("an element is of an unknown kind")
    if isinstance(value, bytes):  # pydicom converts values when they are asked for, not before
        is_little = getattr(element, "is_little_endian", True)
        order: Literal["little", "big"] = "little" if is_little else "big"
        return _number(value, order) if keyword in _BINARY else _decoded(value)
    if value is None:
        return ""
    if isinstance(value, Iterable) and not isinstance(value, str):
        return "\\".join(str(item) for item in value).strip()
    return str(value).strip()


def _decoded(value: bytes) -> str:
    return value.decode("latin-1").strip(" \0")


def _number(value: bytes, order: Literal["little", "big"]) -> str:
    return str(int.from_bytes(value[:2], order)) if len(value) >= 2 else ""
