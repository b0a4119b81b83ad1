import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import ExplicitVRLittleEndian

from cacnb.ct.dicom_headers import quiet_pydicom
from cacnb.ct.series import Inspection, Series, find_series
from cacnb.ct.volume import Volume
from cacnb.ct.writing import write_dicom_series, write_image

from .conftest import edit, edit_all, move


def only(path: Path) -> Series:
    found = find_series([path])
    assert found.unread == ()
    assert len(found.series) == 1
    return found.series[0]


def codes(series: Series, severity: str = "refuse") -> set[str]:
    return {reason.code for reason in series.reasons if reason.severity == severity}


def count(found: Inspection) -> int:
    return sum(len(series.files) for series in found.series) + len(found.unread)


def test_a_clean_series_is_usable_and_its_spacing_comes_from_positions(dicom: Path) -> None:
    series = only(dicom)
    assert series.verdict == "usable"
    assert series.path == dicom
    assert series.slices == 24
    assert series.spacing_mm == pytest.approx((3.0, 0.8, 0.7))
    assert (series.kvp, series.slice_thickness_mm) == (120.0, 3.0)


def test_slices_are_ordered_by_position_and_never_by_number_or_name(dicom: Path) -> None:
    for i, path in enumerate(sorted(dicom.iterdir())):
        edit(path, lambda d, i=i: setattr(d, "InstanceNumber", (i * 7) % 24))
    for i, path in enumerate(sorted(dicom.iterdir())):
        path.rename(dicom / f"{(i * 11) % 24:02d}.bin")
    heights = [pydicom.dcmread(f).ImagePositionPatient[2] for f in only(dicom).files]
    assert heights == sorted(heights)


def test_inspection_json_is_what_the_commands_page_promises(dicom: Path) -> None:
    (dicom / "notes.txt").write_text("hello")
    found = json.loads(json.dumps(find_series([dicom]).as_json()))
    assert set(found) == {"series", "unread"}
    assert set(found["series"][0]) >= {
        "path", "series_uid", "files", "slices", "spacing_mm", "verdict", "reasons",
    }  # fmt: skip
    assert found["series"][0]["files"] == 24
    assert found["unread"][0]["code"] == "not_an_image"


def test_a_missing_slice_refuses_the_series(dicom: Path) -> None:
    (dicom / "slice_0010.dcm").unlink()
    (dicom / "slice_0011.dcm").unlink()
    series = only(dicom)
    assert codes(series) == {"missing_slice"}
    assert "2 slices are missing" in series.reasons[0].message


def test_uneven_steps_refuse_the_series(dicom: Path) -> None:
    for path in sorted(dicom.iterdir())[12:]:
        move(path, 0, 0, 1.3)
    assert codes(only(dicom)) == {"uneven_spacing"}


def test_steps_that_differ_by_rounding_are_even(dicom: Path) -> None:
    for i, path in enumerate(sorted(dicom.iterdir())):
        move(path, 0, 0, 0.009 * (-1) ** i)
    assert only(dicom).verdict == "usable"


def test_a_second_slice_at_one_position_refuses_the_series(dicom: Path) -> None:
    (dicom / "copy").write_bytes((dicom / "slice_0010.dcm").read_bytes())
    assert codes(only(dicom)) == {"duplicate_slices"}


def test_a_gantry_tilt_of_a_fifth_of_a_degree_refuses_the_series(dicom: Path) -> None:
    for i, path in enumerate(sorted(dicom.iterdir())):
        move(path, 0, 3.0 * i * np.tan(np.radians(0.2)), 0)
    assert codes(only(dicom)) == {"gantry_tilt"}


def test_a_gantry_tilt_of_a_twentieth_of_a_degree_passes(dicom: Path) -> None:
    for i, path in enumerate(sorted(dicom.iterdir())):
        move(path, 0, 3.0 * i * np.tan(np.radians(0.05)), 0)
    assert only(dicom).verdict == "usable"


def test_a_tilt_that_only_the_header_states_is_a_warning(dicom: Path) -> None:
    edit_all(dicom, lambda d: setattr(d, "GantryDetectorTilt", "15.5"))
    assert codes(only(dicom), "warn") == {"gantry_tilt"}


