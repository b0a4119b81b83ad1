"""`cacnb inspect` and the voltage rule as a person and a script meet them."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import typer

from cacnb.cli.scans import clinical, inspect
from cacnb.ct.series import find_series
from cacnb.ct.volume import Volume
from cacnb.ct.writing import write_dicom_series, write_image
from cacnb.learning.weights import load_weights
from cacnb.pipeline import Options, score_scan
from cacnb.scan_fitness import with_pixels_judged


def call(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cacnb.cli", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def printed(capsys: pytest.CaptureFixture[str], command: Callable[[], None]) -> str:
    """What a command prints on standard output, in this process."""
    with suppress(typer.Exit):
        command()
    return capsys.readouterr().out


@pytest.fixture
def scan() -> Volume:
    """Soft tissue in air with one lesion of 140 HU."""
    hu = np.full((24, 20, 24), -1000.0, np.float32)
    hu[:, 3:17, 3:21] = 40
    hu[10:12, 8:12, 8:12] = 140
    return Volume(hu, (3.0, 0.8, 0.8))


def test_every_file_of_the_real_scans_is_accounted_for_without_a_traceback(
    shared_data: Path,
) -> None:
    done = call("inspect", shared_data, "--json")
    assert done.returncode == 1  # some of it is refused
    assert done.stderr == ""
    found = json.loads(done.stdout)
    files = sum(series["files"] for series in found["series"]) + len(found["unread"])
    assert files == sum(path.is_file() for path in shared_data.rglob("*"))
    for series in found["series"]:
        assert {reason["severity"] for reason in series["reasons"]} <= {"warn", "refuse"}


def test_a_folder_a_zip_and_a_tar_of_one_scan_are_three_series(
    scan: Volume, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_dicom_series(scan, tmp_path / "a")
    for kind in ("zip", "gztar"):
        shutil.make_archive(str(tmp_path / "packed"), kind, tmp_path / "a")
    found = json.loads(printed(capsys, lambda: inspect([tmp_path], as_json=True)))
    assert sorted(Path(series["path"]).name for series in found["series"]) == [
        "a", "packed.tar.gz", "packed.zip",
    ]  # fmt: skip
    assert {series["verdict"] for series in found["series"]} == {"usable"}


def test_the_table_counts_verdicts_and_files(
    scan: Volume, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_dicom_series(scan, tmp_path / "a")
    (tmp_path / "notes.txt").write_text("hello")
    text = printed(capsys, lambda: inspect([tmp_path]))
    assert "1 usable, 0 warned, 0 refused" in text
    assert "24 files in series, 1 in none." in text


def test_pixels_refuse_what_headers_do_not(shared_data: Path, scan: Volume, tmp_path: Path) -> None:
    """Contrast and a missing heart stand in no header of a NIfTI."""
    shutil.copy(shared_data / "ct_angiography_crop" / "ct_cropped.nii.gz", tmp_path)
    write_image(scan, tmp_path / "no_heart.nii.gz")
    by_headers = find_series([tmp_path])
    assert {series.verdict for series in by_headers.series} <= {"usable", "warned"}
    judged = with_pixels_judged(by_headers, load_weights("demo", "cpu"))
    assert [
        {reason.code for reason in series.reasons if reason.severity == "refuse"}
        for series in judged.series
    ] == [{"contrast"}, {"no_heart"}]


def test_the_voltage_rule_takes_out_what_lies_below_147_hu_at_100_kvp(
    scan: Volume, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_dicom_series(scan, tmp_path / "scan", kvp=100.0)
    region = tmp_path / "all.nii.gz"
    write_image(scan.with_array(np.ones(scan.shape, bool)), region)
    agatston = {}
    for rule in ("fixed", "kvp"):
        score = partial(clinical, tmp_path / "scan", region, threshold_rule=rule, as_json=True)
        found = json.loads(printed(capsys, score))
        assert (found["threshold_rule"], found["kvp"]) == (rule, 100.0)
        agatston[rule] = found["threshold_hu"], found["agatston"]
    assert agatston["fixed"][0] == 130.0
    assert agatston["fixed"][1] > 0
    assert agatston["kvp"] == (147.0, 0.0)


def test_a_scan_without_a_stated_voltage_is_refused_by_the_voltage_rule(
    scan: Volume, tmp_path: Path
) -> None:
    write_image(scan, tmp_path / "scan.nii.gz")
    weights = load_weights("demo", "cpu")
    found = score_scan(tmp_path / "scan.nii.gz", weights, options=Options(threshold_rule="kvp"))
    assert [reason.code for reason in found.reasons] == ["no_threshold"]
