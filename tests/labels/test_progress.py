import pytest

from cacnb.labels.progress import reader_progress
from cacnb.labels.store import LabelStore


def test_a_readers_labels_and_hours_are_counted_by_subject(tmp_path, event) -> None:
    with LabelStore.open(tmp_path / "labels.sqlite") as store:
        store.append(
            [
                event(1, seconds=1800), event(2, slice=1, seconds=900, scan="scan02"),
                event(3, slice=1, scan="scan02", value=None, kind="undo", undoes=2,
                      undoes_session="5e551011", seconds=900),
                event(4, subject="flag", value="flagged"), event(5, reader="B"),
            ]
        )  # fmt: skip
        found = reader_progress(store.events(), store.current())
        assert reader_progress(store.events(reader="C"), store.current(reader="C")) == []
    assert [(row.reader, row.subject) for row in found] == [
        ("A", "flag"), ("A", "slice"), ("B", "slice"),
    ]  # fmt: skip
    mine = found[1]
    assert (mine.scans, mine.events, mine.labels) == (2, 3, 1)
    assert mine.hours == pytest.approx(1.0)
    assert mine.last_at == "2026-01-31T08:15:03.000000+00:00"
