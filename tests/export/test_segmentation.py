from collections.abc import Callable
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray

from cacnb.ct.dicom_headers import quiet_pydicom
from cacnb.ct.reading import read_scan
from cacnb.ct.series import Series
from cacnb.ct.volume import Volume
from cacnb.ct.writing import write_dicom_series, write_image
from cacnb.errors import InputError
from cacnb.export.segmentation import write_segmentation
from tests.export.scored_dicom import complaints

#: What each label is called in the file.
NAMES = {1: "LAD lesion region", 2: "LCX lesion region", 3: "RCA lesion region"}


@pytest.fixture
def thorax() -> Volume:
    hu = np.random.default_rng(5).normal(-300, 200, (24, 20, 28)).astype(np.float32)
    return Volume(hu, (3.0, 0.8, 0.7), (-100.0, -60.5, 20.25))


@pytest.fixture
def dicom(thorax: Volume, tmp_path: Path) -> Path:
    write_dicom_series(thorax, tmp_path / "series", patient_pseudonym="Doe^Jane")
    return tmp_path / "series"


def painted(scan: Volume, labels: tuple[int, ...] = (1, 2, 3)) -> Volume:
    """Regions that no flip and no exchange of axes leaves as they are, on a few slices."""
    regions = np.zeros(scan.shape, np.uint8)
    depth = scan.shape[0]
    for k, label in enumerate(labels):
        z = depth // 4 + 4 * k
        regions[z : z + 2, 2 + k : 5 + k, 3 : 9 + k] = label
        regions[z, 2 + k, 12] = label
    return scan.with_array(regions)


Points = dict[str, set[tuple[float, ...]]]


def points_of(regions: Volume) -> Points:
    """By segment the patient (LPS) places x, y, z in mm of its voxels."""
    return {
        NAMES[int(label)]: {
            tuple(np.round(np.asarray(regions.to_mm(tuple(index)))[::-1], 2) + 0.0)
            for index in np.argwhere(regions.array == label)
        }
        for label in np.unique(regions.array)
        if label
    }


def points_by_pydicom(path: Path) -> Points:
    """The same, frame by frame from the file's elements alone."""
    with quiet_pydicom():
        dataset = pydicom.dcmread(path)
        frames = dataset.pixel_array
    shared = dataset.SharedFunctionalGroupsSequence[0]
    direction = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, float)
    between_rows, between_columns = map(float, shared.PixelMeasuresSequence[0].PixelSpacing)
    names = {int(s.SegmentNumber): str(s.SegmentLabel) for s in dataset.SegmentSequence}
    found: Points = {}
    for pixels, groups in zip(frames, dataset.PerFrameFunctionalGroupsSequence, strict=True):
        corner = np.array(groups.PlanePositionSequence[0].ImagePositionPatient, float)
        segment = int(groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber)
        for row, column in np.argwhere(pixels):
            place = (
                corner
                + direction[:3] * column * between_columns
                + direction[3:] * row * between_rows
            )
            found.setdefault(names[segment], set()).add(tuple(np.round(place, 2) + 0.0))
    return found


def points_by_highdicom(path: Path) -> Points:
    """The same, from the volume that highdicom puts together."""
    with quiet_pydicom():
        segmentation = highdicom.seg.segread(path)
        volume = segmentation.get_volume(combine_segments=True)
        names = {
            n: segmentation.get_segment_description(n).segment_label
            for n in segmentation.segment_numbers
        }
    found: Points = {}
    for number, name in names.items():
        index: NDArray[np.intp] = np.argwhere(volume.array == number)
        places = volume.map_indices_to_reference(index)
        found[name] = {tuple(np.round(place, 2) + 0.0) for place in places}
    return found


def written(path: Path, regions: Callable[[Volume], Volume], out: Path) -> tuple[Series, Volume]:
    series, scan = read_scan(path)
    made = regions(scan)
    write_segmentation(made, series, out)
    return series, made


ORIENTATIONS = {
    "as it lies": [1, 0, 0, 0, 1, 0],
    "prone": [-1, 0, 0, 0, -1, 0],
    "mirrored left to right": [-1, 0, 0, 0, 1, 0],
    "mirrored front to back": [1, 0, 0, 0, -1, 0],
    "rows and columns exchanged": [0, 1, 0, 1, 0, 0],
    "turned by 90 degrees": [0, 1, 0, -1, 0, 0],
    "a third of a degree off": [0.999983, 0.005818, 0, -0.005818, 0.999983, 0],
}


@pytest.mark.parametrize("orientation", ORIENTATIONS.values(), ids=ORIENTATIONS.keys())
@pytest.mark.parametrize("head_first", [True, False])
def test_each_painted_voxel_lies_in_the_patient_where_it_was_painted(
    dicom: Path, tmp_path: Path, orientation: list[float], head_first: bool
) -> None:
    files = sorted(dicom.iterdir())
    heights = [pydicom.dcmread(file).ImagePositionPatient[2] for file in files]
    for number, (file, z) in enumerate(
        zip(files, heights if head_first else heights[::-1], strict=True)
    ):
        slice_ = pydicom.dcmread(file)
        slice_.ImageOrientationPatient = orientation
        slice_.ImagePositionPatient = [20.25, -60.5, z]
        slice_.InstanceNumber = 1000 - number
        slice_.save_as(file)
    _, regions = written(dicom, painted, tmp_path / "out.dcm")
    expected = points_of(regions)
    if max(map(abs, orientation)) == 1:
        assert points_by_pydicom(tmp_path / "out.dcm") == expected
        assert points_by_highdicom(tmp_path / "out.dcm") == expected
        return
    # `read_scan` leaves a small rotation out, the Segmentation stands on the pixels as they are.
    rotated = points_by_pydicom(tmp_path / "out.dcm")
    for name, points in expected.items():
        assert len(rotated[name]) == len(points)
        for place in points:
            assert min(np.linalg.norm(np.subtract(place, other)) for other in rotated[name]) < 0.3


