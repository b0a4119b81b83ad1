"""Slices that readers labelled in the store, on their way into training and evaluation."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from cacnb.ct.volume import Volume
from cacnb.ct.writing import write_image
from cacnb.errors import InputError
from cacnb.evaluation.references import compare_with_references
from cacnb.labels.events import LabelEvent
from cacnb.labels.place import open_labels
from cacnb.learning.loop import Run
from cacnb.learning.recipes import RECIPES
from cacnb.prepared_slices import slice_store
from cacnb.training import train_stage

SLICES = 12


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A study of one scan at 1.5 mm, so that a slice of the networks' grid is one of its own."""
    monkeypatch.delenv("CACNB_LABELS", raising=False)
    hu = np.full((SLICES, 40, 40), 40, np.int16)
    heart = np.zeros(hu.shape, bool)
    heart[2:10, 10:30, 10:30] = True
    for folder, array in (("scans", hu), ("masks", heart)):
        write_image(Volume(array, (1.5, 1.0, 1.0)), tmp_path / folder / "s.nii.gz")
    pd.DataFrame({"scan": ["s"], "patient": ["p"], "path": ["scans/s.nii.gz"]}).to_csv(
        tmp_path / "cohort.csv", index=False
    )
    return tmp_path


@pytest.fixture
def label(study):
    """Gives slices a label in the study's store."""
    given = 0

    def give(slices, value, reader="A"):
        nonlocal given
        with open_labels(study) as store:
            for z in slices:
                given += 1
                event = LabelEvent(
                    session="a", sequence=given, action=given, kind="give", undoes=None,
                    undoes_session=None, given_at=f"2026-01-31T08:15:00.{given:06d}+00:00",
                    reader=reader, app="label", app_version="0.1.0", study=study.name, scan="s",
                    scan_sha256="0" * 64, subject="slice", slice=z, item="", value=value,
                    seconds=1.0, role="first", reading=1, queue="", position=0, assistant=False,
                )  # fmt: skip
                store.append([event])

    return give


def drawn(study) -> tuple[list[int], list[bool]]:
    """The heart slices that may be drawn, and their labels."""
    store, sides = slice_store([study], 32)
    indices = store.subset(sides.train)
    assert len(store.slices) == 8
    return indices.tolist(), store.labels[indices].tolist()


def test_training_learns_from_settled_slices_only(study, label) -> None:
    label([2, 3, 4], "no_cac")
    label([5, 6], "cac")
    label([7], "unsure")
    label([4], "cac", reader="B")
    assert drawn(study) == ([0, 1, 3, 4], [False, False, True, True])


def test_slices_are_prepared_again_when_a_label_changed_and_only_then(study, label) -> None:
    label([2, 3], "no_cac")
    assert drawn(study) == ([0, 1], [False, False])
    table = study / "prepared" / "slices_32" / "slices.csv"
    stamp = table.stat().st_mtime_ns
    label([2], "no_cac")
    drawn(study)
    assert table.stat().st_mtime_ns == stamp
    label([3], "cac")
    assert drawn(study) == ([0, 1], [False, True])


def test_labels_of_a_file_are_learned_from_as_they_were(study) -> None:
    seen = [0, 0, 0, 1, 1, 0, 0, 0, 0, 1, 0, 0]
    pd.DataFrame({"scan": "s", "slice": range(SLICES), "contains_cac": seen}).to_csv(
        study / "slice_labels.csv", index=False
    )
    assert drawn(study) == (list(range(8)), [bool(value) for value in seen[2:10]])


def test_a_study_without_labels_says_how_to_label_it(study) -> None:
    with pytest.raises(InputError, match="cacnb serve label"):
        slice_store([study], 32)


def test_a_comparison_older_than_a_label_is_made_again(study, label) -> None:
    scores = study / "scores"
    scores.mkdir()
    told = {"proposed": {}, "probability_of_cac": [None, None, *[0.7] * 8, None, None]}
    (scores / "s.json").write_text(json.dumps(told))
    grid = Volume(np.zeros((SLICES, 40, 40), np.int16), (1.5, 1.0, 1.0))
    write_image(grid, scores / "s.cac_map.nii.gz")
    cohort = pd.read_csv(study / "cohort.csv", dtype=str)
    label([2, 3], "no_cac")
    label([11], "cac")

    def slices():
        found = compare_with_references(study, cohort)["s"]["slices"]
        return [tuple(pair) for pair in found]

    assert slices() == [(0.7, 0), (0.7, 0)]
    stamp = (scores / "s.compared.json").stat().st_mtime_ns
    assert slices() == [(0.7, 0), (0.7, 0)]
    assert (scores / "s.compared.json").stat().st_mtime_ns == stamp
    label([3], "cac")
    assert slices() == [(0.7, 0), (0.7, 1)]


@pytest.mark.parametrize("name", ["test", "val", "RTP_val"])
def test_a_scan_that_was_set_apart_is_never_drawn(study, label, name: str) -> None:
    label([2, 3], "no_cac")
    label([5, 6], "cac")
    table = pd.read_csv(study / "cohort.csv").assign(set=name)
    table.to_csv(study / "cohort.csv", index=False)
    assert drawn(study) == ([], [])
    for stage in ("slices", "decomposition"):
        recipe = replace(RECIPES[stage]["demo"], store_px=32)
        with pytest.raises(InputError, match="split the study again"):
            list(train_stage(stage, recipe, [study], Run(study / stage)))
