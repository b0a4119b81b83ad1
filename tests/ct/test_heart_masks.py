import gzip
import sys
import types
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import SimpleITK

from cacnb.ct.heart_masks import read_heart
from cacnb.ct.reading import read_scan
from cacnb.ct.volume import Volume
from cacnb.ct.writing import write_dicom_series, write_image
from cacnb.errors import InputError

from .written_structures import ring, write_rtstruct, write_seg

SERIES, FRAME = "1.2.826.0.1.1", "1.2.826.0.1.2"


@pytest.fixture(scope="module")
def scan() -> Volume:
    rng = np.random.default_rng(3)
    hu = rng.normal(40, 10, (30, 60, 70)).round().astype(np.float32)
    return Volume(hu, (3.0, 1.5, 1.4), (-40.0, -44.0, -48.0))


@pytest.fixture(scope="module")
def heart(scan: Volume) -> Volume:
    z, y, x = (scan.axis_mm(a).reshape([-1 if i == a else 1 for i in range(3)]) for a in range(3))
    return scan.with_array((z / 30) ** 2 + (y / 25) ** 2 + ((x - 4) / 32) ** 2 < 1)


@pytest.fixture(scope="module")
def folder(scan: Volume, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dicom") / "ct"
    write_dicom_series(scan, out, series_uid=SERIES, frame_of_reference_uid=FRAME)
    return out


def rings(scan: Volume) -> list[tuple[float, np.ndarray]]:
    shares = [(float(z), 1 - (z / 30) ** 2) for z in scan.axis_mm(0)]
    return [(z, ring((4, 0), (32 * s**0.5, 25 * s**0.5))) for z, s in shares if s > 0]


def dice(one: Volume, other: Volume) -> float:
    return 2 * float((one.array & other.array).sum()) / float(one.array.sum() + other.array.sum())


def code(path: Path, scan: Volume, structure: str | None = None) -> str:
    with pytest.raises(InputError) as caught:
        read_heart(path, scan, structure=structure)
    return caught.value.code


def labels(
    heart: Volume, path: Path, values: dict[int, np.ndarray], table: Mapping[int, str] = {}
) -> None:
    """A NIfTI of labels, with the table of names that TotalSegmentator puts before the voxels."""
    array = np.zeros(heart.shape, np.uint8)
    for label, mask in values.items():
        array[mask] = label
    rows = "".join(
        f'<Label Key="{key}" Red="1.0" Green="0.0" Blue="0.0" Alpha="1"><![CDATA[{name}]]></Label>'
        for key, name in table.items()
    )
    text = f"<CaretExtension><LabelTable>{rows}</LabelTable></CaretExtension>".encode()
    size = -(-(len(text) + 8) // 16) * 16
    write_image(heart.with_array(array.astype(np.float32)), path.with_name("plain.nii"))
    raw = path.with_name("plain.nii").read_bytes()
    header = bytearray(raw[:352])
    header[108:112] = np.float32(352 + size).tobytes()
    header[348] = 1
    extension = np.array([size, 0], "<i4").tobytes() + text.ljust(size - 8, b"\0")
    path.write_bytes(gzip.compress(bytes(header) + extension + raw[352:]))


def test_an_rtstruct_gives_the_heart_on_the_scans_grid(
    scan: Volume, heart: Volume, folder: Path, tmp_path: Path
) -> None:
    series, volume = read_scan(folder)
    write_rtstruct(tmp_path / "rs.dcm", {"Heart": rings(scan)}, series_uid=SERIES, frame=FRAME)
    found = read_heart(tmp_path / "rs.dcm", volume, series=series)
    assert found.same_grid(scan)
    assert dice(found, heart) > 0.98


def test_a_heart_of_another_frame_of_reference_is_refused(
    scan: Volume, heart: Volume, folder: Path, tmp_path: Path
) -> None:
    series, volume = read_scan(folder)
    write_rtstruct(tmp_path / "rs.dcm", {"Heart": rings(scan)}, frame="1.2.3.4")
    other = tmp_path / "other"
    write_dicom_series(scan, other, seed="another")
    write_seg(tmp_path / "seg.dcm", other, {"heart": heart})
    for name in ("rs.dcm", "seg.dcm"):
        with pytest.raises(InputError) as caught:
            read_heart(tmp_path / name, volume, series=series)
        assert caught.value.code == "other_frame"


@pytest.mark.parametrize(
    ("named", "structure"), [("Herz", None), ("segment 2", None), ("mine", "MINE"), ("x", "2")]
)
def test_a_segment_is_found_by_its_code_its_label_or_as_asked(
    folder: Path, heart: Volume, tmp_path: Path, named: str, structure: str | None
) -> None:
    series, volume = read_scan(folder)
    aorta = heart.with_array(np.roll(heart.array, 9, axis=2))
    coded = named if structure is None and named == "segment 2" else None
    write_seg(tmp_path / "seg.dcm", folder, {"Aorta": aorta, named: heart}, coded)
    found = read_heart(tmp_path / "seg.dcm", volume, series=series, structure=structure)
    np.testing.assert_array_equal(found.array, heart.array)


def test_a_segmentation_on_another_grid_is_taken_voxel_by_voxel(
    scan: Volume, heart: Volume, tmp_path: Path
) -> None:
    thin = Volume(np.zeros((45, 80, 80), np.float32), (2.0, 1.2, 1.2), (-41.0, -45.0, -47.0))
    write_dicom_series(thin, tmp_path / "thin")
    z, y, x = (thin.axis_mm(a).reshape([-1 if i == a else 1 for i in range(3)]) for a in range(3))
    mask = thin.with_array((z / 30) ** 2 + (y / 25) ** 2 + ((x - 4) / 32) ** 2 < 1)
    write_seg(tmp_path / "seg.dcm", tmp_path / "thin", {"heart": mask})
    assert dice(read_heart(tmp_path / "seg.dcm", scan), heart) > 0.96


@pytest.mark.parametrize("ending", [".nii.gz", ".nrrd", ".mha"])
def test_a_mask_image_on_the_scans_grid_stays_as_it_is(
    scan: Volume, heart: Volume, tmp_path: Path, ending: str
) -> None:
    write_image(heart, tmp_path / f"m{ending}")
    np.testing.assert_array_equal(read_heart(tmp_path / f"m{ending}", scan).array, heart.array)


def test_a_mask_on_a_grid_that_is_turned_in_the_patient_is_placed(
    scan: Volume, heart: Volume, tmp_path: Path
) -> None:
    """An oblique grid: 20° about two axes, other steps, another origin."""
    image = SimpleITK.GetImageFromArray(heart.array.astype(np.uint8))
    image.SetSpacing(heart.spacing_mm[::-1])
    image.SetOrigin(heart.origin_mm[::-1])
    turn = SimpleITK.Euler3DTransform((0, 0, 0), 0.35, 0.0, 0.35)
    oblique = SimpleITK.Image(140, 130, 120, SimpleITK.sitkUInt8)
    oblique.SetSpacing((1.0, 1.0, 1.0))
    oblique.SetDirection(turn.GetMatrix())
    corner = np.reshape(turn.GetMatrix(), (3, 3)) @ [-70.0, -65.0, -60.0]
    oblique.SetOrigin([float(v) for v in corner])
    resampled = SimpleITK.Resample(
        image, oblique, SimpleITK.Transform(), SimpleITK.sitkNearestNeighbor
    )
    SimpleITK.WriteImage(resampled, str(tmp_path / "m.nii.gz"))
    assert dice(read_heart(tmp_path / "m.nii.gz", scan), heart) > 0.96


def test_the_heart_of_a_probability_is_what_reaches_one_half(
    scan: Volume, heart: Volume, tmp_path: Path
) -> None:
    probability = np.where(heart.array, 0.7, 0.3).astype(np.float32)
    write_image(heart.with_array(probability), tmp_path / "p.nii.gz")
    np.testing.assert_array_equal(read_heart(tmp_path / "p.nii.gz", scan).array, heart.array)


def test_the_heart_among_many_labels_is_the_one_named_so(
    scan: Volume, heart: Volume, tmp_path: Path
) -> None:
    lung = ~heart.array
    labels(heart, tmp_path / "ts.nii.gz", {10: lung, 51: heart.array}, {10: "lung", 51: "heart"})
    np.testing.assert_array_equal(read_heart(tmp_path / "ts.nii.gz", scan).array, heart.array)
    asked = read_heart(tmp_path / "ts.nii.gz", scan, structure="10")
    np.testing.assert_array_equal(asked.array, lung)
    labels(heart, tmp_path / "nameless.nii.gz", {10: lung, 51: heart.array})
    assert code(tmp_path / "nameless.nii.gz", scan) == "several_labels"
    asked = read_heart(tmp_path / "nameless.nii.gz", scan, structure="51")
    np.testing.assert_array_equal(asked.array, heart.array)
    assert code(tmp_path / "nameless.nii.gz", scan, "52") == "no_structure"


def test_five_chambers_of_an_older_totalsegmentator_are_one_heart(
    scan: Volume, heart: Volume, tmp_path: Path
) -> None:
    names = ("myocardium", "atrium_left", "ventricle_left", "atrium_right", "ventricle_right")
    part = np.arange(heart.array.size).reshape(heart.shape) % 5
    values = {44 + n: heart.array & (part == n) for n in range(5)} | {7: ~heart.array}
    table = {44 + n: f"heart_{name}" for n, name in enumerate(names)} | {7: "aorta"}
    labels(heart, tmp_path / "ts.nii.gz", values, table)
    np.testing.assert_array_equal(read_heart(tmp_path / "ts.nii.gz", scan).array, heart.array)
    del table[48]
    labels(heart, tmp_path / "ts.nii.gz", values, table)
    assert code(tmp_path / "ts.nii.gz", scan) == "several_labels"


def test_a_slicer_segmentation_tells_its_heart_by_name(
    scan: Volume, heart: Volume, tmp_path: Path
) -> None:
    image = SimpleITK.GetImageFromArray(np.where(heart.array, 3, 1).astype(np.uint8))
    image.SetSpacing(heart.spacing_mm[::-1])
    image.SetOrigin(heart.origin_mm[::-1])
    for key, value in {
        "Segment0_Name": "Lung", "Segment0_LabelValue": "1",
        "Segment1_Name": "Herz", "Segment1_LabelValue": "3",
    }.items():  # fmt: skip
        image.SetMetaData(key, value)
    SimpleITK.WriteImage(image, str(tmp_path / "s.seg.nrrd"))
    np.testing.assert_array_equal(read_heart(tmp_path / "s.seg.nrrd", scan).array, heart.array)


def test_a_folder_gives_the_one_mask_that_belongs_to_the_scan(
    scan: Volume, heart: Volume, folder: Path, tmp_path: Path
) -> None:
    series, volume = read_scan(folder)
    out = tmp_path / "exports"
    out.mkdir()
    write_rtstruct(out / "a.dcm", {"Heart": rings(scan)[:4]}, series_uid="1.9", frame="1.9.1")
    write_rtstruct(out / "b.dcm", {"Heart": rings(scan)}, series_uid=SERIES, frame=FRAME)
    assert dice(read_heart(out, volume, series=series), heart) > 0.98
    write_image(heart, out / "heart.nii.gz")
    with pytest.raises(InputError) as caught:
        read_heart(out, volume, series=series)
    assert caught.value.code == "several_masks"
    (out / "b.dcm").unlink()
    found = read_heart(out, volume, series=series)
    np.testing.assert_array_equal(found.array, heart.array)


def test_what_holds_no_heart_for_the_scan_is_refused_by_name(
    scan: Volume, heart: Volume, folder: Path, tmp_path: Path
) -> None:
    assert code(tmp_path / "nowhere.nii.gz", scan) == "missing"
    assert code(next(folder.iterdir()), scan) == "not_a_mask"
    far = Volume(heart.array, heart.spacing_mm, (900.0, 0.0, 0.0))
    write_image(far, tmp_path / "far.nii.gz")
    assert code(tmp_path / "far.nii.gz", scan) == "other_place"
    (tmp_path / "cut.nii").write_bytes(b"\x5c\x01\0\0" + bytes(500))
    assert code(tmp_path / "cut.nii", scan) == "undecodable"
    (tmp_path / "empty").mkdir()
    assert code(tmp_path / "empty", scan) == "no_mask"


def test_the_angiography_heart_comes_onto_its_scan(shared_data: Path) -> None:
    case = shared_data / "ct_angiography_crop"
    _, volume = read_scan(case / "ct_cropped.nii.gz")
    found = read_heart(case / "heart.nii.gz", volume)
    assert 300 < found.array.sum() * volume.voxel_volume_mm3 / 1000 < 1200


@pytest.fixture
def recorded(heart: Volume, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    """A stand-in with TotalSegmentator 2's own signature that writes what it wrote once."""
    calls: list[dict[str, object]] = []

    def totalsegmentator(
        input, output=None, ml=False,  # noqa: A002
        nr_thr_resamp=1, nr_thr_saving=6, fast=False,
        nora_tag="None", preview=False, task="total", roi_subset=None, statistics=False,
        radiomics=False, crop_path=None, body_seg=False, force_split=False,
        output_type="nifti", quiet=False, verbose=False, test=0, skip_saving=False,
        device="gpu", license_number=None, statistics_exclude_masks_at_border=True,
        no_derived_masks=False, v1_order=False, fastest=False, roi_subset_robust=None,
    ):  # fmt: skip
        calls.append({"input": Path(input), "roi_subset": roi_subset, "task": task, "ml": ml})
        print("Using Device: cpu")  # noqa: T201
        assert Path(input).is_file()
        for roi in roi_subset:
            # As it writes them: RAS, with its own axes and one byte a voxel.
            image = SimpleITK.GetImageFromArray(heart.array.astype(np.uint8))
            image.SetSpacing(heart.spacing_mm[::-1])
            image.SetOrigin(heart.origin_mm[::-1])
            Path(output).mkdir(parents=True, exist_ok=True)
            turned = SimpleITK.DICOMOrient(image, "RAS")
            SimpleITK.WriteImage(turned, str(Path(output) / f"{roi}.nii.gz"))

    package, api = types.ModuleType("totalsegmentator"), types.ModuleType("python_api")
    package.__spec__ = types.SimpleNamespace(name="totalsegmentator")  # type: ignore[assignment]
    api.totalsegmentator = totalsegmentator  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "totalsegmentator", package)
    monkeypatch.setitem(sys.modules, "totalsegmentator.python_api", api)
    return calls


def test_totalsegmentators_heart_is_asked_for_and_read(
    scan: Volume, heart: Volume, recorded: list[dict[str, object]], capsys
) -> None:
    found = read_heart(Path("totalsegmentator"), scan)
    np.testing.assert_array_equal(found.array, heart.array)
    (call,) = recorded
    assert (call["roi_subset"], call["task"], call["ml"]) == (["heart"], "total", False)
    assert not Path(str(call["input"])).exists(), "the copy of the scan is gone"
    assert capsys.readouterr().out == "", "standard output is the command's own"


def test_without_totalsegmentator_the_refusal_says_what_to_install(scan: Volume) -> None:
    try:
        import totalsegmentator  # noqa: F401
    except ImportError:
        with pytest.raises(InputError, match=r"cacnb\[totalsegmentator\]") as caught:
            read_heart(Path("totalsegmentator"), scan)
        assert caught.value.code == "no_totalsegmentator"
    else:
        pytest.skip("TotalSegmentator is installed here")
