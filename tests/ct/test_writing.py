import subprocess
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK

from cacnb.ct.volume import Volume
from cacnb.ct.writing import write_dicom_series, write_image
from cacnb.errors import InputError, UsageError

ENDINGS = [".nii.gz", ".nii", ".nrrd", ".mha"]


@pytest.mark.parametrize("ending", ENDINGS)
def test_simpleitk_finds_every_voxel_where_we_put_it(
    thorax: Volume, tmp_path: Path, ending: str
) -> None:
    path = tmp_path / f"scan{ending}"
    write_image(thorax, path)
    image = SimpleITK.DICOMOrient(SimpleITK.ReadImage(str(path)), "LPS")
    assert image.GetSpacing() == pytest.approx(thorax.spacing_mm[::-1])
    assert image.GetOrigin() == pytest.approx(thorax.origin_mm[::-1], abs=1e-4)
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(image), thorax.array)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize(
    ("array", "pixel"),
    [
        (np.ones((3, 3, 3), bool), "uint8"),
        (np.full((3, 3, 3), -1000.0, np.float32), "int16"),
        (np.full((3, 3, 3), 0.25, np.float32), "float32"),
        (np.full((3, 3, 3), 1e6, np.float32), "float32"),
    ],
)
def test_values_keep_the_smallest_type_that_holds_them(
    tmp_path: Path, ending: str, array: np.ndarray, pixel: str
) -> None:
    path = tmp_path / f"a{ending}"
    write_image(Volume(array, (1.0, 1.0, 1.0)), path)
    read = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path)))
    assert read.dtype == pixel
    np.testing.assert_array_equal(read, array)


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_same_volume_gives_the_same_bytes(thorax: Volume, tmp_path: Path, ending: str) -> None:
    write_image(thorax, tmp_path / f"a{ending}")
    write_image(thorax, tmp_path / f"b{ending}")
    assert (tmp_path / f"a{ending}").read_bytes() == (tmp_path / f"b{ending}").read_bytes()


def test_an_unknown_ending_is_a_wrong_call(thorax: Volume, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nrrd"):
        write_image(thorax, tmp_path / "scan.png")


FULL_DISK = """
import resource, signal, sys
import numpy as np
from pathlib import Path
from cacnb.ct.volume import Volume
from cacnb.ct.writing import write_dicom_series, write_image
from cacnb.errors import InputError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
noise = np.random.default_rng(0).normal(0, 300, (20, 60, 60)).astype(np.float32)
volume = Volume(noise, (3.0, 1.0, 1.0))
resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000))
target = Path(sys.argv[1])
try:
    (write_dicom_series if target.name == "series" else write_image)(volume, target)
except InputError as error:
    print(error.code)
"""


@pytest.mark.parametrize("name", ["series", *(f"a{ending}" for ending in ENDINGS)])
def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path, name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path / name)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == "cannot_write"
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_file(
    thorax: Volume, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.nii"
    write_image(thorax, path)
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("cacnb.ct.writing.write_nifti", full)
    with pytest.raises(InputError, match="No space left on device") as caught:
        write_image(thorax, path)
    assert caught.value.code == "cannot_write"
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_written_series_has_every_required_attribute_of_a_ct_image(dicom: Path) -> None:
    dataset = pydicom.dcmread(dicom / "slice_0002.dcm")
    for keyword in (
        "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "Modality",
        "FrameOfReferenceUID", "PixelSpacing", "ImageOrientationPatient", "ImagePositionPatient",
        "ImageType", "SamplesPerPixel", "PhotometricInterpretation", "Rows", "Columns",
        "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "RescaleIntercept",
        "RescaleSlope", "RescaleType", "PixelData", "SpecificCharacterSet",
    ):  # fmt: skip
        assert dataset[keyword].value not in (None, ""), keyword
    for keyword in (
        "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime",
        "ReferringPhysicianName", "StudyID", "AccessionNumber", "SeriesNumber", "Manufacturer",
        "PositionReferenceIndicator", "InstanceNumber", "KVP", "AcquisitionNumber",
        "SliceThickness", "PatientPosition",
    ):  # fmt: skip
        assert keyword in dataset, keyword
    uids = {pydicom.dcmread(path).SOPInstanceUID for path in dicom.iterdir()}
    assert len(uids) == 24


def test_the_same_seed_gives_the_same_series_and_another_seed_another(
    thorax: Volume, tmp_path: Path
) -> None:
    def uid(name: str, seed: str) -> str:
        files = write_dicom_series(thorax, tmp_path / name, seed=seed)
        return str(pydicom.dcmread(files[0]).SeriesInstanceUID)

    assert uid("a", "1") == uid("b", "1") != uid("c", "2")
    assert all(
        (tmp_path / "a" / path.name).read_bytes() == path.read_bytes()
        for path in (tmp_path / "b").iterdir()
    )


def test_given_uids_are_kept(thorax: Volume, tmp_path: Path) -> None:
    files = write_dicom_series(
        thorax, tmp_path / "a", series_uid="1.2.3", study_uid="1.2.4",
        frame_of_reference_uid="1.2.5", patient_pseudonym="sim-001", kvp=100,
    )  # fmt: skip
    dataset = pydicom.dcmread(files[-1])
    assert (dataset.SeriesInstanceUID, dataset.StudyInstanceUID) == ("1.2.3", "1.2.4")
    assert (dataset.FrameOfReferenceUID, dataset.PatientID) == ("1.2.5", "sim-001")
    assert dataset.KVP == 100


def test_a_folder_with_files_is_not_written_over(dicom: Path, thorax: Volume) -> None:
    with pytest.raises(InputError) as caught:
        write_dicom_series(thorax, dicom)
    assert caught.value.code == "not_empty"


def test_a_scan_with_values_that_are_no_numbers_is_not_written(
    thorax: Volume, tmp_path: Path
) -> None:
    with pytest.raises(InputError) as caught:
        write_dicom_series(thorax.with_array(thorax.array * np.nan), tmp_path / "a")
    assert caught.value.code == "not_finite"
    assert list(tmp_path.iterdir()) == []
