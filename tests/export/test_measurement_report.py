"""The structured report of scored scans, read back element by element and by highdicom."""

import json
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest

from cacnb.export.archive import TARGETS, export_scan
from cacnb.export.scored_result import find_results
from tests.export.scored_dicom import planted_series, score

AGATSTON = ("SCT", "450360000")
ADJUSTED = ("99CACNB", "agatston_adj")
VOLUME = ("DCM", "112197")
PSEUDO_MASS = ("99CACNB", "pseudo_mass")
COUNT = ("DCM", "111038")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The series `series`, its result `scan.json`, a report alone and one beside the others."""
    folder = tmp_path_factory.mktemp("reported")
    (found,) = find_results(score(planted_series(folder / "series"), folder))
    export_scan(found, ["sr"], folder / "alone")
    export_scan(found, TARGETS, folder / "together")
    return folder


@pytest.fixture(scope="module")
def series(folder: Path) -> Path:
    return folder / "series"


@pytest.fixture(scope="module")
def result(folder: Path) -> dict:
    return json.loads((folder / "scan.json").read_text())


@pytest.fixture(scope="module")
def alone(folder: Path) -> pydicom.Dataset:
    return pydicom.dcmread(folder / "alone" / "scan.sr.dcm")


def code(item: pydicom.Dataset, sequence: str = "ConceptNameCodeSequence") -> tuple[str, str]:
    return item[sequence][0].CodingSchemeDesignator, item[sequence][0].CodeValue


def groups_of(report: pydicom.Dataset) -> dict[str, pydicom.Dataset]:
    """The measurement groups by their tracking identifiers."""
    (measurements,) = [i for i in report.ContentSequence if code(i) == ("DCM", "126010")]
    return {
        str(item.TextValue): group
        for group in measurements.ContentSequence
        for item in group.ContentSequence
        if code(item) == ("DCM", "112039")
    }


def numbers(group: pydicom.Dataset) -> dict[tuple[str, str], float]:
    return {
        code(item): float(item.MeasuredValueSequence[0].FloatingPointValue)
        for item in group.ContentSequence
        if item.ValueType == "NUM"
    }


def evaluations(group: pydicom.Dataset) -> dict[str, str]:
    return {
        code(item)[1]: code(item, "ConceptCodeSequence")[1]
        for item in group.ContentSequence
        if item.ValueType == "CODE" and code(item)[0] == "99CACNB"
    }


def test_each_method_is_reported_as_scored(result: dict, alone: pydicom.Dataset) -> None:
    groups = groups_of(alone)
    ours, theirs = result["proposed"], result["clinical"]
    proposed = groups["CAC map, all lesions"]
    assert numbers(proposed) == {
        ADJUSTED: ours["agatston_adjusted"], VOLUME: ours["volume_mm3"],
        PSEUDO_MASS: ours["pseudo_mass_hu_mm3"], COUNT: len(result["lesions"]),
    }  # fmt: skip
    clinical = groups["Calcium >= 130 HU (literature)"]
    assert numbers(clinical) == {
        AGATSTON: theirs["agatston"], VOLUME: theirs["volume_mm3"],
        PSEUDO_MASS: theirs["pseudo_mass_hu_mm3"], COUNT: len(theirs["lesions"]),
    }  # fmt: skip
    assert evaluations(proposed) == {"risk_category": f"risk_{ours['risk_category']}"}
    assert evaluations(clinical) == {
        "risk_category": f"risk_{theirs['risk_category']}", "convention": "literature",
    }  # fmt: skip


def test_an_adjusted_score_is_never_coded_as_the_conventional_one(alone: pydicom.Dataset) -> None:
    for name, group in groups_of(alone).items():
        is_clinical = name.startswith(("Clinical", "Calcium"))
        assert (AGATSTON in numbers(group)) == is_clinical
        assert (ADJUSTED in numbers(group)) != is_clinical


def test_arteries_have_the_sums_of_their_lesions(result: dict, alone: pydicom.Dataset) -> None:
    groups = groups_of(alone)
    for artery in ("LAD", "RCA"):
        lesions = [one for one in result["lesions"] if one["artery"] == artery]
        assert lesions
        found = numbers(groups[f"CAC map, {artery}"])
        assert found[COUNT] == len(lesions)
        assert found[ADJUSTED] == pytest.approx(sum(one["agatston_adjusted"] for one in lesions))
    assert "CAC map, LCX" not in groups


def test_each_lesion_is_a_point_at_its_centre_on_the_nearest_slice(
    series: Path, result: dict, alone: pydicom.Dataset
) -> None:
    images = {str(d.SOPInstanceUID): d for d in map(pydicom.dcmread, series.iterdir())}
    groups = groups_of(alone)
    lesions = {f"CAC map, lesion {one['lesion']}": one for one in result["lesions"]}
    lesions |= {
        f"Clinical score, lesion {one['lesion']}": one for one in result["clinical"]["lesions"]
    }
    assert len(lesions) > 6
    for name, lesion in lesions.items():
        (point,) = [i for i in groups[name].ContentSequence if i.ValueType == "SCOORD"]
        assert point.GraphicType == "POINT"
        image = images[
            str(point.ContentSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID)
        ]
        x, y, z = (float(v) for v in image.ImagePositionPatient)
        column, row = (float(v) - 0.5 for v in point.GraphicData)
        rows_mm, columns_mm = (float(v) for v in image.PixelSpacing)
        place = [x + column * columns_mm, y + row * rows_mm]
        np.testing.assert_allclose(place, [lesion["x_mm"], lesion["y_mm"]], atol=1e-3)
        assert abs(z - lesion["z_mm"]) <= 1.5 + 1e-6
        assert numbers(groups[name])[VOLUME] == lesion["volume_mm3"]
        assert numbers(groups[name])[("DCM", "112031")] == lesion["peak_hu"]


def test_groups_refer_to_the_segments_of_the_same_call(folder: Path) -> None:
    report = pydicom.dcmread(folder / "together" / "scan.sr.dcm")
    segmentation = pydicom.dcmread(folder / "together" / "scan.seg.dcm")
    segments = {int(s.SegmentNumber): s for s in segmentation.SegmentSequence}
    referred = set()
    for name, group in groups_of(report).items():
        for item in group.ContentSequence:
            if code(item) == ("DCM", "121191"):
                reference = item.ReferencedSOPSequence[0]
                assert reference.ReferencedSOPInstanceUID == segmentation.SOPInstanceUID
                segment = segments[int(reference.ReferencedSegmentNumber)]
                assert str(segment.SegmentLabel) == name
                uids = [str(i.UID) for i in group.ContentSequence if i.ValueType == "UIDREF"]
                assert str(segment.TrackingUID) in uids
                referred.add(name)
    assert referred == {str(s.SegmentLabel) for s in segments.values()} - {"Heart"}


def test_without_segments_groups_refer_to_images_of_the_series(
    series: Path, alone: pydicom.Dataset
) -> None:
    images = {str(pydicom.dcmread(file).SOPInstanceUID) for file in series.iterdir()}
    for group in groups_of(alone).values():
        items = [
            *group.ContentSequence,
            *(i for item in group.ContentSequence for i in item.get("ContentSequence", [])),
        ]
        seen = {
            str(i.ReferencedSOPSequence[0].ReferencedSOPInstanceUID)
            for i in items
            if i.ValueType == "IMAGE"
        }
        assert seen
        assert seen <= images


def test_the_report_says_what_it_is_for_and_what_made_it(
    result: dict, alone: pydicom.Dataset
) -> None:
    text = " ".join(str(i.TextValue) for i in alone.ContentSequence if i.ValueType == "TEXT")
    assert "Research use only, not a medical device" in text
    assert "weights demo" in text
    assert result["weights"]["sha256"] in text
    assert "convention literature, threshold 130 HU" in text


def test_highdicom_reads_the_report_by_its_templates(result: dict, folder: Path) -> None:
    content = highdicom.sr.srread(folder / "together" / "scan.sr.dcm").content
    by_lesion = content.get_planar_roi_measurement_groups()
    assert len(by_lesion) == len(result["lesions"]) + len(result["clinical"]["lesions"])
    by_segment = content.get_volumetric_roi_measurement_groups()
    assert {str(group.tracking_identifier) for group in by_segment} == {
        "CAC map, LAD", "CAC map, RCA", "CAC map, unnamed", "Calcium >= 130 HU (literature)",
    }  # fmt: skip
    (clinical,) = [g for g in by_segment if g.tracking_identifier.startswith("Calcium")]
    values = {m.name.value: m.value for m in clinical.get_measurements()}
    assert values["450360000"] == result["clinical"]["agatston"]


def test_a_scan_without_calcium_is_reported_as_zero(series: Path, tmp_path: Path) -> None:
    (found,) = find_results(score(series, tmp_path, lesions=(), threshold_hu=3000.0))
    path = export_scan(found, ["sr"], tmp_path / "out").files["sr"]
    groups = groups_of(pydicom.dcmread(path))
    assert sorted(groups) == ["CAC map, all lesions", "Calcium >= 3000 HU (literature)"]
    for group in groups.values():
        assert set(numbers(group).values()) == {0.0}
