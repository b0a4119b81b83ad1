"""A training that a lesson starts outlives its notebook, is joined, stopped, says why it failed."""

import json
import os
import subprocess
import sys
from pathlib import Path
from threading import Event

import numpy as np
import pandas as pd
import pytest

from cacnb.ct.volume import Volume
from cacnb.ct.writing import write_image
from cacnb.errors import UsageError
from cacnb.lessons import training_view
from cacnb.lessons.missing import Missing
from cacnb.lessons.training_view import LessonMonitor
from cacnb.lessons.trainings import LOCK, LOG, lesson_folder, start_training
from cacnb.studies import Study, open_study

SPACING_MM = (6.0, 6.0, 6.0)

#: More iterations than any test waits for.
LONG = 5000


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Study:
    """Six scans of three people, each a round heart in air."""
    folder = tmp_path_factory.mktemp("round")
    z, y, x = np.ogrid[-12:12, -16:16, -16:16]
    rows = []
    for i in range(6):
        heart = z**2 + y**2 + (x - i) ** 2 < 49
        image = Volume(np.where(heart, 40, -800).astype(np.int16), SPACING_MM)
        name, path = f"p{i // 2}_{i % 2}", f"scans/p{i // 2}_{i % 2}.nii.gz"
        write_image(image, folder / path)
        write_image(image.with_array(heart.astype(np.uint8)), folder / "masks" / f"{name}.nii.gz")
        rows.append({"scan": name, "patient": f"p{i // 2}", "path": path})
    pd.DataFrame(rows).to_csv(folder / "cohort.csv", index=False)
    return open_study(folder)


@pytest.fixture(scope="module")
def notebooks(tmp_path_factory) -> Path:
    """The folder that all notebooks of this module run in."""
    return tmp_path_factory.mktemp("notebooks")


@pytest.fixture(autouse=True)
def in_the_notebooks_folder(notebooks, monkeypatch):
    monkeypatch.chdir(notebooks)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="module")
def training(study, notebooks):
    """A long training that a notebook started which has ended since."""
    code = (
        "from cacnb.studies import open_study; from cacnb.lessons.trainings import start_training;"
        f"start_training('heart', open_study({str(study.folder)!r}), 'demo', {LONG})"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "error", "-c", code]
    subprocess.run(command, check=True, cwd=notebooks, env=environment, timeout=120)
    here = Path.cwd()
    os.chdir(notebooks)
    started = start_training("heart", study, "demo", LONG)
    yield started
    started.stop()
    os.chdir(here)


def _reaches(training, iteration: int) -> bool:
    steps = training.folder / "steps.jsonl"
    for _ in range(600):
        lines = steps.read_text(encoding="utf-8").splitlines() if steps.is_file() else []
        if len(lines) >= iteration or not training.running:
            return len(lines) >= iteration
        training.wait(0.2)
    return False


def test_a_training_goes_on_after_the_notebook_that_started_it_has_ended(training):
    assert training.running
    assert _reaches(training, 2)
    assert training.state == "running"


def test_the_same_cell_joins_the_training_that_runs_and_starts_no_second(training, study):
    process = (training.folder / LOCK).read_text(encoding="utf-8")

    again = start_training("heart", study, "demo", LONG)

    assert again.folder == training.folder
    assert again.running
    assert (again.folder / LOCK).read_text(encoding="utf-8") == process


def test_a_training_is_a_session_of_its_own_that_no_interrupt_of_the_kernel_reaches(training):
    process = int((training.folder / LOCK).read_text(encoding="utf-8"))

    assert os.getsid(process) == process
    assert os.getpgid(process) != os.getpgid(0)


def test_its_monitor_is_live_and_has_a_picture_for_pages_without_a_kernel(training):
    assert _reaches(training, 2)
    monitor = training.monitor()

    news = monitor.news()["runs"][0]
    png, alt = monitor.still()

    assert isinstance(monitor, LessonMonitor)
    assert news["state"] == "running"
    assert news["failing"] == []
    assert png.startswith(b"\x89PNG")
    assert "Loss curves of heart" in alt


