"""RTSTRUCT and SEG files of a scan, written as a planning system and a segmenter would."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import highdicom
import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian, RTStructureSetStorage, generate_uid

from cacnb.ct.volume import Volume

Polygons = Sequence[tuple[float, np.ndarray]]  #: (z in mm, (n, 2) points x y) a contour


def write_rtstruct(
    path: Path,
    structures: Mapping[str, Polygons],
    *,
    series_uid: str = "1.2.3",
    frame: str = "1.2.4",
    kind: str = "CLOSED_PLANAR",
    code: Mapping[str, tuple[str, str]] = {},
) -> Dataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = RTStructureSetStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset(path, {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID = RTStructureSetStorage
    dataset.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    dataset.Modality = "RTSTRUCT"
    dataset.SeriesInstanceUID = generate_uid()
    dataset.StudyInstanceUID = generate_uid()
    dataset.StructureSetLabel = "plan"
    series, study, of_frame = Dataset(), Dataset(), Dataset()
    series.SeriesInstanceUID = series_uid
    study.RTReferencedSeriesSequence = [series]
    of_frame.FrameOfReferenceUID = frame
    of_frame.RTReferencedStudySequence = [study]
    dataset.ReferencedFrameOfReferenceSequence = [of_frame]
    rois, drawn, seen = [], [], []
    for number, (name, polygons) in enumerate(structures.items(), start=1):
        roi, item, observation = Dataset(), Dataset(), Dataset()
        roi.ROINumber, roi.ROIName = number, name
        roi.ReferencedFrameOfReferenceUID = frame
        item.ReferencedROINumber = observation.ReferencedROINumber = number
        observation.ObservationNumber, observation.RTROIInterpretedType = number, "ORGAN"
        if name in code:
            identification = Dataset()
            identification.CodingSchemeDesignator, identification.CodeValue = code[name]
            observation.RTROIIdentificationCodeSequence = [identification]
        contours = []
        for z, points in polygons:
            contour = Dataset()
            contour.ContourGeometricType = kind
            contour.NumberOfContourPoints = len(points)
            xyz = np.column_stack([points, np.broadcast_to(z, len(points))])
            contour.ContourData = [f"{v:.4f}" for v in xyz.ravel()]
            contours.append(contour)
        item.ContourSequence = contours
        rois.append(roi)
        drawn.append(item)
        seen.append(observation)
    dataset.StructureSetROISequence = rois
    dataset.ROIContourSequence = drawn
    dataset.RTROIObservationsSequence = seen
    dataset.save_as(path, enforce_file_format=True)
    return dataset


def ring(centre: tuple[float, float], radii: tuple[float, float], points: int = 200) -> np.ndarray:
    """An ellipse as (n, 2) points x y in mm."""
    angle = np.linspace(0, 2 * np.pi, points, endpoint=False)
    return np.column_stack(
        [centre[0] + radii[0] * np.cos(angle), centre[1] + radii[1] * np.sin(angle)]
    )


def write_seg(
    path: Path, folder: Path, masks: Mapping[str, Volume], heart: str | None = None
) -> None:
    """Segments of a series on its own grid; `heart` names the one that bears the heart's code."""
    images = [pydicom.dcmread(file) for file in sorted(folder.iterdir())]
    for image in images:
        image.PatientName = "Doe^Jane"  # highdicom warns of a name without a caret
    descriptions = [
        highdicom.seg.SegmentDescription(
            segment_number=number,
            segment_label=label,
            segmented_property_category=codes.SCT.Organ,
            segmented_property_type=codes.SCT.Heart if label == heart else codes.SCT.Aorta,
            algorithm_type=highdicom.seg.SegmentAlgorithmTypeValues.MANUAL,
        )
        for number, label in enumerate(masks, start=1)
    ]
    segmentation = highdicom.seg.Segmentation(
        source_images=images,
        pixel_array=np.stack([mask.array for mask in masks.values()], axis=-1),
        segmentation_type=highdicom.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=descriptions,
        series_instance_uid=generate_uid(),
        series_number=900,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer="m", manufacturer_model_name="m", software_versions="1",
        device_serial_number="1",
    )  # fmt: skip
    segmentation.save_as(path)
