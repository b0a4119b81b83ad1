"""`cacnb study labels` as a person and a script meet it."""

import json
import os
import subprocess
import sys

import pytest

from cacnb.labels.place import open_labels


def call(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cacnb.cli", "study", "labels", *map(str, words)]
    environment = {name: value for name, value in os.environ.items() if name != "CACNB_LABELS"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


@pytest.fixture
def study(tmp_path, event):
    folder = tmp_path / "demo"
    folder.mkdir()
    with open_labels(folder) as store:
        store.append([event(1, seconds=3600), event(2, slice=1, value="no_cac")])
    return folder


def test_labels_go_out_and_in_again(study, tmp_path) -> None:
    done = call("export", study, tmp_path / "labels.csv", "--json")
    assert json.loads(done.stdout) == {"file": str(tmp_path / "labels.csv"), "events": 2}
    other = tmp_path / "other"
    other.mkdir()
    first, second = (call("import", other, tmp_path / "labels.csv", "--json") for _ in range(2))
    assert json.loads(first.stdout)["new"] == 2
    assert json.loads(second.stdout)["new"] == 0
    call("export", other, tmp_path / "again.csv")
    assert (tmp_path / "again.csv").read_bytes() == (tmp_path / "labels.csv").read_bytes()


def test_status_tells_who_gave_what_and_how_long_it_took(study) -> None:
    told = json.loads(call("status", study, "--json").stdout)
    assert told["study"] == "demo"
    assert told["store"] == str(study / "labels.sqlite")
    (row,) = told["readers"]
    assert (row["reader"], row["subject"], row["labels"]) == ("A", "slice", 2)
    assert 1 <= row["hours"] < 1.01
    assert "slice" in call("status", study).stdout


def test_a_refused_import_is_one_line_and_status_1(study, tmp_path) -> None:
    (tmp_path / "labels.csv").write_text("scan,slice\n")
    done = call("import", study, tmp_path / "labels.csv")
    assert done.returncode == 1
    assert "is no export of labels" in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert call("export", study, tmp_path / "labels.xlsx").returncode == 2


def test_agreement_of_two_readers_is_told_with_the_slices_they_differ_on(study, event) -> None:
    with open_labels(study) as store:
        store.append(
            [event(1, session="b", reader="B"), event(2, session="b", reader="B", slice=1)]
        )
    (row,) = json.loads(call("agreement", study, "--json").stdout)["agreement"]
    assert (row["first"], row["second"], row["slices"], row["differing"]) == ("A", "B", 2, 1)
    assert "1 of 2 slices differ" in call("agreement", study).stdout


def test_images_of_labels_without_a_cohort_are_refused_in_one_line(study) -> None:
    done = call("images", study)
    assert done.returncode == 1
    assert "cohort.csv" in done.stderr
