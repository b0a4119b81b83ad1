"""Every way that a CT series is known to lie: each is read right or refused by name."""

import csv
from collections.abc import Callable
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from cacnb.ct.dicom_checks import describe
from cacnb.ct.dicom_headers import read_header
from cacnb.ct.pixels import slices_hu
from cacnb.ct.reading import read_scan, read_volume
from cacnb.ct.series import Inspection, Series, find_series
from cacnb.ct.volume import Volume
from cacnb.ct.writing import write_dicom_series, write_image
from cacnb.errors import InputError

from .conftest import edit, edit_all, move

Dicom = pydicom.FileDataset


def files_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def codes(series: Series, severity: str = "refuse") -> set[str]:
    return {reason.code for reason in series.reasons if reason.severity == severity}


def only(folder: Path) -> Series:
    (series,) = find_series([folder]).series
    return series


def refused(folder: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_scan(folder)
    return caught.value.code


def pydicom_hu(path: Path) -> np.ndarray:
    """The second decoder: pydicom, with nothing of ours."""
    dataset = pydicom.dcmread(path)
    return dataset.pixel_array * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept)


def with_pixels(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Dicom], None]:
    def apply(dataset: Dicom) -> None:
        dataset.PixelData = np.ascontiguousarray(change(dataset.pixel_array.copy())).tobytes()

    return apply


def assert_is_thorax(folder: Path, thorax: Volume) -> None:
    _, volume = read_scan(folder)
    assert volume.same_grid(thorax)
    np.testing.assert_array_equal(volume.array, np.round(thorax.array))


# Geometry


def test_overlapping_slices_are_read_with_the_spacing_of_their_positions(
    thorax: Volume, tmp_path: Path
) -> None:
    write_dicom_series(thorax, tmp_path / "s", slice_thickness_mm=5.0)
    assert only(tmp_path / "s").verdict == "usable"
    assert_is_thorax(tmp_path / "s", thorax)


def test_slices_with_gaps_between_them_are_read_with_a_warning(
    thorax: Volume, tmp_path: Path
) -> None:
    write_dicom_series(thorax, tmp_path / "s", slice_thickness_mm=1.0)
    assert codes(only(tmp_path / "s"), "warn") == {"gaps"}
    assert_is_thorax(tmp_path / "s", thorax)


def test_two_slices_at_one_position_with_different_pixels_are_refused(dicom: Path) -> None:
    copy = dicom / "second.dcm"
    copy.write_bytes((dicom / "slice_0010.dcm").read_bytes())
    edit(copy, with_pixels(lambda pixels: pixels + 300))
    edit(copy, lambda d: setattr(d, "SOPInstanceUID", "1.2.3.4"))
    assert refused(dicom) == "duplicate_slices"


def test_a_tilted_gantry_as_scanners_write_it_is_refused(dicom: Path) -> None:
    """Rows along x, columns leaning by 18.5°, the table moving along z."""
    c, s = (float(f"{v:.10f}") for v in (np.cos(np.radians(18.5)), np.sin(np.radians(18.5))))
    edit_all(dicom, lambda d: setattr(d, "ImageOrientationPatient", [1, 0, 0, 0, c, s]))
    assert refused(dicom) == "gantry_tilt"
    assert "18.5°" in next(r.message for r in only(dicom).reasons if r.code == "gantry_tilt")


def test_straightening_a_tilted_stack_would_change_what_is_scored(thorax: Volume) -> None:
    """Why a tilt is refused and not resampled: interpolation lowers the peak of a small lesion."""
    from scipy import ndimage

    plane = np.full(thorax.shape[1:], 40.0)
    plane[6, 9] = 1200.0
    half_a_pixel_aside = ndimage.shift(plane, (0.5, 0.0), order=1)
    assert half_a_pixel_aside.max() == pytest.approx(620.0)


@pytest.mark.parametrize("axis", [0, 1])
def test_rows_or_columns_that_run_backwards_are_turned(
    dicom: Path, thorax: Volume, axis: int
) -> None:
    """A mirrored axis with the position of its new first pixel is the same scan."""
    length_mm = (thorax.shape[1] - 1) * 0.8 if axis == 0 else (thorax.shape[2] - 1) * 0.7

    def turn(d: Dicom) -> None:
        x, y, z = (float(v) for v in d.ImagePositionPatient)
        cosines = [1, 0, 0, 0, -1, 0] if axis == 0 else [-1, 0, 0, 0, 1, 0]
        d.ImageOrientationPatient = cosines
        place = (x, y + length_mm, z) if axis == 0 else (x + length_mm, y, z)
        d.ImagePositionPatient = [round(v, 6) for v in place]

    edit_all(dicom, turn)
    edit_all(dicom, with_pixels(lambda pixels: np.flip(pixels, axis)))
    assert_is_thorax(dicom, thorax)