def test_a_slice_shifted_sideways_refuses_the_series(dicom: Path) -> None:
    move(dicom / "slice_0010.dcm", 5, 0, 0)
    assert codes(only(dicom)) == {"mixed_orientation"}


def test_a_localizer_under_the_same_series_uid_is_a_refused_series_of_its_own(dicom: Path) -> None:
    def become_localizer(d: pydicom.FileDataset) -> None:
        d.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
        d.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]

    edit(dicom / "slice_0001.dcm", become_localizer)
    axial, scout = find_series([dicom]).series
    assert (len(axial.files), len(scout.files)) == (23, 1)
    assert "localizer" in codes(scout)
    assert axial.verdict == "warned"
    assert codes(axial, "warn") == {"mixed_orientation"}


def test_coronal_slices_are_refused(dicom: Path) -> None:
    def become_coronal(d: pydicom.FileDataset) -> None:
        x, y, z = d.ImagePositionPatient
        d.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]
        d.ImagePositionPatient = [x, z, y]

    edit_all(dicom, become_coronal)
    assert codes(only(dicom)) == {"not_axial"}


def test_slices_turned_in_their_plane_by_ten_degrees_are_refused(dicom: Path) -> None:
    c, s = (float(f"{v:.8f}") for v in (np.cos(np.radians(10)), np.sin(np.radians(10))))
    edit_all(dicom, lambda d: setattr(d, "ImageOrientationPatient", [c, s, 0, -s, c, 0]))
    assert codes(only(dicom)) == {"not_axial"}


def test_slices_turned_by_ninety_degrees_are_usable(dicom: Path) -> None:
    edit_all(dicom, lambda d: setattr(d, "ImageOrientationPatient", [0, 1, 0, -1, 0, 0]))
    series = only(dicom)
    assert series.verdict == "usable"
    assert series.spacing_mm == pytest.approx((3.0, 0.7, 0.8))


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("PixelSpacing", [0.81, 0.7]),
        ("FrameOfReferenceUID", "1.2.3"),
        ("ImageOrientationPatient", [0.99, 0.141067, 0, -0.141067, 0.99, 0]),
    ],
)
def test_one_slice_of_another_geometry_is_parted_and_missed(
    dicom: Path, keyword: str, value: object
) -> None:
    edit(dicom / "slice_0007.dcm", lambda d: setattr(d, keyword, value))
    rest, other = find_series([dicom]).series
    assert codes(rest) == {"missing_slice"}
    assert "too_few_slices" in codes(other) | codes(other, "warn") or "not_axial" in codes(other)
    assert codes(rest, "warn") & codes(other, "warn") == {"mixed_orientation"}


def test_slices_of_which_no_three_go_together_are_one_refused_series(dicom: Path) -> None:
    for i, path in enumerate(sorted(dicom.iterdir())):
        edit(path, lambda d, i=i: setattr(d, "FrameOfReferenceUID", f"1.2.{i}"))
    assert codes(only(dicom)) == {"mixed_orientation"}


def test_one_slice_of_another_matrix_is_parted_and_missed(dicom: Path) -> None:
    def shrink(d: pydicom.FileDataset) -> None:
        d.Rows = 10
        d.PixelData = d.PixelData[: 10 * d.Columns * 2]

    edit(dicom / "slice_0007.dcm", shrink)
    rest, other = find_series([dicom]).series
    assert (codes(rest), len(other.files)) == ({"missing_slice"}, 1)


@pytest.mark.parametrize(
    "keyword", ["ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"]
)
def test_slices_without_a_position_are_refused(dicom: Path, keyword: str) -> None:
    edit_all(dicom, lambda d: delattr(d, keyword))
    series = only(dicom)
    assert codes(series) == {"no_position"}
    assert series.spacing_mm is None


@pytest.mark.parametrize("keyword", ["RescaleSlope", "RescaleIntercept"])
def test_slices_without_rescale_are_refused(dicom: Path, keyword: str) -> None:
    edit(dicom / "slice_0005.dcm", lambda d: delattr(d, keyword))
    assert codes(only(dicom)) == {"no_rescale"}


def test_another_modality_is_refused(dicom: Path) -> None:
    edit_all(dicom, lambda d: setattr(d, "Modality", "PT"))
    assert codes(only(dicom)) == {"not_ct"}


