"""The labelling lesson: the app on its own store, two simulated readers, what is hard to see."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cacnb.ct.volume import Volume
from cacnb.ct.writing import write_image
from cacnb.labels.events import LabelEvent
from cacnb.lessons.lesson_labeller import LessonLabeller, your_agreement
from cacnb.lessons.missing import Missing
from cacnb.lessons.slice_readings import (
    hard_slices_chart,
    label_balance,
    slice_readings,
    two_readers,
)
from cacnb.studies import open_study

#: Excess HU of a spot of calcium in each labelled slice: plain, at the limit, and out of sight.
CALCIUM_HU = {4: 400, 6: 75, 8: 40}


@pytest.fixture
def study(tmp_path, monkeypatch):
    """Four simulated scans of ten heart slices, with calcium in three slices of the first two."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "study"
    rng = np.random.default_rng(5)
    rows, labels = [], []
    for i in range(4):
        hu = rng.normal(40, 20, (12, 40, 40))
        calcium = np.zeros(hu.shape, np.float32)
        if i < 2:
            for z, excess in CALCIUM_HU.items():
                calcium[z, 19:22, 19:22] = excess
        grid = Volume(np.rint(hu + calcium).astype(np.int16), (3.0, 1.0, 1.0))
        heart = np.zeros(hu.shape, bool)
        heart[1:11, 8:32, 8:32] = True
        write_image(grid, folder / "scans" / f"s{i}.nii.gz")
        write_image(grid.with_array(heart), folder / "masks" / f"s{i}.nii.gz")
        write_image(grid.with_array(calcium.astype(np.int16)), folder / "calcium" / f"s{i}.nii.gz")
        rows.append((f"s{i}", f"p{i}", f"scans/s{i}.nii.gz", "train" if i % 2 else "test"))
        labels += [(f"s{i}", z, int(i < 2 and z in (4, 6)), "A") for z in range(12)]
    columns = ["scan", "patient", "path", "set"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "cohort.csv", index=False)
    names = ["scan", "slice", "contains_cac", "reader"]
    pd.DataFrame(labels, columns=names).to_csv(folder / "slice_labels.csv", index=False)
    (folder / "study.toml").write_text('name = "small"\nsimulated = true\n')
    return open_study(folder)


def given(labeller: LessonLabeller, scan: str, z: int, value: str, number: int) -> None:
    labeller.store.append([
        LabelEvent(
            session="one", sequence=number, action=number, kind="give", undoes=None,
            undoes_session=None, given_at="2026-01-31T08:15:00.000000+00:00", reader="you",
            app="label", app_version="0", study="small", scan=scan, scan_sha256="0" * 64,
            subject="slice", slice=z, item="", value=value, seconds=1.0, role="first", reading=1,
            queue="random, seed 0", position=0, assistant=False,
        )
    ])  # fmt: skip


def test_labels_of_a_lesson_never_reach_the_study(study) -> None:
    before = {file: file.read_bytes() for file in study.folder.rglob("*") if file.is_file()}
    with LessonLabeller(study).store as store:
        assert store.events().empty
    assert {file: file.read_bytes() for file in study.folder.rglob("*") if file.is_file()} == before
    assert len(list((Path("out") / "lessons").glob("small-*/labels.sqlite"))) == 1


def test_your_labels_are_held_against_the_studys(study) -> None:
    labeller = LessonLabeller(study)
    assert "no slice is labelled yet" in repr(your_agreement(labeller, study))
    said = {("s0", 4): "cac", ("s0", 5): "no_cac", ("s0", 6): "no_cac", ("s2", 3): "unsure"}
    for number, ((scan, z), value) in enumerate(said.items(), start=1):
        given(labeller, scan, z, value, number)
    found = your_agreement(labeller, study)
    assert found.loc["you and the study", ["slices", "slices that differ"]].tolist() == [3, 1]
    assert found.loc["you and the study", "κ"] == pytest.approx(0.4)
    labeller.store.close()
    (study.folder / "slice_labels.csv").unlink()
    again = LessonLabeller(study)
    assert "no settled slice label" in repr(your_agreement(again, study))
    again.store.close()


def test_the_app_has_a_picture_for_pages_without_a_kernel(study) -> None:
    labeller = LessonLabeller(study)
    shown, said = labeller._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in shown
    assert said["image/png"]["alt"].endswith("each of 10 heart slices: CAC, no CAC or unsure.")
    assert "simulated scan" in said["image/png"]["alt"]
    labeller.store.close()


def test_every_scan_opens_in_the_soft_tissue_window(study, monkeypatch) -> None:
    labeller = LessonLabeller(study)
    sent = []
    monkeypatch.setattr("ipywidgets.Widget.send", lambda _, content, buffers: sent.append(content))
    labeller.hear({"type": "open", "position": 0}, [])
    opened = [content for content in sent if content["type"] == "scan"]
    assert [content["picture"]["window"] for content in opened] == [[-160.0, 240.0]]
    labeller.store.close()


def test_the_balance_counts_scans_and_slices_of_each_set(study) -> None:
    found = label_balance(study)
    assert found.loc["test", ["scans", "scans with CAC"]].tolist() == [2, 1]
    assert found.loc["train", ["slices", "slices with CAC"]].tolist() == [24, 2]
    assert found.index.name == "set (simulated)"


def test_two_readers_agree_on_what_is_plain(study) -> None:
    readings = slice_readings(study)
    slices = readings.slices
    assert len(slices) == 40  # ten heart slices of each scan
    plain = slices[slices["slice"] == 4].iloc[:2]
    assert (plain[["first", "second"]] == "cac").all(axis=None)
    assert (plain["contrast_to_noise"] > 10).all()
    assert (plain["peak_hu"] > 350).all()
    empty = slices[slices["contrast_to_noise"] == 0]
    assert len(empty) == 34
    assert (empty["second"] == "no_cac").all()
    assert slice_readings(study).slices.equals(slices)
    table = two_readers(readings)
    differing = int((slices["first"] != slices["second"]).sum())
    assert table.loc["two simulated readers", "slices that differ"] == differing
    assert table.loc["two simulated readers", "slices"] == 40


def test_the_chart_of_hard_slices_counts_what_lies_below_the_threshold(study) -> None:
    readings = slice_readings(study)
    figure = hard_slices_chart(readings)
    numbers = figure.numbers
    assert len(numbers) == 6
    both = numbers[numbers["readers"] == "both say CAC"]
    below = int((both["peak_hu"] < 130).sum())
    assert figure.alt.startswith("6 simulated slices with calcium")
    assert figure.alt.endswith(f"both call CAC {below} have no voxel of 130 HU.")


def test_where_calcium_is_not_known_a_sentence_says_so(reading_study) -> None:
    study = open_study(reading_study)
    readings = slice_readings(study)
    assert isinstance(readings, Missing)
    assert two_readers(readings) is hard_slices_chart(readings) is readings
    assert "cacnb serve label" in repr(label_balance(study))