def test_instance_numbers_locations_and_thickness_decide_nothing(
    dicom: Path, thorax: Volume
) -> None:
    for i, path in enumerate(files_of(dicom)):

        def lie(d: Dicom, i: int = i) -> None:
            d.InstanceNumber, d.SliceLocation = (i * 5) % 24, float((i * 11) % 24)
            d.SpacingBetweenSlices = 9.0

        edit(path, lie)
    assert_is_thorax(dicom, thorax)


# What one series UID holds


def test_a_localizer_in_the_series_is_left_out_and_the_scan_is_read(
    dicom: Path, thorax: Volume
) -> None:
    scout = dicom / "scout.dcm"
    scout.write_bytes((dicom / "slice_0001.dcm").read_bytes())

    def become_scout(d: Dicom) -> None:
        d.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
        d.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]

    edit(scout, become_scout)
    assert_is_thorax(dicom, thorax)
    assert codes(find_series([dicom]).series[1]) >= {"localizer"}


def test_a_capture_in_the_series_is_left_out_and_the_scan_is_read(
    dicom: Path, thorax: Volume
) -> None:
    capture = dicom / "capture.dcm"
    capture.write_bytes((dicom / "slice_0001.dcm").read_bytes())
    edit(capture, lambda d: setattr(d, "SOPClassUID", "1.2.840.10008.5.1.4.1.1.7"))
    assert_is_thorax(dicom, thorax)
    scan, picture = find_series([dicom]).series
    assert codes(scan, "warn") == {"mixed_kinds"}
    assert codes(picture) == {"not_ct"}


@pytest.mark.parametrize(
    ("image_type", "severity"),
    [
        (["DERIVED", "SECONDARY", "AXIAL", "MIP"], "refuse"),
        (["DERIVED", "SECONDARY", "SCREEN SAVE"], "refuse"),
        (["DERIVED", "SECONDARY", "REFORMATTED", "AVERAGE"], "warn"),
        (["DERIVED", "PRIMARY", "AXIAL"], None),
    ],
)
def test_what_was_made_of_a_scan_is_refused_or_warned_of(
    dicom: Path, image_type: list[str], severity: str | None
) -> None:
    edit_all(dicom, lambda d: setattr(d, "ImageType", image_type))
    series = only(dicom)
    found = {reason.code: reason.severity for reason in series.reasons}
    assert found == ({"derived": severity} if severity else {})


@pytest.mark.parametrize(
    ("kind", "severity"), [("OD", "refuse"), ("Z_EFF", "refuse"), ("US", "warn"), ("HU", None)]
)
def test_a_rescale_type_that_is_not_hu_is_refused(
    dicom: Path, kind: str, severity: str | None
) -> None:
    edit_all(dicom, lambda d: setattr(d, "RescaleType", kind))
    found = {reason.code: reason.severity for reason in only(dicom).reasons}
    assert found == ({"not_hu": severity} if severity else {})


def test_two_kernels_under_one_series_uid_are_two_series(dicom: Path, thorax: Volume) -> None:
    write_dicom_series(thorax, dicom.parent / "sharp")
    edit_all(dicom, lambda d: setattr(d, "ConvolutionKernel", "B30f"))
    edit_all(dicom.parent / "sharp", lambda d: setattr(d, "ConvolutionKernel", "B70f"))
    found = find_series([dicom.parent])
    assert [len(series.files) for series in found.series] == [24, 24]
    assert len({series.series_uid for series in found.series}) == 1
    assert [codes(s, "warn") for s in found.series] == [
        {"mixed_kernels"},
        {"mixed_kernels", "sharp_kernel"},
    ]
    for series in found.series:
        np.testing.assert_array_equal(read_volume(series).array, np.round(thorax.array))
    assert refused(dicom.parent) == "several_series"


