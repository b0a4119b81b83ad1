"""Segmentation and Parametric Map of scored scans, read back from their elements alone."""

import shutil
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
from highdicom.legacy import LegacyConvertedEnhancedCTImage

from cacnb.ct.dicom_headers import quiet_pydicom
from cacnb.ct.reading import read_image
from cacnb.ct.series import find_series
from cacnb.ct.volume import Volume
from cacnb.export.archive import TARGETS, Exported, export_scan
from cacnb.export.dicom_source import read_source
from cacnb.export.onto_slices import onto_slices
from cacnb.export.scored_result import find_results
from tests.export.scored_dicom import complaints, places_in, places_of, planted_series, score

CLINICAL = "Calcium >= 130 HU (literature)"
ORIENTATIONS = {
    "as it lies": [1, 0, 0, 0, 1, 0],
    "prone": [-1, 0, 0, 0, -1, 0],
    "mirrored left to right": [-1, 0, 0, 0, 1, 0],
    "rows and columns exchanged": [0, 1, 0, 1, 0, 0],
}


def exported(result: Path, out: Path, targets=TARGETS) -> Exported:
    (found,) = find_results(result)
    return export_scan(found, targets, out)


@pytest.mark.parametrize("orientation", ORIENTATIONS.values(), ids=ORIENTATIONS.keys())
def test_what_is_counted_lies_where_it_does_in_the_patient(
    tmp_path: Path, orientation: list[float]
) -> None:
    result = score(planted_series(tmp_path / "series", orientation=orientation), tmp_path)
    files = exported(result, tmp_path / "out", ["seg", "map"]).files
    cac_map = read_image(tmp_path / "scan.cac_map.nii.gz")
    assert places_in(files["map"]) == {"map": places_of(cac_map)}, "to the bit"
    counted = places_of(read_image(tmp_path / "scan.clinical.nii.gz"))
    assert len(counted) > 20
    assert places_in(files["seg"])[CLINICAL].keys() == counted.keys()


@pytest.mark.parametrize("orientation", ORIENTATIONS.values(), ids=ORIENTATIONS.keys())
def test_a_point_in_the_patient_is_found_on_its_slice(
    tmp_path: Path, orientation: list[float]
) -> None:
    (series,) = find_series([planted_series(tmp_path / "s", orientation=orientation)]).series
    source = read_source(series)
    for share in np.random.default_rng(3).uniform(0, 1, (20, 3)):
        z, y, x = source.grid.to_mm(tuple(share * np.subtract(source.grid.shape, 1)))
        index, row, column = source.place(z, y, x)
        found = source.affine @ [column, row, index, 1]
        np.testing.assert_allclose(found[:2], [x, y], atol=1e-6)
        assert abs(found[2] - z) <= 1.5 + 1e-6


def test_a_series_in_a_zip_is_exported(tmp_path: Path) -> None:
    shutil.make_archive(str(tmp_path / "series"), "zip", planted_series(tmp_path / "series"))
    files = exported(score(tmp_path / "series.zip", tmp_path), tmp_path / "out", ["map"]).files
    cac_map = read_image(tmp_path / "scan.cac_map.nii.gz")
    assert places_in(files["map"]) == {"map": places_of(cac_map)}


def test_frames_follow_the_normal_of_the_slices_without_a_gap(tmp_path: Path) -> None:
    mirrored = planted_series(tmp_path / "series", orientation=[-1, 0, 0, 0, 1, 0])
    path = exported(score(mirrored, tmp_path), tmp_path / "out", ["map"]).files["map"]
    frames = pydicom.dcmread(path).PerFrameFunctionalGroupsSequence
    heights = [float(f.PlanePositionSequence[0].ImagePositionPatient[2]) for f in frames]
    np.testing.assert_allclose(np.diff(heights), -1.5, atol=1e-6)
    assert [f.FrameContentSequence[0].DimensionIndexValues for f in frames] == [
        *range(1, len(frames) + 1)
    ]