def test_a_screen_capture_is_refused(dicom: Path) -> None:
    edit_all(dicom, lambda d: setattr(d, "PhotometricInterpretation", "MONOCHROME1"))
    assert codes(only(dicom)) == {"not_ct"}


def test_a_structure_set_is_a_refused_series_of_its_own(dicom: Path) -> None:
    def become_rtstruct(d: pydicom.FileDataset) -> None:
        d.Modality, d.SOPClassUID = "RTSTRUCT", "1.2.840.10008.5.1.4.1.1.481.3"
        for keyword in ("PixelData", "Rows", "Columns", "BitsAllocated"):
            delattr(d, keyword)

    (dicom / "rtss.dcm").write_bytes((dicom / "slice_0001.dcm").read_bytes())
    edit(dicom / "rtss.dcm", become_rtstruct)
    found = find_series([dicom])
    assert [series.verdict for series in found.series] == ["usable", "refused"]
    assert codes(found.series[1]) == {"not_ct"}
    assert count(found) == 25


def test_ct_objects_without_pixels_are_refused(dicom: Path) -> None:
    edit_all(dicom, lambda d: delattr(d, "PixelData"))
    assert codes(only(dicom)) == {"no_pixels"}


def test_a_multi_frame_file_is_a_refused_series_of_its_own(dicom: Path) -> None:
    def become_enhanced(d: pydicom.FileDataset) -> None:
        d.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2.1"
        d.NumberOfFrames = 2
        d.PixelData = d.PixelData * 2

    edit(dicom / "slice_0024.dcm", become_enhanced)
    found = find_series([dicom])
    assert {len(series.files) for series in found.series} == {1, 23}
    multi = next(series for series in found.series if len(series.files) == 1)
    assert codes(multi) == {"multiframe"}
    assert multi.slices == 2


def test_a_truncated_slice_is_found_without_reading_pixels(dicom: Path) -> None:
    path = dicom / "slice_0005.dcm"
    path.write_bytes(path.read_bytes()[:-100])
    assert codes(only(dicom)) == {"undecodable"}


def test_pixels_fewer_than_rows_times_columns_are_found(dicom: Path) -> None:
    edit(dicom / "slice_0005.dcm", lambda d: setattr(d, "PixelData", d.PixelData[:-100]))
    assert codes(only(dicom)) == {"undecodable"}


def test_a_truncated_compressed_slice_is_found(dicom: Path) -> None:
    from pydicom.uid import RLELossless

    edit_all(dicom, lambda d: d.compress(RLELossless))
    assert only(dicom).verdict == "usable"
    path = dicom / "slice_0005.dcm"
    path.write_bytes(path.read_bytes()[:-100])
    assert codes(only(dicom)) == {"undecodable"}


def test_a_header_that_breaks_off_is_unread_as_undecodable(dicom: Path) -> None:
    path = dicom / "slice_0005.dcm"
    path.write_bytes(path.read_bytes()[:135])
    found = find_series([dicom])
    assert [(unread.path, unread.code) for unread in found.unread] == [(path, "undecodable")]


@pytest.mark.parametrize(
    ("syntax", "severity", "code"),
    [
        ("1.2.840.10008.1.2.4.51", "refuse", "lossy_compression"),
        ("1.2.840.10008.1.2.4.102", "refuse", "undecodable"),
    ],
)
def test_a_transfer_syntax_decides_whether_pixels_are_hu(
    dicom: Path, syntax: str, severity: str, code: str
) -> None:
    from pydicom.encaps import encapsulate

    def relabel(d: pydicom.FileDataset) -> None:
        d.PixelData = encapsulate([b"\0" * 100])
        d["PixelData"].is_undefined_length = True
        d.file_meta.TransferSyntaxUID = syntax

    edit_all(dicom, relabel)
    assert codes(only(dicom), severity) == {code}


def test_thick_slices_warn_and_five_millimetres_do_not(thorax: Volume, tmp_path: Path) -> None:
    write_dicom_series(thorax, tmp_path / "5", slice_thickness_mm=5.0)
    write_dicom_series(thorax, tmp_path / "6", slice_thickness_mm=6.0)
    assert only(tmp_path / "5").verdict == "usable"
    assert codes(only(tmp_path / "6"), "warn") == {"too_thick"}


