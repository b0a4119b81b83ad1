import pandas as pd
import pytest

from cacnb.labels.agreed import labels_sha256, slice_labels
from cacnb.labels.place import labels_place, open_labels, study_key
from cacnb.labels.store import LabelStore


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.delenv("CACNB_LABELS", raising=False)
    folder = tmp_path / "demo"
    folder.mkdir()
    return folder


@pytest.fixture
def settled(study, event):
    """Appends what readers say of slices; gives (slice, contains_cac, reader) of those settled."""
    count = 0

    def say(*said: dict) -> list[tuple]:
        nonlocal count
        with open_labels(study) as store:
            events = [event(count + n, **one) for n, one in enumerate(said, start=1)]
            store.append(events)
        count += len(said)
        found = slice_labels(study)
        return list(found[["slice", "contains_cac", "reader"]].itertuples(index=False, name=None))

    return say


A, B = {"reader": "A"}, {"reader": "B", "role": "second"}
JUDGE = {"reader": "J", "role": "adjudication"}


def test_one_readers_decision_is_settled(settled) -> None:
    found = settled({**A, "slice": 3, "value": "cac"}, {**A, "slice": 1, "value": "no_cac"})
    assert found == [(1, 0, "A"), (3, 1, "A")]


def test_unanimous_readers_settle_a_slice_together(settled) -> None:
    assert settled({**A, "value": "cac"}, {**B, "value": "cac"}) == [(0, 1, "A + B")]


@pytest.mark.parametrize("other", ["no_cac", "unsure"])
def test_a_slice_on_which_readers_differ_is_left_out(settled, other) -> None:
    assert settled({**A, "value": "cac"}, {**B, "value": other}) == []


def test_a_slice_that_is_only_unsure_is_left_out(settled) -> None:
    assert settled({**A, "value": "unsure"}) == []


def test_the_adjudicator_goes_before_the_readers(settled) -> None:
    said = ({**A, "value": "cac"}, {**B, "value": "no_cac"})
    assert settled(*said, {**JUDGE, "value": "no_cac"}) == [(0, 0, "J")]
    assert settled({**JUDGE, "value": "unsure"}) == []
    assert settled({**JUDGE, "value": None}) == []
    assert settled({**B, "value": "cac"}) == [(0, 1, "A + B")]


def test_a_label_taken_back_or_changed_is_not_counted(settled) -> None:
    assert settled({**A, "value": "cac"}, {**A, "value": "no_cac"}) == [(0, 0, "A")]
    assert settled({**A, "value": None}) == []


def test_hidden_repeats_and_other_studies_and_subjects_are_not_counted(settled) -> None:
    assert settled(
        {"reading": 2}, {"study": "other"}, {"subject": "flag", "value": "flagged"}
    ) == []  # fmt: skip


def test_the_store_goes_before_the_file_slice_by_slice(study, settled) -> None:
    file = pd.DataFrame(
        {
            "scan": ["scan01"] * 4 + ["002"],
            "slice": [0, 1, 2, 3, 0],
            "contains_cac": [0, 0, 0, 1, 1],
        }
    )
    file.to_csv(study / "slice_labels.csv", index=False)
    assert slice_labels(study)["contains_cac"].tolist() == [0, 0, 0, 1, 1]
    assert not (study / "labels.sqlite").exists()
    settled(
        {**A, "slice": 1, "value": "cac"},
        {**A, "slice": 2, "value": "cac"}, {**B, "slice": 2, "value": "no_cac"},
    )  # fmt: skip
    found = slice_labels(study)
    assert found["scan"].tolist() == ["002", "scan01", "scan01", "scan01"]
    assert found["slice"].tolist() == [0, 0, 1, 3]
    assert found["contains_cac"].tolist() == [1, 0, 1, 1]


def test_without_store_and_file_nothing_is_settled_and_no_store_is_made(study) -> None:
    assert slice_labels(study).empty
    assert list(study.iterdir()) == []


def test_postgresql_settles_labels_as_sqlite_does(
    study, settled, postgres_url, monkeypatch
) -> None:
    monkeypatch.setenv("CACNB_LABELS", postgres_url)
    assert settled({**A, "value": "cac"}, {**B, "value": "cac"}) == [(0, 1, "A + B")]
    assert list(study.iterdir()) == []


def test_the_number_of_labels_changes_with_a_label_and_not_with_their_order(study, settled) -> None:
    settled({**A, "slice": 1, "value": "cac"}, {**A, "slice": 2, "value": "cac"})
    one = slice_labels(study)
    assert labels_sha256(one) == labels_sha256(one[::-1])
    settled({**A, "slice": 2, "value": "no_cac"})
    assert labels_sha256(one) != labels_sha256(slice_labels(study))


def test_the_store_is_named_by_the_environment_then_study_toml_then_the_folder(
    study, monkeypatch
) -> None:
    assert labels_place(study) == str(study / "labels.sqlite")
    assert study_key(study) == "demo"
    (study / "study.toml").write_text('name = "rescan"\nlabels = "kept/l.sqlite"\n')
    assert labels_place(study) == str(study / "kept" / "l.sqlite")
    assert study_key(study) == "rescan"
    (study / "study.toml").write_text('labels = "postgresql://db.example/labels"\n')
    assert labels_place(study) == "postgresql://db.example/labels"
    monkeypatch.setenv("CACNB_LABELS", "/elsewhere/l.sqlite")
    assert labels_place(study) == "/elsewhere/l.sqlite"


def test_labels_of_a_store_opened_elsewhere_are_seen_at_once(study, settled, event) -> None:
    settled({**A, "value": "cac"})
    with LabelStore.open(study / "labels.sqlite") as store:
        store.append([event(9, value="no_cac")])
        assert slice_labels(study)["contains_cac"].tolist() == [0]
