"""The frames of an enhanced (multi-frame) CT file as slices; it does not know other files.

Place, spacing, rescale and kernel stand in the functional groups, shared by all frames or each
frame's own (PS3.3, C.7.6.16 and A.38); the frame's own goes before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from cacnb.ct.dicom_elements import is_from_system, quiet_pydicom
from cacnb.ct.dicom_headers import SliceHeader, image_type_of, number, numbers

#: Where a frame states what a classic slice states at its top: (group, element).
_PLACES = (
    ("PlanePositionSequence", "ImagePositionPatient"),
    ("PlaneOrientationSequence", "ImageOrientationPatient"),
    ("PixelMeasuresSequence", "PixelSpacing"),
    ("PixelMeasuresSequence", "SliceThickness"),
    ("PixelValueTransformationSequence", "RescaleSlope"),
    ("PixelValueTransformationSequence", "RescaleIntercept"),
    ("PixelValueTransformationSequence", "RescaleType"),
    ("CTImageFrameTypeSequence", "FrameType"),
    ("CTReconstructionSequence", "ConvolutionKernel"),
    ("CTXRayDetailsSequence", "KVP"),
    ("CTAcquisitionDetailsSequence", "GantryDetectorTilt"),
)
_GROUPS = ["SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"]


def frames_of(header: SliceHeader) -> tuple[SliceHeader, ...]:
    """Every frame of an enhanced file, in the order of the file.

    Raises
    ------
    ValueError
        Where the file holds no functional groups, or not one for each frame.
    """
    try:
        with quiet_pydicom():
            dataset = dcmread(
                header.path, stop_before_pixels=True, specific_tags=_GROUPS, force=True
            )
            shared = _first(dataset, "SharedFunctionalGroupsSequence")
            own = dataset.get("PerFrameFunctionalGroupsSequence") or []
            frames = tuple(_frame(header, i, shared, groups) for i, groups in enumerate(own))
    except Exception as error:  # a damaged sequence breaks parsers anywhere
        if is_from_system(error):
            raise
        raise ValueError("the functional groups of the frames are damaged") from error
    if len(frames) != header.frames:
        raise ValueError(f"{len(frames)} functional groups stand for {header.frames} frames")
    return frames


def _frame(header: SliceHeader, index: int, shared: Dataset, own: Dataset) -> SliceHeader:
    texts: dict[str, str] = {}
    for group, keyword in _PLACES:
        for groups in (own, shared):
            item = _first(groups, group)
            if item.get(keyword) is not None:
                texts[keyword] = _text(item.get(keyword))
                break
    kind = image_type_of(texts["FrameType"]) if "FrameType" in texts else header.image_type
    return replace(
        header,
        frame=index,
        image_type=kind,
        position=numbers(texts, "ImagePositionPatient", 3),
        orientation=numbers(texts, "ImageOrientationPatient", 6),
        pixel_spacing=numbers(texts, "PixelSpacing", 2),
        thickness_mm=number(texts, "SliceThickness"),
        gantry_tilt_deg=number(texts, "GantryDetectorTilt"),
        slope=number(texts, "RescaleSlope"),
        intercept=number(texts, "RescaleIntercept"),
        rescale_type=texts.get("RescaleType", "").upper(),
        kernel=texts.get("ConvolutionKernel", header.kernel),
        kvp=number(texts, "KVP"),
    )


def _first(dataset: Dataset, group: str) -> Dataset:
    sequence: Sequence[Dataset] = dataset.get(group) or []
    return sequence[0] if sequence else Dataset()


def _text(value: object) -> str:
    if isinstance(value, MultiValue | list):
        return "\\".join(str(item) for item in value)
    return str(value).strip()
