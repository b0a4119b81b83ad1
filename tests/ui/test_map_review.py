import json

import numpy as np
import pandas as pd
import pytest

from cacnb.errors import InputError
from cacnb.labels.queue import Task
from cacnb.labels.runs import encode_runs
from cacnb.ui.map_review import MapReview
from cacnb.ui.rescan import repeat_without, rescan_of

#: The lesions of every map here: first corner (z, y, x) on the map's grid, map value, artery.
LESIONS = (((6, 10, 10), 80, "LAD"), ((14, 20, 24), 40, "RCA"))
SIDE = 3


@pytest.fixture
def review(scored_study, tmp_path, monkeypatch):
    """A reader before the scan `one`; what the kernel says is in `said`."""
    monkeypatch.setenv("CACNB_LABELS", str(tmp_path / "labels.sqlite"))
    app = MapReview(scored_study, "reader 1")
    app.said = []
    monkeypatch.setattr(app, "send", lambda content, buffers=None: app.said.append(content))
    app.hear({"type": "open", "position": app.session.queue.index(Task("one"))}, [])
    return app


def shown(app) -> dict:
    """The last scan that was sent, with what was told since."""
    scan = next(content for content in reversed(app.said) if content["type"] == "scan")
    later = app.said[app.said.index(scan) :]
    told = dict(scan["told"])
    for content in later:
        if content["type"] == "told":
            told.update(content["told"])
    return {**scan, "told": told}


def give(app, *parts, kind="give", **more) -> None:
    """Events of one action as the page's outbox sends them."""
    context = shown(app)["context"]
    app.sequence = getattr(app, "sequence", 0)
    action = app.sequence + 1
    events = []
    for part in parts:
        app.sequence += 1
        events.append(
            {
                "kind": kind, "undoes": None, "undoes_session": None, "slice": None, "item": "",
                **context, **part, **more, "session": "s" * 32, "sequence": app.sequence,
                "action": action, "seconds": 1.0, "age_ms": 0,
            }
        )  # fmt: skip
    app.hear({"type": "events", "events": events}, [])
    assert not [content for content in app.said if content["type"] in ("refused", "trouble")]


def test_the_queue_holds_the_scored_scans_and_the_page_says_which_are_not(review) -> None:
    assert {task.scan for task in review.session.queue} == {"one", "two"}
    assert "1 of 3 scans are not scored" in shown(review)["told"]["notes"][0]


def test_a_study_without_scores_is_refused(scored_study, tmp_path) -> None:
    pd.read_csv(scored_study / "cohort.csv").to_csv(tmp_path / "cohort.csv", index=False)
    with pytest.raises(InputError) as refused:
        MapReview(tmp_path, "reader 1")
    assert refused.value.code == "not_scored"


def test_scores_found_are_those_of_the_results(review, scored_study) -> None:
    result = json.loads((scored_study / "scores" / "one.json").read_text())
    told = shown(review)["told"]
    assert told["found"]["agatston"] == result["proposed"]["agatston_adjusted"]
    assert told["found"]["pseudo_mass_hu_mm3"] == result["proposed"]["pseudo_mass_hu_mm3"]
    assert told["reviewed"] == told["found"]
    assert told["clinical"]["agatston"] == result["clinical"]["agatston"]
    assert told["clinical"]["rule"] == "convention literature, voxels ≥ 130 HU"
    assert [lesion["artery_found"] for lesion in told["lesions"]] == ["LAD", "RCA"]


def test_a_rejected_lesion_is_not_scored_and_undo_brings_it_back(review) -> None:
    before = shown(review)["told"]
    key = before["lesions"][0]["key"]
    give(review, {"subject": "verdict", "item": key, "value": "reject"})
    after = shown(review)["told"]
    assert after["reviewed"]["pseudo_mass_hu_mm3"] == pytest.approx(40 * 27 * 1.5)
    assert after["found"] == before["found"]
    undone = {"undoes": 1, "undoes_session": "s" * 32}
    give(review, {"subject": "verdict", "item": key, "value": None, **undone}, kind="undo")
    assert shown(review)["told"]["reviewed"] == before["found"]


def test_an_accepted_lesion_changes_no_score(review) -> None:
    key = shown(review)["told"]["lesions"][1]["key"]
    give(review, {"subject": "verdict", "item": key, "value": "accept"})
    told = shown(review)["told"]
    assert told["reviewed"] == told["found"]


def test_what_is_drawn_out_leaves_its_lesion_and_its_score(review) -> None:
    told = shown(review)["told"]
    (z, y, x), hu, _ = LESIONS[0]
    drawn = np.zeros((40, 40), bool)
    drawn[y : y + SIDE, x] = True
    noise = {"subject": "noise", "slice": z, "item": told["map"], "value": encode_runs(drawn)}
    give(review, noise)
    lesion = shown(review)["told"]["lesions"][0]
    assert lesion["pseudo_mass_hu_mm3"] == pytest.approx(hu * (27 - SIDE) * 1.5)
    assert not lesion["too_small"]