def test_two_acquisitions_of_one_place_under_one_series_uid_are_two_series(
    dicom: Path, thorax: Volume
) -> None:
    write_dicom_series(thorax, dicom.parent / "again")
    edit_all(dicom.parent / "again", lambda d: setattr(d, "AcquisitionNumber", 2))
    first, second = find_series([dicom.parent]).series
    assert (len(first.files), len(second.files)) == (24, 24)
    assert codes(first, "warn") == codes(second, "warn") == {"mixed_acquisitions"}


def test_step_and_shoot_acquisitions_of_one_stack_stay_one_series(
    dicom: Path, thorax: Volume
) -> None:
    for i, path in enumerate(files_of(dicom)):
        edit(path, lambda d, i=i: setattr(d, "AcquisitionNumber", 1 + i // 4))
    assert only(dicom).verdict == "usable"
    assert_is_thorax(dicom, thorax)


# Values


@pytest.mark.parametrize("padding", [-2000, -3024])
@pytest.mark.parametrize("is_stated", [True, False])
def test_signed_padding_is_air(dicom: Path, thorax: Volume, padding: int, is_stated: bool) -> None:
    def pad(d: Dicom) -> None:
        pixels = d.pixel_array.copy()
        pixels[:2] = padding
        d.PixelData = pixels.tobytes()
        if is_stated:
            d.add_new("PixelPaddingValue", "SS", padding)

    edit_all(dicom, pad)
    _, volume = read_scan(dicom)
    assert (volume.array[:, :2] == -1024).all()
    np.testing.assert_array_equal(volume.array[:, 2:], np.round(thorax.array[:, 2:]))


@pytest.mark.parametrize("padding", [63536, 62512])
@pytest.mark.parametrize("is_stated", [True, False])
def test_padding_written_as_unsigned_is_air_and_not_62_thousand_hu(
    dicom: Path, thorax: Volume, padding: int, is_stated: bool
) -> None:
    def pad(d: Dicom) -> None:
        pixels = d.pixel_array.astype(np.uint16)
        pixels[:2] = padding
        d.PixelRepresentation = 0
        d.PixelData = pixels.tobytes()
        if is_stated:
            d.add_new("PixelPaddingValue", "US", padding)

    edit_all(dicom, pad)
    _, volume = read_scan(dicom)
    assert (volume.array[:, :2] == -1024).all()
    np.testing.assert_array_equal(volume.array[:, 2:], np.round(thorax.array[:, 2:]))


def test_a_padding_value_inside_the_body_takes_nothing_out(dicom: Path, thorax: Volume) -> None:
    edit_all(dicom, lambda d: d.add_new("PixelPaddingValue", "SS", 40 + 1024))
    assert_is_thorax(dicom, thorax)


def test_values_that_no_scanner_gives_are_refused(dicom: Path) -> None:
    def brighten(d: Dicom) -> None:
        pixels = d.pixel_array.astype(np.uint16)
        pixels[3, 4] = 40_000
        d.PixelRepresentation = 0
        d.PixelData = pixels.tobytes()

    edit(dicom / "slice_0007.dcm", brighten)
    assert refused(dicom) == "not_hu"


def test_signed_and_unsigned_pixels_in_one_series_are_each_read_by_their_own_header(
    dicom: Path, thorax: Volume
) -> None:
    """484 series of NLST mix them: signed slices are padded with −2000, unsigned ones with 0."""
    for i, path in enumerate(files_of(dicom)):

        def store(d: Dicom, is_signed: bool = bool(i % 3)) -> None:
            pixels = d.pixel_array.astype(np.int16 if is_signed else np.uint16)
            pixels[0] = -2000 if is_signed else 0
            d.PixelRepresentation = int(is_signed)
            d.PixelData = pixels.tobytes()

        edit(path, store)
    assert only(dicom).verdict == "usable"
    _, volume = read_scan(dicom)
    assert (volume.array[:, 0] == -1024).all()
    np.testing.assert_array_equal(volume.array[:, 1:], np.round(thorax.array[:, 1:]))
    for index, path in enumerate(files_of(dicom)):
        np.testing.assert_array_equal(volume.array[index], np.maximum(pydicom_hu(path), -1024))


def test_rescale_that_differs_from_slice_to_slice_is_applied_to_each(
    dicom: Path, thorax: Volume
) -> None:
    for i, path in enumerate(files_of(dicom)):

        def store(d: Dicom, i: int = i) -> None:
            hu = d.pixel_array.astype(np.int32) - 1024
            d.RescaleSlope, d.RescaleIntercept = "0.5", str(-500 - i)
            d.PixelData = (2 * (hu + 500 + i)).astype(np.int16).tobytes()

        edit(path, store)
    assert_is_thorax(dicom, thorax)


def test_twelve_bits_stored_in_sixteen_lose_what_stands_above_them(
    dicom: Path, thorax: Volume
) -> None:
    """Old scanners kept overlays in the upper four bits."""

    def store(d: Dicom) -> None:
        pixels = d.pixel_array.astype(np.uint16)
        pixels[::2] |= 0xF000
        d.BitsStored, d.HighBit, d.PixelRepresentation = 12, 11, 0
        d.PixelData = pixels.tobytes()

    edit_all(dicom, store)
    assert_is_thorax(dicom, thorax)


def test_bits_that_do_not_end_at_the_lowest_are_refused(dicom: Path) -> None:
    def store(d: Dicom) -> None:
        d.BitsStored, d.HighBit = 12, 15

    edit_all(dicom, store)
    assert refused(dicom) == "undecodable"


# Transfer syntaxes


@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]
)
def test_uncompressed_syntaxes_are_read_to_the_voxel(
    dicom: Path, thorax: Volume, syntax: pydicom.uid.UID
) -> None:
    def store(d: Dicom) -> None:
        if syntax == ExplicitVRBigEndian:
            d.PixelData = d.pixel_array.astype(">i2").tobytes()
        d.file_meta.TransferSyntaxUID = syntax

    for path in files_of(dicom):
        dataset = pydicom.dcmread(path)
        store(dataset)
        pydicom.dcmwrite(
            path,
            dataset,
            implicit_vr=syntax.is_implicit_VR,
            little_endian=syntax.is_little_endian,
            enforce_file_format=True,
        )
    assert only(dicom).verdict == "usable"
    assert_is_thorax(dicom, thorax)


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless])
def test_compressed_syntaxes_are_read_to_the_voxel(
    dicom: Path, thorax: Volume, syntax: pydicom.uid.UID
) -> None:
    edit_all(dicom, lambda d: d.compress(syntax))
    assert only(dicom).verdict == "usable"
    assert_is_thorax(dicom, thorax)