def test_a_short_stack_warns_and_two_slices_are_refused(dicom: Path) -> None:
    for path in sorted(dicom.iterdir())[10:]:
        path.unlink()
    assert codes(only(dicom), "warn") == {"too_few_slices"}
    for path in sorted(dicom.iterdir())[2:]:
        path.unlink()
    assert codes(only(dicom)) == {"too_few_slices"}


@pytest.mark.parametrize(
    ("keyword", "value", "code"),
    [
        ("KVP", 100, "kvp"),
        ("ConvolutionKernel", "B60f", "sharp_kernel"),
        ("ConvolutionKernel", ["Br64d", "3"], "sharp_kernel"),
        ("ConvolutionKernel", "BONEPLUS", "sharp_kernel"),
        ("ContrastBolusAgent", "APPLIED", "contrast_agent"),
        ("SeriesInstanceUID", "", "no_series_uid"),
    ],
)
def test_the_protocol_warns(dicom: Path, keyword: str, value: object, code: str) -> None:
    edit_all(dicom, lambda d: setattr(d, keyword, value))
    series = only(dicom)
    assert series.verdict == "warned"
    assert codes(series, "warn") == {code}


@pytest.mark.parametrize("kernel", ["B30f", "STANDARD", "FC10", "C", "Br38f", "B10f"])
def test_smooth_kernels_do_not_warn(dicom: Path, kernel: str) -> None:
    edit_all(dicom, lambda d: setattr(d, "ConvolutionKernel", kernel))
    assert only(dicom).verdict == "usable"


def test_two_series_in_one_folder_are_two_series(dicom: Path, thorax: Volume) -> None:
    write_dicom_series(thorax, dicom.parent / "other", seed="other", description="two")
    for path in (dicom.parent / "other").iterdir():
        path.rename(dicom / f"other_{path.name}")
    found = find_series([dicom])
    assert [series.verdict for series in found.series] == ["usable", "usable"]
    assert len({series.series_uid for series in found.series}) == 2


def test_a_series_spread_over_folders_is_one_series(dicom: Path) -> None:
    (dicom / "a").mkdir()
    for path in sorted(dicom.glob("*.dcm"))[::2]:
        path.rename(dicom / "a" / path.name)
    assert only(dicom).path == dicom
    assert only(dicom).verdict == "usable"


def test_dicom_without_preamble_is_read(dicom: Path) -> None:
    for path in dicom.iterdir():
        dataset = pydicom.dcmread(path)
        del dataset.file_meta
        pydicom.dcmwrite(path, dataset, implicit_vr=True, little_endian=True)
    assert only(dicom).verdict == "usable"


def test_files_reached_by_two_paths_count_once(dicom: Path) -> None:
    (dicom / "link").symlink_to(dicom / "slice_0001.dcm")
    found = find_series([dicom, dicom / "slice_0003.dcm", dicom.parent])
    assert count(found) == 24


def test_an_empty_folder_has_no_series(tmp_path: Path) -> None:
    assert find_series([tmp_path]) == Inspection((), ())


def test_a_path_that_does_not_exist_is_said_so(tmp_path: Path) -> None:
    assert find_series([tmp_path / "nowhere"]).unread[0].code == "missing"


def test_a_link_to_nothing_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    assert find_series([tmp_path]).unread[0].code == "unreadable"


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("notes.dcm", b"this is text", "undecodable"),
        ("notes.txt", b"this is text", "not_an_image"),
        ("empty.dcm", b"", "empty_file"),
        ("scan.nii.gz", b"no gzip", "undecodable"),
        ("scan.nii", b"\0" * 600, "undecodable"),
        ("scan.nrrd", b"no nrrd", "undecodable"),
        ("scan.mha", b"no mha", "undecodable"),
        ("scan.zip", b"no zip", "undecodable"),
    ],
)
def test_a_file_that_is_no_image_is_unread_and_said_so(
    tmp_path: Path, name: str, content: bytes, code: str
) -> None:
    (tmp_path / name).write_bytes(content)
    found = find_series([tmp_path])
    assert found.series == ()
    assert [unread.code for unread in found.unread] == [code]


