import importlib.util
import json
import os
import stat
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from threading import Barrier

import numpy as np
import pandas as pd
import pydicom
import pytest
from highdicom.legacy import LegacyConvertedEnhancedCTImage

from cacnb.ct.identity import scan_sha256
from cacnb.ct.reading import read_image, read_scan
from cacnb.ct.volume import Volume
from cacnb.ct.writing import write_dicom_series, write_image
from cacnb.errors import InputError
from cacnb.study.cohort import read_cohort
from cacnb.study.new import new_study
from cacnb.study.pseudonyms import open_pseudonyms
from cacnb.study_adding import Told, account, add_labels, add_series, plan_adding

from .ct.written_structures import ring, write_rtstruct

NOON = datetime(2019, 3, 4, 12, 0)


def chest(seed: int = 0) -> Volume:
    """A heart of 540 cm³ between two lungs, 32 slices of 4 mm."""
    grid = Volume(np.zeros((32, 64, 80), np.float32), (4.0, 3.5, 3.5), (-64.0, -112.0, -140.0))
    z, y, x = (grid.axis_mm(a).reshape([-1 if i == a else 1 for i in range(3)]) for a in range(3))
    hu = np.full(grid.shape, -1000.0)
    hu[np.broadcast_to((y / 90) ** 2 + (x / 125) ** 2 < 1, grid.shape)] = 40
    for side in (-1, 1):
        hu[((x - 70 * side) / 48) ** 2 + (y / 70) ** 2 + (z / 90) ** 2 < 1] = -850
    hu[heart_of(grid)] = 42
    rng = np.random.default_rng(seed)
    noisy = np.rint(hu + rng.normal(0, 12, grid.shape)).clip(-1024)
    return grid.with_array(noisy.astype(np.float32))


def heart_of(grid: Volume) -> np.ndarray:
    z, y, x = (grid.axis_mm(a).reshape([-1 if i == a else 1 for i in range(3)]) for a in range(3))
    return (z / 50) ** 2 + (y / 45) ** 2 + (x / 57) ** 2 < 1


def heart_rings() -> list[tuple[float, np.ndarray]]:
    shares = [(float(z), 1 - (z / 50) ** 2) for z in chest().axis_mm(0)]
    return [(z, ring((0, 0), (57 * s**0.5, 45 * s**0.5))) for z, s in shares if s > 0]


def write_scan(
    folder: Path,
    *,
    patient: str = "MRN-1",
    seed: int = 0,
    when: datetime | None = NOON,
    kernel: str = "B30f",
    uid: str | None = None,
    frame: str | None = None,
) -> str:
    """A DICOM series as a scanner sends it; returns its series UID."""
    write_dicom_series(
        chest(seed), folder, seed=f"{folder.name} {seed}", patient_pseudonym=patient,
        series_uid=uid, frame_of_reference_uid=frame, slice_thickness_mm=5.0,
    )  # fmt: skip
    for file in folder.iterdir():
        dataset = pydicom.dcmread(file)
        dataset.Manufacturer, dataset.ManufacturerModelName = "SIEMENS", "Sensation 64"
        dataset.ConvolutionKernel = kernel
        if when is not None:
            dataset.StudyDate = dataset.AcquisitionDate = when.strftime("%Y%m%d")
            dataset.AcquisitionTime = when.strftime("%H%M%S")
        dataset.save_as(file)
    return str(dataset.SeriesInstanceUID)


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "config"


@pytest.fixture
def study(tmp_path: Path) -> Path:
    new_study(tmp_path / "study", "clinic", "an export")
    return tmp_path / "study"


def add(study: Path, *paths: Path, **options: object) -> list[Told]:
    plan = plan_adding(study, paths, **options)  # type: ignore[arg-type]
    told = list(add_series(plan))
    files = account(plan, told)
    there = [f for path in paths for f in ([path] if path.is_file() else path.rglob("*"))]
    assert sum(files.values()) == sum(f.is_file() for f in there), "every file is accounted for"
    return told


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def codes(told: Told) -> list[str]:
    return [reason.code for reason in told.reasons]


