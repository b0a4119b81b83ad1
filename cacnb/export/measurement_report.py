"""A scored scan's measurements as a DICOM structured report; it does not score.

A Comprehensive SR (PS3.3, A.35.3) after TID 1500 "Measurement Report" (PS3.16): for each method the
whole scan, for the CAC map each artery, and each lesion. A group refers to its segment where a
Segmentation was written in the same call (TID 1411), else to the images that show it (TID 1501). A
lesion is a point at its centre in the slice nearest to it (TID 1410), which viewers jump to.

The conventional score has SNOMED's code of the coronary calcium score, the adjusted one a code of
its own, so that no archive takes the one for the other. Numbers stand as the result has them, in
double precision beside the 16 characters of a decimal string.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import highdicom
import numpy as np
from highdicom import sr
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

import cacnb
from cacnb import RESEARCH_ONLY
from cacnb.export import calcium_codes as cac
from cacnb.export.dicom_source import EQUIPMENT, DicomSource, or_undecodable
from cacnb.export.scored_result import ScoredResult
from cacnb.export.scored_segments import (
    CLINICAL,
    Segments,
    algorithm_parameters,
    artery_of,
    label_of,
)

SERIES_NUMBER = 9004

#: What the observer is told to be.
OBSERVER = "cacnb, coronary calcium scoring, research use only, not a medical device"

#: A measurement group of TID 1410, 1411 or 1501; highdicom has no types.
Group = Any


def measurement_report(
    result: ScoredResult, source: DicomSource, segments: Segments | None = None
) -> Any:
    """The measurements of a scan by both methods.

    Parameters
    ----------
    segments
        What was written as a Segmentation in the same call, to be referred to.

    Raises
    ------
    InputError
        `undecodable` where the series' headers do not make a report.
    """
    with or_undecodable(source.series):
        groups = [*_proposed(result, source, segments), *_clinical(result, source, segments)]
        shown = sorted(
            {_slice_of(lesion, source) for lesion in (*result.lesions, *result.clinical["lesions"])}
        )
        content = sr.MeasurementReport(
            observation_context=sr.ObservationContext(
                observer_device_context=sr.ObserverContext(
                    observer_type=codes.DCM.Device,
                    observer_identifying_attributes=sr.DeviceObserverIdentifyingAttributes(
                        uid=highdicom.UID(),
                        name=OBSERVER,
                        manufacturer_name="cacnb",
                        model_name="cacnb",
                        serial_number=cacnb.__version__,
                    ),
                )
            ),
            procedure_reported=codes.LN.CTUnspecifiedBodyRegion,
            imaging_measurements=groups,
            title=codes.DCM.ImagingMeasurementReport,
            referenced_images=_images(shown, source) or None,
        )
        for text in _remarks(result):
            content[0].ContentSequence.append(
                sr.TextContentItem(codes.DCM.Comment, text, sr.RelationshipTypeValues.CONTAINS)
            )
        evidence = [*source.images, *([] if segments is None else [segments.dataset])]
        report = sr.ComprehensiveSR(
            evidence=evidence,
            content=content[0],
            series_instance_uid=highdicom.UID(),
            series_number=SERIES_NUMBER,
            sop_instance_uid=highdicom.UID(),
            instance_number=1,
            is_complete=True,
            **EQUIPMENT,
        )
        report.SeriesDescription = "Coronary calcium scores (cacnb, research only)"
        report.CodingSchemeIdentificationSequence = [cac.scheme_identification()]
        return report


def _remarks(result: ScoredResult) -> Iterator[str]:
    """What a person must know who reads the numbers."""
    clinical = result.clinical
    yield f"Research use only, not a medical device. {RESEARCH_ONLY}"
    parameters = algorithm_parameters(result)
    yield (
        f"cacnb {cacnb.__version__}, weights {parameters['weights']} "
        f"(SHA-256 {parameters['weights_sha256']})."
    )
    yield (
        f"Clinical score: convention {clinical['convention']}, threshold "
        f"{clinical['threshold_hu']:g} HU. CAC map: no threshold; its Agatston score is adjusted "
        "(weight 1 also below 130 HU), pseudo-mass is the sum of the map in HU times mm3."
    )


def _proposed(
    result: ScoredResult, source: DicomSource, segments: Segments | None
) -> Iterator[Group]:
    """The CAC map: the whole scan, each artery, each lesion."""
    scores = {**result.proposed, "lesions": len(result.lesions)}
    yield _group("CAC map, all lesions", scores, result, source, result.lesions)
    for artery in (*cac.ARTERIES, cac.UNNAMED):
        lesions = [lesion for lesion in result.lesions if artery_of(lesion) == artery]
        if lesions:
            yield _group(
                label_of(artery, result), _sums(lesions), result, source, lesions,
                segments=segments, key=artery, site=cac.ARTERIES.get(artery, cac.CORONARY),
            )  # fmt: skip
    for lesion in result.lesions:
        yield _lesion(f"CAC map, lesion {lesion['lesion']}", lesion, result, source)


def _clinical(
    result: ScoredResult, source: DicomSource, segments: Segments | None
) -> Iterator[Group]:
    """The clinical score: the whole scan and each lesion."""
    lesions = result.clinical["lesions"]
    scores = {**result.clinical, "lesions": len(lesions)}
    yield _group(
        label_of(CLINICAL, result), scores, result, source, lesions,
        segments=segments, key=CLINICAL, is_clinical=True,
    )  # fmt: skip
    for lesion in lesions:
        name = f"Clinical score, lesion {lesion['lesion']}"
        yield _lesion(name, lesion, result, source, is_clinical=True)


def _group(
    name: str,
    scores: Mapping[str, Any],
    result: ScoredResult,
    source: DicomSource,
    lesions: Sequence[Mapping[str, Any]],
    *,
    segments: Segments | None = None,
    key: str = "",
    site: Any = cac.CORONARY,
    is_clinical: bool = False,
) -> Group:
    """A group that refers to a segment where there is one, else to the slices of its lesions."""
    evaluations = _evaluations(scores, result, is_clinical=is_clinical)
    measurements = _measurements(scores, is_clinical=is_clinical)
    method = cac.AGATSTON_METHOD if is_clinical else cac.MAP_METHOD
    if segments is not None and key in segments.numbers:
        made = segments.dataset
        return sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
            tracking_identifier=sr.TrackingIdentifier(segments.tracking_uids[key], name),
            referenced_segment=sr.ReferencedSegment(
                sop_class_uid=made.SOPClassUID,
                sop_instance_uid=made.SOPInstanceUID,
                segment_number=segments.numbers[key],
                source_series=sr.SourceSeriesForSegmentation(source.images[0].SeriesInstanceUID),
            ),
            finding_type=cac.CALCIFICATION,
            method=method,
            algorithm_id=_algorithm(result),
            finding_sites=[sr.FindingSite(site)],
            measurements=measurements,
            qualitative_evaluations=evaluations,
        )
    shown = sorted({_slice_of(lesion, source) for lesion in lesions})
    return sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(highdicom.UID(), name),
        finding_type=cac.CALCIFICATION,
        method=method,
        algorithm_id=_algorithm(result),
        finding_sites=[sr.FindingSite(site)],
        measurements=measurements,
        qualitative_evaluations=evaluations,
        source_images=[sr.SourceImageForMeasurementGroup(*source.reference(k)) for k in shown],
    )


def _lesion(
    name: str,
    lesion: Mapping[str, Any],
    result: ScoredResult,
    source: DicomSource,
    *,
    is_clinical: bool = False,
) -> Group:
    """A lesion as a point at its centre, in the coordinates of the slice nearest to it.

    Coordinates run from the upper left corner of the first pixel, whose centre is (0.5, 0.5)
    (PS3.3, C.18.6.1.1).
    """
    index, row, column = source.place(lesion["z_mm"], lesion["y_mm"], lesion["x_mm"])
    return sr.PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(highdicom.UID(), name),
        referenced_region=sr.ImageRegion(
            graphic_type=sr.GraphicTypeValues.POINT,
            graphic_data=np.array([[column + 0.5, row + 0.5]]),
            source_image=sr.SourceImageForRegion(*source.reference(index)),
        ),
        finding_type=cac.CALCIFICATION,
        method=cac.AGATSTON_METHOD if is_clinical else cac.MAP_METHOD,
        algorithm_id=_algorithm(result),
        finding_sites=[sr.FindingSite(cac.ARTERIES.get(artery_of(lesion), cac.CORONARY))],
        measurements=_measurements(lesion, is_clinical=is_clinical),
    )


def _measurements(scores: Mapping[str, Any], *, is_clinical: bool) -> list[sr.Measurement]:
    """The numbers that scores or a lesion have, of those that are exported."""
    agatston = (
        ("agatston", cac.AGATSTON, cac.NO_UNITS, None)
        if is_clinical
        else ("agatston_adjusted", cac.ADJUSTED_AGATSTON, cac.NO_UNITS, None)
    )
    listed = (
        agatston,
        ("volume_mm3", cac.VOLUME, cac.MM3, None),
        ("pseudo_mass_hu_mm3", cac.PSEUDO_MASS, cac.HU_MM3, None),
        ("mass_mg", cac.MASS, cac.MG, None),
        ("lesions", cac.LESIONS, cac.NO_UNITS, None),
        ("peak_hu", cac.ATTENUATION, cac.HU, cac.MAXIMUM),
    )
    return [
        sr.Measurement(name=name, value=float(scores[key]), unit=unit, derivation=derivation)
        for key, name, unit, derivation in listed
        if scores.get(key) is not None
    ]


def _evaluations(
    scores: Mapping[str, Any], result: ScoredResult, *, is_clinical: bool
) -> list[sr.QualitativeEvaluation] | None:
    """Risk category and convention, of what has them."""
    found = []
    category = scores.get("risk_category")
    if category is not None:
        found.append(sr.QualitativeEvaluation(cac.RISK_CATEGORY, cac.RISK_CATEGORIES[category]))
    if is_clinical:
        name = str(result.clinical["convention"])
        meaning = f"{name}, threshold {result.clinical['threshold_hu']:g} HU"
        found.append(sr.QualitativeEvaluation(cac.CONVENTION, cac.own(name, meaning)))
    return found or None


def _sums(lesions: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The scores of an artery: those of its lesions, added."""
    added = ("agatston_adjusted", "volume_mm3", "pseudo_mass_hu_mm3")
    return {
        **{key: float(sum(lesion[key] for lesion in lesions)) for key in added},
        "lesions": len(lesions),
    }


def _algorithm(result: ScoredResult) -> sr.AlgorithmIdentification:
    return sr.AlgorithmIdentification(
        name="cacnb",
        version=cacnb.__version__,
        parameters=[f"{key}={value}" for key, value in algorithm_parameters(result).items()],
    )


def _slice_of(lesion: Mapping[str, Any], source: DicomSource) -> int:
    return source.place(lesion["z_mm"], lesion["y_mm"], lesion["x_mm"])[0]


def _images(shown: Sequence[int], source: DicomSource) -> list[Dataset]:
    """The images of some slices, for the report's image library."""
    return [source.images[k] for k in shown] if source.frames is None else []
