"""A checked series to HU, a mask image to a mask; it does not know which series deserve a score."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import SimpleITK
from numpy.typing import NDArray

from cacnb.ct.dicom_headers import read_header
from cacnb.ct.geometry import Affine, grid_reasons, to_patient_axes
from cacnb.ct.image_data import check_voxels
from cacnb.ct.image_headers import (
    NIFTI_ENDINGS,
    affine_of,
    is_image,
    quiet_itk,
    read_image_header,
)
from cacnb.ct.nifti import read_nifti
from cacnb.ct.pixels import AIR_HU, slices_hu
from cacnb.ct.series import Series, Unread, find_series, judged
from cacnb.ct.verdict import Reason
from cacnb.ct.volume import Volume
from cacnb.errors import InputError

#: A scan of a body has lung, bowel gas or air around it below this value.
SOME_AIR_HU = -200.0
#: Codes of files that may have been slices.
DAMAGED = ("undecodable", "unreadable", "empty_file")
#: What a label or a probability must reach to be in a mask.
MASK_THRESHOLD = 0.5


def read_volume(series: Series) -> Volume:
    """The scan of a series in HU (float32) on patient axes.

    Slices come in the order of `series.files`, geometry from their headers and not from the
    decoder; padding below −1024 HU is set to −1024.

    Raises
    ------
    InputError
        The first refusing reason where the series is refused; `undecodable` where a decoder fails;
        `not_finite` where a voxel is NaN or infinite.
    """
    for reason in series.reasons:
        if reason.severity == "refuse":
            raise InputError(reason.code, reason.message)
    try:
        if is_image(series.files[0]):
            array, affine = _read_image(series.files[0])
        else:
            array, affine = _read_slices(series.files)
    except (ValueError, OSError, RuntimeError) as error:
        raise InputError(
            "undecodable",
            f"{series.path} cannot be decoded, whole readable pixels were wanted: "
            "copy the series again or send it uncompressed",
        ) from error
    hu = array.astype(np.float32, copy=False)
    if not np.isfinite(hu).all():
        raise InputError(
            "not_finite",
            f"{series.path} holds voxels that are not numbers, HU were wanted: "
            "convert the DICOM series again",
        )
    return to_patient_axes(np.maximum(hu, np.float32(AIR_HU)), affine)


def read_scan(path: Path) -> tuple[Series, Volume]:
    """The one scan below a path, and its volume in HU.

    A refused series beside the one scan (a localizer, an RTSTRUCT) is passed over. The series gains
    a `not_hu` warning where no voxel is as dark as air, and `unread_files` where files stand beside
    it that cannot be read and may belong to it.

    Raises
    ------
    InputError
        `empty` where no series is found, `several_series` where more than one could be meant, the
        series' own first reason where it is refused, and as `read_volume`.
    """
    found = find_series([path])
    fit = [series for series in found.series if series.verdict != "refused"]
    if len(fit) == 1:
        volume = read_volume(fit[0])
        series = _with_unread_warning(fit[0], found.unread)
        return with_value_warning(series, volume), volume
    if len(fit) > 1:
        raise InputError(
            "several_series",
            f"{path} holds {len(fit)} scans (of {', '.join(str(s.slices) for s in fit)} slices), "
            "one was wanted: give the path of one; `cacnb inspect` lists them",
        )
    if found.series:
        worst = max(found.series, key=lambda series: (series.slices, len(series.files)))
        reason = next(r for r in worst.reasons if r.severity == "refuse")
        raise InputError(reason.code, reason.message)
    why = Counter(unread.code for unread in found.unread)
    listed = ", ".join(f"{count} × {code}" for code, count in why.most_common(3))
    raise InputError(
        "empty",
        f"{path} holds no scan ({listed or 'no files'}), a DICOM series, NIfTI, NRRD or MHA was "
        "wanted: give the folder or file of one scan",
    )


def read_image(path: Path) -> Volume:
    """Any one-channel image (NIfTI, NRRD, MHA) on patient axes, its values as they are stored.

    For maps, masks and probabilities that the app wrote itself; a scan goes through `read_scan`.

    Raises
    ------
    InputError
        `missing`, `undecodable`, `no_geometry`, `not_axial`.
    """
    if not path.is_file() or not is_image(path):
        raise InputError(
            "undecodable" if path.exists() else "missing",
            f"{path} is no image file, a NIfTI, NRRD or MHA was wanted: check the path",
        )
    try:
        array, affine = _read_image(path)
    except (ValueError, OSError, RuntimeError) as error:
        raise InputError(
            "undecodable", f"{path} cannot be decoded, a whole image was wanted: write it again"
        ) from error
    for reason in grid_reasons(affine):
        raise InputError(reason.code, f"{path}: {reason.message}")
    return to_patient_axes(array, affine)


def read_mask(path: Path, like: Volume, *, may_be_empty: bool = False) -> Volume:
    """A mask image (NIfTI, NRRD, MHA) as bool on the grid of `like`; values from 0.5 up are in.

    Raises
    ------
    InputError
        As `read_image`; `other_grid` where the grid is not that of `like`, `empty_mask` where no
        voxel is in it.
    """
    image = read_image(path)
    mask = image.with_array(np.greater_equal(image.array, MASK_THRESHOLD))
    if not mask.same_grid(like):
        raise InputError(
            "other_grid",
            f"the mask is {_grid(mask)}, the scan is {_grid(like)}: resample it onto the scan",
        )
    if not may_be_empty and not mask.array.any():
        raise InputError(
            "empty_mask", f"{path} holds no voxel of a mask, at least one was wanted: draw it again"
        )
    return mask


def _read_slices(files: tuple[Path, ...]) -> tuple[NDArray[np.generic], Affine]:
    """Pixels (k, j, i) of DICOM slices in the given order, rescaled one by one, and their grid."""
    headers = [read_header(file) for file in files]
    ordered, affine, reasons = judged([header for header in headers if header is not None])
    if affine is None or tuple(dict.fromkeys(header.path for header in ordered)) != files:
        raise ValueError("the files changed since their headers were read")
    if any(reason.severity == "refuse" for reason in reasons):
        raise ValueError("the slices no longer make one stack")
    return slices_hu(tuple(ordered)), affine


def _read_image(path: Path) -> tuple[NDArray[np.generic], Affine]:
    """Voxels (k, j, i) of an image file and its affine to LPS mm."""
    if path.name.lower().endswith(NIFTI_ENDINGS):
        array, header = read_nifti(path)
        affine = header.affine
    else:
        with quiet_itk():
            described = read_image_header(path)
            affine = described.affine
            check_voxels(path, described.files[1:], described.wanted_bytes)
            image = SimpleITK.ReadImage(str(path))
        array = SimpleITK.GetArrayFromImage(image)
        if affine is not None:
            affine = affine_of(image.GetSpacing(), image.GetOrigin(), image.GetDirection())
    if affine is None or array.ndim != 3:
        raise InputError(
            "no_geometry",
            f"{path} does not say where its voxels stand, spacing and origin were wanted: "
            "write it again with its geometry",
        )
    return array, affine


def with_value_warning(series: Series, volume: Volume) -> Series:
    """The series, with a `not_hu` warning where no voxel of its volume is as dark as air."""
    if volume.array.min() < SOME_AIR_HU:
        return series
    reason = Reason(
        "not_hu",
        f"no voxel is below {SOME_AIR_HU:g} HU, air or lung was wanted: "
        "check that the values are HU and not shifted ones",
        "warn",
    )
    return replace(series, reasons=(*series.reasons, reason))


def _with_unread_warning(series: Series, unread: tuple[Unread, ...]) -> Series:
    lost = sum(one.code in DAMAGED for one in unread)
    if not lost:
        return series
    reason = Reason(
        "unread_files",
        f"{lost} file{'s' * (lost != 1)} beside the scan cannot be read and may belong to it, "
        "whole files were wanted: copy the series again; `cacnb inspect` lists them",
        "warn",
    )
    return replace(series, reasons=(*series.reasons, reason))


def _grid(volume: Volume) -> str:
    shape = " × ".join(str(n) for n in reversed(volume.shape))
    spacing = " × ".join(f"{v:g}" for v in reversed(volume.spacing_mm))
    origin = ", ".join(f"{v:.1f}" for v in reversed(volume.origin_mm))
    return f"{shape} voxels of {spacing} mm at ({origin})"
