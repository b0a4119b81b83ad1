"""The one door for heart masks: whatever holds one, onto a scan's grid; it judges no heart."""

from __future__ import annotations

from pathlib import Path

from cacnb.ct.contours import mask_of
from cacnb.ct.dicom_headers import quiet_pydicom, read_header
from cacnb.ct.dicom_segmentation import read_segment
from cacnb.ct.image_headers import IMAGE_ENDINGS, is_image
from cacnb.ct.label_images import read_labels
from cacnb.ct.mask_objects import MaskObject, mask_object
from cacnb.ct.mask_placing import onto
from cacnb.ct.rtstruct import read_structure
from cacnb.ct.series import Series
from cacnb.ct.totalsegmentator import NAME, totalsegmentator_heart
from cacnb.ct.volume import Volume
from cacnb.errors import InputError


def read_heart(
    path: Path, volume: Volume, *, series: Series | None = None, structure: str | None = None
) -> Volume:
    """A heart mask (bool) on the grid of a scan, from whatever holds one.

    Parameters
    ----------
    path
        An RTSTRUCT, a DICOM SEG, or a NIfTI, NRRD or MHA on any grid; a folder with one that
        belongs to the scan, such as TotalSegmentator's; or the word `totalsegmentator`, where it
        is installed and no file bears that name.
    volume
        The scan.
    series
        What the scan was read from. With it the frames of reference of scan and mask are compared.
    structure
        Name or number of the structure, segment or label; None for the one that is the heart.

    Raises
    ------
    InputError
        `missing`, `not_a_mask`, `no_mask`, `several_masks`, `empty_mask`, `other_frame`,
        `other_place` where nothing of it lies in the scan, and as `read_structure`,
        `read_segment`, `read_labels`, `totalsegmentator_heart`.
    """
    if path == Path(NAME) and not path.exists():
        return totalsegmentator_heart(volume)
    if not path.exists():
        raise InputError("missing", f"{path} does not exist: check the path of the heart mask")
    source = _in_folder(path, series) if path.is_dir() else path
    if is_image(source):
        labels = read_labels(source, structure)
        if not labels.array.any():
            raise InputError(
                "empty_mask",
                "the mask image holds no voxel of a heart, at least one was wanted: draw it again",
            )
        heart = onto(labels, volume)
    else:
        heart = _from_dicom(source, volume, series, structure)
    if not heart.array.any():
        raise InputError(
            "other_place",
            "no voxel of the heart mask lies in the scan, a mask of this scan was wanted: check "
            "that both are of one series",
        )
    return heart


def frame_and_uid(series: Series | None) -> tuple[str, str | None]:
    """Frame of reference and series UID of a scan; nothing for an image file."""
    if series is None or is_image(series.files[0]):
        return "", None
    with quiet_pydicom():
        header = read_header(series.files[0])
    return (header.frame_of_reference, header.series_uid) if header else ("", None)


def _from_dicom(path: Path, volume: Volume, series: Series | None, structure: str | None) -> Volume:
    found = mask_object(path)
    if found is None:
        raise InputError(
            "not_a_mask",
            "the file holds no heart mask, an RTSTRUCT, DICOM SEG, NIfTI, NRRD or MHA was wanted: "
            "check the path",
        )
    frame, _ = frame_and_uid(series)
    if found.kind == "seg":
        _same_frame(frame, found.frames)
        return onto(read_segment(path, structure), volume)
    drawn = read_structure(path, structure)
    _same_frame(frame, {drawn.frame_of_reference} - {""} or found.frames)
    return mask_of(drawn.planes, volume)


def _same_frame(scan: str, mask: frozenset[str] | set[str]) -> None:
    if scan and mask and scan not in mask:
        raise InputError(
            "other_frame",
            "the heart mask stands in another frame of reference than the scan, the scan's own was "
            "wanted: take the mask of this series, or resample it after a registration",
        )


def _in_folder(folder: Path, series: Series | None) -> Path:
    """The one file of a folder that holds this scan's heart."""
    named = [folder / f"heart{ending}" for ending in IMAGE_ENDINGS]
    there = [file for file in named if file.is_file()]
    frame, uid = frame_and_uid(series)
    files = sorted(file for file in folder.rglob("*") if file.is_file() and not is_image(file))
    objects: list[MaskObject] = [found for file in files if (found := mask_object(file))]
    there += [found.path for found in objects if uid is None or found.may_belong_to(uid, frame)]
    if len(there) == 1:
        return there[0]
    raise InputError(
        "no_mask" if not there else "several_masks",
        f"{folder} holds {len(there)} files with this scan's heart, one was wanted: give the file",
    )
