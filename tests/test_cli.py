"""The command line as a person and a script meet it: JSON, exit status, one clear line."""

import base64
import json
import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cacnb.ct.reading import read_scan
from cacnb.ct.volume import Volume
from cacnb.ct.writing import write_dicom_series, write_image
from cacnb.simulation.scan import Person, SimulatedScan, simulate_scan


def call(*words: object, **more: object) -> subprocess.CompletedProcess[str]:
    """Run cacnb as a process of its own."""
    command = [sys.executable, "-m", "cacnb.cli", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **more)  # type: ignore[call-overload,no-any-return]


def refused(done: subprocess.CompletedProcess[str], *words: str, status: int = 1) -> None:
    """A refusal is at most two lines with these words, no traceback, and the status."""
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert 1 <= len(lines) <= 6, done.stderr
    for word in words:
        assert word in " ".join(done.stderr.split()), done.stderr


@pytest.fixture(scope="session")
def scan() -> SimulatedScan:
    return simulate_scan(Person.draw(703), breath_hold=True, field_of_view="heart")


@pytest.fixture(scope="session")
def scan_file(scan: SimulatedScan, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scan") / "scan.nii.gz"
    write_image(scan.image, path)
    return path


def test_a_simulated_dicom_scan_is_scored_with_all_keys_of_the_contract(
    scan: SimulatedScan, tmp_path: Path
) -> None:
    folder = tmp_path / "series"
    write_dicom_series(scan.image, folder, seed="cli")
    done = call("score", folder, "--json", "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    (found,) = json.loads(done.stdout)["scans"]
    assert found["verdict"] in ("usable", "warned")
    assert found["series_uid"]
    assert set(found["proposed"]) >= {
        "pseudo_mass_hu_mm3", "agatston_adjusted", "volume_mm3", "risk_category"
    }  # fmt: skip
    assert set(found["clinical"]) >= {
        "pseudo_mass_hu_mm3", "agatston", "volume_mm3", "risk_category", "convention"
    }  # fmt: skip
    assert set(found["seconds"]) == {"read", "heart", "slices", "map", "scores", "total"}
    assert set(found["weights"]) == {"name", "sha256", "trained_on"}
    assert isinstance(found["lesions"], list)
    for name in ("series.json", "series.cac_map.nii.gz", "series.lesions.csv", "report.html"):
        assert (tmp_path / "out" / name).is_file()


def test_a_heart_mask_that_is_given_takes_the_networks_place(
    scan: SimulatedScan, scan_file: Path, tmp_path: Path
) -> None:
    mask = tmp_path / "heart.nii.gz"
    write_image(scan.heart, mask)
    done = call("score", scan_file, "--heart", mask, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["scans"][0]["seconds"]["heart"] < 60


def test_a_mask_of_another_place_or_grid_is_refused_in_one_line(
    scan: SimulatedScan, scan_file: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.nii.gz"
    write_image(Volume(np.ones((5, 6, 7), bool), (3.0, 1.0, 1.0), (5000.0, 0.0, 0.0)), other)
    refused(call("score", scan_file, "--heart", other), "no voxel of the heart mask lies in")
    refused(call("clinical", scan_file, "--region", other), "resample it onto the scan")


def test_clinical_scores_inside_a_region_and_names_its_convention(
    scan: SimulatedScan, scan_file: Path, tmp_path: Path
) -> None:
    region = tmp_path / "region.nii.gz"
    write_image(scan.heart, region)
    done = call("clinical", scan_file, "--region", region, "--convention", "qurai", "--json")
    found = json.loads(done.stdout)
    assert found["convention"] == "qurai"
    assert found["agatston"] >= 0
    assert found["agatston"] == pytest.approx(sum(row["agatston"] for row in found["lesions"]))


def test_an_unknown_convention_lists_those_there_are(scan_file: Path) -> None:
    done = call("clinical", scan_file, "--region", scan_file, "--convention", "mine")
    refused(done, "literature", "qurai", status=2)


def test_an_empty_folder_holds_no_scan(tmp_path: Path) -> None:
    refused(call("score", tmp_path), "no scan")


def test_a_text_file_called_dcm_is_no_scan(tmp_path: Path) -> None:
    path = tmp_path / "note.dcm"
    path.write_text("dear colleague")
    refused(call("score", path), "no scan")


def test_a_truncated_file_is_not_scored(scan_file: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.nii.gz"
    cut.write_bytes(scan_file.read_bytes()[:200_000])
    refused(call("score", cut), "undecodable")


def test_two_series_in_one_folder_are_not_mixed(scan: SimulatedScan, tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_dicom_series(scan.image, tmp_path / name, seed=name)
    refused(call("score", tmp_path), "several_series")


def test_a_path_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    refused(call("score", tmp_path / "nothing"), "does not exist")


def test_missing_weights_name_what_is_there(scan_file: Path, tmp_path: Path) -> None:
    refused(call("score", scan_file, "--weights", tmp_path / "none"), "--weights demo")


def test_a_full_disk_leaves_nothing_half_written(scan_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"

    def little_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    done = call("score", scan_file, "--out", out, preexec_fn=little_room)
    refused(done, "cannot be written")
    assert not [path for path in out.glob("*") if path.stat().st_size >= 20_000]
    assert not list(out.glob(".*part*"))


def test_a_debug_call_shows_the_traceback(tmp_path: Path) -> None:
    done = call("--debug", "score", tmp_path / "nothing")
    assert "Traceback" in done.stderr


def test_simulate_writes_a_study_that_score_and_evaluate_read(tmp_path: Path) -> None:
    study = tmp_path / "study"
    done = call("simulate", "--pairs", 1, "--seed", 703, "--field", "heart", "--out", study)
    assert done.returncode == 0, done.stderr
    done = call("score", "--study", study, "--json")
    assert done.returncode == 0, done.stderr
    assert [Path(s["path"]).name for s in json.loads(done.stdout)["scans"]] == [
        "sim00703_bh.nii.gz", "sim00703_fb.nii.gz"
    ]  # fmt: skip
    done = call("evaluate", "--study", study, "--json")
    assert done.returncode == 0, done.stderr
    tables = json.loads(done.stdout)
    assert {row["method"] for row in tables["detection_per_scan"]} == {
        "proposed", "clinical_manual", "clinical_automatic"
    }  # fmt: skip
    assert all(row["simulated"] for row in tables["truth"])


def test_a_pair_must_be_asked_for(tmp_path: Path) -> None:
    refused(call("simulate", "--pairs", 0, "--out", tmp_path / "s"), "at least 1", status=2)


def test_training_an_unknown_stage_lists_the_stages(tmp_path: Path) -> None:
    refused(
        call("train", "lungs", "--study", tmp_path, "--out", tmp_path / "run"), "heart", status=2
    )


@pytest.mark.slow
def test_each_stage_trains_from_the_command_line_and_resumes(tmp_path: Path) -> None:
    study = tmp_path / "study"
    found = call("simulate", "--pairs", 8, "--seed", 20, "--field", "heart", "--out", study)
    assert found.returncode == 0, found.stderr
    for stage in ("heart", "slices", "decomposition"):
        run = tmp_path / stage
        words = ("train", stage, "--study", study, "--out", run, "--iterations", 2)
        assert (done := call(*words)).returncode == 0, done.stderr
        refused(call(*words), "--resume")
        assert call(*words, "--resume").returncode == 0
        assert len((run / "steps.jsonl").read_text().splitlines()) == 2


def test_importing_the_package_and_asking_for_help_does_not_load_torch() -> None:
    code = "import sys, cacnb, cacnb.cli; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_real_scan_without_calcium_gets_a_usable_verdict(shared_data: Path) -> None:
    done = call("score", shared_data / "acrin_flt_breast_013", "--json")
    assert done.returncode == 0, done.stderr
    (found,) = json.loads(done.stdout)["scans"]
    assert found["verdict"] == "usable"
    assert found["proposed"]["pseudo_mass_hu_mm3"] >= 0


@pytest.mark.parametrize(
    ("path", "code"),
    [("ct_angiography_crop/ct_cropped.nii.gz", "contrast"), ("abdomen_3mm.nii.gz", "no_heart")],
)
def test_a_scan_that_cannot_be_scored_is_refused_with_its_code(
    shared_data: Path, path: str, code: str
) -> None:
    done = call("score", shared_data / path, "--json")
    assert done.returncode == 1
    (found,) = json.loads(done.stdout)["scans"]
    assert found["verdict"] == "refused"
    assert code in {reason["code"] for reason in found["reasons"]}
    assert "proposed" not in found


def test_no_name_of_a_patient_reaches_any_output(shared_data: Path, tmp_path: Path) -> None:
    import pydicom

    folder = tmp_path / "series"
    series, _ = read_scan(shared_data / "qrm_thorax_phantom")
    folder.mkdir()
    for i, file in enumerate(series.files):
        dataset = pydicom.dcmread(file)
        dataset.PatientName, dataset.PatientID = "Zebedee^Quux", "QUUX4711"
        dataset.InstitutionName = dataset.StudyDescription = "Quuxhospital"
        dataset.save_as(folder / f"{i:03}.dcm")
    done = call("score", folder, "--json", "--out", tmp_path / "out")
    written = done.stdout + done.stderr
    for path in (tmp_path / "out").rglob("*"):
        if path.is_file():
            written += path.name + path.read_bytes().decode("latin-1")
    # A picture's base64 holds any four letters by chance: its bytes are looked at instead.
    for picture in re.findall(r"base64,([A-Za-z0-9+/=]+)", written):
        written += base64.b64decode(picture).decode("latin-1")
    written = re.sub(r"base64,[A-Za-z0-9+/=]+", "", written)
    assert "quux" not in written.lower()
    assert "zebedee" not in written.lower()


def test_the_environment_of_a_call_is_not_needed(scan_file: Path) -> None:
    clean = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}
    assert call("inspect", scan_file, "--json", env=clean).returncode == 0
