import gzip
import os
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
import SimpleITK

from cacnb.ct.reading import read_mask, read_scan, read_volume
from cacnb.ct.series import find_series
from cacnb.ct.volume import Volume
from cacnb.ct.writing import write_dicom_series, write_image
from cacnb.errors import InputError

from .conftest import edit, edit_all


def refusal(path: Path) -> InputError:
    with pytest.raises(InputError) as caught:
        read_scan(path)
    return caught.value


def test_a_series_comes_back_in_hu_on_its_grid(dicom: Path, thorax: Volume) -> None:
    series, volume = read_scan(dicom)
    assert series.verdict == "usable"
    assert volume.same_grid(thorax)
    assert volume.array.dtype == np.float32
    np.testing.assert_array_equal(volume.array, np.round(thorax.array))


def test_highdicom_reads_the_same_hu_and_the_same_places(dicom: Path) -> None:
    _, ours = read_scan(dicom)
    theirs = highdicom.get_volume_from_series(
        [pydicom.dcmread(path) for path in sorted(dicom.iterdir())]
    )
    assert theirs.spacing == pytest.approx(ours.spacing_mm)
    array = theirs.array
    if theirs.direction[2, 0] < 0:
        array = array[::-1]
    np.testing.assert_array_equal(array, ours.array)
    for index in [(0, 0, 0), (5, 3, 2)]:
        z, y, x = ours.to_mm(index)
        there = theirs.map_reference_to_indices(np.array([[x, y, z]]))[0]
        np.testing.assert_allclose(array[index], theirs.array[tuple(np.round(there).astype(int))])


@pytest.mark.parametrize("name", ["acrin_flt_breast_013", "qrm_thorax_phantom"])
def test_pydicom_reads_the_same_hu_in_real_series(shared_data: Path, name: str) -> None:
    (series,) = find_series([shared_data / name]).series
    volume = read_volume(series)
    for index in (0, 20, len(series.files) - 1):
        dataset = pydicom.dcmread(series.files[index])
        hu = dataset.pixel_array * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept)
        np.testing.assert_allclose(volume.array[index], np.maximum(hu, -1024))
        x, y, z = dataset.ImagePositionPatient
        assert volume.to_mm((index, 0, 0)) == pytest.approx((z, y, x))


def test_each_slice_is_rescaled_by_its_own_tags(dicom: Path, thorax: Volume) -> None:
    def finer(d: pydicom.FileDataset) -> None:
        d.RescaleSlope, d.RescaleIntercept = "0.5", "-300.25"

    edit(dicom / "slice_0005.dcm", finer)
    _, volume = read_scan(dicom)
    stored = np.round(thorax.array[4]) + 1024
    np.testing.assert_allclose(volume.array[4], stored * 0.5 - 300.25)
    np.testing.assert_allclose(volume.array[5], np.round(thorax.array[5]))


def test_padding_below_air_becomes_air(dicom: Path) -> None:
    def pad(d: pydicom.FileDataset) -> None:
        pixels = d.pixel_array.copy()
        pixels[0] = -2000
        d.PixelData = pixels.tobytes()

    edit(dicom / "slice_0003.dcm", pad)
    _, volume = read_scan(dicom)
    assert volume.array.min() == -1024
    assert (volume.array[2, 0] == -1024).all()


@pytest.mark.parametrize("position", ["HFP", "FFS"])
def test_a_prone_or_feet_first_scan_comes_out_with_x_left_y_back_z_head(
    thorax: Volume, tmp_path: Path, position: str
) -> None:
    write_dicom_series(thorax, tmp_path / "s")
    turned = np.array([-1, 0, 0, 0, -1, 0]) if position == "HFP" else np.array([-1, 0, 0, 0, 1, 0])

    def turn(d: pydicom.FileDataset) -> None:
        pixels = d.pixel_array[:, ::-1]
        x, y, z = d.ImagePositionPatient
        x += 0.7 * (d.Columns - 1)
        if position == "HFP":
            pixels = pixels[::-1]
            y += 0.8 * (d.Rows - 1)
        d.ImagePositionPatient = [round(float(v), 6) for v in (x, y, z)]
        d.ImageOrientationPatient = turned.tolist()
        d.PatientPosition = position
        d.PixelData = np.ascontiguousarray(pixels).tobytes()

    edit_all(tmp_path / "s", turn)
    _, volume = read_scan(tmp_path / "s")
    assert volume.same_grid(thorax)
    np.testing.assert_array_equal(volume.array, np.round(thorax.array))


@pytest.mark.parametrize("axes", ["RAS", "LAS", "LPS", "PIR", "SRA", "ASL"])
@pytest.mark.parametrize("ending", [".nii.gz", ".nrrd", ".mha"])
def test_an_image_in_any_axes_comes_out_in_patient_axes(
    thorax: Volume, tmp_path: Path, axes: str, ending: str
) -> None:
    image = SimpleITK.GetImageFromArray(thorax.array)
    image.SetSpacing(thorax.spacing_mm[::-1])
    image.SetOrigin(thorax.origin_mm[::-1])
    path = tmp_path / f"scan{ending}"
    SimpleITK.WriteImage(SimpleITK.DICOMOrient(image, axes), str(path))
    _, volume = read_scan(path)
    assert volume.same_grid(thorax)
    np.testing.assert_array_equal(volume.array, thorax.array)