def test_the_map_says_what_its_values_are_and_where_they_come_from(tmp_path: Path) -> None:
    series = planted_series(tmp_path / "series")
    path = exported(score(series, tmp_path), tmp_path / "out", ["map"]).files["map"]
    made = pydicom.dcmread(path)
    shared = made.SharedFunctionalGroupsSequence[0]
    mapping = shared.RealWorldValueMappingSequence[0]
    assert mapping.MeasurementUnitsCodeSequence[0].CodeValue == "[hnsf'U]"
    assert (mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept) == (1, 0)
    anatomy = shared.FrameAnatomySequence[0]
    assert (anatomy.AnatomicRegionSequence[0].CodeValue, anatomy.FrameLaterality) == (
        "80891009", "U",
    )  # fmt: skip
    assert shared.PixelMeasuresSequence[0].SliceThickness == 1.5
    heights = {
        str(d.SOPInstanceUID): float(d.ImagePositionPatient[2])
        for d in map(pydicom.dcmread, series.iterdir())
    }
    for frame in made.PerFrameFunctionalGroupsSequence:
        z = float(frame.PlanePositionSequence[0].ImagePositionPatient[2])
        derived = frame.DerivationImageSequence[0].SourceImageSequence
        near = {heights[str(item.ReferencedSOPInstanceUID)] for item in derived}
        assert near == {h for h in heights.values() if abs(h - z) < 3.0 + 0.75}


def test_on_slices_of_the_map_every_segment_is_the_scored_one(tmp_path: Path) -> None:
    series = planted_series(tmp_path / "series", step_mm=1.5, slices=45)
    path = exported(score(series, tmp_path), tmp_path / "out", ["seg"]).files["seg"]
    found = places_in(path)
    cac_map = places_of(read_image(tmp_path / "scan.cac_map.nii.gz"))
    of_map = [found[f"CAC map, {name}"].keys() for name in ("LAD", "RCA", "unnamed")]
    assert set().union(*of_map) == cac_map.keys()
    assert sum(map(len, of_map)) == len(cac_map)
    assert found["Heart"].keys() == places_of(read_image(tmp_path / "scan.heart.nii.gz")).keys()


@pytest.mark.parametrize("step_mm", [1.0, 2.0, 3.0, 5.0])
def test_brought_onto_other_slices_a_segment_keeps_its_volume(
    tmp_path: Path, step_mm: float
) -> None:
    series = planted_series(tmp_path / "series", step_mm=step_mm, slices=int(72 / step_mm))
    result = score(series, tmp_path)
    found = places_in(exported(result, tmp_path / "out", ["seg"]).files["seg"])
    voxel_mm3 = step_mm * 0.8 * 0.7
    volumes = {name: len(places) * voxel_mm3 for name, places in found.items()}
    map_mm3 = {"LAD": (3 * 2 * 4 + 1 * 3 * 2), "RCA": 2 * 4 * 1, "unnamed": 4 * 1 * 3}
    for artery, voxels in map_mm3.items():
        wanted = voxels * 1.5 * 0.8 * 0.7
        assert abs(volumes[f"CAC map, {artery}"] - wanted) <= voxel_mm3 / 2 + 1e-6
    cac_map = read_image(tmp_path / "scan.cac_map.nii.gz")
    where = np.array(list(places_of(cac_map)))
    for artery in map_mm3:
        for place in found[f"CAC map, {artery}"]:
            nearest = np.abs(where - place)
            touches = (nearest[:, :2] < 0.01).all(axis=1) & (
                nearest[:, 2] < (step_mm + 1.5) / 2 - 1e-6
            )
            assert touches.any(), "a segment's voxel is one that the map's calcium touches"