def test_two_transfer_syntaxes_in_one_series_are_read_each_by_its_own(
    dicom: Path, thorax: Volume
) -> None:
    """37 series of NLST mix implicit and explicit files."""
    for path in files_of(dicom)[::2]:
        dataset = pydicom.dcmread(path)
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
        pydicom.dcmwrite(path, dataset, implicit_vr=True, little_endian=True)
    edit(dicom / "slice_0002.dcm", lambda d: d.compress(RLELossless))
    assert_is_thorax(dicom, thorax)


def test_one_slice_in_every_transfer_syntax_gives_the_same_hu_or_is_refused(
    shared_data: Path,
) -> None:
    folder = shared_data / "awkward" / "ct_transfer_syntaxes"
    truth = pydicom_hu(
        folder / "CTImage.dcm_LittleEndianExplicitTransferSyntax_1.2.840.10008.1.2.1.dcm"
    )
    read, not_read = set(), set()
    for path in sorted(folder.glob("CTImage*")):
        header = read_header(path)
        assert header is not None
        against = {(reason.code, reason.severity) for reason in describe(header)}
        if not against:
            np.testing.assert_array_equal(
                slices_hu((header,))[0], truth, str(header.transfer_syntax)
            )
            read.add(header.transfer_syntax)
        else:
            assert {code for code, _ in against} <= {"lossy_compression", "undecodable"}
            not_read.add(header.transfer_syntax)
    assert len(read) == 9
    assert not_read == {f"1.2.840.10008.1.2.4.{n}" for n in (50, 51, 53, 55, 81, 91)}


def test_jpeg_2000_of_other_scans_is_read_as_pydicom_reads_it(shared_data: Path) -> None:
    folder = shared_data / "awkward" / "ct_transfer_syntaxes"
    for name in ("CT1_J2KR", "CT2_J2KR"):
        header = read_header(folder / name)
        assert header is not None
        assert header.transfer_syntax == JPEG2000Lossless
        np.testing.assert_array_equal(
            np.maximum(slices_hu((header,))[0], -1024), np.maximum(pydicom_hu(folder / name), -1024)
        )