def test_a_lesion_all_drawn_out_is_told_as_such_and_keeps_its_row(review) -> None:
    told = shown(review)["told"]
    (z, y, x), _, _ = LESIONS[1]
    drawn = np.zeros((40, 40), bool)
    drawn[y : y + SIDE, x : x + SIDE] = True
    runs = encode_runs(drawn)
    give(
        review,
        *(
            {"subject": "noise", "slice": z + i, "item": told["map"], "value": runs}
            for i in range(SIDE)
        ),
    )
    assert [lesion["too_small"] for lesion in shown(review)["told"]["lesions"]] == [False, True]


def test_answers_to_an_earlier_map_are_left_out_and_counted(review) -> None:
    give(review, {"subject": "verdict", "item": "map-00000000:1,2,3", "value": "reject"})
    told = shown(review)["told"]
    assert told["reviewed"] == told["found"]
    assert told["notes"][0].startswith("Answers to an earlier map of this scan, left out: 1")


def test_a_comment_scores_nothing_again(review) -> None:
    give(review, {"subject": "comment", "value": "motion"})
    assert [content for content in review.said if content["type"] == "told"] == []


def test_slices_are_those_of_the_map_and_the_panes_share_its_grid(review) -> None:
    scan = shown(review)
    stack = scan["picture"]["stacks"][0]
    assert stack["whole_shape"] == [24, 40, 40]
    assert scan["slices"] == list(range(19, 4, -1))
    assert [pane["image"] for pane in scan["picture"]["panes"]] == ["scan", "scan", "healthy"]


def test_scan_and_rescan_stand_side_by_side_with_their_difference(review) -> None:
    review.hear({"type": "open", "position": shown(review)["position"], "compare": True}, [])
    scan = shown(review)
    assert [pane["stack"] for pane in scan["picture"]["panes"]] == [0, 0, 1, 1]
    found = scan["told"]["rescan"]["scores"][0]
    # The rescan's map is twice the scan's, but lesion areas and density weights are the same.
    assert found["this_scan"] == found["rescan"]
    assert found["relative_difference"] == 0
    key = scan["told"]["lesions"][0]["key"]
    give(review, {"subject": "verdict", "item": key, "value": "reject"})
    rows = {row["says"]: row for row in shown(review)["told"]["rescan"]["scores"]}
    one, two = rows["Reviewed"]["this_scan"], rows["Reviewed"]["rescan"]
    assert rows["Reviewed"]["relative_difference"] == pytest.approx((two - one) / ((one + two) / 2))


def test_the_three_dimensional_view_shows_the_map_as_reviewed(review) -> None:
    review.hear({"type": "view_3d", "height_px": 400}, [])
    whole = review._viewer
    assert review.said[-1] == {"type": "view_3d", "model": whole.model_id}
    whole._canvas_attached = True
    as_found = whole.volumes[1].data
    for lesion in shown(review)["told"]["lesions"]:
        give(review, {"subject": "verdict", "item": lesion["key"], "value": "reject"})
    review.hear({"type": "view_3d", "height_px": 400}, [])
    review._viewer._canvas_attached = True
    empty = np.frombuffer(review._viewer.volumes[1].data[352:], "<i2")
    assert np.frombuffer(as_found[352:], "<i2").any() and not empty.any()
    review.hear({"type": "close_3d"}, [])
    assert review._viewer is None


def test_the_rescan_is_of_the_pair_before_it_is_of_the_patient() -> None:
    cohort = pd.DataFrame(
        {"pair": ["x", "y", "x", None], "patient": ["p", "p", "p", "p"]}, index=list("abcd")
    )
    assert rescan_of(cohort, "a", list("abcd")) == "c"
    assert rescan_of(cohort, "d", list("abcd")) == "a"
    assert rescan_of(cohort, "a", list("abd")) == "b"
    assert rescan_of(cohort, "a", ["a"]) is None


def test_repeat_limits_leave_out_the_pair_at_hand_and_other_weights(tmp_path) -> None:
    (tmp_path / "scores").mkdir()
    rows = []
    for pair in range(13):
        for scan, agatston in ((f"{pair}a", 100 + 10 * pair), (f"{pair}b", 110 + 10 * pair)):
            weights = {"name": "new" if pair == 12 else "old"}
            result = {"weights": weights, "proposed": {"agatston_adjusted": agatston}}
            (tmp_path / "scores" / f"{scan}.json").write_text(json.dumps(result))
            rows.append((scan, str(pair), "simulated"))
    cohort = pd.DataFrame(rows, columns=["scan", "pair", "set"]).set_index("scan", drop=False)
    told = {"name": "a study", "simulated": True}
    repeat = repeat_without(tmp_path, cohort, list(cohort.index), "0a", **told)
    assert repeat.n_pairs == 11
    assert (repeat.name, repeat.simulated) == ("a study", True)
    assert repeat.mean_range == (115.0, 215.0)
    assert repeat_without(tmp_path, cohort, list(cohort.index)[:10], "0a", **told) is None
