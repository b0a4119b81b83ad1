"""One NIfTI, NRRD or MetaImage file's header and verdict; it does not know its voxels.

Such a file is a series of its own, with neither kVp nor slice thickness.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import SimpleITK

from cacnb.ct.geometry import Affine, grid_reasons, patient_axes, stack_reasons
from cacnb.ct.nifti import read_nifti_header
from cacnb.ct.verdict import Reason

NIFTI_ENDINGS = (".nii", ".nii.gz")
ITK_ENDINGS = (".nrrd", ".nhdr", ".mha", ".mhd")
IMAGE_ENDINGS = NIFTI_ENDINGS + ITK_ENDINGS
#: Words without which a header leaves size or place open, by ending; a tuple holds alternatives.
_GEOMETRY_WORDS = {
    ".nrrd": (("space:", "space dimension:"), ("space directions:",)),
    ".nhdr": (("space:", "space dimension:"), ("space directions:",)),
    ".mha": (("elementspacing", "elementsize"), ("transformmatrix", "rotation", "orientation")),
    ".mhd": (("elementspacing", "elementsize"), ("transformmatrix", "rotation", "orientation")),
}
_NO_GEOMETRY = (
    "the file states no voxel spacing or no place in the patient, both were wanted: "
    "convert the DICOM series again, with its geometry"
)


@dataclass(frozen=True, eq=False)
class ImageHeader:
    """An image file's shape (i, j, k), affine to LPS mm (3, 4), files, and reasons against it.

    `wanted_bytes` are those of its voxels, unpacked; 0 where its reader counts them itself.
    """

    files: tuple[Path, ...]
    shape: tuple[int, int, int]
    affine: Affine | None
    reasons: tuple[Reason, ...]
    wanted_bytes: int = 0

    @property
    def slices(self) -> int:
        """Voxels along the patient's z, or along the last axis where the file does not say."""
        return self.shape[2 if self.affine is None else patient_axes(self.affine)[2]]


@contextmanager
def quiet_itk() -> Iterator[None]:
    """Within this block ITK prints no warnings: what it warns of is checked here instead."""
    shown = SimpleITK.ProcessObject.GetGlobalWarningDisplay()
    SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        yield
    finally:
        SimpleITK.ProcessObject.SetGlobalWarningDisplay(shown)


def is_image(path: Path) -> bool:
    """Whether a file's name ends as a NIfTI, NRRD or MetaImage header's does."""
    return path.name.lower().endswith(IMAGE_ENDINGS)


def read_image_header(path: Path) -> ImageHeader:
    """The header of an image file and what it says against scoring the image.

    Raises
    ------
    ValueError
        Where the file is cut or is not what its name says.
    OSError
        Where the file cannot be opened.
    """
    if path.name.lower().endswith(NIFTI_ENDINGS):
        return _nifti(path)
    return _itk(path)


def _nifti(path: Path) -> ImageHeader:
    header = read_nifti_header(path)
    affine, reasons = header.affine, []
    if header.dtype is None or header.volumes > 1:
        reasons.append(_not_one_scan())
    elif header.dtype.itemsize == 1:
        reasons.append(_not_hu())
    if affine is None:
        reasons.append(Reason("no_geometry", _NO_GEOMETRY))
    elif header.unit in ("m", "µm"):
        reasons.append(
            Reason(
                "no_geometry",
                f"the file is in {header.unit}, millimetres were wanted: write it again in mm",
            )
        )
    elif header.unit is None:
        reasons.append(
            Reason(
                "no_units",
                "the file does not state its unit of length, millimetres were taken: "
                "check the size of the body",
                "warn",
            )
        )
    return _judged((path,), header.shape, affine, reasons)


def _itk(path: Path) -> ImageHeader:
    reader = SimpleITK.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise ValueError("the header is damaged or is not one of an image") from error
    text, files = _header_text(path)
    words = _GEOMETRY_WORDS[path.suffix.lower()]
    stated = all(any(word in text for word in alternatives) for alternatives in words)
    dimension = reader.GetDimension()
    size = (*reader.GetSize(), 1, 1)
    reasons = []
    if dimension > 3 or reader.GetNumberOfComponents() > 1:
        reasons.append(_not_one_scan())
    elif reader.GetPixelID() in (SimpleITK.sitkUInt8, SimpleITK.sitkInt8):
        reasons.append(_not_hu())
    affine = None
    if dimension == 3 and stated:
        affine = affine_of(reader.GetSpacing(), reader.GetOrigin(), reader.GetDirection())
        turn = np.reshape(reader.GetDirection(), (3, 3))
        if not np.allclose(turn @ turn.T, np.eye(3), atol=1e-3):
            affine = None
            reasons.append(Reason("no_geometry", _NO_GEOMETRY))
    elif dimension <= 3:
        reasons.append(Reason("no_geometry", _NO_GEOMETRY))
    probe = SimpleITK.Image([1] * dimension, reader.GetPixelID(), reader.GetNumberOfComponents())
    wanted = int(np.prod(reader.GetSize())) * SimpleITK.GetArrayViewFromImage(probe).nbytes
    judged = _judged(files, (size[0], size[1], size[2]), affine, reasons)
    return replace(judged, wanted_bytes=wanted)


def affine_of(
    spacing: tuple[float, ...], origin: tuple[float, ...], direction: tuple[float, ...]
) -> Affine:
    """The affine (3, 4) of ITK's spacing (i, j, k), origin (x, y, z) and direction matrix."""
    return np.column_stack([np.reshape(direction, (3, 3)) * np.asarray(spacing), origin])


def _judged(
    files: tuple[Path, ...],
    shape: tuple[int, int, int],
    affine: Affine | None,
    reasons: list[Reason],
) -> ImageHeader:
    if affine is not None and not any(reason.code == "no_geometry" for reason in reasons):
        reasons.extend(grid_reasons(affine))
        if not any(reason.severity == "refuse" for reason in reasons):
            z = patient_axes(affine)[2]
            reasons.extend(stack_reasons(shape[z], float(np.linalg.norm(affine[:, z])), None))
    return ImageHeader(files, shape, affine, tuple(reasons))


def _header_text(path: Path) -> tuple[str, tuple[Path, ...]]:
    """A text header in small letters, and the file with the files of voxels that it names."""
    with path.open("rb") as file:
        start = file.read(1 << 16)
    files, lines = [path], []
    for line in start.split(b"\n"):
        text = line.decode("latin-1").strip()
        if not text:
            break  # an empty line ends a NRRD header
        lines.append(text.lower())
        key, _, value = text.replace("=", ":").partition(":")
        if key.strip().lower() in ("data file", "datafile", "elementdatafile"):
            companion = path.parent / value.strip()
            if value.strip().upper() not in ("LOCAL", "LIST") and companion.is_file():
                files.append(companion)
            if key.strip().lower() == "elementdatafile":
                break
    return "\n".join(lines), tuple(files)


def _not_one_scan() -> Reason:
    return Reason(
        "not_ct",
        "the file holds colours or several volumes, one volume in HU was wanted: split it",
    )


def _not_hu() -> Reason:
    return Reason(
        "not_ct",
        "the file holds 8-bit values (a mask or a picture), HU were wanted: "
        "choose the scan that belongs to it",
    )