def test_a_nifti_with_scale_and_only_a_qform_is_read_as_simpleitk_reads_it(tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    image = SimpleITK.GetImageFromArray(rng.integers(-900, 900, (22, 6, 5)).astype(np.int16))
    image.SetSpacing((0.7, 0.8, 3.0))
    image.SetOrigin((4.0, -5.0, 6.0))
    path = tmp_path / "scan.nii"
    SimpleITK.WriteImage(SimpleITK.DICOMOrient(image, "RAS"), str(path))
    raw = bytearray(path.read_bytes())
    raw[254:256] = b"\0\0"  # sform_code
    raw[112:120] = np.array([0.5, -10.0], "<f4").tobytes()  # slope, intercept
    path.write_bytes(raw)
    _, volume = read_scan(path)
    theirs = SimpleITK.DICOMOrient(SimpleITK.ReadImage(str(path)), "LPS")
    np.testing.assert_allclose(volume.array, SimpleITK.GetArrayFromImage(theirs))
    assert volume.origin_mm == pytest.approx(theirs.GetOrigin()[::-1], abs=1e-4)
    assert volume.spacing_mm == pytest.approx(theirs.GetSpacing()[::-1])


def poked(thorax: Volume, path: Path, at: int, value: bytes) -> Path:
    write_image(thorax, path)
    raw = bytearray(path.read_bytes())
    raw[at : at + len(value)] = value
    path.write_bytes(raw)
    return path


def test_a_nifti_without_an_affine_is_refused(thorax: Volume, tmp_path: Path) -> None:
    path = poked(thorax, tmp_path / "scan.nii", 252, b"\0\0\0\0")
    assert refusal(path).code == "no_geometry"


def test_a_nifti_in_metres_is_refused(thorax: Volume, tmp_path: Path) -> None:
    assert refusal(poked(thorax, tmp_path / "a.nii", 123, b"\1")).code == "no_geometry"
    metres = Volume(thorax.array, (0.003, 0.0008, 0.0007))
    write_image(metres, tmp_path / "b.nii")
    assert refusal(tmp_path / "b.nii").code == "no_geometry"


def test_a_nifti_without_units_is_taken_as_millimetres_with_a_warning(
    thorax: Volume, tmp_path: Path
) -> None:
    series, _ = read_scan(poked(thorax, tmp_path / "scan.nii", 123, b"\0"))
    assert [reason.code for reason in series.reasons] == ["no_units"]


def test_an_oblique_image_is_refused(thorax: Volume, tmp_path: Path) -> None:
    image = SimpleITK.GetImageFromArray(thorax.array)
    c, s = np.cos(0.2), np.sin(0.2)
    image.SetDirection((c, -s, 0, s, c, 0, 0, 0, 1))
    SimpleITK.WriteImage(image, str(tmp_path / "scan.nii.gz"))
    assert refusal(tmp_path / "scan.nii.gz").code == "not_axial"


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_voxel_that_is_no_number_is_refused(thorax: Volume, tmp_path: Path, value: float) -> None:
    array = thorax.array.astype(np.float32)
    array[2, 3, 4] = value
    write_image(thorax.with_array(array), tmp_path / "scan.nii.gz")
    assert refusal(tmp_path / "scan.nii.gz").code == "not_finite"


def test_a_volume_of_several_times_is_refused(tmp_path: Path) -> None:
    image = SimpleITK.GetImageFromArray(np.zeros((2, 4, 4, 4), np.int16), isVector=False)
    SimpleITK.WriteImage(image, str(tmp_path / "scan.nii.gz"))
    assert refusal(tmp_path / "scan.nii.gz").code == "not_ct"


@pytest.mark.parametrize("ending", [".nii.gz", ".nii", ".nrrd", ".mha"])
def test_a_truncated_image_is_never_read(thorax: Volume, tmp_path: Path, ending: str) -> None:
    noise = np.random.default_rng(0).normal(0, 300, thorax.shape).astype(np.float32)
    path = tmp_path / f"scan{ending}"
    write_image(thorax.with_array(noise), path)
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(InputError) as caught:
        read_scan(path)
    assert caught.value.code in ("undecodable", "empty")


def test_a_damaged_nifti_is_not_read(thorax: Volume, tmp_path: Path) -> None:
    path = tmp_path / "scan.nii.gz"
    write_image(thorax, path)
    raw = bytearray(path.read_bytes())
    raw[-8:-4] = b"\1\2\3\4"  # the checksum
    path.write_bytes(raw)
    assert refusal(path).code == "undecodable"


def test_a_nifti_packed_in_parts_is_read(thorax: Volume, tmp_path: Path) -> None:
    write_image(thorax, tmp_path / "scan.nii")
    raw = (tmp_path / "scan.nii").read_bytes()
    path = tmp_path / "parts.nii.gz"
    path.write_bytes(gzip.compress(raw[:5000]) + gzip.compress(raw[5000:]))
    np.testing.assert_array_equal(read_scan(path)[1].array, thorax.array)


def test_a_scan_without_air_is_read_with_a_warning(thorax: Volume, tmp_path: Path) -> None:
    write_image(thorax.with_array(thorax.array + 1024), tmp_path / "scan.nii.gz")
    series, _ = read_scan(tmp_path / "scan.nii.gz")
    assert [reason.code for reason in series.reasons] == ["not_hu"]


def test_an_empty_folder_is_no_scan(tmp_path: Path) -> None:
    assert refusal(tmp_path).code == "empty"


def test_two_scans_are_not_chosen_between(dicom: Path, thorax: Volume) -> None:
    write_dicom_series(thorax, dicom / "b", seed="b")
    error = refusal(dicom)
    assert error.code == "several_series"
    assert "24, 24" in error.message


def test_a_refused_series_beside_the_scan_is_passed_over(dicom: Path, thorax: Volume) -> None:
    write_image(thorax.with_array(thorax.array > 0), dicom / "mask.nii.gz")
    assert read_scan(dicom)[0].slices == 24


def test_a_refused_scan_is_refused_with_its_own_reason(dicom: Path) -> None:
    (dicom / "slice_0010.dcm").unlink()
    assert refusal(dicom).code == "missing_slice"
    with pytest.raises(InputError, match="missing"):
        read_volume(find_series([dicom]).series[0])


def test_a_zip_is_read_like_its_folder(dicom: Path, thorax: Volume) -> None:
    import shutil

    archive = Path(shutil.make_archive(str(dicom.parent / "scan"), "zip", dicom))
    np.testing.assert_array_equal(read_scan(archive)[1].array, np.round(thorax.array))


def test_files_that_change_after_inspection_are_not_read(dicom: Path) -> None:
    (series,) = find_series([dicom]).series
    os.truncate(dicom / "slice_0004.dcm", 600)
    with pytest.raises(InputError) as caught:
        read_volume(series)
    assert caught.value.code == "undecodable"


def test_pixels_that_no_decoder_opens_are_refused_without_a_word_on_stderr(
    dicom: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from pydicom.encaps import encapsulate

    def relabel(d: pydicom.FileDataset) -> None:
        d.PixelData = encapsulate([b"\xff\xd8" + b"\0" * 100 + b"\xff\xd9"])
        d["PixelData"].is_undefined_length = True
        d.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.80"

    edit_all(dicom, relabel)
    assert refusal(dicom).code == "undecodable"
    assert "WARNING" not in capfd.readouterr().err


@pytest.mark.parametrize("ending", [".nii.gz", ".nrrd", ".mha"])
def test_a_mask_on_the_scan_grid_is_read(thorax: Volume, tmp_path: Path, ending: str) -> None:
    heart = thorax.with_array(thorax.array > 60)
    path = tmp_path / f"heart{ending}"
    write_image(heart, path)
    mask = read_mask(path, thorax)
    assert mask.array.dtype == np.bool_
    np.testing.assert_array_equal(mask.array, heart.array)


def test_a_mask_in_other_axes_is_turned_onto_the_scan(thorax: Volume, tmp_path: Path) -> None:
    image = SimpleITK.GetImageFromArray((thorax.array > 60).astype(np.uint8))
    image.SetSpacing(thorax.spacing_mm[::-1])
    image.SetOrigin(thorax.origin_mm[::-1])
    SimpleITK.WriteImage(SimpleITK.DICOMOrient(image, "RAS"), str(tmp_path / "m.nii.gz"))
    np.testing.assert_array_equal(read_mask(tmp_path / "m.nii.gz", thorax).array, thorax.array > 60)


def test_a_mask_on_another_grid_is_refused_and_both_grids_are_named(
    thorax: Volume, tmp_path: Path
) -> None:
    other = Volume(thorax.array > 60, (3.0, 0.8, 0.8), thorax.origin_mm)
    write_image(other, tmp_path / "m.nii.gz")
    with pytest.raises(InputError, match=r"28 × 20 × 24 voxels of 0\.8 × 0\.8 × 3 mm") as caught:
        read_mask(tmp_path / "m.nii.gz", thorax)
    assert caught.value.code == "other_grid"


def test_the_angiography_heart_is_on_another_grid(shared_data: Path) -> None:
    folder = shared_data / "ct_angiography_crop"
    _, scan = read_scan(folder / "ct_cropped.nii.gz")
    with pytest.raises(InputError) as caught:
        read_mask(folder / "heart.nii.gz", scan)
    assert caught.value.code == "other_grid"


def test_a_mask_of_nothing_is_refused(thorax: Volume, tmp_path: Path) -> None:
    write_image(thorax.with_array(thorax.array > 5000), tmp_path / "m.nii.gz")
    with pytest.raises(InputError) as caught:
        read_mask(tmp_path / "m.nii.gz", thorax)
    assert caught.value.code == "empty_mask"


def test_a_mask_that_is_not_there_is_said_so(thorax: Volume, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_mask(tmp_path / "m.nii.gz", thorax)
    assert caught.value.code == "missing"
