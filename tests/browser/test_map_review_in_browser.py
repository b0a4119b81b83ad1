"""What the review's page does by itself; the kernel is played by the test."""

import numpy as np
import pytest

from cacnb.ct.volume import Volume
from cacnb.ui.picture import BLUE, Layer, Pane, Picture, Stack

pytestmark = pytest.mark.browser

MAP = "map-1a2b3c4d"
SHAPE = (12, 40, 40)
#: The whole scan's grid begins this far before what is sent, (z, y, x).
FIRST = (2, 3, 5)
#: Two lesions within what is sent: slices, rows, columns.
BOXES = (
    (slice(2, 5), slice(10, 14), slice(10, 14)),
    (slice(7, 9), slice(26, 30), slice(28, 32)),
)
KEYS = tuple(f"{MAP}:{number},0,0" for number in (1, 2))
SCORE = {"agatston": 100.0, "pseudo_mass_hu_mm3": 5e3, "volume_mm3": 90.0, "risk_category": "II"}


def picture(stacks=1):
    whole = tuple(n + f for n, f in zip(SHAPE, FIRST, strict=True))
    grid = Volume(np.full(whole, 40, np.float32), (1.5, 1.0, 1.0))
    numbers = np.zeros(whole, np.int32)
    box = tuple(slice(f, None) for f in FIRST)
    for number, lesion in enumerate(BOXES, start=1):
        numbers[box][lesion] = number
    layers = {
        "map": Layer(grid.with_array(np.where(numbers > 0, 100, 0)), "map"),
        "lesions": Layer(grid.with_array(numbers), "map", on=False),
        "clinical": Layer(grid.with_array(np.zeros(whole, np.uint8)), "labels", {1: BLUE}),
    }
    stack = Stack({"scan": grid, "healthy": grid}, layers)
    panes = [
        (Pane(i, "scan", ("clinical",), "Scan"), Pane(i, "scan", ("map",), "Map"))
        for i in range(stacks)
    ]
    return Picture((stack,) * stacks, sum(panes, ()), (box,) * stacks)


def told(**more):
    lesion = {
        "artery_found": "LAD", "too_small": False, "agatston_adjusted": 50.0,
        "pseudo_mass_hu_mm3": 2.5e3, "volume_mm3": 45.0, "peak_hu": 140.0, "peak_map_hu": 100.0,
    }  # fmt: skip
    return {
        "map": MAP, "lesions": [{"key": key, **lesion} for key in KEYS], "found": SCORE,
        "reviewed": SCORE, "clinical": {**SCORE, "rule": "convention of this test"},
        "has_rescan": True, "rescan": None, "notes": [], **more,
    }  # fmt: skip


def open_scan(review, state=(), stacks=1, scan="0123456789abcdef", **more):
    message, buffers = picture(stacks).message()
    context = {
        "scan": scan, "scan_sha256": "00", "reading": 1, "role": "first",
        "queue": "random", "position": 0, "assistant": False, "app": "review", "app_version": "0",
    }  # fmt: skip
    reading = {"state": list(state), "done": [], "undone": []}
    review.speak(
        {"type": "scan", "key": "k", "position": 0, "of": 1, "name": "Scan", "whole": False,
         "slices": list(range(13, 1, -1)), "slice": 13, "seconds": 0, "told": told(**more),
         "reading": reading, "context": context, "picture": message},
        buffers,
    )  # fmt: skip


@pytest.fixture
def review(widget_page):
    review = widget_page("map_review")
    review.speak({"type": "welcome", "scope": "reader"})
    open_scan(review)
    return review


def events(review):
    """What was given, each event once: (subject, slice, item, value)."""
    found = {}
    for message in review.heard("events"):
        for event in message["events"]:
            parts = ("subject", "slice", "item", "value")
            found[event["sequence"]] = tuple(event[part] for part in parts)
    return [found[sequence] for sequence in sorted(found)]


def voxels_of_the_map(review, number):
    """How many voxels of a lesion the shown map still has."""
    return review.get(
        f"""[...widget.stack.layers.map.array].filter(
        (hu, i) => hu > 0 && widget.lesions[i] === {number}).length"""
    )


def middle_of(review, lesion):
    """A lesion's middle on the screen, on the slice that is shown."""
    (_, rows, columns) = BOXES[lesion]
    return point_of(
        review, (rows.start + rows.stop - 1) / 2, (columns.start + columns.stop - 1) / 2
    )


def point_of(review, y, x, pane=1):
    """A voxel's centre on the screen."""
    return review.get(
        f"""(() => {{ const view = widget.views[{pane}], box = view.canvas.getBoundingClientRect();
        const [x, y] = view.pointOf({x}, {y}); return [box.left + x, box.top + y]; }})()"""
    )


def test_a_scan_opens_at_its_first_lesion_without_a_verdict(review) -> None:
    assert review.get("[widget.selected, widget.look.zoom]") == [1, 1]
    assert review.get("widget.look.slice") in range(2, 5)
    verdict = {"subject": "verdict", "slice": None, "item": KEYS[0], "value": "accept"}
    open_scan(review, [verdict])
    assert review.get("widget.selected") == 1  # the same scan again keeps the reader's place
    open_scan(review, [verdict], scan="another")
    assert review.get("widget.selected") == 2


def test_flying_to_a_lesion_shows_it_large_and_asks_nobody(review) -> None:
    before = review.get("heard.length")
    review.press("n")
    assert review.get("[widget.selected, widget.look.zoom]") == [2, 3]
    assert review.get("[widget.look.x, widget.look.y]") == [30, 28]
    assert review.get("widget.look.slice") in range(7, 9)
    review.press("p", "n", "n")
    assert review.get("widget.selected") == 1
    new = review.get(f"heard.slice({before}).filter(m => !['ping', 'ahead'].includes(m.type))")
    assert new == []