def test_a_pipe_does_not_hang_the_search(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert [unread.code for unread in find_series([tmp_path]).unread] == ["not_an_image"]


def test_a_zip_of_a_series_is_a_series(dicom: Path) -> None:
    archive = dicom.parent / "scan.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in dicom.iterdir():
            file.write(path, f"study/{path.name}")
        file.writestr("study/readme.txt", "hello")
        file.writestr("../outside.txt", "evil")
    found = find_series([archive])
    (series,) = found.series
    assert series.path == archive
    assert series.verdict == "usable"
    assert {unread.path: unread.code for unread in found.unread} == {
        archive / "study" / "readme.txt": "not_an_image",
        archive / "../outside.txt": "unsafe_archive",
    }
    folder = series.archive.folder if series.archive else Path()
    assert folder.is_dir()
    del series, found
    assert not folder.exists()


def test_a_zip_that_would_fill_the_disk_is_not_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("zeros", b"\0" * 1_000_000)
    monkeypatch.setattr("cacnb.ct.archives.DISK_SHARE", 1e-9)
    found = find_series([tmp_path])
    assert [unread.code for unread in found.unread] == ["undecodable"]
    assert "unpack" in found.unread[0].message


@pytest.mark.parametrize("name", ["s.nii.gz", "s.nii", "s.nrrd", "s.mha"])
def test_an_image_file_is_a_series_of_its_own(thorax: Volume, tmp_path: Path, name: str) -> None:
    write_image(thorax, tmp_path / name)
    series = only(tmp_path)
    assert series.verdict == "usable"
    assert series.slices == 24
    assert series.spacing_mm == pytest.approx((3.0, 0.8, 0.7))


def test_a_mask_beside_the_scan_is_not_taken_for_a_scan(thorax: Volume, tmp_path: Path) -> None:
    write_image(thorax.with_array(thorax.array > 0), tmp_path / "mask.nii.gz")
    assert codes(only(tmp_path)) == {"not_ct"}


def test_the_voxels_of_a_header_belong_to_its_series(thorax: Volume, tmp_path: Path) -> None:
    import SimpleITK

    image = SimpleITK.GetImageFromArray(thorax.array)
    image.SetSpacing((0.7, 0.8, 3.0))
    SimpleITK.WriteImage(image, str(tmp_path / "scan.mhd"))
    series = only(tmp_path)
    assert [file.name for file in series.files] == ["scan.mhd", "scan.raw"]


def test_no_message_names_the_patient(dicom: Path) -> None:
    def name(d: pydicom.FileDataset) -> None:
        d.PatientName, d.PatientID, d.KVP = "Doe^Jane", "MRN12345", 80
        d.Modality = "Doe^Jane"

    with quiet_pydicom():
        edit_all(dicom, name)
    assert "Doe" not in (text := json.dumps(find_series([dicom]).as_json()))
    assert "MRN" not in text


def test_every_file_of_the_awkward_collection_is_accounted_for(shared_data: Path) -> None:
    found = find_series([shared_data])
    assert count(found) == sum(path.is_file() for path in shared_data.rglob("*"))
    verdicts = {
        str(series.path.relative_to(shared_data)): (series.verdict, codes(series))
        for series in found.series
    }
    assert verdicts["acrin_flt_breast_013"] == ("usable", set())
    assert verdicts["qrm_thorax_phantom"] == ("usable", set())
    assert verdicts["awkward/totalseg_example_ct_dicom_j2k"][0] == "warned"
    assert verdicts["awkward/ge_tilt_variable_spacing"][1] == {"gantry_tilt", "uneven_spacing"}
    assert "undecodable" in verdicts["awkward/corrupt_j2k_fda_phantom"][1]
    assert "undecodable" in verdicts["awkward/ct_transfer_syntaxes"][1]
    assert verdicts["awkward/eCT_Supplemental.dcm"][1] == {"derived", "too_few_slices"}
    assert verdicts["awkward/rtstruct_heart_dicompyler/rtss.dcm"][1] == {"not_ct"}


def test_the_written_series_is_explicit_little_endian(dicom: Path) -> None:
    meta = pydicom.dcmread(dicom / "slice_0001.dcm").file_meta
    assert meta.TransferSyntaxUID == ExplicitVRLittleEndian
