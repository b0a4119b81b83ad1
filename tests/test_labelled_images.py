from pathlib import Path

import numpy as np
import pandas as pd
import pydicom
import pytest

from cacnb.ct.identity import scan_sha256
from cacnb.ct.reading import read_image, read_mask, read_scan
from cacnb.ct.volume import Volume
from cacnb.ct.writing import write_dicom_series, write_image
from cacnb.errors import InputError
from cacnb.labelled_images import write_labelled_images
from cacnb.labels.runs import encode_runs
from cacnb.scoring.candidates import candidate_lesions, limited_key
from cacnb.scoring.clinical import score_clinically
from cacnb.scoring.conventions import convention
from cacnb.scoring.picks import score_picks


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Two scans, one as DICOM and one as NIfTI, with two lesions and a piece of bone each."""
    hu = np.full((24, 20, 28), -200, np.float32)
    hu[:, 3:17, 3:25] = 40
    hu[10:12, 5:8, 5:9] = 250
    hu[14, 12:14, 9:12] = 420
    hu[:, 15:17, 12:20] = 600
    scan = Volume(hu, (3.0, 0.8, 0.7), (-100.0, -60.5, 20.25))
    write_dicom_series(scan, tmp_path / "scans" / "p1")
    write_image(scan.with_array(hu[::-1].copy()), tmp_path / "scans" / "p2.nii.gz")
    (tmp_path / "cohort.csv").write_text(
        "scan,patient,path\np1,1,scans/p1\np2,2,scans/p2.nii.gz\np3,3,scans/none.nii.gz\n"
    )
    return tmp_path


def label(study: Path, scan: str, **fields: object) -> dict[str, object]:
    path = {"p1": "scans/p1", "p2": "scans/p2.nii.gz"}[scan]
    _, volume = read_scan(study / path)
    usual = {
        "scan": scan, "scan_sha256": scan_sha256(volume), "reader": "ann", "role": "first",
        "reading": 1, "slice": None, "item": "", "value": None,
    }  # fmt: skip
    return {**usual, **fields}


def region(study: Path, scan: str, artery: str, z: int, mask: np.ndarray) -> dict[str, object]:
    return label(
        study, scan, app="paint", subject="region", item=artery, slice=z, value=encode_runs(mask)
    )


def pick(study: Path, scan: str, key: str, place: str | None) -> dict[str, object]:
    return label(study, scan, app="clinical", subject="lesion", item=key, value=place)


def test_painted_regions_are_written_as_the_study_reads_them(study: Path) -> None:
    mask = np.zeros((20, 28), bool)
    mask[4:9, 4:10] = True
    rows = [region(study, "p1", "LAD", 10, mask), region(study, "p2", "RCA", 9, mask)]
    files = write_labelled_images(study, pd.DataFrame(rows))
    assert files == tuple(study / "lesion_regions" / f"{scan}.nii.gz" for scan in ("p1", "p2"))
    _, scan = read_scan(study / "scans" / "p1")
    image = read_image(files[0])
    assert image.same_grid(scan)
    assert np.array_equal(image.array[10] == 1, mask)
    assert np.count_nonzero(image.array) == mask.sum()
    assert np.array_equal(read_image(files[1]).array[9] == 3, mask)
    assert not (study / "clinical_lesions").exists()


def test_picks_are_written_as_the_voxels_that_the_reader_scored(study: Path) -> None:
    """Rebuilt from stored text alone, they score what stood on the screen."""
    series, scan = read_scan(study / "scans" / "p1")
    found = candidate_lesions(scan, 147)
    bone = found.key(1)
    picks = {
        found.key(2): "LAD", found.key(3): "LM", bone: "bone",
        limited_key(found, bone, (5, 15, 12), 3.0): "RCA",
    }  # fmt: skip
    screen = score_picks(found, picks, convention(), slice_thickness_mm=series.slice_thickness_mm)
    rows = [pick(study, "p1", key, place) for key, place in picks.items()]
    rows.append(pick(study, "p1", found.key(2) + "@10,5,5,1", None))
    rows.append(label(study, "p1", app="review", subject="lesion", item="map-0:1,2,3", value="LAD"))
    (file,) = write_labelled_images(study, pd.DataFrame(rows))
    assert file == study / "clinical_lesions" / "p1.nii.gz"
    region_of_file = read_mask(file, scan)
    scores = score_clinically(
        scan, region_of_file, convention(), threshold_hu=147,
        slice_thickness_mm=series.slice_thickness_mm,
    )  # fmt: skip
    assert scores.agatston == screen.total.agatston
    assert scores.volume_mm3 == screen.total.volume_mm3
    assert 0 < screen.by_artery["RCA"].volume_mm3 < (found.number == 1).sum() * 1.68


def test_a_scan_that_was_called_done_without_calcium_has_an_empty_image(study: Path) -> None:
    rows = [
        label(study, "p2", app="clinical", subject="done", item="clinical", value="scored"),
        label(study, "p1", app="label", subject="done", item="label", value="all labelled"),
        label(study, "p1", app="paint", subject="done", item="paint", value=None),
    ]
    (file,) = write_labelled_images(study, pd.DataFrame(rows))
    assert file == study / "clinical_lesions" / "p2.nii.gz"
    assert not read_image(file).array.any()


def test_regions_that_were_all_withdrawn_leave_no_old_image_behind(study: Path) -> None:
    mask = np.ones((20, 28), bool)
    row = region(study, "p1", "LAD", 10, mask)
    files = write_labelled_images(study, pd.DataFrame([row]), seg=True)
    assert [file.suffix for file in files] == [".gz", ".dcm"]
    nothing = pd.DataFrame([{**row, "value": None}])
    (file,) = write_labelled_images(study, nothing, seg=True, replace=True)
    assert not read_image(file).array.any()
    assert not (study / "lesion_regions" / "p1.dcm").exists()


def test_an_image_that_is_there_is_written_over_only_when_asked_for(study: Path) -> None:
    rows = pd.DataFrame([region(study, "p2", "LAD", 10, np.ones((20, 28), bool))])
    there = study / "lesion_regions" / "p2.nii.gz"
    there.parent.mkdir()
    there.write_bytes(b"another's work")
    with pytest.raises(InputError, match="--replace") as refusal:
        write_labelled_images(study, rows)
    assert refusal.value.code == "exists"
    assert there.read_bytes() == b"another's work"
    assert write_labelled_images(study, rows, replace=True) == (there,)


def test_a_segmentation_is_written_for_dicom_and_none_for_an_image_file(study: Path) -> None:
    mask = np.zeros((20, 28), bool)
    mask[4, 4] = True
    rows = [region(study, scan, "LCX", 3, mask) for scan in ("p1", "p2")]
    files = write_labelled_images(study, pd.DataFrame(rows), seg=True)
    assert [file.name for file in files] == ["p1.nii.gz", "p1.dcm", "p2.nii.gz"]
    assert pydicom.dcmread(files[1]).Modality == "SEG"


def test_labels_of_another_scan_of_that_name_are_refused(study: Path) -> None:
    mask = np.ones((20, 28), bool)
    row = {**region(study, "p1", "LAD", 10, mask), "scan_sha256": "0" * 64}
    with pytest.raises(InputError) as refusal:
        write_labelled_images(study, pd.DataFrame([row]))
    assert refusal.value.code == "other_scan"
    assert not (study / "lesion_regions").exists()


def test_two_readers_are_told_apart_by_name(study: Path) -> None:
    mask = np.zeros((20, 28), bool)
    mask[4, 4] = True
    ann = region(study, "p1", "LAD", 3, mask)
    bea = {**region(study, "p1", "RCA", 4, mask), "reader": "bea", "role": "second"}
    both = pd.DataFrame([ann, bea])
    with pytest.raises(InputError) as refusal:
        write_labelled_images(study, both)
    assert refusal.value.code == "several_readers"
    (file,) = write_labelled_images(study, both, "bea")
    assert np.argwhere(read_image(file).array).tolist() == [[4, 4, 4]]
    assert write_labelled_images(study, both, "eve") == ()