def test_its_monitor_goes_on_telling_while_the_kernel_is_busy_and_hears_no_question(
    training, monkeypatch
):
    monkeypatch.setattr(training_view, "TELL_S", 0.01)
    assert _reaches(training, 2)
    monitor, told, later = training.monitor(), [], Event()

    def hear(content, buffers=None):
        told.append(content)
        if len(told) == 3:
            later.set()

    monitor.send = hear
    monitor._repr_mimebundle_()

    assert later.wait(60)
    assert [content["type"] for content in told[:3]] == ["news"] * 3
    assert told[0]["runs"][0]["losses"]["dice"]["at"]
    monkeypatch.setattr(training_view, "UNHEARD_S", 0.0)


def test_stopping_saves_the_last_step_and_says_so(training):
    assert _reaches(training, 2)

    training.stop()

    assert not training.running
    assert training.state == "stopped"
    assert "is saved in" in training.said
    assert (training.folder / "last.safetensors").is_file()
    assert "\n" not in repr(training)
    assert training.monitor().news()["runs"][0]["failing"][0]["name"] == "stopped"


def test_one_that_is_stopped_before_its_first_step_has_not_failed(study):
    training = start_training("heart", study, "demo", LONG, seed=5).stop()
    assert training.state == "stopped"
    assert training.said == "stopped by you before the first step: run the cell again to go on"


def test_a_finished_training_is_shown_and_not_started_again(study):
    done = start_training("heart", study, "demo", 1).wait(120)
    process = (done.folder / LOCK).read_text(encoding="utf-8")

    again = start_training("heart", study, "demo", 1)

    assert done.state == "finished"
    assert repr(again) == f"heart, recipe demo: finished, iteration 1 of 1; in {again.folder}"
    assert (again.folder / LOCK).read_text(encoding="utf-8") == process


def test_a_training_that_fails_says_why_in_one_sentence(study):
    failed = start_training("heart", study, "demo", 2, device="cuda:7").wait(120)

    assert failed.state == "failed"
    assert failed.said.startswith("the device 'cuda:7' cannot be used here")
    assert "Traceback" not in (failed.folder / LOG).read_text(encoding="utf-8")
    assert failed.monitor() == Missing(repr(failed))


@pytest.mark.parametrize(
    ("stage", "sentence"),
    [("heart", "has a mask"), ("slices", "has a mask"), ("decomposition", "has a mask")],
)
def test_a_study_without_masks_starts_nothing_and_gets_a_sentence(tmp_path, stage, sentence):
    table = pd.DataFrame({"scan": ["a"], "patient": ["a"], "path": ["scans/a.nii.gz"]})
    table.to_csv(tmp_path / "cohort.csv", index=False)

    training = start_training(stage, open_study(tmp_path))

    assert training.state == "not started"
    assert sentence in training.problem
    assert str(tmp_path) not in repr(training)
    assert isinstance(training.wait(1).monitor(), Missing)
    assert not training.folder.exists()


def test_slices_without_labels_and_recipes_of_known_calcium_say_what_is_missing(study):
    unlabelled = start_training("slices", study, "paper")
    rows = {"scan": "p0_0", "slice": range(3), "contains_cac": [0, 1, 0], "reader": "one"}
    labels = study.folder / "slice_labels.csv"
    pd.DataFrame(rows).to_csv(labels, index=False)

    unknown = start_training("slices", study, "demo")
    labels.unlink()

    assert "settled label" in unlabelled.problem
    assert "known calcium" in unknown.problem


def test_an_unknown_recipe_is_refused_where_it_was_written(study):
    with pytest.raises(UsageError, match="no recipe 'large'"):
        start_training("heart", study, "large")


def test_two_studies_of_one_name_do_not_share_a_folder(study, tmp_path):
    other = tmp_path / study.folder.name
    other.mkdir()

    assert lesson_folder(study).name.startswith(study.name)
    assert lesson_folder(study) != lesson_folder(Study(other))


def test_a_run_without_a_step_is_drawn_as_such(study):
    done = start_training("heart", study, "demo", 1)
    (done.folder / "steps.jsonl").write_text("", encoding="utf-8")

    png, alt = LessonMonitor(done).still()

    assert png.startswith(b"\x89PNG")
    assert "no step yet" in alt
    assert json.loads((done.folder / "recipe.json").read_text())["stage"] == "heart"
