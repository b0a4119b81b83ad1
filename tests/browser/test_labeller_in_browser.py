"""What the page does by itself: labels, undo, the outbox; the kernel is played by the test."""

import numpy as np
import pytest

from cacnb.ct.volume import Volume
from cacnb.ui.picture import Pane, Picture, Stack

pytestmark = pytest.mark.browser

#: Slices of the heart on a scan of twelve, from the head down.
SLICES = list(range(9, 1, -1))


def open_scan(labeller, *, state=(), done=(), undone=(), position=0) -> None:
    volume = Volume(np.zeros((12, 16, 16), np.int16), (3.0, 1.0, 1.0))
    message, buffers = Picture((Stack({"scan": volume}),), (Pane(),)).message()
    context = {
        "scan": "0123456789abcdef", "scan_sha256": "00", "reading": 1, "role": "first",
        "queue": "random", "position": position, "assistant": False, "app": "label",
        "app_version": "0",
    }  # fmt: skip
    labeller.speak(
        {"type": "scan", "key": "k", "position": position, "of": 3, "name": "Scan",
         "whole": False, "slices": SLICES, "slice": SLICES[0], "seconds": 0, "told": {},
         "reading": {"state": list(state), "done": list(done), "undone": list(undone)},
         "context": context, "picture": message},
        buffers,
    )  # fmt: skip


def begin(widget_page):
    labeller = widget_page("labeller")
    labeller.speak({"type": "welcome", "scope": "reader"})
    open_scan(labeller)
    return labeller


def events(labeller) -> list[dict]:
    """All events that reached the kernel, each once, in order."""
    seen, out = set(), []
    for message in labeller.heard("events"):
        for event in message["events"]:
            if (event["session"], event["sequence"]) not in seen:
                seen.add((event["session"], event["sequence"]))
                out.append(event)
    return out


def labels(labeller) -> dict[int, str]:
    """The labels that hold once the events are replayed."""
    held: dict[int, str] = {}
    for event in events(labeller):
        if event["subject"] == "slice":
            held[event["slice"]] = event["value"]
    return {z: value for z, value in held.items() if value}


def acknowledge(labeller, found) -> None:
    ids = [[event["session"], event["sequence"]] for event in found]
    labeller.speak({"type": "ack", "ids": ids})


def waiting(labeller) -> int:
    return labeller.get(
        "Object.keys(localStorage).filter(k => k.startsWith('cacnb-outbox')).length"
    )


def test_one_key_labels_a_slice_and_goes_on_to_the_next(widget_page) -> None:
    labeller = begin(widget_page)
    labeller.press("1", "2", "u")
    assert labels(labeller) == {9: "cac", 8: "no_cac", 7: "unsure"}
    assert labeller.get("widget.currentSlice") == 6


def test_fill_labels_what_is_left_below_and_is_one_undo(widget_page) -> None:
    labeller = begin(widget_page)
    labeller.press("1", "ArrowDown", "f")
    assert labels(labeller) == {9: "cac", **dict.fromkeys(range(7, 1, -1), "no_cac")}
    labeller.press("z")
    assert labels(labeller) == {9: "cac"}
    labeller.press("y")
    assert len(labels(labeller)) == 7


def test_copy_gives_the_last_label_to_all_slices_down_to_here(widget_page) -> None:
    labeller = begin(widget_page)
    labeller.press("1", "ArrowDown", "ArrowDown", "r")
    assert labels(labeller) == dict.fromkeys([9, 8, 7, 6], "cac")


def test_undo_goes_back_to_the_slice_whose_label_it_takes_away(widget_page) -> None:
    labeller = begin(widget_page)
    labeller.press("1", "2", "z")
    assert labeller.get("widget.currentSlice") == 8
    labeller.press("1")
    assert labels(labeller) == {9: "cac", 8: "cac"}


def test_undo_and_redo_have_no_end(widget_page) -> None:
    labeller = begin(widget_page)
    keys = ["1", "2", "3"] * 2
    labeller.press(*keys)
    full = labels(labeller)
    labeller.press(*["z"] * 6)
    assert labels(labeller) == {}
    labeller.press("z")
    assert labels(labeller) == {}
    labeller.press(*["y"] * 6)
    assert labels(labeller) == full