def test_a_scan_in_jpeg_2000_is_read_as_pydicom_reads_it(shared_data: Path) -> None:
    folder = shared_data / "awkward" / "totalseg_example_ct_dicom_j2k"
    series, volume = read_scan(folder)
    assert volume.shape[0] == 20
    for index in (0, 7, 19):
        np.testing.assert_array_equal(
            volume.array[index], np.maximum(pydicom_hu(series.files[index]), -1024)
        )


def test_highdicom_puts_the_real_scans_where_we_put_them(shared_data: Path) -> None:
    for name in ("acrin_flt_breast_013", "qrm_thorax_phantom"):
        series, ours = read_scan(shared_data / name)
        theirs = highdicom.get_volume_from_series([pydicom.dcmread(p) for p in series.files])
        assert theirs.spacing == pytest.approx(ours.spacing_mm, abs=1e-4)
        ends = theirs.map_indices_to_reference(np.array([[0, 0, 0], [len(theirs.array) - 1, 0, 0]]))
        lowest = min(ends, key=lambda corner: corner[2])  # theirs run from head to feet
        assert tuple(lowest[::-1]) == pytest.approx(ours.origin_mm, abs=1e-3)


# Damage that fuzzing found to be read wrongly once


def test_a_header_without_signs_is_refused_and_not_taken_as_unsigned(dicom: Path) -> None:
    edit(dicom / "slice_0005.dcm", lambda d: delattr(d, "PixelRepresentation"))
    assert refused(dicom) == "undecodable"


def test_more_bytes_of_pixels_than_rows_and_columns_are_refused(dicom: Path) -> None:
    def fewer_rows(d: Dicom) -> None:
        d.Rows = d.Rows - 4

    edit_all(dicom, fewer_rows)
    assert refused(dicom) == "undecodable"


def test_compressed_pixels_without_their_end_mark_are_refused(dicom: Path) -> None:
    edit_all(dicom, lambda d: d.compress(RLELossless))
    path = dicom / "slice_0005.dcm"
    path.write_bytes(path.read_bytes()[:-8])
    assert refused(dicom) == "undecodable"


def test_a_lossy_scan_without_rescale_is_refused_for_want_of_it(dicom: Path) -> None:
    """A warning does not stop the search for what refuses."""

    def relabel(d: Dicom) -> None:
        d.compress(JPEGLSLossless)
        d.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.81"
        del d.RescaleIntercept

    edit_all(dicom, relabel)
    assert refused(dicom) == "no_rescale"


