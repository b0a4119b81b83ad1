"""NIfTI files to the last byte, because other readers pass over truncation; it does not know HU.

SimpleITK reads a truncated `.nii` or `.nii.gz` with whatever memory held, turns NaN into 0, and
writes to a full disk without an error (all three measured); hence a reader and a writer here.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from cacnb.ct.geometry import Affine

#: NIfTI datatype codes that hold one real number a voxel (nifti1.h).
_TYPES = {
    2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8",
    256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8",
}  # fmt: skip
_UNITS = {0: None, 1: "m", 2: "mm", 3: "µm"}
#: NIfTI's x and y run right and front (RAS), the patient's left and back (LPS).
_RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0])


@dataclass(frozen=True, eq=False)
class NiftiHeader:
    """Where the voxels of a NIfTI file stand and lie.

    `shape` is (i, j, k); `affine` (3, 4) leads from an index to LPS in the file's unit, or is None
    where the file has neither qform nor sform, or both and they disagree; `unit` is "m", "mm", "µm"
    or None for not stated; `dtype` is None for colours and complex numbers.
    """

    shape: tuple[int, int, int]
    volumes: int
    affine: Affine | None
    unit: str | None
    dtype: np.dtype[np.generic] | None
    offset: int
    slope: float
    intercept: float

    @property
    def wanted_bytes(self) -> int:
        """Bytes that an unpacked file holds at least."""
        size = self.dtype.itemsize if self.dtype is not None else 0
        return self.offset + int(np.prod(self.shape)) * self.volumes * size


def read_nifti_header(path: Path) -> NiftiHeader:
    """The header of a `.nii` or `.nii.gz`; raises ValueError where it is not one, or is cut."""
    try:
        with _open(path) as file:
            header = _parse(file.read(540))
    except (EOFError, zlib.error, gzip.BadGzipFile, struct.error) as error:
        raise ValueError("the file breaks off in its header or is not packed as gzip") from error
    if not _is_whole(path, header.wanted_bytes):
        raise ValueError("the file ends before its voxels do")
    return header


def read_nifti(path: Path) -> tuple[NDArray[np.generic], NiftiHeader]:
    """The voxels (k, j, i) of a 3-D NIfTI file, scaled as it says, and its header.

    Raises
    ------
    ValueError
        Where the file is cut, damaged, or holds colours or several volumes.
    """
    header = read_nifti_header(path)
    if header.dtype is None or header.volumes != 1:
        raise ValueError("the file holds colours, complex numbers or several volumes")
    try:
        with _open(path) as file:
            file.seek(header.offset)
            raw = file.read(header.wanted_bytes - header.offset)
            if len(raw) < header.wanted_bytes - header.offset:
                raise ValueError("the file ends before its voxels do")
            if path.name.lower().endswith(".gz"):
                while file.read(1 << 20):  # gzip compares its checksum only when it meets the end
                    pass
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError("the file is damaged: it does not unpack") from error
    i, j, k = header.shape
    stored: NDArray[np.generic] = np.frombuffer(raw, header.dtype).reshape(k, j, i)
    if (header.slope, header.intercept) == (1.0, 0.0):
        return stored, header
    scaled = stored.astype(np.float32) * np.float32(header.slope) + np.float32(header.intercept)
    return scaled, header


def write_nifti(
    file: IO[bytes] | gzip.GzipFile, array: NDArray[np.generic], affine: Affine
) -> None:
    """Write an array (k, j, i) as NIfTI-1 to an open binary file, `affine` from index to LPS mm.

    Both qform and sform are written, for axes that run along the patient's. Raises OSError where
    the disk is full.
    """
    codes = {name: code for code, name in _TYPES.items()}
    array = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False)
    ras = _RAS_TO_LPS @ affine
    spacing = np.linalg.norm(affine[:, :3], axis=0)
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, 3, *reversed(array.shape), 1, 1, 1, 1)
    struct.pack_into("<2h", header, 70, codes[array.dtype.str[1:]], array.dtype.itemsize * 8)
    struct.pack_into("<8f", header, 76, 1.0, *spacing, 0, 0, 0, 0)
    struct.pack_into("<3f", header, 108, 352.0, 1.0, 0.0)
    header[123] = 2  # millimetres
    struct.pack_into("<2h", header, 252, 1, 1)  # both forms: scanner coordinates
    # Quaternion (b, c, d) = (0, 0, 1): LPS axes are RAS axes turned by 180° about z.
    struct.pack_into("<6f", header, 256, 0.0, 0.0, 1.0, *ras[:, 3])
    struct.pack_into("<12f", header, 280, *ras.ravel())
    header[344:348] = b"n+1\0"
    file.write(header)
    file.write(array.tobytes())


def _open(path: Path) -> BinaryIO:
    if path.name.lower().endswith(".gz"):
        return cast("BinaryIO", gzip.open(path, "rb"))
    return path.open("rb")


def _is_whole(path: Path, wanted_bytes: int) -> bool:
    """Whether a file holds as many bytes as wanted, unpacked; unpacks it only in doubt."""
    size = path.stat().st_size
    if not path.name.lower().endswith(".gz"):
        return size >= wanted_bytes
    with path.open("rb") as file:
        file.seek(-4, 2)
        (unpacked,) = struct.unpack("<I", file.read(4))  # the size modulo 2³², of the last part
    if unpacked == wanted_bytes % 2**32:
        return True
    try:
        with gzip.open(path, "rb") as packed:
            total = 0
            while block := packed.read(1 << 22):
                total += len(block)
    except (EOFError, zlib.error, gzip.BadGzipFile):
        return False
    return total >= wanted_bytes


def _parse(raw: bytes) -> NiftiHeader:
    for order in "<>":
        (size,) = struct.unpack_from(order + "i", raw, 0)
        if size == 348 and raw[344:347] == b"n+1":
            return _nifti1(raw, order)
        if size == 540 and raw[4:7] == b"n+2":
            return _nifti2(raw, order)
    raise ValueError("the file does not begin with a NIfTI header")


def _nifti1(raw: bytes, order: str) -> NiftiHeader:
    def field(code: str, offset: int) -> tuple[float, ...]:
        return struct.unpack_from(order + code, raw, offset)

    return _header(
        order,
        dims=field("8h", 40),
        datatype=field("h", 70)[0],
        pixdim=field("8f", 76),
        offset=field("f", 108)[0],
        scale=field("2f", 112),
        unit=raw[123],
        codes=field("2h", 252),
        quaternion=field("6f", 256),
        rows=field("12f", 280),
    )


def _nifti2(raw: bytes, order: str) -> NiftiHeader:
    def field(code: str, offset: int) -> tuple[float, ...]:
        return struct.unpack_from(order + code, raw, offset)

    return _header(
        order,
        dims=field("8q", 16),
        datatype=field("h", 12)[0],
        pixdim=field("8d", 104),
        offset=field("q", 168)[0],
        scale=field("2d", 176),
        unit=int(field("i", 500)[0]),
        codes=field("2i", 344),
        quaternion=field("6d", 352),
        rows=field("12d", 400),
    )


def _header(
    order: str,
    *,
    dims: tuple[float, ...],
    datatype: float,
    pixdim: tuple[float, ...],
    offset: float,
    scale: tuple[float, ...],
    unit: int,
    codes: tuple[float, ...],
    quaternion: tuple[float, ...],
    rows: tuple[float, ...],
) -> NiftiHeader:
    sizes = [int(n) for n in dims[1 : int(dims[0]) + 1]] if 0 < dims[0] < 8 else []
    if not sizes or min(sizes) < 1:
        raise ValueError("the header states an impossible shape")
    i, j, k = (*sizes, 1, 1, 1)[:3]
    ras: NDArray[np.float64] | None = None
    sform = np.reshape(np.asarray(rows, dtype=np.float64), (3, 4))
    if codes[1] > 0:
        ras = sform
        if codes[0] > 0 and not _same_place(_qform(pixdim, quaternion), sform, (i, j, k)):
            ras = None
    elif codes[0] > 0:
        ras = _qform(pixdim, quaternion)
    name = _TYPES.get(int(datatype))
    slope, intercept = scale
    if not np.isfinite(scale).all() or slope == 0:
        slope, intercept = 1.0, 0.0
    return NiftiHeader(
        shape=(i, j, k),
        volumes=int(np.prod(sizes[3:])) if len(sizes) > 3 else 1,
        affine=None if ras is None else _RAS_TO_LPS @ ras,
        unit=_UNITS.get(unit & 7),
        dtype=np.dtype(order + name) if name else None,
        offset=int(offset),
        slope=float(slope),
        intercept=float(intercept),
    )


def _same_place(a: Affine, b: Affine, shape: tuple[int, int, int]) -> bool:
    """Whether two affines put the corners of an image within half a voxel of each other."""
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in shape], [1.0])).reshape(4, -1)
    apart = np.abs((a - b) @ corners)
    return bool(apart.max() <= 0.5 * np.linalg.norm(b[:, :3], axis=0).min())


def _qform(pixdim: tuple[float, ...], quaternion: tuple[float, ...]) -> NDArray[np.float64]:
    """The affine of a unit quaternion (b, c, d), an offset and voxel sizes (nifti1.h, method 2)."""
    b, c, d, *offset = quaternion
    a = np.sqrt(max(1.0 - b * b - c * c - d * d, 0.0))
    rotation = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )
    steps = np.array(pixdim[1:4]) * (1.0, 1.0, -1.0 if pixdim[0] < 0 else 1.0)
    return np.column_stack([rotation * steps, offset])