def test_of_a_lesion_thinner_than_half_a_slice_one_voxel_stays() -> None:
    fine = Volume(np.zeros((20, 3, 3), bool), (0.5, 1.0, 1.0))
    fine.array[7, 1, 1] = True
    coarse = Volume(np.zeros((2, 3, 3), bool), (5.0, 1.0, 1.0), (2.25, 0.0, 0.0))
    assert np.argwhere(onto_slices(fine, coarse)).tolist() == [[0, 1, 1]]


def test_segments_are_automatic_and_tell_the_algorithm_and_its_weights(tmp_path: Path) -> None:
    result = score(planted_series(tmp_path / "series"), tmp_path)
    made = pydicom.dcmread(exported(result, tmp_path / "out", ["seg"]).files["seg"])
    regions = {}
    for segment in made.SegmentSequence:
        assert segment.SegmentAlgorithmType == "AUTOMATIC"
        algorithm = segment.SegmentationAlgorithmIdentificationSequence[0]
        assert algorithm.AlgorithmName == "cacnb"
        assert f"weights=demo,weights_sha256={'0123456789abcdef' * 4}" in str(
            algorithm.AlgorithmParameters
        )
        site = segment.get("AnatomicRegionSequence")
        regions[str(segment.SegmentLabel)] = site[0].CodeValue if site else None
    assert regions == {
        "Heart": None, "CAC map, LAD": "59438005", "CAC map, RCA": "13647002",
        "CAC map, unnamed": "41801008", CLINICAL: "41801008",
    }  # fmt: skip


def test_frames_of_segments_refer_to_the_images_that_they_lie_on(tmp_path: Path) -> None:
    series = planted_series(tmp_path / "series")
    made = pydicom.dcmread(
        exported(score(series, tmp_path), tmp_path / "out", ["seg"]).files["seg"]
    )
    heights = {
        str(d.SOPInstanceUID): float(d.ImagePositionPatient[2])
        for d in map(pydicom.dcmread, series.iterdir())
    }
    for frame in made.PerFrameFunctionalGroupsSequence:
        reference = frame.DerivationImageSequence[0].SourceImageSequence[0]
        z = float(frame.PlanePositionSequence[0].ImagePositionPatient[2])
        assert heights[str(reference.ReferencedSOPInstanceUID)] == pytest.approx(z)


def test_headers_that_leave_out_what_may_be_empty_make_results_all_the_same(tmp_path: Path) -> None:
    series = planted_series(tmp_path / "series")
    for number, file in enumerate(sorted(series.iterdir())):
        slice_ = pydicom.dcmread(file)
        for keyword in ("AccessionNumber", "StudyID", "ReferringPhysicianName", "SliceThickness"):
            del slice_[keyword]
        if number % 2:
            slice_.ImageOrientationPatient = [1, 0, 0, 0, 0.999999, 0]
        slice_.save_as(file)
    files = exported(score(series, tmp_path), tmp_path / "out").files
    assert sorted(files) == ["map", "seg", "sr"]
    for path in files.values():
        assert complaints(path) == []