def test_a_series_becomes_a_scan_its_row_and_its_heart(study: Path, tmp_path: Path) -> None:
    export = tmp_path / "export"
    uid = write_scan(export / "ct", frame="1.2.5")
    write_rtstruct(export / "rs.dcm", {"Heart": heart_rings()}, series_uid=uid, frame="1.2.5")
    (told,) = add(study, export, set_name="RTP_train")
    assert (told.outcome, told.heart) == ("added", "rtstruct")
    row = read_cohort(study).iloc[0]
    _, volume = read_scan(study / row["path"])
    assert scan_sha256(volume) == scan_sha256(chest())
    heart = read_image(study / "masks" / f"{row['scan']}.nii.gz").array > 0
    truth = heart_of(chest())
    assert 2 * (heart & truth).sum() / (heart.sum() + truth.sum()) > 0.97
    wanted = {
        "patient": row["scan"].split("_")[0], "set": "RTP_train", "kvp": 120, "slices": 32,
        "spacing_z_mm": 4, "spacing_xy_mm": 3.5, "slice_thickness_mm": 5, "kernel": "B30f",
        "manufacturer": "Siemens", "model": "Sensation 64", "study_order": 1, "minutes": 0,
        "verdict": "usable",
    }  # fmt: skip
    assert {name: row[name] for name in wanted} == wanted


def test_adding_twice_adds_nothing(study: Path, tmp_path: Path) -> None:
    write_scan(tmp_path / "export" / "ct")
    write_image(chest(5), tmp_path / "export" / "other.nii.gz")
    assert [told.outcome for told in add(study, tmp_path / "export")] == ["added", "added"]
    before = contents(study)
    assert [told.outcome for told in add(study, tmp_path / "export")] == ["already", "already"]
    assert contents(study) == before


def test_calls_at_the_same_time_lose_no_scan_and_share_one_key(study: Path, tmp_path: Path) -> None:
    wards = [tmp_path / ward for ward in ("north", "south", "west")]
    for seed, ward in enumerate(wards):
        write_scan(ward / "ct", patient=f"MRN-{seed}", seed=seed)
    together = Barrier(len(wards))

    def one(ward: Path) -> list[Told]:
        together.wait()
        return add(study, ward)

    with ThreadPoolExecutor(len(wards)) as pool:
        told = [scan for scans in pool.map(one, wards) for scan in scans]
    assert [scan.outcome for scan in told] == ["added"] * 3
    cohort = read_cohort(study)
    assert sorted(cohort["scan"]) == sorted(scan.scan for scan in told)
    assert all(scan.outcome == "already" for ward in wards for scan in add(study, ward))


def test_a_heart_that_comes_later_is_added_to_its_scan(study: Path, tmp_path: Path) -> None:
    uid = write_scan(tmp_path / "ct", frame="1.2.5")
    (first,) = add(study, tmp_path / "ct")
    assert not first.heart
    write_rtstruct(tmp_path / "rs.dcm", {"Herz": heart_rings()}, series_uid=uid, frame="1.2.5")
    (told,) = add(study, tmp_path / "ct", heart=tmp_path / "rs.dcm")
    assert (told.outcome, told.scan, told.heart) == ("already", first.scan, "rtstruct")
    assert (study / "masks" / f"{first.scan}.nii.gz").is_file()
    assert len(read_cohort(study)) == 1


