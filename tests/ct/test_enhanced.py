"""Multi-frame CT: frames in any order, rescale in functional groups, compressed or not."""

from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
from highdicom.legacy import LegacyConvertedEnhancedCTImage
from pydicom.uid import JPEGLSLossless, RLELossless

from cacnb.ct.reading import read_scan, read_volume
from cacnb.ct.series import find_series
from cacnb.ct.volume import Volume
from cacnb.ct.writing import write_dicom_series
from cacnb.errors import InputError


@pytest.fixture
def enhanced(thorax: Volume, tmp_path: Path) -> Path:
    """The thorax as one file of 24 frames, from head to feet, made by highdicom."""
    files = write_dicom_series(thorax, tmp_path / "classic", patient_pseudonym="anonymous^")
    slices = [pydicom.dcmread(file) for file in reversed(files)]
    for dataset in slices:
        dataset.AcquisitionDateTime = "20200101000000"
        dataset.ContentDate, dataset.ContentTime = "20200101", "000000"
        dataset.BurnedInAnnotation = "NO"
    converted = LegacyConvertedEnhancedCTImage(
        slices, series_instance_uid="1.2.3", series_number=1, sop_instance_uid="1.2.3.4",
        instance_number=1,
    )  # fmt: skip
    folder = tmp_path / "enhanced"
    folder.mkdir()
    converted.save_as(folder / "scan.dcm")
    return folder / "scan.dcm"


def change_frames(path: Path, change) -> None:
    dataset = pydicom.dcmread(path)
    for index, groups in enumerate(dataset.PerFrameFunctionalGroupsSequence):
        change(groups, index)
    dataset.save_as(path)


def refusing(path: Path) -> set[str]:
    (series,) = find_series([path]).series
    return {reason.code for reason in series.reasons if reason.severity == "refuse"}


def test_the_frames_of_an_enhanced_file_are_a_scan(enhanced: Path, thorax: Volume) -> None:
    series, volume = read_scan(enhanced)
    assert (series.slices, len(series.files)) == (24, 1)
    assert series.spacing_mm == pytest.approx((3.0, 0.8, 0.7))
    assert volume.same_grid(thorax)
    np.testing.assert_array_equal(volume.array, np.round(thorax.array))


def test_highdicom_reads_the_same_enhanced_scan(enhanced: Path) -> None:
    _, ours = read_scan(enhanced)
    theirs = highdicom.imread(enhanced).get_volume()
    array = theirs.array if theirs.direction[2, 0] > 0 else theirs.array[::-1]
    np.testing.assert_array_equal(array, ours.array)
    assert theirs.spacing == pytest.approx(ours.spacing_mm)


def test_rescale_that_differs_from_frame_to_frame_is_applied_to_each(
    enhanced: Path, thorax: Volume
) -> None:
    def shift(groups: pydicom.Dataset, index: int) -> None:
        item = groups.PixelValueTransformationSequence[0]
        item.RescaleIntercept = str(float(item.RescaleIntercept) + index)

    dataset = pydicom.dcmread(enhanced)
    shared = dataset.SharedFunctionalGroupsSequence[0]
    for groups in dataset.PerFrameFunctionalGroupsSequence:
        if "PixelValueTransformationSequence" not in groups:
            groups.PixelValueTransformationSequence = [
                pydicom.Dataset.from_json(shared.PixelValueTransformationSequence[0].to_json())
            ]
    shared.pop("PixelValueTransformationSequence", None)
    dataset.save_as(enhanced)
    change_frames(enhanced, shift)
    _, volume = read_scan(enhanced)
    frame_of_slice = np.arange(24)[::-1]  # frame 0 is at the head
    np.testing.assert_array_equal(
        volume.array, np.round(thorax.array) + frame_of_slice[:, None, None]
    )


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless])
def test_compressed_frames_are_read_to_the_voxel(
    enhanced: Path, thorax: Volume, syntax: pydicom.uid.UID
) -> None:
    dataset = pydicom.dcmread(enhanced)
    dataset.compress(syntax, generate_instance_uid=False)
    dataset.save_as(enhanced)
    np.testing.assert_array_equal(read_scan(enhanced)[1].array, np.round(thorax.array))


def test_a_frame_that_is_missing_refuses_the_file(enhanced: Path) -> None:
    def jump(groups: pydicom.Dataset, index: int) -> None:
        place = groups.PlanePositionSequence[0]
        if index < 10:
            x, y, z = place.ImagePositionPatient
            place.ImagePositionPatient = [x, y, z + 3]

    change_frames(enhanced, jump)
    assert refusing(enhanced) == {"missing_slice"}


def test_frames_at_one_place_refuse_the_file(enhanced: Path) -> None:
    def stay(groups: pydicom.Dataset, index: int) -> None:
        groups.PlanePositionSequence[0].ImagePositionPatient = [-20.25, -60.5, -100.0 + index // 2]

    change_frames(enhanced, stay)
    assert "duplicate_slices" in refusing(enhanced)


def test_frames_without_functional_groups_are_refused_as_multiframe(enhanced: Path) -> None:
    dataset = pydicom.dcmread(enhanced)
    del dataset.PerFrameFunctionalGroupsSequence
    dataset.save_as(enhanced)
    assert refusing(enhanced) == {"multiframe"}


def test_a_truncated_enhanced_file_is_never_read(enhanced: Path) -> None:
    enhanced.write_bytes(enhanced.read_bytes()[:-500])
    assert "undecodable" in refusing(enhanced)
    with pytest.raises(InputError):
        read_volume(find_series([enhanced]).series[0])


def test_a_real_enhanced_file_states_its_frames_places(shared_data: Path) -> None:
    """A perfusion map of two frames, so refused; its places and steps are read all the same."""
    path = shared_data / "awkward" / "eCT_Supplemental.dcm"
    (series,) = find_series([path]).series
    dataset = pydicom.dcmread(path)
    z = [
        float(groups.PlanePositionSequence[0].ImagePositionPatient[2])
        for groups in dataset.PerFrameFunctionalGroupsSequence
    ]
    assert series.spacing_mm is not None
    assert series.spacing_mm[0] == pytest.approx(abs(z[1] - z[0]))
    assert refusing(path) == {"derived", "too_few_slices"}
