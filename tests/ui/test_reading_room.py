import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from cacnb.errors import InputError, UsageError
from cacnb.labels.queue import QueuePlan
from cacnb.ui.labeller import Labeller
from cacnb.ui.reading_room import ReadingPlan
from cacnb.ui.recorder import record


@pytest.fixture
def labeller(reading_study, store, kernel):
    return kernel(Labeller(reading_study, "Reader 1", store=store))


def test_the_apps_need_no_torch() -> None:
    code = (
        "import sys, cacnb.ui.apps, cacnb.ui.labeller, cacnb.ui.region_painter, "
        "cacnb.ui.lesion_picker, cacnb.ui.map_review; sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_scan_opens_on_its_heart_from_the_head_down(labeller) -> None:
    scan = labeller.open()
    assert scan["slices"] == list(range(49, -1, -1))
    assert scan["slice"] == 49
    (stack,) = scan["picture"]["stacks"]
    assert stack["first"] == [0, 0, 0]
    assert stack["shape"] == [50, 48, 48]


def test_a_blind_reader_is_told_neither_scan_nor_patient(labeller) -> None:
    scan = labeller.open()
    told = repr({name: value for name, value in scan.items() if name != "picture"})
    assert scan["name"] == "Scan"
    assert all(f"'{kind}{i}'" not in told for kind in "sp" for i in range(10))


def test_what_the_store_has_is_acknowledged_and_read_back(labeller, page, store) -> None:
    reader = page(labeller.open())
    labeller.hear(type="events", events=[reader.event(), reader.event(slice=6, value="no_cac")])
    assert labeller.of("ack") == [{"type": "ack", "ids": [("page", 1), ("page", 2)]}]
    assert store.current(subject="slice")["value"].tolist() == ["cac", "no_cac"]
    again = labeller.open()
    assert {row["slice"]: row["value"] for row in again["reading"]["state"]} == {
        5: "cac",
        6: "no_cac",
    }


def test_an_event_that_comes_twice_is_kept_once_and_acknowledged_twice(
    labeller, page, store
) -> None:
    event = page(labeller.open()).event()
    labeller.hear(type="events", events=[event])
    labeller.hear(type="events", events=[event])
    assert len(labeller.of("ack")) == 2
    assert len(store.events()) == 1


def test_a_page_can_claim_no_other_reader_and_no_other_study(labeller, page, store) -> None:
    event = page(labeller.open()).event() | {"reader": "Somebody else", "study": "other"}
    labeller.hear(type="events", events=[event])
    row = store.events().iloc[0]
    assert (row["reader"], row["study"]) == ("Reader 1", "room")


def test_an_event_that_means_nothing_is_refused_alone(labeller, page, store) -> None:
    reader = page(labeller.open())
    labeller.hear(type="events", events=[reader.event(value="maybe"), reader.event()])
    (refused,) = labeller.of("refused")
    assert refused["ids"] == [("page", 1)]
    assert len(store.events()) == 1


def test_a_store_that_cannot_write_acknowledges_nothing(labeller, page, store, monkeypatch) -> None:
    event = page(labeller.open()).event()

    def full(_store, _events):
        raise InputError("cannot_write", "the disk is full")

    monkeypatch.setattr(type(store), "append", full)
    labeller.hear(type="events", events=[event])
    assert labeller.of("ack") == []
    assert labeller.of("trouble") == [{"type": "trouble", "message": "the disk is full"}]


def test_the_time_of_a_label_is_the_servers_whatever_the_browsers_clock_says(
    labeller, page, store
) -> None:
    now = datetime(2026, 1, 31, 12, tzinfo=UTC)
    event = page(labeller.open()).event(age_ms=90_000, given_ms=0)
    record(labeller.widget.session, [event], now)
    given = datetime.fromisoformat(store.events()["given_at"].iloc[0])
    assert given == now - timedelta(seconds=90)


def test_a_reader_goes_on_at_the_first_scan_that_is_not_done(labeller, page) -> None:
    scan = labeller.open()
    reader = page(scan)
    labeller.hear(
        type="events", events=[reader.event(subject="done", slice=None, item="label", value="x")]
    )
    assert labeller.open()["position"] == scan["position"] + 1


def test_the_next_scan_is_sent_before_it_is_asked_for_and_not_again(labeller) -> None:
    labeller.open()
    labeller.hear(type="ahead", position=1)
    (ahead,) = labeller.of("ahead")
    labeller.hear(type="open", position=1, have=[ahead["key"]])
    assert labeller.of("scan")[-1]["picture"] is None
    assert labeller.of("scan")[-1]["key"] == ahead["key"]


def test_a_hidden_repeat_comes_without_the_labels_of_the_first_reading(
    reading_study, store, kernel, page
) -> None:
    plan = ReadingPlan(QueuePlan(seed=1, repeats=0.1))
    labeller = kernel(Labeller(reading_study, "Reader 1", plan, store=store))
    queue = labeller.widget.session.queue
    again = next(i for i, task in enumerate(queue) if task.reading == 2)
    first = next(i for i, task in enumerate(queue) if task.scan == queue[again].scan)
    reader = page(labeller.open(position=first))
    labeller.hear(type="events", events=[reader.event()])
    repeat = labeller.open(position=again)
    assert repeat["reading"]["state"] == []
    assert repeat["context"]["scan"] == reader.context["scan"]


def test_an_adjudicator_sees_only_what_two_readers_differ_on_and_no_name(
    reading_study, store, kernel, page
) -> None:
    for name, values in (("Anna", ("cac", "cac")), ("Bert", ("cac", "no_cac"))):
        labeller = kernel(Labeller(reading_study, name, store=store))
        task = next(i for i, t in enumerate(labeller.widget.session.queue) if t.scan == "s3")
        reader = page(labeller.open(position=task))
        reader.context = reader.context | {"session": name}
        labeller.hear(
            type="events",
            events=[reader.event(slice=z, value=v) for z, v in zip((7, 8), values, strict=True)],
        )
    plan = ReadingPlan(role="adjudication")
    judge = kernel(Labeller(reading_study, "Clara", plan, store=store))
    scan = judge.open()
    assert [task.scan for task in judge.widget.session.queue] == ["s3"]
    assert scan["slices"] == [8]
    assert scan["told"]["between"] == {"8": ["cac", "no_cac"]}
    assert "Anna" not in repr(scan["told"])
    assert "1 of 2 slices differ" in scan["told"]["agreement"][0]
    labeller = page(scan)
    judge.hear(type="events", events=[labeller.event(slice=8, value="cac", session="c")])
    assert store.current(role="adjudication")["value"].tolist() == ["cac"]


def test_an_adjudicator_without_differences_is_told_so(reading_study, store) -> None:
    with pytest.raises(UsageError, match="differ"):
        Labeller(reading_study, "Clara", ReadingPlan(role="adjudication"), store=store)


def test_a_page_of_an_unknown_reader_is_asked_who_it_is(reading_study, store, kernel) -> None:
    labeller = kernel(Labeller(reading_study, store=store))
    labeller.hear(type="ready")
    assert labeller.of("who")
    labeller.hear(type="events", events=[{"session": "x", "sequence": 1}])
    assert labeller.of("ack") == []
    labeller.hear(type="reader", name="  Anna ")
    assert labeller.of("welcome")
    assert labeller.widget.session.reader == "Anna"


def test_a_name_that_the_server_vouches_for_is_not_the_pages_to_change(
    reading_study, store, kernel
) -> None:
    labeller = kernel(Labeller(reading_study, lambda: "Anna", store=store))
    labeller.hear(type="reader", name="Bert")
    labeller.hear(type="ready")
    assert labeller.widget.session.reader == "Anna"


def test_a_scan_that_cannot_be_read_is_said_in_one_sentence(
    reading_study, store, kernel, tmp_path
) -> None:
    (tmp_path / "broken").mkdir()
    cohort = (reading_study / "cohort.csv").read_text(encoding="utf-8")
    (tmp_path / "broken" / "cohort.csv").write_text(cohort, encoding="utf-8")
    labeller = kernel(Labeller(tmp_path / "broken", "Reader 1", store=store))
    labeller.hear(type="ready")
    labeller.hear(type="open", have=[])
    (trouble,) = labeller.of("trouble")
    assert "\n" not in trouble["message"]