def test_an_undo_reaches_back_into_what_an_earlier_page_did(widget_page) -> None:
    labeller = widget_page("labeller")
    labeller.speak({"type": "welcome", "scope": "reader"})
    change = {"subject": "slice", "slice": 9, "item": "", "before": None, "after": "cac"}
    open_scan(
        labeller,
        state=[{"subject": "slice", "slice": 9, "item": "", "value": "cac"}],
        done=[{"session": "earlier", "action": 4, "changes": [change]}],
    )
    labeller.press("z")
    (event,) = events(labeller)
    assert (event["kind"], event["value"]) == ("undo", None)
    assert (event["undoes"], event["undoes_session"]) == (4, "earlier")


def test_the_last_slice_marks_the_scan_as_done_and_taking_a_label_away_unmarks_it(
    widget_page,
) -> None:
    labeller = begin(widget_page)
    labeller.press("f")
    done = [event for event in events(labeller) if event["subject"] == "done"]
    assert [event["value"] for event in done] == ["all labelled"]
    labeller.press("Backspace")
    assert events(labeller)[-1] | {"value": None, "subject": "done"} == events(labeller)[-1]


def test_a_label_is_called_saved_only_when_the_store_says_so(widget_page) -> None:
    labeller = begin(widget_page)
    labeller.press("1")
    saved = labeller.page.locator(".cacnb-saved")
    assert "not yet saved" in saved.inner_text()
    assert waiting(labeller) == 1
    acknowledge(labeller, events(labeller))
    assert saved.inner_text() == "✓ saved"
    assert waiting(labeller) == 0


def test_labels_given_while_the_kernel_is_gone_are_delivered_by_the_next_page(widget_page) -> None:
    labeller = begin(widget_page)
    labeller.page.evaluate("window.kernel = false")
    labeller.press("1", "2", "3")
    assert labeller.heard("events") == []
    assert waiting(labeller) == 3
    alert = labeller.page.locator(".cacnb-alert")
    alert.wait_for(state="visible")
    assert "3 labels are kept in this browser" in alert.inner_text()
    labeller.open()
    labeller.speak({"type": "welcome", "scope": "reader"})
    assert labels(labeller) == {9: "cac", 8: "no_cac", 7: "unsure"}
    acknowledge(labeller, events(labeller))
    assert waiting(labeller) == 0


def test_what_another_reader_left_in_the_browser_is_not_delivered_as_mine(widget_page) -> None:
    labeller = begin(widget_page)
    labeller.press("1")
    labeller.open()
    labeller.speak({"type": "welcome", "scope": "another reader"})
    open_scan(labeller)
    assert events(labeller) == []
    assert waiting(labeller) == 1


def test_an_event_without_an_answer_is_sent_again(widget_page) -> None:
    labeller = begin(widget_page)
    labeller.press("1")
    labeller.page.wait_for_function(
        "heard.filter(m => m.type === 'events').length >= 2", timeout=15_000
    )
    assert len(events(labeller)) == 1


def test_what_the_store_refuses_is_said_and_set_aside_not_thrown_away(widget_page) -> None:
    labeller = begin(widget_page)
    labeller.press("1")
    (event,) = events(labeller)
    ids = [[event["session"], event["sequence"]]]
    labeller.speak({"type": "refused", "ids": ids, "message": "no such slice"})
    assert "no such slice" in labeller.page.locator(".cacnb-alert").inner_text()
    assert waiting(labeller) == 0
    kept = labeller.get("Object.keys(localStorage).filter(k => k.startsWith('cacnb-refused'))")
    assert len(kept) == 1


def test_a_browser_that_keeps_nothing_says_so_before_a_label_is_lost(widget_page) -> None:
    labeller = begin(widget_page)
    labeller.page.evaluate(
        """() => { Storage.prototype.setItem = () => {
          throw new DOMException("full", "QuotaExceededError"); }; }"""
    )
    labeller.press("1")
    assert "keeps nothing" in labeller.page.locator(".cacnb-alert").inner_text()
    assert len(events(labeller)) == 1


def test_a_page_without_a_known_reader_asks_for_the_name_first(widget_page) -> None:
    labeller = widget_page("labeller")
    labeller.speak({"type": "who"})
    labeller.page.get_by_label("Your name").fill("Reader 1")
    labeller.press("Enter")
    assert labeller.heard("reader") == [{"type": "reader", "name": "Reader 1"}]


def test_a_comment_and_a_flag_are_events_of_their_own(widget_page) -> None:
    labeller = begin(widget_page)
    labeller.press("x", "m")
    labeller.page.keyboard.type("motion at 1 and 2")
    labeller.press("Enter")
    assert [(e["subject"], e["slice"], e["value"]) for e in events(labeller)] == [
        ("flag", 9, "flagged"),
        ("comment", None, "motion at 1 and 2"),
    ]
