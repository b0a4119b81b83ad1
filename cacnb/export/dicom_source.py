"""The DICOM series that results belong to: its headers and pixels; it does not know the results.

A result belongs to its patient's study in the archive, so the standard has it carry what the source
images say of patient and study: name, number, dates (PS3.3, C.7.1 and C.7.2). highdicom copies them
from the headers that are read here; they go into the file and nowhere else: not into a message, and
the file's name is the caller's scan key.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.multival import MultiValue
from pydicom.valuerep import DSfloat

import cacnb
from cacnb.ct.dicom_headers import quiet_pydicom, read_header
from cacnb.ct.geometry import Affine, patient_axes, to_patient_axes
from cacnb.ct.image_headers import is_image
from cacnb.ct.series import Series, judged
from cacnb.ct.volume import Volume
from cacnb.errors import InputError

#: The General and Enhanced General Equipment modules of results (PS3.3, C.7.5.1 and C.7.5.2), as
#: highdicom takes them. The serial number is of type 1, and software has no other number.
EQUIPMENT: Mapping[str, str] = MappingProxyType(
    {
        "manufacturer": "cacnb",
        "manufacturer_model_name": "cacnb",
        "software_versions": cacnb.__version__,
        "device_serial_number": cacnb.__version__,
    }
)

#: Of patient and study, what must be there and may be empty (type 2; PS3.3, C.7.1.1 and C.7.2.1).
MAY_BE_EMPTY = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID",
    "StudyDate", "StudyTime", "ReferringPhysicianName",
)  # fmt: skip

#: The Clinical Trial Subject module (PS3.3, C.7.1.3).
TRIAL_SUBJECT_KEYWORDS = (
    "ClinicalTrialSponsorName", "ClinicalTrialProtocolID", "IssuerOfClinicalTrialProtocolID",
    "ClinicalTrialProtocolName", "ClinicalTrialSiteID", "IssuerOfClinicalTrialSiteID",
    "ClinicalTrialSiteName", "ClinicalTrialSubjectID", "IssuerOfClinicalTrialSubjectID",
    "ClinicalTrialSubjectReadingID", "IssuerOfClinicalTrialSubjectReadingID",
    "ClinicalTrialProtocolEthicsCommitteeName",
    "ClinicalTrialProtocolEthicsCommitteeApprovalNumber",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class DicomSource:
    """A series' headers and the grid of its pixels.

    Parameters
    ----------
    series
        As `find_series` gives it.
    images
        The headers from feet to head, without pixels; of a multi-frame file its one header.
    frames
        The places, from 0, of the slices in a multi-frame file, from feet to head; None where each
        slice is a file.
    affine
        Of the slices' own pixels, (column, row, slice) to LPS mm.
    grid
        The grid of `read_scan`; its values are False.
    """

    series: Series
    images: tuple[pydicom.Dataset, ...]
    frames: tuple[int, ...] | None
    affine: Affine
    grid: Volume

    @property
    def slices(self) -> int:
        """How many slices the scan has."""
        return len(self.images) if self.frames is None else len(self.frames)

    def on_pixels(self, array: NDArray[Any]) -> NDArray[Any]:
        """Values (z, y, x) as (slice, row, column) of the pixels: `to_patient_axes` backwards.

        In-plane the values stand on the scan's grid; how many slices there are does not matter.
        """
        x, y, z = patient_axes(self.affine)
        for row, axis in ((2, z), (1, y), (0, x)):
            if self.affine[row, axis] < 0:
                array = np.flip(array, 2 - row)
        return np.ascontiguousarray(np.transpose(array, np.argsort((2 - z, 2 - y, 2 - x))))

    def slice_at(self, z_mm: float) -> float:
        """The slice, fractional and from 0, at a height of `grid` in patient mm, also beyond it."""
        index = (z_mm - self.grid.origin_mm[0]) / self.grid.spacing_mm[0]
        axis = patient_axes(self.affine)[2]
        return self.slices - 1 - index if self.affine[2, axis] < 0 else index

    def place(self, z_mm: float, y_mm: float, x_mm: float) -> tuple[int, float, float]:
        """The slice nearest to a point of `grid` in patient mm, and the point's row and column.

        All from 0, the latter fractional: 0 is the first pixel's centre. What lies outside is
        brought to the border.
        """
        found = [0.0, 0.0, 0.0]
        for row, axis in enumerate(patient_axes(self.affine)):
            at, last = 2 - row, self.grid.shape[2 - row] - 1
            index = ((z_mm, y_mm, x_mm)[at] - self.grid.origin_mm[at]) / self.grid.spacing_mm[at]
            index = min(max(index, 0.0), float(last))
            found[axis] = last - index if self.affine[row, axis] < 0 else index
        column, line, slice_at = found
        return round(slice_at), line, column

    def corner_mm(self, slice_at: float) -> NDArray[np.float64]:
        """(x, y, z) in LPS mm of the first pixel of a slice, which may lie between two slices."""
        return np.asarray(self.affine[:, 3] + self.affine[:, 2] * slice_at)

    def reference(self, index: int) -> tuple[str, str, list[int] | None]:
        """Class, UID and frame number (from 1, None without frames) of a slice."""
        image = self.images[0 if self.frames is not None else index]
        frame = None if self.frames is None else [self.frames[index] + 1]
        return str(image.SOPClassUID), str(image.SOPInstanceUID), frame


def read_source(series: Series) -> DicomSource:
    """The headers of a series and its grid; no pixel is read.

    Raises
    ------
    InputError
        `not_dicom` where the scan is an image file, `undecodable` where its headers make no stack.
    """
    if is_image(series.files[0]):
        raise InputError(
            "not_dicom",
            f"{series.path} is an image file, a DICOM series was wanted for results to refer to: "
            "export NIfTI instead, or score the DICOM series",
        )
    with or_undecodable(series):
        headers = [header for file in series.files if (header := read_header(file)) is not None]
        ordered, affine, _ = judged(headers)
        files = tuple(dict.fromkeys(header.path for header in ordered))
        if affine is None or set(files) != set(series.files):
            raise ValueError("the headers make no stack")
        is_one_file = len(files) == 1 and len(ordered) > 1
        images = tuple(pydicom.dcmread(file, stop_before_pixels=True) for file in files)
        for image in images:
            _complete(image, like=images[0], thickness_mm=float(np.linalg.norm(affine[:, 2])))
        pixels = (len(ordered), ordered[0].rows, ordered[0].columns)
        return DicomSource(
            series=series,
            images=images,
            frames=tuple(header.frame for header in ordered) if is_one_file else None,
            affine=affine,
            grid=to_patient_axes(np.broadcast_to(np.False_, pixels), affine),
        )


def _complete(image: pydicom.Dataset, *, like: pydicom.Dataset, thickness_mm: float) -> None:
    """Fill in what highdicom asks of a header and archives and de-identifiers leave out.

    Slices of one stack may write its orientation and spacing with different digits; results have
    one of each. Names in several character sets, as in Japan, become UTF-8 (PS3.3, C.12.1.1.2).
    """
    if isinstance(image.get("SpecificCharacterSet"), MultiValue):
        image.decode()
        image.SpecificCharacterSet = "ISO_IR 192"
    for keyword in MAY_BE_EMPTY:
        if keyword not in image:
            setattr(image, keyword, "")
    if "ImagePositionPatient" in image:
        image.ImageOrientationPatient = like.ImageOrientationPatient
        image.PixelSpacing = like.PixelSpacing
        if not image.get("SliceThickness"):
            image.SliceThickness = DSfloat(thickness_mm, auto_format=True)


@contextmanager
def or_undecodable(series: Series) -> Iterator[None]:
    """Turn what a series' headers make highdicom and pydicom raise into `undecodable`.

    The libraries' own words may quote a header, and none of them is passed on.
    """
    try:
        with quiet_pydicom():
            yield
    except (AttributeError, ValueError, TypeError, KeyError) as error:
        raise InputError(
            "undecodable",
            f"the headers of {series.path} make no DICOM result, patient, study and frame of "
            "reference were wanted in each: send the series again from the archive",
        ) from error


def encoded(result: pydicom.Dataset) -> bytes:
    """A result as the bytes of its file, without what a de-identifier left empty."""
    _drop_incomplete_trial(result)
    file = io.BytesIO()
    result.save_as(file)
    return file.getvalue()


def _drop_incomplete_trial(result: pydicom.Dataset) -> None:
    """Leave out a Clinical Trial Subject module whose subject is empty, as de-identifiers leave it.

    The module is optional, but where it stands one of the two is of type 1C (PS3.3, C.7.1.3).
    """
    if result.get("ClinicalTrialSubjectID") or result.get("ClinicalTrialSubjectReadingID"):
        return
    for keyword in TRIAL_SUBJECT_KEYWORDS:
        if keyword in result:
            delattr(result, keyword)