def test_each_frame_refers_to_the_slice_that_stands_where_it_does(
    dicom: Path, tmp_path: Path
) -> None:
    _, regions = written(dicom, painted, tmp_path / "out.dcm")
    source = {}
    for file in dicom.iterdir():
        dataset = pydicom.dcmread(file)
        source[dataset.SOPInstanceUID] = [float(v) for v in dataset.ImagePositionPatient]
    segmentation = pydicom.dcmread(tmp_path / "out.dcm")
    frames = segmentation.PerFrameFunctionalGroupsSequence
    shown = [(regions.array == label).any(axis=(1, 2)).sum() for label in (1, 2, 3)]
    assert len(frames) == sum(shown) == 6, "empty slices make no frame"
    for frame in frames:
        reference = frame.DerivationImageSequence[0].SourceImageSequence[0]
        position = frame.PlanePositionSequence[0].ImagePositionPatient
        assert source[reference.ReferencedSOPInstanceUID] == pytest.approx(
            [float(v) for v in position]
        )


def test_segments_are_coded_by_artery_as_drawn_by_hand(dicom: Path, tmp_path: Path) -> None:
    written(dicom, lambda scan: painted(scan, (3, 1)), tmp_path / "out.dcm")
    segmentation = pydicom.dcmread(tmp_path / "out.dcm")
    first = pydicom.dcmread(next(dicom.iterdir()))
    assert segmentation.SegmentationType == "BINARY"
    assert segmentation.StudyInstanceUID == first.StudyInstanceUID
    assert segmentation.FrameOfReferenceUID == first.FrameOfReferenceUID
    assert segmentation.SeriesInstanceUID != first.SeriesInstanceUID
    assert segmentation.PatientName == "Doe^Jane", "it belongs to its patient's study"
    codes = []
    for segment in segmentation.SegmentSequence:
        assert segment.SegmentAlgorithmType == "MANUAL"
        assert segment.SegmentedPropertyTypeCodeSequence[0].CodeValue == "52988006"
        region = segment.AnatomicRegionSequence[0]
        codes.append((segment.SegmentLabel, region.CodingSchemeDesignator, region.CodeValue))
    assert codes == [
        ("LAD lesion region", "SCT", "59438005"), ("RCA lesion region", "SCT", "13647002"),
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["acrin_flt_breast_013", "qrm_thorax_phantom"])
def test_real_scans_come_back_voxel_for_voxel(shared_data: Path, tmp_path: Path, name: str) -> None:
    _, regions = written(shared_data / name, painted, tmp_path / "out.dcm")
    expected = points_of(regions)
    assert points_by_pydicom(tmp_path / "out.dcm") == expected
    assert points_by_highdicom(tmp_path / "out.dcm") == expected
    assert complaints(tmp_path / "out.dcm", "Segmentation") == []


def test_dciodvfy_finds_no_error(dicom: Path, tmp_path: Path) -> None:
    written(dicom, painted, tmp_path / "out.dcm")
    assert complaints(tmp_path / "out.dcm", "Segmentation") == []


def test_an_empty_trial_subject_that_a_de_identifier_left_is_not_passed_on(
    dicom: Path, tmp_path: Path
) -> None:
    for file in dicom.iterdir():
        slice_ = pydicom.dcmread(file)
        slice_.ClinicalTrialSponsorName = "somebody"
        slice_.ClinicalTrialProtocolID = "1"
        slice_.ClinicalTrialSubjectID = ""
        slice_.save_as(file)
    written(dicom, painted, tmp_path / "out.dcm")
    segmentation = pydicom.dcmread(tmp_path / "out.dcm")
    assert "ClinicalTrialSubjectID" not in segmentation
    assert "ClinicalTrialSponsorName" not in segmentation


def test_a_scan_that_is_no_dicom_is_refused(thorax: Volume, tmp_path: Path) -> None:
    write_image(thorax, tmp_path / "scan.nii.gz")
    with pytest.raises(InputError) as refusal:
        written(tmp_path / "scan.nii.gz", painted, tmp_path / "out.dcm")
    assert refusal.value.code == "not_dicom"
    assert not (tmp_path / "out.dcm").exists()


@pytest.mark.parametrize(
    ("code", "regions"),
    [
        ("no_regions", lambda scan: painted(scan, ())),
        ("unknown_label", lambda scan: painted(scan, (1, 4))),
        (
            "different_grid",
            lambda scan: Volume(painted(scan).array, scan.spacing_mm, (-97.0, -60.5, 20.25)),
        ),
        (
            "different_grid",
            lambda scan: Volume(painted(scan).array[:, 1:], scan.spacing_mm, scan.origin_mm),
        ),
    ],
)
def test_regions_that_make_no_segmentation_are_refused(
    dicom: Path, tmp_path: Path, code: str, regions: Callable[[Volume], Volume]
) -> None:
    with pytest.raises(InputError) as refusal:
        written(dicom, regions, tmp_path / "out.dcm")
    assert refusal.value.code == code
    assert "Doe" not in refusal.value.message


def test_a_series_without_its_class_is_refused_without_a_word_of_the_patient(
    dicom: Path, tmp_path: Path
) -> None:
    for file in dicom.iterdir():
        slice_ = pydicom.dcmread(file)
        del slice_.StudyInstanceUID
        slice_.save_as(file)
    with pytest.raises(InputError) as refusal:
        written(dicom, painted, tmp_path / "out.dcm")
    assert refusal.value.code == "undecodable"
    assert "Doe" not in refusal.value.message