def test_a_call_that_was_stopped_goes_on_and_leaves_no_half_scan(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for i in range(2):
        write_scan(tmp_path / "export" / f"ct{i}", patient=f"MRN-{i}", seed=i)
    rows = iter([True, False])

    def stopped(*args: object) -> None:
        if not next(rows):
            raise KeyboardInterrupt
        append(*args)  # type: ignore[arg-type]

    from cacnb.study_adding import written

    append = written.append_rows
    monkeypatch.setattr(written, "append_rows", stopped)
    with pytest.raises(KeyboardInterrupt):
        add(study, tmp_path / "export", keep_dicom=True)
    (kept,) = read_cohort(study)["scan"]
    assert [path.name for path in (study / "scans").iterdir()] == [kept]
    monkeypatch.setattr(written, "append_rows", append)
    told = add(study, tmp_path / "export", keep_dicom=True)
    assert sorted(one.outcome for one in told) == ["added", "already"]
    for path in read_cohort(study)["path"]:
        read_scan(study / path)


def test_refused_series_are_told_and_leave_no_trace(study: Path, tmp_path: Path) -> None:
    export = tmp_path / "export"
    write_scan(export / "gap")
    (export / "gap" / "slice_0007.dcm").unlink()
    flat = chest()
    write_image(flat.with_array(np.abs(flat.array)), export / "labels.nii.gz")
    (export / "notes.txt").write_text("nothing")
    told = add(study, export)
    assert sorted((one.outcome, codes(one)[0]) for one in told) == [
        ("refused", "missing_slice"), ("refused", "not_hu")
    ]  # fmt: skip
    assert not list((study / "scans").iterdir())
    assert read_cohort(study).empty


def test_a_scan_with_contrast_is_refused_by_its_voxels(study: Path, tmp_path: Path) -> None:
    scan = chest()
    write_image(scan.with_array(np.where(heart_of(scan), 320.0, scan.array)), tmp_path / "c.nii.gz")
    (told,) = add(study, tmp_path / "c.nii.gz")
    assert (told.outcome, codes(told)) == ("refused", ["contrast"])


def test_scans_of_one_patient_share_a_pseudonym_and_their_time_without_a_date(
    study: Path, tmp_path: Path
) -> None:
    """And what comes later is put in its place, although it was made first."""
    late = tmp_path / "late"
    write_scan(late / "b", seed=1, when=NOON + timedelta(minutes=12), frame="1.2.5")
    write_scan(late / "c", seed=2, when=NOON + timedelta(days=90), patient="mrn-1 ")
    write_scan(late / "d", seed=3, patient="MRN-2")
    add(study, late)
    write_scan(tmp_path / "early" / "a", seed=4, when=NOON, frame="1.2.5")
    write_scan(tmp_path / "early" / "e", seed=5, when=NOON - timedelta(days=300))
    add(study, tmp_path / "early")
    cohort = read_cohort(study)
    one = cohort[cohort["patient"] == cohort["patient"].mode()[0]]
    assert len(one) == 4
    times = sorted(zip(one["study_order"], one["minutes"], strict=True))
    assert times == [(1, 0), (2, 0), (2, 12), (3, 0)]
    assert one["frame"].value_counts().max() == 2, "two scans of one frame of reference"
    text = (study / "cohort.csv").read_text()
    assert not any(when in text for when in ("2019", "2018", "1.2.5"))


def test_the_key_is_the_users_alone_and_outside_the_study(
    study: Path, tmp_path: Path, config: Path
) -> None:
    write_scan(tmp_path / "ct")
    (first,) = add(study, tmp_path / "ct")
    files = [path for path in config.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".key", ".days"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    key = open_pseudonyms(study)
    assert key.patient("number mrn-1") == first.scan.split("_")[0]
    assert not any(key.key.hex().encode() in content for content in contents(study).values())
    renamed = study.rename(tmp_path / "renamed")
    (again,) = add(renamed, tmp_path / "ct")
    assert (again.outcome, again.scan) == ("already", first.scan)


@pytest.mark.parametrize("where", ["inside", "other", "lost", "open", "none"])
def test_a_key_that_cannot_be_the_studys_is_refused(
    study: Path, tmp_path: Path, where: str
) -> None:
    write_scan(tmp_path / "ct")
    file = tmp_path / "my.key"
    if where != "inside":
        add(study, tmp_path / "ct", key_file=file)
    if where == "inside":
        (study / "sub").mkdir()
        file = study / "sub" / ".." / "k.key"
    elif where == "other":
        file.write_text("ab" * 32 + "\n")
    elif where == "lost":
        file.unlink()
    elif where == "open":
        file.chmod(0o644)
    elif where == "none":
        file.write_text("secret")
    with pytest.raises(InputError) as caught:
        plan_adding(study, [tmp_path / "ct"], key_file=file)
    wanted = {"inside": "key_in_study", "other": "other_key", "lost": "no_key",
              "open": "key_open", "none": "bad_key"}  # fmt: skip
    assert caught.value.code == wanted[where]


def test_another_key_gives_other_pseudonyms(tmp_path: Path) -> None:
    write_scan(tmp_path / "ct")
    scans = []
    for name in ("one", "two"):
        new_study(tmp_path / name, name, "")
        scans.append(add(tmp_path / name, tmp_path / "ct")[0].scan)
    assert len({part for scan in scans for part in scan.split("_")}) == 4


def test_masks_of_a_folder_are_matched_by_name(study: Path, tmp_path: Path) -> None:
    scans, masks = tmp_path / "scans", tmp_path / "masks"
    for i, name in enumerate(("anna", "ben", "cleo", "dora")):
        write_image(chest(i), scans / f"{name}.nii.gz")
    heart = chest().with_array(heart_of(chest()))
    write_image(heart, masks / "anna.nrrd")
    write_image(heart, masks / "ben_heart.nii.gz")
    write_image(heart, masks / "cleo" / "heart.nii.gz")
    told = add(study, scans, heart=masks)
    assert [one.heart for one in told] == ["image", "image", "image", ""]
    assert len(list((study / "masks").iterdir())) == 3


def test_one_mask_for_two_scans_is_refused(study: Path, tmp_path: Path) -> None:
    for i in range(2):
        write_image(chest(i), tmp_path / "scans" / f"{i}.nii.gz")
    write_image(chest().with_array(heart_of(chest())), tmp_path / "m.nii.gz")
    with pytest.raises(InputError) as caught:
        plan_adding(study, [tmp_path / "scans"], heart=tmp_path / "m.nii.gz")
    assert caught.value.code == "several_scans"


def test_doubtful_masks_are_told_and_left_out(study: Path, tmp_path: Path) -> None:
    """A contour of a nodule called heart, two hearts that differ, a heart of another series."""
    export = tmp_path / "export"
    uid = write_scan(export / "a", frame="1.2.5")
    small = [(z, points * 0.2) for z, points in heart_rings()[9:12]]
    write_rtstruct(export / "a.dcm", {"Heart": small}, series_uid=uid, frame="1.2.5")
    uid = write_scan(export / "b", seed=1, patient="MRN-2", frame="1.2.6")
    for name, drawn in (("b1.dcm", heart_rings()), ("b2.dcm", heart_rings()[:-2])):
        write_rtstruct(export / name, {"Heart": drawn}, series_uid=uid, frame="1.2.6")
    write_scan(export / "c", seed=2, patient="MRN-3", frame="1.2.7")
    write_rtstruct(export / "c.dcm", {"Heart": heart_rings()}, series_uid="1.9", frame="1.2.7")
    told = {one.series: one for one in add(study, export)}
    assert all(one.outcome == "added" and not one.heart for one in told.values())
    assert sorted(code for one in told.values() for code in codes(one)) == [
        "no_heart", "several_masks"
    ]  # fmt: skip
    assert not list((study / "masks").iterdir())


def test_kept_dicom_is_the_same_scan(study: Path, tmp_path: Path) -> None:
    write_scan(tmp_path / "ct")
    (told,) = add(study, tmp_path / "ct", keep_dicom=True)
    _, volume = read_scan(study / "scans" / told.scan)
    assert scan_sha256(volume) == scan_sha256(chest())
    one, two = (
        pydicom.dcmread(next(f.iterdir())) for f in (study / "scans" / told.scan, tmp_path / "ct")
    )
    assert (one.PatientID, one.KVP, one.ConvolutionKernel) == (told.scan.split("_")[0], 120, "B30f")
    assert one.SeriesInstanceUID != two.SeriesInstanceUID
    key = open_pseudonyms(study)
    assert one.SeriesInstanceUID == key.uid(two.SeriesInstanceUID)
    assert one.FrameOfReferenceUID == key.uid(two.FrameOfReferenceUID)


def test_frames_of_one_file_are_kept_as_slices(study: Path, tmp_path: Path) -> None:
    write_scan(tmp_path / "ct", patient="MRN^1")
    slices = [pydicom.dcmread(file) for file in sorted((tmp_path / "ct").iterdir())]
    for dataset in slices:
        dataset.BurnedInAnnotation = "NO"
        dataset.AcquisitionDateTime = dataset.AcquisitionDate + dataset.AcquisitionTime
        dataset.ContentDate, dataset.ContentTime = dataset.AcquisitionDate, "120000"
    LegacyConvertedEnhancedCTImage(
        slices, series_instance_uid="1.2.3", series_number=1, sop_instance_uid="1.2.3.4",
        instance_number=1,
    ).save_as(tmp_path / "frames.dcm")  # fmt: skip
    (told,) = add(study, tmp_path / "frames.dcm", keep_dicom=True)
    kept = study / "scans" / told.scan
    assert len(list(kept.iterdir())) == 32
    _, volume = read_scan(kept)
    assert scan_sha256(volume) == scan_sha256(chest())


def test_slices_without_uids_are_kept_as_one_series(study: Path, tmp_path: Path) -> None:
    write_scan(tmp_path / "ct")
    for file in (tmp_path / "ct").iterdir():
        dataset = pydicom.dcmread(file)
        del dataset.SeriesInstanceUID, dataset.StudyInstanceUID, dataset.FrameOfReferenceUID
        dataset.save_as(file)
    (told,) = add(study, tmp_path / "ct", keep_dicom=True)
    _, volume = read_scan(study / "scans" / told.scan)
    assert scan_sha256(volume) == scan_sha256(chest())


def test_a_scan_without_a_patient_is_one_of_its_own_and_is_told(
    study: Path, tmp_path: Path
) -> None:
    for i in range(2):
        write_scan(tmp_path / "export" / f"ct{i}", patient="ANONYMOUS", seed=i)
    write_image(chest(7), tmp_path / "export" / "x.nii.gz")
    told = add(study, tmp_path / "export")
    assert all("no_patient" in codes(one) for one in told)
    assert read_cohort(study)["patient"].nunique() == 3


def test_a_patient_may_not_come_on_two_sides_of_a_split(study: Path, tmp_path: Path) -> None:
    write_scan(tmp_path / "a", seed=1)
    write_scan(tmp_path / "b", seed=2)
    add(study, tmp_path / "a", set_name="train")
    (told,) = add(study, tmp_path / "b", set_name="test")
    assert (told.outcome, codes(told)) == ("refused", ["leakage"])
    assert len(list((study / "scans").iterdir())) == 1, "and its scan is not left behind"


def test_slice_labels_come_with_the_scans_under_their_names(study: Path, tmp_path: Path) -> None:
    uid = write_scan(tmp_path / "ct")
    write_image(chest(3), tmp_path / "other.nii.gz")
    table = pd.DataFrame(
        {
            "series_uid": [uid, uid, "1.2.3", None, uid], "slice": [4, 5, 5, 9, 99],
            "path": [None, None, None, "other.nii.gz", None], "contains_cac": [1, 0, 1, 1, 1],
            "reader": "Dr Doe",
        }
    )  # fmt: skip
    table.to_csv(tmp_path / "labels.csv", index=False)
    for new in (3, 0):
        plan = plan_adding(study, [tmp_path / "ct", tmp_path / "other.nii.gz"])
        told = list(add_series(plan))
        assert add_labels(plan, told, tmp_path / "labels.csv") == (new, 2)
    labels = pd.read_csv(study / "slice_labels.csv")
    assert list(labels.columns) == ["scan", "slice", "contains_cac"]
    assert set(labels["scan"]) == set(read_cohort(study)["scan"])
    table.assign(contains_cac=2).to_csv(tmp_path / "labels.csv", index=False)
    with pytest.raises(InputError, match="row 2") as caught:
        add_labels(plan, told, tmp_path / "labels.csv")
    assert caught.value.code == "bad_labels_file"


def test_a_zip_is_added_as_its_folder_is(study: Path, tmp_path: Path) -> None:
    write_scan(tmp_path / "ct")
    with zipfile.ZipFile(tmp_path / "ct.zip", "w") as archive:
        for file in (tmp_path / "ct").iterdir():
            archive.write(file, f"deep/er/{file.name}")
    plan = plan_adding(study, [tmp_path / "ct.zip"])
    (from_zip,) = add_series(plan)
    (from_folder,) = add(study, tmp_path / "ct")
    assert (from_folder.outcome, from_folder.scan) == ("already", from_zip.scan)


def test_scans_do_not_go_into_a_simulated_study(study: Path, tmp_path: Path) -> None:
    write_scan(tmp_path / "ct")
    (study / "study.toml").write_text('name = "a"\nsimulated = true\n')
    with pytest.raises(InputError) as caught:
        plan_adding(study, [tmp_path / "ct"])
    assert caught.value.code == "simulated_study"


def test_totalsegmentator_is_asked_for_once_and_refused_where_it_is_not_installed(
    study: Path, tmp_path: Path
) -> None:
    write_scan(tmp_path / "ct")
    if importlib.util.find_spec("totalsegmentator"):
        pytest.skip("TotalSegmentator is installed here")
    with pytest.raises(InputError) as caught:
        plan_adding(study, [tmp_path / "ct"], heart=Path("totalsegmentator"))
    assert caught.value.code == "no_totalsegmentator"


def test_parts_that_a_killed_call_left_go_when_it_is_called_again(
    study: Path, tmp_path: Path
) -> None:
    write_scan(tmp_path / "ct")
    (told,) = add(study, tmp_path / "ct")
    (study / "cohort.csv").unlink()
    (study / "scans" / f".{told.scan}.nii.gz.77.part.nii.gz").write_bytes(b"half")
    (study / "scans" / f".{told.scan}.part").mkdir()
    add(study, tmp_path / "ct")
    assert [path.name for path in (study / "scans").iterdir()] == [f"{told.scan}.nii.gz"]


@pytest.mark.slow
def test_real_scans_from_their_folders_to_scores(
    study: Path, tmp_path: Path, shared_data: Path
) -> None:
    """Add, what is there, score: a patient without a heart mask gets the network's."""
    real = [shared_data / name for name in ("acrin_flt_breast_013", "qrm_thorax_phantom")]
    told = add(study, *real)
    assert [(one.outcome, one.files, one.reasons) for one in told] == [
        ("added", 49, ()), ("added", 47, ())
    ]  # fmt: skip
    for one, path in zip(told, real, strict=True):
        row = read_cohort(study).set_index("scan").loc[one.scan]
        _, original = read_scan(path)
        _, copy = read_scan(study / row["path"])
        assert scan_sha256(copy) == scan_sha256(original)
    assert set(read_cohort(study)["manufacturer"]) == {"Siemens", "Toshiba"}
    done = call("score", "--study", study, told[0].scan, "--json")
    assert done.returncode == 0, done.stderr
    (scored,) = json.loads(done.stdout)["scans"]
    assert scored["verdict"] == "usable"
    assert scored["clinical"]["agatston"] >= 0


def call(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cacnb.cli", *map(str, arguments)], capture_output=True, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False,
    )  # fmt: skip


def test_scans_go_into_a_study_only(tmp_path: Path) -> None:
    write_image(chest(), tmp_path / "a.nii.gz")
    with pytest.raises(InputError, match="cacnb study new") as caught:
        plan_adding(tmp_path / "nothing", [tmp_path / "a.nii.gz"])
    assert caught.value.code == "no_study"


def test_the_command_tells_all_in_one_object(study: Path, tmp_path: Path) -> None:
    write_scan(tmp_path / "export" / "ct")
    done = call("study", "add", study, tmp_path / "export", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert [one["given"] for one in told["added"]] == [str(tmp_path / "export")]
    assert (told["already"], told["refused"], told["files"]["added"]) == ([], [], 32)