def test_a_rejected_lesion_leaves_the_map_and_undo_brings_it_back(review) -> None:
    review.press("r")
    assert events(review) == [("verdict", None, KEYS[0], "reject")]
    assert [voxels_of_the_map(review, n) for n in (1, 2)] == [0, 32]
    review.press("z")
    assert events(review)[1:] == [("verdict", None, KEYS[0], None)]
    assert voxels_of_the_map(review, 1) == 48


def test_the_space_bar_goes_to_the_lesion_without_a_verdict(review) -> None:
    review.press("a", "n", "a", " ")
    assert review.get("widget.selected") == 2
    assert review.page.inner_text(".cacnb-live") == "every lesion has its verdict"
    review.press("p", "Backspace", "n", " ")
    assert review.get("widget.selected") == 1


def test_another_artery_is_an_answer_and_the_one_found_is_none(review) -> None:
    review.press("3")
    assert events(review) == [("lesion", None, KEYS[0], "RCA")]
    assert "RCA (found LAD)" in review.page.inner_text(".cacnb-lesions")
    review.press("1")
    assert events(review)[1:] == [("lesion", None, KEYS[0], None)]


def test_the_brush_draws_out_only_what_the_map_shows(review) -> None:
    (_, rows, columns) = BOXES[1]
    review.press("n", "e", ".")
    review.page.mouse.click(*point_of(review, rows.start, columns.start))
    ((subject, z, item, runs),) = events(review)
    assert (subject, item) == ("noise", MAP)
    assert z == review.get("widget.look.slice") + FIRST[0]
    width = SHAPE[2] + FIRST[2]
    starts = [divmod(int(run.split(":")[0]), width) for run in runs.split()]
    lengths = [int(run.split(":")[1]) for run in runs.split()]
    assert all(rows.start <= y - FIRST[1] < rows.stop for y, _ in starts)
    assert all(columns.start <= x - FIRST[2] < columns.stop for _, x in starts)
    # A brush of 5 mm at the corner of the lesion: 8 of its voxels of 1 mm lie within 2.5 mm.
    assert sum(lengths) == 8
    assert voxels_of_the_map(review, 2) == 32 - 8


def test_what_was_drawn_out_is_put_back_by_brush_or_by_undo(review) -> None:
    review.press("n", "e")
    where = middle_of(review, 1)  # 4 mm over 4 × 4 voxels of 1 mm: all but the corners
    review.page.mouse.click(*where)
    review.press("z")
    assert voxels_of_the_map(review, 2) == 32
    review.press("y", "u")
    assert voxels_of_the_map(review, 2) == 20
    review.page.mouse.click(*where)
    assert voxels_of_the_map(review, 2) == 32
    assert events(review)[-1][3] is None


def test_the_brush_needs_no_mouse(review) -> None:
    review.press("n", "e", "Enter")
    assert voxels_of_the_map(review, 2) == 20


def test_a_click_on_a_lesion_chooses_it_and_beside_it_changes_the_window(review) -> None:
    review.press("n", "0")
    x, y = middle_of(review, 1)
    review.press("p", "0")
    review.get("widget.setSlice(8)")
    review.page.mouse.click(x, y)
    assert review.get("widget.selected") == 2
    lower = review.get("widget.look.lower")
    review.page.mouse.move(x - 60, y - 60)
    review.page.mouse.down()
    review.page.mouse.move(x - 60, y - 20)
    review.page.mouse.up()
    assert review.get("widget.look.lower") > lower


def test_a_row_of_the_table_flies_there(review) -> None:
    review.page.locator(".cacnb-lesions tbody tr").nth(1).click()
    assert review.get("[widget.selected, widget.look.zoom]") == [2, 3]


def test_scores_follow_what_the_kernel_says(review) -> None:
    after = told(reviewed={**SCORE, "agatston": 50.0})
    review.speak({"type": "told", "told": after})
    assert review.page.inner_text('[data-score="reviewed"]').split() == [
        "Reviewed", "50.0", "5000", "90", "II",
    ]  # fmt: skip
    assert "−50.0" in review.page.inner_text(".cacnb-scores")


def test_the_rescan_moves_with_the_scan_from_heart_to_heart_and_as_large(review) -> None:
    review.press("c")
    assert review.heard("open")[-1]["compare"] is True
    rescan = {"scores": [], "statement": "", "hearts": [[8.0, 20.0, 22.0], [10.0, 24.0, 21.0]]}
    open_scan(review, stacks=2, rescan=rescan)
    review.press("n")
    assert review.get("widget.looks.map((look) => look.slice)") == [7, 9]
    assert review.get("widget.looks.map((look) => look.y)") == [28, 32]
    assert review.get("widget.looks.map((look) => look.x)") == [30, 29]
    scales = review.get("widget.views.map((view) => view.scale())")
    assert scales == pytest.approx([scales[0]] * 4)
    review.press("ArrowDown")
    assert review.get("widget.looks.map((look) => look.slice)") == [6, 8]


def test_the_three_dimensional_view_opens_over_the_panes_and_closes(review) -> None:
    review.press("g")
    assert review.heard("view_3d")[-1]["height_px"] > 200
    assert review.page.locator(".cacnb-stage").count() == 1
    review.press("Escape")
    assert review.page.locator(".cacnb-stage").count() == 0
    assert review.heard("close_3d")


def test_text_of_the_review_stands_out_from_its_ground(review, faint_text) -> None:
    review.press("r")
    assert faint_text(review.page, ".cacnb *") == []
