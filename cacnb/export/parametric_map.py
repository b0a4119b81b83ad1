"""A CAC map in HU as a DICOM Parametric Map; it does not know lesions or scores.

The map keeps its own slices, 1.5 mm apart, in the source's frame of reference: its values are
those that were scored, to the bit, and Σ value × voxel volume is the pseudo-mass. Slices are
written from the first to the last with calcium, those between them too: dcmqi, which reads for 3D
Slicer, stacks the frames that there are (as of 1.5.7), and behind a gap every lesion would move.
"""

from __future__ import annotations

from typing import Any

import highdicom
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from cacnb.ct.volume import Volume
from cacnb.export.calcium_codes import HU, MAP_METHOD, MAP_VALUE, scheme_identification
from cacnb.export.dicom_source import EQUIPMENT, DicomSource, or_undecodable

SERIES_NUMBER = 9003

#: What viewers show at first, in HU: calcium adds some ten to some hundred.
WINDOW_CENTRE_HU, WINDOW_WIDTH_HU = 200.0, 400.0


def parametric_map(cac_map: Volume, source: DicomSource) -> Any:
    """The slices of a CAC map from the first to the last with calcium (PS3.3, A.75), float32, HU.

    Each frame is derived from the source's slices that it was interpolated from. Real World Value
    Mapping says that a value is HU (C.7.6.16.2.11), Frame Anatomy that it is the heart: 3D Slicer's
    reader asks for the latter (C.7.6.16.2.8).

    Parameters
    ----------
    cac_map
        In HU, (z, y, x), in-plane on the source's grid; some voxel is above 0.

    Raises
    ------
    InputError
        `undecodable` where the series' headers do not make a Parametric Map.
    """
    values = source.on_pixels(cac_map.array.astype(np.float32))
    at = np.sort([source.slice_at(float(z)) for z in cac_map.axis_mm(0)])
    shown = np.flatnonzero(values.any(axis=(1, 2)))
    values, at = values[shown[0] : shown[-1] + 1], at[shown[0] : shown[-1] + 1]
    step_mm = cac_map.spacing_mm[0]
    columns_mm, rows_mm = np.linalg.norm(source.affine[:, :2], axis=0)
    patient = highdicom.CoordinateSystemNames.PATIENT
    with or_undecodable(source.series):
        made = highdicom.pm.ParametricMap(
            source_images=source.images,
            pixel_array=values,
            series_instance_uid=highdicom.UID(),
            series_number=SERIES_NUMBER,
            sop_instance_uid=highdicom.UID(),
            instance_number=1,
            contains_recognizable_visual_features=False,
            real_world_value_mappings=[
                highdicom.pm.RealWorldValueMapping(
                    lut_label="HU",
                    lut_explanation="Hounsfield units added by coronary calcium",
                    unit=HU,
                    value_range=(0.0, float(values.max())),
                    slope=1.0,
                    intercept=0.0,
                    quantity_definition=MAP_VALUE,
                )
            ],
            voi_lut_transformations=[
                highdicom.VOILUTTransformation(
                    window_center=WINDOW_CENTRE_HU, window_width=WINDOW_WIDTH_HU
                )
            ],
            pixel_measures=highdicom.PixelMeasuresSequence(
                pixel_spacing=[float(rows_mm), float(columns_mm)],
                slice_thickness=step_mm,
                spacing_between_slices=step_mm,
            ),
            plane_orientation=highdicom.PlaneOrientationSequence(
                patient, [float(v) for v in _cosines(source)]
            ),
            plane_positions=[
                highdicom.PlanePositionSequence(patient, [float(v) for v in source.corner_mm(k)])
                for k in at
            ],
            derivation=MAP_METHOD,
            content_label="CAC_MAP",
            content_description="Coronary artery calcium map; research only",
            **EQUIPMENT,
        )
        made.ContentCreatorName = ""  # type 2 (PS3.3, 10.9)
        made.SeriesDescription = "CAC map in HU (cacnb, research only)"
        made.CodingSchemeIdentificationSequence = [scheme_identification()]
        shared = made.SharedFunctionalGroupsSequence[0]
        shared.FrameAnatomySequence = [_heart()]
        # highdicom takes the source's measures where pixels are alike, also their thickness.
        shared.PixelMeasuresSequence[0].SliceThickness = step_mm
        shared.PixelMeasuresSequence[0].SpacingBetweenSlices = step_mm
        up = np.dot(np.cross(*_cosines(source).reshape(2, 3)), source.affine[:, 2]) > 0
        along = at if up else at[::-1]
        reach = 1.0 + step_mm / source.grid.spacing_mm[0] / 2
        _put_along_normal(made, _cosines(source))
        for frame, k in zip(made.PerFrameFunctionalGroupsSequence, along, strict=True):
            if not frame.get("DerivationImageSequence"):
                frame.DerivationImageSequence = [_derived_from(source, float(k), reach)]
        return made


def _cosines(source: DicomSource) -> NDArray[np.float64]:
    """Row and column directions of the source's slices, (6,)."""
    directions = source.affine[:, :2] / np.linalg.norm(source.affine[:, :2], axis=0)
    return np.asarray(directions.T.ravel(), np.float64)


def _put_along_normal(made: Any, cosines: NDArray[np.float64]) -> None:
    """Put the frames in order along row × column: dcmqi takes them so, whatever their positions."""
    frames = list(made.PerFrameFunctionalGroupsSequence)
    normal = np.cross(cosines[:3], cosines[3:])
    places = [frame.PlanePositionSequence[0].ImagePositionPatient for frame in frames]
    order = np.argsort(np.array(places, np.float64) @ normal)
    pixels = np.frombuffer(made.FloatPixelData, "<f4").reshape(len(frames), -1)
    made.FloatPixelData = pixels[order].tobytes()
    made.PerFrameFunctionalGroupsSequence = [frames[k] for k in order]
    for number, frame in enumerate(made.PerFrameFunctionalGroupsSequence, start=1):
        frame.FrameContentSequence[0].DimensionIndexValues = number


def _heart() -> Dataset:
    item = Dataset()
    item.AnatomicRegionSequence = [highdicom.sr.CodedConcept.from_code(codes.SCT.Heart)]
    item.FrameLaterality = "U"
    return item


def _derived_from(source: DicomSource, slice_at: float, reach: float) -> Dataset:
    """An item that names the slices less than `reach` slices from a place between them."""
    near = [k for k in range(source.slices) if abs(k - slice_at) < reach]
    item = Dataset()
    item.DerivationCodeSequence = [MAP_METHOD]
    item.SourceImageSequence = []
    for k in near:
        sop_class, sop_uid, frame = source.reference(k)
        image = Dataset()
        image.ReferencedSOPClassUID, image.ReferencedSOPInstanceUID = sop_class, sop_uid
        if frame is not None:
            image.ReferencedFrameNumber = frame[0]
        image.PurposeOfReferenceCodeSequence = [
            highdicom.sr.CodedConcept.from_code(
                codes.CID7202.SourceImageForImageProcessingOperation
            )
        ]
        image.SpatialLocationsPreserved = "NO"
        item.SourceImageSequence.append(image)
    return item
