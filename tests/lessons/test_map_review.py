from pathlib import Path

import pandas as pd
import pytest

from cacnb.labels.events import LabelEvent
from cacnb.labels.place import LABELS_VARIABLE
from cacnb.lessons.map_review import review_lesson


def content(folder):
    return {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.fixture
def review(study, here):
    return review_lesson(study, "one")


def test_a_review_is_of_a_copy_and_writes_nothing_to_the_study(study, here, monkeypatch):
    monkeypatch.setenv(LABELS_VARIABLE, str(study.folder / "theirs.sqlite"))
    before = content(study.folder)
    review = review_lesson(study, "one")
    (store,) = here.glob("out/lessons/*/review_one/labels.sqlite")
    assert Path(review.store.url.database) == store
    assert content(study.folder) == before


def test_the_copy_holds_the_scan_and_its_rescan_and_nothing_else(review, here):
    (copy,) = here.glob("out/lessons/*/review_one")
    assert pd.read_csv(copy / "cohort.csv")["scan"].tolist() == ["one", "two"]
    assert review.scored == ["one", "two"]
    assert [task.scan for task in review.session.queue] == ["one", "two"]


def test_what_was_reviewed_is_still_there_when_the_cell_runs_again(study, review):
    key = review.told(review.session, review.session.queue[0])["lesions"][0]["key"]
    event = LabelEvent(
        session="page", sequence=1, action=1, kind="give", undoes=None, undoes_session=None,
        given_at="2026-11-28T12:00:00.000000+00:00", reader="lesson", app="review",
        app_version="0.1.0", study=review.study.key, scan="one", scan_sha256="0" * 64,
        subject="verdict", slice=None, item=key, value="reject", seconds=1.0, role="first",
        reading=1, queue="in order", position=0, assistant=False,
    )  # fmt: skip
    review.store.append([event])
    again = review_lesson(study, "one")
    told = again.told(again.session, again.session.queue[0])
    assert told["reviewed"]["pseudo_mass_hu_mm3"] < told["found"]["pseudo_mass_hu_mm3"]


def test_a_page_without_a_kernel_shows_the_images_and_says_what_they_are(review):
    bundle, metadata = review._repr_mimebundle_()
    assert metadata["image/png"]["alt"].startswith("The app that reviews maps.")
    assert bundle["image/png"]