def test_a_packed_nifti_whose_stream_is_damaged_is_never_read(
    thorax: Volume, tmp_path: Path
) -> None:
    """Damage may lengthen the stream: the checksum behind it is compared all the same."""
    path = tmp_path / "scan.nii.gz"
    rng = np.random.default_rng(1)
    write_image(thorax.with_array(np.round(rng.normal(0, 200, thorax.shape))), path)
    whole = path.read_bytes()
    for at in range(400, len(whole) - 8, len(whole) // 40):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        with pytest.raises(InputError):
            read_scan(path)


@pytest.mark.parametrize("ending", ["mha", "nrrd"])
def test_a_packed_mha_or_nrrd_whose_stream_is_damaged_is_never_read(
    thorax: Volume, tmp_path: Path, ending: str
) -> None:
    path = tmp_path / f"scan.{ending}"
    rng = np.random.default_rng(1)
    write_image(thorax.with_array(np.round(rng.normal(0, 200, thorax.shape))), path)
    whole = path.read_bytes()
    for at in range(700, len(whole) - 8, len(whole) // 20):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        with pytest.raises(InputError):
            read_scan(path)


def test_a_nifti_that_states_two_places_is_refused(thorax: Volume, tmp_path: Path) -> None:
    path = tmp_path / "scan.nii"
    write_image(thorax, path)
    raw = bytearray(path.read_bytes())
    raw[268:272] = np.array([40.0], "<f4").tobytes()  # qoffset_x; the sform stays
    path.write_bytes(raw)
    assert refused(path) == "no_geometry"


def test_an_mha_with_stretched_directions_is_refused(thorax: Volume, tmp_path: Path) -> None:
    path = tmp_path / "scan.mha"
    write_image(thorax, path)
    path.write_bytes(
        path.read_bytes().replace(b"TransformMatrix = 1 0 0 0 1", b"TransformMatrix = 9 0 0 0 1")
    )
    assert refused(path) == "no_geometry"


def test_a_slice_that_cannot_be_read_beside_the_scan_is_warned_of(dicom: Path) -> None:
    last = dicom / "slice_0024.dcm"
    last.write_bytes(last.read_bytes()[:140])
    series, volume = read_scan(dicom)
    assert volume.shape[0] == 23
    assert codes(series, "warn") == {"unread_files"}


# The awkward collection, file by file


@pytest.fixture(scope="module")
def awkward(shared_data: Path) -> Inspection:
    return find_series([shared_data / "awkward"])


@pytest.mark.parametrize(
    ("name", "verdict", "wanted"),
    [
        ("693_J2KI.dcm", "refused", {"too_few_slices"}),
        ("CT_small.dcm", "refused", {"too_few_slices"}),
        ("J2K_pixelrep_mismatch.dcm", "refused", {"not_axial"}),
        ("corrupt_j2k_fda_phantom", "refused", {"undecodable", "mixed_orientation"}),
        ("ct_transfer_syntaxes/CT1_J2KR", "refused", {"too_few_slices"}),
        ("ct_transfer_syntaxes/CT2_J2KR", "refused", {"too_few_slices"}),
        ("eCT_Supplemental.dcm", "refused", {"derived", "too_few_slices"}),
        ("ge_tilt_variable_spacing", "refused", {"gantry_tilt", "uneven_spacing"}),
        ("rtstruct_heart_dicompyler/ct.0.dcm", "refused", {"too_few_slices"}),
        ("rtstruct_heart_dicompyler/rtplan.dcm", "refused", {"not_ct"}),
        ("rtstruct_heart_dicompyler/rtss.dcm", "refused", {"not_ct"}),
        ("totalseg_example_ct_dicom_j2k", "warned", set()),
        (
            "ct_transfer_syntaxes", "refused",
            {"duplicate_slices", "undecodable", "lossy_compression"},
        ),
        (
            "ct_transfer_syntaxes/CT0012.fragmented_no_bot_jpeg_baseline.51.dcm", "refused",
            {"derived", "lossy_compression", "too_few_slices"},
        ),
    ],
)  # fmt: skip
def test_the_awkward_files_are_each_judged_as_they_are(
    awkward: Inspection, shared_data: Path, name: str, verdict: str, wanted: set[str]
) -> None:
    (series,) = [s for s in awkward.series if s.path == shared_data / "awkward" / name]
    assert (series.verdict, codes(series)) == (verdict, wanted)


def test_every_awkward_file_stands_in_one_series_or_is_unread(
    awkward: Inspection, shared_data: Path
) -> None:
    stands = [file for series in awkward.series for file in series.files]
    stands += [unread.path for unread in awkward.unread]
    assert sorted(stands) == files_of(shared_data / "awkward")


def test_every_hazard_of_the_public_series_has_a_test_here(shared_data: Path) -> None:
    """`nlst_hazard_series.csv` names the ways in which NLST's own series are mixed."""
    path = shared_data.parent / "manifests" / "nlst_hazard_series.csv"
    if not path.is_file():
        pytest.skip(f"the list of awkward public series is not at {path}")
    with path.open(newline="") as file:
        hazards = {row["hazard"] for row in csv.DictReader(file)}
    tested: dict[str, Callable[..., None]] = {
        "mixed signed/unsigned pixels in one series":
            test_signed_and_unsigned_pixels_in_one_series_are_each_read_by_their_own_header,
        "mixed transfer syntaxes in one series":
            test_two_transfer_syntaxes_in_one_series_are_read_each_by_its_own,
        "lossy JPEG (HU altered)":
            test_one_slice_in_every_transfer_syntax_gives_the_same_hu_or_is_refused,
        "JPEG lossless (needs codec)":
            test_one_slice_in_every_transfer_syntax_gives_the_same_hu_or_is_refused,
        "not a CT image (secondary capture)":
            test_a_capture_in_the_series_is_left_out_and_the_scan_is_read,
    }  # fmt: skip
    assert hazards == set(tested)


def test_a_slice_moved_out_of_the_row_is_found_by_position(dicom: Path) -> None:
    move(dicom / "slice_0012.dcm", 0, 0, 0.4)
    assert refused(dicom) == "uneven_spacing"