@pytest.mark.parametrize(
    ("character_set", "name"),
    [
        ("ISO_IR 100", "Müller^Jörg"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        (None, "Plain^Name"),
    ],
)
def test_a_name_in_any_character_set_stays_what_it_is(
    tmp_path: Path, character_set: str | list[str] | None, name: str
) -> None:
    series = planted_series(tmp_path / "series")
    for file in series.iterdir():
        slice_ = pydicom.dcmread(file)
        slice_.SpecificCharacterSet = character_set or ""
        if character_set is None:
            del slice_.SpecificCharacterSet
        slice_.PatientName = name
        slice_.save_as(file)
    for path in exported(score(series, tmp_path), tmp_path / "out").files.values():
        assert pydicom.dcmread(path).PatientName == name
        assert complaints(path) == []


def test_a_scan_in_one_multi_frame_file_is_exported_as_any_other(tmp_path: Path) -> None:
    classic = planted_series(tmp_path / "classic")
    slices = [pydicom.dcmread(file) for file in sorted(classic.iterdir(), reverse=True)]
    for dataset in slices:
        dataset.AcquisitionDateTime = "20200101000000"
        dataset.ContentDate, dataset.ContentTime = "20200101", "000000"
        dataset.BurnedInAnnotation = "NO"
    with quiet_pydicom():  # the planted name is warned of
        converted = LegacyConvertedEnhancedCTImage(
            slices, series_instance_uid="1.2.3", series_number=1, sop_instance_uid="1.2.3.4",
            instance_number=1,
        )  # fmt: skip
    (tmp_path / "enhanced").mkdir()
    converted.save_as(tmp_path / "enhanced" / "scan.dcm")
    files = exported(score(tmp_path / "enhanced", tmp_path), tmp_path / "out").files
    counted = places_of(read_image(tmp_path / "scan.clinical.nii.gz"))
    assert places_in(files["seg"])[CLINICAL].keys() == counted.keys()
    cac_map = places_of(read_image(tmp_path / "scan.cac_map.nii.gz"))
    assert places_in(files["map"]) == {"map": cac_map}
    for path in files.values():
        assert complaints(path) == []


def test_highdicom_reads_the_same_volumes(tmp_path: Path) -> None:
    result = score(planted_series(tmp_path / "series"), tmp_path)
    files = exported(result, tmp_path / "out", ["seg", "map"]).files
    with quiet_pydicom():
        volume = highdicom.imread(files["map"]).get_volume()
        segmentation = highdicom.seg.segread(files["seg"])
        numbers = {d.segment_label: n for n, d in enumerate(segmentation.SegmentSequence, 1)}
        counted = segmentation.get_volume(segment_numbers=[numbers[CLINICAL]])
    index = np.argwhere(volume.array)
    places = np.round(volume.map_indices_to_reference(index), 2) + 0.0
    cac_map = read_image(tmp_path / "scan.cac_map.nii.gz")
    assert {
        tuple(place): float(volume.array[tuple(k)])
        for place, k in zip(places.tolist(), index, strict=True)
    } == places_of(cac_map)
    found = np.argwhere(counted.array[..., 0])
    places = np.round(counted.map_indices_to_reference(found), 2) + 0.0
    assert {*map(tuple, places.tolist())} == places_of(
        read_image(tmp_path / "scan.clinical.nii.gz")
    ).keys()


def test_without_calcium_there_is_a_heart_and_a_report_and_no_map(tmp_path: Path) -> None:
    series = planted_series(tmp_path / "series")
    result = score(series, tmp_path, lesions=(), threshold_hu=3000.0)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "scan.map.dcm").write_bytes(b"of an earlier result")
    (found,) = find_results(result)
    done = export_scan(found, TARGETS, tmp_path / "out", replace=True)
    assert sorted(done.files) == ["seg", "sr"]
    assert done.without_calcium == ("map",)
    assert not (tmp_path / "out" / "scan.map.dcm").exists()
    assert sorted(places_in(done.files["seg"])) == ["Heart"]


@pytest.mark.parametrize("name", ["acrin_flt_breast_013", "qrm_thorax_phantom"])
def test_real_scans_come_back_voxel_for_voxel(shared_data: Path, tmp_path: Path, name: str) -> None:
    threshold_hu = 110.0 if name.startswith("acrin") else None
    result = score(shared_data / name, tmp_path, threshold_hu=threshold_hu)
    targets = ["seg", "map"] if name.startswith("acrin") else TARGETS
    files = exported(result, tmp_path / "out", targets).files
    found = places_in(files["seg"])
    counted = places_of(read_image(tmp_path / "scan.clinical.nii.gz"))
    (label,) = [label for label in found if label.startswith("Calcium")]
    assert len(counted) > 20
    assert found[label].keys() == counted.keys()
    cac_map = places_of(read_image(tmp_path / "scan.cac_map.nii.gz"))
    assert places_in(files["map"])["map"] == cac_map
    for path in files.values():
        assert complaints(path) == []
