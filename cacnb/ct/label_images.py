"""The heart in a NIfTI, NRRD or MetaImage of labels; it does not know the scan's grid."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import numpy as np
import SimpleITK
from numpy.typing import NDArray

from cacnb.ct.geometry import Affine
from cacnb.ct.heart_names import choose_heart, heart_rank
from cacnb.ct.image_data import check_voxels
from cacnb.ct.image_headers import NIFTI_ENDINGS, affine_of, quiet_itk, read_image_header
from cacnb.ct.mask_placing import PlacedMask
from cacnb.ct.nifti import read_nifti
from cacnb.errors import InputError

#: What a probability, or a mask's one label, must reach to be in.
MASK_THRESHOLD = 0.5
#: TotalSegmentator's first version had no heart: its five parts, which together are one.
HEART_PARTS = {
    "heart_myocardium", "heart_atrium_left", "heart_ventricle_left", "heart_atrium_right",
    "heart_ventricle_right",
}  # fmt: skip
#: A label of the table that TotalSegmentator writes into a multi-label NIfTI.
_NIFTI_LABEL = re.compile(r'<Label Key="(\d+)"[^>]*>\s*(?:<!\[CDATA\[)?([^<\]]*)')
#: The words of a Slicer segmentation (.seg.nrrd) for one of its segments.
_SLICER_KEY = re.compile(r"Segment(\d+)_(Name|LabelValue)")


def read_labels(path: Path, structure: str | None = None) -> PlacedMask:
    """The heart of an image, or the label that is named or numbered.

    An image of one label is a mask, and one of fractions a probability. Among several labels the
    heart is the one that the file names so (TotalSegmentator, Slicer).

    Raises
    ------
    InputError
        `undecodable`, `no_geometry`; `several_labels` where the file does not say which is the
        heart; `no_structure`, `several_structures`.
    """
    try:
        with quiet_itk():
            array, affine, names = _read(path)
    except (ValueError, OSError, RuntimeError) as error:
        raise InputError(
            "undecodable",
            "the mask image cannot be decoded, a whole one was wanted: write it again",
        ) from error
    if affine is None or array.ndim != 3:
        raise InputError(
            "no_geometry",
            "the mask image does not say where its voxels stand, one volume with spacing and "
            "origin was wanted: write it again with its geometry",
        )
    return PlacedMask(_chosen(array, names, structure), affine)


def _chosen(
    array: NDArray[np.generic], names: dict[int, str], structure: str | None
) -> NDArray[np.bool_]:
    labels = _labels(array)
    if structure is not None:
        numbered = {label: names.get(label, "") for label in {*labels, *names}}
        return np.asarray(array == choose_heart(numbered, structure))
    parts = [label for label, name in names.items() if name in HEART_PARTS]
    if any(heart_rank(name) is not None for name in names.values()):
        return np.asarray(array == choose_heart(names))
    if {names[label] for label in parts} == HEART_PARTS:
        return np.isin(array, parts)
    if len(labels) > 1:
        raise InputError(
            "several_labels",
            f"the mask image holds {len(labels)} labels and names none of them a heart, one was "
            "wanted: give the heart's with --label N (in TotalSegmentator 2 it is 51)",
        )
    return np.asarray(np.greater_equal(array, MASK_THRESHOLD))


def _labels(array: NDArray[np.generic]) -> list[int]:
    """The labels of an image but 0; none where its values are fractions."""
    if np.issubdtype(array.dtype, np.floating) and (array != np.rint(array)).any():
        return []
    return [int(label) for label in np.unique(array) if label]


def _read(path: Path) -> tuple[NDArray[np.generic], Affine | None, dict[int, str]]:
    """Voxels (k, j, i) as stored, the affine to LPS mm, and the labels' names where told."""
    if path.name.lower().endswith(NIFTI_ENDINGS):
        array, header = read_nifti(path)
        return array, header.affine, _nifti_names(path, header.offset)
    described = read_image_header(path)
    check_voxels(path, described.files[1:], described.wanted_bytes)
    image = SimpleITK.ReadImage(str(path))
    array = SimpleITK.GetArrayFromImage(image)
    if described.affine is None:
        return array, None, {}
    return (
        array,
        affine_of(image.GetSpacing(), image.GetOrigin(), image.GetDirection()),
        _slicer_names(image),
    )


def _nifti_names(path: Path, offset: int) -> dict[int, str]:
    """The label table between a NIfTI's header and its voxels."""
    with gzip.open(path) if path.name.lower().endswith(".gz") else path.open("rb") as file:
        between = file.read(offset)
    text = between.decode("utf-8", "replace")
    return {int(key): name.strip() for key, name in _NIFTI_LABEL.findall(text)}


def _slicer_names(image: SimpleITK.Image) -> dict[int, str]:
    found: dict[str, dict[str, str]] = {}
    for key in image.GetMetaDataKeys():
        if match := _SLICER_KEY.fullmatch(key):
            found.setdefault(match[1], {})[match[2]] = image.GetMetaData(key)
    return {
        int(segment["LabelValue"]): segment.get("Name", "")
        for segment in found.values()
        if segment.get("LabelValue", "").isdigit()
    }
